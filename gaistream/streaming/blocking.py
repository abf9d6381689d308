"""Streams in a thread that may block: for sync sources, and for WSGI.

`BlockingStream` runs a sync source in the caller's thread: one chunk per item, no heartbeats.
`LoopStream` runs the engine on its own event loop, in the caller's thread: for async sources, and
for sync ones that need heartbeats and coalescing. Both are iterated for their bytes, and close the
source in every outcome.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

from ..errors import ungrouped
from ..loops import event_loop
from ..loops.protocols import EventLoop
from ..loops.sources import check_iterable, close_blocking, source_name
from . import thread_streams
from .open_streams import open_streams
from .outcome import Outcome, OutcomeKind, Route, log_failure
from .stream import Stream

if TYPE_CHECKING:
    from ..loops.greenlets import Runner
    from .collector import Collector
    from .producer import Producer


class BlockingStream:
    """A stream of a sync source in the caller's thread. Belongs to one thread.

    Attributes:
        failure: the source's exception, or None.
        answerable: True if the caller answers and logs a failure before the first event.
        route: see log_failure.
        left_behind: False: the source cannot outlive the stream.
    """

    left_behind = False
    drained_unsaid = False  # it ends after an item

    def __init__(self, source: Any, encoder: Any, collector: Collector | None = None) -> None:
        check_iterable(source)
        self._owner = source
        self._source: Iterator[Any] = iter(source)
        encoder.join_halves()
        self._encoder = encoder
        self._collector = collector
        self._write = encoder.write if collector is None else _collecting(encoder.write, collector)
        self._events = 0
        self._bytes = 0
        self._kind: OutcomeKind = "cancelled"  # until the stream ends in another way
        self._time = thread_streams.in_threads.timer.time
        self._started = self._last = self._time()
        self._draining = False
        self._retry_ms: int | None = None
        self.failure: BaseException | None = None
        self.answerable = False
        self.route: Route | None = None
        self._name = ""  # the name of a source that has failed

    @property
    def failed_unsaid(self) -> bool:
        """True if the source raised before it yielded an item."""
        return self.failure is not None and not self._events

    def log_failure(self, failure: BaseException) -> None:
        """Log the source's exception, unless its text is for the client."""
        log_failure(failure, self._name, self.route)

    def refuse(self) -> None:
        """Set the outcome of a stream that is refused because the server is being drained."""
        self._kind = "drained"

    def chunks(self) -> Iterator[bytes]:
        """Yield one chunk per item, then the end."""
        encoder = self._encoder
        encoder.begin()
        registry = thread_streams.in_threads
        registry.enter(self)
        try:
            drained = yield from self._items()
            self._kind = "drained" if drained else "failed" if self.failure else "completed"
            self._write_end(drained)
            if encoder.pending:
                yield self._take()
        except GeneratorExit:
            self._kind = "client_gone"
            raise
        finally:
            registry.leave(self)
        if encoder.failed and not drained:
            self._kind = "failed"

    def _items(self) -> Generator[bytes, None, bool]:
        """Yield one chunk per item and close the source. Return True if a drain ended it."""
        encoder = self._encoder
        try:
            while self._write_next():
                if encoder.pending:
                    yield self._take()
                if self._draining:
                    return True
        finally:
            self.close()
        return False

    def _write_next(self) -> bool:
        """Write the next item. Return False if the source has ended or failed."""
        try:
            encoder = self._encoder
            for item in self._source:
                before = encoder.pending
                self._write(item)
                if item is not None or encoder.pending != before:
                    self._events += 1
                elif not self._draining:
                    continue  # None is no event
                return not encoder.ended
        except (Exception, GeneratorExit, asyncio.CancelledError) as error:
            self.failure = ungrouped(error)
            self._name = source_name(self._owner)
            if not (self.answerable and self.failed_unsaid):
                self.log_failure(self.failure)
        return False

    def _write_end(self, drained: bool) -> None:
        encoder = self._encoder
        if not drained:
            try:
                encoder.end(self.failure)
            except Exception as error:
                self._kind = "failed"
                if self.answerable and self.failed_unsaid:
                    return  # the caller answers, and drops the stream's bytes
                self.failure = self.failure or error
                raise
        else:
            encoder.write_drain(self._retry_ms)

    def _take(self) -> bytes:
        chunk: bytes = self._encoder.take()
        self._bytes += len(chunk)
        self._last = self._time()
        return chunk

    # ---- an OpenStream of open_streams.py; these may be called from any thread ----

    def silent_since(self) -> float:
        """Return the time of the last chunk, or of the stream's beginning."""
        return self._last

    def drain_begins(self, grace: float) -> None:
        """Do nothing."""

    def drain_is_cancelled(self) -> None:
        """Do nothing: once `drain` was called, the stream ends at its next item."""

    def drain(self, retry_ms: int | None) -> None:
        """End the stream when the source yields its next item."""
        self._retry_ms = retry_ms
        self._draining = True

    def interrupt(self, kind: OutcomeKind) -> None:
        """Do nothing: a blocking source cannot be interrupted."""

    def close(self) -> None:
        """Close the source, also if the iterator was never begun."""
        source, self._source = self._source, iter(())  # once
        owner, self._owner = self._owner, self._source
        close_blocking(source, owner)

    def release(self) -> None:
        """Drop the failure after the outcome was read: its traceback refers to this object."""
        self.failure = None

    @property
    def outcome(self) -> Outcome:
        """The outcome, once the iterator has ended or was closed."""
        message = None
        if self._collector is not None:
            is_whole = self._encoder.ended and not self._encoder.failed
            message = self._collector.end("completed" if is_whole else self._kind, self.failure)
        return Outcome(
            self._kind,
            self._events,
            self._bytes,
            self._time() - self._started,
            self.failure,
            message=message,
        )


