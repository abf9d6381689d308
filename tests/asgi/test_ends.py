"""The end of ASGI responses: cancellations, `receive`, blocking sources, and `on_close`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from scripted_asgi import (
    DONE,
    PRELUDE,
    Connection,
    Gate,
    Source,
    asynchronous,
    body,
    run,
    start,
    text,
)

# ---- the server ----


@pytest.mark.parametrize("blocked", [False, True])
def test_a_cancellation_by_the_server_is_raised_and_the_source_closed(
    gs: Any, blocked: bool
) -> None:
    async def test() -> None:
        source, connection, gate, outcomes = Source("a"), Connection(), Gate(), []
        if blocked:
            connection.before_send = lambda message: gate() if "more_body" in message else None
        task = connection.begin(gs.asgi.SSEResponse(source, on_close=outcomes.append))
        await (gate.arrival() if blocked else connection.until_said(text("a")))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert source.closed == 1
        assert [each.kind for each in outcomes] == ["cancelled"]

    run(test())


def test_a_receive_that_repeats_itself_for_ever_does_no_harm(gs: Any) -> None:
    async def source() -> AsyncIterator[str]:
        for _ in range(50):
            await asyncio.sleep(0)
        yield "a"

    async def test() -> None:
        for more in (False, True):
            connection, heard = Connection(), []

            async def repeat(more: bool = more, heard: list[bool] = heard) -> dict[str, Any]:
                heard.append(more)
                return {"type": "http.request", "body": b"", "more_body": more}

            connection.receive = repeat  # type: ignore[method-assign]
            await connection.serve(gs.asgi.SSEResponse(source()))
            last = body(text("a") + DONE, more=False)
            assert connection.sent == [start(), body(PRELUDE), last]
            assert more or len(heard) == 2  # a server that has sent it all is asked no more

    run(test())


def test_a_receive_that_raises_does_not_end_the_stream(
    gs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        gate, connection = Gate(), Connection()

        async def broken() -> dict[str, Any]:
            raise RuntimeError("nothing to receive")

        async def source() -> AsyncIterator[str]:
            await gate()
            yield "a"

        connection.receive = broken  # type: ignore[method-assign]
        task = connection.begin(gs.asgi.SSEResponse(source()))
        await gate.arrival()
        gate.open()
        await task
        assert connection.body == PRELUDE + text("a") + DONE
        assert connection.is_complete

    run(test())
    assert "nothing to receive" in caplog.text


def test_a_stream_is_three_tasks_and_none_afterwards(gs: Any) -> None:
    async def test() -> None:
        before = asyncio.all_tasks()
        connections, tasks = [Connection() for _ in range(10)], []
        for connection in connections:
            tasks.append(connection.begin(gs.asgi.SSEResponse(Source("a"))))
            await connection.until_said(text("a"))
        assert len(asyncio.all_tasks() - before) == 3 * 10
        for connection in connections:
            connection.leave()
        await asyncio.gather(*tasks)
        assert asyncio.all_tasks() == before

    run(test())


def test_an_unread_body_does_not_hide_that_the_client_leaves(gs: Any) -> None:
    async def test() -> None:
        source, connection = Source("a"), Connection("POST")
        connection.hear(b"x", more=True).hear(b"y", more=True).hear()
        task = connection.begin(gs.asgi.SSEResponse(source))
        await connection.until_said(text("a"))
        connection.leave()
        await task
        assert source.closed == 1

    run(test())


# ---- blocking sources ----


def test_a_sync_generator_runs_in_a_thread_which_ends_with_it(gs: Any) -> None:
    threads = []

    def source() -> Iterator[str]:
        threads.append(threading.current_thread())
        yield "a"
        yield "b"

    async def test() -> None:
        served = await Connection().serve(gs.asgi.SSEResponse(source()))
        assert served.body == PRELUDE + text("a") + text("b") + DONE
        assert served.is_complete

    run(test())
    assert threads[0] is not threading.current_thread()
    threads[0].join(5)
    assert not threads[0].is_alive()


def test_a_sync_generator_is_closed_in_its_own_thread_once_it_goes_on(
    gs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gs.loops.sources, "LONGEST_END", 0.01)
    blocked, closed_in, threads = threading.Event(), [], []

    def source() -> Iterator[str]:
        threads.append(threading.current_thread())
        try:
            yield "a"
            blocked.wait(10)
            yield "b"
        finally:
            closed_in.append(threading.current_thread())

    async def test() -> None:
        connection = Connection()
        task = connection.begin(gs.asgi.SSEResponse(source()))
        await connection.until_said(text("a"))
        connection.leave()
        await task  # waits only a moment for the thread, which nothing can interrupt
        assert not closed_in
        blocked.set()

    run(test())
    threads[0].join(5)
    assert closed_in == threads
    assert not threads[0].is_alive()


# ---- on_close ----


def test_on_close_is_awaited_when_everything_is_closed(gs: Any) -> None:
    async def test() -> None:
        source, connection, seen = Source("a"), Connection(), []

        async def on_close(outcome: Any) -> None:
            await asyncio.sleep(0)
            seen.append((outcome.kind, source.closed, len(asyncio.all_tasks())))

        task = connection.begin(gs.asgi.SSEResponse(source, on_close=on_close))
        await connection.until_said(text("a"))
        connection.leave()
        await task
        assert seen == [("client_gone", 1, 2)]

    run(test())


def test_an_error_of_on_close_is_logged_and_harms_nothing(
    gs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        def on_close(_: Any) -> None:
            raise RuntimeError("broken report")

        served = await Connection().serve(gs.asgi.SSEResponse(asynchronous("a"), on_close=on_close))
        assert served.is_complete

    run(test())
    assert "broken report" in caplog.text


@pytest.mark.parametrize(
    ("items", "kind", "events"),
    [
        (["a", "b"], "completed", 2),
        (["a", "done", "late"], "completed", 2),
        (["a", "error"], "failed", 2),
        (["a", "error", "b"], "completed", 3),
        (["a", ValueError("x")], "failed", 1),
        ([ValueError("x")], "failed", 0),
    ],
)
def test_the_outcome_has_the_kind_the_counts_and_the_error(
    gs: Any, items: list[Any], kind: str, events: int
) -> None:
    async def test() -> None:
        special = {"done": gs.events.Done(), "error": gs.events.Error("x")}
        given = [special.get(each, each) if isinstance(each, str) else each for each in items]
        outcomes: list[Any] = []
        response = gs.asgi.SSEResponse(asynchronous(*given), on_close=outcomes.append)
        served = await Connection().serve(response)
        [outcome] = outcomes
        assert (outcome.kind, outcome.events) == (kind, events)
        assert outcome.bytes == (len(served.body) if served.status == 200 else 0)
        assert outcome.error is next((each for each in items if isinstance(each, Exception)), None)
        assert served.body.endswith(DONE) is (kind == "completed")

    run(test())
