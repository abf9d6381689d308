"""Responses: one stream, or a whole response in its place, as a WSGI app."""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Generic, Never, TypeVar

from .._log import log
from ..chat import Source
from ..dialects import AnyDialect
from ..errors import EventError, StreamError
from ..http.answer import (
    APPLICATION_KEY,
    NO_APPLICATION,
    Application,
    PlainResponse,
    RaisedBy,
    answer_failure,
    drain_response,
)
from ..http.cors import CORSLike
from ..http.headers import stream_headers
from ..http.settings import check_keywords, check_on_close, check_status, check_timeouts
from ..loops.greenlets import Runner, close_runner, new_runner
from ..loops.helper_threads import helper_threads
from ..streaming import thread_streams
from ..streaming.blocking import BlockingStream, LoopStream
from ..streaming.channel import Channel
from ..streaming.cleanup import CLEANUP_TIMEOUT
from ..streaming.disconnects import (
    CONTINUE_BYTES,
    CONTINUE_SECONDS,
    OnDisconnect,
    WholeAnswer,
    blocking_collector,
    check_disconnects,
    open_response_stream,
)
from ..streaming.open_streams import shutting_down
from ..streaming.outcome import Outcome
from ..streaming.stream import Stream
from ..writing.formats import FORMATS, FormatName
from ..writing.options import NDJSONOptions, SSEOptions, refuse_source_timeout
from .environ import Environ, StartResponse, request_path, send_response, start

_Options = TypeVar("_Options", SSEOptions, NDJSONOptions)


class _Body:
    """The body of a stream, as a WSGI server iterates and closes it."""

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


class SourceResponse(Generic[_Options]):
    """A source as a WSGI app, for one request: the base of both responses.

    Attributes:
        stream_headers: of the response.
        raised_by: the code that a failure of the stream is charged to.
    """

    _format: FormatName

    def __init__(
        self,
        stream: Source,
        options: _Options | None = None,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        dialect: AnyDialect = "gai",
        cors: CORSLike = "*",
        cleanup_timeout: float | None = CLEANUP_TIMEOUT,
        source_timeout: float | None = None,
        hold_headers: bool = False,
        on_close: Callable[[Outcome], Any] | None = None,
        media_type: str | None = None,
        incremental: bool = False,
        helper_thread: bool = False,
        on_disconnect: OnDisconnect = "close",
        continue_seconds: float = CONTINUE_SECONDS,
        continue_bytes: int = CONTINUE_BYTES,
        collect: bool = False,
        _runner: Runner | None = None,
        _whole: WholeAnswer | None = None,
        **unknown: Never,
    ) -> None:
        if unknown:
            check_keywords(type(self), unknown, [self._format])
        check_timeouts(cleanup_timeout, source_timeout)
        if isinstance(stream, Channel):
            raise EventError(
                "a Channel needs a server's event loop, and WSGI has none: use gaistream.asgi, or "
                "a generator that reads a queue.Queue"
            )
        disconnects = check_disconnects(
            on_disconnect, continue_seconds, continue_bytes, collect, dialect, self._format
        )
        self._runner = _runner or new_runner()
        encoder = FORMATS[self._format].encoder(options, dialect=dialect)
        self._life: BlockingStream | Stream
        self._stream: BlockingStream | LoopStream
        if helper_thread or isinstance(stream, AsyncIterable):
            self._life, producer = open_response_stream(
                stream,
                encoder,
                disconnects,
                None,
                cleanup_timeout,
                source_timeout or None,
                _whole,
            )
            self._stream = LoopStream(
                self._life, self._runner, hold_headers=hold_headers, producer=producer
            )
        else:
            refuse_source_timeout(source_timeout, "helper_thread=True or an async source")
            collector = blocking_collector(disconnects)
            stream = stream if _whole is None else _whole.source(stream)
            self._life = self._stream = BlockingStream(stream, encoder, collector)
        self._status = check_status(status)
        check_on_close(on_close)
        self.stream_headers = stream_headers(
            self._format, cors, dialect, headers, media_type=media_type, incremental=incremental
        )
        self.raised_by: RaisedBy = "source"
        self._on_close = on_close
        self._failed = False  # an error was sent in the stream's place
        self._ended = False

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer the request."""
        method = environ["REQUEST_METHOD"]
        headers = self.stream_headers.for_origin(environ.get("HTTP_ORIGIN"))
        if method == "HEAD":
            self._end()
            return send_response(start_response, PlainResponse(self._status, headers))
        reason = thread_streams.in_threads.reason_to_refuse()
        if reason is not None:
            self._stream.refuse()
            self._end()
            return send_response(start_response, self._answer_drain(environ, reason, headers))
        chunks = self._stream.chunks()

        def close() -> None:
            chunks.close()  # type: ignore[attr-defined]  # it is a generator
            self._end()

        self._life.route = method, request_path(environ), None
        self._life.answerable = True
        try:
            try:
                first = next(chunks, None)
            finally:
                self._life.answerable = False
            if self._stream.failed_unsaid:
                application = environ.get(APPLICATION_KEY, NO_APPLICATION)
                try:
                    answer = self._answer_failure(headers, application)
                finally:
                    for _ in chunks:
                        pass  # the error frame and the end, which are not sent
                self._end()
                return send_response(start_response, answer)
            if self._stream.drained_unsaid:
                reason = thread_streams.in_threads.reason_to_refuse() or shutting_down(None)
                for _ in chunks:
                    pass  # the end, which is not sent
                self._end()
                return send_response(start_response, self._answer_drain(environ, reason, headers))
            start(start_response, self._status, headers)
        except BaseException:
            close()
            raise
        return _Body(first, chunks, close)

    def _answer_drain(
        self, environ: Environ, reason: StreamError, headers: Mapping[str, str]
    ) -> PlainResponse:
        return drain_response(
            reason, headers, method=environ["REQUEST_METHOD"], format=self._format,
            accept=environ.get("HTTP_ACCEPT"), dialect=self.stream_headers.dialect,
        )  # fmt: skip

    def _answer_failure(
        self, headers: Mapping[str, str], application: Application
    ) -> PlainResponse:
        """Return the response in the stream's place; raise what the application answers itself."""
        self._failed = True
        assert self._life.failure is not None
        return answer_failure(
            self._life.failure,
            raised_by=self.raised_by,
            log=self._life.log_failure,
            headers=headers,
            application=application,
            dialect=self.stream_headers.dialect,
        )

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        try:
            self._stream.close()
        finally:
            stream = self._stream
            if not (isinstance(stream, LoopStream) and stream.goes_on and self._goes_on(stream)):
                self._finish()

    def _finish(self) -> None:
        try:
            self._report()
        finally:
            left_behind = self._stream.left_behind
            self._stream.release()
            close_runner(self._runner, left_behind=left_behind)

    def _goes_on(self, stream: LoopStream) -> bool:
        """Read the source to its end in a helper thread; return False if there is none."""

        def read_on() -> None:
            try:
                try:
                    stream.read_on()
                finally:
                    self._finish()
            finally:
                helper_threads.ended(stream)

        try:
            helper_threads.start(stream, contextvars.copy_context().run, read_on)
        except Exception:  # too many threads are running
            stream.stop()
            stream.read_on()
            return False
        return True

    def _report(self) -> None:
        """Call `on_close` with the outcome."""
        if self._on_close is None:
            return
        outcome = self._stream.outcome
        if self._failed:
            outcome = replace(outcome, bytes=0)
        try:
            result = self._on_close(outcome)
            if inspect.isawaitable(result):
                resolve(result, self._runner)
        except Exception:
            log.exception("on_close raised")


