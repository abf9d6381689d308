"""A source that waits for ever, and a client that never takes what is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from loops import Connection


class Source:
    """Yields its items, then waits for ever; its cleanup takes some turns of the loop."""

    def __init__(self, *items: str) -> None:
        self.items = items
        self.opened = asyncio.Event()
        self.closings = 0

    async def __aiter__(self) -> AsyncIterator[str]:
        try:
            for item in self.items:
                yield item
            self.opened.set()
            await asyncio.Event().wait()
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            self.closings += 1


class Stuck(Connection):
    """A client that never takes what is sent, as from the n-th step on."""

    def __init__(self, at: str = "send") -> None:
        super().__init__()
        self.at = at
        self.stuck = asyncio.Event()

    async def _step(self, name: str) -> None:
        if name == self.at:
            self.stuck.set()
            await asyncio.Event().wait()

    async def begin(self) -> None:
        await self._step("begin")

    async def send(self, chunk: bytes) -> None:
        await self._step("send")
        await super().send(chunk)

    async def finish(self, chunk: bytes) -> None:
        await self._step("finish")
        await super().finish(chunk)
