"""Servers in threads of this process, the side channel, and a client that sees all bytes.

Every server is started on a socket that already listens, so nobody waits for it to come up.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import uvicorn

SECONDS = 20  # after which a test that hangs fails

with contextlib.suppress(ImportError):
    import uvloop

    uvloop.new_event_loop().close()  # its first loop opens files that stay for ever


def listen() -> socket.socket:
    """Open a socket that listens on a free port."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    listening.settimeout(SECONDS)
    return listening


def until(condition: Callable[[], bool]) -> None:
    """Wait for what no event tells of: sockets and threads of the system that are to be gone."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)


def open_files() -> int:
    """Count this process's open files."""
    return len(list(Path("/proc/self/fd").iterdir()))


# ---- the side channel ----


class Steered:
    """The test's end of one stream's side channel."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(SECONDS)
        self._socket = connection
        self._lines = connection.makefile("r")
        self.path = self.hear()

    def hear(self) -> str:
        return self._lines.readline().rstrip("\n")

    def say(self, letter: str) -> float:
        """Answer the next `waits`, and give when."""
        assert self.hear() == "waits"
        now = time.perf_counter()
        self._socket.sendall(letter.encode())
        return now

    def outcome(self, *, goes_on: bool = False) -> tuple[str, int]:
        """Hear how the stream ended, and that its source was closed, once.

        A source that is not cancelled where it waits has to be let go on.
        """
        last = []
        while line := self.hear():
            if line != "waits":
                last.append(line)
            elif goes_on:
                with contextlib.suppress(OSError):
                    self._socket.sendall(b"g")
        self.close()
        last.remove("closed")
        [outcome] = last
        kind, events = outcome.split()
        return kind, int(events)

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


class Controls:
    """Where the streams of an app connect to."""

    def __init__(self) -> None:
        self._listening = listen()
        self.port = self._listening.getsockname()[1]

    def accept(self) -> Steered:
        return Steered(self._listening.accept()[0])

    def close(self) -> None:
        self._listening.close()


# ---- a client ----


class Client:
    """An HTTP/1.1 client that shows everything as it came, and can vanish."""

    def __init__(self, address: tuple[str, int], receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(SECONDS)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(address)
        self._file = self.socket.makefile("rb")
        self._chunked = False
        self.body = b""

    def ask(self, target: str, method: str = "GET", body: bytes = b"") -> Client:
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost"]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return self

    def head(self) -> tuple[int, list[tuple[str, str]]]:
        """Read the status and the headers, names in lower case."""
        status = int(self._file.readline().split()[1])
        headers = []
        while line := self._file.readline().rstrip(b"\r\n"):
            name, _, value = line.decode("latin-1").partition(":")
            headers.append((name.lower(), value.strip()))
        self._chunked = dict(headers).get("transfer-encoding") == "chunked"
        self.body = b""
        return status, headers

    def chunk(self) -> bytes:
        """Read the next piece of the body, b"" at its proper end."""
        if not self._chunked:
            piece = self._file.read1()
        else:
            piece = self._file.read(int(self._file.readline(), 16))
            assert self._file.readline() == b"\r\n"
        self.body += piece
        return piece

    def until(self, said: bytes) -> None:
        while said not in self.body:
            assert self.chunk(), f"{self.body!r} ended before {said!r}"

    def rest(self) -> bytes:
        """Read to the proper end, and give the whole body."""
        while self.chunk():
            pass
        return self.body

    @property
    def is_closed(self) -> bool:
        return not self._file.read(1)

    def vanish(self) -> None:
        """Reset the connection, as a machine does that lost its network or its process."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self._file.close()
        self.socket.close()


# ---- servers ----


class Server:
    """A running server: `interface` is "asgi" or "wsgi", `kind` its line in server_table."""

    def __init__(self, name: str, interface: str, listening: socket.socket) -> None:
        self.name = name
        self.interface = interface
        self.kind: Any = None
        self.address: tuple[str, int] = listening.getsockname()
        self.url = f"http://127.0.0.1:{self.address[1]}"
        self.tasks: Callable[[], int] = lambda: 0
        self.soon: Callable[[Callable[[], None]], Any] = lambda call: call()
        self.loop: Any = None  # where it is a loop's, and in this process


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self.loop: Any = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.loop = asyncio.get_running_loop()
        self.ready.set()

    def tasks(self) -> int:
        """Count the tasks of its loop, but for its own and this one."""

        async def count() -> int:
            return len(asyncio.all_tasks()) - 2

        return asyncio.run_coroutine_threadsafe(count(), self.loop).result(SECONDS)


@contextlib.contextmanager
def serve_uvicorn(
    app: Any, http: str, loop: str, *, send_buffer: int | None = None, **more: Any
) -> Iterator[Server]:
    """Serve an ASGI app in a thread, with "h11" or "httptools", on "asyncio" or "uvloop"."""
    settings = {"lifespan": "off", "log_config": None, "access_log": False, **more}
    config = uvicorn.Config(app, http=http, loop=loop, **settings)
    running = _Uvicorn(config)
    with listen() as listening:
        if send_buffer is not None:  # connections inherit it
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        server = Server(f"uvicorn {http} {loop}", "asgi", listening)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            assert running.ready.wait(SECONDS)
            server.tasks = running.tasks
            server.loop = running.loop
            yield server
        finally:
            running.should_exit = True
            thread.join(SECONDS)
            assert not thread.is_alive()


@contextlib.contextmanager
def serve_wsgiref(app: Any) -> Iterator[Server]:
    """Serve a WSGI app in a thread, one request at a time."""

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with WSGIServer(("127.0.0.1", 0), Quiet) as running:
        running.set_app(app)
        interval = {"poll_interval": 0.01}
        thread = threading.Thread(target=running.serve_forever, kwargs=interval, daemon=True)
        thread.start()
        try:
            yield Server("wsgiref", "wsgi", running.socket)
        finally:
            running.shutdown()
            thread.join(SECONDS)
            assert not thread.is_alive()
