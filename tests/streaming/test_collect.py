"""`collect=True`: the message of a response is made of the events that its encoder wrote."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest
from loops import turns
from scripted_asgi import Connection, Gate, asynchronous, run


def answer(gs: ModuleType) -> list[Any]:
    events = gs.events
    return [
        events.Start(id="m1", model="m"),
        events.ReasoningDelta("hm"),
        "a",
        None,
        {"type": "text_delta", "text": "b"},
        events.TextDelta("c"),
        events.ToolCall("t1", "f", {"x": 1}),
        {"type": "finish", "finish_reason": "stop"},
    ]


def collected(
    gs: ModuleType,
    items: Any,
    *,
    format: str = "sse",
    on_disconnect: str = "close",
    **settings: Any,
) -> Any:
    """Serve a response, and return its outcome."""
    outcomes: list[Any] = []
    make = gs.asgi.SSEResponse if format == "sse" else gs.asgi.NDJSONResponse

    async def test() -> None:
        response = make(
            asynchronous(*items),
            collect=True,
            on_disconnect=on_disconnect,
            on_close=outcomes.append,
            **settings,
        )
        await Connection().serve(response)

    run(test())
    [outcome] = outcomes
    return outcome


WAYS = pytest.mark.parametrize("on_disconnect", ["close", "continue"])
DIALECTS = [("gai", "sse"), ("gai", "ndjson"), ("ai_sdk", "sse"), ("ai_sdk_text", "ndjson"),
            ("anthropic", "sse"), ("openai_chat", "sse"), ("ag_ui", "sse"),
            ("gai_events_v1", "sse"), ("gai_events_v1", "ndjson")]  # fmt: skip


@WAYS
@pytest.mark.parametrize(("dialect", "format"), DIALECTS)
def test_every_dialect_has_the_same_message(
    gs: ModuleType, dialect: str, format: str, on_disconnect: str
) -> None:
    outcome = collected(gs, answer(gs), dialect=dialect, format=format, on_disconnect=on_disconnect)
    message = outcome.message
    assert (outcome.kind, outcome.events) == ("completed", 7)
    assert (message.id, message.model, message.text, message.reasoning) == ("m1", "m", "abc", "hm")
    assert [each.input for each in message.tool_calls] == [{"x": 1}]
    assert (message.finish_reason, message.error, message.complete) == ("stop", None, True)


@WAYS
@pytest.mark.parametrize("kind", ["bytes", "events"])
@pytest.mark.parametrize(
    ("dialect", "format"), [each for each in DIALECTS if each[0] != "ai_sdk_text"]
)
def test_frames_that_a_source_passes_on_are_read(
    gs: ModuleType, dialect: str, format: str, kind: str, on_disconnect: str
) -> None:
    events = [gs.events.Start(id="m1", model="m"), "abc", gs.events.Finish(finish_reason="stop")]
    body = gs.encode_events(events, format, dialect)
    frames: list[Any] = [body]
    if kind == "events":
        frames = gs.SSEDecoder().feed(gs.encode_events(events, "sse", dialect))
    outcome = collected(gs, frames, dialect=dialect, format=format, on_disconnect=on_disconnect)
    assert outcome.kind == "completed"
    assert outcome.message.text == "abc"
    assert outcome.message.error is None


@WAYS
def test_an_unknown_item_fails_the_stream_and_is_named(
    gs: ModuleType, on_disconnect: str, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = collected(gs, ["a", 7], on_disconnect=on_disconnect)
    assert outcome.kind == "failed"
    assert (outcome.message.text, outcome.message.error.code) == ("a", "internal")
    assert "int is no event: a source yields events, str, dicts" in caplog.text


@WAYS
@pytest.mark.parametrize(
    ("ends", "kind", "code"),
    [
        (["a"], "completed", None),
        (["a", "error"], "failed", "error"),
        (["a", "error", "b"], "completed", None),
        (["a", "error", ValueError("x")], "failed", "error"),
        (["a", ValueError("x")], "failed", "internal"),
        (["a", "finish", ValueError("x")], "failed", "internal"),
        (["a", "done", "late"], "completed", None),
        ([ValueError("x")], "failed", "internal"),
    ],
)
def test_the_message_ends_as_its_stream(
    gs: ModuleType, ends: list[Any], kind: str, code: str | None, on_disconnect: str
) -> None:
    special = {
        "done": gs.events.Done(),
        "error": gs.events.Error("x", "error"),
        "finish": gs.events.Finish(finish_reason="stop"),
    }
    items = [special.get(each, each) if isinstance(each, str) else each for each in ends]
    outcome = collected(gs, items, on_disconnect=on_disconnect)
    assert outcome.kind == kind
    assert (outcome.message.error and outcome.message.error.code) == code
    assert outcome.message.complete is (code is None)
    assert "late" not in outcome.message.text


@WAYS
def test_a_protocol_that_ends_the_stream_early_is_an_error_of_the_message(
    gs: ModuleType, on_disconnect: str
) -> None:
    items = ["a", gs.events.StepReset(), "b"]
    outcome = collected(gs, items, dialect="anthropic", on_disconnect=on_disconnect)
    assert outcome.kind == "failed"
    assert outcome.message.error.code == "interrupted"


@pytest.mark.parametrize("end", ["leaves", "stalls", "cancelled", "drained"])
def test_the_message_of_an_answer_that_was_cut_says_so(gs: ModuleType, end: str) -> None:
    async def test() -> None:
        gate, outcomes, connection = Gate(), [], Connection()

        async def source() -> AsyncIterator[str]:
            yield "a"
            await gate()
            yield "b"

        if end == "stalls":
            connection.before_send = lambda message: (
                asyncio.Event().wait() if message.get("body") else None
            )
        task = connection.begin(
            gs.asgi.SSEResponse(source(), collect=True, send_timeout=0.02, on_close=outcomes.append)
        )
        await gate.arrival()
        await turns(5)
        if end == "leaves":
            connection.leave()
        elif end == "cancelled":
            task.cancel()
        elif end == "drained":
            gs.drain(0)
        await asyncio.wait([task])
        [outcome] = outcomes
        assert outcome.kind == {
            "leaves": "client_gone", "stalls": "stalled", "cancelled": "cancelled",
            "drained": "drained",
        }[end]  # fmt: skip
        assert outcome.message.text == "a"
        assert outcome.message.error.code == "interrupted"

    run(test())


def test_without_it_there_is_no_message_and_the_repr_never_has_one(gs: ModuleType) -> None:
    async def test() -> None:
        outcomes: list[Any] = []
        for collect in (False, True):
            response = gs.asgi.SSEResponse(
                asynchronous("secret"), collect=collect, on_close=outcomes.append
            )
            await Connection().serve(response)
        assert outcomes[0].message is None
        assert outcomes[1].message.text == "secret"
        assert "secret" not in repr(outcomes[1])

    run(test())
