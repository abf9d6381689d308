"""A response that is open already, of httpx, aiohttp, requests or urllib3, read as events.

Known by what it can do: none of these packages is imported. The response is closed when it is used
up, when it fails and when the iterator is closed. There is no reconnecting: a body that is cut
raises what its own library raises. For that, and for resuming, there is `gaistream.client`.
"""

from __future__ import annotations

from typing import Any

from ._backend import ServerSentEvent, SSEDecoder
from .chunks import Chunks
from .errors import ContentTypeError, FrameTypeError, StatusError
from .http import MEDIA_TYPES, media_type
from .ndjson_reader import MAX_BYTES, AsyncReader, SyncReader

__all__ = ["AsyncEventsOfResponse", "EventsOfResponse", "aiter_events", "iter_events"]


class EventsOfResponse(SyncReader[ServerSentEvent]):
    """An iterator of `ServerSentEvent`, with `close()` and `with`."""


class AsyncEventsOfResponse(AsyncReader[ServerSentEvent]):
    """An async iterator of `ServerSentEvent`, with `aclose()` and `async with`."""


def iter_events(response: Any, *, max_event_bytes: int = MAX_BYTES) -> EventsOfResponse:
    """Read the events of an open response that is read without `await`.

    Args:
        response: of httpx (`client.stream`), requests (`stream=True`) or urllib3
            (`preload_content=False`).
        max_event_bytes: the limit of one event.

    Raises:
        StatusError: the status is not 200.
        ContentTypeError: the content type is not text/event-stream.
        FrameTypeError: it is no response, or an asynchronous one.
        EventTooLarge: while iterating; so is what the library raises when the body is cut.
    """
    chunks = _checked(response)
    if chunks.is_async:
        raise FrameTypeError(f"{type(response).__name__} is asynchronous: use aiter_events")
    return EventsOfResponse(chunks, _Frames(max_event_bytes))


def aiter_events(response: Any, *, max_event_bytes: int = MAX_BYTES) -> AsyncEventsOfResponse:
    """Read the events of an open response of `httpx.AsyncClient` or aiohttp.

    Arguments and errors are those of `iter_events`. A response that blocks is taken too, and read
    in a thread of its own.
    """
    return AsyncEventsOfResponse(_checked(response), _Frames(max_event_bytes))


class _Frames:
    """A decoder with the face that readers ask for."""

    def __init__(self, limit: int) -> None:
        decoder = SSEDecoder(max_event_bytes=limit)
        self.feed = decoder.feed

    def close(self) -> list[Any]:
        """Nothing is dispatched at the end of a stream."""
        return []


def _checked(response: Any) -> Chunks:
    status = next(
        (
            value
            for name in ("status_code", "status")
            if type(value := getattr(response, name, None)) is int
        ),
        None,
    )
    headers = getattr(response, "headers", None)
    if status is None or headers is None:
        raise FrameTypeError(
            f"response must have a status and headers, as {type(response).__name__} has not"
        )
    kind = headers.get("content-type") or headers.get("Content-Type") or ""
    if status != 200:
        told = f"HTTP {status}, {kind or 'of no type'}"
        raise StatusError(told, status=status, content_type=kind)
    if media_type(kind) != MEDIA_TYPES["sse"]:
        told = f"the answer is {kind or 'of no type'}, not text/event-stream"
        raise ContentTypeError(told, status=status, content_type=kind)
    return Chunks(response)
