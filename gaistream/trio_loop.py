"""Trio's event loop, as the engine knows one: see event_loop.py.

A task is one of trio's system tasks under a cancel scope of its own: it is not in the nursery of
who starts it, so a stream can be begun in one call and closed in another, and a source's scopes
and time-outs are never those of the server's sends. Whoever starts one waits for its end.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Self

import trio

from ._log import log


class TrioLoop:
    """The run of trio that goes on in this thread."""

    cancelled: type[BaseException] = trio.Cancelled

    def __init__(self, token: trio.lowlevel.TrioToken) -> None:
        self.identity: object = token
        self.time = trio.current_time
        self.sleep = trio.sleep
        self.call_soon_threadsafe: Callable[..., Any] = token.run_sync_soon
        self.create_event = trio.Event
        self.create_future = _Future
        self.create_task = _Task
        self.call_at = _Timer
        self.breakable = _Breakable

    @staticmethod
    def lending(*_: object) -> _Future:
        """Make a future, and no more: a task's steps are made by trio alone."""
        return _Future()

    @staticmethod
    def shielded() -> contextlib.AbstractContextManager[Any]:
        """Make a block whose awaits go on in a task that was cancelled before."""
        return trio.CancelScope(shield=True)

    sheltered = shielded

    @staticmethod
    async def ended(task: Any) -> None:
        """Wait for a task's end, whatever it was."""
        with trio.CancelScope(shield=True):
            await task.end.wait()

    def is_closed(self) -> bool:
        """Whether it will never run again."""
        try:
            self.call_soon_threadsafe(int)
        except trio.RunFinishedError:
            return True
        return False

    @staticmethod
    def ends_task(error: BaseException) -> bool:
        """Whether this ends the task that it is raised in, rather than being its own failure."""
        if isinstance(error, BaseExceptionGroup):
            return error.subgroup(trio.Cancelled) is not None
        ends = trio.Cancelled, KeyboardInterrupt, SystemExit, GeneratorExit
        return isinstance(error, ends)


class _Future:
    """As asyncio's."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = trio.Event()

    def done(self) -> bool:
        return self._event.is_set()

    def set_result(self, _: None) -> None:
        self._event.set()

    def __await__(self) -> Generator[Any, Any, None]:
        return self._event.wait().__await__()


class _Task:
    """As asyncio's."""

    def __init__(self, main: Coroutine[Any, Any, Any], *, name: str | None = None) -> None:
        self.end = trio.Event()
        self._scope = trio.CancelScope()
        context = contextvars.copy_context()
        trio.lowlevel.spawn_system_task(self._run, main, name=name, context=context)

    async def _run(self, main: Coroutine[Any, Any, Any]) -> None:
        try:
            with self._scope:
                if self._scope.cancel_called:
                    main.close()
                else:
                    await main
        except Exception:  # beside its cancellation; it must not end the whole run
            log.exception("a stream's task raised")
        finally:
            self.end.set()

    def cancel(self) -> None:
        self._scope.cancel()

    def cancelling(self) -> int:
        return int(self._scope.cancel_called)

    def done(self) -> bool:
        return self.end.is_set()


class _Timer:
    """As asyncio's."""

    def __init__(self, when: float, callback: Callable[..., Any], *args: Any) -> None:
        async def wait_and_call() -> None:
            await trio.sleep_until(when)
            callback(*args)

        self._task = _Task(wait_and_call())

    def cancel(self) -> None:
        self._task.cancel()


class _Breakable:
    """As asyncio's."""

    def __init__(self) -> None:
        self.broken = False
        self._scope = trio.CancelScope()

    def __enter__(self) -> Self:
        self._scope.__enter__()
        return self

    def cancelled(self) -> bool:
        return True  # nobody can take it back

    def break_off(self) -> None:
        self.broken = True
        self._scope.cancel()

    def __exit__(self, *raised: Any) -> bool:
        return bool(self._scope.__exit__(*raised))
