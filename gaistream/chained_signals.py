"""Handlers of SIGTERM and SIGINT in front of those that stand there, which are called too."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

__all__ = ["ChainedSignals"]


class ChainedSignals:
    """The signals' handlers, in front of those that stood there.

    Args:
        grace: seconds; a second signal gives none.
        tell: called in the handler, with the signal's number and the seconds.
    """

    def __init__(self, grace: float, tell: Callable[[int, float], None]) -> None:
        self._grace = grace
        self._tell = tell
        self._told = False
        self.before: dict[int, Any] = {}
        for number in (signal.SIGTERM, signal.SIGINT):
            before = signal.getsignal(number)
            # None is not Python's, so that it cannot be called; an ignored signal stays ignored.
            if before is not None and before is not signal.SIG_IGN:
                self.before[number] = before
                signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        grace = 0.0 if self._told else self._grace
        self._told = True
        self._tell(number, grace)
        self.call_before(number, frame)

    def call_before(self, number: int, frame: FrameType | None) -> None:
        """Do what was done before, where that is a function."""
        before = self.before[number]
        if callable(before):
            before(number, frame)

    def repeat(self, number: int) -> None:
        """Do, in the end, what the signal does where nobody handles it.

        Whoever has set a handler in front of ours since has been called, and called ours.
        """
        signal.signal(number, self.before[number])
        os.kill(os.getpid(), number)

    def restore(self) -> None:
        """Have the former handlers back, unless somebody has set others since."""
        for number, before in self.before.items():
            if signal.getsignal(number) == self._handle:
                signal.signal(number, before)
