"""`resumable` under WSGI: a helper thread reads the source, and every request follows the log."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from frames import said
from loops import DEADLINE, helper_threads
from resumed import PRELUDE, after, ids
from scripted_wsgi import Blocking, Exchange

pytest.importorskip("uvicorn", reason="uvicorn is not installed")

from real_servers import until


@pytest.fixture(autouse=True)
def streams(gs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The open streams of the process, for this test only: none may be left, nor a thread."""
    streams = gs.streaming.thread_streams.ThreadStreams()
    monkeypatch.setattr(gs.streaming.thread_streams, "in_threads", streams)
    yield streams
    for thread in helper_threads():
        thread.join(DEADLINE)
        assert not thread.is_alive()
    assert not streams.streams


def blocking(let_go: threading.Event) -> Iterator[Any]:
    yield "a"
    let_go.wait(DEADLINE)
    yield "b"


async def asynchronous(let_go: threading.Event) -> AsyncIterator[Any]:
    yield "a"
    while not let_go.is_set():  # noqa: ASYNC110 - another thread sets it
        await asyncio.sleep(0.005)
    yield "b"


KINDS = pytest.mark.parametrize("make", [blocking, asynchronous])


def ask(
    gs: ModuleType, log: Any, source: Any = None, after: str | None = None, *,
    method: str = "GET", headers: dict[str, str] | None = None, **settings: Any,
) -> Exchange:  # fmt: skip
    settings = {"authorize": None, **settings}
    environ = {} if after is None else {"HTTP_LAST_EVENT_ID": after}
    response = gs.wsgi.resumable(log, settings.pop("stream", "s"), source, **settings)
    return Exchange(response, method, **environ, **(headers or {}))


def begun(gs: ModuleType, log: Any, source: Any, **settings: Any) -> Exchange:
    """Begin a stream whose first piece was sent."""
    exchange = ask(gs, log, source, **settings)
    while said("a") not in exchange.body:
        exchange.take()
    return exchange


def outcome(exchange: Exchange) -> tuple[str, str | None]:
    return exchange.status[:3], exchange.headers.get("Gaistream-Replay")


@KINDS
def test_a_source_goes_on_without_its_request_and_others_follow_it(
    gs: ModuleType, make: Callable[..., Any]
) -> None:
    log, let_go, outcomes = gs.replay.MemoryLog(), threading.Event(), []
    first = begun(gs, log, make(let_go), on_close=outcomes.append)
    assert outcome(first) == ("200", "complete")
    assert first.headers["Gaistream-Stream"] == "s"
    first.close()
    assert not outcomes
    second = ask(gs, log, after=ids(first.body)[-1])
    let_go.set()
    second.read()
    assert said("b") in second.body
    assert said("a") not in second.body
    whole = ask(gs, log).read()
    assert whole.body == first.body + second.body.removeprefix(PRELUDE)
    assert outcome(whole) == ("200", "ended")
    assert outcome(ask(gs, log, after=ids(whole.body)[-1]).read()) == ("204", "ended")
    until(lambda: outcomes)
    assert (outcomes[0].kind, outcomes[0].message.text) == ("client_gone", "ab")


def test_the_outcome_comes_once_the_request_has_ended_too(gs: ModuleType) -> None:
    log, outcomes = gs.replay.MemoryLog(), []
    exchange = ask(gs, log, Blocking("a"), on_close=outcomes.append)
    until(lambda: gs.replay.run_in_thread(log.read("s")).end)
    assert not outcomes
    exchange.read()
    until(lambda: outcomes)
    assert (outcomes[0].kind, outcomes[0].events) == ("completed", 1)
    assert outcomes[0].bytes == len(exchange.body)


def test_every_replay_has_the_same_bytes_and_those_of_asgi(gs: ModuleType) -> None:
    log = gs.replay.MemoryLog()
    items = ["a", gs.events.ToolCall("1", "t", {"x": 1}), gs.events.Finish()]
    for number, dialect in enumerate(("gai", "openai_chat", "anthropic")):
        stream = f"s{number}"
        live = ask(gs, log, Blocking(*items), stream=stream, dialect=dialect).read()
        assert ask(gs, log, stream=stream, dialect=dialect).read().body == live.body
        for id in ids(live.body)[:-1]:
            resumed = ask(gs, log, stream=stream, dialect=dialect, after=id).read()
            assert resumed.body.removeprefix(PRELUDE) == after(live.body, id)


