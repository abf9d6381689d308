"""The Server for programs that embed uvicorn drains its streams, and no client keeps it alive."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import uvicorn
from frames import said
from real_servers import SECONDS, Client, listen
from virtual_time import VirtualTimeLoop

from gaistream import SSEOptions
from gaistream.asgi import SSEResponse
from gaistream.errors import FrameError
from gaistream.frameworks._server_drain import abort_unread
from gaistream.frameworks.uvicorn import Server
from gaistream.streaming.open_streams import LAST_SEND, open_streams

STACKS = [("h11", "asyncio"), ("httptools", "uvloop")]


async def talking() -> AsyncIterator[str]:
    yield "hello"
    for _ in range(100 * SECONDS):  # not for ever: a stream that is not ended must fail its test
        await asyncio.sleep(0.01)
        yield "more"


async def much() -> AsyncIterator[str]:
    while True:
        yield "x" * 10_000


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/plain":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"plain"})
        return
    source = talking() if scope["path"] == "/" else much()
    options = SSEOptions(heartbeat_interval=None)
    await SSEResponse(source, options, send_timeout=0.1)(scope, receive, send)


class Running(Server):
    """A server in a thread, on a listening socket."""

    def __init__(self, listening: socket.socket, http: str, loop: str, **more: Any) -> None:
        config = uvicorn.Config(app, http=http, loop=loop, lifespan="off", log_config=None, **more)
        super().__init__(config, grace=0.2, retry_ms=700)
        self.ready = threading.Event()
        self.address = listening.getsockname()
        self.thread = threading.Thread(target=self.run, args=([listening],), daemon=True)

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    def ends(self) -> bool:
        self.thread.join(SECONDS)
        return not self.thread.is_alive()


@contextlib.contextmanager
def running(http: str, loop: str, **more: Any) -> Iterator[Running]:
    pytest.importorskip(http, reason=f"{http} is not installed")
    pytest.importorskip(loop, reason=f"{loop} is not installed")
    with listen() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        server = Running(listening, http, loop, **more)
        server.thread.start()
        try:
            assert server.ready.wait(SECONDS)
            yield server
        finally:
            server.should_exit = server.force_exit = True
            assert server.ends()


@pytest.mark.parametrize(("http", "loop"), STACKS)
@pytest.mark.parametrize("why", ["should_exit", "limit_max_requests"])
def test_streams_end_whole_and_then_the_server_ends(why: str, http: str, loop: str) -> None:
    limit = {"limit_max_requests": 1} if why == "limit_max_requests" else {}
    with running(http, loop, **limit) as server:
        client = Client(server.address).ask("/")
        assert client.head()[0] == 200
        client.until(said("hello"))
        if limit:
            asking = Client(server.address).ask("/plain")
            asking.head()
            asking.close()
        else:
            server.should_exit = True
        assert client.rest().endswith(b"retry: 700\n")  # `rest` fails on a body that was cut
        client.close()
        assert server.ends()


@pytest.mark.parametrize(("http", "loop"), STACKS)
def test_a_client_that_reads_nothing_does_not_keep_the_server(http: str, loop: str) -> None:
    with running(http, loop) as server:
        client = Client(server.address, receive_buffer=4096).ask("/much")
        assert client.head()[0] == 200
        server.should_exit = True
        assert server.ends()
        client.close()


def test_an_event_loop_serves_the_next_server(monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve_and_ask() -> bytes:
        with listen() as listening:
            config = uvicorn.Config(app, lifespan="off", log_config=None, ws="none")
            server = Server(config, grace=0)
            serving = asyncio.create_task(server.serve([listening]))
            client = Client(listening.getsockname())
            await asyncio.to_thread(lambda: client.ask("/").head())
            await asyncio.to_thread(client.until, said("hello"))
            server.should_exit = True
            body = await asyncio.to_thread(client.rest)
            client.close()
            await serving
            return body

    async def test() -> None:
        for _ in range(2):
            assert said("hello") in await serve_and_ask()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(test())


@pytest.mark.parametrize(
    ("given", "limit", "grace"),
    [(None, None, 5), (None, 20, 19), (None, 1, 0.5), (7, None, 7), (7, 20, 7), (60, 20, 19)],
)
def test_the_grace_ends_before_uvicorn_cancels(
    monkeypatch: pytest.MonkeyPatch, given: float | None, limit: int | None, grace: float
) -> None:
    seen = []

    async def shutdown(self: object, sockets: object = None) -> None:
        seen.append(open_streams().draining.ends_at - asyncio.get_running_loop().time())
        await asyncio.sleep(0)

    async def notify() -> None:
        seen.append("notified")

    async def test() -> None:
        config = uvicorn.Config(app, timeout_graceful_shutdown=limit, callback_notify=notify)
        await Server(config, grace=given).shutdown()

    monkeypatch.setattr(uvicorn.Server, "shutdown", shutdown)
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(test())
    assert seen == ["notified", grace]


class Transport:
    """A transport whose buffer shrinks by `takes` bytes whenever its size is read."""

    def __init__(self, *, closing: bool, takes: int) -> None:
        self.closing = closing
        self.takes = takes
        self.size = 10_000
        self.aborted: float | None = None

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        self.size -= self.takes
        return self.size

    def abort(self) -> None:
        self.aborted = self.aborted or asyncio.get_running_loop().time()


def test_only_closing_transports_whose_clients_read_nothing_are_aborted() -> None:
    stuck = Transport(closing=True, takes=0)
    slow = Transport(closing=True, takes=1)
    answering = Transport(closing=False, takes=0)

    async def test() -> None:
        ending = open_streams().drain(3, None)
        open_streams().drain(2, None)  # a second signal
        async with asyncio.timeout(100):
            await abort_unread(ending, lambda: [stuck, slow, answering])  # type: ignore[list-item]

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner, pytest.raises(TimeoutError):
        runner.run(test())
    assert stuck.aborted is not None
    assert 2 + LAST_SEND <= stuck.aborted < 2 + 2 * LAST_SEND
    assert (slow.aborted, answering.aborted) == (None, None)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(FrameError, match="grace"):
        Server(uvicorn.Config(app), grace=-1)
    with pytest.raises(FrameError, match="retry_ms"):
        Server(uvicorn.Config(app), retry_ms=1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["capture_signals", "shutdown"])
def test_a_missing_or_incompatible_uvicorn_is_an_import_error(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    name = "gaistream.frameworks.uvicorn"
    monkeypatch.delattr(uvicorn.Server, method)
    monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match=rf"has no Server\.{method}"):
        importlib.import_module(name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ImportError, match="pip install uvicorn"):
        importlib.import_module(name)
