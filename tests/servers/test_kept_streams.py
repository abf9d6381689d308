"""Kept streams on two server processes with one log: one of them is killed in the middle."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import gaistream

pytest.importorskip("uvicorn", reason="uvicorn is not installed")
pytest.importorskip("waitress", reason="waitress is not installed")

from kept_app import LEASE, WORDS
from real_servers import SECONDS, listen
from required import need_package

APP = Path(__file__).parents[1] / "support" / "kept_app.py"
TEXT = "".join(WORDS)


class Worker:
    """One server process on a socket that outlives it."""

    def __init__(self, interface: str, file: Path | str) -> None:
        self._command = [sys.executable, str(APP), interface]
        self._file = str(file)
        self._listening = listen()
        host, port = self._listening.getsockname()
        self.url = f"http://{host}:{port}"
        self.start()

    def start(self) -> None:
        fd = self._listening.fileno()
        command = [*self._command, str(fd), self._file]
        self._process = subprocess.Popen(command, pass_fds=[fd], env={**os.environ})

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(SECONDS)

    def close(self) -> None:
        self.kill()
        self._listening.close()


@pytest.fixture(params=["file", "redis"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    if request.param == "file":
        yield tmp_path / "log"
    else:
        need_package("redis")
        from redis_servers import server

        with server() as one:
            yield one.url


@pytest.fixture(params=["asgi", "wsgi"])
def workers(request: pytest.FixtureRequest, file: Path | str) -> Iterator[tuple[Worker, Worker]]:
    made = [Worker(request.param, file) for _ in range(2)]
    yield made[0], made[1]
    for worker in made:
        worker.close()


class Reader:
    """A client that remembers where it stands, as a browser's EventSource does."""

    def __init__(self) -> None:
        self.id = ""
        self.text = ""
        self.events: list[str | None] = []
        self.status = 0
        self.outcome = ""

    def read(self, method: str, url: str, most: int = 10_000) -> None:
        """Read until the end, a cut, or so many events."""
        headers = {"Last-Event-ID": self.id} if self.id else {}
        decoder = gaistream.SSEDecoder()
        opened = httpx.stream(method, url, headers=headers, timeout=SECONDS)
        with contextlib.suppress(httpx.TransportError), opened as response:
            self.status = response.status_code
            self.outcome = response.headers["gaistream-replay"]
            for chunk in response.iter_raw():
                for event in decoder.feed(chunk):
                    self.events.append(event.event)
                    self.id = event.id or self.id
                    if event.event == "text_delta":
                        self.text += event.json()["text"]
                    most -= 1
                if most <= 0:
                    break


def test_an_answer_goes_on_for_readers_whose_server_is_killed_and_started_again(
    workers: tuple[Worker, Worker],
) -> None:
    produces, serves = workers
    first, other = Reader(), Reader()
    first.read("POST", f"{produces.url}/answer", 5)
    assert first.outcome == "complete"
    other.read("GET", f"{serves.url}/answer", 20)  # another tab, on another process
    serves.kill()
    serves.start()
    other.read("GET", f"{serves.url}/answer")
    assert (other.text, other.events[-1]) == (TEXT, "done")
    first.read("GET", f"{serves.url}/answer")  # on the other process now
    assert (first.text, first.events[-1], first.outcome) == (TEXT, "done", "ended")
    first.read("GET", f"{produces.url}/answer")
    assert (first.status, first.outcome) == (204, "ended")


def test_an_answer_whose_producer_is_killed_ends_with_an_error_within_its_lease(
    workers: tuple[Worker, Worker],
) -> None:
    produces, serves = workers
    reader = Reader()
    reader.read("POST", f"{produces.url}/answer", 5)
    reader.read("GET", f"{serves.url}/answer", 10)
    produces.kill()
    killed = time.monotonic()
    reader.read("GET", f"{serves.url}/answer")
    assert reader.events[-1] == "error"
    assert TEXT.startswith(reader.text)
    assert time.monotonic() - killed < LEASE + SECONDS / 2
    produces.start()
    reader.read("GET", f"{produces.url}/answer")
    assert (reader.status, reader.outcome) == (204, "ended")
