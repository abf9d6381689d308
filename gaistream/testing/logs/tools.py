"""What the checks of logs share. They run on asyncio, on trio, and in plain threads."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

from ...loops import event_loop
from ...loops.waiting import Waiter, run_in_thread
from ...replay.log import End, EventLog, Page, Record

SHORT: Final = 0.15  # seconds of a lease or an age that is to pass
LONG: Final = 30.0
DONE: Final = End("completed")


class Make(Protocol):
    """Opens an empty log with these bounds, and its own defaults for those that are not given."""

    def __call__(
        self,
        *,
        max_events: int | None = None,
        max_bytes: int | None = None,
        max_age: float | None = None,
    ) -> AbstractAsyncContextManager[EventLog]: ...


Check = Callable[[Make], Coroutine[Any, Any, None]]


def numbered(first: int, count: int) -> list[Record]:
    """Return records whose data is their seq."""
    return [Record(b"%d" % seq, "delta") for seq in range(first, first + count)]


async def pause(seconds: float) -> None:
    """Wait, on a loop or in a plain thread."""
    await Waiter().wait(seconds)


async def together(*mains: Coroutine[Any, Any, Any]) -> list[Any]:
    """Run coroutines at the same time, in tasks or in threads; return their results."""
    results: dict[int, Any] = {}
    failures: list[BaseException] = []

    async def run(index: int, main: Coroutine[Any, Any, Any]) -> None:
        try:
            results[index] = await main
        except BaseException as error:
            failures.append(error)

    runs = [run(index, main) for index, main in enumerate(mains)]
    try:
        loop = event_loop()
    except RuntimeError:
        threads = [threading.Thread(target=run_in_thread, args=(each,)) for each in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:
        tasks = [loop.create_task(each, name="a check of a log") for each in runs]
        for task in tasks:
            await loop.ended(task)
    if failures:
        raise failures[0]
    return [results[index] for index in range(len(mains))]


async def read_all(log: EventLog, stream: str, after: Any = None) -> list[Page]:
    """Follow a stream to its end, and check that its pages are consecutive."""
    pages: list[Page] = []
    async for page in log.follow(stream, after):
        if pages and page.outcome in ("complete", "ended"):
            assert page.epoch == pages[-1].epoch
            assert page.first == pages[-1].first + len(pages[-1].records)
        pages.append(page)
    return pages


def data_of(pages: Sequence[Page]) -> list[int]:
    """Return the numbers in the records of pages."""
    return [int(record.data) for page in pages for record in page.records]


async def refused(call: Awaitable[Any], error: type[Exception]) -> None:
    """Check that a call raises."""
    try:
        await call
    except error:
        return
    raise AssertionError(f"{error.__name__} was not raised")
