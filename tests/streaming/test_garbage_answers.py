"""An answer that went on without its client is freed at once, and so is one with its client."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from types import ModuleType
from typing import Any

import pytest
from garbage import Left, leaves
from loops import Run, turns
from scripted_asgi import Connection


@pytest.fixture(autouse=True)
def no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the test's own log from holding the errors."""
    monkeypatch.setattr(logging.getLogger("gaistream"), "disabled", True)


async def ending() -> AsyncIterator[str]:
    yield "a"
    for _ in range(20):
        await asyncio.sleep(0)
    yield "b"


async def failing() -> AsyncIterator[str]:
    yield "a"
    for _ in range(20):
        await asyncio.sleep(0)
    raise ValueError("secret")


async def failing_before_an_event() -> AsyncIterator[str]:
    raise ValueError("secret")
    yield


async def unencodable() -> AsyncIterator[Any]:
    yield "a"
    for _ in range(20):
        await asyncio.sleep(0)
    yield object()


async def waiting() -> AsyncIterator[str]:
    yield "a"
    await asyncio.Event().wait()


SOURCES = [ending, failing, failing_before_an_event, unencodable, waiting]


@pytest.mark.parametrize("how", ["by itself", "client_gone", "cancelled"])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("on_disconnect", ["close", "continue"])
def test_nothing_of_an_answer_is_left(
    gs: ModuleType, run: Run, source: Callable[[], Any], how: str, on_disconnect: str
) -> None:
    async def exchange(left: Left) -> None:
        reported = asyncio.Event()

        def on_close(outcome: Any) -> None:
            assert outcome.message.text in ("", "a", "ab")
            reported.set()

        app = left.note(
            gs.asgi.SSEResponse(
                left.note(source()),
                on_disconnect=on_disconnect,
                continue_seconds=0.02,
                collect=True,
                source_timeout=0.05,
                on_close=on_close,
            )
        )
        connection = Connection()
        task = connection.begin(app)
        del app
        if how != "by itself" and source is not failing_before_an_event:
            await connection.until_said(b'"a"')
            connection.leave() if how == "client_gone" else task.cancel()
        await asyncio.wait([task])
        await reported.wait()
        await turns(3)

    run(leaves(exchange)).check()


@pytest.mark.parametrize("source", [failing, unencodable])
@pytest.mark.parametrize("leaves_early", [False, True])
@pytest.mark.parametrize("on_disconnect", ["close", "continue"])
def test_an_error_that_is_kept_holds_nothing_of_the_stream(
    gs: ModuleType, run: Run, source: Callable[[], Any], leaves_early: bool, on_disconnect: str
) -> None:
    async def main() -> None:
        outcomes: list[Any] = []

        async def exchange(left: Left) -> None:
            app = left.note(
                gs.asgi.SSEResponse(
                    left.note(source()),
                    on_disconnect=on_disconnect,
                    collect=True,
                    on_close=outcomes.append,
                )
            )
            connection = Connection()
            task = connection.begin(app)
            del app
            await connection.until_said(b'"a"')
            if leaves_early and on_disconnect == "continue":
                connection.leave()
            await task

        (await leaves(exchange)).check()
        assert isinstance(outcomes[-1].error, ValueError | gs.errors.EventError)

    run(main())
