"""How long a reconnecting client waits, and when it gives up."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..core import ServerSentEvent
from ..dialects.detect import Detector
from ..http.received import LONGEST_WAIT

_LEAST_STEP = 0.1  # seconds: a shorter first delay grows as if it were this long


@dataclass(frozen=True, slots=True)
class ReconnectPolicy:
    """When to give up, and how long to wait before each attempt. All times are in seconds.

    The first delay is the server's `retry:` if it sent one, else `initial_delay`; each further
    attempt in a row doubles it, up to `max_delay`. A delay is never shorter than the server's
    `retry:` or Retry-After.

    Args:
        initial_delay: before the first attempt.
        max_delay: the limit of the doubling.
        jitter: the greatest random share of a delay that is added to it.
        max_attempts: reconnects in a row; None: unlimited.
        max_elapsed: from the loss until the last attempt of a row may begin; None: unlimited.
        healthy_after: a connection that was open for this long ends the row.

    Raises:
        ValueError: one of them is negative or not finite.
    """

    initial_delay: float = 1.0
    max_delay: float = 30.0
    jitter: float = 0.25
    max_attempts: int | None = 10
    max_elapsed: float | None = 600.0
    healthy_after: float = 10.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{name} must be at least 0 and finite, not {value!r}")

    def delay(self, attempt: int, hint: float | None, asked: float, chance: float) -> float:
        """Return the seconds to wait before a reconnect.

        Args:
            attempt: the number of attempts in this row so far.
            hint: the seconds of the last `retry:`, or None.
            asked: the seconds of a Retry-After, or 0.
            chance: a random number from 0 to 1, for the jitter.
        """
        first = self.initial_delay if hint is None else hint
        grown = min(self.max_delay, max(first, _LEAST_STEP) * 2.0 ** min(attempt, 32))
        least = max(grown if attempt else first, hint or 0, asked)
        return min(LONGEST_WAIT, least) * (1 + self.jitter * chance)

    def exhausted(self, attempt: int, waited: float, delay: float) -> str:
        """Return which limit forbids another attempt; "" if none does."""
        if self.max_attempts is not None and attempt >= self.max_attempts:
            return f"gave up after max_attempts={self.max_attempts} in {waited:.1f} s"
        if self.max_elapsed is not None and waited + delay > self.max_elapsed:
            return f"gave up: {delay:.1f} s more would exceed max_elapsed={self.max_elapsed:g} s"
        return ""


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """The argument of `on_reconnect`, before each wait.

    Attributes:
        attempt: the number of the coming attempt in its row, from 1.
        delay: seconds until it.
        reason: why the client reconnects.
        last_event_id: the id from which it resumes; "" if there is none.
    """

    attempt: int
    delay: float
    reason: str
    last_event_id: str


def ends_answer(event: ServerSentEvent) -> bool:
    """Return True if an event is the last one of an answer, in whatever protocol.

    These are `done` (as name or `type`), `message_stop`, `[DONE]`, `response.completed`, `.failed`
    and `.incomplete`, `RUN_FINISHED` and `RUN_ERROR`. A client without `is_last` recognises the
    protocol by the events before, and so ends at `finish` and `abort` of the AI SDK too.
    """
    return Detector().is_last(event)
