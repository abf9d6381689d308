"""From a source to a connection: what a stream does for each event and for each send.

The reader of a source has every item accepted, and looks up only where it is told to. Whenever the
source blocks (that is: whenever its reader's coroutine suspends), what is due is sent: begun right
there while the sender waits, else the sender is woken. The rest of a stream's life is in
gaistream/streaming/stream.py, for both twins. Twin of src/sender.pxi.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any, Final, Self

from .buffer import NotCopyable

_Rest = tuple[Any, Any, BaseException | None]  # of a send: steps, what they wait for, or raise
_SENT: Final = object()
TURN_EVENTS: Final = 8  # after so many events of a turn it is looked how long it has lasted


class FrameSender(NotCopyable):
    """Frames on their way from a source to a connection. Belongs to one event loop.

    Args:
        frames: what writes them.
        at_once: that all is due whenever the source blocks; else when `flush_size` bytes wait, or
            when somebody says so.
        turn_bytes, turn_seconds: after how much the source is to give the loop a turn.
        most_pending: bytes beyond which the source is to wait for room.

    Attributes:
        events: what was accepted.
        bytes: what was taken.
    """

    __slots__ = (
        "_at_once",
        "_due",
        "_finished",
        "_flush_size",
        "_frames",
        "_held",
        "_idle_since",
        "_interrupted",
        "_lent",
        "_most_pending",
        "_rest",
        "_room",
        "_sender",
        "_sending_since",
        "_shares_context",
        "_source_context",
        "_time",
        "_turn",
        "_turn_bytes",
        "_turn_events",
        "_turn_seconds",
        "_turn_size",
        "_waiter",
        "bytes",
        "events",
    )

    def __init__(
        self,
        frames: Any,
        at_once: bool,
        flush_size: int,
        turn_bytes: int,
        turn_seconds: float,
        most_pending: int,
    ) -> None:
        self._frames: Any = frames
        self._at_once = at_once
        self._flush_size = flush_size
        self._turn_bytes = turn_bytes
        self._turn_seconds = turn_seconds
        self._most_pending = most_pending
        self._turn_size = 0  # bytes since the source has blocked
        self._turn_events = 0  # and events
        self._turn = 0.0  # when that was looked at first
        self.events = 0
        self.bytes = 0
        self._due = True  # what is pending is to be sent; the first event always is
        self._held = False  # what is pending waits for somebody to say that it is due
        self._finished = False  # the source has ended, and the end is written
        self._interrupted: Any = None  # why the stream was cut
        self._time: Callable[[], float] = time.monotonic
        self._idle_since = 0.0  # when something was taken
        self._sending_since: float | None = None
        self._sender: Any = None  # the task in whose name a send may be begun
        self._rest: _Rest | None = None  # of one that was begun
        self._lent: Any = None  # what begins it
        self._source_context: Context | None = None  # in which the source runs
        self._shares_context = False  # the sender and the source do
        self._waiter: Any = None  # the sender's future, while it waits
        self._room: Any = None  # the source's, while it waits for room

    def _accept(self, item: Any) -> bool:
        """Write what the source yielded; tells whether its reader is to look up.

        That is where the stream is over (and nothing was written), its end was written, nobody
        has been asked yet to say when what waits is due, the loop is to be given a turn, or the
        source has to wait for room.
        """
        frames = self._frames
        if self._finished or self._interrupted is not None:
            return True
        before = frames.pending
        frames.write(item)
        pending = frames.pending
        if item is None and pending == before:  # no event
            return False
        self.events += 1
        self._turn_events += 1
        self._turn_size += pending - before
        if not self._due:
            if pending >= self._flush_size:
                self._due = True
            elif not self._held:
                return True
        return frames.ended or pending >= self._most_pending or self._turn_is_over()

    def _turn_is_over(self) -> bool:
        if self._turn_size >= self._turn_bytes:
            return True
        if self._turn_events % TURN_EVENTS:
            return False
        now = time.perf_counter()
        if self._turn_events == TURN_EVENTS:
            self._turn = now
        return now - self._turn > self._turn_seconds

    def _take(self) -> bytes:
        """Take what is to be sent now; nothing where it may wait, or the stream was cut."""
        if self._interrupted is not None or not self._due:
            return b""
        chunk: bytes = self._frames.take()
        if chunk:
            self._due = self._at_once or not self.events
            self.bytes += len(chunk)
            self._idle_since = self._time()
            _settle(self._room)
        return chunk

    def _send_now(self, in_source: bool = False) -> None:
        """Send what is due: begun right here while the sender waits, else it is woken.

        With this another turn of the source begins.

        Args:
            in_source: called by a step of the source's task, so in its context.
        """
        if self._due and self._frames.pending and not self._begin(in_source):
            self._wake()
        self._turn_events = self._turn_size = 0

    def _lend(
        self,
        send: Callable[[bytes], Awaitable[None]],
        loop: Any,
        sender: Any,
        context: Context,
        current: dict[Any, Any] | Callable[[Any, Any], Any],
    ) -> None:
        """From now on begin sends in the name of the sender, while it waits.

        Args:
            send: gives an awaitable for a chunk.
            loop, sender: the event loop, and the sender's task.
            context: the sender's.
            current: the current task of each loop, or what makes another, or None, the loop's
                current one and gives the one before.
        """
        self._lent = send, loop, context, current
        self._shares_context = context is self._source_context
        self._sender = sender

    def release(self) -> None:
        """Drop the connection's send, task and context, which may refer to this object."""
        self._lent = self._sender = self._source_context = None

    def _begin(self, in_source: bool) -> bool:
        """Begin a send in the sender's name; False, and nothing is done, where that cannot be."""
        if self._sender is None or self._waiter is None:
            return False
        send, loop, context, current = self._lent
        try:
            running = _swap(current, loop, self._sender)
        except Exception:  # the sender does it itself, then
            return False
        entered: list[None] = []
        try:
            if in_source and self._shares_context:  # it runs already, and cannot be entered twice
                self._send_in_context(send, entered)
            else:
                context.run(self._send_in_context, send, entered)
        except RuntimeError:
            if entered:
                raise
            return False  # the context is shared with the task that runs
        finally:
            _swap(current, loop, running)
        return True

    def _send_in_context(
        self, send: Callable[[bytes], Awaitable[None]], entered: list[None]
    ) -> None:
        """Make the first step of a send, and wake the sender where that was not the whole."""
        entered.append(None)
        waiter = self._waiter
        chunk = self._take()
        if not chunk:
            return
        self._waiter = None  # it sends
        self._sending_since = self._idle_since
        try:
            self._rest = _first_step(send, chunk)
        except BaseException as error:
            self._rest = None, None, error
        if self._rest is None:
            self._sending_since = None
        self._waiter = waiter
        if self._rest is not None or self._finished or self._interrupted is not None:
            self._wake()

    def _wake(self) -> None:
        """Wake the sender, if it waits."""
        waiter, self._waiter = self._waiter, None
        _settle(waiter)


