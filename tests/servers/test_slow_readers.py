"""Clients that read one byte at a time: who keeps up gets everything, who does not is stalled."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest
from frames import DONE, PRELUDE, said
from loops import Connection
from real_servers import SECONDS, Client, serve_uvicorn, until
from required import need_package
from virtual_time import VirtualTimeLoop

from gaistream import asgi

UVICORNS = [(http, loop) for http in ("h11", "httptools") for loop in ("asyncio", "uvloop")]


class SlowConnection(Connection):
    """A server's side of a client that takes one byte a second, after what buffers hold.

    As servers do, a send goes on until little enough is left of what was sent.
    """

    HIGH, LOW = 64, 16  # bytes

    def __init__(self) -> None:
        super().__init__()
        self._emptied_at = 0.0  # when all would be taken

    async def send(self, chunk: bytes) -> None:
        now = asyncio.get_running_loop().time()
        self._emptied_at = max(self._emptied_at, now) + len(chunk)
        if self._emptied_at - now > self.HIGH:
            await asyncio.sleep(self._emptied_at - now - self.LOW)
        await super().send(chunk)


@pytest.mark.parametrize(
    ("size", "ends", "events", "least", "most"),
    [
        (1, "completed", 20, 760, 840),  # a line of 33 bytes each 40 seconds, and the end
        (100, "stalled", 1, 60, 64),  # the first line is taken in 132 seconds, less a buffer
    ],
)
def test_a_byte_a_second_is_enough_for_small_events_and_stalls_at_a_large_one(
    gs: ModuleType, size: int, ends: str, events: int, least: float, most: float
) -> None:
    closed_at: list[float] = []

    async def source() -> AsyncIterator[str]:
        try:
            for number in range(20):
                if number:
                    await asyncio.sleep(40)
                yield "x" * size
        finally:
            closed_at.append(asyncio.get_running_loop().time())

    async def serve() -> Any:
        connection = SlowConnection()
        stream = gs.streaming.stream.Stream(source(), gs.NDJSONEncoder(), send_timeout=60.0)
        return await connection.serve(stream), asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        outcome, now = runner.run(serve())
    assert outcome.kind == ends
    assert outcome.events >= events
    assert least <= now <= most
    assert closed_at == [760 if ends == "completed" else now]


def read_bytes(client: Client, pause: float, seen: list[int], over: threading.Event) -> None:
    """Read byte by byte, until told."""
    while not over.is_set():
        seen[0] += len(client.socket.recv(1))
        time.sleep(pause)


@pytest.mark.parametrize(("http", "loop"), UVICORNS)
def test_a_client_that_reads_too_slowly_is_stalled_though_it_reads_all_the_while(
    http: str, loop: str
) -> None:
    outcomes: list[Any] = []
    ended, over = threading.Event(), threading.Event()
    open_sources = 0
    need_package(http)
    need_package(loop)

    async def source() -> AsyncIterator[str]:
        nonlocal open_sources
        open_sources += 1
        try:
            while True:
                yield "x" * 1000
        finally:
            open_sources -= 1

    def on_close(outcome: Any) -> None:
        outcomes.append(outcome)
        ended.set()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asgi.SSEResponse(source(), send_timeout=0.3, on_close=on_close)(scope, receive, send)

    with serve_uvicorn(app, http, loop, send_buffer=4096) as server:
        client = Client(server.address, receive_buffer=2048).ask("/")
        seen = [0]
        reader = threading.Thread(target=read_bytes, args=(client, 0.001, seen, over))
        reader.start()
        assert ended.wait(SECONDS)
        before = seen[0]
        until(lambda: seen[0] > before)  # it is still reading, and there still is something
        over.set()
        reader.join()
        client.vanish()
        until(lambda: server.tasks() == 0)
    assert [outcome.kind for outcome in outcomes] == ["stalled"]
    assert open_sources == 0
    assert outcomes[0].bytes < 2**20  # the source was paused


@pytest.mark.parametrize(("http", "loop"), UVICORNS)
def test_a_client_that_reads_byte_by_byte_in_time_gets_everything(http: str, loop: str) -> None:
    outcomes: list[Any] = []
    need_package(http)
    need_package(loop)

    async def source() -> AsyncIterator[str]:
        for _ in range(100):
            yield "x" * 1000

    async def app(scope: Any, receive: Any, send: Any) -> None:
        response = asgi.SSEResponse(source(), send_timeout=SECONDS, on_close=outcomes.append)
        await response(scope, receive, send)

    with serve_uvicorn(app, http, loop, send_buffer=4096) as server:
        client = Client(server.address, receive_buffer=2048).ask("/")
        received = bytearray()
        while not received.endswith(b"\r\n0\r\n\r\n"):
            received += client.socket.recv(1)
        client.close()
        until(lambda: server.tasks() == 0)
    body = received.partition(b"\r\n\r\n")[2]
    assert body.count(said("x" * 1000)) == 100
    assert DONE in body
    assert PRELUDE in body
    assert [outcome.kind for outcome in outcomes] == ["completed"]
