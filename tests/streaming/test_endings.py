"""A stream ends, whatever its source does: it swallows cancellations, hangs or is silent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import pytest
from frames import DONE, INTERNAL, PRELUDE, said
from loops import Connection, Run, turns
from virtual_time import VirtualTimeLoop

anyio = pytest.importorskip("anyio")

TIMEOUT = b'data: {"error":"the source was silent for 5 seconds","code":"timeout"}\n\n'


def in_virtual_time(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on a loop on which hours take no time; it must leave no task."""

    async def watched() -> Any:
        result = await main
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(watched())


class Gone(Connection):
    """A connection whose client can leave."""

    def __init__(self, gs: ModuleType, source: Any, **settings: Any) -> None:
        super().__init__()
        self.stream = gs.streaming.stream.Stream(source, gs.SSEEncoder(), **settings)
        self.serving = asyncio.create_task(self.serve(self.stream))

    async def leaves_after(self, seconds: float) -> Any:
        """Leave, and return the outcome with the seconds until the stream had ended."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(seconds)
        began = loop.time()
        self.stream.interrupt("client_gone")
        outcome = await self.serving
        return outcome, loop.time() - began


async def times_out(log: list[str]) -> AsyncIterator[str]:
    yield "a"
    try:
        async with asyncio.timeout(1):
            try:
                await asyncio.sleep(100)
            finally:
                await asyncio.sleep(5)
    except TimeoutError:
        log.append("tries again")
    await asyncio.sleep(3600)
    yield "b"


async def leaves_a_scope(log: list[str]) -> AsyncIterator[str]:
    yield "a"
    with anyio.move_on_after(1):
        try:
            await asyncio.sleep(100)
        finally:
            with anyio.CancelScope(shield=True):
                await asyncio.sleep(5)
    log.append("tries again")
    await asyncio.sleep(3600)
    yield "b"


async def loses_a_child(log: list[str]) -> AsyncIterator[str]:
    async def child() -> None:
        await asyncio.sleep(1)
        raise ValueError

    yield "a"
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
            try:
                await asyncio.sleep(100)
            finally:
                await asyncio.sleep(5)
    except* ValueError:
        log.append("tries again")
    await asyncio.sleep(3600)
    yield "b"


@pytest.mark.parametrize("source", [times_out, leaves_a_scope, loses_a_child])
@pytest.mark.parametrize("end", ["client_gone", "drain", "close"])
def test_a_stream_ends_although_its_source_unwinds_a_cancellation_of_its_own(
    gs: ModuleType, source: Callable[[list[str]], Any], end: str
) -> None:
    async def main() -> None:
        log: list[str] = []
        gone = Gone(gs, source(log))
        await asyncio.sleep(3)  # the source's own cancellation is under way
        loop = asyncio.get_running_loop()
        began = loop.time()
        if end == "drain":
            gone.stream.drain(None)
        elif end == "client_gone":
            gone.stream.interrupt("client_gone")
        else:
            gone.serving.cancel()
        await asyncio.wait([gone.serving])
        # Its own clean-up of 5 seconds is broken off, but not at the end of `asyncio.run`. A task
        # group swallows the cancellation (until Python 3.13), so that the second one ends it.
        longest = 33 if source is loses_a_child else 1
        assert loop.time() - began < (7 if end == "close" else longest)
        assert gone.stream.outcome.kind == {"close": "cancelled", "drain": "drained"}.get(end, end)

    in_virtual_time(main())


def test_a_source_that_swallows_its_cancellation_is_cancelled_again_in_time(
    gs: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    async def swallows() -> AsyncIterator[str]:
        yield "a"
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass
        await asyncio.sleep(3600)

    async def main() -> None:
        outcome, seconds = await Gone(gs, swallows()).leaves_after(1)
        assert (outcome.kind, outcome.source_closed) == ("client_gone", False)
        assert 30 <= seconds < 33

    in_virtual_time(main())
    [record] = caplog.records
    assert "swallows (" in record.message
    assert "cancelled again" in record.message


@pytest.mark.parametrize("ends_by", ["client_gone", "done", "refusal"])
def test_a_clean_up_that_hangs_is_broken_off_in_time(gs: ModuleType, ends_by: str) -> None:
    closed: list[str] = []

    class Hanging:
        """A source that is no generator, whose `aclose` hangs."""

        def __aiter__(self) -> Hanging:
            return self

        async def __anext__(self) -> Any:
            if ends_by == "done":
                return gs.events.Done()
            return await asyncio.Event().wait()

        async def aclose(self) -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                closed.append("at last")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        if ends_by == "refusal":  # it never begins
            stream = gs.streaming.stream.Stream(Hanging(), gs.SSEEncoder(), cleanup_timeout=2)
            await stream.close()
            outcome = stream.outcome
        else:
            gone = Gone(gs, Hanging(), cleanup_timeout=2)
            await turns(5)
            if ends_by == "done":
                assert gone.log[-1] == "finish"  # the client does not wait for the clean-up
            gone.stream.interrupt("client_gone")
            outcome = await gone.serving
        assert not outcome.source_closed
        assert 2 <= loop.time() - began < 3
        assert closed == ["at last"]

    in_virtual_time(main())


def test_a_source_that_swallows_every_cancellation_is_left_behind_and_named(
    gs: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        let_go = asyncio.Event()

        async def stubborn() -> AsyncIterator[str]:
            yield "a"
            while not let_go.is_set():
                try:
                    await let_go.wait()
                except asyncio.CancelledError:
                    continue

        gone = Gone(gs, stubborn(), cleanup_timeout=4)
        outcome, seconds = await gone.leaves_after(1)
        assert not outcome.source_closed
        assert 5 <= seconds < 6.5
        assert gone.stream.left_behind
        let_go.set()
        await turns(5)
        assert not gone.stream.left_behind

    in_virtual_time(main())
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.ERROR]
    assert all("stubborn (" in record.message for record in caplog.records)


def test_a_clean_up_without_a_bound_may_take_any_time(gs: ModuleType) -> None:
    async def slow() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(86_400)

    async def main() -> None:
        outcome, seconds = await Gone(gs, slow(), cleanup_timeout=None).leaves_after(1)
        assert outcome.source_closed
        assert seconds == pytest.approx(86_400)

    in_virtual_time(main())


@pytest.mark.parametrize("first", ["the client", "the drain"])
def test_a_drain_bounds_clean_ups_by_its_grace_and_a_second(gs: ModuleType, first: str) -> None:
    async def hangs() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(3600)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        gone = Gone(gs, hangs())
        await asyncio.sleep(5)
        if first == "the client":
            gone.stream.interrupt("client_gone")
            await asyncio.sleep(5)
        began = loop.time()
        await gs.drain(3)
        assert not (await gone.serving).source_closed
        assert loop.time() - began < 5

    in_virtual_time(main())


def test_a_silent_source_times_out_although_heartbeats_go_out(
    gs: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    async def silent() -> AsyncIterator[str]:
        for _ in range(3):
            await asyncio.sleep(4)
            yield "a"
        await asyncio.sleep(3600)

    async def main() -> None:
        connection = Connection()
        encoder = gs.SSEEncoder(gs.SSEOptions(heartbeat_interval=1))
        loop = asyncio.get_running_loop()
        began = loop.time()
        stream = gs.streaming.stream.Stream(silent(), encoder, source_timeout=5)
        outcome = await connection.serve(stream)
        assert (outcome.kind, outcome.error.code) == ("failed", "timeout")
        assert 17 <= loop.time() - began < 18.5
        assert connection.body.count(b": keep-alive") > 10
        assert connection.body.endswith(TIMEOUT)
        assert connection.log[-1] == "finish"

    in_virtual_time(main())
    assert "silent (" in caplog.records[0].message


def test_a_source_that_waits_for_its_client_is_not_silent(gs: ModuleType) -> None:
    async def much() -> AsyncIterator[str]:
        for _ in range(3):
            yield "x" * 300_000

    class Slow(Connection):
        async def send(self, chunk: bytes) -> None:
            await asyncio.sleep(20)
            await super().send(chunk)

    async def main() -> None:
        connection = Slow()
        stream = gs.streaming.stream.Stream(much(), gs.SSEEncoder(), source_timeout=5)
        assert (await connection.serve(stream)).kind == "completed"

    in_virtual_time(main())


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
