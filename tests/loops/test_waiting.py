"""A Waiter waits for another thread: on asyncio, on trio, and in a thread without a loop."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import trio

from gaistream.loops.waiting import Waiter, run_in_thread, wake_all

RUNS: dict[str, Any] = {
    "asyncio": lambda main: asyncio.run(main()),
    "trio": trio.run,
    "thread": lambda main: run_in_thread(main()),
}


@pytest.fixture(params=RUNS)
def run(request: pytest.FixtureRequest) -> Any:
    return RUNS[request.param]


def test_a_wait_ends_when_another_thread_wakes_it(run: Any) -> None:
    async def main() -> None:
        waiters = [Waiter() for _ in range(3)]
        thread = threading.Thread(target=wake_all, args=(waiters,))
        thread.start()
        for waiter in waiters:
            assert await waiter.wait(10)
        thread.join()

    run(main)


def test_a_wait_that_was_woken_before_it_began_ends_at_once(run: Any) -> None:
    async def main() -> None:
        waiter = Waiter()
        waiter.wake()
        waiter.wake()
        assert await waiter.wait()

    run(main)


def test_a_wait_ends_after_its_time(run: Any) -> None:
    async def main() -> None:
        assert not await Waiter().wait(0.001)
        assert not await Waiter().wait(0)

    run(main)


def test_a_loop_that_is_over_is_woken_in_vain() -> None:
    async def main() -> Waiter:
        return Waiter()

    waiters = [asyncio.run(main()), trio.run(main)]
    thread = threading.Thread(target=lambda: [waiter.wake() for waiter in waiters])
    thread.start()
    thread.join()
    wake_all(waiters)


def test_what_needs_a_loop_or_runs_on_one_is_refused() -> None:
    async def main() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="needs an event loop"):
        run_in_thread(main())

    async def inside() -> None:
        with pytest.raises(RuntimeError, match="await the coroutine instead"):
            run_in_thread(main())

    asyncio.run(inside())
