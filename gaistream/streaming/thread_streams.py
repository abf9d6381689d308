"""The open streams of a process that run in threads, each in its own thread.

WSGI servers run such streams, and so does a program that iterates `sse()` of a sync source. They
are drained as those of an event loop are; the drain's timer is a thread that runs only while a
call is due. Thread-safe.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from .open_streams import Drain, DrainTimer, OpenStream, OpenStreams

__all__ = ["BlockingDrain", "ThreadStreams", "in_threads"]


class ThreadStreams(OpenStreams):
    """A registry of streams in threads. Thread-safe.

    Only `wsgi.drain_on_signals` drains them at a signal.

    Args:
        timer: the time of its drains; None: the system's.

    Attributes:
        lock: held while streams come, go or are ended.
    """

    def __init__(self, timer: DrainTimer | None = None) -> None:
        # Reentrant: the garbage collector may close a stream in the thread that holds it.
        self.lock = threading.RLock()
        super().__init__(timer or _ThreadTimer(self.lock))

    def enter(self, stream: OpenStream, *, was_open: bool = False) -> None:
        """Add a stream. During a drain it is ended at once, or in its grace time if it was open."""
        with self.lock:
            super().enter(stream, was_open=was_open)

    def leave(self, stream: OpenStream) -> None:
        """Remove a stream, if it is there."""
        with self.lock:
            super().leave(stream)

    def drain(self, grace: float, retry_ms: int | None) -> Drain:
        """Begin a drain, or shorten the one that has begun."""
        with self.lock:
            return super().drain(grace, retry_ms)

    def drain_at_signal(
        self, ordinal: int, grace: float, retry_ms: int | None, *, automatic: bool = False
    ) -> Drain:
        """Begin a drain; end all streams at once if an earlier signal has begun it."""
        with self.lock:
            return super().drain_at_signal(ordinal, grace, retry_ms, automatic=automatic)


class BlockingDrain:
    """A drain of streams in threads."""

    def __init__(self, drain: Drain, lock: threading.RLock) -> None:
        self._drain = drain
        self._lock = lock

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until no stream is open or the drain is cancelled, at most `timeout` seconds.

        Returns:
            True if no stream is open.
        """
        return bool(self._drain.ended.wait(timeout)) and not self._drain.cancelled

    def cancel(self) -> None:
        """Serve again: new requests are answered, and streams that were not ended yet go on.

        It may be called from any thread. A sync source that was to end at its next yield still
        does so.
        """
        with self._lock:
            self._drain.cancel()


class _ThreadTimer:
    """The one timer of a drain: a daemon thread that waits until its call is due."""

    time = staticmethod(time.monotonic)

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._next: _Call | None = None
        self._changed: threading.Event | None = None  # wakes the thread, while there is one

    def create_event(self) -> threading.Event:
        return threading.Event()

    def call_at(self, when: float, callback: Callable[[], None]) -> _Call:
        """Call a function at a time, with the lock, instead of the one set before."""
        changed, begins = self._changed, self._changed is None
        if changed is None:  # made only now, because gevent may have patched threading meanwhile
            changed = self._changed = threading.Event()
        self._next = call = _Call(when, callback, changed)
        changed.set()
        if begins:
            threading.Thread(
                target=self._run, args=(changed,), name="gaistream-drain", daemon=True
            ).start()
        return call

    def _run(self, changed: threading.Event) -> None:
        """Make the calls, until none is left."""
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


class _Call:
    """A call that is due at a time, and the event that wakes the timer's thread."""

    def __init__(self, when: float, callback: Callable[[], None], changed: threading.Event) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback
        self._changed = changed

    def cancel(self) -> None:
        self.callback = None
        self._changed.set()


in_threads = ThreadStreams()
