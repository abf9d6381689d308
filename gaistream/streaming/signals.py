"""Handlers of SIGTERM and SIGINT in front of those that stand there, which are called too."""

from __future__ import annotations

import os
import signal

# What the functions of `signal` call. They take 50 times as long, to turn numbers into enums, and
# these are called for each stream of a server that has one stream at a time.
from _signal import getsignal as get_handler  # type: ignore[import-not-found]
from _signal import signal as set_handler
from types import FrameType
from typing import Any

from ..loops.event_loop import EventLoop, Task

__all__ = ["ChainedSignals", "get_handler", "set_handler"]

SIGNALS = (int(signal.SIGTERM), int(signal.SIGINT))


class ChainedSignals:
    """The signals' handlers, in front of those that stood there."""

    _signals = 0
    _running = 0  # handlers of the last of them

    def __init__(self) -> None:
        self._ending_process: Task | None = None
        self.before: dict[int, Any] = {}
        for number in SIGNALS:
            before = get_handler(number)
            if self.takes(before):
                self.before[number] = before
                set_handler(number, self._handle)

    def takes(self, before: Any) -> bool:
        """Return whether to stand in front of this handler."""
        # None is not Python's, so that it cannot be called; an ignored signal stays ignored.
        return before is not None and before != signal.SIG_IGN

    def _handle(self, number: int, frame: FrameType | None) -> None:
        own = ChainedSignals
        if not own._running:
            own._signals += 1
        own._running += 1
        try:
            self.tell(number, own._signals)
            self.call_before(number, frame)
        finally:
            own._running -= 1

    def tell(self, number: int, ordinal: int) -> None:
        """Take a signal: its number, and its ordinal in the process.

        All handlers that one signal passes get the same ordinal.
        """
        raise NotImplementedError

    def call_before(self, number: int, frame: FrameType | None) -> None:
        """Do what was done before, where that is a function."""
        before = self.before[number]
        if callable(before):
            before(number, frame)

    def repeat(self, number: int) -> None:
        """Do, in the end, what the signal does where nobody handles it.

        Whoever has set a handler in front of ours since has been called, and called ours.
        """
        set_handler(number, self.before[number])
        os.kill(os.getpid(), number)

    def repeat_after(self, ended: Any, loop: EventLoop, number: int) -> None:
        """Repeat the signal at the end of a shutdown.Drain, if it would have ended the process."""
        if self.before[number] == signal.SIG_DFL:
            self._ending_process = loop.create_task(
                self._wait_and_repeat(ended, number), name="gaistream drain"
            )

    async def _wait_and_repeat(self, ended: Any, number: int) -> None:
        await ended.wait()
        if not ended.cancelled:
            self.repeat(number)

    def restore(self) -> None:
        """Have the former handlers back, unless somebody has set others since."""
        for number, before in self.before.items():
            if get_handler(number) == self._handle:
                set_handler(number, before)
