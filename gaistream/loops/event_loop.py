"""What the engine asks of an event loop, on asyncio (uvloop too) and on trio.

`event_loop()` gives the loop that runs here. Both kinds have the same few methods: futures, tasks,
timers, and a block that somebody else may break off. On trio a task runs beside the caller's
nursery, as asyncio's do, so that a stream lives the same life on both; trio is imported by those
alone who run it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Final, Protocol, Self

from ..core import FrameSender
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


class Starting(Protocol):
    """The start of a task. Await it: the task has made its first step then.

    Attributes:
        task: the task, once it was created; None if the wait was cancelled before that.
        context: the context variables that the task shares with the one that awaits this.
    """

    task: Any
    context: contextvars.Context | None

    def __await__(self) -> Generator[Any, Any, None]:
        """Start the task, and wait for its first step."""


class End(Protocol):
    """The end of a task."""

    async def wait(self) -> None:
        """Wait for it, also in a task or scope that is cancelled, or until it is given up."""

    def give_up(self) -> None:
        """Have `wait` return, although the task goes on."""


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
    clock: Any  # its Clock, once it has one
    open_streams: Any  # its LoopStreams, once it has them
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
    def starting(self) -> Callable[[Any, str], Starting]:
        """Return an awaitable that starts a task in the awaiting task's own context, if it can."""

    @property
    def end_of(self) -> Callable[[Any], End]:
        """Return the end of a task, to wait for."""

    @property
    def shielded(self) -> Callable[[], contextlib.AbstractContextManager[Any]]:
        """Return a block that no scope cancels which the running source holds open."""

    @property
    def sleep(self) -> Callable[[float], Awaitable[Any]]:
        """Wait some seconds; 0 lets the others run."""

    def create_event(self) -> Event:
        """Make an Event."""

    def create_task(self, main: Coroutine[Any, Any, Any], *, name: str) -> Task:
        """Run a coroutine in a task of its own; `name` is for who looks at tasks."""

    async def ended(self, task: Task) -> None:
        """Wait for a task's end, whatever it was."""

    def shield(self, task: Task) -> None:
        """Have the running task go on although it was cancelled; a second time cancels it again."""

    def breakable(self) -> Breakable:
        """Make a block that may be broken off."""

    def lending(self, sender: FrameSender, send: Send) -> Future:
        """Make a Future; sends are begun in the name of the task that waits for it, if they can."""

    def sheltered(self) -> contextlib.AbstractContextManager[Any]:
        """Make a block that no scope around it cancels; not for what has scopes of its own."""

    def is_closed(self) -> bool:
        """Whether it will never run again."""

    def failure_in(self, error: BaseException) -> BaseException | None:
        """Return the failure of a source in what it raised; None if that ends its task instead."""


class AsyncioLoop:
    """The event loop of asyncio, or one that stands in for it."""

    cancelled: type[BaseException] = asyncio.CancelledError

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.identity: object = loop
        self.clock: Any = None
        self.open_streams: Any = None
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
        self.starting = functools.partial(_AsyncioStarting, loop)
        self.end_of: Callable[[Any], End] = _AsyncioEnd
        self.shielded = contextlib.nullcontext

    @staticmethod
    def sheltered() -> contextlib.AbstractContextManager[Any]:
        """Make a block that no scope around it cancels: those of anyio do so for ever."""
        anyio = sys.modules.get("anyio")
        return contextlib.nullcontext() if anyio is None else anyio.CancelScope(shield=True)

    @staticmethod
    async def ended(task: Any) -> None:
        """Wait for a task's end, whatever it was."""
        await _AsyncioEnd(task).wait()

    @staticmethod
    def shield(task: Any) -> None:
        """Do nothing: asyncio raises a cancellation once, not at every await."""

    @staticmethod
    def failure_in(error: BaseException) -> BaseException | None:
        """Return the failure of a source in what it raised; None if that ends its task instead."""
        if isinstance(error, asyncio.CancelledError):
            task = asyncio.current_task()
            return error if task is None or not task.cancelling() else None
        if isinstance(error, GeneratorExit):
            # raised by the source itself in its task, or by whoever drops a task that waits
            return error if _runs_in_task() else None
        return None if isinstance(error, KeyboardInterrupt | SystemExit) else error


