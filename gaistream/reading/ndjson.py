"""`NDJSONReader`, the values of a source, and what it shares with the readers of events.

What is guaranteed: everything that came before a failure is given before it is raised, reading can
go on behind a bad line, and the source is closed when it is used up, when it fails and when the
reader is closed.

How: a source gives chunks (chunks.py), and a decoder makes items of them, which wait in a queue
until they are asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import EllipsisType
from typing import Any, Generic, Protocol, Self, TypeVar

from ..core import NDJSONDecoder
from ..errors import EventTooLarge, FrameError, FrameTypeError, NDJSONError
from .chunks import MARK, TEXT, Chunks, not_text

__all__ = ["MAX_BYTES", "AsyncReader", "NDJSONReader", "Reader", "SyncReader"]

MAX_BYTES = 16 * 2**20

_T = TypeVar("_T")


class _Decoder(Protocol):
    def feed(self, data: Any, /) -> list[Any]: ...
    def close(self) -> list[Any]: ...


class Reader(Generic[_T]):
    """Items of a source that a decoder makes; what was made before an error comes before it."""

    def __init__(self, source: Any, decoder: _Decoder) -> None:
        self._decoder = decoder
        self._ready: deque[_T] = deque()
        self._error: Exception | None = None
        self._behind = False  # something may be left in the decoder, behind a bad line
        self._start: bytes | None = b""  # the first bytes, until they are enough to know
        self._ended = False  # nothing more is read from the source
        self._over = False  # for its last event has come, before its end
        self._chunks = source if isinstance(source, Chunks) else Chunks(source)

    def _take(self, chunk: Any) -> None:
        """Have the decoder take a chunk, or the end, which is None."""
        self._behind = False
        if self._start is not None and chunk is not None:
            self._look_at_start(chunk)
        try:
            given = self._decoder.close() if chunk is None else self._decoder.feed(chunk)
        except NDJSONError as error:
            given, error.values = error.values, []
            self._error, self._behind = error, True
        except EventTooLarge as error:
            given, error.values = error.values, []
            self._error, self._ended = error, True
        self._ready += given
        self._over = chunk is not None and getattr(self._decoder, "ended", False)
        self._ended = self._ended or chunk is None or self._over

    def _look_at_start(self, chunk: Any) -> None:
        """Refuse, by name, a source that is no UTF-8."""
        if isinstance(chunk, str):
            raise FrameTypeError(TEXT)
        start, self._start = self._start, None
        if isinstance(chunk, bytes | bytearray | memoryview) and start is not None:
            start += bytes(chunk)[:MARK]
            if problem := not_text(start):
                raise FrameError(f"the source is {problem}")
            if len(start) < MARK:
                self._start = start

    def _waiting(self) -> bool:
        """Tell whether to read on: nothing is ready, no error is due, nothing is left behind."""
        while not self._ready:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if not self._behind:
                return not self._ended
            self._take(None if self._ended else b"")
        return False

    def _next(self) -> _T:
        while self._waiting():
            chunks = iter(self._chunks)
            try:
                for chunk in chunks:
                    self._take(chunk)
                    break
                else:
                    self._take(None)
            except BaseException:
                self._close()
                raise
            if self._over:
                self._chunks.finish()
            elif self._ended:
                self._close()
        if not self._ready:
            raise StopIteration
        return self._ready.popleft()

    async def _anext(self) -> _T:
        while self._waiting():
            try:
                async for chunk in self._chunks:
                    self._take(chunk)
                    break
                else:
                    self._take(None)
            except BaseException:
                await self._aclose()
                raise
            if self._over:
                await self._chunks.afinish()
            elif self._ended:
                await self._aclose()
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()

    def _close(self) -> None:
        self._chunks.close()
        self._ended = True

    async def _aclose(self) -> None:
        self._ended = True
        await self._chunks.aclose()


class SyncReader(Reader[_T]):
    """A reader for `for`."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _T:
        return self._next()

    def close(self) -> None:
        """Close the source; what is ready is dropped, and the iteration is over."""
        self._close()
        self._ready.clear()
        self._error, self._behind = None, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncReader(Reader[_T]):
    """A reader for `async for`."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _T:
        return await self._anext()

    async def aclose(self) -> None:
        """Close the source; what is ready is dropped, and the iteration is over."""
        self._ready.clear()
        self._error, self._behind = None, False
        await self._aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class NDJSONReader(SyncReader[Any], AsyncReader[Any]):
    """The values of a source of newline-delimited JSON. Belongs to one task.

    Iterate it with `for`, or with `async for`, which takes sync sources too (what may block is
    read in a thread of its own). With on_error="raise" a bad line raises NDJSONError where its
    value would have come, and the next step goes on behind it. The source is closed at its end,
    when it fails, and by `close()`, `aclose()`, `with` and `async with`.

    Args:
        source: bytes; a file, pipe or socket; a response of httpx, aiohttp, requests or urllib3;
            an iterable or async iterable of bytes.
        max_line_bytes: as for `NDJSONDecoder`.
        strict: as for `NDJSONDecoder`.
        loads: as for `NDJSONDecoder`.
        on_error: as for `NDJSONDecoder`; what a callable raises ends the reading.

    Raises:
        FrameTypeError: the source is none, or gives text.
        FrameError: while iterating: the source is UTF-16, or compressed with gzip.
    """

    def __init__(
        self,
        source: Any,
        *,
        max_line_bytes: int = MAX_BYTES,
        strict: bool = False,
        loads: Callable[[bytes], Any] | EllipsisType | None = ...,
        on_error: str | Callable[[NDJSONError], object] = "raise",
    ) -> None:
        decoder = NDJSONDecoder(
            max_line_bytes=max_line_bytes, strict=strict, loads=loads, on_error=on_error
        )
        super().__init__(source, decoder)

    def read(self) -> Any:
        """Give the next value of a sync source; EOFError where there is none."""
        try:
            return self._next()
        except StopIteration:
            raise EOFError("there is no further value") from None
