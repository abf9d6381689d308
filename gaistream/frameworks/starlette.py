"""The responses of gaistream.asgi as Starlette `Response`s, for Starlette and FastAPI.

An endpoint may return them, name them as FastAPI's return annotation, or, if it yields, as its
`response_class`. Status, headers and cookies may be changed until the response is sent; there is
no Content-Length. A background task runs after the stream, whatever its outcome. Everything else is
as in gaistream.asgi.

GZipMiddleware passes SSE unchanged from Starlette 0.46 on, and flushes NDJSON from 1.5 on at the
latest. For older versions, the header `Content-Encoding: identity` keeps it from delaying a stream.

`EventSourceResponse`, `ServerSentEvent` and `JSONServerSentEvent` are those of
gaistream.frameworks.sse_starlette, which replace sse-starlette's: change the import.
"""

from __future__ import annotations

import operator
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Never, TypeVar, Unpack

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
from ..chat import Source
from ..dialects import AnyDialect
from ..http.cors import CORSLike
from ..http.headers import checked_headers, encode_headers, merge_headers
from ..http.settings import SEND_TIMEOUT, KeptSettings, check_keywords, check_status
from ..streaming.cleanup import CLEANUP_TIMEOUT
from ..streaming.disconnects import CONTINUE_BYTES, CONTINUE_SECONDS, OnDisconnect
from ..streaming.outcome import Outcome
from ..writing.options import NDJSONOptions, SSEOptions
from .sse_starlette import EventSourceResponse, JSONServerSentEvent, ServerSentEvent

if TYPE_CHECKING:
    from ..http.resumption import Authorize
    from ..replay import EventLog

__all__ = [
    "EventSourceResponse",
    "JSONServerSentEvent",
    "NDJSONResponse",
    "ResumableResponse",
    "SSEResponse",
    "ServerSentEvent",
]

App = Callable[[Scope, Receive, Send], Awaitable[None]]


