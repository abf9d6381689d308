"""What logs of kept streams cost: `python benchmarks/logs.py [CASE …]`.

- `append`: microseconds an event of processor time, all threads together, and of real time, which
  other programs on the machine make longer; for one producer and for many, in groups of 1 and 20.
- `wake`: milliseconds from an append to a follower in another process, while 50 producers append
  (for RedisLog 125, and 250); and how late a timer is in that process meanwhile,
  which is what the machine itself adds.
- `redis`: RedisLog (its own redis-server is started) beside redis-py's XADD, one at a time, and
  beside fastapi-resumable-stream where that is installed.
- `growth`: the same append and the same page in a stream of 10⁴ and of 10⁷ events, a replay of 10⁵,
  and memory with 10 000 kept streams.

The bounds are printed beside the figures; the exit status is 1 if one is exceeded.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from gaistream.replay import End, EventLog, MemoryLog, Record, RedisLog, SQLiteLog

DATA = b'{"type":"text_delta","text":"' + b"x" * 87 + b'"}'  # 118 bytes
FAILED: list[str] = []


def report(what: str, figure: float, unit: str, most: float | None = None) -> None:
    bound = "" if most is None else f"   (at most {most:g})"
    print(f"{what:58} {figure:10.3f} {unit}{bound}")
    if most is not None and figure > most:
        FAILED.append(what)


@contextlib.contextmanager
def sqlite(**settings: float) -> Iterator[SQLiteLog]:
    with tempfile.TemporaryDirectory() as folder:
        yield SQLiteLog(Path(folder) / "log.db", **settings)  # type: ignore[arg-type]


async def fill(log: EventLog, name: str, events: int, group: int) -> None:
    """Append with one call after the other, each awaited."""
    epoch = await log.begin(name, lease=600)
    records = [Record(DATA, "text_delta")] * group
    for first in range(1, events + 1, group):
        await log.append(name, epoch, first, records)


async def append_cost(log: EventLog, streams: int, events: int, group: int) -> tuple[float, float]:
    """Return microseconds an event, of processor time and of real time: each the best of three."""
    used, real = [], []
    for turn in range(3):
        start, clock = time.perf_counter(), time.process_time()
        names = [f"{streams}-{group}-{turn}-{index}" for index in range(streams)]
        await asyncio.gather(*[fill(log, name, events // streams, group) for name in names])
        real.append(time.perf_counter() - start)
        used.append(time.process_time() - clock)
    return min(used) / events * 1e6, min(real) / events * 1e6


def report_append(what: str, cost: tuple[float, float], most: float | None = None) -> None:
    report(what, cost[0], "µs of processor time/event", most)
    report(f"{what}, real time", cost[1], "µs/event")


async def append() -> None:
    for group in (1, 20):
        cost = await append_cost(MemoryLog(max_total_bytes=2**30), 1, 60_000, group)
        report_append(f"MemoryLog, groups of {group}", cost, 1.0 if group > 1 else None)
    with sqlite() as log:
        for streams, group, events in ((1, 20, 20_000), (200, 1, 20_000), (200, 20, 200_000)):
            cost = await append_cost(log, streams, events, group)
            most = 5.0 if group == 20 and streams > 1 else None  # 200 000 events a second
            report_append(f"SQLiteLog, {streams} producers, groups of {group}", cost, most)
        await log.aclose()
    with sqlite(durable=True) as log:
        cost = await append_cost(log, 200, 40_000, 20)
        report_append("SQLiteLog(durable=True), 200 producers, groups of 20", cost)
        await log.aclose()


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """Start a redis-server that keeps nothing on disk, and yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
             "--dir", folder],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            while True:
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                time.sleep(0.01)
            yield f"redis://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


