"""Event loops in greenlets that share one thread: support/green_streams.py has the checks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from real_servers import SECONDS
from required import need_package

from gaistream.loops.greenlets import new_runner

PROGRAM = Path(__file__).parents[1] / "support" / "green_streams.py"


@pytest.mark.parametrize("what", ["interleave", "block", "kill"])
def test_streams_in_greenlets_of_one_thread_do_not_disturb_each_other(what: str) -> None:
    need_package("gevent")
    done = subprocess.run(
        [sys.executable, PROGRAM, what], capture_output=True, text=True, timeout=SECONDS
    )
    assert (done.stdout, done.returncode) == ("well\n", 0), done.stderr


def test_without_gevent_a_runner_has_asyncios_loop() -> None:
    async def main() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    runner = new_runner()
    loop = runner.run(main())
    assert isinstance(loop, asyncio.BaseEventLoop)
    runner.close()
    assert loop.is_closed()
