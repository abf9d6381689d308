"""Checks of what producers of a log, and those who stop them, may and may not do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ...errors import Fenced, FrameError, LogError, StreamInUse
from ...replay.log import End, Record
from .tools import DONE, LONG, SHORT, Make, data_of, numbered, pause, read_all, refused, together


async def refuses_a_second_producer(make: Make) -> None:
    """One producer at a time; one that was replaced is fenced, whatever it calls."""
    async with make() as log:
        old = await log.begin("s", lease=LONG)
        await log.append("s", old, 1, numbered(1, 2))
        await refused(log.begin("s"), StreamInUse)
        new = await log.begin("s", replace=True)
        assert new > old
        await refused(log.append("s", old, 3, numbered(3, 1)), Fenced)
        await refused(log.append("s", old, 1, ()), Fenced)
        await refused(log.close("s", old, DONE), Fenced)
        assert await log.wait_for_stop("s", old)
        page = await log.read("s", f"{old}-1")
        assert (page.outcome, page.reason, page.epoch) == ("gap", "restarted", new)
        assert not page.records
        await log.append("s", new, 1, numbered(1, 1))
        await log.close("s", new, DONE)
        newest = await log.begin("s")
        assert newest > new
        await refused(log.append("s", 7, 1, numbered(1, 1)), Fenced)
        await refused(log.append("unknown", newest, 1, numbered(1, 1)), Fenced)


async def skips_what_it_has(make: Make) -> None:
    """A repeated batch is kept once; a hole is refused."""
    async with make() as log:
        epoch = await log.begin("s")
        await log.append("s", epoch, 1, numbered(1, 3))
        await log.append("s", epoch, 1, numbered(1, 3))
        await log.append("s", epoch, 2, numbered(2, 4))
        await refused(log.append("s", epoch, 7, numbered(7, 1)), FrameError)
        await refused(log.append("s", epoch, 0, numbered(0, 1)), FrameError)
        assert data_of([await log.read("s")]) == [1, 2, 3, 4, 5]


async def ends_once(make: Make) -> None:
    """An end is kept with its message, and nothing follows it."""
    async with make() as log:
        epoch = await log.begin("s")
        await log.append("s", epoch, 1, numbered(1, 1))
        await log.close("s", epoch, End("failed", "the model is ünwell"))
        await log.close("s", epoch, DONE)
        await refused(log.append("s", epoch, 2, numbered(2, 1)), Fenced)
        page = await log.read("s", f"{epoch}-1")
        assert page.outcome == "ended"
        assert page.end == End("failed", "the model is ünwell")
        assert not page.records
        assert page.lease_left is None
        assert (await log.read("s", limit=0)).end is None  # there are records left


async def notices_a_lost_producer(make: Make) -> None:
    """A lease that ran out ends the stream, for followers that wait, too."""
    async with make() as log:
        epoch = await log.begin("s", lease=SHORT)
        await log.append("s", epoch, 1, numbered(1, 2))
        pages = await read_all(log, "s")
        assert data_of(pages) == [1, 2]
        assert pages[0].outcome == "complete"
        assert pages[-1].end == End("producer_lost")
        await refused(log.append("s", epoch, 3, numbered(3, 1)), Fenced)
        await refused(log.append("s", epoch, 3, ()), Fenced)
        await refused(log.close("s", epoch, DONE), Fenced)
        assert await log.begin("s") > epoch


async def a_lease_is_renewed(make: Make) -> None:
    """Each batch renews it, an empty one too."""
    async with make() as log:
        epoch = await log.begin("s", lease=4 * SHORT)
        for _ in range(6):
            await pause(SHORT)
            assert await log.append("s", epoch, 1, ()) is False
        left = (await log.read("s")).lease_left
        assert left is not None
        assert 0 < left <= 4 * SHORT


async def keeps_every_order_to_stop(make: Make) -> None:
    """An order reaches the generation that its sender meant, before, during and after it."""
    async with make() as log:
        assert await log.stop("s", 5) == "unknown"
        assert await log.stop("s") == "pending"
        first = await log.begin("s")
        assert await log.append("s", first, 1, ()) is True
        assert (await log.read("s")).stopping
        assert await log.wait_for_stop("s", first)
        await log.close("s", first, End("stopped"))
        assert await log.stop("s", first) == "ended"
        second = await log.begin("s")  # the order was for one generation
        assert await log.append("s", second, 1, ()) is False
        assert await log.stop("s", first) == "ended"
        assert await log.stop("s", second + 10) == "unknown"
        assert await log.append("s", second, 1, ()) is False
        assert not await log.wait_for_stop("s", second, 0.01)
        assert await log.stop("s", second) == "stopping"
        assert await log.stop("s") == "stopping"
        assert await log.append("s", second, 1, numbered(1, 1)) is True
        await log.close("s", second, End("stopped"))
        assert await log.stop("s") == "pending"
        third = await log.begin("s")
        assert await log.append("s", third, 1, ()) is True


async def a_stop_wakes_the_producer(make: Make) -> None:
    """The producer is told while it waits for its source, of a stop and of its own end."""
    async with make() as log:

        async def later(call: Callable[[], Awaitable[Any]]) -> None:
            await pause(0.02)
            await call()

        epoch = await log.begin("s", lease=LONG)
        told = await together(
            log.wait_for_stop("s", epoch, LONG), later(lambda: log.stop("s", epoch))
        )
        assert told[0] is True
        new = await log.begin("s", lease=LONG, replace=True)
        told = await together(
            log.wait_for_stop("s", new, LONG), later(lambda: log.close("s", new, DONE))
        )
        assert told[0] is True


async def refuses_what_it_cannot_keep(make: Make) -> None:
    """Wrong arguments are FrameErrors, and nothing of their batch is kept."""
    async with make(max_bytes=10_000) as log:
        for name in ("", "x" * 513, "a\0b", "\ud800", 5):
            await refused(log.begin(name), FrameError)  # type: ignore[arg-type]
        for lease in (0, -1, float("nan"), float("inf"), "1"):
            await refused(log.begin("s", lease=lease), FrameError)  # type: ignore[arg-type]
        epoch = await log.begin("s")
        large, text = Record(b"x" * 10_001), Record("text")  # type: ignore[arg-type]
        for wrong in (large, text, Record(b"", retry=-1)):
            await refused(log.append("s", epoch, 1, [Record(b"1"), wrong]), FrameError)
        await refused(log.close("s", epoch, End("other")), FrameError)  # type: ignore[arg-type]
        await refused(log.read("s", limit=-1), FrameError)
        assert (await log.read("s")).newest == 0


async def is_closed_for_good(make: Make) -> None:
    """A closed log raises LogError, and may be closed twice."""
    async with make() as log:
        epoch = await log.begin("s")
        await log.aclose()
        await log.aclose()
        for call in (
            log.begin("t"),
            log.append("s", epoch, 1, numbered(1, 1)),
            log.read("s"),
            log.stop("s"),
        ):
            await refused(call, LogError)
