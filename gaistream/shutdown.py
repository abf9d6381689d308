"""How the open streams of an event loop end when its server is to stop.

A server waits for its open responses, and a stream that is idle or endless would keep it waiting
until it is killed, which cuts every client in the middle. `drain()` ends them politely instead:
each gets what its source has yielded, a reconnection time if wanted, and a proper end of its body,
without the mark of success. Answers that are being given may be finished within the grace time;
the rest is spread over it, so that not all clients come back at once. New requests get 503.

Servers tell the application too late: it must be told by the signal. `drain_on_signals()` does
that, beside the server's own handler. Nothing here is shared between loops, and nothing patched.
"""

from __future__ import annotations

import contextlib
import math
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final

from . import thread_clock
from .chained_signals import ChainedSignals
from .clock import LAST_SEND, Clock, clock, clock_of_stream
from .errors import StreamError
from .event_loop import Task
from .options import LONGEST_RETRY_MS, check_seconds, check_whole

_STEPS: Final = 40  # in which a drain goes on
_IDLE_STEPS: Final = 30  # those in which idle streams end; the others are for answers
_QUIET: Final = 2.0  # seconds without an event that make a stream an idle one

DEFAULT_GRACE: Final = 5.0


class Drain:
    """The ending of a loop's streams, once begun: await it to go on when the last has ended.

    Attributes:
        ended: the loop's Event; set when the last has ended.
        ends_at: when the grace time is over, by the loop's clock.
    """

    def __init__(self, own: Clock, retry_ms: int | None) -> None:
        self._clock = own
        self._retry_ms = retry_ms
        self.ended = own.loop.create_event()
        self._timer: Any = None
        self.ends_at = math.inf

    @property
    def retry_after(self) -> int:
        """Give the seconds after which a client that is refused meanwhile may come again."""
        left = self.ends_at - self._clock.loop.time()
        return max(1, math.ceil(left if self._retry_ms is None else self._retry_ms / 1000))

    def begin(self, grace: float) -> None:
        """Begin, or begin anew with what is still open where that ends it earlier."""
        now = self._clock.loop.time()
        if now + grace < self.ends_at:
            self._begin(now, grace)

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

    async def wait(self) -> None:
        """Wait until no stream is open."""
        if self._clock.streams:
            await self.ended.wait()

    def __await__(self) -> Generator[Any, Any, None]:
        return self.wait().__await__()

    def _begin(self, now: float, grace: float) -> None:
        self._grace = grace
        self._began = now
        self.ends_at = now + grace
        self._step = 0
        for stream in self._clock.streams:
            stream.drain_begins(grace)
        # From the end of the list: the one that has been silent for the longest time comes first.
        self._idle = sorted(self._clock.streams, key=lambda each: each.silent_since(), reverse=True)
        self._answering: list[Any] = []
        self._count = len(self._idle)
        self._go_on()

    def _go_on(self) -> None:
        """Do the steps that are due, and see to the next."""
        now = self._clock.loop.time()
        self._call_at(self.ends_at + LAST_SEND, self._break_off)
        while self._step < _STEPS:
            due = self._began + self._grace * (self._step + 1) / _STEPS
            if due > now:
                self._call_at(due, self._go_on)
                break
            self._step += 1
            self._end_some(now)
        self.left()

    def _end_some(self, now: float) -> None:
        """End this step's share: first of what is idle, then of what is not."""
        quiet = min(_QUIET, self._grace)
        for stream in _taken(self._idle, self._count, self._step / _IDLE_STEPS):
            if now - stream.silent_since() < quiet:
                self._answering.insert(0, stream)
            else:
                self.end(stream)
        part = (self._step - _IDLE_STEPS) / (_STEPS - _IDLE_STEPS)
        for stream in _taken(self._answering, self._count, part):
            self.end(stream)

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


def _taken(streams: list[Any], count: int, part: float) -> Iterator[Any]:
    """Take streams from the end of a list until only the rest of `count` is left in it."""
    left = math.ceil(count * (1 - part))
    while len(streams) > max(left, 0):
        yield streams.pop()


def drain(grace: float = DEFAULT_GRACE, *, retry_ms: int | None = None) -> Drain:
    """End the open streams of the event loop that runs here, politely, and refuse new ones.

    Streams whose sources have been silent for two seconds are ended first, spread over three
    quarters of the grace time; those that are giving an answer may finish it, and are ended in the
    last quarter if they do not. Ended means: the source is cancelled and closed, what it has
    yielded is sent, then the `retry:` hint, then the end of the body; no `done`, for it was not.
    The outcome is "drained". A send that still hangs a second later is broken off. Requests that
    come from now on are answered with 503 and Retry-After. A second call may shorten the time.

    Args:
        grace: seconds; 0 ends everything at once.
        retry_ms: milliseconds after which clients are to reconnect; None says nothing.

    Returns:
        What may be awaited until no stream is open; it goes on without that.

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

    The handler that stood before is called too. A second signal ends all streams at once. Enter it
    where the application starts, in its lifespan: by then the server has set its own handlers.
    Outside of the main thread there are no signals, and nothing is done.

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
    chained = _LoopSignals(own, grace, retry_ms)
    try:
        yield
    finally:
        chained.restore()


class _LoopSignals(ChainedSignals):
    """Those that drain an event loop."""

    def __init__(self, own: Clock, grace: float, retry_ms: int | None) -> None:
        self._clock = own
        self._retry_ms = retry_ms
        self._last: Task | None = None
        super().__init__(grace, self._tell_loop)

    def _tell_loop(self, number: int, grace: float) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is over: there is nothing to end
            self._clock.loop.call_soon_threadsafe(self._drain, number, grace)

    def _drain(self, number: int, grace: float) -> None:
        ended = drain_clock(self._clock, grace, self._retry_ms)
        if self.before[number] is signal.SIG_DFL and self._last is None:
            self._last = self._clock.loop.create_task(
                self._end_process(number, ended), name="gaistream drain"
            )

    async def _end_process(self, number: int, ended: Drain) -> None:
        await ended.wait()
        self.repeat(number)
