"""The time that a source has for its clean-up once its stream is over.

A source is cancelled once, for a second cancellation would break off its clean-up. If it has not
ended in its time it is cancelled again, and a second later it is left behind.
"""

from __future__ import annotations

import math

from .._log import log
from ..loops.protocols import End, Task
from .clock import Clock
from .open_streams import LAST_SEND

CLEANUP_TIMEOUT = 30.0  # seconds
SHORTEST = 0.001  # seconds until a call of the clock


class Cleanup:
    """The wait for a task's end, for as long as it may take.

    Args:
        clock: of the event loop.
        timeout: seconds from now, or None.
        drain_ends: when a drain ends that began while the stream was open, or infinity.

    Attributes:
        in_time: False once the source was cancelled again.
    """

    __slots__ = ("_by", "_cancelled_again", "_clock", "_drain_ends", "_end", "_name", "_of_source",
                 "_task", "due", "in_time")  # fmt: skip

    def __init__(self, clock: Clock, timeout: float | None, drain_ends: float) -> None:
        self._clock = clock
        self._by = math.inf if timeout is None else clock.loop.time() + timeout
        self._drain_ends = drain_ends
        self._task: Task | None = None
        self._end: End
        self._name = ""
        self._of_source = True
        self._cancelled_again = False
        self.in_time = True
        self.due: float | None = None  # the clock's

    async def wait(self, task: Task, name: str, *, of_source: bool = True) -> None:
        """Wait for the task's end.

        Args:
            task: the source's, or one that runs beside it.
            name: what messages call it.
            of_source: False if the task is not the source's.
        """
        if task is not self._task:
            self._task, self._end = task, self._clock.loop.end_of(task)
            self._name, self._of_source = name, of_source
            self._cancelled_again = False
            self._set_timer()
        await self._end.wait()
        self._clock.forget(self)

    def drain_ends_at(self, when: float) -> None:
        """Note when a drain ends, which may shorten the time."""
        self._drain_ends = when
        if not self._cancelled_again:
            self._set_timer()

    def tick(self, now: float) -> float | None:
        """Cancel a task that does not end in time, then go on without it."""
        assert self._task is not None
        if self._task.done():
            return None
        if self._cancelled_again:
            log.error("%s does not end, though it was cancelled: left behind", self._name)
            self._end.give_up()
            return None
        if now < self._ends_at:  # a shorter drain was cancelled
            return self._delay(now)
        self.in_time = self.in_time and not self._of_source
        log.warning(
            "%s has not ended in the time for its clean-up: cancelled%s",
            self._name,
            " again" if self._of_source else "",
        )
        self._cancelled_again = True
        self._task.cancel()
        return LAST_SEND

    @property
    def _ends_at(self) -> float:
        return min(self._by, self._drain_ends + LAST_SEND)

    def _delay(self, now: float) -> float | None:
        left = self._ends_at - now
        return max(left, SHORTEST) if left < math.inf else None

    def _set_timer(self) -> None:
        if self._task is not None and not self._task.done():
            delay = self._delay(self._clock.loop.time())
            if delay is not None:
                self._clock.call(self, delay)
