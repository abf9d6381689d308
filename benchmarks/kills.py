"""Clients that leave at random moments, over real servers: `python benchmarks/kills.py [SERVER …]`.

Or `make kills`. Each server runs in its own process and serves sources that behave badly
(`wild_app.py`). Clients reset, close or half-close their connections before, during and after the
request, in the headers and in the stream, and read it fast, slowly or not at all
(`wild_clients.py`). Within `--bound` seconds after the last of them, no stream, source, task,
thread or file may be left. The server must still serve, and may have logged no errors except those
that the sources raise. The exit status is 1 otherwise. With `--answers` the sources are answers
that go on without their clients, and none of them may be lost.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import shlex
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import processes
import wild_clients

import gaistream

CLOSING = 1.0  # seconds for the sources that the collector has freed
HELD = ("streams", "sources", "tasks", "threads", "fds", "lost")
# Errors that the sources raise, and the bound on a clean-up, which some exceed.
EXPECTED = r"RuntimeError: broken|cleanup_timeout"


@dataclass(frozen=True)
class Kind:
    """A kind of server.

    Attributes:
        interface: "asgi" or "wsgi".
        workers: processes that serve.
        at_once: clients at a time. Not many more than the server serves at a time: the others
            would leave before they are served.
    """

    interface: str
    workers: int = 1
    at_once: int = 50


KINDS = {
    "uvicorn h11": Kind("asgi"),
    "uvicorn uvloop": Kind("asgi"),
    "hypercorn": Kind("asgi"),
    "granian": Kind("asgi"),
    "daphne": Kind("asgi"),
    "gunicorn asgi": Kind("asgi"),
    "gunicorn sync": Kind("wsgi", workers=4, at_once=6),
    "gunicorn gthread": Kind("wsgi"),
    "gunicorn gevent": Kind("wsgi"),
    "waitress": Kind("wsgi", at_once=10),
}


class Watched:
    """The processes of one server that serve, each on its own connection."""

    def __init__(self, listening: socket.socket, workers: int) -> None:
        listening.settimeout(processes.STARTING)
        self._channels = [listening.accept()[0] for _ in range(workers)]
        self._lines = [channel.makefile("r") for channel in self._channels]
        for channel in self._channels:
            channel.settimeout(processes.STARTING)
        self.paths: Counter[str] = Counter()  # of the streams that were open at the last count

    def counts(self, *, collect: bool = False) -> Counter[str]:
        """Return the sums of their counts, after a garbage collection if `collect`.

        Raises:
            OSError: a process does not answer.
        """
        found: Counter[str] = Counter()
        self.paths = Counter()
        for channel in self._channels:
            channel.sendall(b"c" if collect else b"?")
        for lines in self._lines:
            line = lines.readline()
            if not line:
                raise ConnectionResetError("a server process has ended")
            counts = json.loads(line)
            self.paths.update(counts.pop("paths"))
            found.update(counts)
        return found

    def settled(self) -> Counter[str]:
        """Return the counts once no stream is open and they do not change any more."""
        deadline = time.monotonic() + processes.STARTING
        last, now = Counter(never=1), self.counts()
        while (now != last or now["streams"] or now["sources"]) and time.monotonic() < deadline:
            time.sleep(0.3)
            last, now = now, self.counts()
        return now

    def close(self) -> None:
        for each in (*self._lines, *self._channels):
            each.close()


@dataclass
class Result:
    """The result for one server."""

    server: str
    answers: Counter[str] = field(default_factory=Counter)
    begun: int = 0  # sources
    seconds: float = 0.0  # of the clients
    waited: float = 0.0  # after them, until nothing was left
    left: dict[str, int] = field(default_factory=dict)
    collected: dict[str, int] = field(default_factory=dict)  # left until the collector ran
    paths: Counter[str] = field(default_factory=Counter)  # of the streams that are left
    errors: Counter[str] = field(default_factory=Counter)
    broken: str = ""  # why the run was ended

    @property
    def is_right(self) -> bool:
        """Return whether nothing is left, the server serves, and no error was logged."""
        return not (any(self.left.values()) or self.errors or self.broken)


def left(before: Counter[str], now: Counter[str]) -> dict[str, int]:
    """Return how many of each thing there are more than before."""
    return {name: max(0, now[name] - before[name]) for name in HELD}


@contextlib.contextmanager
def serving(server: str, home: Path) -> Iterator[tuple[processes.Process, Watched]]:
    """Start a server with wild_app and connect to each of its processes."""
    kind = KINDS[server]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        environment = {
            "GAISTREAM_INTERFACE": kind.interface,
            "GAISTREAM_CONTROL": str(listening.getsockname()[1]),
        }
        with (
            processes.started(server, "wild_app:app", home, **environment) as process,
            contextlib.closing(Watched(listening, kind.workers)) as watched,
        ):
            yield process, watched


def serves(address: tuple[str, int]) -> bool:
    """Return whether a whole stream comes."""
    return b"event: done" in wild_clients.ask(address, "ends", processes.STARTING)


def warm(address: tuple[str, int], at_once: int) -> None:
    """Serve some streams, so that the server has made its threads, imports and files."""
    with ThreadPoolExecutor(at_once) as pool:
        for _ in range(2):
            served = list(pool.map(lambda _: serves(address), range(at_once)))
            if not all(served):
                raise TimeoutError("it does not serve")


def run(server: str, settings: Any) -> Result:
    """Run all clients on one server, and wait until nothing is left of them."""
    result = Result(server)
    kind = KINDS[server]
    known = wild_clients.ANSWERS if settings.answers else wild_clients.PATHS
    paths = settings.sources or known[kind.interface]
    chance = random.Random(f"{settings.seed} {server}")
    plans = wild_clients.plans(chance, settings.clients, paths)
    with tempfile.TemporaryDirectory() as home:
        log = Path(home, "server.log")
        try:
            with serving(server, Path(home)) as (process, watched):
                warm(process.address, kind.at_once)
                before = watched.settled()
                at = time.monotonic()
                come_and_go = wild_clients.come_and_go(process.address, plans, kind.at_once)
                result.answers = asyncio.run(come_and_go)
                result.seconds = time.monotonic() - at
                wait(watched, before, settings.bound, result)
                if not serves(process.address):
                    result.broken = "it does not serve any more"
        except (OSError, AssertionError, json.JSONDecodeError) as error:
            result.broken = f"{type(error).__name__}: {error}"
        text = log.read_text(errors="replace")
        result.errors = processes.unexpected(text, EXPECTED)
        if settings.logs:
            Path(settings.logs, f"{server.replace(' ', '-')}.log").write_text(text)
    return result


def wait(watched: Watched, before: Counter[str], bound: float, result: Result) -> None:
    """Wait until nothing is left, at most for `bound` seconds; then run the collector.

    Starlette's StreamingResponse never closes its iterator. If it is cancelled while it sends, a
    cycle of anyio may hold the iterator, of whatever kind, until the collector runs.
    """
    at = time.monotonic()
    while True:
        now = watched.counts()
        result.left, result.paths = left(before, now), watched.paths
        result.waited = time.monotonic() - at
        result.begun = now["begun"] - before["begun"]
        if not any(result.left.values()):
            return
        if result.waited > bound:
            break
        time.sleep(0.1)
    watched.counts(collect=True)
    time.sleep(CLOSING)
    freed, result.left = result.left, left(before, watched.counts())
    result.paths = watched.paths
    result.collected = {name: count - result.left[name] for name, count in freed.items()}


# ---- the command ----

HEAD = "server             clients  begun  seconds  then  " + "  ".join(HELD) + "  errors"


def line(result: Result, clients: int) -> str:
    """Return a line of the table."""
    held = "  ".join(f"{result.left.get(name, '-')!s:>{len(name)}}" for name in HELD)
    return (
        f"{result.server:18} {clients:7}  {result.begun:5}  {result.seconds:7.1f}  "
        f"{result.waited:4.1f}  {held}  {result.errors.total():6}"
        + (f"  {result.broken}" if result.broken else "")
    )


def settings_of(arguments: list[str] | None) -> Any:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Clients that leave at random moments.")
    parser.add_argument("server", nargs="*", help=", ".join(KINDS) + "; all by default")
    parser.add_argument("--clients", type=int, default=300, help="on each server (300)")
    parser.add_argument("--seed", default="1", help="of the clients (1)")
    parser.add_argument("--bound", type=float, default=20, help="seconds after the clients (20)")
    parser.add_argument("--sources", type=lambda names: names.split(","), help="only these, a,b,c")
    parser.add_argument(
        "--answers",
        action="store_true",
        help='answers with on_disconnect="continue" instead: is one of them lost?',
    )
    parser.add_argument("--logs", help="a folder for the logs of the servers")
    settings = parser.parse_args(arguments)
    if unknown := set(settings.server) - set(KINDS):
        parser.error(f"no such server: {', '.join(sorted(unknown))}")
    settings.server = settings.server or list(KINDS)
    return settings


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    settings = settings_of(arguments)
    processes.allow_many_files()
    print(f"$ {shlex.join(['python', *sys.argv])}")
    print(f"gaistream {gaistream.__version__}, {gaistream.backend}; bound {settings.bound:g} s")
    print(HEAD, flush=True)
    wrong = []
    for server in settings.server:
        result = run(server, settings)
        print(line(result, settings.clients), flush=True)
        print(f"    answers: {dict(result.answers.most_common())}")
        if any(result.collected.values()):
            print(f"    freed by the collector: {result.collected}")
        if result.paths:
            print(f"    streams left: {dict(result.paths.most_common())}")
        for error, count in result.errors.most_common(5):
            print(f"    {count} x {error}", flush=True)
        if not result.is_right:
            wrong.append(server)
    print(f"Something is left: {', '.join(wrong)}" if wrong else "Nothing is left.")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
