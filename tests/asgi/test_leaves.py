"""Clients of ASGI responses that leave, stall, or read slowly: the source is closed or paused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from loops import turns
from scripted_asgi import (
    DONE,
    PRELUDE,
    Connection,
    Gate,
    Source,
    asynchronous,
    run,
    text,
)


def test_a_waiting_source_is_closed_as_soon_as_the_client_leaves(gs: Any) -> None:
    async def test() -> None:
        source = Source("a", "b")
        async with gs.testing.stream(gs.asgi.SSEResponse(source)) as s:
            await source.waiting.wait()
            await s.disconnect()
            assert source.closed == 1
        expected = PRELUDE + text("a") + text("b")
        assert (s.body, s.complete) == (expected, False)
        outcome = s.outcome
        assert (outcome.kind, outcome.events, outcome.bytes) == ("client_gone", 2, len(expected))

    run(test())


@pytest.mark.parametrize("hold", [False, True])
def test_the_source_is_closed_if_the_client_left_before_the_start(gs: Any, hold: bool) -> None:
    async def test() -> None:
        source, connection, outcomes = Source("a"), Connection(), []
        connection.leave()
        response = gs.asgi.SSEResponse(source, hold_headers=hold, on_close=outcomes.append)
        await connection.serve(response)
        assert source.closed == 1
        assert [each.kind for each in outcomes] == ["client_gone"]
        assert not connection.is_complete

    run(test())


@pytest.mark.parametrize("end", ["leaves", "is cancelled"])
def test_a_clean_up_that_waits_is_not_broken_off(gs: Any, end: str) -> None:
    async def test() -> None:
        connection, steps = Connection(), []

        async def source() -> AsyncIterator[str]:
            try:
                yield "a"
                steps.append("waits")
                await asyncio.Event().wait()
            finally:
                steps.append("cleans")
                for _ in range(5):
                    await asyncio.sleep(0)
                steps.append("cleaned")

        outcomes: list[Any] = []
        task = connection.begin(gs.asgi.SSEResponse(source(), on_close=outcomes.append))
        await connection.until_said(text("a"))
        if end == "leaves":
            connection.leave()
            await task
        else:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert steps == ["waits", "cleans", "cleaned"]
        kind = "client_gone" if end == "leaves" else "cancelled"
        assert [each.kind for each in outcomes] == [kind]

    run(test())


def test_a_clean_up_after_done_is_not_cancelled(gs: Any) -> None:
    async def test() -> None:
        connection, gate, steps = Connection(), Gate(), []

        async def source() -> AsyncIterator[Any]:
            try:
                yield gs.events.Done()
            finally:
                await gate()
                steps.append("cleaned")

        task = connection.begin(gs.asgi.SSEResponse(source()))
        await gate.arrival()
        await connection.until_said(DONE)
        connection.leave()
        for _ in range(5):
            await asyncio.sleep(0)
        gate.open()
        await task
        assert steps == ["cleaned"]

    run(test())


def test_a_source_that_ignores_its_cancellation_is_closed_at_its_next_event(gs: Any) -> None:
    async def test() -> None:
        connection, steps = Connection(), []

        async def source() -> AsyncIterator[str]:
            try:
                while True:
                    try:
                        yield "a"
                        await asyncio.Event().wait()
                    except asyncio.CancelledError:
                        steps.append("ignored")
            finally:
                steps.append("closed")

        task = connection.begin(gs.asgi.SSEResponse(source()))
        await connection.until_said(text("a"))
        connection.leave()
        await task
        assert steps == ["ignored", "closed"]
        assert connection.body.count(text("a")) == 1

    run(test())


@pytest.mark.parametrize("where", ["start", "chunk", "end"])
def test_a_send_that_raises_oserror_means_that_the_client_has_left(gs: Any, where: str) -> None:
    async def test() -> None:
        connection, outcomes = Connection(), []
        source = asynchronous("a") if where == "end" else Source("a")

        def refuse(message: dict[str, Any]) -> None:
            at = {"start": "headers" in message, "chunk": message.get("more_body", False)}
            if at.get(where, "more_body" in message and not message["more_body"]):
                raise ConnectionResetError("gone")

        connection.before_send = refuse
        await connection.serve(gs.asgi.SSEResponse(source, on_close=outcomes.append))
        assert [each.kind for each in outcomes] == ["client_gone"]
        assert len(connection.sent) == ["start", "chunk", "end"].index(where)
        if isinstance(source, Source):
            assert source.closed == 1

    run(test())


def test_another_error_of_send_is_raised_and_the_source_closed(gs: Any) -> None:
    async def test() -> None:
        source, connection = Source("a"), Connection()

        def refuse(message: dict[str, Any]) -> None:
            if "more_body" in message:
                raise RuntimeError("the server is broken")

        connection.before_send = refuse
        with pytest.raises(RuntimeError, match="the server is broken"):
            await connection.serve(gs.asgi.SSEResponse(source))
        assert source.closed == 1

    run(test())


@pytest.mark.parametrize(("size", "kind"), [(1_000, "completed"), (10_000, "client_gone")])
def test_a_client_that_leaves_during_a_large_last_chunk_has_not_got_it(
    gs: Any, size: int, kind: str
) -> None:
    async def source() -> AsyncIterator[str]:
        await asyncio.sleep(0)
        yield "a" * size

    async def test() -> None:
        connection, gate, outcomes = Connection(), Gate(), []
        connection.before_send = lambda message: (
            gate() if b"aaa" in message.get("body", b"") else None
        )
        task = connection.begin(gs.asgi.SSEResponse(source(), on_close=outcomes.append))
        await gate.arrival()
        connection.leave()
        await turns(3)
        gate.open()  # as servers do: the send returns, and nothing was sent
        await task
        assert [each.kind for each in outcomes] == [kind]

    run(test())


def test_a_blocked_send_is_broken_off_when_the_client_leaves(gs: Any) -> None:
    async def test() -> None:
        source = Source("a")
        async with gs.testing.stream(gs.asgi.SSEResponse(source), read_ahead=1) as s:
            await source.waiting.wait()
            await s.disconnect()
            assert source.closed == 1
        assert s.outcome.kind == "client_gone"

    run(test())


@pytest.mark.parametrize("where", ["start", "chunk", "end"])
def test_a_send_that_takes_too_long_ends_the_stream_as_stalled(gs: Any, where: str) -> None:
    async def test() -> None:
        connection, outcomes = Connection(), []
        source = asynchronous("a") if where == "end" else Source("a")

        def block(message: dict[str, Any]) -> Any:
            at = {"start": "headers" in message, "chunk": message.get("more_body", False)}
            if at.get(where, "more_body" in message and not message["more_body"]):
                return asyncio.Event().wait()
            return None

        connection.before_send = block
        response = gs.asgi.SSEResponse(source, send_timeout=0.05, on_close=outcomes.append)
        await connection.serve(response)
        [outcome] = outcomes
        assert outcome.kind == "stalled"
        assert 0.05 <= outcome.seconds < 5
        assert not connection.is_complete
        if isinstance(source, Source):
            assert source.closed == 1

    run(test())


def test_a_source_is_paused_while_the_client_reads_nothing(gs: Any) -> None:
    async def test() -> None:
        connection, gate, yielded = Connection(), Gate(), []

        async def endless() -> AsyncIterator[str]:
            while True:
                yielded.append(1)
                yield "x" * 1000

        connection.before_send = lambda message: gate() if "more_body" in message else None
        task = connection.begin(gs.asgi.SSEResponse(endless()))
        counts = []
        for _ in range(3):
            await gate.arrival()
            before = -1
            while before != len(yielded):  # until it stands still
                before = len(yielded)
                for _ in range(20):
                    await asyncio.sleep(0)
            counts.append(before)
            gate.open()
        connection.leave()
        await task
        assert 256 <= counts[0] < counts[1] < counts[2] < 3 * 400 + 100

    run(test())
