"""How long a reconnecting client waits, when it gives up, and what it tells of each wait."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..core import ServerSentEvent
from ..dialects.protocols import Ending
from ..http.received import LONGEST_WAIT

_STEP = 0.1  # seconds from which delays grow, where the first one is shorter


@dataclass(frozen=True, slots=True)
class ReconnectPolicy:
    """When to give up, and how long to wait before a new attempt; all times in seconds.

    The first delay is the server's `retry:` where it sent one, else `initial_delay`; each further
    attempt in a row doubles it, up to `max_delay`. What the server asks for by `retry:` or
    Retry-After is never undercut.

    Args:
        initial_delay: before the first attempt.
        max_delay: what our own doubling stops at.
        jitter: each delay is lengthened by a random share of itself up to this one.
        max_attempts: reconnects in a row; None: no ceiling.
        max_elapsed: from the loss until the last attempt of a row may begin; None: no ceiling.
        healthy_after: a connection that was open for so long ends the row.

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
        """Give the seconds before a reconnect.

        Args:
            attempt: how many of the row were made before it.
            hint: the seconds of the last `retry:`, or None.
            asked: the seconds of a Retry-After, or 0.
            chance: a random number from 0 to 1.
        """
        first = self.initial_delay if hint is None else hint
        grown = min(self.max_delay, max(first, _STEP) * 2.0 ** min(attempt, 32))
        least = max(grown if attempt else first, hint or 0, asked)
        return min(LONGEST_WAIT, least) * (1 + self.jitter * chance)

    def exhausted(self, attempt: int, waited: float, delay: float) -> str:
        """Tell which ceiling forbids another attempt; "" where none does."""
        if self.max_attempts is not None and attempt >= self.max_attempts:
            return f"gave up after max_attempts={self.max_attempts} in {waited:.1f} s"
        if self.max_elapsed is not None and waited + delay > self.max_elapsed:
            return f"gave up: {delay:.1f} s more would exceed max_elapsed={self.max_elapsed:g} s"
        return ""


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """Told before each wait: which attempt of the row comes, in how many seconds, and why."""

    attempt: int
    delay: float
    reason: str
    last_event_id: str


def ends_answer(event: ServerSentEvent) -> bool:
    """Return True if an event is the last one of an answer in any protocol.

    `done` (as name or `type`), `message_stop`, `[DONE]`, `response.completed`, `.failed` and
    `.incomplete`, `RUN_FINISHED` and `RUN_ERROR`. It looks at one event; a client that was given no
    `is_last` looks at all of them, and so also takes `finish` and `abort` of the AI SDK for an end.
    """
    return Ending().is_last(event)
