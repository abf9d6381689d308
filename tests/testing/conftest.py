"""`run` for the tests of this room: the loops of asyncio, and trio."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import trio
from loops import DEADLINE, LOOPS, watched_loop

Run = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture(params=[*LOOPS, "trio"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Run an async function to its end; nothing may be left on the loop."""
    if request.param == "trio":

        async def bounded(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
            with trio.fail_after(DEADLINE):
                return await main()

        yield lambda main: trio.run(bounded, main)
        return
    with watched_loop(request.param) as on_loop:
        yield lambda main: on_loop(main())
