"""Real servers that get real signals: each client gets a whole body, in time."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from frames import PRELUDE, said
from real_servers import until
from server_process import served

BARE_APP = """
import anyio
from gaistream import SSEOptions
from gaistream.asgi import DrainMiddleware, SSEResponse

silent = SSEOptions(heartbeat_interval=None)  # a client that gets no end of its body fails

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
"""
DRAINED_APP = BARE_APP + """
app = DrainMiddleware(app, 0.4, retry_ms=2000)
"""

UVICORN = ["uvicorn", "served:app", "--fd", "{fd}"]
HYPERCORN = ["hypercorn", "served:app", "--workers", "0", "--bind", "fd://{fd}"]
GRANIAN = ["granian", "--host", "127.0.0.1", "--port", "{port}", "served:app", "--interface"]
GRANIAN_2 = [*GRANIAN, "asgi", "--workers", "2", "--runtime-mode", "mt"]

ONE_PROCESS = {
    "uvicorn h11": [*UVICORN, "--http", "h11", "--loop", "asyncio"],
    "uvicorn httptools": [*UVICORN, "--http", "httptools", "--loop", "asyncio"],
    "uvicorn uvloop": [*UVICORN, "--loop", "uvloop"],
    "hypercorn asyncio": HYPERCORN,
    "hypercorn trio": [*HYPERCORN, "--worker-class", "trio"],
}
SEVERAL_PROCESSES = {
    "uvicorn --reload": [*UVICORN, "--reload"],
    "uvicorn --workers 2": [*UVICORN, "--workers", "2"],
    "gunicorn asgi": ["gunicorn", "served:app", "--worker-class", "asgi", "--bind", "fd://{fd}"],
    "granian": [*GRANIAN, "asginl"],
    "granian, two processes": GRANIAN_2,
}


@dataclass(frozen=True)
class Case:
    """An ASGI server that gets a signal, and the end of each of its streams."""

    command: list[str]
    number: int
    to_all: bool = False  # to all its processes, as a terminal does
    app: str = BARE_APP
    streams: int = 20
    end: bytes = b""

    def run(self, home: Path) -> None:
        with served(home, self.app, self.command) as server:
            if self.command is GRANIAN_2:  # it does not end if a worker gets its signal too early
                log = home / "server.log"
                until(lambda: log.read_bytes().count(b"Started worker") == 2)
            clients = server.clients(self.streams)
            send = os.killpg if self.to_all else os.kill
            send(server.process.pid, self.number)
            for client in clients:  # `rest` fails on a body that was cut
                assert client.rest() == PRELUDE + said("hello") + self.end
                client.close()
            assert server.has_ended() or self.number == signal.SIGINT


def _drained(command: list[str]) -> Case:
    return Case(command, signal.SIGTERM, False, DRAINED_APP, 100, b"retry: 2000\n")


CASES = {
    **{
        f"{name}, SIGTERM": Case(command, signal.SIGTERM)
        for name, command in (ONE_PROCESS | SEVERAL_PROCESSES).items()
    },
    **{f"{name}, SIGINT": Case(command, signal.SIGINT) for name, command in ONE_PROCESS.items()},
    **{
        f"{name}, keyboard": Case(command, signal.SIGINT, to_all=True)
        for name, command in SEVERAL_PROCESSES.items()
        if command is not GRANIAN_2
    },
    **{
        f"{name}, middleware": _drained(command)
        for name, command in {**ONE_PROCESS, "granian": GRANIAN_2}.items()
        if name not in ("uvicorn httptools", "uvicorn uvloop")
    },
    "uvicorn --workers 2, middleware, keyboard": replace(
        _drained(SEVERAL_PROCESSES["uvicorn --workers 2"]),
        number=signal.SIGINT, to_all=True, streams=10,
    ),
}  # fmt: skip


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

@dataclass(frozen=True)
class WSGICase:
    """A WSGI server that gets SIGTERM, and its number of streams of each kind."""

    command: list[str]
    idle: int
    talking: int

    def run(self, home: Path) -> None:
        with served(home, WSGI_APP, self.command) as server:
            clients = server.clients(self.idle, "/idle")
            clients += server.clients(self.talking, "/talking")
            server.process.send_signal(signal.SIGTERM)
            for client in clients:
                assert client.rest().endswith(b"retry: 2000\n")
                client.close()
            assert server.has_ended()


WSGI_CASES = {
    "gunicorn sync": WSGICase([*GUNICORN, "sync"], 1, 0),
    "gunicorn gthread": WSGICase([*GUNICORN, "gthread", "--threads", "8"], 4, 4),
    "gunicorn gevent": WSGICase([*GUNICORN, "gevent"], 10, 10),
    "waitress": WSGICase(["serve_waitress", "{fd}"], 4, 4),
}




ALL: dict[str, Case | WSGICase] = {**CASES, **WSGI_CASES}


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[None]]]:
    """Run the selected cases side by side: most of the time they wait."""
    wanted = [
        item.callspec.params["name"]
        for item in request.session.items
        if getattr(item, "originalname", "") == "test_streams_end_cleanly_at_a_signal"
    ]
    with ThreadPoolExecutor(6) as pool:
        yield {
            name: pool.submit(ALL[name].run, tmp_path_factory.mktemp("server"))
            for name in wanted
        }


@pytest.mark.parametrize("name", ALL)
def test_streams_end_cleanly_at_a_signal(name: str, running: dict[str, Future[None]]) -> None:
    running[name].result()
