"""A client that costs little, and a handle on the server process that it loads.

It opens streams on plain sockets, keeps what comes with the time at which it came, and looks at it
only when all is over: so it is never the bottleneck. What a stream received is then checked: the
number of events, their data, the last of them, and that every frame is whole.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SECONDS = 120  # after which a round that hangs fails
END = b"\r\n0\r\n\r\n"  # of a chunked body that is complete


class WrongBytes(Exception):
    """A server sent something else than it should."""


class Server:
    """A server process with one peer's app, on a core of its own."""

    def __init__(self, peer: str, *, core: int | None, loop: str, http: str, heartbeat: float):
        here, its = socket.socketpair()
        here.settimeout(SECONDS)
        with its, socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
            self.address: tuple[str, int] = listening.getsockname()
            fds = [listening.fileno(), its.fileno()]
            command = [
                sys.executable, str(Path(__file__).with_name("feeder.py")), peer,
                "--listening", str(fds[0]), "--control", str(fds[1]),
                "--loop", loop, "--http", http, "--heartbeat", str(heartbeat),
            ]  # fmt: skip
            command += [] if core is None else ["--core", str(core)]
            self._process = subprocess.Popen(command, pass_fds=fds)
        self._peer = peer
        self._control = here
        self._answers = here.makefile("r")

    def wait_until_ready(self) -> None:
        if self._answers.readline() != '"ready"\n':
            raise RuntimeError(f"the server of {self._peer} did not start")

    def ask(self, what: str, **arguments: Any) -> Any:
        """Have a method of feeder.Process called, and give its answer."""
        self._control.sendall(json.dumps([what, arguments]).encode() + b"\n")
        return json.loads(self._answers.readline())

    def close(self) -> None:
        self._answers.close()
        self._control.close()
        self._process.kill()
        self._process.wait()


class Streams:
    """Open streams of one server."""

    def __init__(self, server: Server, path: str, count: int) -> None:
        self._server = server
        self._poll = select.epoll()
        self._readers: dict[int, tuple[Any, Any]] = {}  # by file: how to read, where to keep
        self.received: list[list[tuple[int, bytes]]] = []  # times in ns, and what came
        self._sockets: list[socket.socket] = []
        self.add(path, count)

    def add(self, path: str, count: int) -> None:
        """Open more streams, and wait until their producers wait."""
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        wanted = self._server.ask("state")["waiting"] + count
        for _ in range(count):
            opened = socket.create_connection(self._server.address)
            opened.sendall(request)
            opened.setblocking(False)
            received: list[tuple[int, bytes]] = []
            self._sockets.append(opened)
            self.received.append(received)
            self._readers[opened.fileno()] = opened.recv, received.append
            self._poll.register(opened, select.EPOLLIN)
            if len(self._sockets) % 64 == 0:  # the server is not to be flooded
                self.read(0)
        deadline = time.monotonic() + SECONDS
        while self._server.ask("state")["waiting"] < wanted or not all(self.received):
            self.read(0.01)
            if time.monotonic() > deadline:
                raise TimeoutError(f"not every stream of {path} began")

    def read(self, seconds: float) -> int:
        """Read what comes within some seconds, at most once from each; count what has ended."""
        ended = 0
        now = time.monotonic_ns
        for file, _ in self._poll.poll(seconds):
            receive, keep = self._readers[file]
            piece = receive(65536)
            keep((now(), piece))
            if piece.endswith(END) or piece == END[2:] or not piece:
                self._poll.unregister(file)
                ended += 1
        return ended

    def read_to_end(self, *, busy: bool) -> None:
        """Read until all have ended; busily, where waking up would add to a latency."""
        left = len(self._sockets)
        deadline = time.monotonic() + SECONDS
        while left:
            left -= self.read(0 if busy else 1)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{left} streams did not end")

    def read_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)

    def bodies(self) -> Iterator[bytes]:
        for received in self.received:
            yield body(b"".join(piece for _, piece in received))

    def end(self) -> None:
        """Have the streams end, read them to their ends, and forget them."""
        self._server.ask("begin")
        self.read_to_end(busy=False)
        self.close()
        self._server.ask("end")

    def close(self) -> None:
        self._poll.close()
        for each in self._sockets:
            each.close()


def body(response: bytes) -> bytes:
    """Take a response out of its chunks; WrongBytes for what is none, or not complete."""
    head, _, rest = response.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise WrongBytes(f"no stream: {response[:200]!r}")
    pieces = []
    at = 0
    while True:
        line_end = rest.find(b"\r\n", at)
        if line_end < 0:
            raise WrongBytes(f"cut short: {rest[-200:]!r}")
        size = int(rest[at:line_end], 16)
        at = line_end + 2 + size + 2
        if not size:
            return b"".join(pieces)
        pieces.append(rest[line_end + 2 : at - 2])


def data_of(frame: bytes) -> bytes | None:
    """Give the data of a frame; None for one without any, which is no event."""
    data = None
    for line in frame.split(b"\n"):
        name, _, value = line.partition(b":")
        if name not in (b"", b"event", b"data", b"id", b"retry"):
            raise WrongBytes(f"no field: {line[:200]!r}")
        if name == b"data":
            data = value.removeprefix(b" ")
    return data


def events(received: bytes) -> list[bytes]:
    """Give the data of every event; WrongBytes where the last frame is not whole."""
    *frames, rest = received.replace(b"\r\n", b"\n").split(b"\n\n")
    if rest:
        raise WrongBytes(f"the last frame is cut: {rest[:200]!r}")
    known: dict[bytes, bytes | None] = {}  # most are alike
    for frame in frames:
        if frame not in known:
            known[frame] = data_of(frame)
    return [data for frame in frames if (data := known[frame]) is not None]

