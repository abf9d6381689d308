"""Responses for Starlette and FastAPI: gaistream.asgi's, as `Response` subclasses.

They may be returned from an endpoint, stand as FastAPI's return annotation, and be its
`response_class` for an endpoint that yields. Status, headers and cookies may be changed until the
response is sent, and there is no Content-Length. A background task runs after the stream,
whatever its outcome. The life of a stream is gaistream.asgi's, in every respect: see there.

GZipMiddleware lets SSE through from Starlette 0.46 on and flushes NDJSON from 1.5 on at the latest;
before, the header `Content-Encoding: identity` keeps it from holding a stream back.

`EventSourceResponse`, `ServerSentEvent` and `JSONServerSentEvent` stand in for sse-starlette's
(3.7): change the import. What stays the same and what is different, one by one, is in the handbook,
migration.md.
"""

from __future__ import annotations

import operator
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, Never, TypeVar

try:
    import anyio
    from starlette.background import BackgroundTask
    from starlette.datastructures import MutableHeaders
    from starlette.responses import Response
    from starlette.types import Message, Receive, Scope, Send
except ImportError as error:
    raise ImportError(
        "gaistream.frameworks.starlette needs starlette: pip install 'gaistream[starlette]'",
        name=error.name,
    ) from error

from .. import asgi, http
from ..asgi.response import StreamResponse
from ..chat import Source
from ..dialects import DialectName
from ..errors import FrameError, FrameTypeError
from ..http.cors import CORSLike
from ..http.headers import SERVERS_OWN, checked_headers
from ..http.settings import check_keywords, check_status
from ..loops.sources import open_source
from ..streaming.stream import CLEANUP_TIMEOUT, Outcome
from ..writing.options import NDJSONOptions, SSEOptions, check_seconds
from ._event_source import (
    EventSourceEncoder,
    Fed,
    JSONServerSentEvent,
    ServerSentEvent,
    ToldStream,
)

__all__ = [
    "EventSourceResponse",
    "JSONServerSentEvent",
    "NDJSONResponse",
    "SSEResponse",
    "ServerSentEvent",
]

App = Callable[[Scope, Receive, Send], Awaitable[None]]


class _Streamed(Response):
    """An ASGI app of gaistream.asgi under a Starlette response's status and headers."""

    _format = "sse"

    def _set(
        self,
        status_code: int,
        headers: Mapping[str, str] | None,
        background: BackgroundTask | None,
        media_type: str | None = None,
    ) -> None:
        """Set what Starlette's responses have."""
        self.status_code = check_status(operator.index(status_code))  # of an HTTPStatus too
        checked_headers(headers or {})
        self.background = background
        self._used = False
        given = [(name.lower(), value) for name, value in (headers or {}).items()]
        named = {name for name, _ in given}
        if media_type is not None:
            self.media_type = media_type
            given = [("content-type", media_type), *given] if "content-type" not in named else given
            named.add("content-type")
        own = [(name.lower(), value) for name, value in http.headers(self._format).items()]
        lines = [line for line in own if line[0] not in named] + given
        self.raw_headers = [(name.encode(), value.encode("latin-1")) for name, value in lines]

    _app: Callable[[], App]  # gives what serves the request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request; RuntimeError where it is not the first."""
        if self._used:
            raise RuntimeError("a response serves one request: make one for each")
        self._used = True

        async def send_with_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._put_head(message)
            await send(message)

        try:
            await self._app()(scope, receive, send_with_head)
        finally:
            if self.background is not None:
                with anyio.CancelScope(shield=True):  # a cancelled scope would cut it short
                    await self.background()

    def _put_head(self, message: Message) -> None:
        """Give a stream this status and these headers; an error in its place has its own."""
        found = MutableHeaders(raw=message["headers"])
        own = MutableHeaders(raw=list(self.raw_headers))
        if "content-length" in found:
            headers, more = found, own
        else:
            headers, more = own, found
            message["status"] = self.status_code
        for name, value in more.items():
            if name == "vary":
                headers.add_vary_header(value)
            elif name.startswith("access-control-"):
                headers.setdefault(name, value)
        message["headers"] = headers.raw


_Options = TypeVar("_Options", SSEOptions, NDJSONOptions)


class _Face(_Streamed, Generic[_Options]):
    """A response of gaistream.asgi as a Starlette response."""

    def __init__(
        self,
        content: Source,
        options: _Options | None = None,
        *,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
        dialect: DialectName = "gai",
        cors: CORSLike = None,
        send_timeout: float | None = 60,
        cleanup_timeout: float | None = CLEANUP_TIMEOUT,
        source_timeout: float | None = None,
        hold_headers: bool = False,
        on_close: Callable[[Outcome], Any] | None = None,
        **unknown: Never,
    ) -> None:
        if unknown:
            check_keywords(type(self), unknown, [self._format])
        self._set(status_code, headers, background)
        made: Any = asgi.SSEResponse if self._format == "sse" else asgi.NDJSONResponse
        self._response: App = made(
            content,
            options,
            dialect=dialect,
            cors=cors,
            send_timeout=send_timeout,
            cleanup_timeout=cleanup_timeout,
            source_timeout=source_timeout,
            hold_headers=hold_headers,
            on_close=on_close,
        )

    def _app(self) -> App:
        return self._response


