"""Streams that are fed by their tests, and connections whose sends do something."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import ModuleType
from typing import Any

from loops import Connection, turns

SOON = 0.01  # seconds, of a time-out that must strike


class Fed:
    """A source that yields what it is fed, until it is fed None."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[str | None] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[str]:
        while (item := await self.queue.get()) is not None:
            yield item

    async def feed(self, *items: str | None) -> None:
        """Feed the items, each once the one before was dealt with."""
        for item in items:
            self.queue.put_nowait(item)
            await turns(4)


class Sending(Connection):
    """A connection whose sends do something first."""

    def __init__(self, step: Callable[[bytes], Awaitable[None]]) -> None:
        super().__init__()
        self.step = step
        self.more = asyncio.Event()

    async def send(self, chunk: bytes) -> None:
        """Make the step, then take the chunk."""
        await self.step(chunk)
        await super().send(chunk)
        self.more.set()

    async def sends(self, text: bytes) -> None:
        """Wait until this was sent."""
        while text not in self.body:
            self.more.clear()
            await self.more.wait()


def stream_of(gs: ModuleType, source: Any, **settings: Any) -> Any:
    """Return a stream."""
    return gs.streaming.stream.Stream(
        source, gs.SSEEncoder(gs.SSEOptions(**settings)), send_timeout=60
    )


class Steps:
    """A server's awaitable that is not a coroutine; it waits once, or not at all."""

    def __init__(self, waits_for: Any) -> None:
        self.waits_for = waits_for

    def __await__(self) -> Any:
        return self

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        if self.waits_for is None:
            raise StopIteration
        waits_for, self.waits_for = self.waits_for, None
        return next(waits_for.__await__())
