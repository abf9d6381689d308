"""Readers: the items that a decoder makes of a source's chunks, by `for` or by `async for`.

Guarantees: every item that was decoded before an error comes before it; after a bad line reading
can go on with the next one; the source is closed when it ends, when it fails and when the reader
is closed.

How: chunks.py turns the source into chunks, the decoder turns each chunk into items, and these
wait in a queue until they are read.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Generic, Protocol, Self, TypeVar

from ..errors import EventTooLarge, FrameError, FrameTypeError, NDJSONError
from .chunks import BYTES_EXPECTED, START_BYTES, Chunks, not_text

__all__ = ["MAX_BYTES", "AsyncReader", "Reader", "SyncReader"]

MAX_BYTES = 16 * 2**20  # the default limit of an event or a line

_T = TypeVar("_T")


class _Decoder(Protocol):
    def feed(self, data: Any, /) -> list[Any]: ...
    def close(self) -> list[Any]: ...


class Reader(Generic[_T]):
    """The base of both readers. Belongs to one task.

    Args:
        source: a source of bytes, or its `Chunks`.
        decoder: turns chunks into items; if it has an attribute `ended` and that becomes True,
            nothing more is read.
    """

    def __init__(self, source: Any, decoder: _Decoder) -> None:
        self._decoder = decoder
        self._ready: deque[_T] = deque()
        self._error: Exception | None = None  # to be raised after the ready items
        self._after_bad_line = False  # the decoder may hold lines after the bad one
        self._start: bytes | None = b""  # the first bytes, until `not_text` can judge them
        self._ended = False  # nothing more is read from the source
        self._complete = False  # the last item has come, before the end of the source
        self._chunks = source if isinstance(source, Chunks) else Chunks(source)

    def _decode(self, chunk: Any) -> None:
        """Decode a chunk; None is the end of the source."""
        self._after_bad_line = False
        if self._start is not None and chunk is not None:
            self._check_start(chunk)
        try:
            items = self._decoder.close() if chunk is None else self._decoder.feed(chunk)
        except NDJSONError as error:
            items, error.values = error.values, []
            self._error, self._after_bad_line = error, True
        except EventTooLarge as error:
            items, error.values = error.values, []
            self._error, self._ended = error, True
        self._ready += items
        self._complete = chunk is not None and getattr(self._decoder, "ended", False)
        self._ended = self._ended or chunk is None or self._complete

    def _check_start(self, chunk: Any) -> None:
        """Raise if the source is text, or bytes that are not UTF-8."""
        if isinstance(chunk, str):
            raise FrameTypeError(BYTES_EXPECTED)
        start, self._start = self._start, None
        if isinstance(chunk, bytes | bytearray | memoryview) and start is not None:
            start += bytes(chunk)[:START_BYTES]
            if problem := not_text(start):
                raise FrameError(f"the source is {problem}")
            if len(start) < START_BYTES:
                self._start = start

    def _needs_chunk(self) -> bool:
        """Return True if a chunk must be read to get the next item. Raise an error that is due."""
        while not self._ready:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if not self._after_bad_line:
                return not self._ended
            self._decode(None if self._ended else b"")
        return False

    def _close(self) -> None:
        self._chunks.close()
        self._ended = True

    async def _aclose(self) -> None:
        self._ended = True
        await self._chunks.aclose()

    def _drop_ready(self) -> None:
        self._ready.clear()
        self._error, self._after_bad_line = None, False


class SyncReader(Reader[_T]):
    """A reader for `for`."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _T:
        while self._needs_chunk():
            chunks = iter(self._chunks)
            try:
                for chunk in chunks:
                    self._decode(chunk)
                    break
                else:
                    self._decode(None)
            except BaseException:
                self._close()
                raise
            if self._complete:
                self._chunks.finish()
            elif self._ended:
                self._close()
        if not self._ready:
            raise StopIteration
        return self._ready.popleft()

    def close(self) -> None:
        """Close the source, drop the items that are ready and end the iteration."""
        self._close()
        self._drop_ready()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncReader(Reader[_T]):
    """A reader for `async for`."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _T:
        while self._needs_chunk():
            try:
                async for chunk in self._chunks:
                    self._decode(chunk)
                    break
                else:
                    self._decode(None)
            except BaseException:
                await self._aclose()
                raise
            if self._complete:
                await self._chunks.afinish()
            elif self._ended:
                await self._aclose()
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()

    async def aclose(self) -> None:
        """Close the source, drop the items that are ready and end the iteration."""
        self._drop_ready()
        await self._aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
