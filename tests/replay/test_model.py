"""Random calls of logs, compared with a model: see tests/support/log_model.py.

GAISTREAM_SEEDS=10000 makes that many runs of each; GAISTREAM_SEEDS=5000:5100 those seeds.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import pytest
from log_model import MAX_AGE, Model, Time

from gaistream.replay import (
    EventLog,
    MemoryLog,
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
