"""Bytes in, values or events out: `NDJSONReader`, `EventDecoder` and `read_events`.

What is guaranteed: everything that came before a failure is given before it is raised; the source
is closed when it is used up, when it fails and when the reader is closed; a stream of events that
was cut ends in an `Error`, and nothing comes behind its `Done`.

How: a source gives chunks (chunks.py), a decoder of the core makes lines, values or
ServerSentEvents of them, and a dialect's reader makes events of those.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import EllipsisType
from typing import Any, Generic, Protocol, Self, TypeVar

from ._backend import NDJSONDecoder, ServerSentEvent, SSEDecoder
from .chunks import Chunks
from .dialects import EventStream, create_reader
from .errors import EventTooLarge, FrameError, NDJSONError
from .events import Error, Event

__all__ = ["AsyncEventReader", "EventDecoder", "EventReader", "NDJSONReader", "read_events"]

_LIMIT = 16 * 2**20

_T = TypeVar("_T")


class _Decoder(Protocol):
    def feed(self, data: Any, /) -> list[Any]: ...
    def close(self) -> list[Any]: ...


class _Reader(Generic[_T]):
    """Items of a source that a decoder makes; what was made before an error comes before it."""

    def __init__(self, source: Any, decoder: _Decoder) -> None:
        self._decoder = decoder
        self._ready: deque[_T] = deque()
        self._error: Exception | None = None
        self._behind = False  # something may be left in the decoder, behind a bad line
        self._ended = False  # nothing more is read from the source
        self._chunks = source if isinstance(source, Chunks) else Chunks(source)

    def _take(self, chunk: Any) -> None:
        """Have the decoder take a chunk, or the end, which is None."""
        self._behind = False
        try:
            given = self._decoder.close() if chunk is None else self._decoder.feed(chunk)
        except NDJSONError as error:
            given, error.values = error.values, []
            self._error, self._behind = error, True
        except EventTooLarge as error:
            given, error.values = error.values, []
            self._error, self._ended = error, True
        self._ready += given
        self._ended = self._ended or chunk is None or getattr(self._decoder, "ended", False)

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
            if self._ended:
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
            if self._ended:
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


class _SyncReader(_Reader[_T]):
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


class _AsyncReader(_Reader[_T]):
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


class NDJSONReader(_SyncReader[Any], _AsyncReader[Any]):
    """The values of a source of newline-delimited JSON. Belongs to one task.

    Iterate it with `for`, or with `async for`, which takes sync sources too (what may block is
    read in a thread of its own). With on_error="raise" a bad line raises NDJSONError where its
    value would have come, and the next step goes on behind it. The source is closed at its end,
    when it fails, and by `close()`, `aclose()`, `with` and `async with`.

    Args:
        source: bytes; a file, pipe or socket; a response of httpx, aiohttp, requests or urllib3;
            an iterable or async iterable of bytes.
        max_line_bytes, strict, loads, on_error: as for `NDJSONDecoder`.

    Raises:
        FrameTypeError: the source is none.
    """

    def __init__(
        self,
        source: Any,
        *,
        max_line_bytes: int = _LIMIT,
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


class EventDecoder:
    """Chunks of a stream to events, without any source: what `read_events` is made of.

    Args:
        format: "sse" or "ndjson".
        dialect: the protocol, as for `read_events`.
        max_event_bytes: the limit of an SSE event or an NDJSON line.

    Attributes:
        ended: True after `Done`, a frame that could not be read, or `close()`; what is fed from
            then on is dropped.
    """

    def __init__(
        self, format: str = "sse", dialect: str = "gai", *, max_event_bytes: int = _LIMIT
    ) -> None:
        if format != "sse" and format != "ndjson":
            raise FrameError(f"format must be 'sse' or 'ndjson', not {format!r}")
        self._reader: EventStream = create_reader(dialect, format)
        self._sse = SSEDecoder(max_event_bytes=max_event_bytes) if format == "sse" else None
        self._ndjson = NDJSONDecoder(max_line_bytes=max_event_bytes)

    @property
    def ended(self) -> bool:
        """Whether nothing more will be given."""
        return self._reader.ended

    def feed(self, data: Any) -> list[Event]:
        """Take a chunk, or an event of an SSE client, and give the events that it completes.

        Raises:
            EventTooLarge: beyond the limit; its `values` are the events before it.
            FrameTypeError: neither bytes nor an event.
        """
        if self._reader.ended:
            return []
        if self._sse is None:
            return self._lines(self._ndjson.feed, data)
        if isinstance(data, ServerSentEvent):
            return self._reader.feed(data)
        if hasattr(data, "event") and hasattr(data, "data"):  # of another client
            return self._reader.feed(ServerSentEvent(data.data, data.event))
        try:
            return self._frames(self._sse.feed(data))
        except EventTooLarge as error:
            error.values = self._frames(error.values)
            raise

    def close(self) -> list[Event]:
        """Say that the stream has ended; where it was cut, an `Error` of code "truncated" comes."""
        events: list[Event] = []
        if self._sse is None and not self._reader.ended:
            events = self._lines(lambda _: self._ndjson.close(), None)
        return events + self._reader.close()

    def _frames(self, frames: list[ServerSentEvent]) -> list[Event]:
        feed = self._reader.feed
        return [event for frame in frames for event in feed(frame)]

    def _lines(self, read: Callable[[Any], list[Any]], data: Any) -> list[Event]:
        feed = self._reader.feed_value
        try:
            return [event for value in read(data) for event in feed(value)]
        except NDJSONError as error:
            events = [event for value in error.values for event in feed(value)]
            if not self._reader.ended:
                self._reader.ended = True
                events.append(Error(f"the stream has a bad line: {error}", "invalid_frame"))
            return events
        except EventTooLarge as error:
            error.values = [event for value in error.values for event in feed(value)]
            raise


class EventReader(_SyncReader[Event]):
    """The events of a sync source; see `read_events`."""


class AsyncEventReader(_AsyncReader[Event]):
    """The events of an async source; see `read_events`."""


def read_events(
    source: Any,
    format: str = "sse",
    dialect: str = "gai",
    *,
    max_event_bytes: int = _LIMIT,
) -> Any:
    """Read the events of a stream: the inverse of `encode_events`, the writers and responses.

    Args:
        source: bytes; a file, pipe or socket; a response of httpx, aiohttp, requests or urllib3;
            an iterable or async iterable of bytes, or (for "sse") of ServerSentEvents.
        format: "sse" or "ndjson".
        dialect: "gai", the default protocol, or "openai_chat" (over "sse").
        max_event_bytes: the limit of an SSE event or an NDJSON line.

    Returns:
        An iterator of `gaistream.events` with `close()` and `with`, or, where the source is
        async, an async iterator with `aclose()` and `async with`. What is no known event is a
        `Raw`. It ends with the stream's `Done`, with its `Error`, or, where neither came, with
        `Error(code="truncated")`; a frame that cannot be read is an `Error` of code
        "invalid_frame", and the last. The source is closed in every outcome.

    Raises:
        FrameError, FrameTypeError: an argument that is none of these. While iterating:
        EventTooLarge, and whatever the source raises.
    """
    decoder = EventDecoder(format, dialect, max_event_bytes=max_event_bytes)
    chunks = Chunks(source)
    reader = AsyncEventReader if chunks.is_async else EventReader
    return reader(chunks, decoder)