def _settle(future: Any) -> None:
    if future is not None and not future.done():
        future.set_result(None)


def _swap(current: Any, loop: Any, task: Any) -> Any:
    """Make a task, or None, the loop's current one, and give the one before."""
    if type(current) is not dict:
        return current(loop, task)
    before = current.pop(loop, None)
    if task is not None:
        current[loop] = task
    return before


def _first_step(send: Callable[[bytes], Awaitable[None]], chunk: bytes) -> _Rest | None:
    steps = send(chunk).__await__()
    waits_for = next(steps, _SENT)
    return None if waits_for is _SENT else (steps, waits_for, None)


class SourceReader(NotCopyable):
    """A coroutine that reads a source; whenever it suspends, its sender sends what is due.

    Args:
        sender: what has each item accepted.
        coroutine: what reads.
    """

    __slots__ = ("_coroutine", "_sender")

    def __init__(self, sender: FrameSender, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._sender: FrameSender | None = sender
        self._coroutine = coroutine

    def __await__(self) -> Self:
        """Give what is stepped."""
        return self

    __iter__ = __await__

    def __next__(self) -> Any:
        """Step."""
        return self._step(self._coroutine.send, None)

    def send(self, value: Any) -> Any:
        """Step, with what a suspended step is answered."""
        try:
            return self._step(self._coroutine.send, value)
        finally:
            del value  # as below: trio sends errors, too

    def throw(self, *error: Any) -> Any:
        """Step, by raising an error where the coroutine waits."""
        try:
            return self._step(self._coroutine.throw, *error)
        finally:
            del error  # its traceback holds this frame

    def close(self) -> None:
        """End the coroutine where it waits."""
        self._sender = None
        self._coroutine.close()

    def _step(self, step: Callable[..., Any], *what: Any) -> Any:
        try:
            waits_for = step(*what)
        except BaseException:
            self._sender = None  # it has ended: no cycle is to be left
            del what
            raise
        sender = self._sender
        if sender is not None:
            try:
                sender._send_now(True)
            except BaseException as error:
                return self.throw(error)
        return waits_for

    def __getattr__(self, name: str) -> Any:
        """Give what else is asked of a coroutine, such as its frame."""
        if name in SourceReader.__slots__:  # it was made without its __init__
            raise AttributeError(name)
        return getattr(self._coroutine, name)
