"""ASGI responses in a scripted server: messages, failures, ends, and that nothing is left."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from scripted_asgi import (
    DONE,
    END,
    HEADERS,
    INTERNAL,
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

OBJECT = pytest.param(object(), id="object")  # its repr() differs between processes
SECRET = "the key is sk-123"


# ---- messages ----


def test_a_source_that_does_not_wait_goes_out_in_one_send(gs: Any) -> None:
    async def test() -> None:
        served = await Connection().serve(gs.asgi.SSEResponse(asynchronous("a", "b")))
        assert served.sent == [start(), body(PRELUDE + text("a") + text("b") + DONE), END]

    run(test())


def test_ndjson_has_its_own_type_and_no_prelude(gs: Any) -> None:
    async def test() -> None:
        served = await Connection().serve(gs.asgi.NDJSONResponse(asynchronous("a")))
        typed = [(b"content-type", b"application/x-ndjson"), *HEADERS[1:]]
        lines = b'{"type":"text_delta","text":"a"}\n{"type":"done","finished":true}\n'
        assert served.sent == [start(headers=typed), body(lines), END]

    run(test())


def test_what_a_source_yields_before_it_waits_is_sent_while_it_waits(gs: Any) -> None:
    async def test() -> None:
        gate, connection = Gate(), Connection()

        async def source() -> AsyncIterator[str]:
            await gate()
            for said in "abc":
                yield said
                await gate()

        task = connection.begin(gs.asgi.SSEResponse(source()))
        expected = [PRELUDE, text("a"), text("b"), text("c"), DONE]
        for count, chunk in enumerate(expected, 1):
            await connection.until(lambda seen=count: len(connection.chunks) >= seen)
            assert connection.chunks[count - 1] == chunk
            gate.open()
        await task
        assert connection.sent == [start(), *map(body, expected), END]

    run(test())


@pytest.mark.parametrize("items", [(), ("a",)])
def test_headers_go_out_before_a_waiting_source_says_anything(gs: Any, items: Any) -> None:
    async def test() -> None:
        source, connection = Source(*items), Connection()
        task = connection.begin(gs.asgi.SSEResponse(source))
        await connection.until_said(PRELUDE + b"".join(map(text, items)))
        assert connection.sent[0] == start()
        connection.leave()
        await task

    run(test())


@pytest.mark.parametrize("name", ["SSEResponse", "NDJSONResponse"])
def test_a_source_that_says_nothing_ends_well(gs: Any, name: str) -> None:
    async def test() -> None:
        outcomes: list[Any] = []
        response = getattr(gs.asgi, name)(asynchronous(), on_close=outcomes.append)
        served = await Connection().serve(response)
        assert served.is_complete
        assert b'"finished":true' in served.chunks[0]
        assert [(each.kind, each.events) for each in outcomes] == [("completed", 0)]

    run(test())


def test_status_and_headers_of_the_response_are_its_makers(gs: Any) -> None:
    async def test() -> None:
        response = gs.asgi.SSEResponse(
            asynchronous(),
            status=207,
            headers={"cache-control": "no-store", "X-Mine": "é", "vary": "Cookie"},
            cors=["https://a.example"],
        )
        scope = {"headers": [(b"Origin", b"https://a.example")]}
        served = await Connection(**scope).serve(response)
        assert served.sent[0] == start(
            207,
            [
                HEADERS[0],
                (b"cache-control", b"no-store"),
                *HEADERS[2:4],
                (b"vary", b"Origin, Cookie"),
                (b"access-control-allow-origin", b"https://a.example"),
                (b"x-mine", b"\xe9"),
            ],
        )

    run(test())


def test_the_json_dialect_has_no_terminator_and_its_own_error(gs: Any) -> None:
    async def test() -> None:
        good = gs.asgi.SSEResponse(asynchronous("a", {"b": 1}), dialect="json", cors=None)
        served = await Connection().serve(good)
        assert served.sent == [
            start(headers=HEADERS[:-1]),
            body(PRELUDE + b'data: "a"\n\ndata: {"b":1}\n\n'),
            END,
        ]
        bad = gs.asgi.NDJSONResponse(asynchronous(1, ValueError(SECRET)), dialect="json")
        served = await Connection().serve(bad)
        assert served.body == b'1\n{"error":{"code":"internal","message":"internal error"}}\n'

    run(test())


def test_a_bad_setting_is_refused_when_the_response_is_made(gs: Any) -> None:
    for wrong in (None, 5, "text", b"bytes", {}):
        with pytest.raises(gs.errors.EventError, match="a source is an iterable"):
            gs.asgi.SSEResponse(wrong)
    with pytest.raises(gs.errors.FrameTypeError):
        gs.asgi.SSEResponse([], gs.NDJSONOptions())
    with pytest.raises(gs.errors.FrameError):
        gs.asgi.SSEResponse([], dialect="esperanto")


@pytest.mark.parametrize("status", [200, 201])
def test_head_gets_the_headers_and_the_source_is_closed_without_being_asked(
    gs: Any, status: int
) -> None:
    async def test() -> None:
        source, outcomes = Source("a"), []
        response = gs.asgi.SSEResponse(source, status=status, on_close=outcomes.append)
        served = await Connection("HEAD").serve(response)
        assert served.sent == [start(status), END]
        assert (source.asked, source.closed) == (0, 1)
        assert [each.kind for each in outcomes] == ["cancelled"]

    run(test())


# ---- failures ----


def test_a_source_that_fails_at_once_is_answered_with_a_status(gs: Any) -> None:
    async def test() -> None:
        outcomes: list[Any] = []
        error = RuntimeError(SECRET)
        response = gs.asgi.SSEResponse(
            asynchronous(error),
            headers={"X-Mine": "1"},
            cors=["https://a.example"],
            on_close=outcomes.append,
        )
        served = await Connection().serve(response)
        told = b'{"error":{"code":"internal","message":"internal error"}}'
        assert served.sent == [
            start(
                500,
                [
                    (b"content-type", b"application/json"),
                    (b"content-length", b"%d" % len(told)),
                    (b"cache-control", b"no-store"),
                    (b"x-content-type-options", b"nosniff"),
                    (b"vary", b"Origin"),
                ],
            ),
            body(told, more=False),
        ]
        [outcome] = outcomes
        assert (outcome.kind, outcome.events, outcome.bytes) == ("failed", 0, 0)
        assert outcome.error is error

    run(test())


def test_a_public_error_at_once_tells_its_status_code_and_when_to_try_again(gs: Any) -> None:
    async def test() -> None:
        error = gs.StreamError("busy", code="overloaded", status=503, retry_after=2.5)
        served = await Connection().serve(gs.asgi.NDJSONResponse(asynchronous(error)))
        assert (served.status, served.headers["retry-after"]) == (503, "3")
        assert served.body == b'{"error":{"code":"overloaded","message":"busy"}}'
        assert served.headers["access-control-allow-origin"] == "*"

    run(test())


@pytest.mark.parametrize("bad", [OBJECT, {"type": "nonsense"}, 5], ids=repr)
def test_a_first_item_that_is_no_event_counts_as_failing_at_once(gs: Any, bad: Any) -> None:
    async def test() -> None:
        served = await Connection().serve(gs.asgi.SSEResponse(asynchronous(bad)))
        assert served.status == 500
        assert served.is_complete

    run(test())


def test_a_source_that_fails_after_an_event_ends_with_the_error_and_without_done(gs: Any) -> None:
    async def test() -> None:
        outcomes: list[Any] = []
        failing = asynchronous("a", "b", RuntimeError(SECRET))
        response = gs.asgi.SSEResponse(failing, on_close=outcomes.append)
        served = await Connection().serve(response)
        said = PRELUDE + text("a") + text("b") + INTERNAL
        assert served.sent == [start(), body(said), END]
        assert [(each.kind, each.events, each.bytes) for each in outcomes] == [
            ("failed", 2, len(said))
        ]

    run(test())


def test_a_public_error_in_the_stream_is_told(gs: Any) -> None:
    async def test() -> None:
        error = gs.StreamError("busy", code="overloaded", retry_after=2.5)
        served = await Connection().serve(gs.asgi.NDJSONResponse(asynchronous("a", error)))
        last = json.loads(served.body.splitlines()[-1])
        assert last == {"type": "error", "error": "busy", "code": "overloaded", "retry_after": 2.5}
        assert served.is_complete

    run(test())


@pytest.mark.parametrize("hold", [False, True])
def test_a_failure_after_waiting_has_a_status_only_where_headers_are_held(
    gs: Any, hold: bool
) -> None:
    async def test() -> None:
        gate, connection = Gate(), Connection()

        async def source() -> AsyncIterator[str]:
            await gate()
            raise gs.StreamError("no", status=418)
            yield ""

        task = connection.begin(gs.asgi.SSEResponse(source(), hold_headers=hold))
        await gate.arrival()
        if not hold:
            await connection.until_said(PRELUDE)
        gate.open()
        await task
        assert connection.status == (418 if hold else 200)
        assert connection.is_complete
        assert (b"event: error" in connection.body) is not hold
        assert b"done" not in connection.body

    run(test())


@pytest.mark.parametrize("outcome", ["an event", "the end", "the client's going"])
def test_held_headers_wait_for_what_comes_first(gs: Any, outcome: str) -> None:
    async def test() -> None:
        gate, connection, outcomes = Gate(), Connection(), []

        async def source() -> AsyncIterator[str]:
            await gate()
            if outcome == "an event":
                yield "a"

        options = gs.SSEOptions(heartbeat_interval=0.01)
        response = gs.asgi.SSEResponse(
            source(), options, hold_headers=True, on_close=outcomes.append
        )
        task = connection.begin(response)
        await gate.arrival()
        await asyncio.sleep(0.05)  # long enough for heartbeats, which must not go out either
        assert not connection.sent
        if outcome == "the client's going":
            connection.leave()
        else:
            gate.open()
        await task
        kinds = {"the client's going": "client_gone"}
        assert [each.kind for each in outcomes] == [kinds.get(outcome, "completed")]
        if outcome != "the client's going":
            assert connection.body.startswith(PRELUDE)
            assert connection.body.endswith(DONE)
        assert connection.is_complete is (outcome != "the client's going")

    run(test())


# ---- the client goes ----


def test_a_source_that_waits_is_closed_as_soon_as_the_client_is_gone(gs: Any) -> None:
    async def test() -> None:
        source, connection, outcomes = Source("a", "b"), Connection(), []
        task = connection.begin(gs.asgi.SSEResponse(source, on_close=outcomes.append))
        await source.waiting.wait()
        connection.leave()
        await task
        assert source.closed == 1
        said = PRELUDE + text("a") + text("b")
        assert connection.body == said
        assert not connection.is_complete
        assert [(each.kind, each.events, each.bytes) for each in outcomes] == [
            ("client_gone", 2, len(said))
        ]

    run(test())


@pytest.mark.parametrize("hold", [False, True])
def test_a_client_that_was_gone_from_the_start_still_has_the_source_closed(
    gs: Any, hold: bool
) -> None:
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
def test_cleaning_up_that_waits_is_not_broken_off(gs: Any, end: str) -> None:
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


def test_a_source_that_is_being_closed_after_done_is_left_to_finish(gs: Any) -> None:
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
def test_a_send_that_raises_oserror_means_that_the_client_is_gone(gs: Any, where: str) -> None:
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


def test_another_error_of_the_server_passes_through_and_the_source_is_closed(gs: Any) -> None:
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


def test_a_send_that_is_blocked_is_broken_off_when_the_client_goes(gs: Any) -> None:
    async def test() -> None:
        connection, gate, outcomes = Connection(), Gate(), []
        connection.before_send = lambda message: gate() if "more_body" in message else None
        source = Source("a")
        task = connection.begin(gs.asgi.SSEResponse(source, on_close=outcomes.append))
        await gate.arrival()
        connection.leave()
        await task
        assert task.cancelling() == 0
        assert source.closed == 1
        assert [each.kind for each in outcomes] == ["client_gone"]

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


def test_a_source_is_paused_while_the_client_takes_nothing(gs: Any) -> None:
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


# ---- the server ----


@pytest.mark.parametrize("blocked", [False, True])
def test_a_cancellation_by_the_server_passes_and_the_source_is_closed(
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
            assert connection.sent == [start(), body(PRELUDE), body(text("a") + DONE), END]
            assert more or len(heard) == 2  # nobody goes on asking a server that has said it all

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


def test_a_body_that_nobody_reads_does_not_hide_that_the_client_goes(gs: Any) -> None:
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
        await task  # waits only a moment for a thread that nobody can interrupt
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


def test_what_on_close_raises_is_logged_and_harms_nothing(
    gs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        def on_close(_: Any) -> None:
            raise RuntimeError("broken report")

        served = await Connection().serve(
            gs.asgi.SSEResponse(asynchronous("a"), on_close=on_close)
        )
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
def test_the_outcome_tells_how_the_stream_ended_and_counts(
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


# ---- what is no HTTP request ----


@pytest.mark.parametrize("extensions", [{}, {"extensions": None}, {"extensions": {}}])
def test_a_websocket_is_closed_before_it_is_accepted(gs: Any, extensions: Any) -> None:
    async def test() -> None:
        source = Source("a")
        scope = {"type": "websocket", "path": "/", "headers": [], **extensions}
        connection = Connection(**scope)
        await connection.serve(gs.asgi.SSEResponse(source))
        assert connection.sent == [{"type": "websocket.close", "code": 1000}]
        assert (source.asked, source.closed) == (0, 1)

    run(test())


def test_a_websocket_gets_a_denial_response_where_the_server_can_send_one(gs: Any) -> None:
    async def test() -> None:
        scope = {"type": "websocket", "extensions": {"websocket.http.response": {}}}
        connection = await Connection(**scope).serve(gs.asgi.NDJSONResponse([]))
        begin, rest = connection.sent
        assert (begin["type"], begin["status"]) == ("websocket.http.response.start", 400)
        assert rest["type"] == "websocket.http.response.body"
        assert json.loads(rest["body"])["error"]["code"] == "not_a_websocket"

    run(test())


def test_a_lifespan_is_acknowledged_and_another_scope_refused(gs: Any) -> None:
    async def test() -> None:
        connection = Connection(type="lifespan")
        connection.incoming.put_nowait({"type": "lifespan.startup"})
        connection.incoming.put_nowait({"type": "lifespan.shutdown"})
        await connection.serve(gs.asgi.SSEResponse([]))
        assert [each["type"] for each in connection.sent] == [
            "lifespan.startup.complete",
            "lifespan.shutdown.complete",
        ]
        with pytest.raises(RuntimeError, match="gaistream serves http, not telnet"):
            await Connection(type="telnet").serve(gs.asgi.SSEResponse([]))

    run(test())
