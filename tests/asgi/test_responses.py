"""ASGI responses in a scripted server: messages, and scopes that are not HTTP requests."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from scripted_asgi import (
    DONE,
    END,
    HEADERS,
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


def test_items_are_sent_as_soon_as_the_source_waits(gs: Any) -> None:
    async def test() -> None:
        gate, connection = Gate(), Connection()

        async def source() -> AsyncIterator[str]:
            await gate()
            for letter in "abc":
                yield letter
                await gate()

        task = connection.begin(gs.asgi.SSEResponse(source()))
        expected = [PRELUDE, text("a"), text("b"), text("c"), DONE]
        for count, chunk in enumerate(expected, 1):
            await connection.until(lambda seen=count: len(connection.chunks) >= seen)
            assert connection.chunks[count - 1] == chunk
            gate.open()
        await task
        assert connection.sent == [start(), *map(body, expected[:-1]), body(DONE, more=False)]

    run(test())


@pytest.mark.parametrize("items", [(), ("a",)])
def test_headers_go_out_while_the_source_waits(gs: Any, items: Any) -> None:
    async def test() -> None:
        source, connection = Source(*items), Connection()
        task = connection.begin(gs.asgi.SSEResponse(source))
        await connection.until_said(PRELUDE + b"".join(map(text, items)))
        assert connection.sent[0] == start()
        connection.leave()
        await task

    run(test())


@pytest.mark.parametrize("name", ["SSEResponse", "NDJSONResponse"])
def test_an_empty_source_completes(gs: Any, name: str) -> None:
    async def test() -> None:
        outcomes: list[Any] = []
        response = getattr(gs.asgi, name)(asynchronous(), on_close=outcomes.append)
        served = await Connection().serve(response)
        assert served.is_complete
        assert b'"finished":true' in served.chunks[0]
        assert [(each.kind, each.events) for each in outcomes] == [("completed", 0)]

    run(test())


def test_status_and_headers_of_the_caller_are_sent(gs: Any) -> None:
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


def test_a_media_type_and_incremental_are_sent(gs: Any) -> None:
    async def test() -> None:
        chosen = {"media_type": "application/jsonl", "incremental": True}
        served = await Connection().serve(gs.asgi.NDJSONResponse(asynchronous(), **chosen))
        assert served.headers["content-type"] == "application/jsonl"
        assert served.headers["incremental"] == "?1"

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


# ---- scopes that are not HTTP requests ----


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


def test_a_websocket_gets_a_denial_response_if_the_server_can_send_one(gs: Any) -> None:
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
