"""Bytes in, events out: `read_events`, and `EventDecoder`, which knows no source.

What is guaranteed: everything that came before a failure is given before it is raised; a stream
that was cut ends in an `Error`, and nothing comes behind its `Done`; the source is closed in every
outcome.

How: a source gives chunks (chunks.py, ndjson_reader.py), a decoder of the core makes frames or
values of them, and a dialect's reader makes events of those.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from socket import socket
from typing import IO, Any, overload

from ..core import NDJSONDecoder, ServerSentEvent, SSEDecoder, read_json
from ..dialects import EventStream, create_reader
from ..errors import EventTooLarge, FrameError, NDJSONError
from ..events import Error, Event
from .chunks import Chunks
from .ndjson import MAX_BYTES, AsyncReader, SyncReader
from .responses import refused_type

__all__ = ["AsyncEventReader", "EventDecoder", "EventReader", "read_events"]


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
        self, format: str = "sse", dialect: str = "gai", *, max_event_bytes: int = MAX_BYTES
    ) -> None:
        if format != "sse" and format != "ndjson":
            raise FrameError(f"format must be 'sse' or 'ndjson', not {format!r}")
        self._reader: EventStream = create_reader(dialect, format)
        self._sse = SSEDecoder(max_event_bytes=max_event_bytes) if format == "sse" else None
        self._ndjson = NDJSONDecoder(max_line_bytes=max_event_bytes, loads=read_json)

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
            return self._frames([data])
        if hasattr(data, "event") and hasattr(data, "data"):  # of another client
            return self._frames([ServerSentEvent(data.data, data.event)])
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
        return events + self._reader.mended(self._reader.close())

    def _frames(self, frames: list[ServerSentEvent]) -> list[Event]:
        feed = self._reader.feed
        return self._reader.mended([event for frame in frames for event in feed(frame)])

    def _values(self, values: list[Any]) -> list[Event]:
        feed = self._reader.feed_value
        return self._reader.mended([event for value in values for event in feed(value)])

    def _lines(self, read: Callable[[Any], list[Any]], data: Any) -> list[Event]:
        events: list[Event] = []
        while True:
            try:
                return events + self._values(read(data))
            except NDJSONError as error:
                events += self._values(error.values)
                if self._reader.ended:
                    return events
                try:
                    value = self._reader.read_leniently(error.line)
                except ValueError:
                    self._reader.ended = True
                    bad = Error(f"the stream has a bad line: {error}", "invalid_frame")
                    return events + self._reader.mended([bad])
                events += self._values([value])
                data = b""  # the lines after this one
            except EventTooLarge as error:
                error.values = events + self._values(error.values)
                raise


class EventReader(SyncReader[Event]):
    """The events of a sync source; see `read_events`."""


class AsyncEventReader(AsyncReader[Event]):
    """The events of an async source; see `read_events`."""


@overload
def read_events(
    source: AsyncIterable[Any],
    format: str = ...,
    dialect: str = ...,
    *,
    strict_content_type: bool = ...,
    max_event_bytes: int = ...,
) -> AsyncEventReader: ...


@overload
def read_events(
    source: Iterable[Any] | IO[bytes] | socket,
    format: str = ...,
    dialect: str = ...,
    *,
    strict_content_type: bool = ...,
    max_event_bytes: int = ...,
) -> EventReader: ...


@overload
def read_events(
    source: Any,
    format: str = ...,
    dialect: str = ...,
    *,
    strict_content_type: bool = ...,
    max_event_bytes: int = ...,
) -> Any: ...


def read_events(
    source: Any,
    format: str = "sse",
    dialect: str = "gai",
    *,
    strict_content_type: bool = False,
    max_event_bytes: int = MAX_BYTES,
) -> Any:
    """Read the events of a stream: the inverse of `encode_events`, the writers and responses.

    Args:
        source: bytes; a file, pipe or socket; a response of httpx, httpx2, aiohttp, requests or
            urllib3; an iterable or async iterable of bytes, or (for "sse") of ServerSentEvents.
        format: "sse" or "ndjson".
        dialect: "gai", the default protocol, or "openai_chat" (over "sse").
        strict_content_type: of a response, insist on a content type of the format.
        max_event_bytes: the limit of an SSE event or an NDJSON line.

    Returns:
        An iterator of `gaistream.events` with `close()` and `with`, or, where the source is
        async, an async iterator with `aclose()` and `async with`. What is no known event is a
        `Raw`. It ends with the stream's `Done`, with its `Error`, or, where neither came, with
        `Error(code="truncated")`; a frame that cannot be read is an `Error` of code
        "invalid_frame", and the last. The source is closed in every outcome.

    Raises:
        FrameError, FrameTypeError: an argument that is none of these.
        ContentTypeError: a response is JSON and "sse" was to be read (its message is the service's
            own, if it holds an error), or its type is not that of the format and
            `strict_content_type` was given. If it is JSON and asynchronous: while iterating.
        FrameError: while iterating: the source is UTF-16, or compressed with gzip.
        EventTooLarge: while iterating; so is whatever the source raises.
    """
    decoder: Any = EventDecoder(format, dialect, max_event_bytes=max_event_bytes)
    refused = refused_type(source, format, strict_content_type)
    chunks = Chunks(source)
    if chunks.is_async:
        return AsyncEventReader(chunks, refused or decoder)
    reader = EventReader(chunks, refused or decoder)
    if refused is not None:
        next(reader)
    return reader
