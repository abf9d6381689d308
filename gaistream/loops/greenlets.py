"""Event loops that share a thread with those of other greenlets, as under gevent's workers.

asyncio knows one running loop a thread, and gevent makes many threads one: greenlets that are
switched whenever one of them waits. So a loop steps aside while it waits for its selector, and
whoever runs one takes turns: what blocks in a loop delays the others, as it would on one loop,
and confuses none. Without gevent, or before it has patched the standard library, this is
`asyncio.Runner` itself.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import threading
from asyncio import _get_running_loop, _set_running_loop
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from .event_loop import forget_loop

_T = TypeVar("_T")


class Runner(Protocol):
    """What runs coroutines on one event loop, one after the other."""

    def run(self, coro: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine to its end."""

    def close(self) -> None:
        """End what is left on the loop, and close it."""


def new_runner() -> Runner:
    """Return a runner for an event loop in this thread, or in this greenlet."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("select"):
        return _GreenRunner()
    return _LoopRunner(asyncio.new_event_loop)


def close_runner(runner: Runner, *, left_behind: bool) -> None:
    """Close a runner; in a thread if a task was left behind, which may hold that up for ever."""
    if left_behind:
        threading.Thread(target=runner.close, name="gaistream left behind", daemon=True).start()
    else:
        runner.close()


class _LoopRunner:
    """An `asyncio.Runner` whose loop leaves no reference cycle."""

    def __init__(self, make_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        made = self._made = list[asyncio.AbstractEventLoop]()

        def factory() -> asyncio.AbstractEventLoop:
            made.append(make_loop())
            return made[0]

        self._runner = asyncio.Runner(loop_factory=factory)

    def run(self, coro: Coroutine[Any, Any, _T]) -> _T:
        return self._runner.run(coro)

    def close(self) -> None:
        self._runner.close()
        while self._made:
            forget_loop(self._made.pop())


class _GreenRunner(_LoopRunner):
    _turn: Any = None  # whose loop is running: a lock, made once everything is patched

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
                # stopped for that: without this its next run would stop instead.
                for loop in self._made:
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
    """A selector whose loop is not the running one while it waits."""

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
