"""The event loop of trio: see protocols.py.

A task is one of trio's system tasks under its own cancel scope, not in the starter's nursery. So a
stream can be started in one call and closed in another, and a source's scopes and time-outs never
reach the server's sends. The code that starts a task waits for its end.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Generator
from typing import Any, Self

import trio

from .._log import log


class TrioLoop:
    """The run of trio in this thread."""

    cancelled: type[BaseException] = trio.Cancelled

    def __init__(self, token: trio.lowlevel.TrioToken) -> None:
        self.identity: object = token
        self.clock: Any = None
        self.open_streams: Any = None
        self.time = trio.current_time
        self.sleep = trio.sleep
        self.call_soon: Callable[..., Any] = token.run_sync_soon
        self.call_soon_threadsafe = self.call_soon
        self.create_event = trio.Event
        self.create_future = _Future
        self.create_task = _Task
        self.start_task = _Start
        self.call_at = _Timer
        self.breakable = _Breakable

    @staticmethod
    def send_permit(*_: object) -> None:
        """Return no permit: only trio makes a task's steps."""

    @staticmethod
    def shield_from_outer_scopes() -> contextlib.AbstractContextManager[Any]:
        """Return a block that no scope around it cancels; not for code with scopes of its own."""
        return trio.CancelScope(shield=True)

    shield_from_source_scopes = shield_from_outer_scopes

    @staticmethod
    def end_of(task: Any) -> _End:
        """Return the end of a task."""
        end: _End = task.end
        return end

    @staticmethod
    async def ended(task: Any) -> None:
        """Wait for a task's end, however it ends."""
        await task.end.wait()

    @staticmethod
    def shield_cancelled_task(task: Any) -> None:
        """Continue the running task although it was cancelled; a second time cancels it again."""
        task.shield()

    def is_closed(self) -> bool:
        """Return True if it will never run again."""
        try:
            self.call_soon_threadsafe(int)
        except trio.RunFinishedError:
            return True
        return False

    @staticmethod
    def failure_in(error: BaseException) -> BaseException | None:
        """Return the failure in a source's exception; None if that ends the source's task."""
        if isinstance(error, BaseExceptionGroup):
            return error.split(trio.Cancelled)[1]
        if isinstance(error, GeneratorExit):
            return error if trio.lowlevel.in_trio_task() else None
        ends = trio.Cancelled, KeyboardInterrupt, SystemExit
        return None if isinstance(error, ends) else error


_of_run: trio.lowlevel.RunVar[TrioLoop | None] = trio.lowlevel.RunVar("gaistream", None)


def trio_loop() -> TrioLoop:
    """Return the loop of the current run; it lives as long as the run does."""
    known = _of_run.get()
    if known is None:
        known = TrioLoop(trio.lowlevel.current_trio_token())
        _of_run.set(known)
    return known


def replace_trio_loop(own: Any) -> None:
    """Make `trio_loop()` return another object for the current run."""
    _of_run.set(own)


class _Future:
    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = trio.Event()

    def done(self) -> bool:
        return self._event.is_set()

    def set_result(self, _: None) -> None:
        self._event.set()

    def __await__(self) -> Generator[Any, Any, None]:
        return self._event.wait().__await__()


class _End:
    """A task's end. The waiting task raises what must leave the run, such as SystemExit."""

    __slots__ = ("_event", "error")

    def __init__(self) -> None:
        self._event = trio.Event()
        self.error: BaseException | None = None

    async def wait(self) -> None:
        with trio.CancelScope(shield=True):
            await self._event.wait()
        error, self.error = self.error, None
        if error is not None:
            raise error

    def give_up(self) -> None:
        self._event.set()


class _Task:
    """A task. Both its scopes are around all its code, which may hold scopes open."""

    def __init__(self, main: Any, *, name: str | None = None) -> None:
        self.end = _End()
        self.over = False
        self._scope = trio.CancelScope()
        self._inner = trio.CancelScope()
        context = contextvars.copy_context()
        trio.lowlevel.spawn_system_task(self._run, main, name=name, context=context)

    async def _run(self, main: Any) -> None:
        try:
            with self._scope, self._inner:
                if self._scope.cancel_called:
                    main.close()
                else:
                    await main
        except Exception:  # together with its cancellation; it must not end the whole run
            log.exception("a stream's task raised")
        except (KeyboardInterrupt, SystemExit) as error:  # an internal error of trio's here
            self.end.error = error
        finally:
            self.over = True
            self.end.give_up()

    def cancel(self) -> None:
        again = self._scope.cancel_called or self._inner.shield
        (self._inner if again else self._scope).cancel()

    def cancelling(self) -> int:
        return int(self._scope.cancel_called)

    def shield(self) -> None:
        self._inner.shield = True

    def done(self) -> bool:
        return self.over


class _Start:
    """A task's start, in a copy of the context: trio enters a new task's while this one runs."""

    def __init__(self, main: Any, name: str) -> None:
        self.task: Any = _Task(main, name=name)

    def __await__(self) -> Generator[Any, Any, None]:
        for _ in range(2):  # one turn of all tasks, in any order, and its end
            yield from trio.lowlevel.checkpoint().__await__()  # noqa: ASYNC105


class _Timer:
    def __init__(self, when: float, callback: Callable[..., Any], *args: Any) -> None:
        async def wait_and_call() -> None:
            await trio.sleep_until(when)
            callback(*args)

        self._task = _Task(wait_and_call())

    def cancel(self) -> None:
        self._task.cancel()


class _Breakable:
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
