"""How the open streams of an event loop end when its server is to stop.

A server waits for its open responses, and a stream that is idle or endless would keep it waiting
until it is killed, which cuts every client in the middle. `drain()` ends them politely instead:
each gets what its source has yielded, a reconnection time if wanted, and a proper end of its body,
without the mark of success. Answers that are being given may be finished within the grace time;
idle streams end at once, or spread over it if they are many, so that not all clients come back at
the same time. New requests get 503.

Servers tell the application too late: it must be told by the signal. server_signals.py does that
by itself, `drain_on_signals()` where the time is to be another. Nothing is patched.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final

from ..errors import StreamError
from ..writing.options import LONGEST_RETRY_MS, check_seconds, check_whole
from . import thread_clock
from .clock import LAST_SEND, Clock, clock, clock_of_stream
from .server_signals import DEFAULT_GRACE
from .signals import ChainedSignals

_STEPS: Final = 40  # in which a drain goes on
_IDLE_STEPS: Final = 30  # those in which idle streams end; the others are for answers
_QUIET: Final = 2.0  # seconds without an event that make a stream an idle one
_AT_ONCE: Final = 100  # idle streams that are ended without being spread


class Drain:
    """The ending of a loop's streams, once begun: await it to go on when the last has ended.

    Attributes:
        ended: the loop's Event; set when the last has ended, or the drain was cancelled.
        ends_at: when the grace time is over, by the loop's clock.
        cancelled: True once it was cancelled.
        signal: the ordinal of the last signal that began or shortened it; the next one ends all
            streams at once.
        keeps_own_grace: a stream's own grace time may be longer than the drain's.
    """

    def __init__(self, own: Clock, retry_ms: int | None) -> None:
        self._clock = own
        self._retry_ms = retry_ms
        self.ended = own.loop.create_event()
        self._timer: Any = None
        self.ends_at = math.inf
        self.cancelled = False
        self.signal: int | None = None
        self.keeps_own_grace = False

    @property
    def retry_after(self) -> float:
        """Return the seconds after which a client that is refused meanwhile may come again."""
        if self._retry_ms is not None:
            return self._retry_ms / 1000
        left = self.ends_at - self._clock.loop.time()
        return max(1, math.ceil(round(left, 3)))  # not a second more for a rounding error

    def begin(self, grace: float) -> None:
        """Begin, or begin anew with what is still open where that ends it earlier."""
        now = self._clock.loop.time()
        if now + grace < self.ends_at:
            self._begin(now, grace)

    def keep_until(self, when: float) -> None:
        """Give a stream its own grace time, if that is longer and may be."""
        if self.keeps_own_grace:
            self.ends_at = max(self.ends_at, when)

    def end(self, stream: Any) -> None:
        """End one stream now."""
        if self._timer is None:
            self._call_at(self._clock.loop.time() + LAST_SEND, self._break_off)
        stream.drain(self._retry_ms)

    def left(self) -> None:
        """Note that a stream has left."""
        if not self._clock.streams:
            self._call_at(None)
            self.ended.set()

    def cancel(self) -> None:
        """Serve again: new requests are answered, and streams that were not ended yet go on.

        It is for tests and for servers that are embedded in a program that goes on. Whoever waits
        for the drain goes on too. The next signal begins another drain, with its grace time.
        """
        if self._clock.draining is self:
            self._clock.draining = None
            self.cancelled = True
            for stream in self._clock.streams:
                stream.drain_is_cancelled()
            self._call_at(None)
            self.ended.set()

    async def wait(self) -> None:
        """Wait until no stream is open, or the drain is cancelled."""
        if self._clock.streams:
            await self.ended.wait()

    def __await__(self) -> Generator[Any, Any, None]:
        return self.wait().__await__()

    def _begin(self, now: float, grace: float) -> None:
        self._grace = grace
        self._began = now
        self.ends_at = now + grace
        self._step = 0 if grace else _STEPS
        self._at_once = _AT_ONCE
        for stream in self._clock.streams:
            stream.drain_begins(grace)
        self._open = sorted(self._clock.streams, key=lambda each: each.silent_since())
        self._go_on()

    def _go_on(self) -> None:
        """Do the steps that are due, and schedule the next."""
        now = self._clock.loop.time()
        self._call_at(self.ends_at + LAST_SEND, self._break_off)
        while self._step <= _STEPS:
            due = self._began + self._grace * self._step / _STEPS
            if due > now:
                self._call_at(due, self._go_on)
                break
            self._end_some(now)
            self._step += 1
        self.left()

    def _end_some(self, now: float) -> None:
        """End this step's share: first of the idle streams, then of the others."""
        quiet = min(_QUIET, self._grace)
        known = self._clock.streams
        self._open = [each for each in self._open if each in known]
        idle = [each for each in self._open if now - each.silent_since() >= quiet]
        if len(idle) <= self._at_once:
            self._at_once -= len(idle)
            self._end_all(idle)
            idle = []
        else:
            self._at_once = 0
        of_answers = self._step > _IDLE_STEPS
        part, last = (self._open, _STEPS) if of_answers else (idle, _IDLE_STEPS)
        self._end_all(part[: math.ceil(len(part) / (last + 1 - self._step))])

    def _end_all(self, streams: list[Any]) -> None:
        for stream in streams:
            self.end(stream)
        ended = set(streams)
        self._open = [each for each in self._open if each not in ended]

    def _call_at(self, when: float | None, callback: Callable[[], None] | None = None) -> None:
        """Set the one timer, or none."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if when is None else self._clock.loop.call_at(when, callback)

    def _break_off(self) -> None:
        """End what is still being sent."""
        self._timer = None
        for stream in list(self._clock.streams):
            stream.interrupt("drained")


def drain(grace: float = DEFAULT_GRACE, *, retry_ms: int | None = None) -> Drain:
    """End the open streams of the event loop that runs here, politely, and refuse new ones.

    Streams whose sources have been silent for two seconds end at once if they are at most 100;
    more are spread over three quarters of the grace time. Those that are giving an answer may
    finish it, and are ended in the last quarter if they do not. Ended means: the source is
    cancelled and closed, what it has yielded is sent, then the `retry:` hint, then the end of the
    body, without `done`. The outcome is "drained". A send that still hangs a second later is broken
    off. Requests that come from now on are answered with 503 and Retry-After; an EventSource, which
    would not come back after that, with 200, `retry:` and the end of the body. A second call may
    shorten the time.

    Args:
        grace: seconds; 0 ends everything at once.
        retry_ms: milliseconds after which clients are to reconnect; None: ended streams have no
            `retry:`, and new requests are told to come back after the grace time.

    Returns:
        An object that may be awaited until no stream is open; the drain goes on without that. Its
        `cancel()` ends the drain, and the loop serves again.

    Raises:
        RuntimeError: no event loop runs here. From another thread use
            `loop.call_soon_threadsafe(gaistream.drain, grace)`.
        FrameError: a grace that is no number of seconds, or retry_ms that is no whole number.
    """
    check_drain(grace, retry_ms)
    return drain_clock(clock(), grace, retry_ms)


def check_drain(grace: object, retry_ms: object) -> None:
    """Refuse what `drain` does not take."""
    check_seconds("grace", grace, optional=grace is not None)
    if retry_ms is not None:
        check_whole("retry_ms", retry_ms, 0, LONGEST_RETRY_MS)


def drain_clock(own: Clock, grace: float, retry_ms: int | None) -> Drain:
    """End the streams that a clock knows."""
    ending: Drain = own.draining or Drain(own, retry_ms)
    own.draining = ending
    ending.begin(grace)
    return ending


def drain_at_signal(
    own: Clock, grace: float, retry_ms: int | None, ordinal: int, *, automatic: bool = False
) -> Drain:
    """End the streams that a clock knows; at once if a signal has begun that before."""
    ending: Drain = own.draining or Drain(own, retry_ms)
    own.draining = ending
    ending.keeps_own_grace = automatic
    ending.begin(grace if ending.signal in (None, ordinal) else 0.0)
    ending.signal = ordinal
    return ending


def draining() -> bool:
    """Whether the streams of this event loop, or those of a WSGI server, are being ended.

    May be asked by a source, also a blocking one in its helper thread, to say its last words and
    return; and by anything else that runs on the loop.
    """
    if thread_clock.in_threads.draining is not None:
        return True
    try:
        own: Clock | None = clock()
    except RuntimeError:  # a thread without a loop, as a blocking source's
        own = clock_of_stream.get()
    return own is not None and own.draining is not None


def refusal(own: Clock | None = None) -> StreamError | None:
    """Give why a new request is not served now, or None; by this loop's clock, or another."""
    ending: Drain | None = (own or clock()).draining
    if ending is None:
        return None
    return StreamError(
        "the server is shutting down",
        code="shutting_down",
        status=503,
        retry_after=ending.retry_after,
    )