class SSEResponse(_Face[SSEOptions]):
    """Server-Sent Events for a source.

    Args:
        content: an async or sync iterable of events (a sync one runs in a helper thread).
        options: SSEOptions, or None for the defaults.
        status_code: of the response, where the stream begins well.
        headers: more headers; they replace those of the same name.
        background: runs after the stream, however it ended.
        dialect: "gai"; "json": each item is one payload; "raw": each is a frame.
        cors: None: the app's policy stands; else as in gaistream.asgi.
        send_timeout: seconds that one send may take before the stream ends as stalled; 0 or
            None: any time.
        cleanup_timeout: seconds that the source may take to end once its stream is over (the client
            has gone, say), before it is cancelled again and left; None: any time.
        source_timeout: seconds that the source may be silent before the stream ends with
            `Error(code="timeout")`, or status 504 if nothing was sent; 0 or None: any time.
        hold_headers: wait for the first event with the headers.
        on_close: called (or awaited) with the Outcome when everything is closed.

    Raises:
        FrameError: an argument that could not be sent.
        EventError: a stream that is none.
    """

    media_type = "text/event-stream"


class NDJSONResponse(_Face[NDJSONOptions]):
    """Lines of JSON for a source; options are NDJSONOptions, everything else as SSEResponse."""

    media_type = "application/x-ndjson"
    _format = "ndjson"


class EventSourceResponse(_Streamed):
    """Server-Sent Events as sse-starlette takes them; the handbook tells the differences.

    Args:
        content: an async or sync iterable of str, dicts (the arguments of a ServerSentEvent),
            ServerSentEvent, bytes that are frames already, or anything else, as `str()` says it.
        status_code: of the response.
        headers: more headers; they replace those of the same name.
        media_type: of the response.
        background: runs after the stream, however it ended.
        ping: seconds of idleness before a ping; None: 15; 0: none.
        sep: taken and not used.
        ping_message_factory: gives the item that is a ping.
        data_sender_callable: an async callable that runs beside the source, and ends with it.
        send_timeout: seconds that one send may take; 0 or None: any time.
        client_close_handler_callable: an async callable, called with the ASGI message as soon as
            the client has gone, while the source is cancelled; the response waits for it, for
            `cleanup_timeout` at most.
        shutdown_event: its `set()` is called when the streams are drained, at SIGTERM and SIGINT
            (`gaistream.automatic_drain`) or by `gaistream.drain`: an anyio.Event or the like, which
            the source may look at.
        shutdown_grace_period: seconds from then on that the source has to end by itself; within
            the grace time of a DrainMiddleware, `drain_on_signals` or `drain`, if there is one.
        cleanup_timeout: seconds that the source may take to end once its stream is over, before it
            is cancelled again and left; None: any time.

    Raises:
        FrameError: a value that cannot be honoured (a ValueError; a wrong type is a TypeError).
    """

    DEFAULT_PING_INTERVAL = 15
    DEFAULT_SEPARATOR = "\n"
    DEFAULT_CLEANUP_TIMEOUT = CLEANUP_TIMEOUT
    media_type = "text/event-stream"

    def __init__(
        self,
        content: Source,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str = "text/event-stream",
        background: BackgroundTask | None = None,
        ping: float | None = None,
        sep: str | None = None,
        ping_message_factory: Callable[[], Any] | None = None,
        data_sender_callable: Callable[[], Awaitable[Any]] | None = None,
        send_timeout: float | None = 60,
        client_close_handler_callable: Callable[[Message], Awaitable[None]] | None = None,
        shutdown_event: Any = None,
        shutdown_grace_period: float = 0,
        cleanup_timeout: float | None = DEFAULT_CLEANUP_TIMEOUT,
    ) -> None:
        if sep not in (None, "\r\n", "\r", "\n"):
            raise FrameError(f"sep must be a line end, not {sep!r}")
        if shutdown_event is not None and not callable(getattr(shutdown_event, "set", None)):
            kind = type(shutdown_event).__name__
            raise FrameTypeError(f"shutdown_event must have set(), {kind} has none")
        given = shutdown_grace_period is not None
        check_seconds("shutdown_grace_period", shutdown_grace_period, optional=given)
        for name, seconds in (("send_timeout", send_timeout), ("cleanup_timeout", cleanup_timeout)):
            check_seconds(name, seconds, optional=True)
        own = {name: value for name, value in (headers or {}).items()
               if str(name).lower() not in SERVERS_OWN}  # sse-starlette overrides Connection too
        self._set(status_code, own, background, media_type)
        self.sep = sep or self.DEFAULT_SEPARATOR
        self.body_iterator = open_source(content)
        self.ping_interval = self.DEFAULT_PING_INTERVAL if ping is None else ping
        self.ping_message_factory = ping_message_factory
        self.data_sender_callable = data_sender_callable
        self.send_timeout = send_timeout
        self.client_close_handler_callable = client_close_handler_callable
        self._shutdown_event = shutdown_event
        self._shutdown_grace_period = shutdown_grace_period
        self._cleanup_timeout = cleanup_timeout

    @property
    def ping_interval(self) -> float:
        """Seconds of idleness before a ping; 0: none."""
        return self._ping_interval

    @ping_interval.setter
    def ping_interval(self, seconds: float) -> None:
        check_seconds("ping", seconds, optional=seconds is not None)
        self._ping_interval = seconds

    def enable_compression(self, force: bool = False) -> None:
        """Raise NotImplementedError, as sse-starlette does."""
        raise NotImplementedError("compression is the middleware's")

    def _app(self) -> App:
        source: Any = open_source(self.body_iterator)
        if self.data_sender_callable is not None:
            source = Fed(source, self.data_sender_callable)
        options = SSEOptions(heartbeat_interval=self._ping_interval)
        encoder = EventSourceEncoder(options, self.ping_message_factory)
        stream = ToldStream(
            source,
            encoder,
            send_timeout=self.send_timeout or None,
            cleanup_timeout=self._cleanup_timeout,
            on_gone=self.client_close_handler_callable,
            event=self._shutdown_event,
            grace=self._shutdown_grace_period,
        )
        return StreamResponse(stream, "sse", cors=None)
