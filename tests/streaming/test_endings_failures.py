"""Sources that fail, and errors, variables and scopes at a stream's end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import pytest
from frames import DONE, INTERNAL, PRELUDE, said
from loops import Connection, Run

anyio = pytest.importorskip("anyio")

TIMEOUT = b'data: {"error":"the source was silent for 5 seconds","code":"timeout"}\n\n'


@pytest.mark.parametrize("error", [GeneratorExit, asyncio.CancelledError])
@pytest.mark.parametrize("waits", [False, True])
def test_a_source_that_raises_what_ends_others_has_failed_whole(
    gs: ModuleType, run: Run, error: type[BaseException], waits: bool
) -> None:
    async def source() -> AsyncIterator[str]:
        yield "a"
        if waits:
            await asyncio.sleep(0.001)
        raise error

    async def main() -> None:
        connection = Connection()
        outcome = await connection.serve(gs.streaming.stream.Stream(source(), gs.SSEEncoder()))
        assert (outcome.kind, type(outcome.error)) == ("failed", error)
        assert connection.log[-1] == "finish"
        assert connection.body == PRELUDE + said("a") + INTERNAL

    run(main())


def test_an_error_that_was_yielded_before_the_source_raised_is_the_only_one(
    gs: ModuleType, run: Run
) -> None:
    async def source() -> AsyncIterator[Any]:
        yield "a"
        yield gs.events.Error("no more", code="limit")
        raise ValueError("secret")

    async def main() -> bytes:
        return b"".join([chunk async for chunk in gs.sse(source())])

    body = run(main())
    assert body.count(b"event: error") == 1
    assert b"limit" in body
    assert DONE not in body

    def blocking() -> Any:
        yield gs.events.Error("no more", code="limit")
        raise ValueError("secret")

    assert b"".join(gs.sse(blocking())).count(b"event: error") == 1


@pytest.mark.parametrize("error", [GeneratorExit, asyncio.CancelledError])
def test_a_sync_source_that_raises_what_ends_others_has_failed_whole(
    gs: ModuleType, error: type[BaseException]
) -> None:
    def source() -> Any:
        yield "a"
        raise error

    assert b"".join(gs.sse(source())) == PRELUDE + said("a") + INTERNAL


variable: ContextVar[str] = ContextVar("variable")


def test_a_source_resets_a_variable_that_was_set_before_its_stream(
    gs: ModuleType, run: Run
) -> None:
    async def source(token: Any) -> AsyncIterator[str]:
        yield "a"
        await asyncio.sleep(0)
        yield "b"
        variable.reset(token)

    async def main() -> None:
        variable.set("before")
        for serve in (
            lambda source: Connection().serve(gs.streaming.stream.Stream(source, gs.SSEEncoder())),
            lambda source: drained(gs.sse(source)),
        ):
            body = await serve(source(variable.set("the endpoint's")))
            whole = PRELUDE + said("a") + said("b") + DONE
            assert getattr(body, "kind", body) in ("completed", whole)
            assert variable.get() == "before"

    async def drained(chunks: AsyncIterator[bytes]) -> bytes:
        return b"".join([chunk async for chunk in chunks])

    run(main())


def test_a_scope_of_another_task_fails_the_stream_and_the_log_says_why(
    gs: ModuleType, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def source(scope: Any, *last: Any) -> AsyncIterator[Any]:
        yield "a"
        for each in last:
            yield each
        scope.__exit__(None, None, None)

    async def main(*last: Any) -> bytes:
        with anyio.CancelScope() as scope:
            return b"".join([chunk async for chunk in gs.sse(source(scope, *last))])

    assert run(main()) == PRELUDE + said("a") + INTERNAL
    assert "enter and leave cancel scopes and task groups in the source" in caplog.text
    assert run(main(gs.events.Done())) == PRELUDE + said("a") + DONE


async def by_sleep() -> AsyncIterator[str]:
    while True:
        yield "a"
        await asyncio.sleep(0)


async def by_checkpoint() -> AsyncIterator[str]:
    while True:
        yield "a"
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("source", [by_sleep, by_checkpoint])
@pytest.mark.parametrize("name", ["sse", "ndjson"])
def test_a_scope_of_anyio_cancels_the_consumer_of_a_source_that_pauses_for_a_turn(
    gs: ModuleType, run: Run, source: Callable[[], Any], name: str
) -> None:
    async def main() -> None:
        count = 0
        with anyio.CancelScope() as scope:
            async for _ in getattr(gs, name)(source()):
                count += 1
                if count == 10:
                    asyncio.get_running_loop().call_soon(scope.cancel)
        assert scope.cancelled_caught
        assert count < 100

    run(main())
