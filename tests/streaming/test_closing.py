"""The bound of a source's clean-up holds however a stream is closed, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from types import ModuleType
from typing import Any

import pytest
from loops import Connection, Run, turns
from virtual_time import VirtualTimeLoop


def in_virtual_time(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on a loop on which hours take no time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def now() -> float:
    return asyncio.get_running_loop().time()


class Cleaning:
    """A source that takes a minute to clean up, or longer than that it is cancelled."""

    def __init__(self, cancels: int = 1) -> None:
        self.cancels = cancels  # without which it does not end
        self.ended_at: float | None = None

    async def __call__(self) -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.sleep(3600)
        finally:
            try:
                for left in reversed(range(self.cancels)):
                    try:
                        await asyncio.sleep(60)
                    except asyncio.CancelledError:
                        if not left:
                            raise
            finally:
                self.ended_at = now()


def test_a_clean_up_stays_bounded_if_the_wait_for_it_is_cancelled(
    gs: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        source = Cleaning()
        stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder())
        serving = asyncio.create_task(Connection().serve(stream))
        await asyncio.sleep(1)
        serving.cancel()
        await asyncio.sleep(1)
        serving.cancel()
        await asyncio.wait([serving])
        assert now() < 3
        assert not stream.outcome.source_closed
        await asyncio.sleep(100)
        assert source.ended_at is not None
        assert 31 <= source.ended_at < 34

    in_virtual_time(main())
    assert len(caplog.records) == 1


def test_the_end_of_a_loop_breaks_off_no_clean_up(gs: ModuleType) -> None:
    cleaned: list[float] = []

    async def source() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(5)
            cleaned.append(now())

    async def main() -> list[asyncio.Task[Any]]:
        streams = [gs.streaming.stream.Stream(source(), gs.SSEEncoder()) for _ in range(20)]
        serving = [asyncio.create_task(Connection().serve(each)) for each in streams]
        await asyncio.sleep(1)
        return serving

    in_virtual_time(main())  # which cancels all tasks, in any order
    assert cleaned == [6.0] * 20


def test_an_iterator_waits_once_for_a_source_that_does_not_end(
    gs: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        chunks = gs.sse(Cleaning(3)())
        await anext(chunks)
        await chunks.aclose()
        assert 31 <= now() < 34

    in_virtual_time(main())
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]


def test_so_do_two_that_close_it_at_once(gs: ModuleType) -> None:
    async def main() -> None:
        chunks = gs.sse(Cleaning(3)())
        await anext(chunks)
        waiting = asyncio.ensure_future(anext(chunks))
        await asyncio.sleep(1)
        await asyncio.gather(chunks.aclose(), waiting, return_exceptions=True)
        assert 31 <= now() < 35

    in_virtual_time(main())


def test_a_cancelled_drain_does_not_bound_a_clean_up(
    gs: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        source = Cleaning()
        stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder(), cleanup_timeout=100)
        serving = asyncio.create_task(Connection().serve(stream))
        await asyncio.sleep(1)
        ending = gs.streaming.drain.drain(2)
        stream.interrupt("client_gone")
        await asyncio.sleep(1)
        ending.cancel()
        outcome = await serving
        assert outcome.source_closed
        assert 61 <= now() < 62

    in_virtual_time(main())
    assert not caplog.records


class HangsInClose:
    """A source, as the SDKs' stream objects are, whose `aclose` hangs."""

    def __aiter__(self) -> HangsInClose:
        return self

    async def __anext__(self) -> str:
        raise AssertionError

    async def aclose(self) -> None:
        await asyncio.sleep(3600)


async def is_refused(stream: Any) -> None:
    stream.interrupt("drained")
    await stream.close()


async def is_begun(stream: Any) -> None:
    await Connection().serve(stream)


@pytest.mark.parametrize("request_", [is_refused, is_begun])
def test_a_drain_bounds_the_closing_of_sources_that_come_later(
    gs: ModuleType, request_: Callable[[Any], Coroutine[Any, Any, None]]
) -> None:
    async def main() -> None:
        gs.streaming.drain.drain(2)
        await request_(gs.streaming.stream.Stream(HangsInClose(), gs.SSEEncoder()))
        assert 3 <= now() < 5

    in_virtual_time(main())


def test_a_source_that_goes_on_after_its_own_time_out_is_cancelled_at_its_next_step(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        log: list[str] = []
        time_outs: list[asyncio.Timeout] = []

        async def source() -> AsyncIterator[str]:
            try:
                async with asyncio.timeout(None) as own:
                    time_outs.append(own)
                    yield "a"
                    await asyncio.sleep(60)
            except TimeoutError:
                log.append("timed out")
            try:
                await asyncio.sleep(60)
            finally:
                log.append("closed")

        stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder(), cleanup_timeout=None)
        serving = asyncio.create_task(Connection().serve(stream))
        await turns(5)
        time_outs[0].reschedule(asyncio.get_running_loop().time())  # strikes in the next turn,
        serving.cancel()  # in which the stream is cancelled, too
        await turns(10)
        assert serving.cancelled()
        assert log == ["timed out", "closed"]
        assert stream.outcome.kind == "cancelled"

    run(main())
