"""What the engine asks of an event loop, on asyncio (uvloop too) and on trio.

`event_loop()` gives the loop that runs here. Both kinds have the same few methods: futures, tasks,
timers, and a block that somebody else may break off. On trio a task runs beside the caller's
nursery, as asyncio's do, so that a stream lives the same life on both; trio is imported by those
alone who run it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, Self

from ._backend import FrameSender
from .handover import Lending, Send


class Future(Protocol):
    """Something to wait for, once."""

    def done(self) -> bool:
        """Whether it has come."""

    def set_result(self, result: None) -> None:
        """Let it have come."""

    def __await__(self) -> Any:
        """Wait for it."""


class Event(Protocol):
    """Something that several may wait for."""

    def is_set(self) -> bool:
        """Whether it has come."""

    def set(self) -> object:
        """Let it have come."""

    def wait(self) -> Awaitable[Any]:
        """Wait for it."""


class Task(Protocol):
    """A task of its own, which may be cancelled."""

    def cancel(self) -> object:
        """Ask it to end."""

    def cancelling(self) -> int:
        """How often it was asked to end."""

    def done(self) -> bool:
        """Whether it has ended."""


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> object:
        """Not call."""


class Breakable(Protocol):
    """A block of the task that enters it, which anybody may break off; the task goes on."""

    broken: bool

    def cancelled(self) -> bool:
        """Whether the block is to end, by whomever."""

    def break_off(self) -> None:
        """Have the block end where it waits."""

    def __enter__(self) -> Self:
        """Begin the block."""

    def __exit__(self, *raised: Any) -> bool:
        """End the block; true where it was broken off, and not cancelled from outside as well."""


class EventLoop(Protocol):
    """The loop that runs a stream."""

    identity: object  # what it stands for
    cancelled: type[BaseException]  # how a task's cancellation is raised in it

    # Read-only, so that asyncio's own methods may stand here, and cost no call of ours.
    @property
    def time(self) -> Callable[[], float]:
        """Give the loop's clock."""

    @property
    def create_future(self) -> Callable[[], Any]:
        """Make a Future."""

    @property
    def call_at(self) -> Callable[..., Any]:
        """Call a function at a time of the loop's clock; gives a Timer."""

    @property
    def call_soon_threadsafe(self) -> Callable[..., Any]:
        """Call a function, told from any thread; RuntimeError where the loop is over."""

    @property
    def sleep(self) -> Callable[[float], Awaitable[Any]]:
        """Wait some seconds; 0 lets the others run."""

    def create_event(self) -> Event:
        """Make an Event."""

    def create_task(self, main: Coroutine[Any, Any, Any], *, name: str) -> Task:
        """Run a coroutine in a task of its own; `name` is for who looks at tasks."""

    async def ended(self, task: Task) -> None:
        """Wait for a task's end, whatever it was."""

    def breakable(self) -> Breakable:
        """Make a block that may be broken off."""

    def lending(self, sender: FrameSender, send: Send) -> Future:
        """Make a Future; sends are begun in the name of the task that waits for it, if they can."""

    def shielded(self) -> contextlib.AbstractContextManager[Any]:
        """Make a block whose awaits go on in a task that was cancelled before."""

    def sheltered(self) -> contextlib.AbstractContextManager[Any]:
        """Make a block that no scope around it cancels; not for what has scopes of its own."""

    def is_closed(self) -> bool:
        """Whether it will never run again."""

    def ends_task(self, error: BaseException) -> bool:
        """Whether this ends the task that it is raised in, rather than being its own failure."""


class AsyncioLoop:
    """The event loop of asyncio, or one that stands in for it."""

    cancelled: type[BaseException] = asyncio.CancelledError

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.identity: object = loop
        self.time = loop.time
        self.create_future: Callable[[], Any] = loop.create_future
        self.call_at: Callable[..., Any] = loop.call_at
        self.call_soon_threadsafe: Callable[..., Any] = loop.call_soon_threadsafe
        self.is_closed = loop.is_closed
        self.sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
        self.create_event: Callable[[], Event] = asyncio.Event
        self.create_task: Callable[..., Task] = loop.create_task
        self.breakable: Callable[[], Breakable] = _AsyncioBreakable
        self.lending = functools.partial(Lending, loop=loop)
        self.shielded = contextlib.nullcontext  # a task is cancelled once, not for ever

    @staticmethod
    def sheltered() -> contextlib.AbstractContextManager[Any]:
        """Make a block that no scope around it cancels: those of anyio do so for ever."""
        anyio = sys.modules.get("anyio")
        return contextlib.nullcontext() if anyio is None else anyio.CancelScope(shield=True)

    @staticmethod
    async def ended(task: Any) -> None:
        """Wait for a task's end, whatever it was."""
        try:
            with AsyncioLoop.sheltered():
                await asyncio.wait([task])
        finally:
            if task.done() and not task.cancelled():
                task.exception()  # what it raises has ended the loop: no need to log it

    @staticmethod
    def ends_task(error: BaseException) -> bool:
        """Whether this ends the task that it is raised in, rather than being its own failure."""
        if isinstance(error, asyncio.CancelledError):
            task = asyncio.current_task()
            return task is not None and task.cancelling() > 0
        return isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit)


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
        if not self.broken:
            return False
        from_outside = self._task.uncancel() > self._cancelled_before
        return raised[0] is asyncio.CancelledError and not from_outside


_of_thread = threading.local()  # a thread runs one loop at a time


def event_loop() -> EventLoop:
    """Give the event loop that runs here; RuntimeError where there is none."""
    trio = sys.modules.get("trio")
    on_trio = trio is not None and trio.lowlevel.in_trio_run()
    running: Any = (
        trio.lowlevel.current_trio_token() if on_trio and trio else asyncio.get_running_loop()
    )
    known: EventLoop | None = getattr(_of_thread, "loop", None)
    if known is None or known.identity is not running:
        if on_trio:
            from .trio_loop import TrioLoop

            known = TrioLoop(running)
        else:
            known = AsyncioLoop(running)
        _of_thread.loop = known
    return known
