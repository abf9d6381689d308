"""The engine on WSGI: responses for a source, handlers for a provider. No framework.

A sync source runs in the server's own thread, a chunk an item, and there are no heartbeats, unless
`helper_thread=True` asks for them (and for coalescing). An async source runs on an event loop of
its own in the server's thread, heartbeats included. Headers go out with the first event of a sync
source, so a source that fails before it is answered with a status. WSGI does not tell that a
client has gone: it is seen when the server closes the response, after a send that failed.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any, Final, Generic, Never, TypeVar, Unpack

from .. import http
from .._log import log
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
    check_settings,
    drain_answer,
    error_answer,
    kept_in_errors,
)
from ..loops.greenlets import Runner, close_runner, new_runner
from ..streaming.blocking import BlockingStream, LoopStream
from ..streaming.stream import CLEANUP_TIMEOUT, Outcome, Stream
from ..writing.options import (
    NDJSONOptions,
    SSEOptions,
    check_source_times,
    refuse_source_timeout,
)
from ..writing.writer import NDJSONEncoder, SSEEncoder
from .draining import drain, drain_on_signals, refusal_in_threads

__all__ = [
    "NDJSONResponse",
    "SSEResponse",
    "drain",
    "drain_on_signals",
    "event_handler",
    "ndjson_handler",
    "sse_handler",
]

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

_Options = TypeVar("_Options", SSEOptions, NDJSONOptions)

_ENCODERS: Final[dict[str, Any]] = {"sse": SSEEncoder, "ndjson": NDJSONEncoder}


def _start(start_response: StartResponse, status: int, headers: Mapping[str, str]) -> None:
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Status"
    start_response(f"{status} {phrase}", list(headers.items()))


def _answer(start_response: StartResponse, answer: Answer) -> list[bytes]:
    _start(start_response, answer.status, answer.headers)
    return [answer.body] if answer.body else []


class _Body:
    """The rest of a stream, as a WSGI server iterates and closes it."""

    def __init__(
        self, first: bytes | None, chunks: Iterator[bytes], close: Callable[[], None]
    ) -> None:
        self._first = first
        self._chunks = chunks
        self._close = close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        chunk = next(self._chunks, None)
        if chunk is None:
            self.close()  # not every middleware does
            raise StopIteration
        return chunk

    def close(self) -> None:
        """End the stream and close its source."""
        self._close()


class _Response(Generic[_Options]):
    """A stream as a WSGI app, for one request."""

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
        cleanup_timeout: float | None = CLEANUP_TIMEOUT,
        source_timeout: float | None = None,
        hold_headers: bool = False,
        on_close: Callable[[Outcome], Any] | None = None,
        helper_thread: bool = False,
        _runner: Runner | None = None,
        **unknown: Never,
    ) -> None:
        if unknown:
            check_keywords(type(self), unknown, [self._format])
        check_source_times(cleanup_timeout, source_timeout)
        self._runner = _runner or new_runner()
        encoder = _ENCODERS[self._format](options, dialect=dialect)
        self._life: BlockingStream | Stream
        self._stream: BlockingStream | LoopStream
        if helper_thread or isinstance(stream, AsyncIterable):
            self._life = Stream(
                stream,
                encoder,
                cleanup_timeout=cleanup_timeout,
                source_timeout=source_timeout or None,
            )
            self._stream = LoopStream(self._life, self._runner, hold_headers=hold_headers)
        else:
            refuse_source_timeout(source_timeout, "helper_thread=True or an async source")
            self._life = self._stream = BlockingStream(stream, encoder)
        self._headers = check_settings(status, headers, on_close)
        self._status = int(status)  # an HTTPStatus too
        self._dialect = dialect
        self._cors = http.CORS.of(cors)
        self._on_close = on_close
        self._refused = False  # the source failed before the stream began
        self.own_source = True  # False: a provider's
        self._ended = False

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer the request."""
        origin = environ.get("HTTP_ORIGIN")
        own = http.headers(self._format, self._cors, self._dialect, origin=origin)
        headers = http.merge_headers(own, self._headers)
        if environ["REQUEST_METHOD"] == "HEAD":
            self._end()
            return _answer(start_response, Answer(self._status, headers))
        refused = refusal_in_threads()
        if refused is not None:
            self._stream.refuse()
            self._end()
            answer = drain_answer(
                refused,
                headers,
                method=environ["REQUEST_METHOD"],
                format=self._format,
                accept=environ.get("HTTP_ACCEPT"),
            )
            return _answer(start_response, answer)
        chunks = self._stream.chunks()

        def close() -> None:
            chunks.close()  # type: ignore[attr-defined]  # it is a generator
            self._end()

        self._life.route = environ["REQUEST_METHOD"], _path(environ), None
        self._life.answerable = True
        try:
            try:
                first = next(chunks, None)
            finally:
                self._life.answerable = False
            if self._stream.failed_unsaid:
                answer = self._answer_failure(headers)
                self._refused = True
                for _ in chunks:
                    pass  # nobody gets what the stream would say
                self._end()
                return _answer(start_response, answer)
            _start(start_response, self._status, headers)
        except BaseException:
            close()
            raise
        return _Body(first, chunks, close)

    def _answer_failure(self, headers: Mapping[str, str]) -> Answer:
        """Return the answer in the stream's place."""
        failure = self._life.failure
        assert failure is not None
        if not is_public(failure):
            self._life.log_failure(failure)
        kept = kept_in_errors(headers)
        return error_answer(failure, preparing=False, own=self.own_source, extra=kept)

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        try:
            self._stream.close()
            if self._on_close is not None:
                outcome = self._stream.outcome
                if self._refused:
                    outcome = replace(outcome, bytes=0)
                _result(self._on_close(outcome), self._runner)
        except Exception:
            log.exception("on_close raised")
        finally:
            left_behind = self._stream.left_behind
            self._stream.release()
            close_runner(self._runner, left_behind=left_behind)