class _Streamed(Response):
    """An ASGI app of gaistream.asgi with the status and headers of a Starlette response."""

    _format = "sse"

    def _set(
        self,
        status_code: int,
        headers: Mapping[str, str] | None,
        background: BackgroundTask | None,
        media_type: str | None = None,
        dialect: AnyDialect = "gai",
        incremental: bool = False,
    ) -> None:
        """Set the attributes of a Starlette response."""
        self.status_code = check_status(operator.index(status_code))  # accepts an HTTPStatus
        self.background = background
        self._used = False
        values = http.headers(
            self._format, dialect=dialect, media_type=media_type, incremental=incremental
        )
        self.media_type = values["Content-Type"]
        self.raw_headers = encode_headers(merge_headers(values, checked_headers(headers or {})))

    def _app(self) -> App:
        """Return the ASGI app that serves the request."""
        raise NotImplementedError

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; raise RuntimeError for a second one."""
        if self._used:
            raise RuntimeError("a response serves one request: make one for each")
        self._used = True

        def send_with_head(message: Message) -> Awaitable[None]:  # a coroutine would cost time
            if message["type"] == "http.response.start":
                self._put_head(message)
            return send(message)

        try:
            await self._app()(scope, receive, send_with_head)
        finally:
            if self.background is not None:
                with anyio.CancelScope(shield=True):  # it runs in a cancelled request too
                    await self.background()

    def _put_head(self, message: Message) -> None:
        """Merge this status and these headers into those of the app.

        A stream takes this status. A plain response, such as an error, keeps its own.
        """
        theirs = MutableHeaders(raw=message["headers"])
        ours = MutableHeaders(raw=list(self.raw_headers))
        if "content-length" in theirs or message["status"] == 204:
            headers, more = theirs, ours
        else:
            headers, more = ours, theirs
            message["status"] = self.status_code
        for name, value in more.items():
            if name == "vary":
                headers.add_vary_header(value)
            elif name.startswith(("access-control-", "gaistream-")):
                headers.setdefault(name, value)
        message["headers"] = headers.raw


_Options = TypeVar("_Options", SSEOptions, NDJSONOptions)


class _SourceResponse(_Streamed, Generic[_Options]):
    """A response of gaistream.asgi as a Starlette response."""

    _response_type: ClassVar[type[Any]] = asgi.SSEResponse

    def __init__(
        self,
        content: Source,
        options: _Options | None = None,
        *,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
        dialect: AnyDialect = "gai",
        cors: CORSLike = None,
        send_timeout: float | None = 60,
        cleanup_timeout: float | None = CLEANUP_TIMEOUT,
        source_timeout: float | None = None,
        hold_headers: bool = False,
        on_close: Callable[[Outcome], Any] | None = None,
        on_disconnect: OnDisconnect = "close",
        continue_seconds: float = CONTINUE_SECONDS,
        continue_bytes: int = CONTINUE_BYTES,
        collect: bool = False,
        media_type: str | None = None,
        incremental: bool = False,
        **unknown: Never,
    ) -> None:
        if unknown:
            check_keywords(type(self), unknown, [self._format])
        self._set(status_code, headers, background, media_type, dialect, incremental)
        self._response: App = self._response_type(
            content,
            options,
            dialect=dialect,
            cors=cors,
            send_timeout=send_timeout,
            cleanup_timeout=cleanup_timeout,
            source_timeout=source_timeout,
            hold_headers=hold_headers,
            on_close=on_close,
            on_disconnect=on_disconnect,
            continue_seconds=continue_seconds,
            continue_bytes=continue_bytes,
            collect=collect,
        )

    def _app(self) -> App:
        return self._response


class SSEResponse(_SourceResponse[SSEOptions]):
    """Server-Sent Events for a source.

    Args:
        content: an async or sync iterable of events (a sync one runs in a helper thread).
        options: SSEOptions; None: the defaults.
        status_code: the status, unless the source fails before its first event.
        headers: more headers; they replace those of the same name.
        background: runs after the stream, whatever its outcome.
        dialect: "gai"; "json": each item is a payload; "raw": each is a frame; or a Dialect.
        cors: None: the app's own policy; otherwise as in gaistream.asgi.
        send_timeout: seconds that one send may take before the stream ends as stalled; 0 or
            None: unlimited.
        cleanup_timeout: seconds that the source may take to end after its stream has (the client
            has gone, for example) before it is cancelled again and left; None: unlimited.
        source_timeout: seconds without an item of the source after which the stream ends with
            `Error(code="timeout")`, or status 504 if nothing was sent; 0 or None: unlimited.
        hold_headers: True: send the headers with the first event.
        on_close: called with the Outcome after everything is closed; awaited if it is async.
        on_disconnect: "close": when the client leaves, the source is closed. "continue": it is read
            to its end, also if a send stalls or the server cancels the request, but not beyond the
            grace time of a drain. Then `on_close` gets the answer as `Outcome.message`. The request
            lasts that long, unless it is cancelled.
        continue_seconds: how long a source may go on without its client before it is closed.
        continue_bytes: how many bytes it may then yield, by an estimate of their memory.
        collect: True to give `on_close` the message, as far as it came, with "close" too.
        media_type: the Content-Type; None: the dialect's, else the format's.
        incremental: True: send `Incremental: ?1`; see gaistream.asgi.SSEResponse.

    Raises:
        FrameError: an argument that cannot be sent or kept to.
        EventError: `content` is not iterable.
    """

    media_type = "text/event-stream"


class NDJSONResponse(_SourceResponse[NDJSONOptions]):
    """Lines of JSON for a source: `options` are NDJSONOptions, everything else as SSEResponse."""

    media_type = "application/x-ndjson"
    _format = "ndjson"
    _response_type = asgi.NDJSONResponse


class ResumableResponse(_Streamed):
    """A stream that is kept in a log, and resumed by its id: gaistream.asgi.resumable.

    Args:
        log, stream_id, source, authorize: see gaistream.asgi.resumable.
        status_code, headers, background: as of SSEResponse. The background task runs after the
            request, which lasts as long as the source if it has begun it.
        settings: the other keywords of gaistream.asgi.resumable; `cors` is the app's own policy.

    Attributes:
        stream_id: of the stream.
    """

    def __init__(
        self,
        log: EventLog,
        stream_id: str | None,
        source: Source | Callable[[], Source] | None,
        *,
        authorize: Authorize | None,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
        send_timeout: float | None = SEND_TIMEOUT,
        **settings: Unpack[KeptSettings],
    ) -> None:
        settings.setdefault("cors", None)
        self._format = settings.get("format", "sse")
        self._response = asgi.resumable(
            log, stream_id, source, authorize=authorize, send_timeout=send_timeout, **settings
        )
        self.stream_id = self._response.stream_id
        dialect, incremental = settings.get("dialect", "gai"), settings.get("incremental", False)
        media_type = settings.get("media_type")
        self._set(status_code, headers, background, media_type, dialect, incremental)

    def _app(self) -> App:
        return self._response
