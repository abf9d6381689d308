"""SIGTERM and SIGINT drain the open streams of a server, with nothing configured.

A server that is to stop waits for its open responses, and notifies the application too late. So
while an event loop of the main thread has open streams, a handler stands before the server's: it
begins a drain and passes the signal on. It is set with the first stream and removed with the last;
nothing is patched. `drain_on_signals` replaces it on the loop that it acts on.

A script, a notebook and a test keep their handlers: the handler is never set before the system's
default or Python's own.
"""

from __future__ import annotations

import _thread
import contextlib
import signal
import sys
import threading
from types import FrameType
from typing import Any, Final, Protocol

from ..loops.protocols import EventLoop
from ..writing.options import check_seconds
from .signals import ChainedSignals, Ending

DEFAULT_GRACE: Final = 5.0  # seconds

# Modules whose handler of SIGINT serves the program that they run, and does not end the process.
_PYTHONS_OWN: Final = ("asyncio.runners", "ipykernel.kernelbase", "pdb", "unittest.signals")
_WITHOUT_HANDLER: Final = "hypercorn.trio.run"  # a server that leaves SIGTERM to the system
_TRIOS_OWN: Final = "trio._core._ki"
_IS_MAIN_INTERPRETER: Final = getattr(_thread, "_is_main_interpreter", lambda: True)()

_grace: float | None = DEFAULT_GRACE
_watched: list[Watched] = []  # of loops of the main thread
_front: _ServerSignals | None = None


class Watched(Protocol):
    """The open streams of an event loop.

    Attributes:
        loop: the loop.
        signal_hooks: the number of active `drain_on_signals`, which replace the automatic drain.
    """

    loop: EventLoop
    signal_hooks: int

    def drain_at_signal(
        self, ordinal: int, grace: float, retry_ms: int | None, *, automatic: bool
    ) -> Ending:
        """Begin a drain."""


def automatic_drain(grace: float | None = DEFAULT_GRACE) -> None:
    """Set what SIGTERM and SIGINT do to the open streams of this process's server.

    The default needs no call. While an event loop of the main thread has open streams, both signals
    drain it (see `gaistream.drain`) before the server's own handler is called: SIGTERM with this
    grace time, SIGINT with none, and a second signal ends all streams at once. An
    `EventSourceResponse` keeps its `shutdown_grace_period` at the first signal. Signals that no
    server handles are left alone, so that a script, a notebook and a test end as ever.
    `gaistream.drain_on_signals` and `gaistream.asgi.DrainMiddleware` replace it on the loop that
    they act on.

    Args:
        grace: seconds from SIGTERM on, fewer than the server itself waits; None turns it off.

    Raises:
        FrameError: `grace` is not a number of seconds.
    """
    global _grace
    check_seconds("grace", grace, optional=True)
    _grace = grace
    if _may_set_handlers():
        _set_handler()


def watch(streams: Watched) -> None:
    """Drain these streams at a signal: the first has been opened."""
    if streams.signal_hooks or not _may_set_handlers():
        return
    if _watched:
        _watched[:] = [each for each in _watched if not each.loop.is_closed()]
    _watched.append(streams)
    _set_handler()


def unwatch(streams: Watched) -> None:
    """Stop: none is open any more, or `drain_on_signals` acts on their loop."""
    if streams in _watched:
        _watched.remove(streams)
        if not _watched and _may_set_handlers():
            _set_handler()


def _may_set_handlers() -> bool:
    return _IS_MAIN_INTERPRETER and threading.get_ident() == threading.main_thread().ident


def _set_handler() -> None:
    """Set the handler before the server's, or remove it, whichever is due."""
    global _front
    if not _watched or _grace is None:
        front, _front = _front, None
        if front is not None:
            front.is_due = False
            front.restore()
    elif _front is None:
        try:
            _front = _ServerSignals()
        except ValueError:  # in a subinterpreter of Python 3.11
            _front = None


class _ServerSignals(ChainedSignals):
    """The handlers, from the time they are set until they are removed.

    Attributes:
        is_due: False once they were removed. A handler that was set since may still call them: they
            then only pass the signal on.
    """

    def __init__(self) -> None:
        self.is_due = True
        self._heard = False
        super().__init__()

    def stands_before(self, handler: Any) -> bool:
        if not callable(handler):
            return handler == signal.SIG_DFL and _WITHOUT_HANDLER in sys.modules
        if handler is signal.default_int_handler:
            return False
        function = getattr(handler, "func", handler)  # of a functools.partial
        return getattr(function, "__module__", None) not in _PYTHONS_OWN

    def call_before(self, number: int, frame: FrameType | None) -> None:
        """Call the former handler, trio's in a way that spares the streams.

        Trio's raises KeyboardInterrupt in the task that is running, which may be a stream's
        connection, and that ends all the others. Called without a frame it raises in the main task,
        at its next checkpoint. A second signal interrupts a task that reaches no checkpoint.
        """
        module = getattr(self.before[number], "__module__", None)
        if self.is_due and module == _TRIOS_OWN and not self._heard:
            self._heard, frame = True, None
        super().call_before(number, frame)

    def hear(self, number: int, ordinal: int) -> None:
        if not self.is_due or _grace is None:
            return
        grace = 0.0 if number == signal.SIGINT else _grace
        for streams in list(_watched):
            with contextlib.suppress(RuntimeError):  # the loop is closed: it has no streams
                streams.loop.call_soon_threadsafe(self._drain, streams, number, ordinal, grace)

    def _drain(self, streams: Watched, number: int, ordinal: int, grace: float) -> None:
        drain = streams.drain_at_signal(ordinal, grace, None, automatic=True)
        self.repeat_after(drain, streams.loop, number)