class SSEResponse(_Response[SSEOptions]):
    """Server-Sent Events for a source, as a WSGI app: `return response(environ, start_response)`.

    Args:
        stream: a sync or async iterable of events.
        options: SSEOptions, or None for the defaults.
        status: of the response, where the stream begins well.
        headers: more headers; they replace those of the same name.
        dialect: "gai"; "json": each item is one payload; "raw": each is a frame.
        cors: "*", an origin, several origins, a gaistream.http.CORS, or None.
        cleanup_timeout: seconds that the source may take to end once its stream is over, before it
            is cancelled again and left; None: any time. Not enforced for a sync source in the
            server's own thread, which nothing can interrupt.
        source_timeout: seconds that the source may be silent before the stream ends with
            `Error(code="timeout")`; 0 or None: any time. Needs an async source or `helper_thread`.
        hold_headers: wait for the first event with the headers, also for an async source.
        on_close: called (or awaited) with the Outcome when everything is closed.
        helper_thread: run a sync source in a thread of its own: heartbeats and coalescing.

    Raises:
        FrameError: an argument that could not be honoured.
        EventError: `stream` is not iterable.
    """

    _format = "sse"


class NDJSONResponse(_Response[NDJSONOptions]):
    """Lines of JSON for a source, as a WSGI app; everything else as SSEResponse."""

    _format = "ndjson"


_RESPONSES: Final[dict[str, type[_Response[Any]]]] = {"sse": SSEResponse, "ndjson": NDJSONResponse}


