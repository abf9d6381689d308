"""A drain of WSGI: open streams end whole, and new requests are refused."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

import pytest
from frames import DONE, PRELUDE, said
from real_servers import SECONDS, until

RETRY = b"retry: 700\n"


@pytest.fixture(autouse=True)
def streams(gs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The open streams of the process: a registry for this test only, because a drain stays."""
    streams = gs.streaming.thread_streams.ThreadStreams()
    monkeypatch.setattr(gs.streaming.thread_streams, "in_threads", streams)
    yield streams
    assert not streams.streams
    until(lambda: not [each for each in threading.enumerate() if each.name == "gaistream-drain"])


class Served(threading.Thread):
    """A server's thread, which serves one response chunk by chunk."""

    def __init__(self, app: Any, method: str = "GET", **environ: str) -> None:
        super().__init__()
        self._app, self._environ = app, {"REQUEST_METHOD": method, **environ}
        self.status, self.headers, self.body = "", {}, b""
        self._some = threading.Condition()
        self.start()

    def run(self) -> None:
        def start_response(status: str, headers: list[tuple[str, str]]) -> None:
            self.status, self.headers = status, dict(headers)

        body = self._app(self._environ, start_response)
        try:
            for chunk in body:
                with self._some:
                    self.body += chunk
                    self._some.notify_all()
        finally:
            getattr(body, "close", lambda: None)()

    def until(self, expected: bytes) -> Served:
        with self._some:
            assert self._some.wait_for(lambda: expected in self.body, SECONDS), self.body
        return self

    def whole(self) -> bytes:
        self.join(SECONDS)
        assert not self.is_alive()
        return self.body


class Source:
    """A sync source that yields when the test lets it."""

    def __init__(self) -> None:
        self._told = threading.Semaphore(0)
        self._left = 0
        self.closed = 0

    def go_on(self, times: int = 1) -> None:
        self._told.release(times)

    def __call__(self) -> Iterator[str]:
        try:
            while True:
                assert self._told.acquire(timeout=SECONDS)
                yield "a"
        finally:
            self.closed += 1


async def idle() -> AsyncIterator[str]:
    yield "a"
    await asyncio.Event().wait()


def test_a_sync_source_is_ended_at_its_next_yield(gs: ModuleType) -> None:
    source, outcomes = Source(), []
    served = Served(gs.wsgi.SSEResponse(source(), on_close=outcomes.append))
    source.go_on()
    served.until(said("a"))
    ended = gs.wsgi.drain(0, retry_ms=700)
    assert not ended.wait(0)
    source.go_on(2)
    assert served.whole() == PRELUDE + said("a") + said("a") + RETRY
    assert ended.wait(SECONDS)
    assert source.closed == 1
    assert [(each.kind, each.events) for each in outcomes] == [("drained", 2)]


@pytest.mark.parametrize("kind", ["async", "helper thread"])
def test_a_stream_on_its_own_loop_is_ended_while_its_source_waits(
    gs: ModuleType, kind: str
) -> None:
    source, outcomes = Source(), []
    stream = idle() if kind == "async" else source()
    response = gs.wsgi.SSEResponse(
        stream, on_close=outcomes.append, helper_thread=kind == "helper thread"
    )
    served = Served(response)
    source.go_on()
    served.until(said("a"))
    ended = gs.wsgi.drain(0, retry_ms=700)
    assert served.whole() == PRELUDE + said("a") + RETRY
    assert ended.wait(SECONDS)
    assert [outcome.kind for outcome in outcomes] == ["drained"]
    source.go_on()  # a helper thread closes its source at the next yield
    if kind == "helper thread":
        until(lambda: source.closed == 1)


def test_many_streams_end_within_the_grace_time(gs: ModuleType) -> None:
    served = [Served(gs.wsgi.NDJSONResponse(idle())) for _ in range(8)]
    for each in served:
        each.until(b'"a"')
    ended = gs.wsgi.drain(0.2)
    bodies = {each.whole() for each in served}
    assert ended.wait(SECONDS)
    assert bodies == {b'{"type":"text_delta","text":"a"}\n'}


def test_a_source_may_finish_within_the_grace_time(gs: ModuleType) -> None:
    go_on, outcomes = threading.Event(), []

    def source() -> Iterator[str]:
        yield "a"
        assert go_on.wait(SECONDS)
        yield "b"

    served = Served(gs.wsgi.SSEResponse(source(), on_close=outcomes.append)).until(said("a"))
    ended = gs.wsgi.drain(SECONDS)
    go_on.set()
    assert served.whole() == PRELUDE + said("a") + said("b") + DONE
    assert ended.wait(SECONDS)
    assert [outcome.kind for outcome in outcomes] == ["completed"]


