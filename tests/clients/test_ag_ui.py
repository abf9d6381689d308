"""AG-UI's HttpAgent goes on with a thread, over a handler of the protocol."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from ag_ui_clients import typed_frames
from event_recipes import Recipe, event_from, recipes
from hypothesis import given, settings
from hypothesis import strategies as st
from real_servers import serve_uvicorn
from recording_provider import RecordingProvider
from required import need_package, once_a_check
from vendor_clients import ClientScript

import gaistream
from gaistream import StreamError, asgi, chat
from gaistream import events as e

once_a_check()

FIRST = [
    e.StepStart(1, "plan"), e.ReasoningDelta("hm"), e.ReasoningEnd("rs_1", "sig", "hidden"),
    "Let me ", "look.", e.ToolCallStart("c1", "weather"), e.ToolCallDelta("c1", '{"city":'),
    e.ToolCallDelta("c1", '"Oslo"}'), e.ToolCall("c1", "weather", {"city": "Oslo"}, "signed"),
    e.FinishStep(1), e.Finish(e.Usage(3, 2), "tool_calls"),
]  # fmt: skip
INTERRUPTED = [
    e.ToolCall("c2", "rm", {"path": "/"}),
    e.ApprovalRequest("i1", "c2", "Sure?", "risky", {"type": "object"}), e.Finish(None, "pause"),
]  # fmt: skip
CHUNKS = ["a", e.Raw({"z": None}), e.Data("weather", None), e.Finish(None, "cancelled")]


@pytest.fixture(scope="module")
def agent() -> Iterator[ClientScript]:
    with ClientScript("ag_ui_thread.mjs") as script:
        yield script


def runs(agent: ClientScript, *answers: Any, **question: Any) -> tuple[list[Any], list[Any]]:
    """Run an agent once for each answer of its server; return what it kept, and the requests."""
    left = list(answers)

    async def answer(_: chat.ChatRequest) -> Any:
        for item in left.pop(0):
            if isinstance(item, Exception):
                raise item
            yield item

    provider = RecordingProvider(answer)
    app = asgi.protocol_handler(provider, "ag_ui")
    with serve_uvicorn(app, "h11", "asyncio") as server:
        kept = agent.ask(url=server.url, runs=len(answers), **question)
    for each in kept:
        assert each["warnings"] == []
    return kept, provider.asked


def test_what_must_go_back_to_the_provider_does(agent: ClientScript) -> None:
    result = {"id": "m", "role": "tool", "toolCallId": "c1", "content": "rain"}
    (first, last), (_, asked) = runs(agent, FIRST, ["Rain."], add=[result])
    assert first["outcome"] == {"type": "success", "pendingToolCallIds": ["c1"]}
    question, answer, told = asked.messages
    assert question == {"role": "user", "content": "the question"}
    assert answer["content"] == [
        {"type": "reasoning", "text": "hm", "signature": "sig", "id": "rs_1", "redacted": "hidden",
         "from_client": True},
        {"type": "text", "text": "Let me look."},
    ]  # fmt: skip
    [call] = answer["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"city": "Oslo"}
    assert call["extra_content"] == {"google": {"thought_signature": "signed"}}
    assert (told["content"], told["from_client"]) == ("rain", True)
    assert last["messages"][-1]["content"] == "Rain."
    assert len({each["id"] for each in last["messages"]}) == len(last["messages"])


def test_a_run_that_was_interrupted_is_resumed(agent: ClientScript) -> None:
    (first, last), (_, asked) = runs(agent, INTERRUPTED, ["Done."], resolve=True)
    assert first["interrupts"][0]["id"] == "i1"
    assert asked.extra["resume"] == [
        {"interrupt_id": "i1", "status": "resolved", "payload": {"ok": True}, "from_client": True}
    ]
    assert last["messages"][-1]["content"] == "Done."


def test_a_run_answers_with_the_ids_of_its_request(agent: ClientScript) -> None:
    [kept], [asked] = runs(agent, CHUNKS)
    assert (kept["started"]["threadId"], kept["started"]["runId"]) == (
        asked.extra["thread_id"], asked.extra["run_id"],
    )  # fmt: skip
    assert kept["outcome"] == {"type": "cancelled"}


def test_a_refusal_is_its_status_and_message(agent: ClientScript) -> None:
    [kept], _ = runs(agent, [StreamError("no room", code="busy", status=429)])
    assert kept["failed"].startswith("HTTP 429")
    assert '{"error":{"code":"busy","message":"no room"}}' in kept["failed"]


def test_the_frames_of_any_events_have_the_types_of_ag_ui_for_python() -> None:
    need_package("ag_ui", "clients")

    @settings(max_examples=100, deadline=None)
    @given(st.lists(recipes, max_size=12))
    def any_events(chosen: list[Recipe]) -> None:
        encoder = gaistream.SSEEncoder(dialect="ag_ui")
        for recipe in chosen:
            with contextlib.suppress(gaistream.errors.EventError, gaistream.errors.ClosedError):
                encoder.write(event_from(gaistream, recipe))
        if not encoder.ended:
            encoder.end()
        frames = list(typed_frames(iter(encoder.take().decode().split("\n"))))
        assert frames[-1]["type"] in ("RUN_FINISHED", "RUN_ERROR")

    any_events()
