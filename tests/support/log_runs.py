"""How the checks of logs are run: on asyncio, on trio, and in a plain thread."""

from __future__ import annotations

import asyncio
from typing import Any

import trio

from gaistream.replay import run_in_thread


def on_asyncio(main: Any) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await main
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(bounded())


def on_trio(main: Any) -> None:
    async def bounded() -> None:
        with trio.fail_after(20):
            await main

    trio.run(bounded)


RUNS = {"asyncio": on_asyncio, "trio": on_trio, "thread": run_in_thread}
