"""The helper threads of blocking sources, bounded in number and awaited at exit.

A thread cannot be interrupted: a source whose stream has ended keeps its thread until its next
yield. The number of such abandoned threads is bounded, and so is that of all helper threads. A
source beyond either bound is refused. When the interpreter exits, each source is asked to end and
gets a moment for its clean-up.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from .._log import log
from ..errors import StreamError

LONGEST_END: Final = 1.0  # seconds that an abandoned source gets to end
_RETRY_AFTER: Final = 5  # seconds


class NoThreadLeft(StreamError):
    """A blocking source was refused, because too many helper threads are running."""


class InThread(Protocol):
    """A source that runs in a helper thread."""

    def stop(self) -> None:
        """Ask the source to end at its next yield; may be called from any thread."""


class _HelperThreads:
    """The helper threads of this process. Thread-safe."""

    def __init__(self) -> None:
        self.abandoned_limit = 64
        self.limit = 1000
        self.forget_all()

    def forget_all(self) -> None:
        """Start from zero, as in a forked process, where none of the threads runs."""
        # Reentrant: the garbage collector may close a stream in the thread that holds it.
        self._lock = threading.RLock()
        self._running: dict[InThread, threading.Thread] = {}
        self._abandoned: dict[InThread, float] = {}  # and the time when it was
        self._refused = False  # the last source: a series of refusals is logged once

    def start(self, source: InThread, run: Callable[..., Any], *arguments: Any) -> None:
        """Call `run` in a new thread, which must call `ended` last.

        Raises:
            NoThreadLeft: a bound is reached.
        """
        thread = _new_thread(run, arguments)
        with self._lock:
            running, abandoned = len(self._running), len(self._abandoned)
            full = running >= self.limit or abandoned >= self.abandoned_limit
            if not full:
                self._running[source] = thread
            first = full and not self._refused
            self._refused = full
        if full:
            if first:  # not each one, which would fill a busy server's log
                log.warning(
                    "a blocking source was refused: %d helper threads are running, %d of them "
                    "for streams that are over; the bounds are blocking_threads(abandoned=%d, "
                    "total=%d), and an async source needs no thread",
                    running, abandoned, self.abandoned_limit, self.limit,
                )  # fmt: skip
            raise NoThreadLeft(
                "the server has too many open streams",
                code="too_many_streams",
                status=503,
                retry_after=_RETRY_AFTER,
            )
        try:
            thread.start()
        except Exception:  # not KeyboardInterrupt: the thread may have started by then
            self.ended(source)
            raise

    def abandon(self, source: InThread) -> None:
        """Count a source as abandoned until its thread has ended."""
        with self._lock:
            if source in self._running:
                self._abandoned.setdefault(source, time.monotonic())

    def ended(self, source: InThread) -> None:
        """Stop counting a source: its thread is about to end."""
        with self._lock:
            self._running.pop(source, None)
            self._abandoned.pop(source, None)

    def wait_for(self, source: InThread) -> None:
        """Wait until the thread of a source has ended, if it has one."""
        with self._lock:
            thread = self._running.get(source)
        if thread is not None:
            thread.join()

    def end_all(self) -> None:
        """Ask every source to end, and wait until each has ended or has had LONGEST_END seconds."""
        with self._lock:
            running = list(self._running.items())
        for source, _ in running:
            self.abandon(source)
            source.stop()
        for source, thread in running:
            since = self._abandoned.get(source)
            if since is not None and thread.is_alive():
                thread.join(max(0.0, since + LONGEST_END - time.monotonic()))


def _new_thread(run: Callable[..., Any], arguments: tuple[Any, ...]) -> threading.Thread:
    """Return a daemon thread: a source that blocks for ever must not keep the process alive."""
    thread = threading.Thread(target=run, args=arguments, name="gaistream-source")
    with contextlib.suppress(RuntimeError):  # isolated subinterpreters have no daemon threads
        thread.daemon = True
    return thread


helper_threads = _HelperThreads()
atexit.register(helper_threads.end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=helper_threads.forget_all)
