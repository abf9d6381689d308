"""Checks of what readers of a log see."""

from __future__ import annotations

import random

from ...errors import Fenced
from ...replay.log import Position, Record
from .tools import DONE, LONG, SHORT, Make, data_of, numbered, pause, read_all, refused, together


async def keeps_every_field_of_a_record(make: Make) -> None:
    """Any bytes and text are read as they were appended."""
    records = [
        Record(b""),
        Record(bytes(range(256)) * 40, "ünï-\U0001f600", "my id", 0),
        Record(b"x", "", "", 2**40),
        Record("é\n\0".encode()),
        Record(b"\xff\xfe", None, None, 3000),
    ]
    async with make() as log:
        epoch = await log.begin("s")
        await log.append("s", epoch, 1, records)
        page = await log.read("s")
        assert list(page.records) == records
        assert all(type(each) is Record for each in page.records)
        assert page.ids == [f"{epoch}-{seq}" for seq in range(1, 6)]


async def resumes_at_every_position(make: Make) -> None:
    """From every index, in every form of the position, exactly the rest is read."""
    async with make() as log:
        epoch = await log.begin("s")
        first = 1
        for count in (1, 3, 1, 7, 20):
            await log.append("s", epoch, first, numbered(first, count))
            first += count
        for ended in (False, True):
            for seq in range(first):
                page = await log.read("s", f"{epoch}-{seq}")
                assert page.outcome == ("ended" if ended else "complete")
                assert page.reason == ""
                assert data_of([page]) == list(range(seq + 1, first))
                assert page == (await log.read("s", Position(epoch, seq)))._replace(
                    lease_left=page.lease_left
                )
                assert page.end == (DONE if ended else None)
                short = await log.read("s", f"{epoch}-{seq}", limit=2)
                assert data_of([short]) == list(range(seq + 1, first))[:2]
                assert (short.oldest, short.newest) == (1, first - 1)
            assert (await log.read("s", limit=0)).records in ([], ())
            await log.close("s", epoch, DONE)


async def says_what_is_missing(make: Make) -> None:
    """Unknown ids are ignored, and the outcome tells why."""
    async with make() as log:
        assert (await log.read("s")).outcome == "expired"
        assert (await log.read("s", "1-1")).outcome == "expired"
        epoch = await log.begin("s")
        await log.append("s", epoch, 1, numbered(1, 3))
        for after, reason in [
            (f"{epoch}-4", "future"),
            (f"{epoch}-{10**17}", "future"),
            (f"{epoch - 1}-2", "restarted"),
            (f"{epoch + 1}-0", "restarted"),
            (f"{epoch}-01", "invalid_id"),
            (f"{epoch}-1\n", "invalid_id"),
            (f" {epoch}-1", "invalid_id"),
            (f"{epoch}--1", "invalid_id"),
            ("", "invalid_id"),
            ("-", "invalid_id"),
            ("\0\xff", "invalid_id"),
            ("\ud800", "invalid_id"),
            ("١-١", "invalid_id"),
            ("9" * 10_000 + "-1", "invalid_id"),
        ]:
            page = await log.read("s", after)
            assert (page.outcome, page.reason) == ("gap", reason), after
            assert data_of([page]) == [1, 2, 3]


async def trims_and_says_so(make: Make) -> None:
    """Bounds of events and bytes hold, and a reader before the oldest record has a gap."""
    for bounds in ({"max_events": 100}, {"max_bytes": 100 * 240}):
        async with make(**bounds) as log:
            epoch = await log.begin("s")
            for first in range(1, 2001, 10):
                batch = [each._replace(data=each.data.ljust(240)) for each in numbered(first, 10)]
                await log.append("s", epoch, first, batch)
            page = await log.read("s", f"{epoch}-5")
            assert (page.outcome, page.reason) == ("gap", "trimmed")
            assert page.newest == 2000
            assert 1900 < page.first == page.oldest <= 2000
            assert data_of([page]) == list(range(page.oldest, 2001))
            assert (await log.read("s")).reason == "trimmed"
            assert (await log.read("s", Position(epoch, page.oldest - 1))).outcome == "complete"
            await log.close("s", epoch, DONE)
            assert (await log.read("s")).outcome == "gap"
            assert (await log.read("s")).end == DONE


async def pages_are_bounded(make: Make) -> None:
    """A page has about a mebibyte at most, and at least one record."""
    async with make(max_bytes=8 * 2**20) as log:
        epoch = await log.begin("s")
        records = [Record(b"x" * 300_000)] * 6 + [Record(b"y" * 2_000_000)] + [Record(b"z")] * 600
        for index in range(0, len(records), 10):
            await log.append("s", epoch, index + 1, records[index : index + 10])
        await log.close("s", epoch, DONE)
        pages = await read_all(log, "s")
        assert [record for page in pages for record in page.records] == records
        for page in pages:
            assert len(page.records) <= 500
            assert len(page.records) == 1 or sum(len(each.data) for each in page.records) <= 2**20


