"""Memory and threads that streams hold: `python benchmarks/memory.py [CASE …]`.

- `ahead`: the growth of a server's resident memory while a sync source with items of 1 MB is
  served to a client that reads nothing; for each face, and for peers.
- `threads`: the threads of a server after clients that come and go, one after the other, on a
  source that blocks; and after those sources were released.
- `garbage`: bytes and objects that a finished stream leaves to the cycle collector, counted in this
  process with the collector off.

Or `make memory`. The exit status is 1 if a bound is exceeded.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import gc
import shlex
import socket
import struct
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import processes
from starlette.responses import StreamingResponse

import gaistream
from gaistream import asgi, wsgi
from gaistream.frameworks import starlette as face

MEGABYTE = 2**20
ITEMS = 1500  # of 1 MB, at most
MOST_AHEAD = 32.0  # MB; some items are in the hands of the source, the encoder and the server
MOST_ABANDONED = 64  # threads whose client has gone
SERVER = "uvicorn uvloop"


# ---- the app ----


def large() -> Iterator[str]:
    for number in range(ITEMS):
        yield f"{number}".ljust(MEGABYTE, "x")


RELEASED = threading.Event()


def blocks() -> Iterator[str]:
    yield "first"
    RELEASED.wait(120)


def _sse_starlette(source: Any) -> Any:
    from sse_starlette import EventSourceResponse

    return EventSourceResponse({"data": item} for item in source)


RESPONSES: dict[str, Callable[[Any], Any]] = {
    "asgi SSE": asgi.SSEResponse,
    "asgi NDJSON": asgi.NDJSONResponse,
    "starlette": face.SSEResponse,
    "EventSourceResponse": lambda source: face.EventSourceResponse(
        {"data": item} for item in source
    ),
    "sse()": lambda source: StreamingResponse(gaistream.sse(source)),
    "wsgi, helper thread": lambda source: wsgi.SSEResponse(source, helper_thread=True),
    "Starlette itself": StreamingResponse,
    "sse-starlette": _sse_starlette,
}
PEERS = ("Starlette itself", "sse-starlette")


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        await asgi.SSEResponse([])(scope, receive, send)
        return
    path = scope["path"].strip("/")
    if path == "release":
        RELEASED.set()
    response = RESPONSES[path](large()) if path in RESPONSES else asgi.SSEResponse(blocks())
    await response(scope, receive, send)


def wsgi_app(environ: Any, start_response: Any) -> Any:
    return RESPONSES[environ["PATH_INFO"].strip("/")](large())(environ, start_response)


# ---- a server's process ----


def status(session: int, name: str) -> int:
    """Return the sum of a field of /proc/PID/status over all processes of a session."""
    found = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                text = (folder / "status").read_text()
                found += int(text.partition(f"\n{name}:")[2].split(None, 1)[0])
    return found


@contextlib.contextmanager
def served(server: str, name: str) -> Iterator[processes.Process]:
    """Start a server with an app of this file that has served once."""
    with (
        tempfile.TemporaryDirectory() as home,
        processes.started(server, f"memory:{name}", Path(home)) as process,
    ):
        path = "wsgi, helper thread" if name == "wsgi_app" else "asgi SSE"
        ask(process.address, path, "HEAD").close()
        yield process


def ask(address: tuple[str, int], path: str, method: str = "GET") -> socket.socket:
    """Send a request from a client that takes little at a time; return once the answer begins."""
    client = socket.socket()
    client.settimeout(processes.STARTING)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(address)
    target = path.replace(" ", "%20")
    client.sendall(f"{method} /{target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    client.recv(16, socket.MSG_PEEK)
    return client


# ---- the cases ----


def ahead(settings: Any) -> list[str]:
    """Measure how much of a large source is read ahead; return the faces beyond the bound."""
    print("\nA sync source with items of 1 MB and a client that reads nothing: MB more than before")
    wrong = []
    for name in ("asgi SSE",) if settings.quick else RESPONSES:
        interface = ("gunicorn gthread", "wsgi_app") if "wsgi" in name else (SERVER, "app")
        with served(*interface) as process:
            before = most = status(process.process.pid, "VmRSS")
            with ask(process.address, name):
                grown = time.monotonic()
                while time.monotonic() - grown < (0.5 if settings.quick else 2):
                    now = status(process.process.pid, "VmRSS")
                    if now > most + 1024:
                        most, grown = now, time.monotonic()
                    time.sleep(0.02)
        growth = (most - before) / 1024
        print(f"{name:20} {growth:7.0f}", flush=True)
        if growth > MOST_AHEAD and name not in PEERS:
            wrong.append(f"{name}: {growth:.0f} MB ahead")
    return wrong


def threads(settings: Any) -> list[str]:
    """Measure the threads of clients that come and go on a source that blocks."""
    count = 20 if settings.quick else 1000
    answers: collections.Counter[str] = collections.Counter()
    with served(SERVER, "app") as process:
        session = process.process.pid

        def now() -> tuple[int, float]:
            return status(process.process.pid, "Threads"), status(
                process.process.pid, "VmRSS"
            ) / 1024

        before = now()
        for _ in range(count):
            with ask(process.address, "blocks") as client:
                answers[client.recv(12)[9:].decode()] += 1
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(0 if settings.quick else 1)
        gone = now()
        ask(process.address, "release").close()
        processes.wait_until(lambda: status(session, "Threads") <= before[0], 10)
        after = now()
    print(f"\n{count} clients that come and go on a source that blocks: threads, MB resident")
    print(f"{'before':20} {before[0]:7} {before[1]:7.0f}")
    print(f"{'clients gone':20} {gone[0]:7} {gone[1]:7.0f}")
    print(f"{'sources released':20} {after[0]:7} {after[1]:7.0f}")
    print(f"answers: {dict(answers)}")
    bounds = {"clients gone": (gone, MOST_ABANDONED), "sources released": (after, 0)}
    more = {name: now[0] - before[0] - most for name, (now, most) in bounds.items()}
    return [f"{name}: {count} threads too many" for name, count in more.items() if count > 0]


async def _tokens() -> AsyncIterator[str]:
    for _ in range(20):
        yield "token "
        await asyncio.sleep(0)


async def _exchange(response: Any, *, goes: bool) -> None:
    """Serve a response, to a client that stays or goes at once when it has begun."""
    begun = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await (begun if goes else asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        begun.set()

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    await response(scope, receive, send)


def _on_wsgi(source: Any, *, goes: bool = False, **more: Any) -> None:
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}
    body: Any = wsgi.SSEResponse(source, **more)(environ, lambda *_: None)
    for _ in body:
        if goes:
            break
    body.close()


FINISHED: dict[str, Callable[[], Coroutine[Any, Any, None] | None]] = {
    "asgi SSE": lambda: _exchange(asgi.SSEResponse(_tokens()), goes=False),
    "asgi SSE, client goes": lambda: _exchange(asgi.SSEResponse(_tokens()), goes=True),
    "asgi SSE, sync": lambda: _exchange(asgi.SSEResponse(iter("tokens")), goes=False),
    "asgi NDJSON": lambda: _exchange(asgi.NDJSONResponse(_tokens()), goes=False),
    "starlette": lambda: _exchange(face.SSEResponse(_tokens()), goes=False),
    "EventSourceResponse": lambda: _exchange(face.EventSourceResponse(_tokens()), goes=False),
    "wsgi": lambda: _on_wsgi(iter("tokens")),
    "wsgi, client goes": lambda: _on_wsgi(iter("tokens"), goes=True),
    "wsgi, async": lambda: _on_wsgi(_tokens()),
    "wsgi, async, client goes": lambda: _on_wsgi(_tokens(), goes=True),
    "wsgi, helper thread": lambda: _on_wsgi(iter("tokens"), helper_thread=True),
}


def _left_by(finish: Callable[[], Coroutine[Any, Any, None] | None], count: int) -> list[float]:
    """Return the bytes and the unreachable objects that a stream leaves."""
    loop = asyncio.new_event_loop()

    def serve(number: int) -> None:
        for _ in range(number):
            if (exchange := finish()) is not None:
                loop.run_until_complete(exchange)
        loop.run_until_complete(asyncio.sleep(0.05))  # helper threads end by themselves

    serve(20)
    gc.collect()
    gc.disable()
    try:
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        serve(count)
        left = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        return [left / count, gc.collect() / count]
    finally:
        gc.enable()
        loop.close()


def garbage(settings: Any) -> list[str]:
    """Measure the garbage of finished streams; return the faces that leave cycles."""
    count = 20 if settings.quick else 300
    print(
        f"\nLeft by a finished stream, of {count}, without the collector: bytes, objects in cycles"
    )
    wrong = []
    for name, finish in FINISHED.items():
        size, objects = _left_by(finish, count)
        print(f"{name:24} {size:7.0f} {objects:7.1f}", flush=True)
        if objects >= 1:
            wrong.append(f"{name}: {objects:.0f} objects in cycles")
    return wrong


CASES = {"ahead": ahead, "threads": threads, "garbage": garbage}


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    parser = argparse.ArgumentParser(description="Memory and threads that streams hold.")
    parser.add_argument("case", nargs="*", help=", ".join(CASES) + "; all by default")
    parser.add_argument("--quick", action="store_true", help="a smoke run: few of each")
    settings = parser.parse_args(arguments)
    if unknown := set(settings.case) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    print(f"$ {shlex.join(['python', *sys.argv])}")
    print(f"gaistream {gaistream.__version__}, {gaistream.backend}; servers: {SERVER}", flush=True)
    wrong = [each for name in settings.case or CASES for each in CASES[name](settings)]
    print(f"\nBeyond the bounds: {'; '.join(wrong)}" if wrong else "\nAll within the bounds.")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
