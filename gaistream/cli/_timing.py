"""When the events of a stream came: what `tail` sums up. No input or output."""

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
        """Note an event, and give the seconds since the request."""
        now = self._now()
        if self._first is None:
            self._first = now
        else:
            self._gap = max(self._gap, now - self._last)
        self._last = now
        self.count += 1
        return now - self._began

    def summary(self) -> str:
        """Tell how many events came, when the first did, how fast they were, and the longest gap.

        The rate is that of the events behind the first one, over the time that they took.
        """
        events = f"{self.count} event{'s' * (self.count != 1)}"
        said = [f"{events} in {seconds(self._now() - self._began)}"]
        if self._first is not None:
            said.append(f"first after {seconds(self._first - self._began)}")
        if self._first is not None and self._last > self._first:
            said.append(f"{_plain((self.count - 1) / (self._last - self._first))} events/s")
            said.append(f"longest gap {seconds(self._gap)}")
        return ", ".join(said)


def _plain(rate: float) -> str:
    if rate >= 100:
        return f"{rate:,.0f}"
    if rate < 0.01:
        return "under 0.01"
    return f"{rate:.1f}" if rate >= 10 else f"{rate:.2f}"
