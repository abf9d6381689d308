"""Responses in a cancelled scope of anyio, which middlewares use: it cancels again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest
from loops import Run, turns

import gaistream

anyio = pytest.importorskip("anyio")


class Cleaning:
    """A source whose clean-up takes several turns of the loop."""

    def __init__(self) -> None:
        self.waits = asyncio.Event()
        self.steps: list[str] = []

    async def __call__(self) -> AsyncIterator[str]:
        try:
            yield "first"
            self.waits.set()
            await asyncio.Event().wait()
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            self.steps.append("closed")

    async def on_close(self, outcome: Any) -> None:
        await asyncio.sleep(0)
        self.steps.append(outcome.kind)

    async def serve(self, app: Any, scope: Any) -> None:
        """Serve an app until the scope around it is cancelled within a send."""
        never = asyncio.Event()

        async def receive() -> Any:
            await self.waits.wait()
            await turns(3)
            scope.cancel()
            await never.wait()

        async def send(message: Any) -> None:
            if b"first" in message.get("body", b""):
                self.waits.set()  # a source that is read item by item goes on after it only
                await never.wait()

        request = {"type": "http", "method": "GET", "headers": []}
        with scope:
            await app(request, receive, send)


@pytest.mark.parametrize("face", ["asgi", "starlette", "EventSourceResponse"])
def test_the_source_is_closed_and_the_outcome_reported_before_the_app_returns(
    gs: ModuleType, run: Run, face: str
) -> None:
    async def main() -> None:
        source, scope = Cleaning(), anyio.CancelScope()
        if face == "asgi":
            app = gs.asgi.SSEResponse(source(), on_close=source.on_close)
        elif gs is not gaistream:
            return  # Starlette's responses exist only in the shared copy of the package
        else:
            from gaistream.frameworks import starlette as faces

            if face == "starlette":
                app = faces.SSEResponse(source(), on_close=source.on_close)
            else:
                app = faces.EventSourceResponse(source())
        await source.serve(app, scope)
        assert scope.cancelled_caught
        expected = ["closed"] if face == "EventSourceResponse" else ["closed", "cancelled"]
        assert source.steps == expected

    run(main())


class Unused(AsyncIterator[str]):
    """A source whose clean-up takes several turns of the loop, and which is never read."""

    def __init__(self) -> None:
        self.closed = False

    async def __anext__(self) -> str:
        raise AssertionError

    async def aclose(self) -> None:
        """Close."""
        for _ in range(5):
            await asyncio.sleep(0)
        self.closed = True


def test_a_source_that_never_began_is_closed_before_the_app_returns(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        source, scope = Unused(), anyio.CancelScope()

        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(_: Any) -> None:
            scope.cancel()
            await asyncio.Event().wait()

        with scope:
            request = {"type": "http", "method": "HEAD", "headers": []}
            await gs.asgi.SSEResponse(source)(request, receive, send)
        assert scope.cancelled_caught
        assert source.closed

    run(main())