class SSEResponse(SourceResponse[SSEOptions]):
    """Server-Sent Events for a source, as a WSGI app: `return response(environ, start_response)`.

    Args:
        stream: a sync or async iterable of events.
        options: SSEOptions, or None for the defaults.
        status: of the response, unless the source fails before its first event.
        headers: more headers; they replace those of the same name (Vary grows).
        dialect: "gai"; "json": each item is a payload; "raw": each is a frame; or a Dialect.
        cors: "*", an origin, several origins, a gaistream.http.CORS, or None.
        cleanup_timeout: seconds that the source may take to end after its stream has ended, before
            it is cancelled again and abandoned; None: no limit. Not enforced for a sync source in
            the server's own thread, which nothing can interrupt.
        source_timeout: seconds that the source may be silent before the stream ends with
            `Error(code="timeout")`; 0 or None: no limit. Needs an async source or `helper_thread`.
        hold_headers: True to send the headers with the first event, for an async source too.
        on_close: called (or awaited) with the Outcome when everything is closed.
        media_type: the Content-Type; None: the dialect's, else the format's.
        incremental: True: send `Incremental: ?1` (RFC 10036), which tells a proxy that knows it to
            pass on each piece of the body as it comes.
        helper_thread: True to run a sync source in another thread, with heartbeats and coalescing.
        on_disconnect: "close": when the client leaves, the source is closed. "continue": it is read
            to its end in a helper thread, but not beyond the grace time of a drain, and `on_close`,
            which is called there, gets the answer as `Outcome.message`. Needs an async source or
            `helper_thread`.
        continue_seconds: how long a source may go on without its client before it is closed.
        continue_bytes: how many bytes it may then yield, by an estimate of their memory.
        collect: True to give `on_close` the message, as far as it came, with "close" too.

    Raises:
        FrameError: an argument has a value that could not be sent or kept to.
        EventError: `stream` is not iterable.
    """

    _format = "sse"


class NDJSONResponse(SourceResponse[NDJSONOptions]):
    """Lines of JSON for a source, as a WSGI app; everything else as SSEResponse."""

    _format = "ndjson"


RESPONSES: Final[dict[str, type[SourceResponse[Any]]]] = {
    "sse": SSEResponse,
    "ndjson": NDJSONResponse,
}


def resolve(awaitable: Any, runner: Runner) -> Any:
    """Return the result of an awaitable."""
    raised: list[Exception] = []  # in the task, its traceback's frames would hold the task

    async def wait() -> Any:
        try:
            return await awaitable
        except Exception as error:
            raised.append(error)

    result = runner.run(wait())
    if raised:
        raise raised.pop()
    return result
