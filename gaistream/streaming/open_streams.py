"""The open streams of an event loop, and the drain that ends them when the server is to stop.

A server waits for its open responses, and a stream that is idle or endless would keep it waiting
until it is killed, which cuts every client in the middle. A drain ends the streams politely
instead: the client gets all that the source has yielded, a reconnection time if one was set, and a
proper end of the body, without the mark of success. Within the grace time, sources that are still
yielding may finish their answers. Idle streams end at once; if they are many, they are spread over
the grace time, so that not all clients reconnect at the same moment. New requests get 503.

The streams of threads have a registry of their own (thread_streams.py), drained by the same class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextvars import ContextVar
from typing import Any, Final, Protocol

from ..errors import StreamError
from ..loops import event_loop
from ..loops.protocols import EventLoop
from . import server_signals

LAST_SEND: Final = 1.0  # seconds that a send may still take once the stream is to end
_STEPS: Final = 40  # of a drain
_IDLE_STEPS: Final = 30  # those in which idle streams end; the others are for answers
_QUIET: Final = 2.0  # seconds without an event after which a stream is idle
_AT_ONCE: Final = 100  # idle streams that are ended without being spread


class OpenStream(Protocol):
    """A stream, as a drain uses it."""

    def silent_since(self) -> float:
        """Return the time of its last event, or of its beginning, by the timer's clock."""

    def drain_begins(self, grace: float) -> None:
        """Take notice of a drain of `grace` seconds; `drain` is called later."""

    def drain_is_cancelled(self) -> None:
        """Take notice that the drain does not end the stream any more, if it has not."""

    def drain(self, retry_ms: int | None) -> None:
        """End now, but whole: pending bytes, a reconnection time, the end of the body."""

    def interrupt(self, kind: Any) -> None:
        """End at once, with this kind of outcome."""


class DrainTimer(Protocol):
    """The time of a drain: an event loop's, or that of a thread (thread_streams.py)."""

    @property
    def time(self) -> Callable[[], float]:
        """Return the current time."""

    @property
    def call_at(self) -> Callable[..., Any]:
        """Call a function at a time. Return an object with `cancel()`."""

    def create_event(self) -> Any:
        """Return an event with `is_set()`, `set()` and `wait()`."""


class OpenStreams:
    """A registry of open streams. Belongs to one event loop.

    Attributes:
        timer: the time of its drains.
        streams: the open streams.
        draining: the drain that is ending them, or None.
        signal_hooks: the number of active `drain_on_signals`.
    """

    def __init__(self, timer: DrainTimer) -> None:
        self.timer = timer
        self.streams: set[OpenStream] = set()
        self.draining: Drain | None = None
        self.signal_hooks = 0

    def enter(self, stream: OpenStream, *, was_open: bool = False) -> None:
        """Add a stream. During a drain it is ended at once, or in its grace time if it was open."""
        if not self.streams:
            self._first_enters()
        self.streams.add(stream)
        if self.draining is not None:
            if was_open:
                self.draining.join(stream)
            else:
                self.draining.end(stream)

    def leave(self, stream: OpenStream) -> None:
        """Remove a stream, if it is there."""
        self.streams.discard(stream)
        if not self.streams:
            self._last_left()
        if self.draining is not None:
            self.draining.left()

    def _first_enters(self) -> None:
        """Do nothing; for subclasses."""

    def _last_left(self) -> None:
        """Do nothing; for subclasses."""

    def drain(self, grace: float, retry_ms: int | None) -> Drain:
        """Begin a drain, or shorten the one that has begun."""
        drain = self._drain(retry_ms)
        drain.begin(grace)
        return drain

    def drain_at_signal(
        self, ordinal: int, grace: float, retry_ms: int | None, *, automatic: bool = False
    ) -> Drain:
        """Begin a drain; end all streams at once if an earlier signal has begun it.

        Args:
            ordinal: the signal's number in the process, the same for all handlers that it passes.
            grace, retry_ms: see `gaistream.drain`.
            automatic: see Drain.keeps_own_grace.
        """
        drain = self._drain(retry_ms)
        drain.keeps_own_grace = automatic
        drain.begin(grace if drain.signal in (None, ordinal) else 0.0)
        drain.signal = ordinal
        return drain

    def _drain(self, retry_ms: int | None) -> Drain:
        if self.draining is None:
            self.draining = Drain(self, retry_ms)
        return self.draining

    def reason_to_refuse(self) -> StreamError | None:
        """Return the error that answers a new request during a drain, or None."""
        return None if self.draining is None else shutting_down(self.draining.retry_after)


def shutting_down(retry_after: float | None) -> StreamError:
    """Return the error of a request that a drain does not let in, or does not let end."""
    return StreamError(
        "the server is shutting down", code="shutting_down", status=503, retry_after=retry_after
    )


