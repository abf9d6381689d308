"""A response that is open already, of httpx, httpx2, aiohttp, requests or urllib3, read as events.

Known by what it can do: none of these packages is imported. The response is closed when it is used
up, when it fails and when the iterator is closed. There is no reconnecting: a body that is cut
raises what its own library raises. For that, and for resuming, there is `gaistream.client`.
"""

from __future__ import annotations

import time
from typing import Any

from ..core import ServerSentEvent, SSEDecoder
from ..errors import ContentTypeError, FrameTypeError, StatusError
from ..http.headers import MEDIA_TYPES
from ..http.received import (
    NDJSON_TYPES,
    error_message,
    is_event_stream,
    is_json,
    media_type,
)
from .chunks import Chunks
from .ndjson import MAX_BYTES, AsyncReader, SyncReader

__all__ = ["AsyncEventsOfResponse", "EventsOfResponse", "aiter_events", "iter_events"]

_LONGEST_JSON = 65_536  # bytes of an answer of JSON that are read, for its message
_LONGEST_TIME = 5.0  # seconds that this may take, if more comes


class EventsOfResponse(SyncReader[ServerSentEvent]):
    """An iterator of `ServerSentEvent`, with `close()` and `with`."""


class AsyncEventsOfResponse(AsyncReader[ServerSentEvent]):
    """An async iterator of `ServerSentEvent`, with `aclose()` and `async with`."""


def iter_events(
    response: Any, *, strict_content_type: bool = False, max_event_bytes: int = MAX_BYTES
) -> EventsOfResponse:
    """Read the events of an open response that is read without `await`.

    Args:
        response: of httpx or httpx2 (`client.stream`), requests (`stream=True`) or urllib3
            (`preload_content=False`).
        strict_content_type: insist on text/event-stream; else text/plain and no type at all are
            read, too, as some servers label their streams.
        max_event_bytes: the limit of one event.

    Raises:
        StatusError: the status is not 200.
        ContentTypeError: the content type is that of no stream; if it is JSON that holds an error,
            the message is the service's own.
        FrameTypeError: it is no response, or an asynchronous one.
        EventTooLarge: while iterating; so is what the library raises when the body is cut, and
            ContentEncodingError for a body that cannot be decompressed.
    """
    chunks, decoder = _opened(response, strict_content_type, max_event_bytes)
    if chunks.is_async:
        raise FrameTypeError(f"{type(response).__name__} is asynchronous: use aiter_events")
    events = EventsOfResponse(chunks, decoder)
    if isinstance(decoder, RefusedJSON):
        next(events)
    return events


def aiter_events(
    response: Any, *, strict_content_type: bool = False, max_event_bytes: int = MAX_BYTES
) -> AsyncEventsOfResponse:
    """Read the events of an open response of an `AsyncClient` of httpx or httpx2, or of aiohttp.

    Arguments and errors are those of `iter_events`; an answer of JSON raises at the first step. A
    response that blocks is taken too, and read in a thread of its own.
    """
    return AsyncEventsOfResponse(*_opened(response, strict_content_type, max_event_bytes))


class _Frames:
    """A decoder with the face that readers ask for."""

    def __init__(self, limit: int) -> None:
        decoder = SSEDecoder(max_event_bytes=limit)
        self.feed = decoder.feed

    def close(self) -> list[Any]:
        """Nothing is dispatched at the end of a stream."""
        return []


class RefusedJSON:
    """Stands for a decoder: reads an answer of JSON and raises what it says.

    Args:
        status, content_type: of the answer.

    Raises:
        ContentTypeError: from `feed` or `close`, with the service's own message, if there is one.
    """

    def __init__(self, status: int, content_type: str) -> None:
        self._status, self._type = status, content_type
        self._body = b""
        self._until = time.monotonic() + _LONGEST_TIME

    def feed(self, data: bytes) -> list[Any]:
        """Take a chunk; raise if it is enough."""
        self._body += data
        enough = len(self._body) > _LONGEST_JSON or time.monotonic() > self._until
        return self.close() if enough else []

    def close(self) -> list[Any]:
        """Raise: the answer is no stream."""
        raise _wrong_type(self._status, self._type, self._body)


def _wrong_type(
    status: int, kind: str, body: bytes = b"", format: str = "sse"
) -> ContentTypeError:
    said = error_message(body)
    told = f"the answer is {kind or 'of no type'}, not {MEDIA_TYPES[format]}"
    return ContentTypeError(
        f"{told}: {said}" if said else told,
        status=status, content_type=kind, body=body[:2048], body_size=len(body),
    )  # fmt: skip


def answer_of(response: Any) -> tuple[int, str] | None:
    """Return the status and the content type of a response, None for what is none."""
    values = (getattr(response, name, None) for name in ("status_code", "status"))
    status = next((value for value in values if type(value) is int), None)
    headers = getattr(response, "headers", None)
    if status is None or headers is None:
        return None
    return status, headers.get("content-type") or headers.get("Content-Type") or ""


def refused_type(source: Any, format: str, strict: bool) -> RefusedJSON | None:
    """Return what reads and refuses a response of JSON; None: its type, if any, is in order.

    Raises:
        ContentTypeError: `strict`, and the type is not that of the format.
    """
    answer = answer_of(source)
    if answer is None:
        return None
    status, kind = answer
    if format == "sse" and is_json(kind):
        return RefusedJSON(status, kind)
    types = NDJSON_TYPES if format == "ndjson" else (MEDIA_TYPES["sse"],)
    if strict and media_type(kind) not in types:
        raise _wrong_type(status, kind, format=format)
    return None


def _opened(response: Any, strict: bool, limit: int) -> tuple[Chunks, _Frames | RefusedJSON]:
    """Return the chunks and the decoder of a response, or raise why it is not read."""
    answer = answer_of(response)
    if answer is None:
        raise FrameTypeError(
            f"response must have a status and headers, as {type(response).__name__} has not"
        )
    status, kind = answer
    if status != 200:
        told = f"HTTP {status}, {kind or 'of no type'}"
        raise StatusError(told, status=status, content_type=kind)
    if is_json(kind):
        return Chunks(response), RefusedJSON(status, kind)
    if not is_event_stream(kind, strict):
        raise _wrong_type(status, kind)
    return Chunks(response), _Frames(limit)