class _AsyncioEnd:
    __slots__ = ("_given_up", "_task")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = task
        self._given_up: asyncio.Future[None] | None = None

    async def wait(self) -> None:
        task = self._task
        if not task.done():
            if self._given_up is None:
                self._given_up = task.get_loop().create_future()
            with AsyncioLoop.sheltered():
                await asyncio.wait([task, self._given_up], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            self._given_up = None
            try:  # a task keeps its error until it is asked, and the error's frames the task
                task.exception()  # it has ended the loop: no need to log it
            except asyncio.CancelledError as error:
                error.__traceback__ = error.__context__ = None

    def give_up(self) -> None:
        if self._given_up is not None and not self._given_up.done():
            self._given_up.set_result(None)


def _runs_in_task() -> bool:
    try:
        return asyncio.current_task() is not None
    except RuntimeError:  # no loop runs
        return False


class _AsyncioStarting(asyncio.Future[None]):
    """The start of a task in the awaiting task's own context.

    Whoever awaits a future passes the context to be called in, and a task passes its own.
    """

    __slots__ = ("_main", "_name", "context", "task")

    def __init__(self, loop: asyncio.AbstractEventLoop, main: Any, name: str) -> None:
        super().__init__(loop=loop)
        self._main = main
        self._name = name
        self.task: asyncio.Task[Any] | None = None
        self.context: contextvars.Context | None = None

    def add_done_callback(
        self, callback: Callable[[Any], object], *, context: contextvars.Context | None = None
    ) -> None:
        super().add_done_callback(callback, context=context)
        self.context = context
        loop = self.get_loop()
        if loop.get_task_factory() is None:
            self._start()
        else:  # an eager task enters the context at once, in which this task still runs
            loop.call_soon(self._start, context=contextvars.Context())

    def _start(self) -> None:
        main, self._main = self._main, None
        if self.done():  # cancelled meanwhile
            main.close()
            return
        create = self.get_loop().create_task
        try:
            try:
                self.task = create(main, name=self._name, context=self.context)
            except TypeError:  # a task factory without that argument: in a copy, then
                context, self.context = self.context, None
                if context is None:
                    raise
                self.task = context.run(create, main, name=self._name)
        except Exception as error:  # of the task factory
            main.close()
            self.set_exception(error)
        else:
            self.set_result(None)  # the awaiting task goes on after the first step of the new one


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
        del self._task  # its error may hold a frame that holds this block
        if not self.broken:
            return False
        from_outside = task.uncancel() > self._cancelled_before
        return raised[0] is asyncio.CancelledError and not from_outside


# An attribute of asyncio's loop, so that it lives as long as the loop does, and no longer; another
# copy of the package has another.
_ATTRIBUTE: Final = f"_gaistream_{id(AsyncioLoop):x}"


def event_loop() -> EventLoop:
    """Return the event loop that runs here, always the same object; RuntimeError without one."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run() and _is_not_host(trio):
        from .trio import trio_loop

        return trio_loop()
    running = asyncio.get_running_loop()
    known: EventLoop | None = getattr(running, _ATTRIBUTE, None)
    if known is None:
        known = AsyncioLoop(running)
        setattr(running, _ATTRIBUTE, known)
    return known


def forget_loop(running: asyncio.AbstractEventLoop) -> None:
    """Drop what belongs to a loop that is closed, and refers to it."""
    known: EventLoop | None = getattr(running, _ATTRIBUTE, None)
    if known is not None:
        known.clock = known.open_streams = None  # which refer to it, too
        delattr(running, _ATTRIBUTE)


def _is_not_host(trio: Any) -> bool:
    """Return whether trio runs this code, and not asyncio, whose guest it is in this thread."""
    if trio.lowlevel.in_trio_task():
        return True
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False
