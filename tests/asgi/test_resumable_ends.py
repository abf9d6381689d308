"""How kept streams end: failures, stops, lost producers, drains, logs that cannot be used."""

from __future__ import annotations

import asyncio
from typing import Any

from resumed import PRELUDE, Steered, after, ids, of, outcome, request, served
from scripted_asgi import run, text


def test_a_failed_source_is_an_error_in_every_replay(gs: Any) -> None:
    async def test() -> None:
        log = gs.replay.MemoryLog()
        failure = gs.StreamError("overloaded", code="busy")
        source = Steered("a", failure)
        first, response = request(gs, log, source)
        task = first.begin(response)
        await first.until_said(text("a"))
        source.gate.open()
        await task
        assert b'"error":"overloaded","code":"busy"' in first.body
        assert b"event: done" not in first.body
        assert (await served(gs, log)).body == first.body
        assert outcome(await served(gs, log, after=ids(first.body)[-1])) == (204, "ended")
        page = await log.read("s")
        assert page.end == gs.replay.End("failed", "overloaded")

    run(test())


def test_a_source_that_fails_at_once_gets_its_status(gs: Any) -> None:
    async def test() -> None:
        log = gs.replay.MemoryLog()
        failed = await served(gs, log, Steered(gs.StreamError("no", status=429, retry_after=3)))
        assert (failed.status, failed.headers["retry-after"]) == (429, "3")
        assert (await log.read("s")).end.kind == "failed"

        async def late() -> Any:
            await asyncio.sleep(0)
            raise gs.StreamError("no", status=418)
            yield

        held = await served(gs, log, late, stream="t", hold_headers=True)
        assert held.status == 418

    run(test())


def test_a_stop_ends_the_source_and_the_stream_for_all(gs: Any) -> None:
    async def test() -> None:
        log, source = gs.replay.MemoryLog(), Steered("a", "b")
        first, response = request(gs, log, source)
        task = first.begin(response)
        await first.until_said(text("a"))
        epoch = int(ids(first.body)[0].split("-")[0])
        assert await log.stop("s", epoch) == "stopping"
        await task
        assert b'"code":"stopped"' in first.body
        assert source.closed == 1
        assert (await log.read("s")).end.kind == "stopped"
        assert (await served(gs, log)).body == first.body
        assert await log.stop("s", epoch) == "ended"

    run(test())


def test_a_stop_before_the_stream_begins_keeps_its_source_unread(gs: Any) -> None:
    async def test() -> None:
        log, source = gs.replay.MemoryLog(), Steered("a")
        assert await log.stop("s") == "pending"
        stopped = await served(gs, log, source)
        assert b'"code":"stopped"' in stopped.body
        assert source.begun == 0
        anew = await served(gs, log, source, replace=True)
        assert text("a") in anew.body

    run(test())


def test_a_producer_that_died_ends_the_stream_with_an_error_within_its_lease(gs: Any) -> None:
    async def test() -> None:
        log = gs.replay.MemoryLog()
        epoch = await log.begin("s", lease=0.1)
        record = gs.replay.Record(b"1 a", "str")
        await log.append("s", epoch, 1, [record])
        follower = await served(gs, log)
        assert follower.body.startswith(PRELUDE + b"id: %d-1\n" % epoch + text("a"))
        assert b"its producer was lost" in follower.body
        assert b"event: done" not in follower.body
        last = ids(follower.body)[-1]
        assert last == f"{epoch}-2"
        assert outcome(await served(gs, log, after=last)) == (204, "ended")
        resumed = await served(gs, log, after=f"{epoch}-1")
        assert resumed.body == PRELUDE + after(follower.body, f"{epoch}-1")

    run(test())


def test_a_silent_source_keeps_its_lease(gs: Any) -> None:
    async def test() -> None:
        log, source = gs.replay.MemoryLog(), Steered("a", "b")
        first, response = request(gs, log, source, lease=0.06)
        task = first.begin(response)
        await first.until_said(text("a"))
        await asyncio.sleep(0.2)
        source.gate.open()
        await task
        assert text("b") in first.body
        assert b"event: done" in first.body

    run(test())


def test_a_drain_ends_the_source_and_says_so_and_lets_other_followers_reconnect(gs: Any) -> None:
    async def test() -> None:
        log, source = gs.replay.MemoryLog(), Steered("a", "b")
        await log.begin("of another server")
        first, response = request(gs, log, source)
        task = first.begin(response)
        other, response = request(gs, log, stream="of another server")
        following = other.begin(response)
        await first.until_said(text("a"))
        await other.until_said(PRELUDE)
        drain = gs.drain(grace=0.05, retry_ms=1234)
        await asyncio.gather(task, following)
        await drain
        assert other.body == PRELUDE + b"retry: 1234\n"
        assert b"event: error" in first.body
        assert b"the server was stopped" in first.body
        assert source.closed == 1
        assert (await log.read("s")).end.kind == "drained"
        assert (await log.read("of another server")).lease_left
        assert (await served(gs, log)).status == 503
        drain.cancel()
        assert (await served(gs, log)).body == first.body

    run(test())


def test_a_source_that_ends_in_the_grace_of_a_drain_is_kept_whole_without_its_client(
    gs: Any,
) -> None:
    async def test() -> None:
        log, source = gs.replay.MemoryLog(), Steered("a", "b")
        first, response = request(gs, log, source)
        task = first.begin(response)
        await first.until_said(text("a"))
        first.leave()
        await source.gate.arrival()
        drain = gs.drain(grace=5)
        assert not drain.ended.is_set()
        source.gate.open()
        await drain
        await task
        drain.cancel()
        whole = await served(gs, log)
        assert text("b") in whole.body
        assert b"event: done" in whole.body

    run(test())


def test_a_log_that_cannot_be_used_is_503_and_an_error_in_the_middle(
    gs: Any, tmp_path: Any
) -> None:
    async def test() -> None:
        broken = gs.replay.SQLiteLog(tmp_path)  # a folder
        for more in ({}, {"source": of(["a"])}):
            refused = await served(gs, broken, **more)
            assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        await broken.aclose()
        log, source = gs.replay.MemoryLog(), Steered("a", "b")
        first, response = request(gs, log, source)
        task = first.begin(response)
        await first.until_said(text("a"))
        await log.aclose()
        await task
        assert b'"code":"log_unavailable"' in first.body
        assert source.closed == 1

    run(test())