class _Handler:
    """A provider as a WSGI app."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling
        handling.check_keywords(_Settings)
        for format_, options in handling.formats.items():
            _RESPONSES[format_]((), options, **handling.settings)  # what is wrong raises here

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer the request."""
        handling = self._handling
        method, origin = environ["REQUEST_METHOD"], environ.get("HTTP_ORIGIN")
        path = _path(environ)
        accept = environ.get("HTTP_ACCEPT")
        format_ = handling.format_for(path, accept)
        event_id = http.last_event_id(environ)
        answer = handling.early_answer(method, origin)
        if answer is None and (refused := refusal_in_threads()) is not None:
            answer = handling.drain_answer(refused, method, format_, origin, accept)
        if answer is not None:
            return _answer(start_response, answer)
        request = http.IncomingRequest(
            method,
            path,
            environ.get("QUERY_STRING", ""),
            _headers(environ),
            event_id,
            lambda: _read_body(environ),
        )
        return self._respond(request, format_, origin)(environ, start_response)

    def _respond(
        self, request: http.IncomingRequest, format_: str, origin: str | None
    ) -> Callable[[Environ, StartResponse], Iterable[bytes]]:
        """Return the response: the provider's stream, or an answer that is none."""
        handling, method = self._handling, request.method
        preparing = True
        runner = new_runner()  # one loop for all that is awaited, the source included
        try:
            prepared = _result(handling.prepare(request), runner)
            preparing = False
            answer = handling.prepared_answer(method, format_, origin, request.last_event_id)
            if answer is not None:
                runner.close()
                return partial(_answer_only, answer)
            source = _result(handling.provider.stream_text(prepared), runner)
            options = handling.formats[format_]
            made = _RESPONSES[format_](source, options, **handling.settings, _runner=runner)
            made.own_source = False
            return made
        except Exception as error:
            runner.close()
            refused = handling.refusal(
                ungrouped(error), preparing=preparing, method=method, origin=origin
            )
            return partial(_answer_only, refused)


def _answer_only(answer: Answer, _: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return _answer(start_response, answer)


def _result(value: Any, runner: Runner) -> Any:
    """Give a value, or what an awaitable comes to."""
    if not inspect.isawaitable(value):
        return value

    raised: list[Exception] = []  # in the task, its traceback's frames would hold the task

    async def wait() -> Any:
        try:
            return await value
        except Exception as error:
            raised.append(error)

    result = runner.run(wait())
    if raised:
        raise raised.pop()
    return result


def _path(environ: Environ) -> str:
    path: str = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")) or "/"
    return path.encode("latin-1", "replace").decode(errors="replace")


def _headers(environ: Environ) -> dict[str, str]:
    found = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            found[name.replace("_", "-").lower()] = environ[name]
    return found


async def _read_body(environ: Environ) -> bytes:
    limit = http.MAX_BODY_BYTES
    length = environ.get("CONTENT_LENGTH") or ""
    if not length.isdigit():
        if not environ.get("wsgi.input_terminated"):
            return b""  # without a length the end of the body cannot be known
        size = limit + 1
    else:
        size = int(length)
    if size > limit and length.isdigit():
        raise http.too_large()
    body: bytes = environ["wsgi.input"].read(size)
    if len(body) > limit:
        raise http.too_large()
    return body


class _Settings(ResponseSettings, total=False):
    helper_thread: bool


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
        provider: has `stream_text(request)`, which may give a sync or async source.
        prepare_request: gets a gaistream.http.IncomingRequest; sync or async.
        options: SSEOptions; by default with ids.
        on_reconnect: "end" or "rerun".
        settings: dialect, headers, cors, cleanup_timeout, source_timeout, hold_headers, on_close,
            helper_thread: see SSEResponse.
    """
    return _Handler(Handling(provider, prepare_request, {"sse": options}, on_reconnect, settings))


def ndjson_handler(
    provider: Any,
    prepare_request: PrepareRequest,
    *,
    options: NDJSONOptions | None = None,
    **settings: Unpack[_Settings],
) -> _Handler:
    """Make a WSGI app that streams a provider's answers as NDJSON; else as sse_handler."""
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
    """Make a WSGI app that streams as the request wants it; see gaistream.asgi.event_handler."""
    formats = {"sse": sse_options, "ndjson": ndjson_options}
    return _Handler(Handling(provider, prepare_request, formats, on_reconnect, settings))
