"""The frames of one stream on their way from its source to its connection.

The source's task calls `accept` for each item and looks at the stream only where that returns True.
Whenever the source suspends (which its SourceReader sees), the pending bytes are sent: if the
connection's task waits and has granted a permit, the send is started at once, as a step of that
task; else the task is woken. A started send that has to wait is finished by the connection's task.
Belongs to one event loop. Twin of src/outbox.pxi.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from .buffer import NotCopyable

_SENT: Final = object()
_OPEN, _ENDED, _CUT = range(3)
_Started = tuple[Any, Any, BaseException | None]
TURN_EVENTS: Final = 8  # events of a turn between two looks at the clock


class Outbox(NotCopyable):
    """The pending frames of one stream, and the sends that were started for its connection.

    Args:
        encoder: writes the frames.
        at_once: all is due whenever the source suspends; else when `flush_size` bytes are pending,
            or `flush` is called.
        flush_size: see `at_once`.
        turn_bytes, turn_seconds: after how much the source must give the loop a turn.
        most_pending: bytes beyond which the source must wait for room.
        one_by_one: each item is sent before the next is accepted.

    Attributes:
        events: the number of accepted items.
        bytes: the number of bytes taken.
        idle_since: when bytes were last taken, or the outbox was opened.
        sending_since: when the send in progress began, or None.
        after_step: called after each step of the source, if set.
    """

    __slots__ = (
        "_at_once",
        "_closed",
        "_create_future",
        "_due",
        "_encoder",
        "_flush_size",
        "_held",
        "_most_pending",
        "_one_by_one",
        "_permit",
        "_room",
        "_started",
        "_time",
        "_turn",
        "_turn_bytes",
        "_turn_events",
        "_turn_seconds",
        "_turn_size",
        "_waiter",
        "after_step",
        "bytes",
        "events",
        "idle_since",
        "sending_since",
    )

    def __init__(
        self,
        encoder: Any,
        at_once: bool,
        flush_size: int,
        turn_bytes: int,
        turn_seconds: float,
        most_pending: int,
        one_by_one: bool = False,
    ) -> None:
        self._encoder: Any = encoder
        self._at_once = at_once
        self._flush_size = flush_size
        self._turn_bytes = turn_bytes
        self._turn_seconds = turn_seconds
        self._most_pending = most_pending
        self._one_by_one = one_by_one
        self._turn_size = 0  # bytes since the source has last suspended
        self._turn_events = 0
        self._turn = 0.0  # when the turn's length was first looked at
        self.events = 0
        self.bytes = 0
        self._due = True  # the pending bytes may be taken; the first event is always due
        self._held = False  # the pending bytes wait for a flush that is scheduled
        self._closed = _OPEN
        self._time: Callable[[], float] = time.monotonic
        self._create_future: Callable[[], Any] | None = None
        self.idle_since = 0.0
        self.sending_since: float | None = None
        self.after_step: Callable[[], object] | None = None
        self._permit: tuple[Any, ...] | None = None
        self._started: _Started | None = None
        self._waiter: Any = None  # the connection's future, while its task waits
        self._room: Any = None  # the source's, while it waits for room

    def open(self, create_future: Callable[[], Any], time: Callable[[], float]) -> None:
        """Take the event loop's futures and clock."""
        self._create_future = create_future
        self._time = time
        self.idle_since = time()

    @property
    def pending(self) -> int:
        """Bytes that were not taken yet."""
        pending: int = self._encoder.pending
        return pending

    @property
    def waiting(self) -> bool:
        """True if the connection's task waits."""
        return self._waiter is not None

    # ---- the source's side ----

    def accept(self, item: Any) -> bool:
        """Write one item. Return True if the source's task must look at the stream before the next.

        That is: the outbox is closed (and nothing was written), the end was written, a flush must
        be scheduled (see `hold`), the loop is due a turn, too many bytes are pending, or the item
        must be sent first and is not.
        """
        encoder = self._encoder
        if self._closed:
            return True
        before = encoder.pending
        encoder.write(item)
        pending = encoder.pending
        self._turn_events += 1
        if item is None and pending == before:  # no event
            return self._turn_is_over()
        self.events += 1
        self._turn_size += pending - before
        if not self._due:
            if pending >= self._flush_size:
                self._due = True
            elif not self._held:
                return True
        if self._one_by_one and pending:
            if not self._start_send(True) or self.sending_since is not None:
                return True
            pending = 0
        return encoder.ended or pending >= self._most_pending or self._turn_is_over()

    def _turn_is_over(self) -> bool:
        if self._turn_size >= self._turn_bytes:
            return True
        if self._turn_events % TURN_EVENTS:
            return False
        now = time.perf_counter()
        if self._turn_events == TURN_EVENTS:
            self._turn = now
        return now - self._turn > self._turn_seconds

    def hold(self) -> bool:
        """Return True if the caller must schedule a `flush` for the pending bytes."""
        if self._due or self._held:
            return False
        self._held = True
        return True

    def wait_for_room(self) -> Any:
        """Return a future for when the pending bytes are taken; None if there is room.

        With `one_by_one` it is for when they are sent.
        """
        if self._closed or not self._is_full():
            return None
        assert self._create_future is not None
        self._room = self._create_future()
        return self._room

    def _is_full(self) -> bool:
        pending: int = self._encoder.pending
        if self._one_by_one:
            return pending > 0 or self.sending_since is not None
        return pending >= self._most_pending

    def flush(self) -> None:
        """Send all pending bytes now."""
        self._held = False
        if self._encoder.pending:
            self._due = True
            if not self._start_send(False):
                self._wake()
            self._turn_events = self._turn_size = 0

    def close(self, reason: object = None) -> None:
        """Accept no more items. Without a reason the pending bytes are sent, else they are not."""
        if self._closed == _CUT:
            return
        self._closed = _ENDED if reason is None else _CUT
        self._due = True
        _settle(self._room)
        self._wake()

    # ---- the connection's side ----

    def grant(self, permit: Any) -> None:
        """Start sends as steps of the connection's task from now on, while it waits.

        Args:
            permit: has `send`, which returns an awaitable for a chunk, `loop`, the connection's
                `task` and its `context`, `shares_context` (True if the source runs in it too) and
                `current_tasks`, the current task by its loop, or a function that sets the loop's
                current task (or None) and returns the one before.
        """
        self._permit = (
            permit.send,
            permit.loop,
            permit.task,
            permit.context,
            permit.current_tasks,
            permit.shares_context,
        )

    def take(self, sending: bool = False) -> bytes:
        """Return the bytes that are due, b"" if there are none, or if the stream was cut.

        Args:
            sending: True if the caller sends them before its next call.
        """
        chunk = self._take()
        if sending:
            self.sending_since = self.idle_since if chunk else None
            if self._one_by_one and not chunk:
                _settle(self._room)
        return chunk

    def wait(self) -> Any:
        """Return a future for when bytes are due, a send was started, or the outbox is closed."""
        assert self._create_future is not None
        self._waiter = self._create_future()
        return self._waiter

    def take_started(self) -> _Started | None:
        """Return a send whose first step was made: its steps, what it waits for, or its error."""
        started, self._started = self._started, None
        return started

    def begin_send(self) -> None:
        """Note that something other than a chunk is being sent."""
        self.sending_since = self._time()

    def end_send(self) -> None:
        """Note that nothing is being sent."""
        self.sending_since = None

    def release(self) -> None:
        """Drop the permit, whose send and task may refer to the stream."""
        self._permit = self.after_step = None

    def _take(self) -> bytes:
        if self._closed == _CUT or not self._due:
            return b""
        chunk: bytes = self._encoder.take()
        if chunk:
            self._due = self._at_once or not self.events
            self.bytes += len(chunk)
            self.idle_since = self._time()
            if not self._one_by_one:
                _settle(self._room)
        return chunk

    def _source_suspends(self) -> None:
        """Send what is due: start it if the connection's task waits, else wake that task."""
        if self._due and self._encoder.pending and not self._start_send(True):
            self._wake()
        self._turn_events = self._turn_size = 0  # the source begins another turn

    def _start_send(self, in_source: bool) -> bool:
        """Start a send for the connection's task; return False if that cannot be done here.

        Args:
            in_source: called in a step of the source's task, so in its context.
        """
        if self._permit is None or self._waiter is None:
            return False
        send, loop, task, context, current_tasks, shares_context = self._permit
        try:
            running = _swap(current_tasks, loop, task)
        except Exception:  # the task sends itself, then
            return False
        entered: list[None] = []
        try:
            if in_source and shares_context:  # entered already, and cannot be once more
                self._send_in_context(send, entered)
            else:
                context.run(self._send_in_context, send, entered)
        except RuntimeError:
            if entered:
                raise
            return False  # the running task shares the context
        finally:
            _swap(current_tasks, loop, running)
        return True

    def _send_in_context(
        self, send: Callable[[bytes], Awaitable[None]], entered: list[None]
    ) -> None:
        """Make the first step of a send, and wake the connection's task if there are more."""
        entered.append(None)
        waiter = self._waiter
        chunk = self._take()
        if not chunk:
            return
        self._waiter = None  # no other send is started meanwhile
        self.sending_since = self.idle_since
        try:
            self._started = _first_step(send, chunk)
        except BaseException as error:
            self._started = None, None, error
        if self._started is None:
            self.sending_since = None
        self._waiter = waiter
        if self._started is not None or self._closed:
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        _settle(waiter)


def _settle(future: Any) -> None:
    if future is not None and not future.done():
        future.set_result(None)


def _swap(current_tasks: Any, loop: Any, task: Any) -> Any:
    """Make a task, or None, the loop's current one, and return the one before."""
    if type(current_tasks) is not dict:
        return current_tasks(loop, task)
    before = current_tasks.pop(loop, None)
    if task is not None:
        current_tasks[loop] = task
    return before


def _first_step(send: Callable[[bytes], Awaitable[None]], chunk: bytes) -> _Started | None:
    steps = send(chunk).__await__()
    waits_for = next(steps, _SENT)
    return None if waits_for is _SENT else (steps, waits_for, None)
