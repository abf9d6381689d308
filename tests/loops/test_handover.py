"""Sends that are started where a source suspends: when, and in whose task and context."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import pytest
from fed_streams import SOON, Fed, Sending, stream_of
from frames import DONE, PRELUDE, said
from loops import Connection, Run, turns

variable: ContextVar[str] = ContextVar("variable", default="nothing")


def test_a_token_is_sent_before_the_source_of_another_stream_runs(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        log: list[str] = []
        sources = {"a": Fed(), "b": Fed(), "c": Fed()}

        def serve(name: str) -> Awaitable[Any]:
            async def source() -> AsyncIterator[str]:
                async for item in sources[name]:
                    log.append(f"{name} yields")
                    yield item

            async def step(_: bytes) -> None:
                log.append(f"{name} sends")

            return asyncio.create_task(Sending(step).serve(stream_of(gs, source())))

        serving = [serve(name) for name in sources]
        await turns(5)
        log.clear()
        for each in sources.values():
            each.queue.put_nowait("token")
        await turns(3)
        assert log == [f"{name} {what}" for name in "abc" for what in ("yields", "sends")]
        for each in sources.values():
            await each.feed(None)
        await asyncio.gather(*serving)

    run(main())


def test_a_token_costs_the_loop_one_call_that_of_the_source(
    gs: ModuleType, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        source, connection = Fed(), Connection()
        serving = asyncio.create_task(connection.serve(stream_of(gs, source)))
        await turns(5)
        loop = asyncio.get_running_loop()
        call_soon = loop.call_soon
        calls = 0

        def counted(*args: Any, **context: Any) -> Any:
            nonlocal calls
            calls += 1
            return call_soon(*args, **context)

        with monkeypatch.context() as patch:
            patch.setattr(loop, "call_soon", counted)
            for _ in range(100):
                source.queue.put_nowait("token")
                await asyncio.sleep(0)  # which is a call too
        assert calls == 200
        assert connection.body == PRELUDE + 100 * said("token")
        await source.feed(None)
        await serving

    run(main())


def test_every_send_is_of_the_connections_task_and_in_its_context(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        fed, seen, sources_own = Fed(), [], []

        async def source() -> AsyncIterator[str]:
            variable.reset(token)  # which only the connection's own context can do
            own = asyncio.current_task()
            async for item in fed:
                yield item
                sources_own.append(asyncio.current_task() is own)

        async def step(chunk: bytes) -> None:
            seen.append((asyncio.current_task(), variable.get(), chunk))
            if b"waits" in chunk:
                await asyncio.sleep(0)
                seen.append((asyncio.current_task(), variable.get(), chunk))

        async def serve() -> None:
            nonlocal token
            variable.set("the connection's")
            token = variable.set("the endpoint's")
            await connection.serve(stream_of(gs, source(), heartbeat_interval=SOON))

        token: Any = None
        connection = Sending(step)
        serving = asyncio.create_task(serve())
        await turns(5)
        await fed.feed("a", "waits", "b")
        await connection.sends(b"keep-alive")  # begun in a callback of the loop
        await fed.feed("c", None)
        await serving
        assert {task for task, _, _ in seen} == {serving}
        assert {said for _, said, _ in seen} == {"the connection's"}
        assert len(seen) >= 8
        assert sources_own == [True] * 4

    run(main())


@pytest.mark.parametrize("waits", [False, True])
def test_a_variable_that_a_send_sets_is_the_connections_and_may_be_set_back(
    gs: ModuleType, run: Run, waits: bool
) -> None:
    async def main() -> None:
        fed, kept, seen = Fed(), [], []

        class Counting(Connection):
            async def begin(self) -> None:
                kept.append(variable.set("begun"))

            async def send(self, chunk: bytes) -> None:
                seen.append(variable.get())
                token = variable.set("within")  # as those who trace sends do
                if waits:
                    await asyncio.sleep(0)
                variable.reset(token)
                variable.set(f"{len(seen)} sent")
                await super().send(chunk)

            async def finish(self, chunk: bytes) -> None:
                await super().finish(chunk)
                seen.append(variable.get())
                variable.reset(kept.pop())
                seen.append(variable.get())

        async def serve() -> None:
            variable.set("the connection's")
            await connection.serve(stream_of(gs, fed))
            seen.append(variable.get())

        connection = Counting()
        serving = asyncio.create_task(serve())
        await turns(5)
        await fed.feed("a", "b", None)
        await serving
        sent = [f"{number} sent" for number in range(1, 5)]
        assert seen == ["begun", *sent, "the connection's", "the connection's"]
        assert connection.body == PRELUDE + said("a") + said("b") + DONE

    run(main())


def test_where_tasks_cannot_be_swapped_the_connections_task_sends_itself(
    gs: ModuleType, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gs.loops.handover, "_current_tasks", None)

    async def main() -> None:
        fed, tasks = Fed(), []

        async def step(_: bytes) -> None:
            tasks.append(asyncio.current_task())

        connection = Sending(step)
        serving = asyncio.create_task(connection.serve(stream_of(gs, fed)))
        await turns(5)
        await fed.feed("a", "b")
        assert connection.body == PRELUDE + said("a") + said("b")
        await fed.feed(None)
        assert (await serving).kind == "completed"
        assert set(tasks) == {serving}

    run(main())


def test_a_cancellation_that_is_taken_back_within_a_send_ends_nothing(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        fed = Fed()

        async def step(chunk: bytes) -> None:
            if b"odd" in chunk:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                task.uncancel()

        connection = Sending(step)
        serving = asyncio.create_task(connection.serve(stream_of(gs, fed)))
        await turns(5)
        await fed.feed("a", "odd", "b", None)
        assert (await serving).kind == "completed"
        assert connection.body == PRELUDE + said("a") + said("odd") + said("b") + DONE

    run(main())


def test_bytes_that_were_held_are_sent_by_the_timer_in_the_connections_task(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        fed, tasks = Fed(), []

        async def step(_: bytes) -> None:
            tasks.append(asyncio.current_task())

        connection = Sending(step)
        stream = stream_of(gs, fed, flush_after_write=False, flush_interval=SOON)
        serving = asyncio.create_task(connection.serve(stream))
        await turns(5)
        await fed.feed("first", "a", "b")
        assert connection.body == PRELUDE + said("first")
        await connection.sends(said("b"))
        assert connection.log[-1] == said("a") + said("b")
        await fed.feed(None)
        await serving
        assert set(tasks) == {serving}

    run(main())
