"""Waiting for another thread: on asyncio, on trio, and in a plain thread without a loop.

A coroutine that waits only by `Waiter` runs everywhere. On a loop it suspends; in a plain thread it
blocks that thread instead, so it never suspends there and `run_in_thread` can drive it to its end.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from . import event_loop
from .protocols import EventLoop

Result = TypeVar("Result")


class Waiter:
    """One wait, of the task or thread that creates it. `wake` may be called from any thread."""

    __slots__ = ("_loop", "_thread", "_waits", "woken")

    def __init__(self) -> None:
        self.woken = False
        self._thread = threading.get_ident()
        self._loop: EventLoop | None
        try:
            self._loop = event_loop()
        except RuntimeError:  # a plain thread
            self._loop = None
        self._waits: Any = threading.Event() if self._loop is None else self._loop.create_future()

    def wake(self) -> None:
        """End the wait, now or when it begins. A second call has no effect."""
        self.woken = True
        if self._loop is None:
            self._waits.set()
        elif threading.get_ident() == self._thread:
            self._settle()
        else:
            with contextlib.suppress(RuntimeError):  # the loop is over, and so is the wait
                self._loop.call_soon_threadsafe(self._settle)

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait for `wake`, at most `timeout` seconds. Return False if that time is over."""
        if self._loop is None:
            self._waits.wait(timeout)
            return self.woken
        if timeout is None:
            await self._waits
            return True
        timer = self._loop.call_at(self._loop.time() + max(timeout, 0.0), self._settle)
        try:
            await self._waits
        finally:
            timer.cancel()
        return self.woken

    def _settle(self) -> None:
        if not self._waits.done():
            self._waits.set_result(None)


def wake_all(waiters: Iterable[Waiter]) -> None:
    """Wake many waits from another thread, with one call, and so one system call, for each loop."""
    loops: dict[EventLoop, list[Waiter]] = {}
    for waiter in waiters:
        if waiter._loop is None:
            waiter.wake()
        else:
            waiter.woken = True
            loops.setdefault(waiter._loop, []).append(waiter)
    for loop, waiting in loops.items():
        with contextlib.suppress(RuntimeError):  # the loop is over, and so are its waits
            loop.call_soon_threadsafe(_settle_all, waiting)


def _settle_all(waiters: list[Waiter]) -> None:
    for waiter in waiters:
        waiter._settle()


def run_in_thread(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in this thread, which has no event loop, and return its result.

    Raises:
        RuntimeError: an event loop runs in this thread, or the coroutine needs one.
    """
    try:
        event_loop()
    except RuntimeError:
        pass
    else:
        main.close()
        raise RuntimeError("an event loop runs in this thread: await the coroutine instead")
    try:
        main.send(None)
    except StopIteration as stop:
        result: Result = stop.value
        return result
    main.close()
    raise RuntimeError(f"{main!r} needs an event loop: it waits for something that is not a Waiter")
