"""How a handler treats a request, the same on ASGI and WSGI.

`HandlerPolicy.decide` answers a request that needs no preparation, or chooses the format.
`HandlerPolicy.open_stream` goes from `prepare_request` to the response with the provider's source.
It yields each awaitable on its way, and gets back the result or the error: an ASGI app awaits it, a
WSGI app runs it on a loop. Everything else happens in the caller's own task or thread.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator, Mapping
from functools import partial
from typing import Any, Literal, TypeAlias, TypeVar

from .._log import log
from ..errors import FrameTypeError, StreamError, ungrouped
from ..writing.formats import FORMATS, SSE
from ..writing.options import SSEOptions, refuse_unknown
from .answer import (
    NO_APPLICATION,
    Application,
    PlainResponse,
    RaisedBy,
    answer_failure,
    drain_response,
    error_response,
    is_bad_request,
)
from .cors import ALLOWED_METHODS
from .headers import media_types, merge_headers, stream_headers
from .negotiation import negotiate
from .request import IncomingRequest
from .settings import kind_of

OnReconnect: TypeAlias = Literal["end", "rerun"]
PrepareRequest: TypeAlias = Callable[[Any], Any]
_Response = TypeVar("_Response")
_T = TypeVar("_T")
_ALLOW = {"Allow": f"{ALLOWED_METHODS}, HEAD"}


class HandlerPolicy:
    """How a handler treats requests, whatever the server's interface.

    Args:
        provider: has `stream_text(request)`.
        prepare_request: makes the argument of `stream_text` from an IncomingRequest.
        options: of each format that is served; with both, the format is negotiated.
        on_reconnect: "end" or "rerun".
        settings: of the responses.
        known_settings: a TypedDict of the settings that the interface's responses take.

    Attributes:
        options: of each format that is served.
        stream_headers: of each format that is served.
        settings: of the responses, without those that `stream_headers` holds.
    """

    def __init__(
        self,
        provider: Any,
        prepare_request: PrepareRequest,
        options: Mapping[str, Any],
        on_reconnect: OnReconnect,
        settings: Mapping[str, Any],
        known_settings: type[Any],
    ) -> None:
        if on_reconnect not in ("end", "rerun"):
            raise ValueError(f"on_reconnect must be 'end' or 'rerun', not {on_reconnect!r}")
        if not callable(getattr(provider, "stream_text", None)):
            raise FrameTypeError(f"provider must have stream_text(), {kind_of(provider)} has none")
        if not callable(prepare_request):
            kind = kind_of(prepare_request)
            raise FrameTypeError(f"prepare_request must be callable, not {kind}")
        self._provider = provider
        self._prepare = prepare_request
        self._ends_reconnects = on_reconnect == "end"
        self.options = dict(options)
        sse_options = options.get(SSE.name, ...)
        if isinstance(sse_options, SSEOptions | None):
            self.options[SSE.name] = (sse_options or SSEOptions()).with_ids
        self._check_keywords(settings, known_settings)
        more = settings.get("headers") or {}
        if len(options) > 1:
            more = merge_headers({"Vary": "Accept"}, more)
        cors, dialect = settings.get("cors", "*"), settings.get("dialect", "gai")
        self._dialect = dialect
        incremental = settings.get("incremental", False)
        self.stream_headers = {
            format: stream_headers(
                format, cors, dialect, more, media_type=media_type, incremental=incremental
            )
            for format, media_type in media_types(settings.get("media_type"), options).items()
        }
        self._cors = next(iter(self.stream_headers.values())).cors
        settings_of_headers = dict.fromkeys(("cors", "headers", "media_type"))
        self.settings = {**settings, **settings_of_headers, "incremental": False}

    def _function(self) -> tuple[str, list[str]]:
        """Return the public function that makes the handler, and its own keywords."""
        if len(self.options) > 1:
            return "event_handler", ["sse_options", "ndjson_options", "on_reconnect"]
        if SSE.name in self.options:
            return "sse_handler", ["options", "on_reconnect"]
        return "ndjson_handler", ["options"]

    def _check_keywords(self, settings: Mapping[str, Any], known_settings: type[Any]) -> None:
        name, own = self._function()
        known = [*own, *known_settings.__annotations__]
        unknown = {key: value for key, value in settings.items() if key not in known}
        refuse_unknown(name, unknown, known, [FORMATS[each].options for each in self.options])

    def decide(
        self, method: str, path: str, headers: Mapping[str, str], draining: StreamError | None
    ) -> str | PlainResponse:
        """Return the format of the stream, or the response to a request that is not prepared.

        Args:
            method, path: of the request.
            headers: of the request, names in lower case.
            draining: why new requests are refused now, or None.
        """
        origin, accept = headers.get("origin"), headers.get("accept")
        if method == "OPTIONS":
            preflight = self._cors.preflight(origin) if self._cors is not None else {}
            return PlainResponse(204, _ALLOW | preflight)
        refused, extra = None, self._cors_headers(origin)
        if method not in ("GET", "HEAD", "POST", "QUERY"):
            refused = StreamError("method not allowed", code="method_not_allowed", status=405)
            extra = _ALLOW | extra
        elif method == "QUERY" and not headers.get("content-type"):  # RFC 10008, section 2
            refused = StreamError("a QUERY needs a Content-Type", code="bad_request", status=400)
        if refused is not None:
            return error_response(
                refused, raised_by="prepare_request", extra=extra, dialect=self._dialect
            )
        several = len(self.options) > 1
        format = negotiate(path, accept) if several else next(iter(self.options))
        if draining is None:
            return format
        own = self.stream_headers[format].for_origin(origin)
        return drain_response(
            draining, own, method=method, format=format, accept=accept, dialect=self._dialect
        )

    def open_stream(
        self,
        request: IncomingRequest,
        format: str,
        make_response: Callable[[Any, Any], _Response],
        application: Application = NO_APPLICATION,
        of_provider: Callable[[Awaitable[Any]], Awaitable[Any]] | None = None,
    ) -> Generator[Awaitable[Any], Any, _Response | PlainResponse]:
        """Prepare a request and open the provider's source; yield each awaitable on the way.

        Args:
            request: what `prepare_request` gets.
            format: as `decide` has chosen it.
            make_response: makes the response from the source and the prepared request.
            application: errors that it answers are raised to it.
            of_provider: called with the provider's awaitable, returns the one that is yielded.

        Returns:
            What `make_response` returned, or the response in its place.
        """
        raised_by: RaisedBy = "prepare_request"
        try:
            prepared = self._prepare(request)
            if inspect.isawaitable(prepared):
                prepared = yield prepared
            raised_by = "provider"
            answer = self._answer_without_provider(request, format)
            if answer is not None:
                return answer
            source = self._provider.stream_text(self._chat_request(prepared))
            if inspect.isawaitable(source):
                source = yield source if of_provider is None else of_provider(source)
            return make_response(source, prepared)
        except Exception as error:
            failure = ungrouped(error)
        try:
            return answer_failure(
                failure,
                raised_by=raised_by,
                log=_log_bad_request if is_bad_request(failure, raised_by) else _log_failure,
                headers=self._cors_headers(request.headers.get("origin")),
                application=application,
                dialect=self._dialect,
            ).to(request.method)
        finally:
            del failure  # its traceback holds this frame

    def _chat_request(self, prepared: Any) -> Any:
        """Return the provider's argument."""
        return prepared

    def _answer_without_provider(
        self, request: IncomingRequest, format: str
    ) -> PlainResponse | None:
        """Return the response to a reconnect or HEAD, which `prepare_request` has let in."""
        origin = request.headers.get("origin")
        reconnects = FORMATS[format].reconnects and request.last_event_id is not None
        if self._ends_reconnects and reconnects:
            return PlainResponse(204, {"Cache-Control": "no-store", **self._cors_headers(origin)})
        if request.method == "HEAD":
            return PlainResponse(200, self.stream_headers[format].for_origin(origin))
        return None

    def _cors_headers(self, origin: str | None) -> dict[str, str]:
        return self._cors.headers(origin) if self._cors is not None else {}


async def run_steps(
    steps: Generator[Awaitable[Any], Any, _T], result_of: Callable[[Awaitable[Any]], Awaitable[Any]]
) -> _T:
    """Run an opening: send it the result of each awaitable that it yields, and return its own."""
    resume = partial(steps.send, None)
    try:
        while True:
            awaitable = resume()
            try:
                resume = partial(steps.send, await result_of(awaitable))
            except BaseException as error:
                resume = partial(steps.throw, error)
    except StopIteration as stop:
        value: _T = stop.value
        return value
    finally:
        del resume  # an error that it holds has a traceback that holds this frame


def _log_bad_request(error: BaseException) -> None:
    log.info("a request was refused: %r", error)  # clients' mistakes must not fill the log


def _log_failure(error: BaseException) -> None:
    log.error("a request failed before its stream began", exc_info=error)
