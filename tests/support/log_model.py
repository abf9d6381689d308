"""A model of a log of kept streams, and random calls that are compared with it.

The model knows all that was ever appended. A log may have trimmed some of it, and must say so.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from gaistream.errors import Fenced, FrameError, StreamInUse
from gaistream.replay import End, EventLog, Position, Record

LEASE = 10.0
MAX_AGE = 100.0


class Time:
    """The clocks of a log: the wall clock may jump, the other one only runs."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wall = 1_700_000_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.wall

    def time_ns(self) -> int:
        return int(self.wall * 1e9)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds


class Generation:
    def __init__(self, epoch: int, now: float, stopping: bool) -> None:
        self.epoch = epoch
        self.records: list[Record] = []
        self.lease_ends = now + LEASE
        self.end: End | None = None
        self.stopping = stopping


class Model:
    """Makes seeded random calls of a log, and checks each result."""

    def __init__(self, log: EventLog, seed: int, time: Any) -> None:
        self.log = log
        self.time = time
        self.chance = random.Random(seed)
        self.streams: dict[str, Generation | None] = dict.fromkeys("abc")
        self.epochs: dict[str, int] = dict.fromkeys("abc", 0)
        self.pending: dict[str, float] = {}
        self.number = 0

    async def run(self, steps: int) -> None:
        calls = [self.append] * 8 + [self.read] * 6 + [
            self.begin, self.close, self.stop, self.renew, self.expire, self.repeat, self.wait,
            self.zombie, self.hole,
        ]  # fmt: skip
        for _ in range(steps):
            name = self.chance.choice(list(self.streams))
            self.settle(name)
            await self.chance.choice(calls)(name)
            for each in self.streams:
                self.settle(each)

    def settle(self, name: str) -> None:
        """End a generation whose lease has run out."""
        kept = self.streams[name]
        if kept is not None and kept.end is None and kept.lease_ends <= self.time.now:
            kept.end = End("producer_lost")

    def some(self) -> list[Record]:
        count = self.chance.choice((1, 1, 1, 2, 20, 300))
        self.number += count
        event = self.chance.choice((None, "delta", "é"))
        size = self.chance.choice((0, 0, 50))
        data = range(self.number - count, self.number)
        return [Record(b"%d" % each + b"x" * size, event) for each in data]

    async def begin(self, name: str) -> None:
        kept = self.streams[name]
        replace = self.chance.random() < 0.3
        if kept is not None and kept.end is None and not replace:
            with pytest.raises(StreamInUse):
                await self.log.begin(name, lease=LEASE)
            return
        epoch = await self.log.begin(name, lease=LEASE, replace=replace)
        assert epoch > self.epochs[name]
        self.epochs[name] = epoch
        stopping = self.pending.pop(name, 0.0) > self.time.now
        self.streams[name] = Generation(epoch, self.time.now, stopping)

    async def append(self, name: str, records: Any = None, first: int | None = None) -> None:
        kept = self.streams[name]
        new = self.some() if records is None else records
        if kept is None or kept.end is not None:
            with pytest.raises(Fenced):
                await self.log.append(name, self.epochs[name], 1, new)
            return
        first = len(kept.records) + 1 if first is None else first
        assert await self.log.append(name, kept.epoch, first, new) is kept.stopping
        kept.records += new[len(kept.records) + 1 - first :]
        kept.lease_ends = self.time.now + LEASE

    async def renew(self, name: str) -> None:
        kept = self.streams[name]
        await self.append(name, [], 1 + len(kept.records) if kept else 1)

    async def repeat(self, name: str) -> None:
        """Append what may be kept already, as after an error, and more."""
        kept = self.streams[name]
        if kept is not None and kept.records:
            first = self.chance.randint(max(1, len(kept.records) - 5), len(kept.records))
            await self.append(name, kept.records[first - 1 :] + self.some(), first)

    async def hole(self, name: str) -> None:
        kept = self.streams[name]
        if kept is not None and kept.end is None:
            with pytest.raises(FrameError):
                await self.log.append(name, kept.epoch, len(kept.records) + 2, self.some())
            kept.lease_ends = max(kept.lease_ends, self.time.now)
            await self.renew(name)

    async def zombie(self, name: str) -> None:
        if self.epochs[name]:
            with pytest.raises(Fenced):
                await self.log.append(name, self.epochs[name] - 1, 1, self.some())

    async def close(self, name: str) -> None:
        kept = self.streams[name]
        end = End("failed", "é")
        if kept is not None and kept.end is None:
            await self.log.close(name, kept.epoch, end)
            kept.end = end

    async def stop(self, name: str) -> None:
        kept = self.streams[name]
        epoch = self.chance.choice((None, self.epochs[name], self.epochs[name] + 5))
        result = await self.log.stop(name, epoch)
        alive = kept is not None and kept.end is None
        if epoch is None and not alive:
            assert result == "pending"
            self.pending[name] = self.time.now + 60
        elif kept is None or (epoch or 0) > kept.epoch:
            assert result == "unknown"
        else:
            assert result == ("stopping" if alive else "ended")
            kept.stopping = kept.stopping or alive

    async def expire(self, name: str) -> None:
        if self.chance.random() < 0.3:
            dropped = await self.log.expire(name)
            assert dropped == int(self.streams[name] is not None)
            self.streams[name] = None

    async def wait(self, _: str) -> None:
        self.time.sleep(self.chance.choice((0.1, 1.0, LEASE / 2, LEASE)))
        if self.chance.random() < 0.2 and isinstance(self.time, Time):
            self.time.wall -= self.chance.choice((0.5, 30.0))  # the clock is set back

    async def read(self, name: str) -> None:
        kept = self.streams[name]
        epoch, newest = self.epochs[name], len(kept.records) if kept else 0
        after: Any = self.chance.choice(
            [None, f"{epoch}-{newest + 1}", f"{epoch - 1}-0", "x"]
            + [Position(epoch, self.chance.randint(0, newest))] * 6
        )
        limit = self.chance.choice((0, 1, 7, 500))
        page = await self.log.read(name, after, limit)
        if kept is None:
            assert page.outcome == "expired"
            assert not page.records
            return
        assert (page.epoch, page.newest, page.stopping) == (epoch, newest, kept.stopping)
        count = len(page.records)
        assert list(page.records) == kept.records[page.first - 1 : page.first - 1 + count]
        assert count == min(limit, newest + 1 - page.first)
        assert page.end == (kept.end if page.first + count > newest else None)
        known = 0 if after is None else after.seq if isinstance(after, Position) else None
        if known is not None and known + 1 >= page.oldest:
            assert page.outcome == ("ended" if kept.end else "complete")
            assert page.first == known + 1
        else:
            assert page.outcome == "gap"
            assert page.first == page.oldest
            assert page.reason == (
                "trimmed" if known is not None
                else "invalid_id" if after == "x"
                else "future" if after.startswith(f"{epoch}-") else "restarted"
            )  # fmt: skip
