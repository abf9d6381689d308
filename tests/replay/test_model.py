"""Random calls of logs, compared with a model: see tests/support/log_model.py.

GAISTREAM_SEEDS=10000 makes that many runs of each; GAISTREAM_SEEDS=5000:5100 those seeds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from log_model import MAX_AGE, Model, Time
from redis_servers import Server, server

from gaistream.replay import (
    EventLog,
    MemoryLog,
    RedisLog,
    SQLiteLog,
    log,
    memory,
    run_in_thread,
    sqlite_store,
)

START, _, STOP = os.environ.get("GAISTREAM_SEEDS", "12").rpartition(":")
SEEDS = range(int(START or 0), int(STOP))
STEPS = 120
BOUNDS = {"max_events": 400, "max_bytes": 40_000, "max_age": MAX_AGE * 1000}


class Still:
    """The clock of a server, which no test can move: a run is shorter than a lease."""

    now = 0.0

    def sleep(self, seconds: float) -> None:
        """Do nothing."""


@pytest.fixture(scope="module")
def one() -> Iterator[Server]:
    with server() as started:
        yield started


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    modules: list[ModuleType] = [log, memory, sqlite_store]
    for module in modules:
        monkeypatch.setattr(module, "time", time)
    return time


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", [MemoryLog, SQLiteLog])
def test_random_calls_do_what_the_model_does(
    kind: type[EventLog], seed: int, time: Time, tmp_path: Path
) -> None:
    arguments = (tmp_path / "log.db",) if kind is SQLiteLog else ()
    tested = kind(*arguments, **BOUNDS)

    async def main() -> None:
        try:
            await Model(tested, seed, time).run(STEPS)
        finally:
            await tested.aclose()

    run_in_thread(main())


@pytest.mark.parametrize("seed", SEEDS)
def test_random_calls_of_a_redis_log_do_what_the_model_does(seed: int, one: Server) -> None:
    async def main() -> None:
        tested = RedisLog(one.url, prefix=f"{seed}:", **BOUNDS)
        try:
            await Model(tested, seed, Still()).run(STEPS)
        finally:
            await tested.aclose()

    run_in_thread(main())
