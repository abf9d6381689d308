"""`on_disconnect="continue"` and `collect` under WSGI: the answer goes on in a helper thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from frames import said
from loops import DEADLINE, helper_threads
from scripted_wsgi import Exchange

pytest.importorskip("uvicorn", reason="uvicorn is not installed")

from real_servers import until


class Outcomes:
    """The outcome of one response, once it is there."""

    def __init__(self) -> None:
        self.all: list[Any] = []
        self.threads: list[threading.Thread] = []
        self._reported = threading.Event()

    def __call__(self, outcome: Any) -> None:
        self.all.append(outcome)
        self.threads.append(threading.current_thread())
        self._reported.set()

    def wait(self) -> Any:
        assert self._reported.wait(DEADLINE)
        for thread in helper_threads():
            thread.join(DEADLINE)
            assert not thread.is_alive()
        [outcome] = self.all
        return outcome


@pytest.fixture(autouse=True)
def streams(gs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The open streams of the process, for this test only: none may be left."""
    streams = gs.streaming.thread_streams.ThreadStreams()
    monkeypatch.setattr(gs.streaming.thread_streams, "in_threads", streams)
    yield streams
    assert not streams.streams


def blocking(gs: ModuleType, let_go: threading.Event) -> Iterator[Any]:
    yield "a"
    let_go.wait(DEADLINE)
    yield "b"
    yield gs.events.Finish(finish_reason="stop")


async def asynchronous(gs: ModuleType, let_go: threading.Event) -> AsyncIterator[Any]:
    yield "a"
    while not let_go.is_set():  # noqa: ASYNC110 - another thread sets it
        await asyncio.sleep(0.005)
    yield "b"
    yield gs.events.Finish(finish_reason="stop")


KINDS = pytest.mark.parametrize("make", [blocking, asynchronous])


def begin(gs: ModuleType, source: Any, **settings: Any) -> tuple[Exchange, Outcomes]:
    """Begin a response whose first piece was read."""
    outcomes = Outcomes()
    settings = {"on_disconnect": "continue", "helper_thread": True, **settings}
    exchange = Exchange(gs.wsgi.SSEResponse(source, on_close=outcomes, **settings))
    while said("a") not in exchange.body:
        exchange.take()
    return exchange, outcomes


@KINDS
def test_an_answer_is_finished_without_its_client_in_a_helper_thread(
    gs: ModuleType, make: Callable[..., Any]
) -> None:
    let_go = threading.Event()
    exchange, outcomes = begin(gs, make(gs, let_go))
    exchange.close()  # at once: the server's thread is free
    assert not outcomes.all
    let_go.set()
    outcome = outcomes.wait()
    assert (outcome.kind, outcome.events, outcome.source_closed) == ("client_gone", 3, True)
    assert outcome.bytes == len(exchange.body)
    assert (outcome.message.text, outcome.message.finish_reason) == ("ab", "stop")
    assert outcome.message.complete
    assert outcomes.threads != [threading.current_thread()]


@KINDS
def test_an_answer_with_its_client_is_sent_as_ever(
    gs: ModuleType, make: Callable[..., Any]
) -> None:
    let_go = threading.Event()
    let_go.set()
    exchange, outcomes = begin(gs, make(gs, let_go))
    exchange.read()
    plain = Exchange(gs.wsgi.SSEResponse(make(gs, let_go), helper_thread=True)).read()
    assert exchange.body == plain.body
    assert (outcomes.all[0].kind, outcomes.all[0].message.text) == ("completed", "ab")
    assert outcomes.threads == [threading.current_thread()]


@KINDS
def test_a_source_is_closed_that_goes_on_for_too_long(
    gs: ModuleType, make: Callable[..., Any]
) -> None:
    let_go = threading.Event()
    exchange, outcomes = begin(gs, make(gs, let_go), continue_seconds=0.03)
    exchange.close()
    outcome = outcomes.wait() if make is asynchronous else None
    if outcome is None:  # nothing can interrupt a thread that blocks
        until(lambda: outcomes.all)
        [outcome] = outcomes.all
        assert not outcome.source_closed
        let_go.set()
    assert outcome.message.text == "a"
    assert "continue_seconds=0.03" in outcome.message.error.message


