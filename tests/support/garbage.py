"""What a finished request leaves to the cycle collector: nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from loops import DEADLINE, helper_threads


class Left:
    """What a block of code has left.

    Attributes:
        alive: the objects noted in the block that still exist.
        garbage: the types of the objects that only the collector could free.
    """

    def __init__(self) -> None:
        self._noted: list[weakref.ref[Any]] = []
        self.alive: list[Any] = []
        self.garbage: list[str] = []

    def note(self, thing: Any) -> Any:
        self._noted.append(weakref.ref(thing))
        return thing

    def look(self) -> None:
        self.alive = [thing for each in self._noted if (thing := each()) is not None]
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            gc.collect()
            self.garbage = sorted(_name(each) for each in gc.garbage)
        finally:
            gc.set_debug(0)
            gc.garbage.clear()

    def check(self) -> None:
        assert not self.garbage, "\n".join(self.garbage)
        assert not self.alive


@contextlib.contextmanager
def without_collector() -> Iterator[Left]:
    """Run a block without the collector, then look at what it has left."""
    left = Left()
    for thread in helper_threads():  # of an earlier test, whose loop it holds
        thread.join(DEADLINE)
    gc.collect()  # garbage of earlier tests; conftest.py has frozen all that is older
    gc.disable()
    try:
        yield left
        left.look()
    finally:
        gc.enable()


async def leaves(exchange: Callable[[Left], Awaitable[Any]]) -> Left:
    """Run an exchange, and once more without the collector; return what that has left."""
    await exchange(Left())  # caches fill
    with without_collector() as left:
        await exchange(left)
        await asyncio.sleep(0)  # the call of the loop that is made right now holds a task
    return left


def _name(thing: Any) -> str:
    kind = type(thing)
    code = getattr(thing, "f_code", None) or getattr(thing, "__code__", None)
    return f"{kind.__module__}.{kind.__qualname__} {code.co_qualname if code else ''}"