async def redis() -> None:
    import redis as redis_py

    with redis_server() as url:
        with contextlib.closing(redis_py.Redis.from_url(url)) as client:
            start = time.perf_counter()
            for _ in range(20_000):
                client.xadd("plain", {"data": DATA})
            single = (time.perf_counter() - start) / 20_000 * 1e6
        report("redis-py, one XADD after the other", single, "µs/event")
        log = RedisLog(url)
        for streams, group, events in ((1, 20, 20_000), (200, 1, 40_000), (200, 20, 200_000)):
            cost = await append_cost(log, streams, events, group)
            what = f"RedisLog, {streams} producers, groups of {group}"
            report_append(what, cost)
            if streams > 1:
                report(f"redis-py's XADD / {what}", single / cost[1], "x")
        await log.aclose()
        FAILED.extend(["RedisLog / redis-py"] if single / cost[1] < 20 else [])
        with contextlib.suppress(ImportError):
            peer = await resumable_stream(url)
            report("fastapi-resumable-stream, 100 streams", peer, "µs/event")
            report("fastapi-resumable-stream / RedisLog, groups of 20", peer / cost[1], "x")


async def resumable_stream(url: str) -> float:
    """Return microseconds an event of fastapi-resumable-stream: 100 streams, 50 events each."""
    from fastapi_resumable_stream import ResumableStream
    from redis.asyncio import Redis

    async def source() -> AsyncIterator[str]:
        for _ in range(50):
            yield DATA.decode()

    async def run(index: int) -> int:
        return len([chunk async for chunk in await stream.start(f"peer {index}", source)])

    client = Redis.from_url(url, max_connections=1000)
    stream = ResumableStream(client)
    start = time.perf_counter()
    counts = await asyncio.gather(*[run(index) for index in range(100)])
    cost = (time.perf_counter() - start) / 5000 * 1e6
    assert sum(counts) == 5000
    await stream.close()
    await client.aclose()
    return cost


FOLLOWER = """
import asyncio, sys, time
from gaistream.replay import RedisLog, SQLiteLog

late = []

async def watch():
    while True:
        start = time.monotonic_ns()
        await asyncio.sleep(0.002)
        late.append(time.monotonic_ns() - start - 2_000_000)

async def main():
    watching = asyncio.create_task(watch())
    log = (RedisLog if sys.argv[1].startswith("redis:") else SQLiteLog)(sys.argv[1])
    waits = []
    async for page in log.follow("watched"):
        now = time.monotonic_ns()
        waits += [now - int(record.data) for record in page.records]
        if len(waits) == len(page.records):
            print("ready", flush=True)
    watching.cancel()
    print(*waits)
    print(*late)
    await log.aclose()

asyncio.run(main())
"""


async def wake() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "log.db")
        await wake_by(SQLiteLog(path), path, 50)
    if shutil.which("redis-server"):
        with redis_server() as url:
            await wake_by(RedisLog(url), url, 125, most=5.0)
            await wake_by(RedisLog(url), url, 250)