def test_a_drain_before_the_first_event_of_held_headers_is_a_503(gs: ModuleType) -> None:
    waiting = threading.Event()

    async def silent() -> AsyncIterator[str]:
        waiting.set()
        await asyncio.Event().wait()
        yield "never"

    served = Served(gs.wsgi.SSEResponse(silent(), hold_headers=True))
    assert waiting.wait(SECONDS)
    gs.wsgi.drain(0)
    assert b"shutting_down" in served.whole()
    assert served.status == "503 Service Unavailable"


def test_a_second_drain_shortens_the_first(gs: ModuleType) -> None:
    served = Served(gs.wsgi.SSEResponse(idle())).until(said("a"))
    ended = gs.wsgi.drain(SECONDS)
    assert not ended.wait(0)
    gs.wsgi.drain(0)
    assert served.whole() == PRELUDE + said("a")
    assert ended.wait(SECONDS)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_source_may_call_draining_and_yield_its_last_items(gs: ModuleType, kind: str) -> None:
    asked = threading.Event()
    answers = []

    def sync() -> Iterator[str]:
        answers.append(gs.draining())
        yield "a"
        assert asked.wait(SECONDS)
        answers.append(gs.draining())
        yield "last words"

    async def asynchronous() -> AsyncIterator[str]:
        answers.append(gs.draining())
        yield "a"
        assert await asyncio.to_thread(asked.wait, SECONDS)
        answers.append(gs.draining())
        yield "last words"

    source = sync() if kind == "sync" else asynchronous()
    served = Served(gs.wsgi.SSEResponse(source)).until(said("a"))
    gs.wsgi.drain(SECONDS)
    asked.set()
    assert served.whole() == PRELUDE + said("a") + said("last words") + DONE
    assert answers == [False, True]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_new_responses_get_503_and_retry_after(gs: ModuleType, kind: str) -> None:
    gs.wsgi.drain(3.0, retry_ms=1500)
    source, outcomes = Source(), []
    stream = source() if kind == "sync" else idle()
    served = Served(gs.wsgi.SSEResponse(stream, on_close=outcomes.append))
    assert b"shutting_down" in served.whole()
    assert served.status == "503 Service Unavailable"
    assert served.headers["Retry-After"] == "2"
    assert served.headers["Access-Control-Allow-Origin"] == "*"
    assert [(outcome.kind, outcome.bytes) for outcome in outcomes] == [("drained", 0)]


@pytest.mark.parametrize("kind", ["response", "sse_handler", "event_handler"])
def test_an_event_source_gets_a_reconnection_time(gs: ModuleType, kind: str) -> None:
    gs.wsgi.drain(3.0, retry_ms=700)
    for format_, method in (("sse", "GET"), ("sse", "POST"), ("ndjson", "GET")):
        source = Source()
        if kind == "response":
            make = gs.wsgi.SSEResponse if format_ == "sse" else gs.wsgi.NDJSONResponse
            app = make(source())
        else:
            name = kind if format_ == "sse" else "ndjson_handler"
            app = getattr(gs.wsgi, name)(Nobody(), lambda request: request)
        served = Served(app, method, HTTP_ACCEPT="text/event-stream")
        if (format_, method) == ("sse", "GET"):
            assert served.whole() == RETRY
            assert served.status == "200 OK"
            assert served.headers["Content-Type"] == "text/event-stream"
        else:
            assert b"shutting_down" in served.whole()
            assert served.status == "503 Service Unavailable"


class Nobody:
    """A provider that must not be called."""

    def stream_text(self, request: object) -> Any:
        raise AssertionError(request)


def test_a_drain_that_is_cancelled_serves_again(gs: ModuleType) -> None:
    source = Source()
    served = Served(gs.wsgi.SSEResponse(source()))
    source.go_on()
    served.until(said("a"))
    ended = gs.wsgi.drain(SECONDS)
    waiting = threading.Thread(target=ended.wait, args=(SECONDS,))
    waiting.start()
    ended.cancel()
    waiting.join(SECONDS)
    assert not waiting.is_alive()
    assert not ended.wait(0)  # a stream is open
    assert not gs.draining()
    source.go_on(2)
    served.until(said("a") * 3)
    assert Served(gs.wsgi.SSEResponse(iter("b"))).whole() == PRELUDE + said("b") + DONE
    assert gs.wsgi.drain(0) is not ended
    source.go_on()
    served.whole()


