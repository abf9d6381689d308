"""Sends that were started where a source suspended, and have to wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import anyio
import pytest
from fed_streams import SOON, Fed, Sending, Steps, stream_of
from frames import DONE, PRELUDE, said
from loops import Connection, Run, turns


def test_a_send_that_waits_goes_on_when_it_may_and_the_next_one_has_all_that_came(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        fed, gate = Fed(), asyncio.Event()

        async def step(chunk: bytes) -> None:
            if b"first" in chunk:
                await gate.wait()
                await asyncio.sleep(0)

        connection = Sending(step)
        serving = asyncio.create_task(connection.serve(stream_of(gs, fed)))
        await turns(5)
        await fed.feed("first", "a", "b")
        assert connection.log == ["begin", PRELUDE]
        gate.set()
        await turns(5)
        await fed.feed("c", None)
        await serving
        chunks = [PRELUDE, said("first"), said("a") + said("b"), said("c"), DONE]
        assert connection.log == ["begin", *chunks, "finish"]

    run(main())


def test_a_send_that_has_waited_is_not_taken_for_one_that_stalls(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        fed = Fed()

        async def step(_: bytes) -> None:
            await asyncio.sleep(0)

        connection = Sending(step)
        stream = stream_of(gs, fed)
        serving = asyncio.create_task(connection.serve(stream))
        await turns(5)
        await fed.feed("a")
        assert connection.body == PRELUDE + said("a")
        loop, ticks = asyncio.get_running_loop(), []
        loop.call_soon(lambda: ticks.append(stream.tick(loop.time() + 61)))
        await fed.feed("b", None)
        assert ticks[0] is not None
        assert (await serving).kind == "completed"

    run(main())


@pytest.mark.parametrize("scope", ["asyncio", "anyio"])
def test_a_time_out_within_a_send_is_the_sends_own(gs: ModuleType, run: Run, scope: str) -> None:
    async def main() -> None:
        fed, broken_off = Fed(), []

        async def step(_: bytes) -> None:
            try:
                if scope == "asyncio":
                    async with asyncio.timeout(SOON):
                        await asyncio.sleep(60)
                else:
                    with anyio.fail_after(SOON):
                        await anyio.sleep(60)
            except TimeoutError:
                broken_off.append(asyncio.current_task())

        connection = Sending(step)
        serving = asyncio.create_task(connection.serve(stream_of(gs, fed)))
        await fed.feed("a")
        await connection.sends(said("a"))
        await fed.feed("b", None)
        await serving
        assert connection.body == PRELUDE + said("a") + said("b") + DONE
        assert set(broken_off) == {serving}

    run(main())


def test_a_time_out_of_the_source_does_not_reach_a_send_that_waits(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        timed_out, gate = asyncio.Event(), asyncio.Event()

        async def source() -> AsyncIterator[str]:
            await asyncio.sleep(0)
            try:
                async with asyncio.timeout(SOON):
                    yield "first"
                    await asyncio.sleep(60)
            except TimeoutError:
                timed_out.set()
            yield "second"

        async def step(chunk: bytes) -> None:
            if b"first" in chunk:
                await gate.wait()

        connection = Sending(step)
        serving = asyncio.create_task(connection.serve(stream_of(gs, source())))
        await timed_out.wait()
        await turns(3)
        gate.set()
        assert (await serving).kind == "completed"
        assert connection.body == PRELUDE + said("first") + said("second") + DONE

    run(main())


def test_a_send_may_be_an_awaitable_that_knows_nothing_but_next(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        fed, gate = Fed(), asyncio.get_running_loop().create_future()

        class Plain(Connection):
            def send(self, chunk: bytes) -> Any:
                self.log.append(chunk)
                return Steps(gate if b"waits" in chunk else None)

        connection = Plain()
        serving = asyncio.create_task(connection.serve(stream_of(gs, fed)))
        await turns(5)
        await fed.feed("a", "waits", "b")
        assert connection.body == PRELUDE + said("a") + said("waits")
        gate.set_result(None)
        await fed.feed(None)
        assert (await serving).kind == "completed"
        assert connection.body == PRELUDE + said("a") + said("waits") + said("b") + DONE

    run(main())
