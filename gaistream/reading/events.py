"""Bytes to events: `read_events`, and `EventDecoder`, which has no source.

Guarantees: every event before a failure comes before its exception; a stream that was cut ends with
an `Error`; nothing comes after `Done`; the source is closed in every outcome.

How: chunks.py turns a source into chunks, a decoder of the core turns chunks into frames or values,
and the dialect's reader turns these into events.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from socket import socket
from typing import IO, Any, overload

from ..core import NDJSONDecoder, ServerSentEvent, SSEDecoder, read_json
from ..dialects import Dialect, DialectReader, create_reader
from ..dialects.deltas import delta_reader_of
from ..errors import EventTooLarge, FrameError, NDJSONError
from ..events import Error, Event
from .chunks import Chunks
from .reader import MAX_BYTES, AsyncReader, SyncReader
from .responses import refusing_decoder

__all__ = ["AsyncEventReader", "EventDecoder", "EventReader", "read_events"]


class EventDecoder:
    """The events of a stream, from its chunks. Belongs to one task.

    Args:
        format: "sse" or "ndjson".
        dialect: the protocol; see `read_events`.
        max_event_bytes: the limit of an SSE event or an NDJSON line, in bytes (16 MiB).

    Raises:
        FrameError: an unknown format or dialect, or a dialect that does not have this format.
    """

    def __init__(
        self,
        format: str = "sse",
        dialect: str | Dialect = "gai",
        *,
        max_event_bytes: int = MAX_BYTES,
    ) -> None:
        if format != "sse" and format != "ndjson":
            raise FrameError(f"format must be 'sse' or 'ndjson', not {format!r}")
        self._reader: DialectReader = create_reader(dialect, format)
        self._deltas = delta_reader_of(self._reader)
        self._sse: SSEDecoder | None = None
        self._ndjson: NDJSONDecoder | None = None
        if format == "sse":
            self._sse = SSEDecoder(max_event_bytes=max_event_bytes)
        else:
            loads = read_json if self._deltas is None else self._deltas.load
            self._ndjson = NDJSONDecoder(max_line_bytes=max_event_bytes, loads=loads)

    @property
    def ended(self) -> bool:
        """True after `Done`, a bad frame or `close()`; further input is dropped."""
        return self._reader.ended

    def feed(self, data: Any) -> list[Event]:
        """Return the events that a chunk, or an event of an SSE client, completes.

        Raises:
            EventTooLarge: beyond the limit; its `values` are the events before it.
            FrameTypeError: `data` is neither bytes nor an event.
        """
        if self._reader.ended:
            return []
        if self._ndjson is not None:
            return self._read_lines(self._ndjson.feed, data)
        assert self._sse is not None
        if type(data) is not bytes:  # the usual way is short
            if isinstance(data, ServerSentEvent):
                return self._read_frames([data])
            if hasattr(data, "event") and hasattr(data, "data"):  # another client's class
                return self._read_frames([ServerSentEvent(data.data, data.event)])
        try:
            frames = self._sse.feed(data)
            return self._read_frames(frames) if self._deltas is None else self._deltas.read(frames)
        except EventTooLarge as error:
            error.values = self._read_frames(error.values)
            raise

    def close(self) -> list[Event]:
        """End the stream. Return its last events: an `Error` of code "truncated" if it was cut."""
        events: list[Event] = []
        if self._ndjson is not None and not self._reader.ended:
            close = self._ndjson.close
            events = self._read_lines(lambda _: close(), None)
        return events + self._reader.mended(self._reader.close())

    def _read_frames(self, frames: list[ServerSentEvent]) -> list[Event]:
        if self._deltas is not None:
            return self._deltas.read(frames)
        feed = self._reader.feed
        return self._reader.mended([event for frame in frames for event in feed(frame)])

    def _read_values(self, values: list[Any]) -> list[Event]:
        if self._deltas is not None:
            return self._deltas.read_values(values)
        feed = self._reader.feed_value
        return self._reader.mended([event for value in values for event in feed(value)])

    def _read_lines(self, decode: Callable[[Any], list[Any]], data: Any) -> list[Event]:
        events: list[Event] = []
        while True:
            try:
                return events + self._read_values(decode(data))
            except NDJSONError as error:
                events += self._read_values(error.values)
                if self._reader.ended:
                    return events
                try:
                    value = self._reader.read_leniently(error.line)
                except ValueError:
                    if data is None and self._reader.half_line_is_cut:
                        return events
                    self._reader.ended = True
                    bad = Error(f"the stream has a bad line: {error}", "invalid_frame")
                    return events + self._reader.mended([bad])
                events += self._read_values([value])
                data = b""  # decode the lines after this one
            except EventTooLarge as error:
                error.values = events + self._read_values(error.values)
                raise


class EventReader(SyncReader[Event]):
    """The events of a sync source, as `read_events` returns them."""


class AsyncEventReader(AsyncReader[Event]):
    """The events of an async source, as `read_events` returns them."""


@overload
def read_events(
    source: AsyncIterable[Any],
    format: str = ...,
    dialect: str | Dialect = ...,
    *,
    strict_content_type: bool = ...,
    max_event_bytes: int = ...,
) -> AsyncEventReader: ...


@overload
def read_events(
    source: Iterable[Any] | IO[bytes] | socket,
    format: str = ...,
    dialect: str | Dialect = ...,
    *,
    strict_content_type: bool = ...,
    max_event_bytes: int = ...,
) -> EventReader: ...


@overload
def read_events(
    source: Any,
    format: str = ...,
    dialect: str | Dialect = ...,
    *,
    strict_content_type: bool = ...,
    max_event_bytes: int = ...,
) -> Any: ...


def read_events(
    source: Any,
    format: str = "sse",
    dialect: str | Dialect = "gai",
    *,
    strict_content_type: bool = False,
    max_event_bytes: int = MAX_BYTES,
) -> Any:
    """Read the events of a stream: the inverse of `encode_events`, the writers and responses.

    Args:
        source: bytes; a file, pipe or socket; a response of httpx, httpx2, aiohttp, requests or
            urllib3; an iterable or async iterable of bytes, or (for "sse") of ServerSentEvents.
        format: "sse" or "ndjson".
        dialect: the protocol: "gai" (the default), "openai_chat", "openai_responses", "anthropic",
            "ai_sdk", "ag_ui", "gai_events_v1" (over both formats), "gemini", "gemini_interactions",
            "ollama" (over "ndjson"), or an object of your own `gaistream.dialects.Dialect`.
        strict_content_type: accept a response only with a content type of the format.
        max_event_bytes: the limit of an SSE event or an NDJSON line, in bytes (16 MiB).

    Returns:
        An iterator of `gaistream.events` with `close()` and `with`; for an async source, an async
        iterator with `aclose()` and `async with`. A frame that is not a known event is a `Raw`. The
        iterator ends after the stream's `Done` or `Error`; if neither came, after
        `Error(code="truncated")`; after a frame that cannot be read, with
        `Error(code="invalid_frame")`. The source is closed in every outcome.

    Raises:
        FrameError: an unknown format or dialect. While iterating: the source is UTF-16, or
            compressed with gzip.
        FrameTypeError: `source` is not a source of bytes.
        ContentTypeError: a response is JSON instead of "sse" (the message is the service's own if
            the JSON is an error), or `strict_content_type` is True and its type is not that of the
            format. For asynchronous JSON: while iterating.
        EventTooLarge: while iterating: an event or a line beyond the limit.
        Exception: while iterating: whatever the source raises.
    """
    decoder: Any = EventDecoder(format, dialect, max_event_bytes=max_event_bytes)
    refusing = refusing_decoder(source, format, strict_content_type)
    chunks = Chunks(source)
    if chunks.is_async:
        return AsyncEventReader(chunks, refusing or decoder)
    reader = EventReader(chunks, refusing or decoder)
    if refusing is not None:
        next(reader)  # raises
    return reader
