"""`drain()` and `drain_on_signals()` for WSGI: how a server's open streams end when it is to stop.

A WSGI server waits for its open responses as long as it is configured to, and then cuts them. A
drain ends them as `gaistream.drain` does those of an event loop. A stream on an event loop of its
own (an async source, or `helper_thread=True`) ends also while its source waits; a sync source in
the server's own thread ends at its next yield, because nothing can interrupt it before.
"""

from __future__ import annotations

import _thread
import signal
import threading
import time
from types import FrameType
from typing import cast

from ..streaming import thread_streams
from ..streaming.drain import check_drain
from ..streaming.open_streams import LAST_SEND
from ..streaming.server_signals import DEFAULT_GRACE
from ..streaming.signals import ChainedSignals
from ..streaming.thread_streams import BlockingDrain

__all__ = ["drain", "drain_on_signals"]


def drain(grace: float = DEFAULT_GRACE, *, retry_ms: int | None = None) -> BlockingDrain:
    """End the open streams of this process's WSGI server politely, and refuse new ones.

    As `gaistream.drain`, for the streams of `gaistream.wsgi` and those of `sse()` and `ndjson()`
    with a sync source, in whatever threads they run. It returns at once. A sync source in the
    server's own thread is ended at its next yield, however late that is; an async one, and one
    with `helper_thread=True`, also while it waits.

    Args:
        grace: seconds; 0 ends everything at once.
        retry_ms: milliseconds after which clients are to reconnect; None writes no `retry:`.

    Returns:
        An object whose `wait(timeout)` waits until no stream is open, and whose `cancel()` ends the
        drain, so that the process serves again.

    Raises:
        FrameError: `grace` is not a number of seconds, or `retry_ms` not a whole number.
    """
    check_drain(grace, retry_ms)
    streams = thread_streams.in_threads
    return BlockingDrain(streams.drain(grace, retry_ms), streams.lock)


def drain_on_signals(grace: float = DEFAULT_GRACE, *, retry_ms: int | None = None) -> None:
    """Drain the streams of this process at SIGTERM and SIGINT, from now on.

    The handler that was set before is called too. If there was none, so that the signal would end
    the process, it does that when the streams have ended, or two seconds after the grace time. A
    second signal ends all streams at once. Call this after the server has set its own handlers: in
    the module of the application, which servers import late, or in a hook. Outside of the main
    thread there are no signals, and the call does nothing.

    Args:
        grace: seconds, as `drain` takes them.
        retry_ms: milliseconds, as `drain` takes them.

    Raises:
        FrameError: as `drain`.
    """
    check_drain(grace, retry_ms)
    if threading.current_thread() is threading.main_thread():
        thread_streams.in_threads.signal_hooks += 1
        _ThreadSignals(grace, retry_ms)


class _ThreadSignals(ChainedSignals):
    """The handlers that drain the streams in threads, from another thread.

    A drain waits for locks, which a signal handler must not. `_thread` starts that thread without
    waiting for it, because gevent's hub must not wait either.
    """

    def __init__(self, grace: float, retry_ms: int | None) -> None:
        self._grace = grace
        self._retry_ms = retry_ms
        self._over = False  # the streams have ended, and the process is to end
        super().__init__()

    def hear(self, number: int, ordinal: int) -> None:
        if self._over:  # the handlers can be restored only here, in the main thread
            self.repeat(number)
        else:
            _thread.start_new_thread(self._drain, (number, ordinal))

    def _ends_process(self, number: int) -> bool:
        return self.before[number] in (signal.SIG_DFL, signal.default_int_handler)

    def call_before(self, number: int, frame: FrameType | None) -> None:
        """Call the former handler, unless it ends the process: `_drain` does that later."""
        if not self._ends_process(number):
            super().call_before(number, frame)

    def _drain(self, number: int, ordinal: int) -> None:
        streams = thread_streams.in_threads
        drain = streams.drain_at_signal(ordinal, self._grace, self._retry_ms)
        if not self._ends_process(number):
            return
        left = drain.ends_at - streams.timer.time()
        BlockingDrain(drain, streams.lock).wait(max(left, 0) + LAST_SEND)
        if not drain.cancelled:
            time.sleep(LAST_SEND)  # servers send the last bytes after the stream has ended
            self._over = True
            _signal_main(number)


def _signal_main(number: int) -> None:
    """Send a signal to the main thread, which handles it at once even while it waits."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(cast(int, threading.main_thread().ident), number)
    else:
        _thread.interrupt_main(signal.Signals(number))
