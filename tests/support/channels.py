"""A channel whose stream is served to a connection of the test's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

from fed_streams import Sending
from frames import PRELUDE

PIECE = "x" * 1000


async def nothing(_: bytes) -> None:
    """Send at once."""


class Served:
    """A channel, and its stream, which is served in a task named "connection".

    Args:
        step: what each send does first.
        timeouts: of the stream.
        options: of its encoder.
    """

    def __init__(
        self,
        gs: ModuleType,
        step: Callable[[bytes], Awaitable[None]] = nothing,
        *,
        source_timeout: float | None = None,
        **options: Any,
    ) -> None:
        self.channel = gs.Channel()
        self.connection = Sending(step)
        self.stream = gs.streaming.stream.Stream(
            self.channel,
            gs.SSEEncoder(gs.SSEOptions(**options)),
            source_timeout=source_timeout,
        )
        self.task = asyncio.create_task(self._serve(), name="connection")

    async def _serve(self) -> Any:
        try:
            return await self.connection.serve(self.stream)
        finally:
            self.stream.release()

    async def begun(self) -> Served:
        """Wait until the prelude was sent and the connection waits."""
        await self.connection.sends(PRELUDE)
        for _ in range(3):
            await asyncio.sleep(0)
        return self

    @property
    def body(self) -> bytes:
        """All that was sent after the prelude."""
        return self.connection.body.removeprefix(PRELUDE)

    @property
    def chunks(self) -> list[bytes]:
        """What was sent, by sends."""
        return [each for each in self.connection.log if isinstance(each, bytes)]


class Slow:
    """A step of sends that waits until it is let go on."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.waits = asyncio.Event()

    async def __call__(self, chunk: bytes) -> None:
        if chunk != PRELUDE:
            self.waits.set()
            await self.open.wait()
