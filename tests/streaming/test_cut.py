"""A stream is cut where its client goes, and its source is closed, in peace and once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import ModuleType

import pytest
from loops import Connection, Run, turns
from stuck import Source, Stuck


@pytest.mark.parametrize("stuck", [True, False])
def test_a_client_that_goes_while_the_source_sleeps_closes_it_at_once(
    gs: ModuleType, run: Run, stuck: bool
) -> None:
    async def main() -> None:
        source = Source("a")
        connection = Stuck("send" if stuck else "never")
        stream = gs.streaming.stream.Stream(source, gs.SSEEncoder(), send_timeout=60)
        serving = asyncio.create_task(connection.serve(stream))
        await source.opened.wait()
        for _ in range(5):
            await asyncio.sleep(0)
        stream.interrupt("client_gone")
        stream.interrupt("stalled")  # the first word counts
        outcome = await serving
        assert outcome.kind == "client_gone"
        assert source.closings == 1
        assert "finish" not in connection.log

    run(main())


@pytest.mark.parametrize("at", ["begin", "send"])
def test_a_send_that_raises_os_error_is_a_client_that_is_gone(
    gs: ModuleType, run: Run, at: str
) -> None:
    class Gone(Stuck):
        async def _step(self, name: str) -> None:
            if name == self.at:
                raise ConnectionResetError("gone")

    source = Source("a")
    stream = gs.streaming.stream.Stream(source, gs.SSEEncoder(), send_timeout=60)
    outcome = run(Gone(at).serve(stream))
    assert outcome.kind == "client_gone"
    assert source.closings == 1


def test_what_else_a_send_raises_goes_through_and_closes_the_source(
    gs: ModuleType, run: Run
) -> None:
    class Failing(Connection):
        async def send(self, chunk: bytes) -> None:
            raise RuntimeError(f"no place for {len(chunk)} bytes")

    source = Source("a")
    stream = gs.streaming.stream.Stream(source, gs.SSEEncoder())
    with pytest.raises(RuntimeError, match="no place"):
        run(Failing().serve(stream))
    assert source.closings == 1


def test_a_client_that_goes_after_the_end_changes_nothing(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        stream = gs.streaming.stream.Stream(["a"], gs.SSEEncoder())
        outcome = await Connection().serve(stream)
        stream.interrupt("client_gone")
        assert stream.outcome.kind == outcome.kind == "completed"

    run(main())


def test_the_sources_own_cleanup_is_not_broken_off(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        cleaned: list[str] = []

        async def source() -> AsyncIterator[str]:
            try:
                yield "a"
                await asyncio.Event().wait()
            finally:
                cleaned.append("began")
                await asyncio.sleep(0.02)
                cleaned.append("ended")

        stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder())
        serving = asyncio.create_task(Connection().serve(stream))
        for _ in range(5):
            await asyncio.sleep(0)
        stream.interrupt("client_gone")
        await serving
        assert cleaned == ["began", "ended"]

    run(main())


def test_a_client_that_goes_before_the_sources_first_step_closes_it_too(
    gs: ModuleType, run: Run
) -> None:
    class Opened:
        closings = 0

        def __aiter__(self) -> Opened:
            return self

        async def __anext__(self) -> str:
            raise AssertionError("never asked for")

        async def aclose(self) -> None:
            self.closings += 1

    async def main() -> None:
        source = Opened()
        stream = gs.streaming.stream.Stream(source, gs.SSEEncoder())
        asyncio.get_running_loop().call_soon(
            lambda: asyncio.get_running_loop().call_soon(stream.interrupt, "client_gone")
        )
        await asyncio.sleep(0)  # the client goes just before the source's task takes its turn
        outcome = await Connection().serve(stream)
        assert outcome.kind == "client_gone"
        assert source.closings == 1

    run(main())


def test_a_stream_that_was_never_started_closes_its_source(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        closings: list[str] = []

        async def source() -> AsyncIterator[str]:
            try:
                yield "a"
                yield "b"
            finally:
                closings.append("closed")

        begun = source()
        await anext(begun)
        stream = gs.streaming.stream.Stream(begun, gs.SSEEncoder())
        await stream.close()
        await stream.close()
        assert closings == ["closed"]

    run(main())


def test_a_source_that_outlives_its_cancellation_ends_at_its_next_yield(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        yields = 0

        async def source() -> AsyncIterator[str]:
            nonlocal yields
            while True:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
                yields += 1
                yield "a"

        stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder())
        serving = asyncio.create_task(Connection().serve(stream))
        await turns(3)
        stream.interrupt("client_gone")
        assert (await serving).kind == "client_gone"
        assert yields == 1

    run(main())
