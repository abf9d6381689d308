"""WSGI responses under wsgiref's validator: bytes, failures, and early closes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from scripted_asgi import (
    DONE,
    INTERNAL,
    PRELUDE,
    asynchronous,
    text,
)
from scripted_wsgi import (
    HEADERS,
    Blocking,
    Exchange,
    error_of,
)

SECRET = "the key is sk-123"
HEARTBEAT = b": keep-alive\n\n"


# ---- sync sources in the server's thread ----


def test_each_item_of_a_sync_source_is_a_chunk_and_none_is_read_ahead(gs: Any) -> None:
    source, outcomes = Blocking("a", "b"), []
    exchange = Exchange(gs.wsgi.SSEResponse(source, on_close=outcomes.append))
    assert exchange.status == "200 OK"
    assert exchange.headers == HEADERS
    assert source.asked == 1
    assert (exchange.take(), source.asked) == (PRELUDE + text("a"), 1)
    assert (exchange.take(), source.asked) == (text("b"), 2)
    assert (exchange.take(), source.asked) == (DONE, 3)
    assert exchange.take() is None
    exchange.close()
    assert source.closed >= 1
    assert source.threads == {threading.current_thread()}
    assert [(each.kind, each.events, each.bytes) for each in outcomes] == [
        ("completed", 2, len(exchange.body))
    ]


def test_ndjson_is_lines_and_an_empty_source_completes(gs: Any) -> None:
    exchange = Exchange(gs.wsgi.NDJSONResponse(["a"])).read()
    assert exchange.headers == {**HEADERS, "Content-Type": "application/x-ndjson"}
    assert exchange.chunks == [
        b'{"type":"text_delta","text":"a"}\n',
        b'{"type":"done","finished":true}\n',
    ]
    assert Exchange(gs.wsgi.SSEResponse([])).read().chunks == [PRELUDE + DONE]


def test_items_after_done_are_dropped_and_the_source_is_closed(gs: Any) -> None:
    source = Blocking("a", gs.events.Done(), "b")
    exchange = Exchange(gs.wsgi.SSEResponse(source)).read()
    assert exchange.body == PRELUDE + text("a") + DONE
    assert source.items == ["b"]
    assert source.closed >= 1


def test_a_media_type_and_incremental_are_sent(gs: Any) -> None:
    chosen = {"media_type": "application/jsonl", "incremental": True}
    exchange = Exchange(gs.wsgi.NDJSONResponse([], **chosen)).read()
    assert exchange.headers == {
        **HEADERS, "Content-Type": "application/jsonl", "Incremental": "?1",
    }  # fmt: skip


def test_status_and_headers_of_the_caller_are_sent(gs: Any) -> None:
    response = gs.wsgi.SSEResponse(
        [], status=299, headers={"cache-control": "private", "X-Mine": "1"}, cors=None
    )
    exchange = Exchange(response).read()
    assert exchange.status == "299 Status"
    assert exchange.headers["Cache-Control"] == "private"
    assert exchange.headers["X-Mine"] == "1"
    assert "Access-Control-Allow-Origin" not in exchange.headers


@pytest.mark.parametrize("failing", ["sync", "async"])
def test_a_source_that_fails_before_its_first_event_is_answered_with_a_status(
    gs: Any, failing: str
) -> None:
    outcomes: list[Any] = []

    def answer(error: Exception) -> Exchange:
        source = Blocking(error) if failing == "sync" else asynchronous(error)
        return Exchange(
            gs.wsgi.SSEResponse(source, cors="https://a.example", on_close=outcomes.append),
            HTTP_ORIGIN="https://a.example",
        ).read()

    exchange = answer(ValueError(SECRET))
    assert exchange.status == "500 Internal Server Error"
    assert error_of(exchange) == {"code": "internal", "message": "internal error"}
    assert exchange.headers["Access-Control-Allow-Origin"] == "https://a.example"
    assert exchange.headers["Vary"] == "Origin"
    exchange = answer(gs.StreamError("busy", code="busy", status=429, retry_after=1))
    assert exchange.status == "429 Too Many Requests"
    assert exchange.headers["Retry-After"] == "1"
    assert error_of(exchange) == {"code": "busy", "message": "busy"}
    assert [(each.kind, each.bytes) for each in outcomes] == [("failed", 0)] * 2


def test_a_source_that_fails_later_ends_with_the_error_and_without_done(gs: Any) -> None:
    outcomes: list[Any] = []
    source = Blocking("a", ValueError(SECRET))
    exchange = Exchange(gs.wsgi.SSEResponse(source, on_close=outcomes.append)).read()
    assert exchange.chunks == [PRELUDE + text("a"), INTERNAL]
    assert source.closed >= 1
    assert [(each.kind, each.events) for each in outcomes] == [("failed", 1)]


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_a_server_that_closes_early_closes_a_sync_source(gs: Any, taken: int) -> None:
    steps: list[str] = []

    def source() -> Iterator[str]:
        try:
            for letter in "abc":
                steps.append(letter)
                yield letter
        finally:
            steps.append("closed")

    outcomes: list[Any] = []
    exchange = Exchange(gs.wsgi.SSEResponse(source(), on_close=outcomes.append))
    for _ in range(taken):
        exchange.take()
    exchange.close()
    assert steps == [*"abc"[: max(taken, 1)], "closed"]
    assert [each.kind for each in outcomes] == ["client_gone"]


def test_a_close_at_the_last_chunk_means_that_the_client_has_left(gs: Any) -> None:
    outcomes: list[Any] = []
    exchange = Exchange(gs.wsgi.SSEResponse(["a"], on_close=outcomes.append))
    exchange.take()
    assert exchange.take() == DONE
    exchange.close()  # the server could not send it
    assert [each.kind for each in outcomes] == ["client_gone"]


# ---- async sources ----


def test_items_of_an_async_source_that_does_not_wait_are_merged(gs: Any) -> None:
    outcomes: list[Any] = []
    response = gs.wsgi.SSEResponse(asynchronous("a", "b"), on_close=outcomes.append)
    exchange = Exchange(response).read()
    assert exchange.headers == HEADERS
    assert exchange.chunks == [PRELUDE + text("a") + text("b") + DONE]
    assert [(each.kind, each.events) for each in outcomes] == [("completed", 2)]


def test_an_async_source_that_waits_gets_heartbeats(gs: Any) -> None:
    released = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        yield "a"
        await released.wait()
        yield "b"

    options = gs.SSEOptions(heartbeat_interval=0.01)
    exchange = Exchange(gs.wsgi.SSEResponse(source(), options))
    assert exchange.take() == PRELUDE + text("a")
    assert [exchange.take() for _ in range(3)] == [HEARTBEAT] * 3
    released.set()  # the loop runs in this thread, while a chunk is taken
    exchange.read()
    assert exchange.body.replace(HEARTBEAT, b"") == PRELUDE + text("a") + text("b") + DONE


async def failing_later(error: Exception) -> AsyncIterator[str]:
    await asyncio.sleep(0.02)  # about as long as a service takes to refuse
    raise error
    yield ""


@pytest.mark.parametrize("hold", [False, True])
def test_an_async_source_that_fails_after_waiting_has_a_status_if_headers_are_held(
    gs: Any, hold: bool
) -> None:
    source = failing_later(gs.StreamError("no", status=410))
    exchange = Exchange(gs.wsgi.SSEResponse(source, hold_headers=hold)).read()
    assert exchange.status == ("410 Gone" if hold else "200 OK")
    assert exchange.body.startswith(b"{" if hold else PRELUDE)
    assert (b"event: error" in exchange.body) is not hold
    assert b"done" not in exchange.body


@pytest.mark.parametrize("taken", [0, 1])
def test_a_server_that_closes_early_closes_an_async_source_and_lets_it_clean_up(
    gs: Any, taken: int
) -> None:
    steps: list[str] = []

    async def source() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("closed")

    outcomes: list[Any] = []
    exchange = Exchange(gs.wsgi.SSEResponse(source(), on_close=outcomes.append))
    for _ in range(taken):
        assert exchange.take() == PRELUDE + text("a")
    exchange.close()
    assert steps == ["closed"]
    assert [(each.kind, each.events) for each in outcomes] == [("client_gone", 1)]


# ---- sync sources in a helper thread ----


def test_a_helper_thread_writes_heartbeats_and_merges_bursts_of_a_blocking_source(gs: Any) -> None:
    released, threads = threading.Event(), []

    def source() -> Iterator[str]:
        threads.append(threading.current_thread())
        yield "a"
        released.wait(10)
        yield from "b" * 500

    options = gs.SSEOptions(heartbeat_interval=0.01)
    exchange = Exchange(gs.wsgi.SSEResponse(source(), options, helper_thread=True))
    while exchange.chunks[-2:] != [HEARTBEAT] * 2:
        exchange.take()
    released.set()
    exchange.read()
    expected = PRELUDE + text("a") + text("b") * 500 + DONE
    assert exchange.body.replace(HEARTBEAT, b"") == expected
    assert len(exchange.chunks) < 250
    assert threads[0] is not threading.current_thread()
    threads[0].join(5)
    assert not threads[0].is_alive()


def test_a_helper_thread_closes_its_source_once_it_goes_on(
    gs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gs.loops.sources, "LONGEST_END", 0.01)
    blocked, closed, threads = threading.Event(), threading.Event(), []

    def source() -> Iterator[str]:
        threads.append(threading.current_thread())
        try:
            yield "a"
            blocked.wait(10)
            yield "b"
        finally:
            closed.set()

    exchange = Exchange(gs.wsgi.SSEResponse(source(), helper_thread=True))
    exchange.take()
    exchange.close()
    assert not closed.is_set()
    blocked.set()
    assert closed.wait(5)
    threads[0].join(5)
    assert not threads[0].is_alive()
