"""Sources that fail, in ASGI responses: a status before the first byte, an error frame after it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from scripted_asgi import (
    DONE,
    END,
    INTERNAL,
    PRELUDE,
    Connection,
    Gate,
    asynchronous,
    body,
    run,
    start,
    text,
)

OBJECT = pytest.param(object(), id="object")  # its repr() differs between processes
SECRET = "the key is sk-123"


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
        expected = b'{"error":{"code":"internal","message":"internal error"}}'
        assert served.sent == [
            start(
                500,
                [
                    (b"content-type", b"application/json"),
                    (b"content-length", b"%d" % len(expected)),
                    (b"cache-control", b"no-store"),
                    (b"x-content-type-options", b"nosniff"),
                    (b"vary", b"Origin"),
                ],
            ),
            body(expected, more=False),
        ]
        [outcome] = outcomes
        assert (outcome.kind, outcome.events, outcome.bytes) == ("failed", 0, 0)
        assert outcome.error is error

    run(test())


def test_a_public_error_at_once_sends_its_status_code_and_retry_after(gs: Any) -> None:
    async def test() -> None:
        error = gs.StreamError("busy", code="overloaded", status=503, retry_after=2.5)
        served = await Connection().serve(gs.asgi.NDJSONResponse(asynchronous(error)))
        assert (served.status, served.headers["retry-after"]) == (503, "3")
        assert served.body == b'{"error":{"code":"overloaded","message":"busy"}}'
        assert served.headers["access-control-allow-origin"] == "*"

    run(test())


@pytest.mark.parametrize("bad", [OBJECT, {"type": "nonsense"}, 5], ids=repr)
def test_an_invalid_first_item_is_answered_with_500(gs: Any, bad: Any) -> None:
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
        expected = PRELUDE + text("a") + text("b") + INTERNAL
        assert served.sent == [start(), body(expected), END]
        assert [(each.kind, each.events, each.bytes) for each in outcomes] == [
            ("failed", 2, len(expected))
        ]

    run(test())


def test_a_public_error_in_the_stream_is_sent(gs: Any) -> None:
    async def test() -> None:
        error = gs.StreamError("busy", code="overloaded", retry_after=2.5)
        served = await Connection().serve(gs.asgi.NDJSONResponse(asynchronous("a", error)))
        last = json.loads(served.body.splitlines()[-1])
        assert last == {"type": "error", "error": "busy", "code": "overloaded", "retry_after": 2.5}
        assert served.is_complete

    run(test())


@pytest.mark.parametrize("hold", [False, True])
def test_a_failure_after_waiting_has_a_status_only_if_headers_are_held(gs: Any, hold: bool) -> None:
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


@pytest.mark.parametrize("outcome", ["an event", "the end", "the client's leave"])
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
        await asyncio.sleep(0.05)  # long enough for heartbeats, which must not go out
        assert not connection.sent
        if outcome == "the client's leave":
            connection.leave()
        else:
            gate.open()
        await task
        kinds = {"the client's leave": "client_gone"}
        assert [each.kind for each in outcomes] == [kinds.get(outcome, "completed")]
        if outcome != "the client's leave":
            assert connection.body.startswith(PRELUDE)
            assert connection.body.endswith(DONE)
        assert connection.is_complete is (outcome != "the client's leave")

    run(test())
