"""SIGTERM and SIGINT end the open streams of a server, with nothing configured.

A server that is told to stop waits for its open responses, and tells the application too late. So
while an event loop of the main thread has open streams, a handler stands in front of the server's:
it begins a drain and passes the signal on. It is put there with the first stream, and taken away
with the last; nothing is patched. `drain_on_signals` takes its place on the loop that it acts on.

A script, a notebook and a test keep their handlers: no handler stands in front of the system's or
Python's own.
"""

from __future__ import annotations

import _thread
import contextlib
import signal
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from ..writing.options import check_seconds
from .signals import ChainedSignals

if TYPE_CHECKING:
    from .clock import Clock

DEFAULT_GRACE: Final = 5.0

# Modules that handle SIGINT for the program that they run, and do not end the process by that.
_PYTHONS_OWN: Final = ("asyncio.runners", "ipykernel.kernelbase", "pdb", "unittest.signals")
# It handles no SIGTERM, as no script does.
_WITHOUT_HANDLER: Final = "hypercorn.trio.run"
_TRIOS_OWN: Final = "trio._core._ki"
_IS_MAIN_INTERPRETER: Final = getattr(_thread, "_is_main_interpreter", lambda: True)()

_grace: float | None = DEFAULT_GRACE
_loops: list[Clock] = []  # of the main thread, with open streams
_front: _ServerSignals | None = None


def automatic_drain(grace: float | None = DEFAULT_GRACE) -> None:
    """Set what SIGTERM and SIGINT do to the open streams of this process's server.

    Nothing has to be called for the default. While an event loop of the main thread has open
    streams, both signals drain it (see `gaistream.drain`) before the server's own handler is
    called: SIGTERM with this grace time, SIGINT without any, and a second signal ends all streams
    at once. An `EventSourceResponse` keeps its `shutdown_grace_period` at the first signal. Signals
    that no server handles are left alone, so that a script, a notebook and a test end as ever.
    `gaistream.drain_on_signals` and `gaistream.asgi.DrainMiddleware` take its place on the loop
    that they act on.

    Args:
        grace: seconds from SIGTERM on, shorter than the server's own patience; None turns it off.

    Raises:
        FrameError: a grace that is no number of seconds.
    """
    global _grace
    check_seconds("grace", grace, optional=True)
    _grace = grace
    if _may_set_handlers():
        _set_handler()


def watch(own: Clock) -> None:
    """Note that a loop has open streams."""
    if own.signals or not _may_set_handlers():
        return
    if _loops:
        _loops[:] = [each for each in _loops if not each.loop.is_closed()]
    _loops.append(own)
    _set_handler()


def unwatch(own: Clock) -> None:
    """Note that a loop has no open streams, or that `drain_on_signals` acts on it."""
    if own in _loops:
        _loops.remove(own)
        if not _loops and _may_set_handlers():
            _set_handler()


def _may_set_handlers() -> bool:
    return _IS_MAIN_INTERPRETER and threading.get_ident() == threading.main_thread().ident


def _set_handler() -> None:
    """Put the handler in front of the server's, or take it away, whichever is due."""
    global _front
    if not _loops or _grace is None:
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
    """The handler, from when it is put in front of the server's until it is taken away.

    Attributes:
        is_due: False once it was taken away. Somebody may have set another handler in front of it
            meanwhile, which calls it still: it then only passes signals on.
    """

    def __init__(self) -> None:
        self.is_due = True
        self._heard = False
        super().__init__()

    def takes(self, before: Any) -> bool:
        """Return whether to stand in front of this handler."""
        if not callable(before):
            return before == signal.SIG_DFL and _WITHOUT_HANDLER in sys.modules
        if before is signal.default_int_handler:
            return False
        handler = getattr(before, "func", before)  # of a functools.partial
        return getattr(handler, "__module__", None) not in _PYTHONS_OWN

    def call_before(self, number: int, frame: FrameType | None) -> None:
        """Call the handler that stood before.

        Trio's raises KeyboardInterrupt in the task that happens to run, which may be a stream's
        connection, and ends all others by that. Without a frame it does so in the main task, at its
        next checkpoint; a second signal interrupts one that comes to none.
        """
        module = getattr(self.before[number], "__module__", None)
        if self.is_due and module == _TRIOS_OWN and not self._heard:
            self._heard, frame = True, None
        super().call_before(number, frame)

    def tell(self, number: int, ordinal: int) -> None:
        """Begin the drain of every loop that has open streams."""
        if not self.is_due or _grace is None:
            return
        grace = 0.0 if number == signal.SIGINT else _grace
        for own in list(_loops):
            with contextlib.suppress(RuntimeError):  # the loop is over: there is nothing to end
                own.loop.call_soon_threadsafe(self._drain, own, number, ordinal, grace)

    def _drain(self, own: Clock, number: int, ordinal: int, grace: float) -> None:
        from .drain import drain_at_signal  # which most processes never need

        ended = drain_at_signal(own, grace, None, ordinal, automatic=True)
        self.repeat_after(ended, own.loop, number)
