"""What streams need from an event loop, on asyncio (uvloop too) and on trio.

Both kinds of loop have the same few methods: futures, tasks, timers, and a block that others may
break off. On trio a task runs beside the caller's nursery, as asyncio's do, so that a stream lives
the same life on both.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Protocol, Self

from .handover import Send, SendPermit


class Future(Protocol):
    """A result to wait for, once."""

    def done(self) -> bool:
        """Return True once it has a result, or was cancelled."""

    def set_result(self, result: None) -> None:
        """Wake the waiting task."""

    def __await__(self) -> Any:
        """Wait for the result."""


class Event(Protocol):
    """A flag for which several tasks may wait."""

    def is_set(self) -> bool:
        """Return True once it was set."""

    def set(self) -> object:
        """Wake all waiting tasks."""

    def wait(self) -> Awaitable[Any]:
        """Wait until it is set."""


class Task(Protocol):
    """A coroutine that runs on its own, and may be cancelled."""

    def cancel(self) -> object:
        """Ask it to end."""

    def cancelling(self) -> int:
        """Return how many requests to end were not taken back."""

    def done(self) -> bool:
        """Return True once it has ended."""


class Start(Protocol):
    """The start of a task. Await it: the task has then made its first step.

    Attributes:
        task: the task, once it was created; None if the wait was cancelled before that.
    """

    task: Any

    def __await__(self) -> Generator[Any, Any, None]:
        """Start the task, and wait for its first step."""


class End(Protocol):
    """The end of a task."""

    async def wait(self) -> None:
        """Wait for it, also in a cancelled task or scope, or until `give_up` is called."""

    def give_up(self) -> None:
        """Make `wait` return, although the task goes on."""


class Timer(Protocol):
    """A call at a later time."""

    def cancel(self) -> object:
        """Prevent the call."""


class Breakable(Protocol):
    """A block that others may break off; the task that entered it goes on after it."""

    broken: bool

    def cancelled(self) -> bool:
        """Return True if the block must end, for whatever reason."""

    def break_off(self) -> None:
        """End the block where it waits."""

    def __enter__(self) -> Self:
        """Begin the block."""

    def __exit__(self, *raised: Any) -> bool:
        """End the block. Return True if it was broken off, and not cancelled from outside too."""


class EventLoop(Protocol):
    """The event loop that runs a stream.

    Attributes:
        identity: the same object for all that runs on the loop.
        clock: the loop's Clock, once it was made.
        open_streams: the loop's registry of streams, once it was made.
        cancelled: the exception that cancels a task.
    """

    identity: object
    clock: Any
    open_streams: Any
    cancelled: type[BaseException]

    # Read-only properties, so that asyncio's own methods can be used without another call.
    @property
    def time(self) -> Callable[[], float]:
        """Return the time by the loop's clock."""

    @property
    def create_future(self) -> Callable[[], Any]:
        """Return a Future."""

    @property
    def call_at(self) -> Callable[..., Any]:
        """Call a function at a time of the loop's clock; return a Timer."""

    @property
    def call_soon(self) -> Callable[..., Any]:
        """Call a function in the loop's next turn."""

    @property
    def call_soon_threadsafe(self) -> Callable[..., Any]:
        """Call a function, from any thread; raise RuntimeError if the loop is over."""

    @property
    def start_task(self) -> Callable[[Any, str], Start]:
        """Return a Start, whose task runs in the awaiting task's own context, if that can be."""

    @property
    def end_of(self) -> Callable[[Any], End]:
        """Return the End of a task."""

    @property
    def send_permit(self) -> Callable[[Any, Send], SendPermit | None]:
        """Return a permit for the task that has awaited a Start; None if there can be none."""

    @property
    def shield_from_source_scopes(self) -> Callable[[], contextlib.AbstractContextManager[Any]]:
        """Return a block that is not cancelled by scopes which the running source holds open."""

    @property
    def sleep(self) -> Callable[[float], Awaitable[Any]]:
        """Wait some seconds; 0 lets other tasks run."""

    def create_event(self) -> Event:
        """Return an Event."""

    def create_task(self, main: Coroutine[Any, Any, Any], *, name: str) -> Task:
        """Run a coroutine in a task; its name is shown by debuggers."""

    async def ended(self, task: Task) -> None:
        """Wait for a task's end, however it ends."""

    def shield_cancelled_task(self, task: Task) -> None:
        """Continue the running task although it was cancelled; a second time cancels it again."""

    def breakable(self) -> Breakable:
        """Return a Breakable."""

    def shield_from_outer_scopes(self) -> contextlib.AbstractContextManager[Any]:
        """Return a block that no scope around it cancels; not for code with scopes of its own."""

    def is_closed(self) -> bool:
        """Return True if it will never run again."""

    def failure_in(self, error: BaseException) -> BaseException | None:
        """Return the failure in a source's exception; None if that ends the source's task."""
