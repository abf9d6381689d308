"""The open streams of a process that no server's event loop runs: each has a thread of its own.

WSGI servers run them, and so does whoever iterates `sse()` of a sync source. `in_threads` knows
each while it is open, as a loop's Clock does, so that shutdown.py can end them by the same
timetable; its calls are made in a thread that is there only then. Locks itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, cast

from ..loops.event_loop import EventLoop
from .clock import Clock

__all__ = ["ThreadClock", "in_threads"]


class ThreadClock(Clock):
    """The open streams, and how they are ended, once there is a shutdown.Drain.

    Attributes:
        lock: held whenever streams come, go, or are ended.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()  # a collected generator may leave while its thread holds it
        super().__init__(cast(EventLoop, _Timetable(self.lock)))

    def enter(self, stream: Any) -> None:
        """Add a stream; one that comes while the others are being ended is ended at once."""
        with self.lock:
            super().enter(stream)

    def leave(self, stream: Any) -> None:
        """Remove a stream."""
        with self.lock:
            super().leave(stream)


    def watch(self) -> None:
        """Do nothing: only `wsgi.drain_on_signals` ends these streams at a signal."""

    def unwatch(self) -> None:
        """Do nothing."""


class _Call:
    """A call that is to come, and the Event that wakes the thread which waits for it."""

    def __init__(
        self, when: float, callback: Callable[[], None], changed: threading.Event
    ) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback
        self._changed = changed

    def cancel(self) -> None:
        """Not call."""
        self.callback = None
        self._changed.set()


class _Timetable:
    """What a Drain asks of an event loop, which here is a thread that waits for its one timer."""

    time = staticmethod(time.monotonic)

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._next: _Call | None = None
        self._changed: threading.Event | None = None  # the thread's, while there is one

    def create_event(self) -> threading.Event:
        """Make an Event."""
        return threading.Event()

    def call_at(self, when: float, callback: Callable[[], None]) -> _Call:
        """Call a function at a time, instead of what was to be called before."""
        changed, begins = self._changed, self._changed is None
        if changed is None:
            changed = self._changed = threading.Event()  # made late: gevent may have come meanwhile
        self._next = call = _Call(when, callback, changed)
        changed.set()
        if begins:
            threading.Thread(
                target=self._run, args=(changed,), name="gaistream-drain", daemon=True
            ).start()
        return call

    def _run(self, changed: threading.Event) -> None:
        """Make the calls, until there is none to come."""
        while True:
            with self._lock:
                call = self._next
                if call is None or call.callback is None:
                    self._changed = None
                    return
                left = call.when - self.time()
                if left <= 0:
                    self._next = None
                    call.callback()
                    continue
            changed.wait(left)
            changed.clear()


in_threads = ThreadClock()
