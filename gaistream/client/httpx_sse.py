"""The names of httpx-sse: read Server-Sent Events with a client of httpx or httpx2.

Change `import httpx_sse` to `from gaistream.client import httpx_sse`. What you call, and what you
get, is as there; the lines are split by the core. Three answers are read otherwise, as the standard
has it: a byte order mark does not swallow the first line, a blank line without a field makes no
event after an id was seen (such as after a heartbeat), and a `retry` has digits only.

There is no reconnecting: `gaistream.client.connect_sse` does that.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..core import LineSplitter
from ..errors import EventTooLarge
from ..reading.reader import MAX_BYTES
from .http import http_library

if TYPE_CHECKING:
    from httpx import AsyncClient, Client, Response

__all__ = ["EventSource", "SSEError", "ServerSentEvent", "aconnect_sse", "connect_sse"]

http_library("gaistream.client.httpx_sse")  # raises if there is none
_LIBRARIES = [import_module(name) for name in ("httpx", "httpx2") if find_spec(name)]


class SSEError(*(each.TransportError for each in _LIBRARIES)):  # type: ignore[misc]
    """The response is no event stream. A TransportError of httpx and of httpx2."""


class ServerSentEvent:
    """One event.

    Args:
        event: its type; "message" if it has none.
        data: the lines of its data, joined by LF; "" if it has none.
        id: the last id of the stream; "" if it has none.
        retry: milliseconds until a reconnect; None if it says nothing.
    """

    __slots__ = ("data", "event", "id", "retry")

    def __init__(
        self,
        event: str | None = None,
        data: str | None = None,
        id: str | None = None,
        retry: int | None = None,
    ) -> None:
        self.event = event or "message"
        self.data = data or ""
        self.id = id or ""
        self.retry = retry

    def json(self) -> Any:
        """Return the data as JSON; raise json.JSONDecodeError if it is none."""
        return json.loads(self.data)

    def __repr__(self) -> str:
        pieces = [f"event={self.event!r}"]
        pieces += [
            f"{name}={getattr(self, name)!r}" for name in ("data", "id") if getattr(self, name)
        ]
        pieces += [] if self.retry is None else [f"retry={self.retry!r}"]
        return f"ServerSentEvent({', '.join(pieces)})"


class EventSource:
    """The events of an open response.

    Args:
        response: of httpx or httpx2.
    """

    def __init__(self, response: Response) -> None:
        self._response = response

    @property
    def response(self) -> Response:
        """The response."""
        return self._response

    def iter_sse(self) -> Iterator[ServerSentEvent]:
        """Read the events of a response of a `Client`.

        Raises:
            SSEError: the content type is not text/event-stream.
            EventTooLarge: an event exceeds 16 MiB.
            httpx.TransportError: the body was cut, …
        """
        decoder = self._decoder()
        for chunk in self._response.iter_bytes():
            yield from decoder.feed(chunk)

    async def aiter_sse(self) -> AsyncGenerator[ServerSentEvent, None]:
        """Read the events of a response of an `AsyncClient`; everything else as `iter_sse`."""
        decoder = self._decoder()
        chunks: Any = self._response.aiter_bytes()
        async with aclosing(chunks):
            async for chunk in chunks:
                for event in decoder.feed(chunk):
                    yield event

    def _decoder(self) -> _Decoder:
        content_type = self._response.headers.get("content-type", "").partition(";")[0]
        if "text/event-stream" not in content_type:
            raise SSEError(
                "Expected response header Content-Type to contain 'text/event-stream', "
                f"got {content_type!r}"
            )
        return _Decoder()


class _Decoder:
    """Events of httpx-sse, which may lack data, from chunks."""

    def __init__(self) -> None:
        self._split = LineSplitter(max_line_bytes=MAX_BYTES).feed
        self._is_first = True
        self._id = ""
        self._data: list[bytes] = []
        self._size = 0  # of the data
        self._event: str | None = None
        self._retry: int | None = None
        self._has_id = False

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Return the events that a chunk completes."""
        events = []
        data = self._data
        lines = self._split(chunk)
        if self._is_first and lines:
            self._is_first = False
            lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
        for line in lines:
            if not line:
                if data or self._event or self._has_id or self._retry is not None:
                    text = b"\n".join(data).decode("utf-8", "replace")
                    events.append(ServerSentEvent(self._event, text, self._id, self._retry))
                    data.clear()
                    self._size = 0
                    self._event = self._retry = None
                    self._has_id = False
            elif line.startswith(b"data:"):
                data.append(line[6:] if line.startswith(b" ", 5) else line[5:])
                self._size += len(line)
                if self._size > MAX_BYTES:
                    raise EventTooLarge(
                        "an event", "max_event_bytes", MAX_BYTES, self._size, events
                    )
            else:
                self._read(line)
        return events

    def _read(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
            self._has_id = bool(value)
        elif name == b"retry" and value.isdigit() and len(value) < 19:
            self._retry = int(value)
        elif name == b"data":  # without a colon
            self._data.append(b"")


@contextmanager
def connect_sse(client: Client, method: str, url: str, **kwargs: Any) -> Iterator[EventSource]:
    """Open a stream.

    Args:
        client: of httpx or httpx2.
        method, url: of the request.
        kwargs: of the client's `stream`, such as `headers`, `json` or `params`.
    """
    with client.stream(method, url, **_with_headers(client, kwargs)) as response:
        yield EventSource(response)


@asynccontextmanager
async def aconnect_sse(
    client: AsyncClient, method: str, url: str, **kwargs: Any
) -> AsyncIterator[EventSource]:
    """Open a stream with an `AsyncClient`; everything else as `connect_sse`."""
    async with client.stream(method, url, **_with_headers(client, kwargs)) as response:
        yield EventSource(response)


def _with_headers(client: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    headers = type(client.headers)(kwargs.pop("headers", None))
    headers["Accept"] = "text/event-stream"
    headers["Cache-Control"] = "no-store"
    return {**kwargs, "headers": headers}
