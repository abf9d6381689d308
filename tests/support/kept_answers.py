"""Answers that go on without their clients, steered by a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from loops import turns
from scripted_asgi import Connection, Gate, text


class Answer:
    """An answer that waits at a gate after its first piece, and notes its end."""

    def __init__(self, gs: Any, *rest: Any) -> None:
        self.gate = Gate()
        self.rest = rest or ("b", gs.events.Finish(finish_reason="stop"))
        self.closed = 0
        self.cancelled = False

    async def __call__(self) -> AsyncIterator[Any]:
        try:
            yield "a"
            await self.gate()
            for item in self.rest:
                if isinstance(item, BaseException):
                    raise item
                yield item
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        finally:
            await asyncio.sleep(0)
            self.closed += 1


class Kept:
    """A request whose answer goes on, and its outcomes."""

    def __init__(self, gs: Any, source: Any, method: str = "GET", **settings: Any) -> None:
        self.outcomes: list[Any] = []
        self.connection = Connection(method)
        settings = {"on_disconnect": "continue", "on_close": self.outcomes.append, **settings}
        self.response = gs.asgi.SSEResponse(source, **settings)

    def begin(self) -> asyncio.Task[None]:
        return self.connection.begin(self.response)

    @property
    def outcome(self) -> Any:
        [outcome] = self.outcomes
        return outcome


async def left(kept: Kept, answer: Answer) -> asyncio.Task[None]:
    """Begin a request whose client leaves after the first piece."""
    task = kept.begin()
    await kept.connection.until_said(text("a"))
    await answer.gate.arrival()
    kept.connection.leave()
    await turns(20)
    return task