async def wake_by(log: EventLog, path: str, producers: int, most: float | None = None) -> None:
    epoch = await log.begin("watched")
    stamp = b"%d"
    await log.append("watched", epoch, 1, [Record(stamp % time.monotonic_ns())])
    child = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", FOLLOWER, path], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    child.stdout.readline()
    loads = [
        asyncio.create_task(load(log, f"load {index}", index / producers))
        for index in range(producers)
    ]
    for seq in range(2, 402):
        await log.append("watched", epoch, seq, [Record(stamp % time.monotonic_ns())])
        await asyncio.sleep(0.005)
    await log.close("watched", epoch, End("completed"))
    for each in loads:
        each.cancel()
    await asyncio.gather(*loads, return_exceptions=True)
    lines = child.communicate()[0].splitlines()
    waits, late = (sorted(int(each) / 1e6 for each in line.split()) for line in lines)
    waits.remove(waits[-1])  # the first record, which was there before the process
    await log.aclose()
    name = f"{type(log).__name__}, {producers} producers"
    report(f"{name}, append to follower, median", statistics.median(waits), "ms")
    report(f"{name}, append to follower, p99", waits[len(waits) * 99 // 100], "ms", most)
    report("a timer in that process, p99 of its delay", late[len(late) * 99 // 100], "ms")


async def load(log: EventLog, name: str, offset: float) -> None:
    await asyncio.sleep(0.02 * offset)  # not all at the same time
    epoch = await log.begin(name)
    records = [Record(DATA, "text_delta")] * 20
    seq = 1
    while True:
        await log.append(name, epoch, seq, records)
        seq += 20
        await asyncio.sleep(0.02)  # a producer: 1 000 events a second


async def growth() -> None:
    with sqlite(max_events=20_000_000, max_bytes=2**40) as log:
        small = await sampled(log, "small", 10_000)
        large = await sampled(log, "large", 10_000_000, until=QUICK)
        await log.aclose()
    for index, what in enumerate(("append of 20", "page of 500 in the middle", "last page")):
        report(f"SQLiteLog, {what}, 10⁴ events", small[index], "µs")
        report(f"SQLiteLog, {what}, large stream: ratio", large[index] / small[index], "x", 4.0)
    for name, log in (("MemoryLog", MemoryLog(max_bytes=2**26)), ("SQLiteLog", None)):
        with contextlib.ExitStack() as stack:
            used: EventLog = log or stack.enter_context(sqlite())
            costs = []
            for events in (10_000, 100_000):
                await fill(used, str(events), events, 100)
                start = time.perf_counter()
                seen = 0
                after = None
                while seen < events:
                    page = await used.read(str(events), after)
                    seen += len(page.records)
                    after = page.position
                costs.append((time.perf_counter() - start) / events * 1e6)
            report(f"{name}, replay of 10⁵ events", costs[1], "µs/event")
            report(f"{name}, replay of 10⁵ beside 10⁴: ratio", costs[1] / costs[0], "x", 2.0)
            await used.aclose()
    tracemalloc.start()
    memory = MemoryLog(max_total_bytes=32 * 2**20)
    for index in range(20_000):
        epoch = await memory.begin(str(index))
        records = [Record(b"%d %d" % (index, seq) + DATA, "text_delta") for seq in range(40)]
        await memory.append(str(index), epoch, 1, records)
    report("MemoryLog, 20 000 streams, bound 32 MiB", tracemalloc.get_traced_memory()[0] / 2**20,
           "MiB", 64)  # fmt: skip
    tracemalloc.stop()


async def sampled(
    log: EventLog, name: str, events: int, until: float = 1.0
) -> tuple[float, float, float]:
    """Return microseconds of an append at the end, a page in the middle, and the last page."""
    events = int(events * until)
    epoch = await log.begin(name, lease=600)
    batch = [Record(DATA, "text_delta")] * 1000
    for first in range(1, events + 1, 1000):
        await log.append(name, epoch, first, batch)
    appends, middles, lasts = [], [], []
    small = batch[:20]
    for index in range(200):
        start = time.perf_counter()
        await log.append(name, epoch, events + 1 + 20 * index, small)
        appends.append(time.perf_counter() - start)
        start = time.perf_counter()
        await log.read(name, f"{epoch}-{events // 2}")
        middles.append(time.perf_counter() - start)
        start = time.perf_counter()
        await log.read(name, f"{epoch}-{events}")
        lasts.append(time.perf_counter() - start)
    a, b, c = (statistics.median(each) * 1e6 for each in (appends, middles, lasts))
    return a, b, c


CASES = {"append": append, "wake": wake, "growth": growth, "redis": redis}
QUICK = 1.0

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], default=list(CASES))
    parser.add_argument("--quick", action="store_true", help="10⁶ events in the place of 10⁷")
    arguments = parser.parse_args()
    QUICK = 0.1 if arguments.quick else 1.0
    for case in arguments.cases:
        asyncio.run(CASES[case]())
    if FAILED:
        sys.exit(f"beyond its bound: {', '.join(FAILED)}")
