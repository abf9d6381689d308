"""The source's side of a stream: the task that reads it into the outbox, and its end.

The source runs in its own task, which shares the context of the connection's. It is closed there,
in every outcome and once. A stream that is over cancels the task once, for a second cancellation
would break off the source's clean-up, and waits for its end (see cleanup.py).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from .._log import log
from ..core import Outbox
from ..errors import EventError, UnsayableError, ungrouped
from ..loops.protocols import EventLoop, Task
from ..loops.sources import close_source, is_left_running, source_name
from .cleanup import Cleanup
from .clock import Clock
from .open_streams import LoopStreams, streams_of_source
from .outcome import OutcomeKind, Route, log_failure
from .phases import CUT, ENDED, ENDING, MOVES, OPEN, OPENING, Phase

if TYPE_CHECKING:
    from .collector import Collector


class _Source(enum.Enum):
    """What the source's task does."""

    UNREAD = enum.auto()
    READ = enum.auto()
    CANCELLED = enum.auto()  # by the stream, once
    CLOSING = enum.auto()


class SourceSide:
    """The source's side of a stream. Belongs to the task that starts the stream.

    Args:
        source: an async or sync iterable of items that the encoder's dialect takes.
        encoder: an SSEEncoder or NDJSONEncoder.
        outbox: takes the encoder's frames.
        cleanup_timeout: seconds that the source may take to end once it was cancelled, or None.

    Attributes:
        failure: the exception that the source raised, or None.
        answerable: True while a failure before the first event is answered, and logged, by the
            caller.
        route: of the request, for the log.
    """

    __slots__ = (
        "_beside",
        "_cleanup",
        "_cleanup_timeout",
        "_clock",
        "_collector",
        "_drain_ends",
        "_encoder",
        "_kind",
        "_loop",
        "_outbox",
        "_phase",
        "_source",
        "_source_state",
        "_streams",
        "_task",
        "answerable",
        "failure",
        "route",
    )

    def __init__(
        self, source: Any, encoder: Any, outbox: Outbox, cleanup_timeout: float | None
    ) -> None:
        self._source = source
        self._encoder = encoder
        self._outbox = outbox
        self._cleanup_timeout = cleanup_timeout
        self.failure: BaseException | None = None
        self.answerable = False
        self.route: Route | None = None
        self._phase = OPENING
        self._kind: OutcomeKind = "completed"  # how it has ended, or was cut
        self._source_state = _Source.UNREAD
        self._task: Task | None = None  # the source's
        self._beside: tuple[Task, str] | None = None
        self._cleanup: Cleanup | None = None
        self._drain_ends = math.inf
        self._clock: Clock | None = None
        self._collector: Collector | None = None
        self._streams: LoopStreams | None = None
        self._loop: EventLoop

    @property
    def failed_unsaid(self) -> bool:
        """True if the source raised before it yielded anything."""
        return self.failure is not None and not self._outbox.events

    @property
    def is_broken(self) -> bool:
        """True if the dialect has not written the end: `failure` says why."""
        return self._phase is CUT and self._kind == "failed"

    @property
    def left_behind(self) -> bool:
        """True if the source still runs after `close`."""
        return self._task is not None and not self._task.done()

    @property
    def _source_closed(self) -> bool:
        in_time = self._cleanup is None or self._cleanup.in_time
        return in_time and not self.left_behind and not is_left_running(self._source)

    # ---- moves ----

    def _move(self, phase: Phase, kind: OutcomeKind | None = None) -> bool:
        """Enter a phase and return True, if that is a legal move."""
        if phase not in MOVES[self._phase]:
            return False
        self._phase = phase
        if kind is not None:
            self._kind = kind
        return True

    def _end(self, kind: OutcomeKind) -> None:
        """Accept no more items: the end is written."""
        if self._move(ENDING, kind):
            self._outbox.close()
            if self._collector is not None:
                self._collector.is_open = False

    def _cut(self, kind: OutcomeKind) -> None:
        """Send nothing more."""
        if self._move(CUT, kind):
            self._outbox.close(kind)
            if self._collector is not None:
                self._collector.is_open = False

    def drain_is_cancelled(self) -> None:
        """Note that the drain does not end the stream any more, if it has not."""
        self.drain_ends_at(math.inf)

    def drain_ends_at(self, when: float) -> None:
        """Note when a drain ends, by the loop's clock; the source's clean-up ends then too."""
        self._drain_ends = when
        if self._cleanup is not None:
            self._cleanup.drain_ends_at(when)

    # ---- the source's end ----

    def close_after(self, task: Task, name: str) -> None:
        """Make `close` wait for a task too, after the source and for as long.

        Args:
            task: one that runs beside the source's.
            name: what messages call it.
        """
        self._beside = task, name

    def _stop_source(self) -> None:
        """Cancel the source, once: a second time would break off its own clean-up.

        If its task is being cancelled already, that may be by the source's own time-out, which goes
        on after it, or by the end of `asyncio.run`, which cancels all tasks. In a stream that is
        being cancelled too, the next steps of the source show whether it is taken back.
        """
        task, outbox = self._task, self._outbox
        if task is None or self._source_state in (_Source.CANCELLED, _Source.CLOSING):
            outbox.after_step = None
        elif self._phase is CUT and self._kind == "cancelled" and task.cancelling():
            outbox.after_step = self._stop_source
        else:
            outbox.after_step = None
            if self._source_state is _Source.READ:
                self._source_state = _Source.CANCELLED
            task.cancel()

    def _is_cancelled(self) -> None:
        """Note that others cancel the source's task."""
        if self._source_state is _Source.READ:
            self._source_state = _Source.CANCELLED

    async def _wait_for_source(self, own: Clock) -> None:
        """Wait for the end of the source's task, or close the source in a task."""
        if self._task is not None:
            await self._wait_for_end(own, self._task)
        if self._source_state is _Source.UNREAD:  # no task, or cancelled before its first step
            self._source_state = _Source.CLOSING
            self._task = own.loop.create_task(close_source(self._source), name="gaistream source")
            await self._wait_for_end(own, self._task)
        if self._beside is not None:
            await self._wait_for_end(own, *self._beside)

    def _wait_for_end(self, own: Clock, task: Task, name: str | None = None) -> Awaitable[None]:
        """Wait for a task's end, for as long as it may take.

        Args:
            own: the stream's clock.
            task: the source's, or another one.
            name: of a task that is not the source's.
        """
        if task.done():
            return own.loop.ended(task)
        if self._cleanup is None:
            self._cleanup = Cleanup(own, self._cleanup_timeout, self._drain_ends)
        return self._cleanup.wait(task, name or source_name(self._source), of_source=name is None)

    # ---- the source's task ----

    async def _read(self) -> None:
        """Write everything that the source yields, then the end; never raises but to cancel."""
        self._source_state = _Source.READ
        streams_of_source.set(self._streams)
        accept: Callable[[Any], bool] = self._outbox.accept
        if self._collector is not None:
            accept = _collecting(accept, self._collector)
        try:
            try:
                async for item in self._source:
                    if accept(item):
                        if self._phase is not OPEN or self._encoder.ended:
                            break
                        await self._give_turn()
            except BaseException as error:
                if isinstance(error, self._loop.cancelled):
                    await self._close_source()  # which may take it back, as asyncio.timeout does
                if self._ends_task(error):
                    raise
            self._source_ended()
        finally:
            await self._close_source()
            del self, accept  # a failure's traceback holds this frame, and somebody may keep it

    async def _give_turn(self) -> None:
        """Yield to the loop, and wait while more bytes are pending than the client takes."""
        if self._outbox.hold():
            assert self._clock is not None
            self._clock.flush(self._outbox, self._encoder.options.flush_interval)
            return
        with self._loop.shield_from_source_scopes():
            await self._loop.sleep(0)
            while (room := self._outbox.wait_for_room()) is not None:
                await room

    async def _close_source(self) -> None:
        """Close the source, once, in its own task; only `cleanup_timeout` breaks that off."""
        if self._source_state is _Source.CLOSING:
            return
        self._source_state = _Source.CLOSING
        if self._task is not None:  # None: it is an eager task
            self._loop.shield_cancelled_task(self._task)
        await close_source(self._source)

    def _ends_task(self, error: BaseException) -> bool:
        """Return True if a source's exception ends its task; else keep it as the failure."""
        failure = self._loop.failure_in(error)
        if failure is None:  # cancelled, by the stream or by the server
            if self._phase is OPEN:
                self._cut("cancelled")
            return True
        failure = ungrouped(failure)
        if self.failure is None:
            self.failure = failure
        was_ended = ENDING <= self._phase <= ENDED  # without the source
        if was_ended or not (self.answerable and self.failed_unsaid):
            self.log_failure(failure)
        return False

    def log_failure(self, failure: BaseException) -> None:
        """Log the source's exception, unless its text is for the client."""
        log_failure(failure, source_name(self._source), self.route)

    def _break(self, error: Exception) -> None:
        """Cut the stream, whose end the dialect has not written: it must not look whole."""
        self.failure = self.failure or error
        if not isinstance(error, UnsayableError):
            log.error("the end of a stream could not be written", exc_info=error)
        self._cut("failed")

    def _source_ended(self) -> None:
        """Write the end, unless that was done without the source."""
        if self._phase is OPEN:
            try:
                self._encoder.end(self.failure)
            except Exception as error:
                self._break(error)
                return
            self._end("failed" if self._encoder.failed else "completed")


def _collecting(accept: Callable[[Any], bool], collector: Collector) -> Callable[[Any], bool]:
    """Return a function that writes an item, and adds it to the message if it was written.

    It does not hold the stream, which holds a failure whose traceback holds the function's frame.
    """
    add = collector.message.add

    def accept_and_collect(item: Any) -> bool:
        looks = accept(item)
        if not looks or collector.is_open:
            try:
                add(item)
            except EventError:  # a dict, or frames
                collector.add(item)
        return looks

    return accept_and_collect
