"""A process that produces into a log, or follows one: `python log_child.py ROLE PATH …`.

PATH is the file of an SQLiteLog, or the URL of a Redis.

- `produce PATH SEED KILL_AT COUNT LEASE`: append numbered records, print each acknowledged number.
  At the statement KILL_AT of SQLite, if that is not 0, it kills itself.
- `follow PATH AFTER`: print the epoch, seq and number of each record, then the end.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys

from gaistream.errors import Fenced
from gaistream.replay import End, EventLog, Record, RedisLog, SQLiteLog
from gaistream.replay import sqlite_thread as thread_module


def opened(path: str) -> EventLog:
    return RedisLog(path) if path.startswith("redis:") else SQLiteLog(path)


def kill_at(statement: int) -> None:
    """Kill this process when it begins a statement of SQLite."""
    plain = thread_module.StoreThread._open
    count = 0

    def traced(_: str) -> None:
        nonlocal count
        count += 1
        if count == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    def traced_open(self: thread_module.StoreThread) -> thread_module.Store:
        store = plain(self)
        store.connection.set_trace_callback(traced)
        return store

    thread_module.StoreThread._open = traced_open  # type: ignore[method-assign]


async def produce(path: str, seed: int, count: int, lease: float) -> None:
    chance = random.Random(seed)
    log = opened(path)
    epoch = await log.begin("s", lease=lease)
    print(f"begun {epoch}", flush=True)
    seq = 1
    try:
        while seq <= count:
            batch = min(chance.choice((1, 1, 2, 5, 20)), count + 1 - seq)
            await log.append("s", epoch, seq, [Record(b"%d" % (seq + i)) for i in range(batch)])
            seq += batch
            print(f"kept {seq - 1}", flush=True)
            await asyncio.sleep(chance.choice((0, 0, 0.001)))
        await log.close("s", epoch, End("completed"))
    except Fenced:
        print("fenced", flush=True)
    await log.aclose()


async def follow(path: str, after: str) -> None:
    log = opened(path)
    async for page in log.follow("s", after or None, limit=7):
        print(f"page {page.outcome} {page.reason}", flush=True)
        for seq, record in enumerate(page.records, page.first):
            print(f"record {page.epoch}-{seq} {int(record.data)}", flush=True)
        if page.end is not None:
            print(f"end {page.end.kind}", flush=True)
    await log.aclose()


if __name__ == "__main__":
    role, path, *more = sys.argv[1:]
    if role == "produce":
        seed, statement, count, lease = more
        kill_at(int(statement))
        asyncio.run(produce(path, int(seed), int(count), float(lease)))
    else:
        asyncio.run(follow(path, *more))
