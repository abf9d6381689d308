"""An ASGI app's stream in process: its events, its request, its virtual time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import anyio
import pytest
from tested_apps import START, Watched, body

import gaistream
from gaistream import NDJSONOptions, SSEOptions, dialects, events
from gaistream.asgi import NDJSONResponse, SSEResponse
from gaistream.errors import ContentTypeError, FrameError, FrameTypeError
from gaistream.loops import event_loop
from gaistream.testing import stream

Run = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]


# ---- what has come ----


def test_a_stream_has_a_status_headers_in_any_case_and_typed_events(run: Run) -> None:
    async def main() -> None:
        watched = Watched("hello", events.Finish(finish_reason="stop"))
        async with stream(watched.app(status=201, headers={"X-A": "1"}), "GET", "/chat") as s:
            assert (s.status, s.headers["Content-Type"]) == (201, "text/event-stream")
            assert s.headers["x-a"] == "1"
            assert [event async for event in s] == [
                events.TextDelta("hello"),
                events.Finish(finish_reason="stop"),
                events.Done(),
            ]
            assert s.complete
        assert s.outcome == watched.outcomes[0]
        assert s.outcome is not None
        assert (s.outcome.kind, watched.closed, s.error) == ("completed", 1, None)

    run(main)


def test_each_view_reads_the_body_from_its_start_and_can_be_left_and_taken_up(run: Run) -> None:
    async def main() -> None:
        go_on = anyio.Event()

        async def source() -> AsyncIterator[str]:
            yield "a"
            await go_on.wait()
            yield "b"

        async with stream(SSEResponse(source())) as s:
            async for event in s:
                assert event == events.TextDelta("a")
                break
            assert await anext(s.chunks) == b':\n\nevent: text_delta\ndata: {"text":"a"}\n\n'
            go_on.set()
            assert await anext(s) == events.TextDelta("b")
            frames = [frame async for frame in s.frames]
            assert [frame.event for frame in frames] == ["text_delta", "text_delta", "done"]
            assert frames[0].json() == {"text": "a"}
            assert b"".join([chunk async for chunk in s.chunks]) in s.body
            assert await s.read() == s.body
            assert [event async for event in s] == [events.Done()]

    run(main)


def test_a_wait_that_is_broken_off_loses_nothing(run: Run) -> None:
    async def main() -> None:
        go_on = anyio.Event()

        async def source() -> AsyncIterator[str]:
            await go_on.wait()
            yield "a"

        async with stream(SSEResponse(source())) as s:
            with anyio.move_on_after(0.01):
                await anext(s)
            go_on.set()
            assert [event async for event in s] == [events.TextDelta("a"), events.Done()]

    run(main)


DIALECTS = [
    name
    for name in dialects.NAMES
    if "sse" in (found := dialects.find(name)).reads and found.writes  # type: ignore[union-attr]
]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_header_or_the_first_frame_tells_the_dialect(dialect: Any, run: Run) -> None:
    async def main() -> None:
        async with stream(Watched("hello").app(dialect=dialect)) as s:
            read = [event async for event in s]
        assert events.TextDelta("hello") in read
        expected = gaistream.read_events(s.body, dialect=dialect)
        assert read == list(expected)

    run(main)


def test_ndjson_is_read_by_its_content_type(run: Run) -> None:
    async def main() -> None:
        async with stream(Watched("a").app(NDJSONResponse)) as s:
            assert [event async for event in s] == [events.TextDelta("a"), events.Done()]
            assert (await anext(s.frames))["text"] == "a"

    run(main)


def test_your_own_objects_are_frames_or_raw_events_and_miss_no_last_event(run: Run) -> None:
    async def main() -> None:
        async with stream(Watched({"n": 1}, {"n": 2}).app(dialect="json")) as s:
            assert [frame.json() async for frame in s.frames] == [{"n": 1}, {"n": 2}]
            assert {type(event) async for event in s} == {events.Raw}

    run(main)


def test_a_dialect_that_is_given_is_used(run: Run) -> None:
    async def main() -> None:
        async with stream(Watched("a").app(), dialect="openai_chat") as s:
            assert events.TextDelta("a") not in [event async for event in s]

    run(main)
    with pytest.raises(FrameError, match="no_such"):
        stream(Watched().app(), dialect="no_such")


def test_a_response_that_is_no_stream_has_a_body_and_no_events(run: Run) -> None:
    async def main() -> None:
        failing = Watched(gaistream.StreamError("no such model", status=404)).app()
        async with stream(failing) as s:
            assert s.status == 404
            with pytest.raises(ContentTypeError, match="application/json"):
                await anext(s)
            assert json.loads(await s.read())["error"]["message"] == "no such model"

    run(main)


# ---- the request ----


def test_the_app_gets_the_request_as_it_is_written(run: Run) -> None:
    async def main() -> None:
        seen: dict[str, Any] = {}

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen["scope"], seen["messages"] = scope, [await receive()]
            while seen["messages"][-1]["more_body"]:
                seen["messages"].append(await receive())
            await send(START)
            await send(body(more=False))
            seen["last"] = await receive()

        request: dict[str, Any] = {"query": {"q": ["a b", "c"]}, "headers": {"X-Key": "é"}}
        async with stream(app, "post", "/ä b", body=[b"one", b"two"], **request) as s:
            assert await s.read() == b""
        scope = seen["scope"]
        assert (scope["method"], scope["path"]) == ("POST", "/ä b")
        assert (scope["raw_path"], scope["query_string"]) == (b"/%C3%A4%20b", b"q=a+b&q=c")
        assert (b"content-length", b"6") in scope["headers"]
        assert (b"x-key", "é".encode("latin-1")) in scope["headers"]
        assert [each["body"] for each in seen["messages"]] == [b"one", b"two"]
        assert seen["last"] == {"type": "http.disconnect"}
        async with stream(app, path="/x?y=z", json={"a": 1}, scope={"root_path": "/r"}) as s:
            pass
        assert (seen["scope"]["query_string"], seen["scope"]["root_path"]) == (b"y=z", "/r")
        assert (b"content-type", b"application/json") in seen["scope"]["headers"]
        assert seen["messages"] == [
            {"type": "http.request", "body": b'{"a":1}', "more_body": False}
        ]

    run(main)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "chat"}, "path must begin with '/', not 'chat'"),
        ({"path": "/?a=b", "query": "c"}, "the query"),
        ({"body": b"a", "json": {}}, "body or json"),
    ],
)
def test_a_request_that_cannot_be_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(FrameError, match=message.replace("?", ".")):
        stream(Watched().app(), **arguments)


@pytest.mark.parametrize("app", [None, object(), lambda one: one])
def test_an_object_that_is_no_app_is_refused(app: Any) -> None:
    with pytest.raises(FrameTypeError, match="ASGI or a WSGI app"):
        stream(app)


# ---- time ----


def test_a_heartbeat_comes_after_exactly_its_interval(run: Run) -> None:
    async def main() -> None:
        async with stream(Watched("a", waits=True).app()) as s:
            assert await anext(s) == events.TextDelta("a")
            await s.advance(14.999)
            assert s.comments == [""]  # the prelude
            await s.advance(0.001)
            assert s.comments == ["", "keep-alive"]
            await s.advance(600)
            assert len(s.comments) == 1 + 41

    run(main)


def test_timers_keep_their_interval_to_the_microsecond(run: Run) -> None:
    async def main() -> None:
        options = SSEOptions(heartbeat_interval=0.1)
        async with stream(Watched(waits=True).app(options=options)) as s:
            await s.advance(1)
            assert len(s.comments) == 1 + 10

    run(main)


def test_a_silent_source_ends_at_its_time_out(run: Run) -> None:
    async def main() -> None:
        watched = Watched("a", waits=True)
        async with stream(watched.app(source_timeout=30)) as s:
            await s.advance(29)
            assert not s.complete
            await s.advance(1)
            read = [event async for event in s]
            assert read[-1] == events.Error(
                "the source was silent for 30 seconds", code="timeout", retry_after=None
            )
        assert (watched.outcomes[0].kind, watched.closed) == ("failed", 1)

    run(main)


def test_an_app_that_waits_before_its_headers_is_entered_without_them(run: Run) -> None:
    async def main() -> None:
        app = Watched(waits=True).app(source_timeout=30, hold_headers=True)
        async with stream(app, wait_for_headers=False) as s:
            with pytest.raises(RuntimeError, match="not begun"):
                s.status
            await s.advance(30)
            await s.wait_for_headers()
            assert s.status == 504

    run(main)


def test_bytes_that_are_held_back_come_after_the_flush_interval(run: Run) -> None:
    async def main() -> None:
        go_on = anyio.Event()

        async def source() -> AsyncIterator[dict[str, int]]:
            yield {"n": 1}
            for n in range(2, 5):
                yield {"n": n}
            await go_on.wait()

        options = NDJSONOptions(flush_after_write=False, flush_interval=0.5)
        response = NDJSONResponse(source(), options, dialect="json")
        async with stream(response) as s:
            await s.advance(0.5)
            assert s.body.count(b"\n") == 4
            go_on.set()
            assert len([value async for value in s.frames]) == 4

    run(main)


def test_a_clean_up_that_does_not_end_is_broken_off_at_its_time_out(run: Run) -> None:
    async def main() -> None:
        outcomes: list[Any] = []

        async def source() -> AsyncIterator[str]:
            try:
                yield "a"
                await anyio.sleep_forever()
            finally:
                await anyio.sleep_forever()  # trio: it is cancelled at once

        response = SSEResponse(source(), cleanup_timeout=20, on_close=outcomes.append)
        async with stream(response) as s:
            await anext(s)
            await s.disconnect()
            await s.advance(20)
            await s.wait_closed()
            assert outcomes[0].kind == "client_gone"

    run(main)


def test_others_keep_the_real_time(run: Run) -> None:
    async def main() -> None:
        async def source() -> AsyncIterator[str]:
            yield "a"
            await anyio.sleep(3600)
            yield "b"

        async with stream(SSEResponse(source())) as s:
            await s.advance(7200)
            assert b'"b"' not in s.body

    run(main)


def test_the_loop_has_its_own_time_again_after_the_last_block(run: Run) -> None:
    async def main() -> None:
        before = event_loop()
        async with stream(Watched("a", waits=True).app()) as s:
            async with stream(Watched("b", waits=True).app()) as other:
                assert event_loop() is not before
                await s.advance(15)
                assert s.comments == other.comments == ["", "keep-alive"]
            assert event_loop() is not before
            await s.advance(15)
            assert len(s.comments) == 3
        assert event_loop() is before

    run(main)
