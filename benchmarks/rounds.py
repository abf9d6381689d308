"""Rounds of measurements: what each peer's server spends on an event, and on an idle stream.

Each round measures every peer once, in turn, and a ratio is one of figures of the same round.
Every event that a client received is checked before a figure counts. Prints Markdown tables.
"""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

from load import Server, Streams, WrongBytes, events
from payloads import TOKEN
from served import PEERS


@dataclass(frozen=True)
class Aim:
    """That a peer costs at most `most` times what another does."""

    peer: str
    beside: str
    most: float


@dataclass(frozen=True)
class Case:
    """Something to measure; the first peer is what the others are compared with.

    Attributes:
        path: of the producer, and how many tokens it gives (fed ones: as many as they get).
        paths: of peers that are given another producer.
        feed: how the feeder feeds; None: a burst.
        opening: the cost of opening the streams counts too.
    """

    title: str
    path: str
    streams: int
    peers: tuple[str, ...]
    feed: dict[str, Any] | None = None
    aims: tuple[Aim, ...] = ()
    paths: dict[str, str] = field(default_factory=dict)
    opening: bool = False


class Servers:
    """The servers of a run, each started when it is first asked for."""

    def __init__(self, core: int | None, loop: str, http: str, heartbeat: float = 15) -> None:
        self._how = {"core": core, "loop": loop, "http": http, "heartbeat": heartbeat}
        self._running: dict[str, Server] = {}

    def of(self, peers: list[str]) -> dict[str, Server]:
        """Give the servers of these peers; those that are new start side by side."""
        new = [peer for peer in peers if peer not in self._running]
        for peer in new:
            self._running[peer] = Server(peer, **self._how)
        for peer in new:
            self._running[peer].wait_until_ready()
        return {peer: self._running[peer] for peer in peers}

    def close(self) -> None:
        for server in self._running.values():
            server.close()


# ---- CPU an event ----


@dataclass
class Round:
    """What one peer spent in one round."""

    cpu: float  # microseconds an event
    writes: float  # calls of write an event
    rate: float  # events a second


def run(server: Server, peer: str, case: Case) -> tuple[Round, Streams]:
    """Run a case once, check what came, and give what was spent."""
    path = case.paths.get(peer, case.path)
    stamped = bool(case.feed and case.feed["stamp"])
    before = server.ask("spent")
    streams = Streams(server, path, case.streams)
    if case.feed is not None:
        server.ask("prepare", **case.feed)
    start = time.monotonic()
    if not case.opening:
        before = server.ask("spent")
    server.ask("begin")
    streams.read_to_end(busy=stamped)
    after = server.ask("spent")
    seconds = time.monotonic() - start
    count = server.ask("state")["given"]
    if case.feed is None:
        count = int(path.rsplit("/", 1)[1]) * case.streams
    check(peer, streams, count, stamped=stamped)
    streams.close()
    server.ask("end")
    spent = 1e6 * (after["cpu"] - before["cpu"]) / count
    writes = (after["writes"] - before["writes"]) / count
    return Round(spent, writes, count / seconds), streams


def check(peer: str, streams: Streams, count: int, *, stamped: bool) -> None:
    """Check every event that every client received; WrongBytes where one is not as it should."""
    ends = PEERS[peer].ends
    found = 0
    for body in streams.bodies():
        said = events(body)
        if ends is not None and (not said or said.pop() != ends):
            raise WrongBytes(f"{peer}: the last event is not {ends!r}")
        found += len(said)
        for data in set(said):
            if not stamped and json.loads(data) != {"text": TOKEN}:
                raise WrongBytes(f"{peer}: sent {data!r}")
    if found != count:
        raise WrongBytes(f"{peer}: {found} events came of {count}")


def measure(started: Servers, case: Case, peers: list[str], count: int) -> None:
    """Measure a case in `count` rounds and print its table."""
    print(f"\n## {case.title}\n")
    rounds: dict[str, list[Round]] = {peer: [] for peer in peers}
    servers = started.of(peers)
    for number in range(count + 1):
        for peer in peers if number % 2 else reversed(peers):
            found, _ = run(servers[peer], peer, case)
            if number:  # the first warms up
                rounds[peer].append(found)
    first = peers[0]
    print(f"| server CPU, {count} rounds | µs an event | to | × {first} | from – to "
          "| writes an event | events/s |\n|---|---|---|---|---|---|---|")
    for peer in peers:
        costs = [each.cpu for each in rounds[peer]]
        ratios = compare(rounds, peer, first)
        writes = statistics.median(each.writes for each in rounds[peer])
        rate = statistics.median(each.rate for each in rounds[peer])
        print(f"| {peer} | {min(costs):.2f} | {max(costs):.2f} "
              f"| {statistics.median(ratios):.3f} | {min(ratios):.3f} – {max(ratios):.3f} "
              f"| {writes:.3f} | {rate:,.0f} |")
    print("\nEvery client received every event, whole and in its place.")
    for aim in case.aims:
        if aim.peer in rounds and aim.beside in rounds:
            print_aim(f"{aim.peer} ÷ {aim.beside}", compare(rounds, aim.peer, aim.beside), aim.most)


def compare(rounds: dict[str, list[Round]], peer: str, beside: str) -> list[float]:
    return [a.cpu / b.cpu for a, b in zip(rounds[peer], rounds[beside], strict=True)]


