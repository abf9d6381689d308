"""Handlers: a provider as a WSGI app. What they do is decided in gaistream.http.handler."""

from __future__ import annotations

from collections.abc import Awaitable, Generator, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar, Unpack

from ..dialects import AnyDialect
from ..http.answer import PlainResponse
from ..http.handler import HandlerPolicy, OnReconnect, PrepareRequest, run_steps
from ..http.protocol_handler import ProtocolPolicy
from ..http.request import IncomingRequest, last_event_id
from ..http.settings import ProtocolSettings, ResponseSettings
from ..loops.greenlets import Runner, new_runner
from ..streaming import thread_streams
from ..writing.options import NDJSONOptions, SSEOptions
from .environ import (
    Environ,
    StartResponse,
    read_body,
    request_headers,
    request_path,
    send_response,
)
from .response import RESPONSES, SourceResponse, resolve

_T = TypeVar("_T")


class _ProtocolSettings(ProtocolSettings, total=False):
    helper_thread: bool


class _Settings(_ProtocolSettings, ResponseSettings, total=False):
    pass


class _Handler:
    """A provider as a WSGI app."""

    def __init__(self, policy: HandlerPolicy) -> None:
        self._policy = policy
        for format in policy.options:
            self._respond(format, None, (), None)  # raises what is wrong with the settings

    def _respond(
        self,
        format: str,
        runner: Runner | None,
        source: Any,
        prepared: Any,  # noqa: ARG002
    ) -> SourceResponse[Any]:
        """Return the response that streams a provider's source."""
        policy = self._policy
        options = policy.options[format]
        response = RESPONSES[format](source, options, **policy.settings, _runner=runner)
        response.stream_headers = policy.stream_headers[format]
        response.raised_by = "provider"
        return response

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer the request."""
        method, path = environ["REQUEST_METHOD"], request_path(environ)
        headers = request_headers(environ)
        reason = thread_streams.in_threads.reason_to_refuse()
        decided = self._policy.decide(method, path, headers, reason)
        if isinstance(decided, PlainResponse):
            return send_response(start_response, decided)
        query = environ.get("QUERY_STRING", "")
        request = IncomingRequest(
            method, path, query, headers, last_event_id(environ), partial(read_body, environ)
        )
        runner = new_runner()  # one loop for every awaitable, the source's included
        respond = partial(self._respond, decided, runner)
        try:
            response = _run_now(self._policy.open_stream(request, decided, respond), runner)
        except BaseException:
            runner.close()
            raise
        if isinstance(response, PlainResponse):
            runner.close()
            return send_response(start_response, response)
        return response(environ, start_response)


class _ProtocolHandler(_Handler):
    """A provider as a WSGI app that speaks a vendor's protocol."""

    _policy: ProtocolPolicy

    def _respond(
        self, format: str, runner: Runner | None, source: Any, prepared: Any
    ) -> SourceResponse[Any]:
        response: SourceResponse[Any] = self._policy.respond(
            RESPONSES, format, source, prepared, _runner=runner
        )
        return response


def _run_now(steps: Generator[Awaitable[Any], Any, _T], runner: Runner) -> _T:
    """Run the steps in this thread, and their awaitables on the runner's loop."""

    async def result_of(awaitable: Awaitable[Any]) -> Any:
        return resolve(awaitable, runner)

    try:
        run_steps(steps, result_of).send(None)  # which never has to wait
    except StopIteration as stop:
        value: _T = stop.value
        return value
    raise AssertionError("a step was not resolved")


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


def sse_handler(
    provider: Any,
    prepare_request: PrepareRequest,
    *,
    options: SSEOptions | None = None,
    on_reconnect: OnReconnect = "end",
    **settings: Unpack[_Settings],
) -> _Handler:
    """Make a WSGI app that streams a provider's answers; see gaistream.asgi.sse_handler.

    Args:
        provider: has `stream_text(request)`, which may return a sync or async source.
        prepare_request: gets a gaistream.http.IncomingRequest; sync or async.
        options: SSEOptions; by default with ids.
        on_reconnect: "end" or "rerun".
        settings: dialect, headers, cors, cleanup_timeout, source_timeout, hold_headers, on_close,
            helper_thread, on_disconnect, continue_seconds, continue_bytes, collect, media_type,
            incremental: see SSEResponse.
    """
    return _handler(provider, prepare_request, {"sse": options}, on_reconnect, settings)


def ndjson_handler(
    provider: Any,
    prepare_request: PrepareRequest,
    *,
    options: NDJSONOptions | None = None,
    **settings: Unpack[_Settings],
) -> _Handler:
    """Make a WSGI app that streams a provider's answers as NDJSON; otherwise as sse_handler."""
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
    """Make a WSGI app that streams as the request asks for; see gaistream.asgi.event_handler."""
    formats = {"sse": sse_options, "ndjson": ndjson_options}
    return _handler(provider, prepare_request, formats, on_reconnect, settings)


def protocol_handler(
    provider: Any,
    dialect: AnyDialect,
    *,
    options: SSEOptions | None = None,
    models: Iterable[str] | None = None,
    **settings: Unpack[_ProtocolSettings],
) -> _Handler:
    """Make a WSGI app that answers a vendor's clients; see gaistream.asgi.protocol_handler."""
    return _ProtocolHandler(
        ProtocolPolicy(provider, dialect, options, models, settings, _ProtocolSettings)
    )
