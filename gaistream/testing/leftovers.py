"""What an app has left running after its response: tasks, async generators, helper threads.

Tasks and generators are the app's if they run in a copy of the context of its call, so those of the
test and of other requests are not counted.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakSet

from .virtual_time import recorder

_STDLIB = sysconfig.get_path("stdlib")
_SITE = "site-packages"
_HELPER = "gaistream-source"  # the name of the threads of blocking sources


class GeneratorHooks:
    """Watches which async generators begin, as long as it is installed in this thread."""

    def __init__(self, began: Callable[[Any], None]) -> None:
        self._began = began
        self._before = sys.get_asyncgen_hooks().firstiter
        sys.set_asyncgen_hooks(firstiter=self._first)

    def _first(self, generator: Any) -> None:
        self._began(generator)
        if self._before is not None:
            self._before(generator)

    def remove(self) -> None:
        """Restore the hook that was set before, unless another has replaced this one."""
        if sys.get_asyncgen_hooks().firstiter == self._first:
            sys.set_asyncgen_hooks(firstiter=self._before)


class Leftovers:
    """What one app has left running.

    Args:
        owner: the test's side of the request.
    """

    def __init__(self, owner: object) -> None:
        self._owner = owner
        self._generators: WeakSet[Any] = WeakSet()
        self._threads_before = set(_helper_threads())

    def generator_began(self, generator: Any) -> None:
        """Note an async generator, if it is the app's."""
        if recorder.get() is self._owner:
            self._generators.add(generator)

    def names(self, *, tasks: bool, threads: bool) -> list[str]:
        """Return the names and places of all that is left.

        Args:
            tasks: look at the tasks of the running loop too.
            threads: look at helper threads too; they do not tell whose they are.
        """
        names = [
            f"the async generator {each.__qualname__} ({place_of(each)})"
            for each in self._generators
            if each.ag_frame is not None
        ]
        if tasks:
            names += [
                f"the task {name!r} ({place_of(coro)})"
                for name, coro, context in _tasks()
                if context.get(recorder) is self._owner
            ]
        if threads:
            left = set(_helper_threads()) - self._threads_before
            names += [f"the thread of a blocking source ({each.name})" for each in left]
        return names


def _helper_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == _HELPER]


def place_of(coro: Any) -> str:
    """Return the file and line at which a coroutine or generator waits, if possible in own code."""
    places = []
    while coro is not None:
        frame, awaited = None, None
        for kind in ("cr", "gi", "ag"):
            frame = frame or getattr(coro, f"{kind}_frame", None)
            awaited = awaited or getattr(coro, f"{kind}_await", None)
        if frame is not None:
            places.append(f"{frame.f_code.co_filename}:{frame.f_lineno}")
        coro = awaited
    own = [each for each in places if not each.startswith(_STDLIB) and _SITE not in each]
    return (own or places or ["running"])[-1]


def _tasks() -> Iterator[tuple[str, Any, contextvars.Context]]:
    """Yield the running loop's tasks: name, coroutine, context."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        waiting = [trio.lowlevel.current_root_task()]
        while waiting:
            task = waiting.pop()
            waiting += [each for nursery in task.child_nurseries for each in nursery.child_tasks]
            yield task.name, task.coro, task.context
        return
    for task in asyncio.all_tasks():
        context = _context_of(task)
        if context is not None:
            yield task.get_name(), task.get_coro(), context


def _context_of(task: asyncio.Task[Any]) -> contextvars.Context | None:
    if sys.version_info >= (3, 12):
        return task.get_context()
    # Python 3.11 does not tell; the task itself refers to its context first
    known = (each for each in gc.get_referents(task) if isinstance(each, contextvars.Context))
    return next(known, None)
