"""The timers of all streams on one event loop: heartbeats, deadlines and delayed flushes.

Times are rounded up to a grid whose step is a power of two, and all streams on one point of the
grid share one timer of the loop, so ten thousand idle streams cost a handful of timers. Flushes
have a grid of their own. Nothing is scheduled per event: a stream that is called too early returns
a later time.
"""

from __future__ import annotations

import math
from typing import Protocol

from .._log import log
from ..core import Turns
from ..loops import event_loop
from ..loops.protocols import EventLoop, Timer


class Scheduled(Protocol):
    """A stream that has asked to be called back at a given time.

    Attributes:
        due: when it will be called, by the loop's clock; None if it will not.
    """

    due: float | None

    def tick(self, now: float) -> float | None:
        """Do what is due. Return the seconds until the next call, or None for no further call."""


class DelaysFlush(Protocol):
    """A stream that holds bytes back, to send them later and together."""

    def flush(self) -> None:
        """Send the held bytes, if there are any."""


class Clock:
    """The timers of the streams on one event loop. Belongs to that loop.

    Attributes:
        loop: the loop.
        grid: points of the grid, at least, within a stream's delay.
        flush_grid: points of the grid of flushes within a delay.
    """

    grid = 16
    flush_grid = 4

    def __init__(self, loop: EventLoop) -> None:
        self.loop = loop
        self._at: dict[float, tuple[Timer, set[Scheduled]]] = {}
        self._held: dict[float, list[DelaysFlush]] = {}
        self._turns: Turns | None = None

    @property
    def turns(self) -> Turns:
        """The turns of the loop in which something is put into a channel."""
        if self._turns is None:
            self._turns = Turns(self.loop.call_soon, _flush)
        return self._turns

    def call(self, stream: Scheduled, delay: float) -> None:
        """Call `stream.tick()` in about `delay` seconds, instead of at its earlier time."""
        self.forget(stream)
        step: float = 2.0 ** math.floor(math.log2(delay / self.grid))
        when = math.ceil((self.loop.time() + delay) / step) * step
        if when not in self._at:
            self._at[when] = (self.loop.call_at(when, self._call_due, when), set())
        self._at[when][1].add(stream)
        stream.due = when

    def forget(self, stream: Scheduled) -> None:
        """Cancel the call of a stream, if there is one."""
        when, stream.due = stream.due, None
        if when is None or when not in self._at:
            return
        timer, streams = self._at[when]
        streams.discard(stream)
        if not streams:
            timer.cancel()
            del self._at[when]

    def flush(self, stream: DelaysFlush, delay: float) -> None:
        """Call `stream.flush()` once, between 3/4 of `delay` and `delay` seconds from now.

        The call cannot be cancelled.
        """
        step = delay / self.flush_grid
        when = (self.loop.time() + delay) // step * step
        if when in self._held:
            self._held[when].append(stream)
        else:
            self._held[when] = [stream]
            self.loop.call_at(when, self._flush_due, when)

    def _flush_due(self, when: float) -> None:
        _flush(self._held.pop(when))

    def _call_due(self, when: float) -> None:
        _, streams = self._at.pop(when)
        now = self.loop.time()
        for stream in streams:
            stream.due = None
            try:
                delay = stream.tick(now)
            except Exception:  # the other streams must be called all the same
                log.exception("a stream's tick failed")
                continue
            if delay is not None:
                self.call(stream, delay)


def _flush(streams: list[DelaysFlush]) -> None:
    for stream in streams:
        try:
            stream.flush()
        except Exception:  # the other streams must be flushed all the same
            log.exception("a stream's flush failed")


def clock() -> Clock:
    """Return the clock of the running event loop; RuntimeError if none runs in this thread."""
    loop = event_loop()
    known: Clock | None = loop.clock
    if known is None:
        known = loop.clock = Clock(loop)
    return known
