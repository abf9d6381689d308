"""A RedisLog passes the checks of all logs: on one server, with a fail-over, and on a Cluster."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import redis
from log_runs import RUNS
from redis_servers import Pair, Server, cluster, sentinel_pair, server

from gaistream.errors import LogError
from gaistream.replay import EventLog, RedisLog, run_in_thread
from gaistream.testing import logs
from gaistream.testing.logs.tools import DONE, data_of, numbered, pause, together

_numbers = itertools.count()


def maker(connect: Any) -> Any:
    @contextlib.asynccontextmanager
    async def make(**bounds: Any) -> AsyncIterator[EventLog]:
        log = RedisLog(connect(), prefix=f"{next(_numbers)}:", **bounds)
        try:
            yield log
        finally:
            await log.aclose()

    return make


@pytest.fixture(scope="module")
def one() -> Iterator[Server]:
    with server() as started:
        yield started


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    with cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with sentinel_pair(tmp_path_factory.mktemp("sentinel")) as started:
        yield started


@pytest.mark.parametrize("check", logs.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("run", RUNS)
def test_one_server_does_what_all_logs_do(one: Server, run: str, check: logs.Check) -> None:
    RUNS[run](check(maker(lambda: one.url)))


@pytest.mark.parametrize("check", logs.CHECKS, ids=lambda check: check.__name__)
def test_a_cluster_does_what_all_logs_do(nodes: list[Server], check: logs.Check) -> None:
    with contextlib.closing(redis.RedisCluster("127.0.0.1", nodes[0].port)) as client:
        RUNS["asyncio"](check(maker(lambda: client)))


def test_sentinels_master_does_what_all_logs_do_before_and_after_a_fail_over(pair: Pair) -> None:
    client = pair.client()
    make = maker(lambda: client)
    for check in logs.CHECKS:
        RUNS["asyncio"](check(make))
    log = RedisLog(client, prefix="followed:")
    assert run_in_thread(a_stream_with_a_fail_over(log, pair)) == list(range(1, 101))
    run_in_thread(log.aclose())
    for check in logs.CHECKS:
        RUNS["asyncio"](check(make))
    client.close()


async def a_stream_with_a_fail_over(log: RedisLog, pair: Pair) -> list[int]:
    """Return what a follower has read while the master was killed."""
    epoch = await log.begin("s", lease=30)
    seen: list[int] = []

    async def produce() -> None:
        seq = 1
        while seq <= 100:
            if seq == 50:
                pair.fail_over()
            try:
                await log.append("s", epoch, seq, numbered(seq, 1))
            except LogError:
                await pause(0.05)
            else:
                seq += 1
        await log.close("s", epoch, DONE)

    async def follow() -> None:
        page = None
        while page is None or page.end is None:
            try:
                async for page in log.follow("s", page and page.position):
                    assert page.outcome in ("complete", "ended")
                    seen.extend(data_of([page]))
            except LogError:
                await pause(0.05)

    await together(produce(), follow())
    return seen