@KINDS
@pytest.mark.parametrize("grace", [0, DEADLINE])
def test_a_drain_waits_for_it_and_interrupts_it(
    gs: ModuleType, make: Callable[..., Any], grace: float
) -> None:
    let_go = threading.Event()
    exchange, outcomes = begin(gs, make(gs, let_go))
    exchange.close()
    drain = gs.wsgi.drain(grace)
    if grace:
        assert not drain.wait(0.02)
        let_go.set()
        assert drain.wait(DEADLINE)
        assert outcomes.wait().message.complete
    else:
        until(lambda: outcomes.all)
        let_go.set()
        assert drain.wait(DEADLINE)
        message = outcomes.wait().message
        assert (message.text, message.error.code) == ("a", "interrupted")


def test_the_end_of_the_process_interrupts_it_and_is_reported(gs: ModuleType) -> None:
    exchange, outcomes = begin(gs, asynchronous(gs, threading.Event()))
    exchange.close()
    gs.loops.helper_threads.helper_threads.end_all()
    assert outcomes.wait().message.error.code == "interrupted"


def test_without_a_thread_the_source_is_closed(
    gs: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gs.loops.helper_threads.helper_threads, "limit", 0)
    exchange, outcomes = begin(gs, asynchronous(gs, threading.Event()))
    exchange.close()
    assert outcomes.wait().message.error.code == "interrupted"
    assert outcomes.threads == [threading.current_thread()]


def test_on_close_may_be_a_coroutine_function(gs: ModuleType) -> None:
    let_go, reported = threading.Event(), threading.Event()

    async def on_close(outcome: Any) -> None:
        await asyncio.sleep(0)
        if outcome.message.complete:
            reported.set()

    response = gs.wsgi.SSEResponse(
        asynchronous(gs, let_go), on_disconnect="continue", on_close=on_close
    )
    exchange = Exchange(response)
    exchange.take()
    exchange.close()
    let_go.set()
    assert reported.wait(DEADLINE)


def test_head_closes_the_source(gs: ModuleType) -> None:
    outcomes = Outcomes()
    response = gs.wsgi.SSEResponse(
        asynchronous(gs, threading.Event()), on_disconnect="continue", on_close=outcomes
    )
    Exchange(response, "HEAD").read()
    assert not outcomes.wait().message.complete


# ---- the server's own thread ----


def test_a_sync_source_in_the_servers_thread_cannot_go_on(gs: ModuleType) -> None:
    says = 'on_disconnect="continue" needs helper_thread=True or an async source'
    with pytest.raises(gs.errors.FrameError, match=says):
        gs.wsgi.SSEResponse(blocking(gs, threading.Event()), on_disconnect="continue")
    with pytest.raises(ValueError, match=says):
        gs.wsgi.sse_handler(Provider, lambda _: None, on_disconnect="continue")


class Provider:
    stream_text = staticmethod(lambda _: iter("ab"))


@pytest.mark.parametrize("leaves", [False, True])
def test_its_message_can_be_collected(gs: ModuleType, leaves: bool) -> None:
    outcomes, let_go = Outcomes(), threading.Event()
    let_go.set()
    exchange = Exchange(gs.wsgi.SSEResponse(blocking(gs, let_go), collect=True, on_close=outcomes))
    if leaves:
        exchange.take()
        exchange.close()
    else:
        exchange.read()
    outcome = outcomes.wait()
    assert outcome.message.text == ("a" if leaves else "ab")
    assert outcome.message.complete is not leaves
    error = outcome.message.error
    assert (error and error.code) == ("interrupted" if leaves else None)


def test_a_handler_keeps_the_answers_of_its_provider(gs: ModuleType) -> None:
    outcomes = Outcomes()
    handler = gs.wsgi.sse_handler(
        Provider,
        lambda _: None,
        on_disconnect="continue",
        helper_thread=True,
        on_close=outcomes,
    )
    exchange = Exchange(handler)
    exchange.take()
    exchange.close()
    assert outcomes.wait().message.text == "ab"
