"""A send that stalls, and cancellations from outside: neither is taken for the other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest
from loops import Connection, Run
from stuck import Source, Stuck

# ---- a send that stalls ----


@pytest.mark.parametrize("at", ["begin", "send", "finish"])
def test_a_send_that_never_returns_ends_the_stream_as_stalled(
    gs: ModuleType, run: Run, at: str
) -> None:
    async def main() -> None:
        source = ["a"] if at == "finish" else Source("a")
        stream = gs.streaming.stream.Stream(source, gs.SSEEncoder(), send_timeout=0.1)
        before = asyncio.get_running_loop().time()
        outcome = await Stuck(at).serve(stream)  # returns, for it is no cancellation
        assert 0.09 < asyncio.get_running_loop().time() - before < 5
        assert outcome.kind == "stalled"
        if isinstance(source, Source):
            assert source.closings == 1
        current = asyncio.current_task()
        assert current is not None
        assert not current.cancelling()

    run(main())


def test_sends_that_take_a_while_each_but_less_are_not_stalled(gs: ModuleType, run: Run) -> None:
    class Slow(Connection):
        async def send(self, chunk: bytes) -> None:
            await asyncio.sleep(0.06)
            await super().send(chunk)

    async def source() -> AsyncIterator[str]:
        for _ in range(10):
            yield "a"
            await asyncio.sleep(0.05)

    stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder(), send_timeout=0.5)
    outcome = run(Slow().serve(stream))
    assert outcome.kind == "completed"


def test_without_a_send_timeout_nothing_is_stalled(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        connection = Stuck()
        stream = gs.streaming.stream.Stream(
            Source("a"), gs.SSEEncoder(gs.SSEOptions(heartbeat_interval=0.01))
        )
        serving = asyncio.create_task(connection.serve(stream))
        await connection.stuck.wait()
        await asyncio.sleep(0.1)  # nothing to wait for: nothing may happen
        assert not serving.done()
        stream.interrupt("client_gone")
        assert (await serving).kind == "client_gone"

    run(main())


@pytest.mark.parametrize("send_timeout", [None, 60])
def test_a_last_send_that_hangs_is_broken_off_when_the_client_has_gone(
    gs: ModuleType, run: Run, send_timeout: float | None
) -> None:
    finishing = asyncio.Event()

    class Unfinished(Connection):
        async def finish(self, chunk: bytes) -> None:
            finishing.set()
            await asyncio.Event().wait()

    async def main() -> None:
        stream = gs.streaming.stream.Stream(["a"], gs.SSEEncoder(), send_timeout=send_timeout)
        serving = asyncio.create_task(Unfinished().serve(stream))
        await finishing.wait()
        stream.interrupt("client_gone")
        assert (await serving).kind == "client_gone"

    run(main())


def test_a_stalled_send_within_a_task_that_was_cancelled_before_returns_too(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        source = Source("a")
        stream = gs.streaming.stream.Stream(source, gs.SSEEncoder(), send_timeout=0.05)

        async def handle() -> Any:
            current = asyncio.current_task()
            assert current is not None
            current.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
            outcome = await Stuck().serve(stream)  # in its last moments, as in a finally
            assert current.cancelling() == 1
            return outcome

        assert (await asyncio.create_task(handle())).kind == "stalled"
        assert source.closings == 1

    run(main())


@pytest.mark.parametrize("answer", [ConnectionResetError("gone"), None], ids=["error", "nothing"])
def test_a_server_that_makes_something_else_of_the_breaking_off_changes_nothing(
    gs: ModuleType, run: Run, answer: Exception | None
) -> None:
    class Stubborn(Connection):
        async def send(self, chunk: bytes) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if answer is not None:
                    raise answer from None

    async def main() -> None:
        source = Source("a")
        stream = gs.streaming.stream.Stream(source, gs.SSEEncoder(), send_timeout=0.05)
        assert (await Stubborn().serve(stream)).kind == "stalled"
        assert source.closings == 1
        current = asyncio.current_task()
        assert current is not None
        assert not current.cancelling()

    run(main())


# ---- cancellation from outside ----


def test_a_cancellation_during_a_stuck_send_goes_through(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        source, connection = Source("a"), Stuck()
        stream = gs.streaming.stream.Stream(source, gs.SSEEncoder(), send_timeout=60)
        serving = asyncio.create_task(connection.serve(stream))
        await connection.stuck.wait()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert serving.cancelled()
        assert stream.outcome.kind == "cancelled"
        assert source.closings == 1

    run(main())


@pytest.mark.parametrize("stall_first", [True, False])
def test_a_cancellation_at_the_very_moment_of_a_stall_goes_through(
    gs: ModuleType, run: Run, stall_first: bool
) -> None:
    async def main() -> None:
        source, connection = Source("a"), Stuck()
        stream = gs.streaming.stream.Stream(source, gs.SSEEncoder(), send_timeout=60)
        serving = asyncio.create_task(connection.serve(stream))
        await connection.stuck.wait()
        if stall_first:
            stream.interrupt("stalled")
            serving.cancel()
        else:
            serving.cancel()
            stream.interrupt("stalled")
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert source.closings == 1

    run(main())


def test_a_time_out_of_the_server_around_a_stuck_send_is_a_time_out(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        source = Source("a")
        stream = gs.streaming.stream.Stream(source, gs.SSEEncoder(), send_timeout=60)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await Stuck().serve(stream)
        assert stream.outcome.kind == "cancelled"
        assert source.closings == 1

    run(main())


def test_a_stream_whose_source_has_ended_is_cancelled_while_its_last_bytes_are_not_taken(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        connection = Stuck()
        stream = gs.streaming.stream.Stream(["a"], gs.SSEEncoder(), send_timeout=60)
        serving = asyncio.create_task(connection.serve(stream))
        await connection.stuck.wait()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert stream.outcome.kind == "cancelled"  # and not completed

    run(main())


@pytest.mark.parametrize("after", range(12))
def test_a_cancellation_after_any_turn_of_the_loop_closes_the_source(
    gs: ModuleType, run: Run, after: int
) -> None:
    async def main() -> None:
        closings: list[str] = []

        async def source() -> AsyncIterator[str]:
            try:
                async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                    group.create_task(asyncio.sleep(60))
                    for number in range(3):
                        await asyncio.sleep(0)
                        yield str(number)
                    await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0)
                closings.append("closed")

        stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder(), send_timeout=60)
        serving = asyncio.create_task(Connection().serve(stream))
        for _ in range(after):
            await asyncio.sleep(0)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert closings == ["closed"] or after < 3  # a generator that was not begun needs none

    run(main())


def test_a_cancelled_error_of_the_servers_own_goes_through(gs: ModuleType, run: Run) -> None:
    class Cancelled(Connection):
        async def send(self, chunk: bytes) -> None:
            raise asyncio.CancelledError(f"{len(chunk)} bytes")

    source = Source("a")

    async def main() -> None:
        with pytest.raises(asyncio.CancelledError, match="bytes"):
            await Cancelled().serve(gs.streaming.stream.Stream(source, gs.SSEEncoder()))

    run(main())
    assert source.closings == 1
