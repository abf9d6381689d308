"""Streams over uvicorn in this process: clients go at any byte, stall, come by hundreds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from real_servers import SECONDS, Client, Server, open_files, serve_uvicorn, until
from required import need_package

import gaistream
from gaistream import asgi

UVICORNS = [
    f"uvicorn {http} {loop}" for http in ("h11", "httptools") for loop in ("asyncio", "uvloop")
]



@contextlib.contextmanager
def uvicorn_serving(kind: str, app: Any) -> Iterator[Server]:
    """Serve an app, and see that nothing is left: no task, no thread, no open file."""
    _, http, loop = kind.split()
    need_package(http)
    need_package(loop)
    files, threads = open_files(), threading.active_count()
    with serve_uvicorn(app, http, loop) as server:
        yield server
        until(lambda: server.tasks() == 0)
    until(lambda: open_files() <= files)
    until(lambda: threading.active_count() <= threads)


class Outcomes:
    """Counts the sources that are open, and collects how their streams ended."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.open = 0

    def on_close(self, outcome: Any) -> None:
        self.kinds.append(outcome.kind)


@pytest.mark.parametrize("kind", UVICORNS)
@pytest.mark.parametrize("format_", ["sse", "ndjson"])
def test_a_client_may_vanish_at_any_byte(kind: str, format_: str) -> None:
    outcomes = Outcomes()
    make = asgi.SSEResponse if format_ == "sse" else asgi.NDJSONResponse

    async def source() -> AsyncIterator[str]:
        outcomes.open += 1
        try:
            for number in range(3):
                yield f"{number}"
                await asyncio.sleep(0)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            outcomes.open -= 1

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await make(source(), on_close=outcomes.on_close)(scope, receive, send)

    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with uvicorn_serving(kind, app) as server:
        whole = Client(server.address).ask("/")
        received = b""
        while b'"text":"2"}' not in received:
            received += whole.socket.recv(1024)
        whole.vanish()
        until(lambda: len(outcomes.kinds) == 1)
        vanished = 1
        for taken in range(0, len(received), 6):
            client = Client(server.address)
            client.socket.sendall(request)
            left = taken
            while left:
                left -= len(client.socket.recv(left))
            client.vanish()
            vanished += 1
        for sent in range(0, len(request), 3):
            client = Client(server.address)
            client.socket.sendall(request[:sent])
            client.vanish()
        # one that vanishes before its request was read is never served
        until(lambda: server.tasks() == 0 and outcomes.open == 0)
        assert set(outcomes.kinds) == {"client_gone"}
        assert vanished - 1 <= len(outcomes.kinds) <= vanished


@pytest.mark.parametrize("kind", UVICORNS)
@pytest.mark.parametrize("finite", [False, True])
def test_a_client_that_takes_nothing_ends_the_stream_as_stalled(
    kind: str, finite: bool, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes, ended = Outcomes(), threading.Event()

    async def source() -> AsyncIterator[str]:
        try:
            if finite:
                yield "x" * (64 * 2**20)  # all is handed over at once; the end cannot be
            while not finite:
                yield "x" * 100_000
        finally:
            outcomes.open -= 1

    def on_close(outcome: Any) -> None:
        outcomes.on_close(outcome)
        ended.set()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        outcomes.open += 1
        await asgi.SSEResponse(source(), send_timeout=0.2, on_close=on_close)(scope, receive, send)

    with caplog.at_level(logging.CRITICAL, "uvicorn.error"), uvicorn_serving(kind, app) as server:
        client = Client(server.address, receive_buffer=4096).ask("/")
        assert ended.wait(SECONDS)
        assert outcomes.kinds == ["stalled"]
        assert outcomes.open == 0
        client.vanish()


@pytest.mark.parametrize("kind", UVICORNS)
def test_a_hundred_streams_at_once_are_all_served_step_by_step(kind: str) -> None:
    outcomes, taken = Outcomes(), [asyncio.Semaphore(0) for _ in range(100)]
    most = 0

    async def source(number: int) -> AsyncIterator[str]:
        nonlocal most
        outcomes.open += 1
        most = max(most, outcomes.open)
        try:
            for step in range(3):
                yield f"{number}.{step}"
                await taken[number].acquire()
        finally:
            outcomes.open -= 1

    async def app(scope: Any, receive: Any, send: Any) -> None:
        number = int(scope["path"].strip("/"))
        response = asgi.NDJSONResponse(source(number), on_close=outcomes.on_close)
        await response(scope, receive, send)

    with uvicorn_serving(kind, app) as server:
        clients = [Client(server.address).ask(f"/{number}") for number in range(100)]
        for client in clients:
            assert client.head()[0] == 200
        assert server.tasks() == 3 * 100
        for step in range(3):
            for number, client in enumerate(clients):
                client.until(b'"text":"%d.%d"}\n' % (number, step))
                server.soon(taken[number].release)
        for number, client in enumerate(clients):
            texts = [json.loads(line).get("text") for line in client.rest().splitlines()]
            assert texts == [f"{number}.0", f"{number}.1", f"{number}.2", None]
            client.close()
    assert most == 100
    assert outcomes.kinds == ["completed"] * 100


@pytest.mark.parametrize("kind", UVICORNS)
def test_a_source_that_fails_at_once_is_a_whole_answer_with_a_length(kind: str) -> None:
    async def source() -> AsyncIterator[str]:
        raise gaistream.StreamError("full", code="full", status=429, retry_after=7)
        yield ""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asgi.SSEResponse(source())(scope, receive, send)

    with uvicorn_serving(kind, app) as server:
        answer = httpx.get(server.url, timeout=SECONDS)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
        assert answer.json() == {"error": {"code": "full", "message": "full"}}
        assert "transfer-encoding" not in answer.headers


@pytest.mark.parametrize("kind", UVICORNS)
def test_a_client_that_vanishes_while_it_is_being_sent_to_has_the_source_closed(kind: str) -> None:
    outcomes, blocked = Outcomes(), threading.Event()

    async def source() -> AsyncIterator[str]:
        outcomes.open += 1
        try:
            while True:
                yield "x" * 100_000
        finally:
            outcomes.open -= 1

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            task = asyncio.ensure_future(send(message))
            if (await asyncio.wait([task], timeout=0.1))[1]:
                blocked.set()
            try:
                await task
            finally:
                task.cancel()

        await asgi.SSEResponse(source(), on_close=outcomes.on_close)(scope, receive, sending)

    with uvicorn_serving(kind, app) as server:
        client = Client(server.address, receive_buffer=4096).ask("/")
        assert blocked.wait(SECONDS)
        client.vanish()
        until(lambda: server.tasks() == 0)
        assert outcomes.kinds == ["client_gone"]
        assert outcomes.open == 0
