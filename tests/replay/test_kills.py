"""Producers and followers of an SQLiteLog are killed: nothing is lost, doubled or out of order.

Each run is seeded. GAISTREAM_KILLS=200 makes that many; GAISTREAM_KILLS=50:60 those seeds.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from log_children import child, lines

from gaistream.replay import End, Position, SQLiteLog, run_in_thread
from gaistream.testing.logs.tools import data_of, read_all

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL and SIGSTOP")

START, _, STOP = os.environ.get("GAISTREAM_KILLS", "4").rpartition(":")
SEEDS = range(int(START or 0), int(STOP))
COUNT = 200


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_producer_loses_nothing_and_its_followers_are_told(
    seed: int, tmp_path: Path
) -> None:
    path = tmp_path / "log.db"
    chance = random.Random(seed)
    statement = chance.randrange(6, 600)
    with child("produce", path, seed, statement, COUNT, 0.5) as producer:
        told = lines(producer)
        begun = next(told, None)
        with child("follow", path, "") as follower:
            seen, ends = [], []
            kept = [int(number) for _, number in told]  # until it is dead
            killed = producer.wait() == -signal.SIGKILL
            for word, *rest in lines(follower):
                if word == "record":
                    seen.append(int(rest[1]))
                elif word == "end":
                    ends.append(rest[0])
                else:
                    assert rest[0] in ("complete", "ended") or begun is None
    if begun is None:  # it was killed before its stream began
        return
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) >= (kept or [0])[-1]
    if killed and len(seen) < COUNT:
        assert ends == ["producer_lost"]
    else:  # it may have been killed after its end was kept
        assert ends == ["completed"] or (killed and ends == ["producer_lost"])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_follower_resumes_without_a_seam(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    chance = random.Random(seed)
    after, seen, ended = "", [], False
    with child("produce", path, seed, 0, COUNT, 30) as producer:
        assert next(lines(producer))[0] == "begun"
        for budget in (chance.randrange(1, COUNT // 2), COUNT * 10):
            with child("follow", path, after) as follower:
                for word, *rest in lines(follower):
                    if word == "record":
                        after = rest[0]
                        seen.append(int(rest[1]))
                        budget -= 1
                    elif word == "page":
                        assert rest[0] in ("complete", "ended")
                    ended = ended or word == "end"
                    if budget == 0:
                        break
    assert seen == list(range(1, COUNT + 1))
    assert ended


def pause(producer: subprocess.Popen[str], path: Path, told: Iterator[list[str]]) -> None:
    """Stop a process between its transactions: within one it would keep the file locked."""
    while True:
        producer.send_signal(signal.SIGSTOP)
        os.waitpid(producer.pid, os.WUNTRACED)
        with contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as file:
            try:
                file.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError:
                producer.send_signal(signal.SIGCONT)
                next(told)


def test_a_producer_that_was_paused_past_its_lease_is_fenced(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    async def follow() -> None:
        log = SQLiteLog(path)
        pages = await read_all(log, "s")
        assert data_of(pages) == list(range(1, len(data_of(pages)) + 1))
        assert pages[-1].end == End("producer_lost")
        producer.send_signal(signal.SIGCONT)
        assert [word for word, *_ in told if word != "kept"] == ["fenced"]
        again = await log.read("s", Position(pages[0].epoch, 0), limit=10**6)
        assert again.newest == len(data_of(pages))
        assert again.outcome == "ended"
        await log.aclose()

    with child("produce", path, 1, 0, 10**6, 0.5) as producer:
        told = lines(producer)
        for _ in range(20):
            next(told)
        pause(producer, path, told)
        run_in_thread(follow())