def print_aim(what: str, found: list[float], most: float, unit: str = "") -> None:
    """Print whether the median is what it should be, and in how many of the rounds."""
    middle = statistics.median(found)
    kept = sum(each <= most for each in found)
    verdict = "met" if middle <= most else "missed"
    print(f"aim: {what} ≤ {most:.4g}{unit}: {verdict}, {middle:.4g}{unit} "
          f"(in {kept} of {len(found)} rounds)")


# ---- idle streams ----


def measure_memory(
    started: Servers, peers: list[str], few: int, many: int, aim: Aim
) -> None:
    """Print what an idle stream holds: servers that have not served are to be given."""
    print(f"\n## Idle: what each of {many} streams holds, beyond the first {few}\n")
    print("| | KiB of memory | tasks |\n|---|---|---|")
    sizes, tasks = {}, {}
    for peer, server in started.of(peers).items():
        streams = Streams(server, "/burst/0", few)
        before = server.ask("memory")
        streams.add("/burst/0", many)
        after = server.ask("memory")
        streams.end()
        sizes[peer] = (after["rss"] - before["rss"]) / many
        tasks[peer] = (after["tasks"] - before["tasks"]) / many
        print(f"| {peer} | {sizes[peer]:.1f} | {tasks[peer]:.2f} |")
    print()
    ratio = sizes[aim.peer] / sizes[aim.beside]
    print_aim(f"{aim.peer} ÷ {aim.beside}, memory", [ratio], aim.most)
    print_aim(f"{aim.peer}, tasks a stream", [tasks[aim.peer]], 3)


def measure_heartbeats(started: Servers, peers: list[str], count: int, interval: float) -> None:
    """Print what the heartbeats of many idle streams cost, over two intervals."""
    print(f"\n## Idle: {count} streams, a heartbeat every {interval:g} s\n")
    print("| | CPU, % of a core | heartbeats a stream |\n|---|---|---|")
    shares = {}
    for peer, server in started.of(peers).items():
        streams = Streams(server, "/burst/0", count)
        streams.read_for(interval / 2)
        for received in streams.received:
            received.clear()
        before, start = server.ask("spent"), time.monotonic()
        streams.read_for(2 * interval)
        after, end = server.ask("spent"), time.monotonic()
        beats = sum(piece.count(b"\n\n") for each in streams.received for _, piece in each)
        streams.end()
        shares[peer] = 100 * (after["cpu"] - before["cpu"]) / (end - start)
        print(f"| {peer} | {shares[peer]:.2f} | {beats / count:.2f} |")
        if beats < 1.5 * count:
            raise WrongBytes(f"{peer}: {beats} heartbeats of {count} streams in two intervals")
    print()
    for peer in peers:
        if peer.startswith("gaistream"):
            print_aim(peer, [shares[peer]], 1, " %")


# ---- latency ----


def measure_latency(started: Servers, peers: list[str], ticks: int, count: int) -> None:
    """Print how long an event takes at a rate that costs the first peer half of a core."""
    feed = {"ticks": ticks, "tick": 0.001, "turns": 1, "pattern": "all", "stamp": True}
    servers, first = started.of(peers), peers[0]
    probe = Case("", "/stamped/0", 64, (first,), feed)
    cost = min(run(servers[first], first, probe)[0].cpu for _ in range(3))
    streams = max(1, round(500 / cost))
    print(f"\n## Latency: {streams} streams, a token each at a tick of 1 ms "
          f"(half of a core for {first}), µs\n")
    case = Case("", "/stamped/0", streams, tuple(peers), feed)
    rounds: dict[str, list[list[float]]] = {peer: [] for peer in peers}
    for number in range(count + 1):
        for peer in peers if number % 2 else reversed(peers):
            spent, came = run(servers[peer], peer, case)
            if number:
                rounds[peer].append([*latencies(came), spent.cpu * spent.rate / 1e4])
    names = ("put p50", "put p99", "yield p50", "yield p99", "% of a core")
    print(f"| median of {count} rounds, until the client has read | "
          + " | ".join(names) + " |\n|---|---|---|---|---|---|")
    for peer in peers:
        middle = [statistics.median(each) for each in zip(*rounds[peer], strict=True)]
        print(f"| {peer} | " + " | ".join(f"{each:.0f}" for each in middle) + " |")
    print("\nput: from when the engine has put a token; yield: from when the producer yields it.")
    for peer in peers:
        for at, name in ((1, names[1]), (3, names[3])) if peer.startswith("gaistream") else ():
            ratios = [a[at] / b[at] for a, b in zip(rounds[peer], rounds[first], strict=True)]
            print_aim(f"{peer} ÷ {first}, {name}", ratios, 1)


def latencies(streams: Streams) -> tuple[float, float, float, float]:
    """Give p50 and p99 in microseconds, since the token was put and since it was yielded."""
    since_put, since_yield = [], []
    for received in streams.received:
        for came, piece in received[1:]:
            for text in piece.split(b'"text":"')[1:]:
                put, yielded = text[: text.index(b'"')].split()
                since_put.append((came - int(put)) / 1000)
                since_yield.append((came - int(yielded)) / 1000)
    found = []
    for each in (since_put, since_yield):
        cuts = statistics.quantiles(each, n=100)
        found += [cuts[49], cuts[98]]
    return found[0], found[1], found[2], found[3]
