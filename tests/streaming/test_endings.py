"""A stream ends, whatever its source does: it swallows cancellations, hangs or is silent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from types import ModuleType
from typing import Any

import pytest
from loops import Connection, turns
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
