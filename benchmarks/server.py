"""What a server spends on an event: `python benchmarks/server.py [CASE …]`, or `make bench-server`.

uvicorn in a process of its own on one core, the client on another; gaistream and its peers in one
run. What is measured is the CPU time of the server process, in all of its threads, user and
system, from when every stream is open until the last has ended; tables give the least cost of an
event, its spread, and the median of the ratios of each round. `writes an event` tells whether a
producer that was to be paced was: the calls of write (uvloop's; asyncio's are not counted). What
every client received is checked, event by event. A machine that others use at the same time is
noisy: more `--rounds` help, a quiet one more.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import os
import platform
import resource
import shlex
import sys
from pathlib import Path
from typing import Any

import rounds
from rounds import Aim, Case, Servers
from served import PEERS

import gaistream

RAW, GAI, GAI_STARLETTE = "raw ASGI", "gaistream asgi", "gaistream starlette"
RAW_GENERATOR = "raw ASGI, a generator"
CHANNEL = "gaistream channel"
FLUSHED, STARLETTE = "gaistream, flushed after 20 ms", "Starlette + orjson"
SSE_STARLETTE, FASTAPI, LITESTAR = "sse-starlette", "fastapi native", "litestar"
RETURNED, YIELDED = "gaistream fastapi, returned", "gaistream fastapi, yielded"
STAND_IN = "gaistream for sse-starlette"


def cases(settings: Any) -> dict[str, list[Case]]:
    """Give the cases of events, by the names that the command knows."""
    many = 30 if settings.quick else 1000
    streams = 8 if settings.quick else 64
    threads = 8 if settings.quick else 32
    answers = 8 if settings.quick else 2000
    each = {"ticks": many // 2, "tick": 0.001, "turns": 1, "pattern": "all", "stamp": False}
    slow = {**each, "ticks": many * 2, "turns": 20, "pattern": "random"}
    servers = (RAW, GAI, GAI_STARLETTE, STARLETTE, STAND_IN, SSE_STARLETTE, FASTAPI, LITESTAR)
    late = (RAW, FLUSHED, GAI, STARLETTE, SSE_STARLETTE)
    sync = (GAI, GAI_STARLETTE, STARLETTE, SSE_STARLETTE, FASTAPI)
    slow_streams = 4 * streams
    pushed = (RAW, RAW_GENERATOR, GAI, CHANNEL)
    return {
        "burst": [Case(
            f"Burst: {streams} streams of {many} events; the producer never awaits",
            f"/burst/{many}", streams, servers,
            aims=(Aim(GAI, RAW, 0.12), Aim(GAI, SSE_STARLETTE, 1 / 30),
                  Aim(GAI, FASTAPI, 1 / 80), Aim(GAI_STARLETTE, RAW, 0.12),
                  Aim(STAND_IN, SSE_STARLETTE, 0.6)),
        )],
        "paced": [Case(
            f"Paced by an engine: a token for each of {streams} streams at a tick of 1 ms",
            "/fed/0", streams, servers, each,
            aims=(Aim(GAI, RAW, 1.12), Aim(GAI, SSE_STARLETTE, 0.48), Aim(GAI, STARLETTE, 1),
                  Aim(STAND_IN, SSE_STARLETTE, 0.6)),
        )],
        "fastapi": [Case(
            f"FastAPI, {title}: {streams} streams", path, streams,
            (RAW, RETURNED, YIELDED, FASTAPI), feed,
            aims=(Aim(RETURNED, FASTAPI, 1 / 5), Aim(YIELDED, FASTAPI, 1 / 3)),
        ) for title, path, feed in (
            (f"{many} events that are ready", f"/burst/{many}", None),
            ("a token each at a tick of 1 ms", "/fed/0", each),
        )],
        "answers": [Case(
            f"Whole answers: {answers} streams of 40 tokens at a tick of 1 ms, from their opening",
            "/fed/0", answers, (RAW, GAI, GAI_STARLETTE, STARLETTE), {**each, "ticks": 40},
            aims=(Aim(GAI, RAW, 1.15),), opening=True,
        )],
        "flushed": [Case(
            f"{slow_streams} streams of 50 events a second, {pattern} in time",
            "/fed/0", slow_streams, late, {**slow, "pattern": pattern},
            aims=(Aim(FLUSHED, RAW, 0.7),),
        ) for pattern in ("random", "even")],
        "channel": [
            Case(f"A channel: {slow_streams} streams of 50 tokens a second, random in time",
                 "/fed/0", slow_streams, pushed, slow, aims=(Aim(CHANNEL, RAW_GENERATOR, 0.8),)),
            Case(f"A channel: a token for each of {streams} streams at a tick of 1 ms",
                 "/fed/0", streams, pushed, each, aims=(Aim(CHANNEL, RAW_GENERATOR, 0.8),)),
            Case(f"A channel: a burst of {many} tokens into {streams} streams by `await put()`",
                 f"/burst/{many}", streams, pushed, aims=(Aim(CHANNEL, RAW_GENERATOR, 0.1),)),
        ],
        "sync": [
            Case(f"Sync burst: {threads} streams of {many} events; raw ASGI's is async",
                 f"/sync_burst/{many}", threads, (RAW, *sync), paths={RAW: f"/burst/{many}"},
                 aims=(Aim(GAI, RAW, 0.3),)),
            Case(f"Sync sources that block for each event: {threads} streams, a tick of 1 ms",
                 "/sync_fed/0", threads, (STARLETTE, GAI, GAI_STARLETTE, SSE_STARLETTE, FASTAPI),
                 {**each, "ticks": many // 5}, aims=(Aim(GAI, STARLETTE, 1.1),)),
        ],
    }  # fmt: skip


# ---- what is installed ----


def missing(peer: str) -> list[str]:
    """Give what a peer needs and is not installed."""
    found = []
    for name in PEERS[peer].needs:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found.append(name)
    return found


def installed(peers: tuple[str, ...]) -> list[str]:
    """Give the peers that can be measured, and say which cannot."""
    for peer in peers:
        if lacks := missing(peer):
            print(f"left out: {peer}, which needs {', '.join(lacks)}")
    return [peer for peer in peers if not missing(peer)]


def print_head(settings: Any) -> None:
    """Print what makes the figures what they are."""
    names = ["uvicorn", "uvloop", "httptools", "h11", "orjson"]
    names += sorted({name for peer in PEERS.values() for name in peer.needs} - set(names))
    versions = []
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name} {importlib.metadata.version(name)}")
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((x.split(": ")[1] for x in lines if x.startswith("model name")), model)
    load = os.getloadavg()[0]
    print(f"$ {shlex.join(['python', *sys.argv])}")
    print(f"gaistream {gaistream.__version__}, {gaistream.backend}; {', '.join(versions)}")
    print(f"{platform.python_implementation()} {platform.python_version()}, {platform.system()} "
          f"{platform.release()}, {model}, {os.cpu_count()} cores, load {load:.2f}")
    if settings.quick:
        print("a smoke run: it is checked what came, and the figures mean nothing")
    print(f"uvicorn on {settings.loop} and {settings.http}; "
          f"server on core {settings.cores[0]}, client on core {settings.cores[1]}")


# ---- the command ----

OF_EVENTS = ("burst", "paced", "fastapi", "answers", "flushed", "channel", "sync")
IDLE = (RAW, RAW_GENERATOR, GAI, GAI_STARLETTE, STARLETTE, STAND_IN, f"{STAND_IN}, no framework",
        SSE_STARLETTE, f"{SSE_STARLETTE}, no framework", FASTAPI, LITESTAR)
BEATING = (GAI, GAI_STARLETTE, SSE_STARLETTE, FASTAPI)
PROMPT = (RAW, GAI, CHANNEL, STARLETTE, SSE_STARLETTE)


def settings_of(arguments: list[str] | None) -> Any:
    """Read the command line."""
    names = (*OF_EVENTS, "idle", "latency")
    parser = argparse.ArgumentParser(description="What a server spends on an event.")
    parser.add_argument("case", nargs="*", help=", ".join(names) + "; all by default")
    parser.add_argument("--rounds", type=int, help="rounds of each case (7)")
    parser.add_argument("--quick", action="store_true", help="a smoke run: figures mean nothing")
    parser.add_argument("--loop", default="uvloop", choices=["uvloop", "asyncio"])
    parser.add_argument("--http", default="httptools", choices=["httptools", "h11"])
    parser.add_argument("--idle", type=int, default=10_000, help="streams that idle (10000)")
    settings = parser.parse_args(arguments)
    if unknown := set(settings.case) - set(names):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    settings.case = settings.case or names
    settings.rounds = settings.rounds or (1 if settings.quick else 7)
    cores = sorted(os.sched_getaffinity(0))
    settings.cores = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
    return settings


def measure_idle(settings: Any) -> None:
    """Measure in servers of their own, which have not served yet."""
    few, many, interval = (20, 100, 0.2) if settings.quick else (100, 2000, 15.0)
    with contextlib.closing(
        Servers(settings.cores[0], settings.loop, settings.http, interval)
    ) as started:
        rounds.measure_memory(started, installed(IDLE), few, many, Aim(GAI, RAW_GENERATOR, 1.4))
        count = 100 if settings.quick else settings.idle
        rounds.measure_heartbeats(started, installed(BEATING), count, interval)


def main(arguments: list[str] | None = None) -> None:
    """Measure what was asked for."""
    settings = settings_of(arguments)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # which the servers inherit
    if settings.cores[1] is not None:
        os.sched_setaffinity(0, {settings.cores[1]})
    print_head(settings)
    known = cases(settings)
    with contextlib.closing(
        Servers(settings.cores[0], settings.loop, settings.http)
    ) as started:
        for name in settings.case:
            for case in known.get(name, ()):
                rounds.measure(started, case, installed(case.peers), settings.rounds)
            if name == "latency":
                ticks = 50 if settings.quick else 500
                rounds.measure_latency(started, installed(PROMPT), ticks, settings.rounds)
    if "idle" in settings.case:
        measure_idle(settings)


if __name__ == "__main__":
    main()
