"""The timing of a stream's events, as `tail` sums it up. No input or output."""

from __future__ import annotations

import time
from collections.abc import Callable

from ._terminal import seconds


class Timing:
    """Counts events and the time between them. Belongs to one task.

    Args:
        now: a clock, in seconds; for tests.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._began = now()
        self._first: float | None = None
        self._last = self._began
        self._gap = 0.0
        self.count = 0

    def event(self) -> float:
        """Note an event. Return the seconds since the request."""
        now = self._now()
        if self._first is None:
            self._first = now
        else:
            self._gap = max(self._gap, now - self._last)
        self._last = now
        self.count += 1
        return now - self._began

    def summary(self) -> str:
        """Return the number of events, the time of the first one, their rate and the longest gap.

        The rate is that of the events after the first one, over the time that they took.
        """
        events = f"{self.count} event{'s' * (self.count != 1)}"
        parts = [f"{events} in {seconds(self._now() - self._began)}"]
        if self._first is not None:
            parts.append(f"first after {seconds(self._first - self._began)}")
        if self._first is not None and self._last > self._first:
            parts.append(f"{_plain((self.count - 1) / (self._last - self._first))} events/s")
            parts.append(f"longest gap {seconds(self._gap)}")
        return ", ".join(parts)


def _plain(rate: float) -> str:
    if rate >= 100:
        return f"{rate:,.0f}"
    if rate < 0.01:
        return "under 0.01"
    return f"{rate:.1f}" if rate >= 10 else f"{rate:.2f}"
