"""`resumable`: a stream that is kept in a log and outlives its connection, as a WSGI app.

The request that begins a stream starts a helper thread with an event loop, in which the source is
read; every request, that one too, follows the log in the server's own thread.
"""

from __future__ import annotations

import contextlib
import contextvars
import inspect
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Unpack

from .._log import log as logger
from ..chat import Source
from ..http.answer import PlainResponse, drain_response, error_response
from ..http.request import IncomingRequest, last_event_id
from ..http.resumption import Authorize, Opened, Resumption
from ..http.settings import ResumableSettings
from ..loops import event_loop
from ..loops.greenlets import Runner, close_runner, new_runner
from ..loops.helper_threads import NoThreadLeft, helper_threads
from ..loops.protocols import EventLoop
from ..loops.sources import close_source
from ..replay import EventLog
from ..streaming import thread_streams
from ..streaming.open_streams import open_streams
from ..streaming.outcome import Outcome, OutcomeKind
from ..streaming.recorder import KeptProducer
from .environ import (
    Environ,
    StartResponse,
    read_body,
    request_headers,
    request_path,
    send_response,
)
from .response import RESPONSES, SourceResponse, resolve


class resumable:  # noqa: N801, a function to its callers
    """A kept stream, as a WSGI app for one request: `return response(environ, start_response)`.

    The stream is begun if there is a `source`, the request has no Last-Event-ID, and the stream is
    not kept yet; its id is in the header `Gaistream-Stream`. Any other request resumes it: after
    the id in Last-Event-ID (or in the query's `last_event_id`), else from the start. The source is
    read to its end, in a helper thread, whatever becomes of the requests;
    `run_in_thread(log.stop(stream_id))` ends it.

    Args:
        log, stream_id, source, format, options, lease, replace, only_running, on_close,
            continue_seconds, continue_bytes, source_timeout: see gaistream.asgi.resumable.
        authorize: called with the request (gaistream.http.IncomingRequest) and the stream's id,
            sync or async. Unless it returns True the answer is 404. None: everybody may read.
        status, headers, dialect, cors, cleanup_timeout, hold_headers, media_type, incremental: see
            SSEResponse.

    Attributes:
        stream_id: of the stream.

    Raises:
        FrameError: an argument has a value that could not be sent or kept to.
    """

    def __init__(
        self,
        log: EventLog,
        stream_id: str | None,
        source: Source | Callable[[], Source] | None,
        *,
        authorize: Authorize | None,
        **settings: Unpack[ResumableSettings],
    ) -> None:
        self._resumption = Resumption(log, stream_id, source, authorize=authorize, **settings)
        self._source = source
        self.stream_id = self._resumption.stream

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer the request."""
        runner = new_runner()  # one loop for every awaitable, the log's included
        begins = False
        try:
            answer = self._answer_drain(environ)
            if answer is None:
                opened = runner.run(self._resumption.open(_incoming(environ)))
                if not isinstance(opened, PlainResponse):
                    begins = opened.producer is not None
                    if not begins:
                        runner.run(close_source(self._source))
                    return self._respond(opened, runner)(environ, start_response)
                answer = opened
        except NoThreadLeft as error:
            answer = self._refusal(environ, error)
        except BaseException:
            if not begins:
                runner.run(close_source(self._source))
            runner.close()
            raise
        if not begins:
            runner.run(close_source(self._source))
        runner.close()
        return send_response(start_response, answer)

    def _answer_drain(self, environ: Environ) -> PlainResponse | None:
        reason = thread_streams.in_threads.reason_to_refuse()
        if reason is None:
            return None
        asked = self._resumption
        return drain_response(
            reason,
            asked.headers.for_origin(environ.get("HTTP_ORIGIN")),
            method=environ["REQUEST_METHOD"],
            format=asked.format,
            accept=environ.get("HTTP_ACCEPT"),
            dialect=asked.dialect,
        )

    def _refusal(self, environ: Environ, error: NoThreadLeft) -> PlainResponse:
        refusal = error_response(error, raised_by="source", dialect=self._resumption.dialect)
        return refusal.to(environ["REQUEST_METHOD"])

    def _respond(self, opened: Opened, runner: Runner) -> SourceResponse[Any]:
        asked = self._resumption
        production = None
        if opened.producer is not None:
            production = _Production(opened.producer, asked.on_close)
            try:
                production.start()
            except NoThreadLeft:
                runner.run(opened.producer.close("cancelled"))
                raise
        response: SourceResponse[Any] = RESPONSES[asked.format](
            opened.source,
            asked.options,
            status=asked.status,
            dialect=opened.dialect,
            cleanup_timeout=asked.cleanup_timeout,
            hold_headers=asked.hold_headers,
            on_close=None if production is None else production.answered,
            _runner=runner,
        )
        response.stream_headers = opened.headers
        return response


class _Production:
    """A source that is read into a log by a helper thread, and that thread as an open stream.

    Args:
        producer: reads the source.
        on_close: called with the outcome once the source and the request have both ended.
    """

    def __init__(self, producer: KeptProducer, on_close: Callable[[Outcome], Any] | None) -> None:
        self._producer = producer
        self._on_close = on_close
        self._started = threading.Event()
        self._loop: EventLoop | None = None
        self._lock = threading.Lock()
        self._outcome: Outcome | None = None  # of the request, once it has ended
        self._ended = False

    def start(self) -> None:
        """Read the source until it first waits, or ends; have a thread read on.

        Raises:
            NoThreadLeft: too many helper threads are running.
        """
        helper_threads.start(self, contextvars.copy_context().run, self._run)
        self._started.wait()

    def answered(self, outcome: Outcome) -> Any:
        """Note that the request has ended, and report the outcome if the source has, too."""
        with self._lock:
            self._outcome = outcome
            is_last = self._ended
        return self._report() if is_last else None

    def _report(self) -> Any:
        assert self._outcome is not None
        outcome = self._producer.conclude(self._outcome)
        self._producer.release()
        return None if self._on_close is None else self._on_close(outcome)

    # ---- in the thread ----

    def _run(self) -> None:
        runner, producer = new_runner(), self._producer
        registry = thread_streams.in_threads
        try:
            try:
                runner.run(self._begin(registry))
            finally:
                self._started.set()
            try:
                runner.run(self._read_on())
            finally:
                registry.leave(self)
                with self._lock:
                    self._ended = True
                    is_last = self._outcome is not None
            if is_last:
                self._report_here(runner)
            close_runner(runner, left_behind=producer.left_behind)
        finally:
            helper_threads.ended(self)

    async def _begin(self, registry: thread_streams.ThreadStreams) -> None:
        self._loop = event_loop()
        open_streams().signal_hooks = registry.signal_hooks  # this registry drains the thread
        registry.enter(self)
        await self._producer.start()

    async def _read_on(self) -> None:
        try:
            await self._producer.read_on()
        finally:
            open_streams().leave(self._producer)

    def _report_here(self, runner: Runner) -> None:
        try:
            result = self._report()
            if inspect.isawaitable(result):
                resolve(result, runner)
        except Exception:
            logger.exception("on_close raised")

    # ---- an OpenStream of open_streams.py, and a source in a helper thread ----

    def silent_since(self) -> float:
        """Return the time of the last item."""
        return self._producer.silent_since()

    def drain_begins(self, grace: float) -> None:
        """Take notice of a drain of `grace` seconds; `drain` is called later."""
        self._call(self._producer.drain_begins, grace)

    def drain_is_cancelled(self) -> None:
        """Take notice that the drain does not end the source any more, if it has not."""
        self._call(self._producer.drain_is_cancelled)

    def drain(self, retry_ms: int | None) -> None:
        """End the source now."""
        self._call(self._producer.drain, retry_ms)

    def interrupt(self, kind: OutcomeKind) -> None:
        """End the source at once."""
        self._call(self._producer.interrupt, kind)

    def stop(self) -> None:
        """End the source because the process exits."""
        self.interrupt("drained")

    def _call(self, method: Callable[..., None], *arguments: Any) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, so the source has ended
                self._loop.call_soon_threadsafe(method, *arguments)


def _incoming(environ: Environ) -> IncomingRequest:
    return IncomingRequest(
        environ["REQUEST_METHOD"],
        request_path(environ),
        environ.get("QUERY_STRING", ""),
        request_headers(environ),
        last_event_id(environ),
        partial(read_body, environ),
    )
