"""Sources that behave well, and sources that do not; each is counted while it is open."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

NAMES = [
    "waits", "never_yields", "never_awaits", "finite", "raises", "raises_in_cleanup",
    "ignores_cancellation", "blocks",
]  # fmt: skip


class Sources:
    """The sources, how many were begun and are open, and how their streams ended."""

    def __init__(self) -> None:
        self.begun = 0
        self.open = 0
        self.outcomes: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()
        self.let_go = threading.Event()  # for those that block

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        with self._lock:
            self.begun += 1
            self.open += 1
        try:
            yield
        finally:
            with self._lock:
                self.open -= 1

    def on_close(self, outcome: Any) -> None:
        self.outcomes.update([outcome.kind])

    async def waits(self) -> AsyncIterator[str]:
        with self.counted():
            yield "a"
            await asyncio.Event().wait()

    async def never_yields(self) -> AsyncIterator[str]:
        with self.counted():
            await asyncio.Event().wait()
            yield ""

    async def never_awaits(self) -> AsyncIterator[str]:
        with self.counted():
            while True:
                yield "x" * 1000

    async def finite(self) -> AsyncIterator[str]:
        with self.counted():
            for _ in range(20):
                yield "a"
                await asyncio.sleep(0)

    async def raises(self) -> AsyncIterator[str]:
        with self.counted():
            yield "a"
            raise RuntimeError("broken")

    async def raises_in_cleanup(self) -> AsyncIterator[str]:
        with self.counted():
            try:
                yield "a"
                await asyncio.Event().wait()
            finally:
                raise RuntimeError("broken in cleanup")

    async def ignores_cancellation(self) -> AsyncIterator[str]:
        with self.counted():
            while True:
                try:
                    yield "a"
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    yield "not yet"

    def blocks(self) -> Iterator[str]:
        with self.counted():
            while not self.let_go.wait(0.01):
                yield "a"
