"""Every log passes the checks of gaistream.testing.logs: on asyncio, on trio, and in a thread."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from log_runs import RUNS

from gaistream.replay import EventLog, MemoryLog, SQLiteLog
from gaistream.testing import logs

LOGS: dict[str, Callable[..., EventLog]] = {
    "memory": lambda _, **bounds: MemoryLog(**bounds),
    "sqlite": SQLiteLog,
}


@pytest.mark.parametrize("check", logs.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("kind", LOGS)
def test_a_log_does_what_all_logs_do(
    kind: str, run: str, check: logs.Check, tmp_path: Path
) -> None:
    number = 0

    @contextlib.asynccontextmanager
    async def make(**bounds: Any) -> AsyncIterator[EventLog]:
        nonlocal number
        number += 1
        log = LOGS[kind](tmp_path / f"{number}.db", **bounds)
        try:
            yield log
        finally:
            await log.aclose()

    RUNS[run](check(make))
