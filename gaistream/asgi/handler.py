"""Handlers: a provider as an ASGI app. What they do is decided in gaistream.http.handler."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from functools import partial
from typing import Any, Unpack

from ..http.answer import PlainResponse
from ..http.handler import HandlerPolicy, OnReconnect, PrepareRequest, run_steps
from ..http.protocol_handler import ProtocolPolicy
from ..http.request import IncomingRequest, last_event_id
from ..http.settings import ProtocolSettings, ResponseSettings
from ..streaming.open_streams import open_streams
from ..writing.options import NDJSONOptions, SSEOptions
from .client import Client, ClientGone
from .messages import (
    Receive,
    Scope,
    ScopeApplication,
    Send,
    refuse_scope,
    request_headers,
    send_response,
)
from .response import RESPONSES, StreamResponse


class ProtocolHandlerSettings(ProtocolSettings, total=False):
    """The keywords of a protocol's handler on ASGI."""

    send_timeout: float | None


class _Settings(ProtocolHandlerSettings, ResponseSettings, total=False):
    pass


class _Handler:
    """A provider as an ASGI app."""

    def __init__(self, policy: HandlerPolicy) -> None:
        self._policy = policy
        self._continues = policy.settings.get("on_disconnect") == "continue"
        for format in policy.options:
            self._respond(format, (), None)  # raises what is wrong with the settings

    def _respond(self, format: str, source: Any, prepared: Any) -> StreamResponse:  # noqa: ARG002
        """Return the response that streams a provider's source."""
        policy = self._policy
        response = RESPONSES[format](source, policy.options[format], **policy.settings)
        response.stream_headers = policy.stream_headers[format]
        response.raised_by = "provider"
        return response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        if scope["type"] != "http":
            await refuse_scope(scope, receive, send)
            return
        method, path, headers = scope["method"], scope["path"], request_headers(scope)
        reason = open_streams().reason_to_refuse()
        decided = self._policy.decide(method, path, headers, reason)
        if isinstance(decided, PlainResponse):
            await send_response(send, decided)
            return
        client = Client(receive, has_body=method != "GET" or "content-length" in headers)
        query = scope.get("query_string", b"").decode("latin-1")
        request = IncomingRequest(method, path, query, headers, last_event_id(scope), client.body)
        opening = self._policy.open_stream(
            request,
            decided,
            partial(self._respond, decided),
            ScopeApplication(scope),
            client.despite_leave if self._continues else None,
        )
        try:
            response = await client.unless_gone(run_steps(opening, _result_of))
            if isinstance(response, PlainResponse):
                await send_response(send, response)
            else:
                await response(scope, receive, send, client=client)
        except ClientGone:
            return
        finally:
            await client.close()


def _handler(
    provider: Any,
    prepare_request: PrepareRequest,
    options: Mapping[str, Any],
    on_reconnect: OnReconnect,
    settings: Mapping[str, Any],
) -> _Handler:
    return _Handler(
        HandlerPolicy(provider, prepare_request, options, on_reconnect, settings, _Settings)
    )


class ProtocolHandler(_Handler):
    """A provider as an ASGI app that speaks a vendor's protocol."""

    _policy: ProtocolPolicy

    def _respond(self, format: str, source: Any, prepared: Any) -> StreamResponse:
        response: StreamResponse = self._policy.respond(RESPONSES, format, source, prepared)
        return response


async def _result_of(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def sse_handler(
    provider: Any,
    prepare_request: PrepareRequest,
    *,
    options: SSEOptions | None = None,
    on_reconnect: OnReconnect = "end",
    **settings: Unpack[_Settings],
) -> _Handler:
    """Make an ASGI app that streams a provider's answers as Server-Sent Events.

    Preflights and unknown methods are answered at once; HEAD (headers only) and a reconnect after
    `prepare_request`, without asking the provider. An exception of `prepare_request` becomes 400 (a
    ValueError), 500, or the status of a StreamError or HTTP exception; one of `stream_text` becomes
    502, or that status. An exception that the application around the handler has a handler for is
    raised to it.

    Args:
        provider: has `stream_text(request)`: an async generator, or a function or coroutine that
            returns a source.
        prepare_request: gets a gaistream.http.IncomingRequest and returns the argument of
            `stream_text` (a ChatRequest); sync or async.
        options: SSEOptions; by default with ids.
        on_reconnect: "end": a request with a Last-Event-ID gets 204, which ends an EventSource's
            reconnecting, so that nothing is paid twice; "rerun": it is served anew.
        settings: dialect, headers, cors, send_timeout, cleanup_timeout, source_timeout,
            hold_headers, on_close, on_disconnect, continue_seconds, continue_bytes, collect,
            media_type, incremental: see SSEResponse. With on_disconnect="continue" the provider is
            also waited for if the client leaves before the stream begins.
    """
    formats = {"sse": options}
    return _handler(provider, prepare_request, formats, on_reconnect, settings)


def ndjson_handler(
    provider: Any,
    prepare_request: PrepareRequest,
    *,
    options: NDJSONOptions | None = None,
    **settings: Unpack[_Settings],
) -> _Handler:
    """Make an ASGI app that streams a provider's answers as NDJSON; otherwise as sse_handler."""
    return _handler(provider, prepare_request, {"ndjson": options}, "rerun", settings)


def event_handler(
    provider: Any,
    prepare_request: PrepareRequest,
    *,
    sse_options: SSEOptions | None = None,
    ndjson_options: NDJSONOptions | None = None,
    on_reconnect: OnReconnect = "end",
    **settings: Unpack[_Settings],
) -> _Handler:
    """Make an ASGI app that streams in the format that a request wants; otherwise as sse_handler.

    A path that ends in `sse` or `ndjson` decides, else `Accept`; SSE wins ties.
    """
    formats = {"sse": sse_options, "ndjson": ndjson_options}
    return _handler(provider, prepare_request, formats, on_reconnect, settings)
