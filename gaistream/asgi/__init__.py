"""The engine on ASGI: responses for a source, handlers for a provider. No framework.

A response or handler is an ASGI app; what it does on the connection is in asgi_stream.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, Never, TypeVar, Unpack

from .. import http
from ..chat import Source
from ..dialects import DialectName
from ..errors import is_public, ungrouped
from ..http.handler import (
    Answer,
    CORSLike,
    Handling,
    OnReconnect,
    PrepareRequest,
    ResponseSettings,
    check_keywords,
)
from ..streaming.drain import check_drain, drain_on_signals, refusal
from ..streaming.server_signals import DEFAULT_GRACE
from ..streaming.stream import CLEANUP_TIMEOUT, Outcome, Stream
from ..writing.options import NDJSONOptions, SSEOptions, check_seconds, check_source_times
from ..writing.writer import NDJSONEncoder, SSEEncoder
from .client import Client, Gone, Receive, Scope, Send
from .response import (
    StreamApp,
    answered_by_application,
    faults_are_answered,
    refuse,
    send_answer,
)

__all__ = [
    "DrainMiddleware",
    "NDJSONResponse",
    "SSEResponse",
    "event_handler",
    "ndjson_handler",
    "sse_handler",
]

_Options = TypeVar("_Options", SSEOptions, NDJSONOptions)

_ENCODERS: Final[dict[str, Any]] = {"sse": SSEEncoder, "ndjson": NDJSONEncoder}


def _headers(scope: Scope) -> dict[str, str]:
    """Give the headers by their lower-case names; what came several times is joined."""
    found: dict[str, str] = {}
    for each, line in scope["headers"]:
        name, value = each.decode("latin-1").lower(), line.decode("latin-1")
        joint = "; " if name == "cookie" else ", "
        found[name] = f"{found[name]}{joint}{value}" if name in found else value
    return found


class _Response(StreamApp, Generic[_Options]):
    """A source as an ASGI app, for one request."""

    _format: str

    def __init__(
        self,
        stream: Source,
        options: _Options | None = None,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        dialect: DialectName = "gai",
        cors: CORSLike = "*",
        send_timeout: float | None = 60,
        cleanup_timeout: float | None = CLEANUP_TIMEOUT,
        source_timeout: float | None = None,
        hold_headers: bool = False,
        on_close: Callable[[Outcome], Any] | None = None,
        **unknown: Never,
    ) -> None:
        if unknown:
            check_keywords(type(self), unknown, [self._format])
        encoder = _ENCODERS[self._format](options, dialect=dialect)
        check_seconds("send_timeout", send_timeout, optional=True)
        check_source_times(cleanup_timeout, source_timeout)
        super().__init__(
            Stream(
                stream,
                encoder,
                send_timeout=send_timeout or None,
                cleanup_timeout=cleanup_timeout,
                source_timeout=source_timeout or None,
            ),
            self._format,
            status=status,
            headers=headers,
            dialect=dialect,
            cors=cors,
            hold_headers=hold_headers,
            on_close=on_close,
        )


class SSEResponse(_Response[SSEOptions]):
    """Server-Sent Events for a source, as an ASGI app: `await response(scope, receive, send)`.

    Headers and first bytes go out as soon as the source first suspends or yields; a source that
    fails before that is answered with a status and a JSON error.

    Args:
        stream: an async or sync iterable of events (a sync one runs in a helper thread).
        options: SSEOptions, or None for the defaults.
        status: of the response, where the stream begins well.
        headers: more headers; they replace those of the same name (Vary grows).
        dialect: "gai"; "json": each item is one payload; "raw": each is a frame.
        cors: "*", an origin, several origins, a gaistream.http.CORS, or None.
        send_timeout: seconds that one send may take before the stream ends as stalled; 0 or
            None: any time.
        cleanup_timeout: seconds that the source may take to end once its stream is over (the client
            has gone, say), before it is cancelled again and left; None: any time.
        source_timeout: seconds that the source may be silent before the stream ends with
            `Error(code="timeout")`, or status 504 if nothing was sent; 0 or None: any time.
        hold_headers: wait for the first event with the headers, so that a first failure that
            comes later gets a status too.
        on_close: called (or awaited) with the Outcome when everything is closed.

    Raises:
        FrameError: an argument that could not be sent.
        EventError: a stream that is none.
    """

    _format = "sse"


class NDJSONResponse(_Response[NDJSONOptions]):
    """Lines of JSON for a source, as an ASGI app; everything else as SSEResponse."""

    _format = "ndjson"


_RESPONSES: Final[dict[str, type[_Response[Any]]]] = {"sse": SSEResponse, "ndjson": NDJSONResponse}


class _Handler:
    """A provider as an ASGI app."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling
        handling.check_keywords(_Settings)
        for format_, options in handling.formats.items():
            _RESPONSES[format_]((), options, **handling.settings)  # what is wrong raises here

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        if scope["type"] != "http":
            await refuse(scope, receive, send)
            return
        handling = self._handling
        headers = _headers(scope)
        accept = headers.get("accept")
        format_ = handling.format_for(scope["path"], accept)
        origin = headers.get("origin")
        event_id = http.last_event_id(scope)
        method = scope["method"]
        answer = handling.early_answer(method, origin)
        if answer is None and (refused := refusal()) is not None:
            answer = handling.drain_answer(refused, method, format_, origin, accept)
        if answer is not None:
            await send_answer(send, answer)
            return
        client = Client(receive, has_body=method != "GET" or "content-length" in headers)
        request = http.IncomingRequest(
            method,
            scope["path"],
            scope.get("query_string", b"").decode("latin-1"),
            headers,
            event_id,
            client.body,
        )
        try:
            response = await client.unless_gone(self._respond(scope, request, format_, origin))
            await response(scope, receive, send, client=client)
        except Gone:
            return
        finally:
            await client.close()

    async def _respond(
        self, scope: Scope, request: http.IncomingRequest, format_: str, origin: str | None
    ) -> _Response[Any] | _Whole:
        """Return the response: the provider's stream, or an answer that is none.

        What the application around this app answers itself is raised.
        """
        handling = self._handling
        preparing = True
        try:
            prepared = handling.prepare(request)
            if inspect.isawaitable(prepared):
                prepared = await prepared
            preparing = False
            answer = handling.prepared_answer(
                request.method, format_, origin, request.last_event_id
            )
            if answer is not None:
                return _Whole(answer)
            source = handling.provider.stream_text(prepared)
            if inspect.isawaitable(source):
                source = await source
            made = _RESPONSES[format_](source, handling.formats[format_], **handling.settings)
            made.own_source = False
            return made
        except Exception as error:
            failure = ungrouped(error)
        try:
            if answered_by_application(scope, failure):
                raise failure
            answer = handling.refusal(
                failure, preparing=preparing, method=request.method, origin=origin
            )
            if answer.status == 500 and not is_public(failure) and faults_are_answered(scope):
                raise failure
        finally:
            del failure  # its traceback holds this frame
        return _Whole(answer)