class LoopStreams(OpenStreams):
    """The open streams of an event loop, which are drained at a server's signals.

    Attributes:
        loop: the loop.
    """

    def __init__(self, loop: EventLoop) -> None:
        super().__init__(loop)
        self.loop = loop

    def _first_enters(self) -> None:
        server_signals.watch(self)

    def _last_left(self) -> None:
        server_signals.unwatch(self)


class Drain:
    """The end of all streams of a registry, once begun. Await it until no stream is open.

    Args:
        open_streams: the registry.
        retry_ms: milliseconds after which clients are to reconnect, or None.

    Attributes:
        ended: an event, set when no stream is open or the drain was cancelled.
        ends_at: the end of the grace time, by the timer's clock.
        cancelled: True once the drain was cancelled.
        signal: the ordinal of the last signal that began or shortened it; the next one ends all
            streams at once.
        keeps_own_grace: a stream's own grace time may be longer than the drain's.
    """

    def __init__(self, open_streams: OpenStreams, retry_ms: int | None) -> None:
        self._registry = open_streams
        self._timer = open_streams.timer
        self._retry_ms = retry_ms
        self.ended = self._timer.create_event()
        self._next_call: Any = None  # at most one
        self.ends_at = math.inf
        self.cancelled = False
        self.signal: int | None = None
        self.keeps_own_grace = False

    @property
    def retry_after(self) -> float:
        """Return the seconds after which a client that is refused now may come again."""
        if self._retry_ms is not None:
            return self._retry_ms / 1000
        left = self.ends_at - self._timer.time()
        return max(1, math.ceil(round(left, 3)))  # a rounding error adds no second

    def begin(self, grace: float) -> None:
        """Begin, or begin again with the streams that are left, if that ends them earlier."""
        now = self._timer.time()
        if now + grace < self.ends_at:
            self._begin(now, grace)

    def keep_until(self, when: float) -> None:
        """Extend the grace time for a stream that has its own, if that is allowed."""
        if self.keeps_own_grace:
            self.ends_at = max(self.ends_at, when)

    def end(self, stream: OpenStream) -> None:
        """End one stream now."""
        if self._next_call is None:
            self._call_at(self._timer.time() + LAST_SEND, self._break_off)
        stream.drain(self._retry_ms)

    def join(self, stream: OpenStream) -> None:
        """Add a stream that was open before the drain: it has the rest of the grace time."""
        left = self.ends_at - self._timer.time()
        if left > 0:
            stream.drain_begins(left)
            self._open.append(stream)
        else:
            self.end(stream)

    def left(self) -> None:
        """End the drain if the last stream has left."""
        if not self._registry.streams:
            self._call_at(None)
            self.ended.set()

    def cancel(self) -> None:
        """Serve again: new requests are answered, and streams that were not ended yet go on.

        This is for tests, and for servers embedded in a program that goes on. A task that awaits
        the drain goes on too. The next signal begins another drain, with its grace time.
        """
        if self._registry.draining is self:
            self._registry.draining = None
            self.cancelled = True
            for stream in list(self._registry.streams):
                stream.drain_is_cancelled()
            self._call_at(None)
            self.ended.set()

    async def wait(self) -> None:
        """Wait until no stream is open, or the drain is cancelled."""
        if self._registry.streams:
            await self.ended.wait()

    def __await__(self) -> Generator[Any, Any, None]:
        return self.wait().__await__()

    def _begin(self, now: float, grace: float) -> None:
        self._grace = grace
        self._began = now
        self.ends_at = now + grace
        self._step = 0 if grace else _STEPS
        self._at_once = _AT_ONCE
        for stream in list(self._registry.streams):  # one may leave meanwhile
            stream.drain_begins(grace)
        self._open = sorted(self._registry.streams, key=lambda each: each.silent_since())
        self._go_on()

    def _go_on(self) -> None:
        """Do the steps that are due, and schedule the next."""
        now = self._timer.time()
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
        known = self._registry.streams
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

    def _end_all(self, streams: list[OpenStream]) -> None:
        for stream in streams:
            self.end(stream)
        ended = set(streams)
        self._open = [each for each in self._open if each not in ended]

    def _call_at(self, when: float | None, callback: Callable[[], None] | None = None) -> None:
        """Replace the next call; None: there is none any more."""
        if self._next_call is not None:
            self._next_call.cancel()
        self._next_call = None if when is None else self._timer.call_at(when, callback)

    def _break_off(self) -> None:
        """Break off the sends that still hang."""
        self._next_call = None
        for stream in list(self._registry.streams):
            stream.interrupt("drained")


streams_of_source: ContextVar[OpenStreams | None] = ContextVar("gaistream_streams", default=None)
"""The registry of the stream whose source runs in this context, also in a helper thread."""


def open_streams(loop: EventLoop | None = None) -> LoopStreams:
    """Return the open streams of an event loop, by default of the running one.

    Raises:
        RuntimeError: no loop was given, and none runs in this thread.
    """
    if loop is None:
        loop = event_loop()
    known: LoopStreams | None = loop.open_streams
    if known is None:
        known = loop.open_streams = LoopStreams(loop)
    return known
