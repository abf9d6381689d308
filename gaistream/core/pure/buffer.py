"""The reusable buffer of a stream.

Bytes are appended at the end, and all of them are taken at once. An empty buffer holds no memory.
While a view of the buffer exists, every change raises BufferError. A buffer belongs to one task.
Twin of src/buffer.pxi.
"""

from __future__ import annotations

from typing import NoReturn

from gaistream.errors import BufferTooSmall, FrameError, FrameTypeError

from .checks import checked_int

MAX_INT = 2**63 - 1


def readable(
    field: str, data: object, expected: str = "bytes, bytearray or memoryview"
) -> memoryview:
    """Return a view of a bytes-like object's bytes; FrameError if it has gaps."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise FrameTypeError(f"{field} must be {expected}, not {type(data).__name__}")
    view = memoryview(data)
    if view.nbytes and not view.c_contiguous:
        view.release()  # a traceback would hold it
        raise FrameError(f"{field} must be contiguous, not a memoryview with gaps")
    return _flat(view)


def _flat(view: memoryview) -> memoryview:
    """Return a contiguous view as a view of single bytes."""
    # Python does not cast every empty view
    return view.cast("B") if view.nbytes else memoryview(bytearray())


def place(buffer: object, offset: object, needed: int) -> memoryview:
    """Return `needed` bytes of a writable buffer from `offset` on; raise if they do not fit."""
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
    with view, _flat(view) as flat:  # a traceback would hold them
        start = checked_int("offset", offset, 0, len(flat), "")
        if needed > len(flat) - start:
            raise BufferTooSmall(needed, len(flat) - start)
        return flat[start : start + needed]


class NotCopyable:
    """Mixin: instances can be neither copied nor pickled."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle '{type(self).__name__}' object")


class Buffer(NotCopyable):
    """A growable byte buffer.

    Args:
        size: the first allocation in bytes, from 1 to 1 GiB.
    """

    __slots__ = ("_data",)

    def __init__(self, size: int = 4096) -> None:
        checked_int("size", size, 1, 2**30, "bytes")
        self._data = bytearray()

    def __len__(self) -> int:
        return len(self._data)

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes; BufferError while a view exists."""
        with readable("data", data) as view, _unviewed():
            self._data += view

    def truncate(self, length: int) -> None:
        """Keep the first `length` bytes, from 0 to the present length."""
        kept = checked_int("offset", length, 0, len(self._data), "")
        if kept < len(self._data):
            with _unviewed():
                del self._data[kept:]

    def view(self) -> memoryview:
        """Return a read-only view; while it exists every change raises BufferError."""
        return memoryview(self._data).toreadonly()

    def take(self) -> bytes:
        """Return all bytes and empty the buffer; BufferError while a view exists."""
        taken = bytes(self._data)
        self.truncate(0)
        return taken

    def take_into(self, buffer: bytearray | memoryview, offset: int = 0) -> int:
        """Move all bytes into a writable buffer and return the offset after them.

        Raises BufferTooSmall, and moves nothing, if they do not fit.
        """
        size = len(self._data)
        target = place(buffer, offset, size)
        if len(self._data) != size:  # `buffer` has run code that wrote or took
            return self.take_into(buffer, offset)
        target[:] = self.take()
        return offset + size


class _unviewed:  # noqa: N801  (reads as a statement)
    """Replace the message of a bytearray's BufferError by that of the compiled twin."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, BufferError):
            raise BufferError("the buffer cannot be changed while a view of it exists") from None
