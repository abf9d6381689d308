"""Streams share a timer; what one does must not reach the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest
from loops import LOOPS, watched_loop
from scripted_asgi import Connection, run

from gaistream import SSEOptions, events, sse
from gaistream.streaming.clock import clock


@pytest.mark.parametrize("loop", LOOPS)
def test_heartbeats_go_on_while_a_neighbour_cleans_up_after_its_end(
    loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    options = SSEOptions(heartbeat_interval=0.05)

    async def main() -> None:
        beaten = asyncio.Event()

        async def cleaning() -> object:
            try:
                yield events.Done()
            finally:
                await beaten.wait()

        async def quiet() -> object:
            await beaten.wait()
            yield "b"

        async def read(source: object, beats: int) -> bytes:
            seen = b""
            async for chunk in sse(source, options):
                seen += chunk
                if beats and seen.count(b"keep-alive") >= beats:
                    beaten.set()
            return seen

        readers = [read(quiet(), 3 if each == 9 else 0) for each in range(10)]
        ended, *others = await asyncio.gather(read(cleaning(), 0), *readers)
        assert ended.endswith(b'data: {"finished":true}\n\n')
        assert b"keep-alive" not in ended
        assert all(each.count(b"keep-alive") >= 2 for each in others)

    with watched_loop(loop) as run:
        run(main())
    assert not caplog.records


def test_a_tick_that_raises_is_logged_and_the_others_are_called(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Ticked:
        due = None

        def __init__(self, called: asyncio.Event, fails: bool) -> None:
            self.called, self.fails = called, fails

        def tick(self, now: float) -> None:
            self.called.set()
            if self.fails:
                raise ValueError("this one")

    async def main() -> None:
        called = [asyncio.Event() for _ in range(20)]
        for number, event in enumerate(called):
            clock().call(Ticked(event, number % 2 == 0), 0.01)
        async with asyncio.timeout(10):
            await asyncio.gather(*(event.wait() for event in called))

    with caplog.at_level(logging.ERROR, "gaistream"):
        asyncio.run(main())
    assert caplog.text.count("ValueError: this one") == 10


@pytest.mark.parametrize("settings", [{}, {"collect": True}, {"on_disconnect": "continue"}])
def test_a_source_of_nothing_but_none_gives_its_neighbours_their_turns(
    gs: ModuleType, settings: dict[str, Any]
) -> None:
    async def test() -> None:
        stopped = False

        async def nothing() -> AsyncIterator[None]:
            while not stopped:
                yield None

        connection = Connection().hear()
        task = connection.begin(gs.asgi.SSEResponse(nothing(), **settings))
        for _ in range(20):
            await asyncio.sleep(0)  # which would never return
        stopped = True
        await task
        assert connection.is_complete

    run(test())
