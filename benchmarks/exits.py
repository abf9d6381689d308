"""Seconds from a signal until a server has exited: `python benchmarks/exits.py [SERVER …]`.

Or `make exits`. Nothing is configured, neither in the server nor in the app. A server is started
for each signal and kind of source, and gets the signal while some streams are open: SIGTERM as a
supervisor sends it, SIGINT as a terminal sends it, to all processes. A server that still runs
after `--cap` seconds "stays". The body of a stream is whole if its last chunk came. The exit status
is 1 if a server stays, or cuts a body although it is not known to do so.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import shlex
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import processes
from wild_clients import ask

import gaistream
from gaistream import asgi

SERVERS = (
    "uvicorn h11", "uvicorn httptools", "uvicorn uvloop", "uvicorn --reload",
    "uvicorn --workers 2", "hypercorn --workers 0", "hypercorn", "hypercorn trio", "granian",
    "gunicorn asgi", "daphne",
)  # fmt: skip
CUT = {  # sources that a server's own way of ending may cut, see servers.md
    "hypercorn": ("idle", "endless"),
    "hypercorn --workers 0": ("endless",),
    "daphne": ("endless", "ending"),
}
STREAMS = 3


# ---- the app ----


async def idle() -> AsyncIterator[str]:
    yield "a"
    await anyio.sleep_forever()


async def endless() -> AsyncIterator[str]:
    while True:
        yield "a"
        await anyio.sleep(0.02)


async def ending(seconds: str) -> AsyncIterator[str]:
    end = anyio.current_time() + float(seconds)
    while anyio.current_time() < end:
        yield "a"
        await anyio.sleep(0.02)


SOURCES = {"idle": idle, "endless": endless, "ending": ending}
SIGNALS = {"TERM": signal.SIGTERM, "INT": signal.SIGINT}


async def app(scope: Any, receive: Any, send: Any) -> None:
    source: Any = []
    if scope["type"] == "http":
        _, name, *seconds = scope["path"].split("/")
        source = SOURCES[name](*seconds)
    await asgi.SSEResponse(source)(scope, receive, send)


# ---- the measurement ----


@dataclass(frozen=True)
class Result:
    """How a server ended.

    Attributes:
        seconds: until it had exited; None if it stayed.
        whole: bodies that ended with their last chunk.
        completed: bodies with the event of a source that has ended.
        broken: why nothing could be measured.
    """

    seconds: float | None = None
    whole: int = 0
    completed: int = 0
    broken: str = ""

    def is_right(self, server: str, source: str) -> bool:
        """Return whether it exited and cut no stream, unless it is known to cut."""
        whole = self.whole == STREAMS or source in CUT.get(server, ())
        return self.seconds is not None and whole and not self.broken

    def __str__(self) -> str:
        if self.broken:
            return self.broken
        took = "stays" if self.seconds is None else f"{self.seconds:.1f} s"
        done = f", {self.completed} done" if self.completed else ""
        return f"{took}, {self.whole}/{STREAMS} whole{done}"


def measure(server: str, name: str, source: str, settings: Any) -> Result:
    """Start a server, open streams, send the signal, and wait for the exit."""
    with tempfile.TemporaryDirectory() as home, ThreadPoolExecutor(STREAMS) as pool:
        with contextlib.ExitStack() as stack:
            process = stack.enter_context(processes.started(server, "exits:app", Path(home)))
            if not processes.wait_until(lambda: _serves(process.address), processes.STARTING):
                return Result(broken="does not serve")
            path = f"ending/{settings.silence + settings.ending}" if source == "ending" else source
            most = processes.STARTING + settings.silence + settings.cap
            bodies = [pool.submit(ask, process.address, path, most) for _ in range(STREAMS)]
            time.sleep(settings.silence)
            at = time.monotonic()
            processes.send_signal(process, SIGNALS[name])
            exited = processes.wait_until(lambda: not processes.is_there(process), settings.cap)
            seconds = time.monotonic() - at if exited else None
        received = [body.result() for body in bodies]  # the server has been killed by now
    whole = sum(body.endswith(b"\r\n0\r\n\r\n") for body in received)
    return Result(seconds, whole, sum(b"event: done" in body for body in received))


def _serves(address: tuple[str, int]) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(address, 1) as client:
        client.sendall(b"HEAD /idle HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return client.recv(16).startswith(b"HTTP/1.1 200")
    return False


# ---- the command ----


def _chosen(known: Any) -> Any:
    def read(names: str) -> list[str]:
        if unknown := set(names.split(",")) - set(known):
            raise argparse.ArgumentTypeError(f"no such: {', '.join(sorted(unknown))}")
        return names.split(",")

    return read


def settings_of(arguments: list[str] | None) -> Any:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Seconds until a server has exited.")
    parser.add_argument("server", nargs="*", help=", ".join(SERVERS) + "; all by default")
    parser.add_argument("--sources", type=_chosen(SOURCES), default=list(SOURCES))
    parser.add_argument("--signals", type=_chosen(SIGNALS), default=list(SIGNALS))
    parser.add_argument("--cap", type=float, default=12, help="seconds to wait for the exit (12)")
    parser.add_argument("--silence", type=float, default=2.5, help="seconds before it (2.5)")
    parser.add_argument("--ending", type=float, default=2, help="seconds after it, at `ending` (2)")
    parser.add_argument("--at-once", type=int, default=1, help="servers at a time (1)")
    settings = parser.parse_args(arguments)
    if unknown := set(settings.server) - set(SERVERS):
        parser.error(f"no such server: {', '.join(sorted(unknown))}")
    settings.server = settings.server or list(SERVERS)
    return settings


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    settings = settings_of(arguments)
    print(f"$ {shlex.join(['python', *sys.argv])}")
    print(f"gaistream {gaistream.__version__}, {gaistream.backend}; nothing configured")
    print("server                 signal  " + "".join(f"{each:26}" for each in settings.sources))
    cases = list(itertools.product(settings.server, settings.signals, settings.sources))
    wrong = []
    with ThreadPoolExecutor(settings.at_once) as pool:
        results = pool.map(lambda case: measure(*case, settings), cases)
        for (server, name, source), result in zip(cases, results, strict=True):
            if source == settings.sources[0]:
                print(f"{server:22} {name:6}", end="")
            end = "\n" if source == settings.sources[-1] else ""
            print(f"  {result!s:24}", end=end, flush=True)
            if not result.is_right(server, source):
                wrong.append(f"{server} {name} {source}")
    if wrong:
        print(f"Stays, or cuts: {', '.join(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
