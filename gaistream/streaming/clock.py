"""What all streams of one event loop share: one timer, and that each is known while it is open.

The timer serves heartbeats, stall deadlines and, on a grid of their own, late flushes.

A stream says when it wants to be called; times are rounded up to a grid whose step is a power of
two, and all streams on one point of the grid share one timer of the loop, so ten thousand idle
streams cost a handful of timers. Nothing happens per event: a stream that is called too early
just says a later time.
"""

from __future__ import annotations

import math
from contextvars import ContextVar
from typing import Any, Protocol

from .._log import log
from ..loops.event_loop import EventLoop, Timer, event_loop
from . import server_signals

LAST_SEND = 1.0  # seconds that a send may go on, once it is only in the way
_GRID = 16  # points of the grid, at least, within a stream's delay
_FLUSHES = 4  # points of the grid of flushes within a delay


class Ticked(Protocol):
    """Who is called."""

    due: float | None

    def tick(self, now: float) -> float | None:
        """Do what is due, and give the seconds until the next call, or None."""


class Held(Protocol):
    """Who holds bytes back."""

    def flush(self) -> None:
        """Send them."""


class Clock:
    """The timer of one event loop, and its open streams.

    Attributes:
        loop: the loop.
        streams: those that are open.
        draining: what ends them all, a shutdown.Drain, once there is one.
        signals: how many `drain_on_signals` are active; 0: see server_signals.
    """

    def __init__(self, loop: EventLoop) -> None:
        self.loop = loop
        self.streams: set[Any] = set()
        self.draining: Any = None
        self.signals = 0
        self._at: dict[float, tuple[Timer, set[Ticked]]] = {}
        self._held: dict[float, list[Held]] = {}

    def enter(self, stream: Any) -> None:
        """Add a stream; one that comes while the others are being ended is ended at once."""
        if not self.streams:
            self.watch()
        self.streams.add(stream)
        if self.draining is not None:
            self.draining.end(stream)

    def leave(self, stream: Any) -> None:
        """Remove a stream."""
        self.streams.discard(stream)
        if not self.streams:
            self.unwatch()
        if self.draining is not None:
            self.draining.left()

    def watch(self) -> None:
        """Stand in front of a server's handlers of signals, while there are open streams."""
        server_signals.watch(self)

    def unwatch(self) -> None:
        """Stand there no longer."""
        server_signals.unwatch(self)

    def call(self, stream: Ticked, delay: float) -> None:
        """Have `stream.tick()` called in about `delay` seconds, instead of what it asked before."""
        self.forget(stream)
        step: float = 2.0 ** math.floor(math.log2(delay / _GRID))
        when = math.ceil((self.loop.time() + delay) / step) * step
        if when not in self._at:
            self._at[when] = (self.loop.call_at(when, self._strike, when), set())
        self._at[when][1].add(stream)
        stream.due = when

    def forget(self, stream: Ticked) -> None:
        """Not call this stream any more."""
        when, stream.due = stream.due, None
        if when is None or when not in self._at:
            return
        handle, streams = self._at[when]
        streams.discard(stream)
        if not streams:
            handle.cancel()
            del self._at[when]

    def flush(self, stream: Held, delay: float) -> None:
        """Have `stream.flush()` called, once, within `delay` seconds and not before 3/4 of them.

        It cannot be taken back: a stream that holds nothing any more does nothing then.
        """
        step = delay / _FLUSHES
        when = (self.loop.time() + delay) // step * step
        if when in self._held:
            self._held[when].append(stream)
        else:
            self._held[when] = [stream]
            self.loop.call_at(when, self._flush, when)

    def _flush(self, when: float) -> None:
        for stream in self._held.pop(when):
            try:
                stream.flush()
            except Exception:
                log.exception("a stream's flush failed")  # as in _strike

    def _strike(self, when: float) -> None:
        _, streams = self._at.pop(when)
        now = self.loop.time()
        for stream in streams:
            stream.due = None
            try:
                delay = stream.tick(now)
            except Exception:
                log.exception("a stream's tick failed")  # and must not take the others with it
                continue
            if delay is not None:
                self.call(stream, delay)


clock_of_stream: ContextVar[Clock | None] = ContextVar("gaistream_clock", default=None)


def clock() -> Clock:
    """Return the clock of the event loop that runs here; RuntimeError without one."""
    loop = event_loop()
    known: Clock | None = loop.clock
    if known is None:
        known = loop.clock = Clock(loop)
    return known
