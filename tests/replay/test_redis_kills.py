"""Producers, followers and redis-server are killed: nothing is lost, doubled or out of order.

Each run is seeded. GAISTREAM_KILLS=200 makes that many; GAISTREAM_KILLS=50:60 those seeds.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from log_children import child, lines
from redis_servers import Server, server

from gaistream.replay import End, RedisLog, run_in_thread
from gaistream.testing.logs.tools import data_of, read_all

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL and SIGSTOP")

START, _, STOP = os.environ.get("GAISTREAM_KILLS", "3").rpartition(":")
SEEDS = range(int(START or 0), int(STOP))
COUNT = 200


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    with server() as started:
        yield started


@pytest.fixture
def one(shared: Server) -> Server:
    shared.client.flushall()
    return shared


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_producer_loses_nothing_and_its_followers_are_told(seed: int, one: Server) -> None:
    chance = random.Random(seed)
    with child("produce", one.url, seed, 0, COUNT, 0.5) as producer:
        told = lines(producer)
        assert next(told)[0] == "begun"
        with child("follow", one.url, "") as follower:
            kept = [int(next(told)[1]) for _ in range(chance.randrange(1, 25))]
            producer.kill()
            kept += [int(rest[0]) for word, *rest in told if word == "kept"]
            seen, ends = [], []
            for word, *rest in lines(follower):
                if word == "record":
                    seen.append(int(rest[1]))
                elif word == "end":
                    ends.append(rest[0])
                else:
                    assert rest[0] in ("complete", "ended")
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) >= kept[-1]
    assert ends == ["producer_lost"] or len(seen) == COUNT


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_follower_resumes_without_a_seam(seed: int, one: Server) -> None:
    chance = random.Random(seed)
    after, seen, ended = "", [], False
    with child("produce", one.url, seed, 0, COUNT, 30) as producer:
        assert next(lines(producer))[0] == "begun"
        for budget in (chance.randrange(1, COUNT // 2), COUNT * 10):
            with child("follow", one.url, after) as follower:
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


def test_a_producer_that_was_paused_past_its_lease_is_fenced(one: Server) -> None:
    async def follow(producer: subprocess.Popen[str], told: Iterator[list[str]]) -> None:
        log = RedisLog(one.url)
        pages = await read_all(log, "s")
        assert data_of(pages) == list(range(1, len(data_of(pages)) + 1))
        assert pages[-1].end == End("producer_lost")
        producer.send_signal(signal.SIGCONT)
        assert [word for word, *_ in told if word != "kept"] == ["fenced"]
        assert (await log.read("s", limit=0)).newest == len(data_of(pages))
        await log.aclose()

    with child("produce", one.url, 1, 0, 10**6, 0.5) as producer:
        told = lines(producer)
        for _ in range(20):
            next(told)
        producer.send_signal(signal.SIGSTOP)
        run_in_thread(follow(producer, told))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_server_that_writes_to_disk_keeps_what_it_acknowledged(seed: int, tmp_path: Path) -> None:
    options = ("--dir", str(tmp_path), "--appendonly", "yes", "--appendfsync", "always")
    chance = random.Random(seed)
    with server(*options) as one:
        with child("produce", one.url, seed, 0, 10**6, 30) as producer:
            told = lines(producer)
            assert next(told)[0] == "begun"
            kept = [int(next(told)[1]) for _ in range(chance.randrange(1, 100))]
            one.kill()
            kept += [int(rest[0]) for word, *rest in told if word == "kept"]
            assert producer.wait() == 1  # by the LogError
        one.start()

        async def read() -> list[int]:
            log = RedisLog(one.url)
            pages, after = [], None
            while not pages or pages[-1].records:
                pages.append(await log.read("s", after))
                assert pages[-1].outcome == "complete"
                after = pages[-1].position
            await log.aclose()
            return data_of(pages)

        seen = run_in_thread(read())
        assert seen == list(range(1, len(seen) + 1))
        assert len(seen) >= kept[-1]
