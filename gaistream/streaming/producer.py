"""A source that is read to its end whatever becomes of its reader.

A `Producer` reads its source in its own task, which depends on no request. The items make a
message, and as long as there is a reader they are passed on: `producer.reader` is the source of a
`Stream`, and pauses the producer as the stream would. Once the reader is closed, items are only
collected, within bounds of time and bytes, and the producer is one of the loop's open streams, so
that a drain gives it its grace time. Guarantees: the source is closed in every outcome and once;
the message says whether it is whole; no task is left. Runs on asyncio and trio.

The calls, in order: `start`; the reader is read and closed; then either `close`, or `wait` and
`close`. A producer that was not started is closed too.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from typing import Any, Final

from .._log import log
from ..core import estimate_size
from ..loops.protocols import EventLoop
from ..loops.sources import open_source, source_name
from .cleanup import SHORTEST
from .clock import clock
from .collector import Collector
from .open_streams import open_streams
from .outcome import Outcome, OutcomeKind, silence
from .phases import ENDED, OPEN, OPENING
from .receiver import Receiver, interrupted
from .source_side import SourceSide

_GOES_ON: Final = ("client_gone", "stalled", "cancelled")  # ends of a stream, not of its source


class _Reader(AsyncIterator[Any]):
    """The items of a producer, as the source of a stream."""

    def __init__(self, producer: Producer, receiver: Receiver, owner: Any) -> None:
        self.owner = owner  # for messages
        self._producer = producer
        self._receiver = receiver

    def __anext__(self) -> Coroutine[Any, Any, Any]:
        return self._receiver.next()

    async def aclose(self) -> None:
        """Leave the producer, which goes on."""
        self._producer.detach()


class Producer(SourceSide):
    """A source that is read in its own task, to its end. Belongs to one event loop.

    Args:
        source: an async or sync iterable.
        collector: of the message; None: the items are no events.
        seconds: how long the source may go on without its reader.
        bytes: how many it may then take, by an estimate of their memory.
        cleanup_timeout: seconds that the source may take to end once it was cancelled, or None.
        source_timeout: seconds that the source may be silent without a reader, or None.
        receiver: takes the items in place of a `Receiver`.

    Attributes:
        outcome: what `conclude` has returned, until `release`.
    """

    __slots__ = (
        "_bytes",
        "_ends_at",
        "_message",
        "_receiver",
        "_seconds",
        "_source_timeout",
        "_started",
        "due",
        "outcome",
    )

    def __init__(
        self,
        source: Any,
        collector: Collector | None,
        *,
        seconds: float,
        bytes: int,
        cleanup_timeout: float | None,
        source_timeout: float | None = None,
        receiver: Receiver | None = None,
    ) -> None:
        self._receiver = receiver or Receiver(collector, bytes)
        outbox: Any = self._receiver
        super().__init__(open_source(source, estimate_size), outbox, outbox, cleanup_timeout)
        self._message = collector
        self._seconds = seconds
        self._bytes = bytes
        self._source_timeout = source_timeout
        self._ends_at = math.inf
        self._started = 0.0
        self.outcome: Outcome | None = None
        self.due: float | None = None  # the clock's

    def reader(self) -> AsyncIterator[Any]:
        """Return an async iterator over the items, for one stream. When it is closed, it leaves."""
        return _Reader(self, self._receiver, getattr(self._source, "owner", self._source))

    async def start(self) -> None:
        """Read the source until it first suspends, or ends."""
        loop = self._open()
        start = loop.start_task(self._read(), "gaistream producer")
        try:
            await start
        finally:
            self._task = start.task

    def _open(self) -> EventLoop:
        self._clock = own = clock()
        loop = self._loop = own.loop
        self._receiver.open(loop)
        self._started = loop.time()
        self._streams = open_streams(loop)
        self._move(OPEN)
        return loop

    def detach(self) -> None:
        """Go on without the reader, as one of the loop's open streams."""
        receiver = self._receiver
        receiver.detach()
        if receiver.failure is not None:  # which the reader has not raised
            super().log_failure(receiver.failure)
        if self._phase is OPEN and self._task is not None:
            assert self._clock is not None
            assert self._streams is not None
            now = receiver.last = self._loop.time()
            self._ends_at = now + self._seconds
            self._clock.call(self, self._delay(now))
            if self not in self._streams.streams:
                self._streams.enter(self, was_open=True)

    def goes_on_after(self, kind: OutcomeKind) -> bool:
        """Return True if the source goes on after its reader's stream has ended so."""
        return kind in _GOES_ON and self._phase is OPEN and self._task is not None

    async def read_on(self) -> None:
        """Wait until the source has ended, then close it. Stop it if this task is cancelled."""
        if self._receiver.attached:  # its reader was not begun, so nothing has closed it
            self.detach()
        try:
            await self._receiver.done.wait()
        except self._loop.cancelled:
            if self._task is not None and self._task.cancelling():
                self._is_cancelled()  # by the end of asyncio.run, which cancels all tasks
            self._interrupt("the server was stopped")
            raise
        finally:
            await self.close("cancelled")

    async def close(self, kind: OutcomeKind) -> None:
        """Stop the source if it has not ended, and close it.

        Args:
            kind: how the reader's stream has ended, if the source has not.
        """
        own = self._clock or clock()
        if self._phase is OPENING:
            self._kind, self._phase = kind, ENDED
        self._end(kind)
        if self._streams is not None and self._streams.draining is not None:
            self._drain_ends = min(self._drain_ends, self._streams.draining.ends_at)
        self._stop_source()
        own.forget(self)
        await self._wait_for_source(own)

    def release(self) -> None:
        """Leave the open streams, and drop the failure."""
        if self._streams is not None:
            self._streams.leave(self)
        self.failure = self._receiver.failure = self.outcome = None

    def conclude(self, outcome: Outcome) -> Outcome:
        """Return the outcome of the reader's stream with the message, once both are closed."""
        failure = outcome.error or self.failure
        message = None
        if self._message is not None:
            kind = "failed" if outcome.kind == "failed" else self._kind
            message = self._message.end(kind, failure)
        self.outcome = replace(
            outcome,
            events=self._receiver.events,
            seconds=self._loop.time() - self._started if self._started else outcome.seconds,
            error=failure,
            source_closed=self._source_closed,
            message=message,
        )
        return self.outcome

    def log_failure(self, failure: BaseException) -> None:
        """Log the source's exception, unless the reader's stream does."""
        if self._receiver.closed or not self._receiver.attached:
            super().log_failure(failure)

    def _source_ended(self) -> None:
        if self._receiver.over:
            self._note(f"continue_bytes={self._bytes} is exceeded; raise it for longer answers")
        super()._source_ended()

    def _cut(self, kind: OutcomeKind) -> None:
        self.failure = self.failure or interrupted("the server cancelled it")
        super()._cut(kind)

    def _interrupt(self, reason: str) -> None:
        """End the source before its end."""
        if self._phase is OPEN:
            self.failure = interrupted(reason)
            self._end("failed")
            self._stop_source()

    def _note(self, limit: str) -> None:
        """Set the failure of a source that has gone on for too long without its reader."""
        self.failure = interrupted(f"its client has left, and {limit}")
        log.warning("%s ends: %s", source_name(self._source), self.failure)

    # ---- an OpenStream of open_streams.py, once the reader has left ----

    def silent_since(self) -> float:
        """Return the time of the last item."""
        return self._receiver.last

    def drain_begins(self, grace: float) -> None:
        """Note that a drain of `grace` seconds begins: `drain` follows."""
        self.drain_ends_at(self._loop.time() + grace)

    def drain(self, _: int | None) -> None:
        """End the source now."""
        self._interrupt("the server was stopped")

    def interrupt(self, _: OutcomeKind) -> None:
        """End the source now."""
        self._interrupt("the server was stopped")

    # ---- the clock, which calls from the loop, while no task runs ----

    def tick(self, now: float) -> float | None:
        """End a source that goes on, or is silent, for too long."""
        if self._phase is not OPEN:
            return None
        silent = self._source_timeout
        if now >= self._ends_at:
            self._note(f"continue_seconds={self._seconds:g} are over; raise it to wait longer")
        elif silent is not None and now >= self._receiver.last + silent:
            self.failure = silence(self._source, silent)
        else:
            return self._delay(now)
        self._end("failed")
        self._stop_source()
        return None

    def _delay(self, now: float) -> float:
        silent = math.inf if self._source_timeout is None else self._source_timeout
        return max(min(self._ends_at, self._receiver.last + silent) - now, SHORTEST)