@contextlib.contextmanager
def drain_on_signals(
    grace: float = DEFAULT_GRACE, *, retry_ms: int | None = None
) -> Iterator[None]:
    """Have SIGTERM and SIGINT drain the event loop that runs here, as long as this block lasts.

    It takes the place of `gaistream.automatic_drain` on this loop: with this grace time, at SIGINT
    too, and with `retry_ms`. The handler that stood before is called too. A second signal ends all
    streams at once. Enter it where the application starts, in its lifespan: by then the server has
    set its own handlers. Outside of the main thread there are no signals, and nothing is done.

    Args:
        grace: seconds, as `drain` takes them.
        retry_ms: milliseconds, as `drain` takes them.

    Raises:
        RuntimeError: no event loop runs here.
        FrameError: as `drain`.
    """
    check_drain(grace, retry_ms)
    own = clock()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    own.signals += 1
    own.unwatch()
    chained = _LoopSignals(own, grace, retry_ms)
    try:
        yield
    finally:
        chained.restore()
        own.signals -= 1
        if own.streams:
            own.watch()


class _LoopSignals(ChainedSignals):
    """Those that drain an event loop."""

    def __init__(self, own: Clock, grace: float, retry_ms: int | None) -> None:
        self._clock = own
        self._grace = grace
        self._retry_ms = retry_ms
        super().__init__()

    def tell(self, number: int, ordinal: int) -> None:
        """Begin the drain of the loop."""
        with contextlib.suppress(RuntimeError):  # the loop is over: there is nothing to end
            self._clock.loop.call_soon_threadsafe(self._drain, number, ordinal)

    def _drain(self, number: int, ordinal: int) -> None:
        ended = drain_at_signal(self._clock, self._grace, self._retry_ms, ordinal)
        self.repeat_after(ended, self._clock.loop, number)
