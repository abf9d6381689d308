"""Events of an open response of httpx, httpx2, aiohttp, requests or urllib3.

A response is recognised by its attributes: none of these packages is imported. It is closed when it
ends, when it fails and when the iterator is closed. There is no reconnecting: a body that is cut
raises the exception of its own library. `gaistream.client` reconnects and resumes.
"""

from __future__ import annotations

import time
from typing import Any

from ..core import ServerSentEvent, SSEDecoder
from ..errors import ContentTypeError, FrameTypeError, StatusError
from ..http.received import (
    MEDIA_TYPES,
    error_message,
    is_event_stream,
    is_json,
    media_type,
)
from .chunks import Chunks
from .reader import MAX_BYTES, AsyncReader, SyncReader

__all__ = [
    "EXCERPT_BYTES",
    "REFUSED_BYTES",
    "REFUSED_SECONDS",
    "AsyncEventsOfResponse",
    "EventsOfResponse",
    "aiter_events",
    "iter_events",
    "refusing_decoder",
    "type_mismatch",
]

EXCERPT_BYTES = 2048  # of a refused body that an error keeps
REFUSED_BYTES = 65_536  # of a refused body that are read, for its message and size
REFUSED_SECONDS = 5.0  # that this may take


class EventsOfResponse(SyncReader[ServerSentEvent]):
    """An iterator of `ServerSentEvent`, with `close()` and `with`."""


class AsyncEventsOfResponse(AsyncReader[ServerSentEvent]):
    """An async iterator of `ServerSentEvent`, with `aclose()` and `async with`."""


def iter_events(
    response: Any, *, strict_content_type: bool = False, max_event_bytes: int = MAX_BYTES
) -> EventsOfResponse:
    """Read the events of an open response of a blocking library.

    Args:
        response: of httpx or httpx2 (`client.stream`), requests (`stream=True`) or urllib3
            (`preload_content=False`).
        strict_content_type: accept text/event-stream only; otherwise also text/plain and no type,
            as some servers label their streams.
        max_event_bytes: the limit of one event, in bytes (16 MiB).

    Raises:
        StatusError: the status is not 200.
        ContentTypeError: the content type is not that of a stream; if the body is JSON with an
            error, the message is the service's own.
        FrameTypeError: `response` is not a response, or an asynchronous one.
        EventTooLarge: while iterating: an event beyond the limit.
        ContentEncodingError: while iterating: a body that cannot be decompressed.
        Exception: while iterating: whatever the library raises for a body that is cut.
    """
    chunks, decoder = _open(response, strict_content_type, max_event_bytes)
    if chunks.is_async:
        raise FrameTypeError(f"{type(response).__name__} is asynchronous: use aiter_events")
    events = EventsOfResponse(chunks, decoder)
    if isinstance(decoder, RefusingDecoder):
        next(events)  # raises
    return events


def aiter_events(
    response: Any, *, strict_content_type: bool = False, max_event_bytes: int = MAX_BYTES
) -> AsyncEventsOfResponse:
    """Read the events of an open response of an `AsyncClient` of httpx or httpx2, or of aiohttp.

    Arguments and errors are those of `iter_events`, but a JSON body raises at the first step. A
    blocking response is accepted too, and read in its own thread.
    """
    return AsyncEventsOfResponse(*_open(response, strict_content_type, max_event_bytes))


class _FrameDecoder:
    def __init__(self, max_event_bytes: int) -> None:
        self.feed = SSEDecoder(max_event_bytes=max_event_bytes).feed

    def close(self) -> list[Any]:
        return []


class RefusingDecoder:
    """Stands for the decoder of a JSON body: reads the body and raises its message.

    Args:
        status, content_type: of the response.
    """

    def __init__(self, status: int, content_type: str) -> None:
        self._status, self._type = status, content_type
        self._body = b""
        self._deadline = time.monotonic() + REFUSED_SECONDS

    def feed(self, data: bytes) -> list[Any]:
        """Take a chunk. Raise ContentTypeError if no more of the body is needed."""
        self._body += data
        enough = len(self._body) > REFUSED_BYTES or time.monotonic() > self._deadline
        return self.close() if enough else []

    def close(self) -> list[Any]:
        """Raise ContentTypeError, with the service's own message if the body has one."""
        raise _wrong_type(self._status, self._type, self._body)


def type_mismatch(content_type: str, format: str = "sse") -> str:
    """Return the message for a response whose type is not that of the format."""
    return f"the answer is {content_type or 'of no type'}, not {MEDIA_TYPES[format][0]}"


def _wrong_type(
    status: int, content_type: str, body: bytes = b"", format: str = "sse"
) -> ContentTypeError:
    message, mismatch = error_message(body), type_mismatch(content_type, format)
    return ContentTypeError(
        f"{mismatch}: {message}" if message else mismatch,
        status=status, content_type=content_type, body=body[:EXCERPT_BYTES], body_size=len(body),
    )  # fmt: skip


def _status_and_type(response: Any) -> tuple[int, str] | None:
    """Return the status and the content type of a response; None for anything else."""
    values = (getattr(response, name, None) for name in ("status_code", "status"))
    status = next((value for value in values if type(value) is int), None)
    headers = getattr(response, "headers", None)
    if status is None or headers is None:
        return None
    return status, headers.get("content-type") or headers.get("Content-Type") or ""


def refusing_decoder(source: Any, format: str, strict: bool) -> RefusingDecoder | None:
    """Return the decoder that refuses a JSON response to "sse"; None if the source can be read.

    Raises:
        ContentTypeError: `strict`, and the response's type is not that of the format.
    """
    head = _status_and_type(source)
    if head is None:
        return None
    status, content_type = head
    if format == "sse" and is_json(content_type):
        return RefusingDecoder(status, content_type)
    types = MEDIA_TYPES[format]
    if strict and media_type(content_type) not in types:
        raise _wrong_type(status, content_type, format=format)
    return None


def _open(
    response: Any, strict: bool, max_event_bytes: int
) -> tuple[Chunks, _FrameDecoder | RefusingDecoder]:
    """Return the chunks and the decoder of a response, or raise an error that refuses it."""
    head = _status_and_type(response)
    if head is None:
        raise FrameTypeError(
            f"response must have a status and headers; {type(response).__name__} has not"
        )
    status, content_type = head
    if status != 200:
        message = f"HTTP {status}, {content_type or 'of no type'}"
        raise StatusError(message, status=status, content_type=content_type)
    if is_json(content_type):
        return Chunks(response), RefusingDecoder(status, content_type)
    if not is_event_stream(content_type, strict):
        raise _wrong_type(status, content_type)
    return Chunks(response), _FrameDecoder(max_event_bytes)