def test_a_handler_refuses_but_answers_preflights_and_calls_no_provider(gs: ModuleType) -> None:
    gs.wsgi.drain(0, retry_ms=7000)
    for make in (gs.wsgi.sse_handler, gs.wsgi.ndjson_handler, gs.wsgi.event_handler):
        app = make(Nobody(), lambda request: request)
        served = Served(app, "POST")
        served.join(SECONDS)
        assert (served.status[:3], served.headers["Retry-After"]) == ("503", "7")
        preflight = Served(app, "OPTIONS")
        preflight.join(SECONDS)
        assert preflight.status[:3] == "204"


def test_the_iterators_sse_and_ndjson_are_ended_too(gs: ModuleType) -> None:
    source = Source()
    source.go_on(3)
    chunks = gs.sse(source())
    assert next(chunks) == PRELUDE + said("a")
    gs.wsgi.drain(0, retry_ms=700)
    assert list(chunks) == [RETRY]
    assert source.closed == 1
    assert list(gs.ndjson(iter("abc"))) == [b'{"type":"text_delta","text":"a"}\n']


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_closed_or_dropped_stream_leaves_the_registry(
    gs: ModuleType, streams: Any, kind: str
) -> None:
    source = Source()
    source.go_on()
    response = gs.wsgi.SSEResponse(source() if kind == "sync" else idle())
    body = response({"REQUEST_METHOD": "GET"}, lambda *_: None)
    next(iter(body))
    assert len(streams.streams) == 1
    body.close()
    assert not streams.streams
    chunks = gs.sse(Source()())  # never begun
    del chunks
    gc.collect()
    assert not streams.streams


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"grace": -1}, "grace"), ({"grace": None}, "grace"), ({"retry_ms": 1.5}, "retry_ms")],
)
def test_wrong_times_are_refused(
    gs: ModuleType, arguments: dict[str, Any], named: str
) -> None:
    for call in (gs.wsgi.drain, gs.wsgi.drain_on_signals):
        with pytest.raises(gs.errors.FrameError, match=named):
            call(**arguments)
    assert not gs.draining()


def test_a_signal_drains_and_the_former_handler_is_called(gs: ModuleType) -> None:
    heard: list[int] = []
    before = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, _: heard.append(number)),
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
    }
    try:
        served = Served(gs.wsgi.SSEResponse(idle())).until(said("a"))
        gs.wsgi.drain_on_signals(0.05, retry_ms=700)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        signal.raise_signal(signal.SIGTERM)
        assert served.whole() == PRELUDE + said("a") + RETRY
        assert heard == [signal.SIGTERM]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_second_signal_ends_everything_at_once(gs: ModuleType) -> None:
    before = {each: signal.signal(each, lambda *_: None) for each in (15, 2)}
    try:
        served = Served(gs.wsgi.SSEResponse(idle())).until(said("a"))
        gs.wsgi.drain_on_signals(SECONDS)
        signal.raise_signal(signal.SIGTERM)
        until(gs.draining)
        assert served.is_alive()
        signal.raise_signal(signal.SIGINT)
        assert served.whole() == PRELUDE + said("a")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("configured", [False, True])
def test_an_async_source_in_the_main_thread_is_ended_as_configured(
    gs: ModuleType, configured: bool
) -> None:
    """A sync worker of gunicorn serves in the main thread."""
    before = {each: signal.signal(each, lambda *_: None) for each in (15, 2)}
    try:
        if configured:
            gs.wsgi.drain_on_signals(SECONDS, retry_ms=700)
        body = iter(gs.wsgi.SSEResponse(idle())({"REQUEST_METHOD": "GET"}, lambda *_: None))
        assert next(body) == PRELUDE + said("a")
        signal.raise_signal(signal.SIGINT)
        if configured:
            until(gs.draining)
            gs.wsgi.drain(0)
        assert list(body) == ([RETRY] if configured else [])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_outside_of_the_main_thread_there_are_no_signals(gs: ModuleType) -> None:
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=gs.wsgi.drain_on_signals)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before


TWICE = """
import os, signal
from gaistream.wsgi import drain_on_signals
drain_on_signals(0.05)
drain_on_signals(0.05)
os.kill(os.getpid(), signal.{name})
signal.pause()
while True:
    signal.pause()
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_the_signal_ends_the_process_also_if_drains_were_installed_twice(name: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", TWICE.format(name=name)], text=True, capture_output=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    assert ran.returncode == -getattr(signal, name)
    assert ran.stderr.endswith("KeyboardInterrupt\n") if name == "SIGINT" else not ran.stderr
