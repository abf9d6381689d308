"""What runs beside a source of the stand-in for sse-starlette's response is bounded as it is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from scripted_asgi import Connection, Source, run
from virtual_time import VirtualTimeLoop

import gaistream
from gaistream.loops.sources import is_left_running, source_name
from gaistream.streaming.open_streams import open_streams

pytest.importorskip("starlette", reason="Starlette is not installed")

from gaistream.frameworks.sse_starlette._sources import Body, WithFeeder
from gaistream.frameworks.starlette import EventSourceResponse


def in_virtual_time(test: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(test())  # type: ignore[arg-type]


def now() -> float:
    return asyncio.get_running_loop().time()


def hangs(cancels: int, log: list[float]) -> Callable[..., Awaitable[None]]:
    """Return a function that ends once it was cancelled so often."""

    async def hang(*_: object) -> None:
        for left in reversed(range(cancels)):
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                log.append(now())
                if not left:
                    raise

    return hang


async def end_by_client(response: Any) -> asyncio.Task[None]:
    connection = Connection()
    serving = connection.begin(response)
    await connection.until_said(b"data: a")
    connection.leave()
    await asyncio.sleep(1)
    return serving


def test_a_drain_bounds_a_close_handler_that_hangs(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        log: list[float] = []
        serving = await end_by_client(
            EventSourceResponse(Source("a"), client_close_handler_callable=hangs(1, log))
        )
        gaistream.drain(2)
        await serving
        assert log == [pytest.approx(4, abs=0.5)]
        assert not open_streams().streams

    in_virtual_time(test)
    [record] = caplog.records
    assert record.message.startswith("client_close_handler_callable has not ended")


def test_a_close_handler_that_swallows_its_cancellation_is_left_behind_and_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        log: list[float] = []
        serving = await end_by_client(
            EventSourceResponse(Source("a"), client_close_handler_callable=hangs(3, log))
        )
        await serving
        assert 31 <= now() < 34
        assert len(log) == 1

    in_virtual_time(test)
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
    assert caplog.messages[1].startswith("client_close_handler_callable does not end")


def test_a_sender_that_swallows_its_cancellation_is_cancelled_again_too() -> None:
    async def test() -> None:
        log: list[float] = []
        source = Source("a")
        serving = await end_by_client(
            EventSourceResponse(source, data_sender_callable=hangs(2, log))
        )
        await serving
        await asyncio.sleep(0)
        assert len(log) == 2
        assert source.closed == 1
        assert asyncio.all_tasks() == {asyncio.current_task()}

    in_virtual_time(test)


def test_a_blocking_source_beside_a_sender_is_known_by_its_name_and_end() -> None:
    go_on = threading.Event()

    def blocking() -> Iterator[str]:
        yield "a"
        go_on.wait()

    async def test() -> None:
        fed = WithFeeder(Body(blocking()), asyncio.Event().wait)
        fed.start()
        assert await anext(fed) == "a"
        assert is_left_running(fed)
        assert "blocking (" in source_name(fed)
        go_on.set()
        await fed.aclose()
        assert not is_left_running(fed)

    run(test())


def test_the_end_that_a_cancelled_drain_had_set_does_not_come_in_the_next() -> None:
    async def busy() -> AsyncIterator[str]:
        for number in range(100):
            yield str(number)
            await asyncio.sleep(1)

    async def test() -> None:
        connection = Connection()
        serving = connection.begin(EventSourceResponse(busy(), shutdown_grace_period=5))
        await asyncio.sleep(0.5)
        first = gaistream.drain(10)
        first.end(*open_streams().streams)  # its turn has come
        first.cancel()
        await asyncio.sleep(2)
        gaistream.drain(40)
        await asyncio.sleep(20)
        assert not serving.done()
        await gaistream.drain(0)
        await serving

    in_virtual_time(test)
