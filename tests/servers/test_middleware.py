"""Clients and sources of every kind through middleware, over uvicorn in a process of its own.

The server counts what it holds. When the clients have gone it holds what it held before them: no
task, thread, timer, file, source or stream more, and not one object for each client.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from real_servers import SECONDS, Client, listen, until

pytest.importorskip("starlette", reason="Starlette is not installed")

SUPPORT = Path(__file__).parents[1] / "support"
DONE = {
    "sse": b'event: done\ndata: {"finished":true}\n\n',
    "ndjson": b'{"type":"done","finished":true}\n',
}
ENDLESS = ["waits", "never_awaits", "raises_in_cleanup", "ignores_cancellation", "blocks"]
SEEN = {"objects", "outcomes", "leaked"}  # counts that go on growing


class Counting:
    """The server's process."""

    def __init__(self, process: subprocess.Popen[str], address: tuple[str, int]) -> None:
        self._process = process
        self.address = address

    def counts(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("count\n")
        self._process.stdin.flush()
        counts: dict[str, Any] = json.loads(self._process.stdout.readline())
        return counts

    def held(self) -> dict[str, int]:
        """Give the counts of what has to be as it was."""
        counts = self.counts()
        return {name: each for name, each in counts.items() if name not in SEEN}


@contextlib.contextmanager
def serve(stack: str, http: str = "auto") -> Iterator[Counting]:
    with listen() as listening:
        listening.setblocking(True)
        process = subprocess.Popen(
            [sys.executable, str(SUPPORT / "counted_app.py"), str(listening.fileno()), stack, http],
            pass_fds=[listening.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield Counting(process, listening.getsockname())
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(SECONDS) == 0
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def ask(server: Counting, target: str, receive_buffer: int | None = None) -> Client:
    client = Client(server.address, receive_buffer)
    lines = f"GET {target} HTTP/1.1", "Host: localhost", "Accept-Encoding: gzip", "", ""
    client.socket.sendall("\r\n".join(lines).encode())
    return client


# ---- what clients do ----


def resets(client: Client) -> None:
    client.head()
    client.chunk()
    client.vanish()


def resets_at_once(client: Client) -> None:
    client.vanish()


def half_closes(client: Client) -> None:
    client.head()
    client.socket.shutdown(1)
    with contextlib.suppress(OSError):
        while client.socket.recv(65536):
            pass
    client.close()


def reads_single_bytes(client: Client) -> None:
    for _ in range(400):
        assert client.socket.recv(1)
    client.vanish()


def babbles(client: Client) -> None:
    client.head()
    client.socket.sendall(b"\x00\xff no HTTP at all \r\n\r\n")
    client.vanish()


DOINGS: list[Callable[[Client], None]] = [
    resets, resets_at_once, half_closes, reads_single_bytes, babbles,
]  # fmt: skip


def all_clients(server: Counting) -> int:
    """Have every kind of client on every endless source, all at once; give how many they were."""
    clients = [
        (does, ask(server, f"/{format_}/{source}"))
        for format_ in ("sse", "ndjson")
        for source in ENDLESS
        for does in DOINGS
        if does is not reads_single_bytes or (format_, source) == ("sse", "waits")
    ]
    for does, client in clients:
        does(client)
    return len(clients)


@pytest.mark.parametrize(
    ("stack", "http"), [("bare", "h11"), ("base", "auto"), ("gzip", "auto"), ("all", "auto")]
)
def test_clients_of_every_kind_leave_nothing_through_middleware(stack: str, http: str) -> None:
    with serve(stack, http) as server:
        idle = server.held()
        assert idle["sources"] == idle["open"] == idle["timers"] == idle["streams"] == 0
        for format_, done in DONE.items():
            client = ask(server, f"/{format_}/finite")
            compressed = dict(client.head()[1]).get("content-encoding") == "gzip"
            body = client.rest()
            client.close()
            assert (zlib.decompress(body, 31) if compressed else body).endswith(done)
        all_clients(server)  # what is made once is made now
        until(lambda: server.held() == idle)
        growth = []
        for _ in range(8):  # the server's own caches and timers come and go; a leak grows each time
            before = server.counts()
            count = all_clients(server)
            until(lambda: server.held() == idle)
            after = server.counts()
            growth.append(after["objects"] - before["objects"])
            if growth[-1] < count:
                break
        assert min(growth) < count
        assert after["outcomes"]["completed"] == len(DONE)
        assert after["outcomes"]["client_gone"] > count
        assert set(after["outcomes"]) <= {"client_gone", "completed", "stalled", "cancelled"}
        assert after["leaked"] == []


@pytest.mark.parametrize("stack", ["bare", "base", "gzip", "all"])
def test_a_client_that_stops_reading_ends_as_stalled_through_middleware(stack: str) -> None:
    with serve(stack) as server:
        clients = [ask(server, "/sse/never_awaits", 4096) for _ in range(5)]
        until(lambda: server.counts()["outcomes"].get("stalled") == 5)
        counts = server.counts()
        assert counts["sources"] == counts["open"] == counts["timers"] == 0
        for client in clients:  # their sockets are the server's until they go
            client.vanish()
        until(lambda: server.counts()["streams"] == 0)
        assert server.counts()["leaked"] == []
