"""Responses with sse-starlette's arguments, behaviour and bytes: the module `sse_starlette.sse`.

The first bytes are the first item's, lines end in CRLF, pings come on the clock, and the next item
is asked for once the last was sent. A failure of the source is sent as an `error` event, then
leaves the response, as it does there. Runs on asyncio and trio, under any ASGI server.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
)
from typing import Any, Final, TypeAlias

try:
    import anyio
    from starlette.background import BackgroundTask
    from starlette.datastructures import MutableHeaders
    from starlette.responses import Response
    from starlette.types import Message, Receive, Scope, Send
except ImportError as error:
    raise ImportError(
        "gaistream.frameworks.sse_starlette needs starlette: pip install 'gaistream[starlette]'",
        name=error.name,
    ) from error

from ...asgi.client import Client, log_unread_body
from ...asgi.messages import ScopeApplication, StreamConnection, header, send_response
from ...errors import FrameError, FrameTypeError, StreamError, is_public, only_error
from ...http.answer import answer_failure, drain_response
from ...http.headers import SERVERS_OWN, HeaderLines, checked_headers
from ...http.settings import check_status
from ...loops import event_loop
from ...streaming.cleanup import CLEANUP_TIMEOUT
from ...streaming.open_streams import open_streams
from ._encoder import EventSourceEncoder, logger
from ._sources import Body, WithFeeder, body_iterator
from ._status import AppStatus
from ._stream import EventSourceStream, ignores
from .event import ServerSentEvent, ensure_bytes

__all__ = [
    "AppStatus",
    "AsyncContentStream",
    "Content",
    "ContentStream",
    "EventSourceResponse",
    "SendTimeoutError",
    "ServerSentEvent",
    "SyncContentStream",
    "ensure_bytes",
    "logger",
]

Content: TypeAlias = str | bytes | dict[Any, Any] | ServerSentEvent | Any
SyncContentStream: TypeAlias = Iterator[Content]
AsyncContentStream: TypeAlias = AsyncIterable[Content]
ContentStream: TypeAlias = AsyncContentStream | SyncContentStream | Iterable[Content]

_SEPARATORS: Final = (None, "\r\n", "\r", "\n")
# The original's methods that nothing calls here, of version 2 too.
_NOT_CALLED: Final = (
    "_listen_for_disconnect",
    "_listen_for_exit_signal",
    "_ping",
    "_stream_response",
    "listen_for_disconnect",
    "listen_for_exit_signal",
    "stream_response",
)


class SendTimeoutError(TimeoutError):
    """A send took longer than `send_timeout`."""


class EventSourceResponse(Response):
    """Server-Sent Events with the arguments, behaviour and bytes of sse-starlette's.

    Args:
        content: an async or sync iterable of str, dicts (the arguments of a ServerSentEvent),
            ServerSentEvent, bytes (complete frames), or anything else, which is sent as its
            `str()`.
        status_code: the status, unless the source fails before its first item.
        headers: more headers. `X-Accel-Buffering` and `Connection` stay as they are.
        media_type: the content type; None: the class's.
        background: runs after the response, unless that raises.
        ping: seconds between pings; None: 15; 0: no pings.
        sep: the line end, CRLF, CR or LF; None: CRLF. A ServerSentEvent has its own.
        ping_message_factory: returns the item of a ping.
        data_sender_callable: an async function that runs beside the source, and ends with it.
        send_timeout: seconds that one send may take before SendTimeoutError; 0 or None: unlimited.
        client_close_handler_callable: an async function, called with the ASGI message as soon as
            the client has gone, while the source is cancelled. The response waits for it, for
            `cleanup_timeout` at most.
        shutdown_event: an anyio.Event or the like; its `set()` is called when the stream is to
            end: at SIGTERM and SIGINT, `AppStatus.should_exit`, or `gaistream.drain`.
        shutdown_grace_period: seconds that the source then has to end by itself.
        cleanup_timeout: seconds that the source may take to end after its stream has, before it is
            cancelled again and left; None: unlimited.

    Raises:
        FrameError: a value that cannot be honoured (a ValueError; a wrong type is a TypeError).
    """

    DEFAULT_PING_INTERVAL = 15
    DEFAULT_SEPARATOR = "\r\n"
    DEFAULT_CLEANUP_TIMEOUT = CLEANUP_TIMEOUT
    media_type = "text/event-stream"

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Warn of methods that are called by the original only."""
        super().__init_subclass__(**keywords)
        if replaced := [name for name in _NOT_CALLED if name in vars(cls)]:
            message = (
                f"{cls.__qualname__} overrides {', '.join(replaced)}, which only sse-starlette"
                " calls: wrap __call__, body_iterator or ping_message_factory instead"
            )
            warnings.warn(message, RuntimeWarning, stacklevel=2)

    def __init__(
        self,
        content: ContentStream,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = "text/event-stream",
        background: BackgroundTask | None = None,
        ping: float | None = None,
        sep: str | None = None,
        ping_message_factory: Callable[[], Any] | None = None,
        data_sender_callable: Callable[[], Coroutine[Any, Any, Any]] | None = None,
        send_timeout: float | None = None,
        client_close_handler_callable: Callable[[Message], Awaitable[Any]] | None = None,
        shutdown_event: Any = None,
        shutdown_grace_period: float = 0,
        cleanup_timeout: float | None = DEFAULT_CLEANUP_TIMEOUT,
    ) -> None:
        if sep not in _SEPARATORS:
            raise FrameError(f"sep must be one of: \\r\\n, \\r, \\n, got: {sep!r}")
        if shutdown_event is not None and not callable(getattr(shutdown_event, "set", None)):
            kind = type(shutdown_event).__name__
            raise FrameTypeError(f"shutdown_event must have set(), {kind} has none")
        _check_seconds("shutdown_grace_period", shutdown_grace_period)
        for name, seconds in (("send_timeout", send_timeout), ("cleanup_timeout", cleanup_timeout)):
            if seconds is not None:
                _check_seconds(name, seconds)
        self.sep = sep or self.DEFAULT_SEPARATOR
        self.body_iterator = body_iterator(content)
        self.status_code = check_status(operator.index(status_code))  # accepts an HTTPStatus
        self.media_type = self.media_type if media_type is None else media_type
        self.background = background
        self.data_sender_callable = data_sender_callable
        self.send_timeout = send_timeout
        self.init_headers(_stream_headers(headers or {}))
        self.ping_interval = self.DEFAULT_PING_INTERVAL if ping is None else ping
        self.ping_message_factory = ping_message_factory
        self.client_close_handler_callable = client_close_handler_callable
        self._shutdown_event = shutdown_event
        self._shutdown_grace_period = shutdown_grace_period
        self._cleanup_timeout = cleanup_timeout
        self.active = True

    @property
    def ping_interval(self) -> float:
        """Seconds between pings; 0: no pings."""
        return self._ping_interval

    @ping_interval.setter
    def ping_interval(self, seconds: float) -> None:
        if not isinstance(seconds, int | float) or isinstance(seconds, bool):
            raise FrameTypeError("ping interval must be int or float")
        if not seconds >= 0:
            raise FrameError("ping interval must be >= 0 (0 disables ping)")
        self._ping_interval = seconds

    def enable_compression(self, force: bool = False) -> None:
        """Raise NotImplementedError, as sse-starlette does."""
        raise NotImplementedError("use a middleware for compression, such as GZipMiddleware")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, then run the background task.

        Raises:
            SendTimeoutError: a send took longer than `send_timeout`.
            OSError: raised by a send.
            Exception: raised by the source, after the client was told.
        """
        if scope["type"] == "websocket":
            receive, send = _deny_websocket(receive, send)
        stream = self._open_stream()
        if scope["type"] == "http" and scope["method"].upper() == "HEAD":
            try:
                await self._send_head(scope, send)
            finally:
                await stream.close()
                stream.release()
        else:
            await self._serve(stream, scope, receive, send)
        if self.background is not None:
            await self.background()

    def _open_stream(self) -> EventSourceStream:
        source: Any = Body(self.body_iterator)
        if self.data_sender_callable is not None:
            source = WithFeeder(source, self.data_sender_callable)
        return EventSourceStream(
            source,
            EventSourceEncoder(self.sep, self.ping_message_factory),
            ping=self._ping_interval,
            event=self._shutdown_event,
            grace=self._shutdown_grace_period,
            send_timeout=self.send_timeout or None,
            cleanup_timeout=self._cleanup_timeout,
        )

    async def _send_head(self, scope: Scope, send: Send) -> None:
        start = {"status": self.status_code, "headers": self._lines(scope)}
        for message in (
            {"type": "http.response.start", **start},
            {"type": "http.response.body", "body": b"", "more_body": False},
        ):
            with anyio.move_on_after(self.send_timeout or None) as block:
                await send(message)
            if block.cancelled_caught:
                raise SendTimeoutError(f"a send took longer than {self.send_timeout:g} seconds")

    def _lines(self, scope: Scope) -> HeaderLines:
        """Return the headers; those of HTTP/2 and later must not hold `Connection`."""
        if scope.get("http_version", "1.1").startswith("1"):
            return self.raw_headers
        return [line for line in self.raw_headers if line[0] != b"connection"]

    async def _serve(
        self, stream: EventSourceStream, scope: Scope, receive: Receive, send: Send
    ) -> None:
        client = Client(receive, has_body=True)
        self.active = True
        try:
            connection = await self._connect(stream, client, scope, send)
            if connection is not None:
                await stream.send_all(connection)
        except BaseException as raised:
            if stream.failure is not None and stream.failure is not raised:
                logger.error("the source of a stream failed", exc_info=stream.failure)
            stream.failure = None
            raise
        finally:
            self.active = False
            await self._close(stream, client)
        if client.discarded:
            log_unread_body(scope)
        error = self._error_of(stream)
        stream.release()
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback holds this frame

    async def _connect(
        self, stream: EventSourceStream, client: Client, scope: Scope, send: Send
    ) -> StreamConnection | None:
        """Start the stream and return its connection; None if the client got another answer.

        The client of a GET is watched from when its source first waits, see StreamResponse.
        """
        draining = open_streams().draining
        reason = (
            None if draining is None or ignores(draining) else open_streams().reason_to_refuse()
        )
        if reason is not None:
            stream.interrupt("drained")
            await self._refuse(reason, scope, send)
            return None
        watches_later = scope.get("method") == "GET"

        def client_left() -> None:
            self._client_left(stream)

        if not watches_later:
            client.watch(client_left)
        stream.answerable = True
        try:
            await stream.start()
        finally:
            stream.answerable = False
        if AppStatus.should_exit:
            stream.exit()
        if stream.failed_unsaid:
            await self._answer_failure(stream, scope, send)
            return None
        if watches_later and stream.is_open:
            client.watch(client_left)
        return StreamConnection(send, self.status_code, self._lines(scope))

    async def _refuse(self, reason: StreamError, scope: Scope, send: Send) -> None:
        with_headers = {"headers": [], **scope}
        response = drain_response(
            reason,
            dict(self.headers),
            method=scope.get("method", "GET"),
            format="sse",
            accept=header(with_headers, b"accept"),
        )
        await send_response(send, response)

    async def _answer_failure(self, stream: EventSourceStream, scope: Scope, send: Send) -> None:
        """Send a status for a failure before the first item; raise it if the app answers it.

        A StreamError was meant for the client, and is not raised any more.
        """
        assert stream.failure is not None
        stream.failure = only_error(stream.failure)  # as the application's handlers know it
        response = answer_failure(
            stream.failure,
            raised_by="source",
            log=stream.log_failure,
            headers=dict(self.headers),
            application=ScopeApplication(scope),
        )
        await send_response(send, response)
        if is_public(stream.failure):  # and so is no fault that a monitor must see
            stream.failure = None

    def _client_left(self, stream: EventSourceStream) -> None:
        logger.debug("Got event: http.disconnect. Stop streaming.")
        handler = self.client_close_handler_callable
        if handler is not None and stream.is_open:
            task = event_loop().create_task(_client_gone(handler), name="gaistream client gone")
            stream.close_after(task, "client_close_handler_callable")
        stream.interrupt("client_gone")

    async def _close(self, stream: EventSourceStream, client: Client) -> None:
        try:
            await stream.close()
            if not stream.outcome.source_closed:
                logger.warning(
                    "Body iterator cleanup cancelled after %s seconds", self._cleanup_timeout
                )
        finally:
            await client.close()

    def _error_of(self, stream: EventSourceStream) -> BaseException | None:
        if stream.send_error is not None:
            return stream.send_error
        if stream.outcome.kind == "stalled":
            return SendTimeoutError(f"a send took longer than {self.send_timeout:g} seconds")
        return None if stream.failure is None else only_error(stream.failure)


def _check_seconds(name: str, seconds: object) -> None:
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        raise FrameTypeError(f"{name} must be int or float, not {type(seconds).__name__}")
    if not seconds >= 0:
        raise FrameError(f"{name} must be >= 0, not {seconds!r}")


def _stream_headers(more: Mapping[str, str]) -> MutableHeaders:
    """Return the headers. Those that belong to the server are dropped, as there, not refused."""
    sendable = {k: value for k, value in more.items() if str(k).lower() not in SERVERS_OWN}
    headers = MutableHeaders(checked_headers(sendable))
    headers.setdefault("Cache-Control", "no-store")
    headers["Connection"] = "keep-alive"
    headers["X-Accel-Buffering"] = "no"
    return headers


def _deny_websocket(receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Return callables that answer a WebSocket's handshake by a response."""

    async def receive_http() -> Message:
        message = await receive()
        gone = message["type"] == "websocket.disconnect"
        return {"type": "http.disconnect" if gone else "http.request", "more_body": False}

    async def send_denial(message: Message) -> None:
        await send({**message, "type": "websocket." + message["type"]})

    return receive_http, send_denial


async def _client_gone(handler: Callable[[Message], Awaitable[Any]]) -> None:
    try:
        await handler({"type": "http.disconnect"})
    except Exception:
        logger.exception("client_close_handler_callable raised")