def test_a_second_request_follows_and_its_source_is_closed_unread(gs: ModuleType) -> None:
    log, let_go, unused = gs.replay.MemoryLog(), threading.Event(), Blocking("x")
    first = begun(gs, log, blocking(let_go))
    second = begun(gs, log, unused)
    let_go.set()
    assert first.read().body == second.read().body
    assert (unused.asked, unused.closed) == (0, 1)


def test_a_refusal_is_404_and_begins_nothing(gs: ModuleType) -> None:
    log, unused, asked = gs.replay.MemoryLog(), Blocking("x"), []

    async def authorize(request: Any, stream: str) -> bool:
        asked.append((request.headers.get("user"), stream))
        return request.headers.get("user") == "me"

    refused = ask(gs, log, unused, authorize=authorize).read()
    assert refused.status[:3] == "404"
    assert json.loads(refused.body)["error"]["code"] == "not_found"
    assert (unused.asked, unused.closed) == (0, 1)
    assert outcome(ask(gs, log, authorize=lambda *_: True).read()) == ("204", "expired")
    me = {"HTTP_USER": "me"}
    assert ask(gs, log, Blocking("a"), authorize=authorize, headers=me).read().status[:3] == "200"
    assert asked == [(None, "s"), ("me", "s")]


def test_a_source_that_fails_at_once_gets_its_status(gs: ModuleType) -> None:
    log = gs.replay.MemoryLog()
    failing = Blocking(gs.StreamError("busy", code="busy", status=429, retry_after=3))
    failed = ask(gs, log, failing, hold_headers=True).read()
    assert (failed.status[:3], failed.headers["Retry-After"]) == ("429", "3")


def test_a_stop_ends_the_source_and_the_stream(gs: ModuleType) -> None:
    log, let_go = gs.replay.MemoryLog(), threading.Event()
    exchange = begun(gs, log, asynchronous(let_go))
    assert gs.replay.run_in_thread(log.stop("s")) == "stopping"
    assert b'"code":"stopped"' in exchange.read().body
    assert gs.replay.run_in_thread(log.read("s")).end.kind == "stopped"


def test_a_drain_ends_the_source_and_its_followers(gs: ModuleType) -> None:
    log = gs.replay.MemoryLog()
    exchange = begun(gs, log, asynchronous(threading.Event()))
    drain = gs.wsgi.drain(grace=0)
    assert b"event: done" not in exchange.read().body
    assert drain.wait(DEADLINE)
    unused = Blocking("x")
    assert ask(gs, log, unused).read().status[:3] == "503"
    assert (unused.asked, unused.closed) == (0, 1)
    assert gs.replay.run_in_thread(log.read("s")).end.kind == "drained"
    drain.cancel()
    assert b"the server was stopped" in ask(gs, log).read().body


def test_the_exit_of_the_process_ends_the_source(gs: ModuleType) -> None:
    log = gs.replay.MemoryLog()
    begun(gs, log, asynchronous(threading.Event())).close()
    gs.loops.helper_threads.helper_threads.end_all()
    assert gs.replay.run_in_thread(log.read("s")).end.kind == "drained"


def test_a_source_for_which_no_thread_is_left_is_503_and_its_stream_has_ended(
    gs: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, unused = gs.replay.MemoryLog(), Blocking("x")
    monkeypatch.setattr(gs.loops.helper_threads.helper_threads, "limit", 0)
    refused = ask(gs, log, unused).read()
    assert (refused.status[:3], refused.headers["Retry-After"]) == ("503", "5")
    assert (unused.asked, unused.closed) == (0, 1)
    assert gs.replay.run_in_thread(log.read("s")).end.kind == "cancelled"


def test_a_log_that_cannot_be_used_is_503(gs: ModuleType, tmp_path: Any) -> None:
    log = gs.replay.SQLiteLog(tmp_path)  # a folder
    for source in (None, Blocking("x")):
        refused = ask(gs, log, source).read()
        assert (refused.status[:3], refused.headers["Retry-After"]) == ("503", "1")
    gs.replay.run_in_thread(log.aclose())
