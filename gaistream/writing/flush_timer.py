"""The periodic flush of writers: one daemon thread for all writers of a process.

The thread sleeps until the next writer is due, and ends if there was none for a few seconds. It
holds weak references: a writer that is dropped is neither kept alive nor flushed. While a sink
blocks, other writers are not flushed; a writer that is busy is tried again.
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
        # For `with`: a Condition acquires its lock in Python code, where an exception of a
        # signal's handler can leave it acquired.
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
                self._running = True  # the new thread reads it after the lock is released
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
            del writer  # a strong reference, not to be held while waiting

    def _wait(self) -> tuple[weakref.ref[_Flushable], float] | None:
        """Return the next writer when it is due, with its interval; None after idle seconds."""
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
    """Call `writer.flush_if_due()` in `delay` seconds, unless the writer is gone by then."""
    _timer.schedule(writer, delay, delay)


def _replace_timer() -> None:
    global _timer
    _timer = _FlushTimer()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_replace_timer)  # the thread runs only in the parent
