"""The time of gaistream's own timers in a test: it stands still until the test moves it on.

Heartbeats, the time-outs of sends, sources and clean-ups, delayed flushes and drains all ask
`event_loop()` for the time and for timers. Here they get a copy of that loop with another clock.
The loop itself, `asyncio.sleep`, `trio.sleep` and the streams of others keep their own time.
Timers run in the order of their times, each at exactly its time.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import heapq
import itertools
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, Protocol

from ..loops.protocols import EventLoop
from ..streaming.clock import Clock
from ..streaming.open_streams import LoopStreams, OpenStream

START: Final = 1000.0  # seconds: small numbers keep their fractions exact
_SLACK: Final = 1e-6  # seconds by which a timer may be late, through rounding

Post = Callable[[Callable[[], None]], object]


class Recorder(Protocol):
    """Takes note of the streams of one request."""

    def stream_entered(self, stream: Any) -> None:
        """Note a stream in a thread that begins."""

    def stream_left(self, stream: Any) -> None:
        """Note a stream that has ended."""


recorder: ContextVar[Recorder | None] = ContextVar("gaistream_recorder", default=None)
"""The test's side of the request whose app runs in this context."""


@functools.total_ordering
class _Call:
    def __init__(self, when: float, number: int, post: Post, call: Callable[[], None]) -> None:
        self._order = when, number
        self.when = when
        self._post = post
        self._call: Callable[[], None] | None = call

    def __lt__(self, other: _Call) -> bool:
        return self._order < other._order

    def cancel(self) -> None:
        self._call = None

    @property
    def cancelled(self) -> bool:
        return self._call is None

    def post(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: its streams have ended
            self._post(self._run)

    def _run(self) -> None:
        if self._call is not None:
            self._call()


class VirtualTime:
    """A clock that a test moves, and its timers. Thread-safe.

    Attributes:
        now: seconds.
    """

    def __init__(self) -> None:
        self.now = START
        self._calls: list[_Call] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def time(self) -> float:
        """Return the current time."""
        return self.now

    def call_at(self, post: Post, when: float, callback: Callable[..., Any], *args: Any) -> _Call:
        """Call a function at a time, through `post`, which runs it where it belongs."""
        call = _Call(when, next(self._numbers), post, functools.partial(callback, *args))
        with self._lock:
            is_due = when <= self.now
            if not is_due:
                heapq.heappush(self._calls, call)
        if is_due:
            call.post()
        return call

    def run_next(self, until: float) -> bool:
        """Go on to the next timers, and post them. Return False if none is due by `until`."""
        due: list[_Call] = []
        with self._lock:
            while self._calls:
                first = self._calls[0]
                if not first.cancelled:
                    if first.when > (due[0].when if due else until + _SLACK):
                        break
                    due.append(first)
                heapq.heappop(self._calls)
            if due:
                self.now = max(self.now, due[0].when)
        for call in due:
            call.post()
        return bool(due)

    def reach(self, when: float) -> None:
        """Go on to a time, unless that is past."""
        self.now = max(self.now, when)


class _ExactClock(Clock):
    """A clock whose grid is too fine to be seen."""

    grid = 2**36
    flush_grid = 2**20


class _RecordedStreams(LoopStreams):
    """The open streams of a loop in a test: they are drained by the test, not by signals."""

    def leave(self, stream: OpenStream) -> None:
        known = recorder.get()
        if known is not None:
            known.stream_left(stream)
        super().leave(stream)

    def _first_enters(self) -> None:
        pass

    def _last_left(self) -> None:
        pass


def with_virtual_time(loop: EventLoop, time: VirtualTime) -> EventLoop:
    """Return a copy of a loop that has this time, and open streams of its own."""
    own: Any = copy.copy(loop)
    own.time = time.time
    own.call_at = functools.partial(time.call_at, loop.call_soon_threadsafe)
    own.clock = _ExactClock(own)
    own.open_streams = _RecordedStreams(own)
    known: EventLoop = own
    return known
