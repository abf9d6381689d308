"""Channels over uvicorn: a client that does not read, putters in tasks and threads, a stop."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

import pytest
from real_servers import SECONDS, Client, serve_uvicorn, until
from required import need_package

from gaistream import Channel, ChannelClosed, ChannelFull, SSEDecoder, asgi, drain

UVICORNS = [(http, loop) for http in ("h11", "httptools") for loop in ("asyncio", "uvloop")]
on_uvicorns = pytest.mark.parametrize(("http", "loop"), UVICORNS)
variable: ContextVar[str] = ContextVar("variable", default="nothing")
PIECE = "x" * 1000


class App:
    """Streams a channel for each request, once `put` was started with it."""

    def __init__(self, put: Any, **settings: Any) -> None:
        self.put = put
        self.settings = settings
        self.kinds: list[str] = []
        self.seen: set[Any] = set()
        self.errors: list[Exception] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        channel: Channel[str] = Channel()
        own = asyncio.current_task()

        async def seen_send(message: Any) -> None:
            self.seen.add((asyncio.current_task() is own, variable.get()))
            await send(message)

        async def putting() -> None:
            variable.set("the putter's")
            try:
                await self.put(channel)
            except Exception as error:
                self.errors.append(error)

        variable.set("the connection's")
        task = asyncio.create_task(putting())
        response = asgi.SSEResponse(
            channel, on_close=lambda outcome: self.kinds.append(outcome.kind), **self.settings
        )
        await response(scope, receive, seen_send)
        await task


def texts(body: bytes) -> list[str]:
    return [event.json()["text"] for event in SSEDecoder().feed(body) if event.event != "done"]


@on_uvicorns
def test_a_client_that_does_not_read_has_puts_wait_and_then_gets_all(http: str, loop: str) -> None:
    need_package(loop)
    full = threading.Event()
    count = 0

    async def put(channel: Channel[str]) -> None:
        nonlocal count
        try:
            while True:
                channel.put_nowait(f"{count} {PIECE}")
                count += 1
                await asyncio.sleep(0)
        except ChannelFull:
            full.set()
        await channel.put(f"{count} {PIECE}")
        await asyncio.to_thread(channel.put_threadsafe, "from a thread")
        channel.close()

    app = App(put)
    with serve_uvicorn(app, http, loop, send_buffer=16384) as server:
        client = Client(server.address, receive_buffer=16384).ask("/")
        assert full.wait(SECONDS)
        client.head()
        body = client.rest()
        client.close()
        until(lambda: app.kinds == ["completed"])
    assert texts(body) == [*(f"{number} {PIECE}" for number in range(count + 1)), "from a thread"]
    assert app.seen == {(True, "the connection's")}
    assert not app.errors


@on_uvicorns
def test_tasks_and_threads_put_whole_events_each_in_its_order(http: str, loop: str) -> None:
    need_package(loop)
    many = 500

    async def put(channel: Channel[str]) -> None:
        async def in_task(name: str) -> None:
            for number in range(many):
                await channel.put(f"{name} {number}")
                if not number % 10:
                    await asyncio.sleep(0)

        def in_thread(name: str) -> None:
            for number in range(many):
                channel.put_threadsafe(f"{name} {number}")

        threads = [asyncio.to_thread(in_thread, name) for name in "cd"]
        await asyncio.gather(*map(in_task, "ab"), *threads)
        channel.close()

    app = App(put)
    with serve_uvicorn(app, http, loop) as server:
        client = Client(server.address).ask("/")
        client.head()
        said = texts(client.rest())
        client.close()
    for name in "abcd":
        assert [text for text in said if text[0] == name] == [f"{name} {n}" for n in range(many)]
    assert app.seen == {(True, "the connection's")}
    assert not app.errors


@on_uvicorns
@pytest.mark.parametrize("how", ["leaves", "stalls", "is drained"])
def test_puts_end_with_the_stream_whatever_waits(http: str, loop: str, how: str) -> None:
    need_package(loop)
    kinds = {"leaves": "client_gone", "stalls": "stalled", "is drained": "drained"}

    async def put(channel: Channel[str]) -> None:
        def in_thread() -> None:
            while True:
                channel.put_threadsafe(PIECE)

        async def in_task() -> None:
            while True:
                await channel.put(PIECE)
                await asyncio.sleep(0)

        putters = asyncio.create_task(in_task()), asyncio.to_thread(in_thread)
        ended = await asyncio.gather(*putters, return_exceptions=True)
        for error in ended:
            assert isinstance(error, ChannelClosed), error
            assert error.outcome.kind == kinds[how]

    app = App(put, send_timeout=0.2 if how == "stalls" else 60)
    with serve_uvicorn(app, http, loop, send_buffer=16384) as server:
        client = Client(server.address, receive_buffer=16384).ask("/")
        client.head()
        client.until(PIECE.encode())
        if how == "leaves":
            client.vanish()
        elif how == "is drained":
            asyncio.run_coroutine_threadsafe(drained(), server.loop)
            client.rest()
        until(lambda: app.kinds == [kinds[how]])
        until(lambda: server.tasks() == 0)
        client.close()
    assert not app.errors


async def drained() -> None:
    """Begin a drain of the server's loop."""
    await drain(0)
