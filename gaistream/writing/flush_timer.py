"""The periodic flush of writers: one daemon thread for all writers of a process.

It sleeps until the next writer is due, holds writers weakly (a writer that is dropped is not
kept alive, nor flushed), and ends when nothing has been due for a while. A sink that blocks makes
the flushes of the others wait; a writer that is busy is tried again.
"""

from __future__ import annotations

import heapq
import itertools
import os
import threading
import time
import weakref
from typing import Final, Protocol

_LINGER: Final = 5.0  # seconds: a thread costs more to start than to keep


class _Flushable(Protocol):
    def flush_if_due(self) -> bool: ...


class _FlushTimer:
    def __init__(self) -> None:
        # `with` takes the lock itself: a Condition would take it in Python code, in which an
        # exception out of a signal's handler can leave it taken.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._due: list[tuple[float, int, weakref.ref[_Flushable], float]] = []
        self._order = itertools.count()
        self._running = False

    def schedule(self, writer: _Flushable, delay: float, interval: float) -> None:
        with self._lock:
            when = time.monotonic() + delay
            heapq.heappush(self._due, (when, next(self._order), weakref.ref(writer), interval))
            if not self._running:
                threading.Thread(target=self._run, name="gaistream-flush", daemon=True).start()
                self._running = True  # which it looks at only once we have let go
            elif self._due[0][0] == when:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._lock:
                due = self._wait()
                if due is None:
                    self._running = False
                    return
            reference, interval = due
            writer = reference()
            if writer is not None and not writer.flush_if_due():
                self.schedule(writer, interval / 8, interval)
            del writer  # not to be held while waiting

    def _wait(self) -> tuple[weakref.ref[_Flushable], float] | None:
        """Wait for the next that is due; None when nothing was for a while."""
        while True:
            if not self._due:
                if not self._changed.wait(_LINGER) and not self._due:
                    return None
                continue
            delay = self._due[0][0] - time.monotonic()
            if delay <= 0:
                _, _, reference, interval = heapq.heappop(self._due)
                return reference, interval
            self._changed.wait(delay)


_timer = _FlushTimer()


def flush_later(writer: _Flushable, delay: float) -> None:
    """Have `writer.flush_if_due()` called after `delay` seconds, if it still lives then."""
    _timer.schedule(writer, delay, delay)


def _start_anew() -> None:
    global _timer
    _timer = _FlushTimer()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)  # the thread stays in the parent
