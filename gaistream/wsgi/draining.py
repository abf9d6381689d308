"""How the open streams of a process's threads end when its WSGI server is to stop.

A WSGI server waits for its open responses as long as it is configured to, and then cuts them.
`drain()` ends them as shutdown.py does those of an event loop, by the same timetable: a stream on
an event loop of its own (an async source, or `helper_thread=True`) also while its source waits; a
sync source in the server's own thread at its next yield, for nothing can interrupt it before.
New requests get 503. `drain_on_signals()` has the server's signals do that.
"""

from __future__ import annotations

import _thread
import signal
import threading
import time
from types import FrameType
from typing import Any, cast

from ..errors import StreamError
from ..streaming import thread_clock
from ..streaming.clock import LAST_SEND
from ..streaming.drain import Drain, check_drain, drain_at_signal, drain_clock, refusal
from ..streaming.server_signals import DEFAULT_GRACE
from ..streaming.signals import ChainedSignals

__all__ = ["BlockingDrain", "drain", "drain_on_signals", "refusal_in_threads"]


class BlockingDrain:
    """The ending of the streams, once begun."""

    def __init__(self, ending: Drain) -> None:
        self._ending = ending

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until no stream is open or the drain is cancelled, at most `timeout` seconds.

        Returns:
            True if no stream is open.
        """
        ended: Any = self._ending.ended
        return bool(ended.wait(timeout)) and not self._ending.cancelled

    def cancel(self) -> None:
        """Serve again: new requests are answered, and streams that were not ended yet go on.

        It may be called from any thread. A sync source that was to end at its next yield does so.
        """
        with thread_clock.in_threads.lock:
            self._ending.cancel()


def drain(grace: float = DEFAULT_GRACE, *, retry_ms: int | None = None) -> BlockingDrain:
    """End the open streams of this process's WSGI server politely, and refuse new ones.

    As `gaistream.drain`, for the streams of `gaistream.wsgi` and those of `sse()` and `ndjson()`
    with a sync source, in whatever threads they run. It returns at once. A sync source in the
    server's own thread is ended at its next yield, however late that is; an async one, and one
    with `helper_thread=True`, also while it waits.

    Args:
        grace: seconds; 0 ends everything at once.
        retry_ms: milliseconds after which clients are to reconnect; None says nothing.

    Returns:
        An object whose `wait(timeout)` waits until no stream is open, and whose `cancel()` ends the
        drain, so that the process serves again.

    Raises:
        FrameError: a grace that is no number of seconds, or retry_ms that is no whole number.
    """
    check_drain(grace, retry_ms)
    own = thread_clock.in_threads
    with own.lock:
        return BlockingDrain(drain_clock(own, grace, retry_ms))


def refusal_in_threads() -> StreamError | None:
    """Give why a new request is not served now, or None."""
    return refusal(thread_clock.in_threads)


def drain_on_signals(grace: float = DEFAULT_GRACE, *, retry_ms: int | None = None) -> None:
    """Have SIGTERM and SIGINT drain the streams of this process, from now on.

    The handler that stood before is called too. Where there was none, so that the signal would end
    the process, it does that when the streams have ended, or two seconds after the grace time. A
    second signal ends all streams at once. Call it where the server has set its own handlers
    already: in the module of the application, which servers import late, or in a hook. Outside of
    the main thread there are no signals, and nothing is done.

    Args:
        grace: seconds, as `drain` takes them.
        retry_ms: milliseconds, as `drain` takes them.

    Raises:
        FrameError: as `drain`.
    """
    check_drain(grace, retry_ms)
    if threading.current_thread() is threading.main_thread():
        thread_clock.in_threads.signals += 1
        _ThreadSignals(grace, retry_ms)


class _ThreadSignals(ChainedSignals):
    """The signals' handlers; a drain waits for locks, which a handler must not: it gets a thread.

    `_thread` starts it without waiting for it, which gevent's hub must not do either.
    """

    def __init__(self, grace: float, retry_ms: int | None) -> None:
        self._grace = grace
        self._retry_ms = retry_ms
        self._over = False  # the streams have ended, and the process is to
        super().__init__()

    def tell(self, number: int, ordinal: int) -> None:
        """Begin the drain in a thread, or end the process if it is over."""
        if self._over:  # only here, in the main thread, may handlers be set
            self.repeat(number)
        else:
            _thread.start_new_thread(self._drain, (number, ordinal))

    def _ends_process(self, number: int) -> bool:
        return self.before[number] in (signal.SIG_DFL, signal.default_int_handler)

    def call_before(self, number: int, frame: FrameType | None) -> None:
        """Do what was done before, but do not end the process yet."""
        if not self._ends_process(number):
            super().call_before(number, frame)

    def _drain(self, number: int, ordinal: int) -> None:
        own = thread_clock.in_threads
        with own.lock:
            ending = drain_at_signal(own, self._grace, self._retry_ms, ordinal)
            left = ending.ends_at - own.loop.time()
        if not self._ends_process(number):
            return
        BlockingDrain(ending).wait(max(left, 0) + LAST_SEND)
        if not ending.cancelled:
            time.sleep(LAST_SEND)  # servers send the last bytes after the stream has ended
            self._over = True
            _signal_main(number)


def _signal_main(number: int) -> None:
    """Have the main thread handle a signal at once, also where it waits."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(cast(int, threading.main_thread().ident), number)
    else:
        _thread.interrupt_main(signal.Signals(number))
