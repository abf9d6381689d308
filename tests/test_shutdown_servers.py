"""Real servers that get real signals: each client sees a whole end of its body, in time."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from real_servers import SECONDS
from server_process import served

ASGI_APP = """
import anyio
from gaistream import SSEOptions
from gaistream.asgi import DrainMiddleware, SSEResponse

silent = SSEOptions(heartbeat_interval=None)  # a client that is not told of the end gives up

async def source():
    yield "hello"
    await anyio.sleep_forever()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            phase = (await receive())["type"]
            await send({"type": phase + ".complete"})
            if phase == "lifespan.shutdown":
                return
    await SSEResponse(source(), silent)(scope, receive, send)

app = DrainMiddleware(app, 0.4, retry_ms=2000)
"""

HYPERCORN = ["hypercorn", "served:app", "--workers", "0", "--bind", "fd://{fd}"]
GRANIAN = ["granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}"]

ASGI_SERVERS = {
    "uvicorn": ["uvicorn", "served:app", "--fd", "{fd}"],
    "hypercorn asyncio": HYPERCORN,
    "hypercorn trio": [*HYPERCORN, "--worker-class", "trio"],
    "gunicorn asgi": ["gunicorn", "served:app", "--worker-class", "asgi", "--bind", "fd://{fd}"],
    "granian": [*GRANIAN, "served:app"],
    "granian, two processes": [*GRANIAN, "--workers", "2", "--runtime-mode", "mt", "served:app"],
}
KEYBOARD = {
    "uvicorn, two processes": ["uvicorn", "served:app", "--fd", "{fd}", "--workers", "2"],
    "granian, two processes": ASGI_SERVERS["granian, two processes"],
}


WSGI_APP = """
import asyncio, itertools, time
from gaistream import SSEOptions
from gaistream.wsgi import SSEResponse, drain_on_signals

drain_on_signals(0.4, retry_ms=2000)
silent = SSEOptions(heartbeat_interval=None)

async def idle():
    yield "hello"
    await asyncio.Event().wait()

def talking():
    for number in itertools.count():
        yield "hello" if not number else "more"
        time.sleep(0.02)

def app(environ, start_response):
    source = idle() if environ["PATH_INFO"] == "/idle" else talking()
    return SSEResponse(source, silent)(environ, start_response)
"""
GUNICORN = ["gunicorn", "served:app", "--bind", "fd://{fd}", "--worker-class"]
WSGI_SERVERS = {  # with how many streams that are idle, and how many that are not
    "gunicorn sync": ([*GUNICORN, "sync"], 1, 0),
    "gunicorn gthread": ([*GUNICORN, "gthread", "--threads", "8"], 4, 4),
    "gunicorn gevent": ([*GUNICORN, "gevent"], 10, 10),
    "waitress": (["serve_waitress", "{fd}"], 4, 4),
}


@pytest.mark.parametrize("name", ASGI_SERVERS)
def test_a_hundred_idle_streams_end_cleanly_at_a_signal(tmp_path: Path, name: str) -> None:
    with served(tmp_path, ASGI_APP, ASGI_SERVERS[name]) as server:
        clients = server.clients(100)
        server.process.send_signal(signal.SIGTERM)
        for client in clients:
            assert client.rest().endswith(b"retry: 2000\n")  # it fails on a body that is cut
            client.close()
        assert server.has_ended()


@pytest.mark.parametrize("name", KEYBOARD)
def test_at_the_keyboard_where_every_process_gets_the_signal_streams_end_cleanly_too(
    tmp_path: Path, name: str
) -> None:
    with served(tmp_path, ASGI_APP, KEYBOARD[name]) as server:
        clients = server.clients(10)
        os.killpg(server.process.pid, signal.SIGINT)
        for client in clients:
            assert client.rest().endswith(b"retry: 2000\n")
            client.close()
        server.process.wait(SECONDS)


@pytest.mark.parametrize("name", WSGI_SERVERS)
def test_streams_of_wsgi_end_cleanly_at_a_signal(tmp_path: Path, name: str) -> None:
    command, idle, talking = WSGI_SERVERS[name]
    with served(tmp_path, WSGI_APP, command) as server:
        clients = server.clients(idle, "/idle") + server.clients(talking, "/talking")
        server.process.send_signal(signal.SIGTERM)
        for client in clients:
            assert client.rest().endswith(b"retry: 2000\n")
            client.close()
        assert server.has_ended()
