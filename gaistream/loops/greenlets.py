"""Event loops that share one thread with those of other greenlets, as under gevent's workers.

asyncio has one running loop per thread, while gevent runs many greenlets in one thread and switches
whenever one of them waits. So a loop stops being the running one while it waits for its selector,
and a lock lets one loop run at a time. A loop that blocks delays the others, as one task delays
another, and does no other harm. Without gevent, or before it has patched the standard library, the
runner is `asyncio.Runner` itself.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import threading
from asyncio import _get_running_loop, _set_running_loop
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from . import forget_loop

_T = TypeVar("_T")


class Runner(Protocol):
    """Runs coroutines on one event loop, one after the other."""

    def run(self, coro: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine to its end."""

    def close(self) -> None:
        """Cancel the tasks that are left, and close the loop."""


def new_runner() -> Runner:
    """Return a runner for an event loop in this thread, or in this greenlet."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("select"):
        return _GreenRunner()
    return _LoopRunner(asyncio.new_event_loop)


def close_runner(runner: Runner, *, left_behind: bool) -> None:
    """Close a runner. A task that was left behind may block that for ever: then in a thread."""
    if left_behind:
        threading.Thread(target=runner.close, name="gaistream left behind", daemon=True).start()
    else:
        runner.close()


class _LoopRunner:
    """An `asyncio.Runner` whose loop leaves no reference cycle."""

    def __init__(self, make_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        loops = self._loops = list[asyncio.AbstractEventLoop]()  # the loop, once it exists

        def factory() -> asyncio.AbstractEventLoop:
            loops.append(make_loop())
            return loops[0]

        self._runner = asyncio.Runner(loop_factory=factory)

    def run(self, coro: Coroutine[Any, Any, _T]) -> _T:
        return self._runner.run(coro)

    def close(self) -> None:
        self._runner.close()
        while self._loops:
            forget_loop(self._loops.pop())


class _GreenRunner(_LoopRunner):
    _turn: Any = None  # the lock of the running loop, made only once gevent has patched all

    def __init__(self) -> None:
        if _GreenRunner._turn is None:
            _GreenRunner._turn = threading.Lock()
        super().__init__(_new_green_loop)

    def run(self, coro: Coroutine[Any, Any, _T]) -> _T:
        with self._turn:
            try:
                return super().run(coro)
            except BaseException:
                # A greenlet may be killed after its coroutine has ended, and before the loop has
                # stopped because of that. Without this the loop's next run would stop instead.
                for loop in self._loops:
                    loop.call_soon(loop.stop)
                    loop.run_forever()
                raise

    def close(self) -> None:
        with self._turn:
            super().close()


def _new_green_loop() -> asyncio.AbstractEventLoop:
    selector: Any = _SharingSelector(_GreenRunner._turn)
    return asyncio.SelectorEventLoop(selector)


class _SharingSelector:
    """A selector that lets other loops run while it waits."""

    def __init__(self, turn: Any) -> None:
        self._turn = turn
        self._selector = selectors.DefaultSelector()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._selector, name)

    def select(self, timeout: float | None = None) -> Any:
        loop, hooks = _get_running_loop(), sys.get_asyncgen_hooks()
        _set_running_loop(None)
        sys.set_asyncgen_hooks(None, None)
        self._turn.release()
        try:
            return self._selector.select(timeout)
        finally:
            self._turn.acquire()
            _set_running_loop(loop)
            sys.set_asyncgen_hooks(*hooks)