class _Whole:
    """A whole answer in the place of a stream."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send, **_: Client) -> None:
        del scope, receive
        await send_answer(send, self._answer)


class _Settings(ResponseSettings, total=False):
    send_timeout: float | None


def sse_handler(
    provider: Any,
    prepare_request: PrepareRequest,
    *,
    options: SSEOptions | None = None,
    on_reconnect: OnReconnect = "end",
    **settings: Unpack[_Settings],
) -> _Handler:
    """Make an ASGI app that streams a provider's answers as Server-Sent Events.

    Preflights and wrong methods are answered at once; HEAD (headers only) and a reconnect after
    `prepare_request`, without asking the provider. What `prepare_request` raises becomes 400 (a
    ValueError), 500, or the status of a StreamError or HTTP exception; what `stream_text` raises
    502, or that. What the application around it has an exception handler for is raised to it.

    Args:
        provider: has `stream_text(request)`: an async generator, or a function or coroutine that
            gives a source.
        prepare_request: gets a gaistream.http.IncomingRequest and gives what `stream_text` takes
            (a ChatRequest); sync or async.
        options: SSEOptions; by default with ids.
        on_reconnect: "end": a request with a Last-Event-ID gets 204, which ends an EventSource's
            reconnecting, so that nothing is paid twice; "rerun": it is served anew.
        settings: dialect, headers, cors, send_timeout, cleanup_timeout, source_timeout,
            hold_headers, on_close: see SSEResponse.
    """
    return _Handler(
        Handling(provider, prepare_request, {"sse": options}, on_reconnect, settings)
    )


def ndjson_handler(
    provider: Any,
    prepare_request: PrepareRequest,
    *,
    options: NDJSONOptions | None = None,
    **settings: Unpack[_Settings],
) -> _Handler:
    """Make an ASGI app that streams a provider's answers as NDJSON; else as sse_handler."""
    return _Handler(Handling(provider, prepare_request, {"ndjson": options}, "rerun", settings))


def event_handler(
    provider: Any,
    prepare_request: PrepareRequest,
    *,
    sse_options: SSEOptions | None = None,
    ndjson_options: NDJSONOptions | None = None,
    on_reconnect: OnReconnect = "end",
    **settings: Unpack[_Settings],
) -> _Handler:
    """Make an ASGI app that streams as the request wants it; else as sse_handler.

    A path that ends in `sse` or `ndjson` decides, else `Accept`; SSE wins ties.
    """
    formats = {"sse": sse_options, "ndjson": ndjson_options}
    return _Handler(Handling(provider, prepare_request, formats, on_reconnect, settings))


class DrainMiddleware:
    """An ASGI app around another that drains its streams when the server gets SIGTERM or SIGINT.

    It takes the place of `gaistream.automatic_drain`, which does that with nothing configured: with
    its own grace time, at SIGINT too, and with a hint when to reconnect. It acts while the lifespan
    lasts, see `gaistream.drain_on_signals`; requests pass untouched. The server has to run the
    lifespan protocol.

    Args:
        app: the application.
        grace: seconds, as `gaistream.drain` takes them.
        retry_ms: milliseconds, as `gaistream.drain` takes them.
    """

    def __init__(
        self, app: Any, grace: float = DEFAULT_GRACE, *, retry_ms: int | None = None
    ) -> None:
        check_drain(grace, retry_ms)
        self._app = app
        self._grace = grace
        self._retry_ms = retry_ms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; watch the signals during the lifespan."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        with drain_on_signals(self._grace, retry_ms=self._retry_ms):
            await self._app(scope, receive, send)
