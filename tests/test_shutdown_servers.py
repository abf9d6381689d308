"""Real servers that get real signals: each client sees a whole end of its body, in time."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from frames import said
from real_servers import SECONDS, Client, listen, until

import gaistream

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
WAITRESS = """
import socket, sys
import waitress

if __name__ == "__main__":
    listening = socket.socket(fileno=int(sys.argv[1]))
    import served
    waitress.serve(served.app, sockets=[listening], threads=8)
"""

GUNICORN = ["gunicorn", "served:app", "--bind", "fd://{fd}", "--worker-class"]
WSGI_SERVERS = {  # with how many streams that are idle, and how many that are not
    "gunicorn sync": ([*GUNICORN, "sync"], 1, 0),
    "gunicorn gthread": ([*GUNICORN, "gthread", "--threads", "8"], 4, 4),
    "gunicorn gevent": ([*GUNICORN, "gevent"], 10, 10),
    "waitress": (["serve_waitress", "{fd}"], 4, 4),
}


class Process:
    """A server in a process of its own, and of its own group."""

    def __init__(self, process: subprocess.Popen[bytes], address: tuple[str, int]) -> None:
        self.process = process
        self.address = address

    def clients(self, count: int, path: str = "/") -> list[Client]:
        """Open streams, each of which has said the first thing that it has to say."""
        clients = [Client(self.address).ask(path) for _ in range(count)]
        for client in clients:
            assert client.head()[0] == 200
            client.until(said("hello"))
        return clients

    def has_ended(self) -> bool:
        """Wait for its end, as a server is to end at a signal."""
        return self.process.wait(SECONDS) in (0, -signal.SIGTERM)


@contextlib.contextmanager
def served(home: Path, app: str, command: list[str]) -> Iterator[Process]:
    """Run a server on a socket of ours, or on a free port where it opens its own."""
    (home / "served.py").write_text(app)
    (home / "serve_waitress.py").write_text(WAITRESS)
    own = any("{port}" in each for each in command)
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(socket.socket() if own else listen())
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if own:  # it is kept, so that nobody else gets the port, but does not listen
            kept.bind(("127.0.0.1", 0))
        kept.settimeout(None)
        address = kept.getsockname()
        values = {"fd": kept.fileno(), "port": address[1]}
        path = os.pathsep.join([str(home), str(Path(gaistream.__file__).parent.parent)])
        with (home / "server.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *(each.format(**values) for each in command)],
                pass_fds=[kept.fileno()],
                cwd=home,
                env={**os.environ, "PYTHONPATH": path, "HOME": str(home)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            if own:
                until(lambda: _listens(address))
            else:
                kept.close()
            yield Process(process, address)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # also what a killed master leaves
            process.wait()


def _listens(address: Any) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex(address) == 0


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
