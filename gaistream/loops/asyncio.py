"""The event loop of asyncio, and of uvloop: see protocols.py.

`event_loop()` returns the running loop of either kind; trio is imported only where it runs. What it
returns can be replaced, as `gaistream.testing` does: all timers then run by another clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final, Self

from .handover import Send, SendPermit, TaskStart, send_permit
from .protocols import Breakable, End, Event, EventLoop, Task


class AsyncioLoop:
    """The event loop of asyncio, or one that replaces it."""

    cancelled: type[BaseException] = asyncio.CancelledError

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.identity: object = loop
        self.clock: Any = None
        self.open_streams: Any = None
        self.time = loop.time
        self.create_future: Callable[[], Any] = loop.create_future
        self.call_at: Callable[..., Any] = loop.call_at
        self.call_soon: Callable[..., Any] = loop.call_soon
        self.call_soon_threadsafe: Callable[..., Any] = loop.call_soon_threadsafe
        self.is_closed = loop.is_closed
        self.sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
        self.create_event: Callable[[], Event] = asyncio.Event
        self.create_task: Callable[..., Task] = loop.create_task
        self.breakable: Callable[[], Breakable] = _AsyncioBreakable
        self.start_task = functools.partial(TaskStart, loop)
        self.send_permit: Callable[[Any, Send], SendPermit | None] = send_permit
        self.end_of: Callable[[Any], End] = _AsyncioEnd
        self.shield_from_source_scopes = contextlib.nullcontext

    @staticmethod
    def shield_from_outer_scopes() -> contextlib.AbstractContextManager[Any]:
        """Return a block that no scope around it cancels: those of anyio do so for ever."""
        return _NOTHING if not _may_be_in_scope() else sys.modules["anyio"].CancelScope(shield=True)

    @staticmethod
    async def ended(task: Any) -> None:
        """Wait for a task's end, however it ends."""
        if task.done():
            _forget_error(task)
        else:
            await _AsyncioEnd(task).wait()

    @staticmethod
    def shield_cancelled_task(task: Any) -> None:
        """Do nothing: asyncio raises a cancellation once, not at every await."""

    @staticmethod
    def failure_in(error: BaseException) -> BaseException | None:
        """Return the failure in a source's exception; None if that ends the source's task."""
        if isinstance(error, asyncio.CancelledError):
            task = asyncio.current_task()
            return error if task is None or not task.cancelling() else None
        if isinstance(error, GeneratorExit):
            # raised by the source in its task, or by the collector of a task that waits
            return error if _runs_in_task() else None
        return None if isinstance(error, KeyboardInterrupt | SystemExit) else error


_NOTHING: Final = contextlib.nullcontext()


def _may_be_in_scope() -> bool:
    """Return False if the running task is known to be in no cancel scope of anyio."""
    backend = sys.modules.get("anyio._backends._asyncio")
    if backend is None:  # anyio has not been used on asyncio
        return False
    states = getattr(backend, "_task_states", None)  # not a promised interface
    if states is None:
        return True
    state = states.get(asyncio.current_task())
    return state is not None and getattr(state, "cancel_scope", state) is not None


class _AsyncioEnd:
    __slots__ = ("_given_up", "_task", "_waiters")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = task
        self._given_up = False
        self._waiters: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        task = self._task
        if not task.done() and not self._given_up:
            if not self._waiters:
                task.add_done_callback(self._wake)
            waiter = task.get_loop().create_future()  # cheaper than asyncio.wait
            self._waiters.append(waiter)
            with AsyncioLoop.shield_from_outer_scopes():
                await waiter
        if task.done():
            _forget_error(task)

    def give_up(self) -> None:
        self._given_up = True
        self._task.remove_done_callback(self._wake)
        self._wake(self._task)

    def _wake(self, _: asyncio.Task[Any]) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()


def _forget_error(task: asyncio.Task[Any]) -> None:
    try:  # a task keeps its error until it is asked, and the error's frames the task
        task.exception()  # it has ended the loop: no need to log it
    except asyncio.CancelledError as error:
        error.__traceback__ = error.__context__ = None


def _runs_in_task() -> bool:
    try:
        return asyncio.current_task() is not None
    except RuntimeError:  # no loop runs
        return False


class _AsyncioBreakable:
    __slots__ = ("_cancelled_before", "_task", "broken")  # one for each stream, while it is sent

    def __init__(self) -> None:
        self.broken = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelled_before = task.cancelling()
        return self

    def cancelled(self) -> bool:
        return self._task.cancelling() > self._cancelled_before

    def break_off(self) -> None:
        if not self.broken:
            self.broken = True
            self._task.cancel()

    def __exit__(self, *raised: Any) -> bool:
        task = self._task
        del self._task  # whose error may hold a frame that holds this block
        if not self.broken:
            return False
        from_outside = task.uncancel() > self._cancelled_before
        return raised[0] is asyncio.CancelledError and not from_outside


# An attribute of asyncio's loop, so that it lives exactly as long. Another copy of the package has
# another.
_ATTRIBUTE: Final = f"_gaistream_{id(AsyncioLoop):x}"


new_loop: ContextVar[Callable[[asyncio.AbstractEventLoop], EventLoop]] = ContextVar(
    "gaistream_new_loop", default=AsyncioLoop
)
"""Makes the object of each loop of asyncio that is first used in this context."""


def event_loop() -> EventLoop:
    """Return the running event loop, always the same object; raise RuntimeError if none runs."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run() and _is_not_host(trio):
        from .trio import trio_loop

        return trio_loop()
    running = asyncio.get_running_loop()
    known: EventLoop | None = getattr(running, _ATTRIBUTE, None)
    if known is None:
        known = new_loop.get()(running)
        setattr(running, _ATTRIBUTE, known)
    return known


def replace_event_loop(own: EventLoop) -> None:
    """Make `event_loop()` return `own` for the running loop, such as a copy with another clock."""
    trio = sys.modules.get("trio")
    if trio is not None and own.cancelled is trio.Cancelled:
        from .trio import replace_trio_loop

        replace_trio_loop(own)
    else:
        setattr(asyncio.get_running_loop(), _ATTRIBUTE, own)


def forget_loop(running: asyncio.AbstractEventLoop) -> None:
    """Drop the objects that belong to a closed loop and refer to it."""
    known: EventLoop | None = getattr(running, _ATTRIBUTE, None)
    if known is not None:
        known.clock = known.open_streams = None  # which refer to it, too
        delattr(running, _ATTRIBUTE)


def _is_not_host(trio: Any) -> bool:
    """Return False if asyncio runs this code, with trio as its guest in this thread."""
    if trio.lowlevel.in_trio_task():
        return True
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False
