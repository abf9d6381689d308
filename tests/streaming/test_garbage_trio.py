"""A finished request on trio is freed at once: nothing of it waits for the cycle collector."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest
import trio
import trio.testing
from garbage import Left, without_collector
from trio_exchange import Exchange, on_trio


@pytest.fixture(autouse=True)
def no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the test's own log from holding the errors."""
    monkeypatch.setattr(logging.getLogger("gaistream"), "disabled", True)


async def failing() -> AsyncIterator[str]:
    yield "a"
    await trio.lowlevel.checkpoint()
    raise ValueError("secret")


async def ending() -> AsyncIterator[str]:
    yield "a"
    await trio.lowlevel.checkpoint()


async def waiting() -> AsyncIterator[str]:
    yield "a"
    await trio.sleep_forever()


async def serve(gs: ModuleType, app: Any, how: str) -> None:
    exchange = Exchange()
    scope = {"type": "http", "method": "GET", "headers": []}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(app, scope, exchange.receive, exchange.send)
        del app
        if how == "by itself":
            return
        await exchange.got.wait()
        if how == "client_gone":
            exchange.gone.set()
        elif how == "cancelled":
            nursery.cancel_scope.cancel()
        elif how == "drained":
            await gs.drain(0)


async def failing_when_closed() -> AsyncIterator[str]:
    try:
        yield "a"
        await trio.sleep_forever()
    finally:
        raise ValueError("secret")


CASES = [
    (ending, "by itself"),
    (failing, "by itself"),
    (waiting, "client_gone"),
    (waiting, "cancelled"),
    (waiting, "drained"),
    (failing_when_closed, "client_gone"),
    (failing_when_closed, "cancelled"),
]


@pytest.mark.parametrize(("source", "how"), CASES)
def test_a_stream_on_trio(gs: ModuleType, source: Any, how: str) -> None:
    async def exchange(left: Left, how: str) -> None:
        app = left.note(gs.asgi.SSEResponse(left.note(source())))
        served = serve(gs, app, how)
        del app
        await served
        await trio.testing.wait_all_tasks_blocked()

    async def main() -> None:
        await exchange(Left(), how if how != "drained" else "client_gone")
        with without_collector() as left:
            await exchange(left, how)
        left.check()

    on_trio(main)