async def follows_without_a_seam(make: Make) -> None:
    """Readers that come at any moment, at any position, read each record once and in order."""
    count, readers = 300, 12
    chance = random.Random(20)  # noqa: S311
    async with make() as log:
        epoch = await log.begin("s", lease=LONG)

        async def produce() -> None:
            seq = 1
            while seq <= count:
                batch = min(chance.choice((1, 1, 2, 5, 40)), count + 1 - seq)
                await log.append("s", epoch, seq, numbered(seq, batch))
                seq += batch
                if chance.random() < 0.3:
                    await pause(0.001)
            await log.close("s", epoch, DONE)

        async def follow(delay: float) -> None:
            await pause(delay)
            seen: list[int] = []
            after: Position | None = None
            while True:  # it leaves and comes back
                budget = chance.randrange(1, 60)
                async for page in log.follow("s", after, limit=chance.randrange(1, 50)):
                    assert page.outcome in ("complete", "ended")
                    seen += data_of([page])
                    after = page.position
                    budget -= 1
                    if page.end is not None or budget == 0:
                        break
                if page.end is not None:
                    break
            assert seen == list(range(1, count + 1))

        await together(produce(), *[follow(0.002 * index) for index in range(readers)])


async def a_follower_that_fell_behind_is_told(make: Make) -> None:
    """What was trimmed or begun anew under a follower is a gap, and what was dropped is expired."""
    async with make(max_events=50) as log:
        epoch = await log.begin("s")
        await log.append("s", epoch, 1, numbered(1, 1))
        pages = log.follow("s")
        assert (await anext(pages)).outcome == "complete"
        for first in range(2, 402, 10):
            await log.append("s", epoch, first, numbered(first, 10))
        page = await anext(pages)
        assert (page.outcome, page.reason) == ("gap", "trimmed")
        assert data_of([page]) == list(range(page.oldest, 402))
        new = await log.begin("s", replace=True)
        page = await anext(pages)
        assert (page.outcome, page.reason, page.epoch) == ("gap", "restarted", new)
        assert await log.expire("s") == 1
        assert (await anext(pages)).outcome == "expired"
        await refused(anext(pages), StopAsyncIteration)


async def expires_when_it_is_old(make: Make) -> None:
    """A stream that has ended is kept for its age, and one that is alive stays."""
    async with make(max_age=SHORT) as log:
        epoch = await log.begin("s")
        await log.append("s", epoch, 1, numbered(1, 3))
        alive = await log.begin("alive", lease=LONG)
        await log.append("alive", alive, 1, numbered(1, 1))
        await log.close("s", epoch, DONE)
        assert data_of([await log.read("s")]) == [1, 2, 3]
        await pause(SHORT * 1.5)
        assert (await log.read("s")).outcome == "expired"
        await refused(log.append("s", epoch, 4, numbered(4, 1)), Fenced)
        await log.expire()
        assert data_of([await log.read("alive")]) == [1]
        assert await log.expire("alive") == 1
        assert await log.expire("alive") == 0
        await refused(log.append("alive", alive, 2, numbered(2, 1)), Fenced)
        assert await log.begin("alive") > alive


async def keeps_streams_apart(make: Make) -> None:
    """What one stream's calls do is not seen in another, whatever its name."""
    names = ["a", "a ", "A", "ä", "a/b", "a%", "x" * 512, "{a}", "'; drop table streams; --"]
    async with make() as log:
        epochs = [await log.begin(name, lease=LONG) for name in names]
        for index, (name, epoch) in enumerate(zip(names, epochs, strict=True)):
            await log.append(name, epoch, 1, numbered(1, index + 1))
        await log.stop(names[0])
        await log.close(names[1], epochs[1], DONE)
        for index, name in enumerate(names):
            page = await log.read(name)
            assert page.newest == index + 1
            assert page.stopping == (index == 0)
            assert (page.end is not None) == (index == 1)


async def waits_no_longer_than_asked(make: Make) -> None:
    """A wait ends with False after its time, and at once if there is news."""
    async with make() as log:
        epoch = await log.begin("s")
        page = await log.read("s")
        assert await log.wait("s", page, 0.01) is False
        await log.append("s", epoch, 1, numbered(1, 1))
        assert await log.wait("s", page, LONG) is True
