"""Handlers of SIGTERM and SIGINT that stand before the existing ones and call them too."""

from __future__ import annotations

import os
import signal

# The functions of `signal` take 50 times as long, to turn numbers into enums, and these are called
# for each stream of a server that has one stream at a time.
from _signal import getsignal as get_handler  # type: ignore[import-not-found]
from _signal import signal as set_handler
from types import FrameType
from typing import Any, Protocol

from ..loops.protocols import Event, EventLoop, Task

__all__ = ["ChainedSignals", "get_handler", "set_handler"]

SIGNALS = (int(signal.SIGTERM), int(signal.SIGINT))


class Ending(Protocol):
    """A drain, as the handlers use it: an event, and whether it was cancelled."""

    ended: Event
    cancelled: bool


class ChainedSignals:
    """The handlers of both signals. Belongs to the main thread.

    Attributes:
        before: the former handlers, by the number of their signal.
    """

    _signals = 0  # that were heard in this process
    _running = 0  # handlers of the last signal

    def __init__(self) -> None:
        self._ending_process: Task | None = None
        self.before: dict[int, Any] = {}
        for number in SIGNALS:
            before = get_handler(number)
            if self.stands_before(before):
                self.before[number] = before
                set_handler(number, self._handle)

    def stands_before(self, handler: Any) -> bool:
        """Return True to handle the signal instead of this handler, and call it."""
        # A handler that Python did not set is None, and cannot be called; an ignored signal stays
        # ignored.
        return handler is not None and handler != signal.SIG_IGN

    def _handle(self, number: int, frame: FrameType | None) -> None:
        chain = ChainedSignals
        if not chain._running:
            chain._signals += 1
        chain._running += 1
        try:
            self.hear(number, chain._signals)
            self.call_before(number, frame)
        finally:
            chain._running -= 1

    def hear(self, number: int, ordinal: int) -> None:
        """Act on a signal.

        Args:
            number: the signal.
            ordinal: how many signals have come, the same for all handlers that one signal passes.
        """
        raise NotImplementedError

    def call_before(self, number: int, frame: FrameType | None) -> None:
        """Call the former handler, if it is a function."""
        before = self.before[number]
        if callable(before):
            before(number, frame)

    def repeat(self, number: int) -> None:
        """Restore the former handler and send the signal again.

        A handler that was set since, and calls this one, has been called already.
        """
        set_handler(number, self.before[number])
        os.kill(os.getpid(), number)

    def repeat_after(self, drain: Ending, loop: EventLoop, number: int) -> None:
        """Send the signal again after a drain, if it would have ended the process."""
        if self.before[number] == signal.SIG_DFL:
            self._ending_process = loop.create_task(
                self._wait_and_repeat(drain, number), name="gaistream drain"
            )

    async def _wait_and_repeat(self, drain: Ending, number: int) -> None:
        await drain.ended.wait()
        if not drain.cancelled:
            self.repeat(number)

    def restore(self) -> None:
        """Restore the former handlers, unless others have been set since."""
        for number, before in self.before.items():
            if get_handler(number) == self._handle:
                set_handler(number, before)
