"""What `resumable` promises in every order of events: stops, the seam of replay and live, trio."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
import trio
from resumed import Steered, of, request, served
from scripted_asgi import run, text
from trio_exchange import on_trio

ORDERS = 1000
AT_ONCE = 50
CALLS = 8  # of a follower to its log, from the first on


async def endless() -> Any:
    while True:
        yield "a"
        await asyncio.sleep(0.005)


async def stop_before(gs: Any, log: Any, stream: str) -> None:
    assert await log.stop(stream) == "pending"
    stopped = await served(gs, log, endless, stream=stream)
    assert b'"code":"stopped"' in stopped.body


async def stop_running(gs: Any, log: Any, stream: str) -> None:
    connection, response = request(gs, log, endless, stream=stream)
    task = connection.begin(response)
    await connection.until_said(text("a"))
    assert await log.stop(stream) == "stopping"
    await task
    assert b'"code":"stopped"' in connection.body


async def stop_one_that_was_begun_anew(gs: Any, log: Any, stream: str) -> None:
    await served(gs, log, of(["old"]), stream=stream)
    old = (await log.read(stream, None, 0)).epoch
    source = Steered("a", "b")
    connection, response = request(gs, log, source, stream=stream, replace=True)
    task = connection.begin(response)
    await connection.until_said(text("a"))
    assert await log.stop(stream, old) == "ended"
    source.gate.open()
    await task
    assert b"event: done" in connection.body


def test_of_a_thousand_orders_to_stop_none_is_lost_or_meets_another_generation(gs: Any) -> None:
    kinds = (stop_before, stop_running, stop_one_that_was_begun_anew)
    rnd = random.Random(7)

    async def test() -> None:
        log = gs.replay.MemoryLog()
        for first in range(0, ORDERS, AT_ONCE):
            numbers = range(first, first + AT_ONCE)
            await asyncio.gather(*(rnd.choice(kinds)(gs, log, f"s{each}") for each in numbers))

    run(test())


class Paused:
    """A log whose follower stands still at its nth call, while `meanwhile` happens."""

    def __init__(self, log: Any, point: int, before: bool, meanwhile: Any) -> None:
        self._log = log
        self._left = point
        self._before = before
        self._meanwhile = meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def follow(self, *args: Any) -> Any:
        return type(self._log).follow(self, *args)  # type: ignore[arg-type]

    async def read(self, *args: Any) -> Any:
        return await self._call(self._log.read, *args)

    async def wait(self, *args: Any) -> Any:
        return await self._call(self._log.wait, *args)

    async def _call(self, call: Any, *args: Any) -> Any:
        here = self._left == 0
        self._left -= 1
        if here and self._before:
            await self._meanwhile()
        result = await call(*args)
        if here and not self._before:
            await self._meanwhile()
        return result


@pytest.mark.parametrize("dialect", ["gai", "openai_chat"])
@pytest.mark.parametrize("ends", [False, True])
def test_records_that_come_at_any_call_of_a_follower_are_sent_once_and_in_order(
    gs: Any, dialect: str, ends: bool
) -> None:
    async def follow(point: int, before: bool) -> None:
        log, items = gs.replay.MemoryLog(), asyncio.Queue[Any]()

        async def source() -> Any:
            while (item := await items.get()) is not None:
                yield item

        begun = False

        async def come() -> None:
            nonlocal begun
            if begun:  # while the call waited
                return
            begun = True
            for item in ("d", "e", *([None] if ends else [])):
                items.put_nowait(item)
            while (page := await log.read("s", None, 0)).newest < 5 or (ends and not page.end):
                if page.lease_left is None:
                    break
                await asyncio.sleep(0)

        for item in "abc":
            items.put_nowait(item)
        first, response = request(gs, log, source, dialect=dialect)
        task = first.begin(response)
        while (await log.read("s", None, 0)).newest < 3:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0)
        paused = Paused(log, point, before, come)
        second, response = request(gs, paused, dialect=dialect)
        following = second.begin(response)
        for _ in range(50):
            await asyncio.sleep(0)
        await come()  # unless it has stood at that call
        if not ends:
            items.put_nowait(None)
        await asyncio.gather(task, following)
        assert second.body == first.body, (point, before)

    async def test() -> None:
        for point in range(CALLS):
            for before in (False, True):
                await follow(point, before)

    run(test())


def test_on_trio_a_source_goes_on_without_its_client_and_is_replayed(gs: Any) -> None:
    async def main() -> None:
        log, go_on = gs.replay.MemoryLog(), trio.Event()
        bodies: dict[str, bytes] = {"first": b"", "second": b""}

        async def source() -> Any:
            yield "a"
            await go_on.wait()
            yield "b"

        async def serve(name: str, source: Any, leaves: bool) -> None:
            asked = [{"type": "http.request", "body": b""}] if source is not None else []

            async def receive() -> Any:
                if asked:
                    return asked.pop()
                while not leaves or text("a") not in bodies[name]:  # noqa: ASYNC110
                    await trio.sleep(0.001)
                return {"type": "http.disconnect"}

            async def send(message: Any) -> None:
                bodies[name] += message.get("body", b"")

            method = "GET" if source is None else "POST"
            scope = {"type": "http", "method": method, "path": "/", "headers": []}
            response = gs.asgi.resumable(log, "s", source, authorize=None)
            await response(scope, receive, send)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, "first", source, True)
            while text("a") not in bodies["first"]:  # noqa: ASYNC110
                await trio.sleep(0.001)
            nursery.start_soon(serve, "second", None, False)
            while text("a") not in bodies["second"]:  # noqa: ASYNC110
                await trio.sleep(0.001)
            go_on.set()
        assert text("b") in bodies["second"]
        assert b"event: done" in bodies["second"]
        await log.aclose()

    on_trio(main)
