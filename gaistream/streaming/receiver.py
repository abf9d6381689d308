"""The items of a producer on their way to the message, and to its reader while there is one.

A `Receiver` stands where a stream has its encoder and its outbox. Items for the reader are kept
until it takes them, and the source waits for room beyond a number of bytes; without a reader the
bytes are counted against a bound. Belongs to one event loop.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from ..core import estimate_size
from ..errors import StreamError
from ..events import Done, Error
from ..loops.protocols import Event, EventLoop, Future
from .collector import INTERRUPTED, Collector

MOST_AHEAD: Final = 64 * 1024  # bytes that wait for the reader before the source is paused
_TURN_EVENTS: Final = 8  # items between two looks at the clock
_TURN_SECONDS: Final = 0.002  # after so long the loop gets a turn


def interrupted(reason: str) -> StreamError:
    """Return the error of an answer that was cut."""
    return StreamError(f"the answer was interrupted: {reason}", code=INTERRUPTED)


class Receiver:
    """Takes the items of a producer: for the message, and for the reader while there is one.

    Args:
        collector: of the message; None: the items are no events.
        most_bytes: bytes that may come without a reader.

    Attributes:
        events: the number of items.
        ended: True if no item may follow: after a Done, or beyond the bound.
        failed: True if the last item was an Error, or the source raised.
        over: True once more bytes than the bound were taken without a reader.
        attached: True while there is a reader.
        closed: True once no item is accepted any more.
        done: an event, set then.
        failure: what the reader raises at the end, until it has.
        last: when the last item without a reader came.
        after_step: not used.
    """

    __slots__ = (
        "_ahead",
        "_items",
        "_left",
        "_loop",
        "_next",
        "_room",
        "_take",
        "_taken",
        "_turn",
        "after_step",
        "attached",
        "closed",
        "done",
        "ended",
        "events",
        "failed",
        "failure",
        "last",
        "over",
    )

    def __init__(self, collector: Collector | None, most_bytes: int) -> None:
        self._take = None if collector is None else collector.add
        self._left = most_bytes
        self._items: deque[Any] = deque()
        self._ahead = 0  # bytes of the items that came since the reader last had none
        self._next: Future | None = None  # awaited by the reader
        self._room: Future | None = None  # awaited by the source
        self._taken = 0
        self._turn = 0.0
        self._loop: EventLoop
        self.done: Event
        self.events = 0
        self.ended = self.failed = self.over = self.closed = False
        self.attached = True
        self.failure: BaseException | None = None
        self.last = 0.0
        self.after_step: Callable[[], object] | None = None

    def open(self, loop: EventLoop) -> None:
        """Take the event loop."""
        self._loop = loop
        self.done = loop.create_event()
        self.last = loop.time()

    # ---- the source's side ----

    def accept(self, item: Any) -> bool:
        """Take one item. Return True if the source's task must look up before the next."""
        if self.closed:
            return True
        if self._take is not None:
            item = self._take(item)
            if item is None:  # no event
                return self._turn_is_over()
            kind = type(item)
            self.failed, self.ended = kind is Error, kind is Done
        self.events += 1
        if self.attached:
            self._items.append(item)
            self._ahead += estimate_size(item, MOST_AHEAD)
            _settle(self._next)
            full = self._ahead >= MOST_AHEAD
        else:
            self.last = self._loop.time()
            self._left -= estimate_size(item, self._left + 1)
            self.over = full = self._left < 0
            self.ended = self.ended or self.over
        return self.ended or full or self._turn_is_over()

    def _turn_is_over(self) -> bool:
        self._taken += 1
        if self._taken % _TURN_EVENTS:
            return False
        now = time.perf_counter()
        is_over = now - self._turn > _TURN_SECONDS
        if is_over:
            self._turn = now
        return is_over

    def hold(self) -> bool:
        """Return False: no flush is scheduled."""
        return False

    def wait_for_room(self) -> Any:
        """Return a future for when the reader has taken all items; None if there is room."""
        if self.closed or not self.attached or self._ahead < MOST_AHEAD:
            return None
        self._room = self._loop.create_future()
        return self._room

    def end(self, failure: BaseException | None) -> None:
        """Note how the source has ended."""
        self.failure = failure
        self.failed = self.failed or failure is not None

    def close(self, kind: object = None) -> None:
        """Accept no more items. The reader may take those that it has not."""
        if kind is not None and self.failure is None:  # the reader must not take it for the end
            self.failure = interrupted("the server cancelled it")
        self.closed = True
        self.done.set()
        _settle(self._room)
        _settle(self._next)

    # ---- the reader's side ----

    async def next(self) -> Any:
        """Wait for the next item; raise StopAsyncIteration, or the failure, after the last."""
        items = self._items
        while not items:
            self._ahead = 0
            _settle(self._room)
            if self.closed:
                error, self.failure = self.failure, None
                try:
                    raise error or StopAsyncIteration
                finally:
                    del error  # a cycle: its traceback holds this frame
            self._next = self._loop.create_future()
            try:
                await self._next
            finally:
                self._next = None
        return items.popleft()

    def detach(self) -> None:
        """Keep no more items for a reader."""
        self.attached = False
        self._items.clear()
        _settle(self._room)


def _settle(future: Future | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
