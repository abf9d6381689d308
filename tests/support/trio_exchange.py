"""A request as an ASGI server on trio sees it, and a run of trio that leaves nothing."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import trio
import trio.lowlevel
import trio.testing


class Exchange:
    """A request as an ASGI server on trio sees it."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.gone = trio.Event()
        self.outcomes: list[Any] = []
        self.got = trio.Event()

    async def receive(self) -> Any:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await trio.lowlevel.checkpoint()
        self.sent.append(message)
        if b'"a"' in message.get("body", b""):
            self.got.set()

    async def serve(self, gs: ModuleType, source: Any, **settings: Any) -> None:
        response = gs.asgi.SSEResponse(source, on_close=self.outcomes.append, **settings)
        scope = {"type": "http", "method": "GET", "headers": []}
        await response(scope, self.receive, self.send)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def kind(self) -> str:
        [outcome] = self.outcomes
        return str(outcome.kind)


def on_trio(main: Callable[[], Any]) -> None:
    """Run a test on trio; of what it started nothing may be left."""

    async def watched() -> None:
        before = trio.lowlevel.current_statistics().tasks_living
        with trio.fail_after(10):
            await main()
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == before

    trio.run(watched)
