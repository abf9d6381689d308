"""A WSGI app's stream in process: the app in a thread, its loop's and its drains' time virtual."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from tested_apps import Watched, endless

import gaistream
from gaistream import SSEOptions, events
from gaistream.errors import FrameTypeError, LeftRunningError
from gaistream.streaming import thread_streams
from gaistream.testing import stream, wsgi
from gaistream.wsgi import NDJSONResponse, SSEResponse


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before, registry = set(threading.enumerate()), thread_streams.in_threads
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive()
    assert thread_streams.in_threads is registry


def waiting(watched: Watched) -> Any:
    """Return a source that yields the items, then waits on whatever loop it is run."""

    async def source() -> AsyncIterator[Any]:
        try:
            for item in watched.items:
                yield item
            await asyncio.Event().wait()
        finally:
            watched.closed += 1

    return source()


def test_a_stream_has_a_status_headers_and_typed_events() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == (
            "/ä b".encode().decode("latin-1"),
            "q=1",
        )
        assert environ["wsgi.input"].read() == b'{"a":1}'
        assert environ["HTTP_X_KEY"] == "k"
        return NDJSONResponse(watched.blocking(), on_close=outcomes.append)(environ, start_response)

    outcomes: list[Any] = []
    watched = Watched("hello")
    request: dict[str, Any] = {"json": {"a": 1}, "headers": [("X-Key", "k")]}
    with stream(app, "POST", "/ä b", query="q=1", **request) as s:
        assert (s.status, s.headers["content-type"]) == (200, "application/x-ndjson")
        assert list(s) == [events.TextDelta("hello"), events.Done()]
        assert next(s.frames)["text"] == "hello"
        assert b"".join(s.chunks) == s.body == s.read()
        assert s.complete
    assert s.outcome is not None
    assert (s.outcome.kind, watched.closed) == ("completed", 1)
    assert s.outcome.kind == outcomes[0].kind


def test_an_endless_stream_is_read_as_far_as_the_test_likes() -> None:
    with stream(SSEResponse(endless())) as s:
        for _ in range(2000):
            assert next(s) == events.TextDelta("on and on ")
    assert s.outcome is not None
    assert s.outcome.kind == "client_gone"
    assert not s.complete


@pytest.mark.parametrize("helper_thread", [False, True])
@pytest.mark.parametrize("count", [0, 3, 100, 100_000])
def test_a_client_leaves_after_so_many_bytes(count: int, helper_thread: bool) -> None:
    watched = Watched(*["some text"] * 10_000)
    with stream(SSEResponse(watched.blocking(), helper_thread=helper_thread)) as s:
        s.disconnect(after_bytes=count)
        assert len(s.body) == count
        s.wait_closed()
        assert watched.closed == 1
    assert s.outcome is not None
    assert s.outcome.kind == "client_gone"


@pytest.mark.parametrize("wait", ["async source", "helper thread"])
def test_a_heartbeat_comes_after_exactly_its_interval(wait: str) -> None:
    go_on = threading.Event()

    def blocking() -> Iterator[str]:
        yield "a"
        go_on.wait(5)

    watched = Watched("a")
    source: Any = waiting(watched) if wait == "async source" else blocking()
    with stream(SSEResponse(source, helper_thread=True)) as s:
        assert next(s) == events.TextDelta("a")
        s.advance(14.999)
        assert s.comments == [""]
        s.advance(0.001)
        assert s.comments == ["", "keep-alive"]
        s.advance(150)
        assert len(s.comments) == 12
        go_on.set()
    assert s.outcome is not None
    assert s.outcome.source_closed


def test_a_silent_source_ends_at_its_time_out() -> None:
    watched = Watched("a")
    with stream(SSEResponse(waiting(watched), source_timeout=30)) as s:
        assert next(s) == events.TextDelta("a")
        s.advance(30)
        assert [type(event) for event in s] == [events.Error]
    assert watched.closed == 1


def test_an_async_source_is_drained_while_it_waits() -> None:
    watched = Watched("a")
    with stream(SSEResponse(waiting(watched))) as s:
        next(s)
        s.drain(30, retry_ms=700)
        assert s.complete
        assert s.body.endswith(b"retry: 700\n")
        assert (s.outcome is not None, watched.closed) == (True, 1)
        with stream(SSEResponse(Watched("b").blocking())) as refused:
            assert refused.status == 503
    assert s.outcome is not None
    assert s.outcome.kind == "drained"
    assert not gaistream.draining()


def test_a_blocking_source_is_drained_at_its_next_item() -> None:
    with stream(SSEResponse(endless())) as s:
        next(s)
        s.drain(5)
        assert s.complete
    assert s.outcome is not None
    assert s.outcome.kind == "drained"


def test_a_reader_that_stalls_blocks_the_app_and_goes_on() -> None:
    yielded = []

    def source() -> Iterator[str]:
        for number in range(10):
            yielded.append(number)
            yield "a"

    with stream(SSEResponse(source()), read_ahead=1) as s:
        next(s)
        s.stall()
        s.advance(100)
        assert len(yielded) < 10
        s.resume()
        assert list(s)[-1] == events.Done()


def test_a_source_that_fails_gets_a_status_or_an_error_event() -> None:
    with stream(SSEResponse(Watched(KeyError("secret")).blocking())) as s:
        assert s.status == 500
        assert b"secret" not in s.read()
    with stream(SSEResponse(Watched("a", KeyError("secret")).blocking())) as s:
        assert list(s)[-1] == events.Error("internal error", code="internal")
    assert s.outcome is not None
    assert isinstance(s.outcome.error, KeyError)


def test_an_exception_is_raised_where_the_block_begins_or_ends() -> None:
    def early(environ: Any, start_response: Any) -> Any:
        raise ValueError("early")

    def late(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        yield b"data: x\n\n"
        raise ValueError("late")

    with pytest.raises(ValueError, match="early"), stream(early):
        pytest.fail("there is no response")
    with stream(early, raise_app_exceptions=False) as s:
        assert s.status == 500
    with pytest.raises(ValueError, match="late"), stream(late) as s:
        assert [frame.data for frame in s.frames] == ["x"]
        assert not s.complete


def test_the_interface_is_held_to() -> None:
    def silent(environ: Any, start_response: Any) -> Any:
        return []

    def twice(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        start_response("200 OK", [])

    def writes(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])(b"written ")
        return [b"returned"]

    with pytest.raises(RuntimeError, match="did not call start_response"), stream(silent):
        pass
    with pytest.raises(RuntimeError, match="twice"), stream(twice):
        pass
    with stream(writes) as s:
        assert s.read() == b"written returned"
    with stream(writes, "HEAD") as s:
        assert s.read() == b""
    with pytest.raises(FrameTypeError, match="lifespan"):
        stream(writes, lifespan=True)  # type: ignore[call-overload]


def test_a_blocking_source_that_does_not_end_is_named() -> None:
    go_on = threading.Event()

    def source() -> Iterator[str]:
        yield "a"
        go_on.wait(10)

    with pytest.raises(LeftRunningError, match=r"the app, 0.02 s after"):
        with stream(SSEResponse(source()), timeout=0.02) as s:
            next(s)
    go_on.set()


def test_a_wait_for_what_does_not_come_says_so() -> None:
    options = SSEOptions(heartbeat_interval=10)
    with stream(SSEResponse(waiting(Watched("a")), options), timeout=0.02) as s:
        next(s)
        with pytest.raises(TimeoutError, match=r"nothing has come in 0.02 s.*advance"):
            next(s)
        s.advance(10)
        assert s.comments[-1] == "keep-alive"


@pytest.mark.parametrize("waits", [False, True])
def test_an_answer_goes_on_without_its_client(waits: bool) -> None:
    go_on, outcomes = threading.Event(), list[Any]()

    def source() -> Iterator[str]:
        yield "a"
        go_on.wait(5)
        yield "b"

    settings: dict[str, Any] = {"on_disconnect": "continue", "on_close": outcomes.append}
    with stream(SSEResponse(source(), helper_thread=True, **settings)) as s:
        next(s)
        s.disconnect()
        go_on.set()
        if waits:
            s.wait_closed()
            assert len(outcomes) == 1
    assert s.outcome is not None
    assert s.outcome.message is outcomes[0].message
    assert (s.outcome.kind, s.outcome.events) == (outcomes[0].kind, 2)
    assert s.outcome.message is not None
    assert s.outcome.message.text == "ab"


@pytest.mark.parametrize("end", ["time", "drain"])
def test_an_answer_without_its_client_ends_at_its_bound_or_by_a_drain(
    end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wsgi, "_LAST_WAIT", 60.0)  # real seconds
    watched = Watched("a")
    response = SSEResponse(waiting(watched), on_disconnect="continue", continue_seconds=100)
    with stream(response) as s:
        next(s)
        s.disconnect()
        if end == "drain":
            s.drain(10)
        else:
            s.advance(15)  # at the heartbeat the server notices
            assert not watched.closed
            s.advance(100)
        s.wait_closed()
        assert watched.closed == 1
        assert s.outcome is not None
        assert s.outcome.message is not None
        assert s.outcome.message.error is not None
        assert s.outcome.message.error.code == "interrupted"
