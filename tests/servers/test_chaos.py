"""Two thousand clients that do anything at any time, and sources that misbehave: nothing is left.

The server is uvicorn in this process. What clients do and when is drawn from a seed, so that a run
can be had again. At the end there is no task, thread, timer, open file, open source or stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import random
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import pytest
from real_servers import SECONDS, Server, open_files, serve_uvicorn, until
from required import need_package
from wild_sources import NAMES, Sources

from gaistream import SSEOptions, asgi
from gaistream.streaming.clock import clock
from gaistream.streaming.open_streams import open_streams
from gaistream.streaming.stream import Stream

CLIENTS = 2000
AT_ONCE = 60
# A server reads no further behind a request that was not asked for yet, and so does not see that
# its client goes; a heartbeat does.
OPTIONS = SSEOptions(heartbeat_interval=0.2)


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def close(client: socket.socket) -> None:
    client.close()


def half_close(client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_WR)
    read_byte_by_byte(client)
    client.close()


def read_byte_by_byte(client: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError, OSError):
        for _ in range(20):
            client.recv(1)


def read(client: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError, OSError):
        client.recv(65536)


def babble(client: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError, OSError):
        client.send(b"\x00\xff garbage \r\n\r\n GET")


ENDS: list[Callable[[socket.socket], None]] = [reset, close, half_close]
DOINGS: list[Callable[[socket.socket], None]] = [read, read_byte_by_byte, babble]


def come_and_go(address: tuple[str, int], chance: random.Random) -> None:
    """Be all the clients, at most some at once."""
    there: list[socket.socket] = []
    for _ in range(CLIENTS):
        client = socket.create_connection(address, SECONDS)
        request = f"GET /{chance.choice(NAMES)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        if chance.random() < 0.1:
            request = chance.choice([request[: chance.randrange(40)], b"\x16\x03\x01 nonsense\n"])
        client.sendall(request)
        client.setblocking(False)
        there.append(client)
        for _ in range(chance.randrange(3)):
            chance.choice(DOINGS)(chance.choice(there))
        while len(there) > chance.randrange(AT_ONCE):
            chance.choice(ENDS)(there.pop(chance.randrange(len(there))))
    for client in there:
        reset(client)


async def _timers() -> int:
    return len(clock()._at) + len(open_streams().streams)


def timers(server: Server) -> int:
    """Count the timers and the streams that the loop's clock knows."""
    return int(asyncio.run_coroutine_threadsafe(_timers(), server.loop).result(SECONDS))


@pytest.mark.parametrize("kind", ["h11 asyncio", "httptools uvloop"])
def test_two_thousand_clients_that_go_at_random_leave_nothing(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    http, loop = kind.split()
    need_package(http)
    need_package(loop)
    sources = Sources()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        source = getattr(sources, scope["path"].strip("/"))()
        response = asgi.SSEResponse(source, OPTIONS, send_timeout=5, on_close=sources.on_close)
        await response(scope, receive, send)

    gc.collect()
    streams = sum(type(each) is Stream for each in gc.get_objects())
    files, threads = open_files(), threading.active_count()
    with caplog.at_level(logging.CRITICAL), serve_uvicorn(app, http, loop) as server:
        come_and_go(server.address, random.Random(kind))
        sources.let_go.set()
        # the server may not have accepted the last clients yet when there are no tasks
        until(lambda: server.tasks() == 0 and sources.open == 0 and timers(server) == 0)
        assert sources.begun > CLIENTS // 2
        assert {"client_gone", "completed", "failed"} <= set(sources.outcomes)
        assert set(sources.outcomes) <= {"client_gone", "completed", "failed", "stalled"}
    until(lambda: threading.active_count() <= threads)
    until(lambda: open_files() <= files)
    gc.collect()
    assert sum(type(each) is Stream for each in gc.get_objects()) <= streams