def _collecting(write: Callable[[Any], None], collector: Collector) -> Callable[[Any], None]:
    def write_and_collect(item: Any) -> None:
        write(item)
        collector.add(item)

    return write_and_collect


class LoopStream:
    """A stream of any source on its own event loop, in the caller's thread. Belongs to one thread.

    Args:
        life: a stream that has not been started.
        runner: runs the loop. The caller closes it, after the stream.
        hold_headers: yield no chunk before the first event.
        producer: whose reader is the stream's source, if that goes on without the client.

    Attributes:
        goes_on: True if the source is to be read on, by `read_on`, after the chunks were closed.
    """

    def __init__(
        self, life: Stream, runner: Runner, *, hold_headers: bool, producer: Producer | None = None
    ) -> None:
        self._life = life
        self._producer = producer
        self.goes_on = False
        self._registry: thread_streams.ThreadStreams
        self._runner = runner
        self._hold = hold_headers
        self._begun = False
        self._outcome: Outcome | None = None
        self._loop: EventLoop | None = None  # set when the stream starts

    @property
    def failure(self) -> BaseException | None:
        """The source's exception, or None."""
        return self._life.failure

    @property
    def failed_unsaid(self) -> bool:
        """True if the source raised before it yielded an item."""
        return self._life.failed_unsaid

    @property
    def drained_unsaid(self) -> bool:
        """True if the headers are held, and a drain came before an event."""
        so_far = self._life.outcome_so_far()
        return self._hold and so_far.kind == "drained" and not so_far.events

    @property
    def left_behind(self) -> bool:
        """True if the source is still running after `close`."""
        return (self._producer or self._life).left_behind

    def refuse(self) -> None:
        """Set the outcome of a stream that is refused because the server is being drained."""
        self._life.interrupt("drained")

    def chunks(self) -> Iterator[bytes]:
        """Yield the pending bytes whenever the source waits, and heartbeats."""
        self._begun = True
        life, run = self._life, self._runner.run
        registry = self._registry = thread_streams.in_threads
        try:
            run(self._start(registry))
            while (chunk := run(life.next_chunk())) is not None:
                yield chunk
            if life.is_broken and life.failure is not None and not life.failed_unsaid:
                raise life.failure  # so that the body does not look whole
        except GeneratorExit:
            life.interrupt("client_gone")
            raise
        finally:
            try:
                run(self._close())
            finally:
                if not self.goes_on:
                    registry.leave(self)
            self._outcome = self._final(life.outcome)

    async def _start(self, registry: thread_streams.ThreadStreams) -> None:
        self._loop = event_loop()
        # if wsgi.drain_on_signals is active, it drains this stream instead of the automatic drain
        open_streams().signal_hooks = registry.signal_hooks
        if self._producer is not None:
            await self._producer.start()
        await self._life.start()
        registry.enter(self)
        if self._hold:
            await self._life.wait_for_event()

    async def _close(self) -> None:
        try:
            await self._life.close()
        finally:
            kind, producer = self._life.outcome.kind, self._producer
            if producer is not None:
                self.goes_on = self._begun and producer.goes_on_after(kind)
                if not self.goes_on:
                    await producer.close(kind)

    def _final(self, outcome: Outcome) -> Outcome:
        return (
            outcome if self._producer is None or self.goes_on else self._producer.conclude(outcome)
        )

    def read_on(self) -> None:
        """Wait until the source has ended without its client. The thread may be another one."""
        assert self._producer is not None
        assert self._outcome is not None
        try:
            self._runner.run(self._producer.read_on())
        finally:
            self.goes_on = False
            self._outcome = self._final(self._outcome)
            self._registry.leave(self)

    def stop(self) -> None:
        """Interrupt a source that goes on; may be called from any thread."""
        self.interrupt("drained")

    @property
    def _sides(self) -> list[Any]:
        return [self._life] if self._producer is None else [self._life, self._producer]

    @property
    def _open(self) -> Any:
        """The side that is open."""
        return self._producer if self.goes_on else self._life

    # ---- an OpenStream of open_streams.py; these may be called from any thread ----

    def silent_since(self) -> float:
        """Return the time of the last event, or of the stream's beginning."""
        return float(self._open.silent_since())

    def drain_begins(self, grace: float) -> None:
        """Take notice of a drain of `grace` seconds; `drain` is called later."""
        for each in self._sides:
            self._call(each.drain_begins, grace)

    def drain_is_cancelled(self) -> None:
        """Take notice that the drain does not end the stream any more, if it has not."""
        for each in self._sides:
            self._call(each.drain_is_cancelled)

    def drain(self, retry_ms: int | None) -> None:
        """End the stream now, but whole."""
        self._call(self._open.drain, retry_ms)

    def interrupt(self, kind: OutcomeKind) -> None:
        """End the stream at once."""
        self._call(self._open.interrupt, kind)

    def _call(self, method: Callable[..., None], *arguments: Any) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, so the stream has ended
                self._loop.call_soon_threadsafe(method, *arguments)

    def close(self) -> None:
        """Close the source if the iterator was never begun."""
        if not self._begun:
            self._runner.run(self._close())

    def release(self) -> None:
        """Drop the failure after the outcome was read: its traceback refers to this object."""
        self._life.release()
        if self._producer is not None:
            self._producer.release()
        self._outcome = None

    @property
    def outcome(self) -> Outcome:
        """The outcome, once the iterator has ended or was closed."""
        return self._outcome or self._final(self._life.outcome)
