"""The reusable buffer that a stream is built in.

Bytes are appended at the end and taken from the front, all at once. Memory is held only while
there is something in it. While a view that was handed out lives, nothing may move beneath it:
every change raises BufferError. Belongs to one task. Twin of src/buffer.pxi.
"""

from __future__ import annotations

from typing import NoReturn

from gaistream.errors import BufferTooSmall, FrameError, FrameTypeError

from .checks import checked_int

MAX_INT = 2**63 - 1


def readable(
    field: str, data: object, expected: str = "bytes, bytearray or memoryview"
) -> memoryview:
    """Give the bytes of a bytes-like object in place, refusing what has gaps."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise FrameTypeError(f"{field} must be {expected}, not {type(data).__name__}")
    view = memoryview(data)
    if view.nbytes and not view.c_contiguous:
        view.release()  # a traceback would hold it
        raise FrameError(f"{field} must be contiguous, not a memoryview with gaps")
    return _flat(view)


def _flat(view: memoryview) -> memoryview:
    """Give a contiguous view as one of single bytes."""
    # Python does not cast every view of nothing
    return view.cast("B") if view.nbytes else memoryview(bytearray())


def place(buffer: object, offset: object, needed: int) -> memoryview:
    """Give the `needed` bytes of a writable buffer from `offset` on, or say why not."""
    try:
        view = memoryview(buffer)  # type: ignore[arg-type]
    except TypeError:
        view = None
    if view is None or view.readonly or not view.c_contiguous:
        if view is not None:
            view.release()
        raise FrameTypeError(
            "buffer must be a writable, contiguous bytes-like object, "
            f"not {type(buffer).__name__}"
        )
    with view, _flat(view) as flat:  # released here whatever happens: a traceback would hold it
        start = checked_int("offset", offset, 0, len(flat), "")
        if needed > len(flat) - start:
            raise BufferTooSmall(needed, len(flat) - start)
        return flat[start : start + needed]


def shown(number: int) -> str:
    """Say an int in a message: by its value, or by its size where the value would fill pages."""
    return str(number) if number.bit_length() <= 64 else f"an int of {number.bit_length()} bits"


class NotCopyable:
    """What has a state that is not to be had twice: it is neither copied nor pickled."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle '{type(self).__name__}' object")


class Buffer(NotCopyable):
    """A growable byte buffer.

    Args:
        size: bytes that it starts with once something is appended, from 1 to 1 GiB.
    """

    __slots__ = ("_data",)

    def __init__(self, size: int = 4096) -> None:
        checked_int("size", size, 1, 2**30, "bytes")
        self._data = bytearray()

    def __len__(self) -> int:
        return len(self._data)

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Add bytes at the end; BufferError while a view lives."""
        with readable("data", data) as view, _unviewed():
            self._data += view

    def truncate(self, length: int) -> None:
        """Keep the first `length` bytes (from 0 to the length now)."""
        kept = checked_int("offset", length, 0, len(self._data), "")
        if kept < len(self._data):
            with _unviewed():
                del self._data[kept:]

    def view(self) -> memoryview:
        """Give a read-only view; while it lives every change raises BufferError."""
        return memoryview(self._data).toreadonly()

    def take(self) -> bytes:
        """Give everything as bytes and become empty; BufferError while a view lives."""
        taken = bytes(self._data)
        self.truncate(0)
        return taken

    def take_into(self, buffer: bytearray | memoryview, offset: int = 0) -> int:
        """Move everything into a writable buffer and give the offset behind it.

        Raises BufferTooSmall, and moves nothing, where it does not fit.
        """
        size = len(self._data)
        target = place(buffer, offset, size)
        if len(self._data) != size:  # getting the buffer has run code that wrote or took
            return self.take_into(buffer, offset)
        target[:] = self.take()
        return offset + size


class _unviewed:  # noqa: N801  (reads as a statement)
    """Say a bytearray's refusal to change in our words, which the compiled twin uses too."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, BufferError):
            raise BufferError("a view of the buffer lives: it cannot be changed") from None
