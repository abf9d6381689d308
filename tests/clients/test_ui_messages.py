"""A message equals that which the AI SDK's readUIMessageStream builds of the same answer.

The random answers are those of tests/message/test_vendors.py: finished, failed, or cut anywhere.
`GAISTREAM_RANDOM_ANSWERS` is their number.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from random_answers import random_answer
from required import once_a_check
from ui_chunks import chunks_of
from vendor_clients import ClientScript

import gaistream
from gaistream import dialects
from gaistream import events as e
from gaistream.events import Done, Error

once_a_check()
STREAMS = int(os.environ.get("GAISTREAM_RANDOM_ANSWERS", "1000"))
AT_ONCE = 50  # streams that are asked for in one question


@pytest.fixture(scope="module")
def script() -> Iterator[ClientScript]:
    with ClientScript("ui_messages.mjs") as running:
        yield running


def written(events: list[Any], version: int) -> list[Any]:
    """Return the chunks of an answer; one that was cut has no end."""
    encoder = gaistream.SSEEncoder(dialect=dialects.ai_sdk(version=version))
    encoder.write_many(events)
    if isinstance(events[-1], Error):
        encoder.end()
    return [each for each in chunks_of(encoder.take()) if each != "[DONE]"]


def built(script: ClientScript, answers: list[list[Any]], version: int) -> list[Any]:
    messages = []
    for first in range(0, len(answers), AT_ONCE):
        streams = [written(each, version) for each in answers[first : first + AT_ONCE]]
        messages += script.ask(version=version, streams=streams)
    return messages


def comparable(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message without a step of which nothing came yet.

    The SDK shows the beginning of a step together with what it begins with.
    """
    parts = [{**each} for each in message["parts"]]
    if parts and parts[-1] == {"type": "step-start"}:
        parts.pop()
    return {**message, "parts": parts}


@pytest.mark.parametrize("version", [5, 6, 7])
def test_the_message_of_the_ai_sdk(script: ClientScript, version: int) -> None:
    answers = [random_answer(seed) for seed in range(STREAMS)]
    for seed, theirs in enumerate(built(script, answers, version)):
        ours = gaistream.collect(answers[seed]).to_ui_message(version=version)
        assert comparable(ours) == comparable(theirs), f"seed {seed}"


STEPS = [
    e.Start("answer_1", "model"), "a", e.Citations([e.Citation("https://example.com", 0, 1)]),
    e.Citations([e.Citation("https://example.com/2")]), "b", e.Data("weather", 1, "x"),
    e.Data("weather", 2, "x"), e.Data("passing", 3, None, True), e.File("image/png", data=b"png"),
    e.File("image/png", "https://example.com/a.png"), e.Safety("violence", "warn", 0.5, "a note"),
    e.ToolCall("1", "f", {"a": 1}, "signed"), e.ToolResult("1", "f", "no", True), e.FinishStep(1),
    e.StepStart(2), e.ReasoningDelta("hm"), e.ReasoningEnd("r", "signed"),
    e.ToolCall("2", "search", None, None, True), e.ToolResult("2", "search", [1], None, True),
    e.Error("a report", "slow", 2), e.AudioDelta(b"abc"), e.Raw({"any": 1}), "c",
    e.Finish(e.Usage(1, 2), "stop", "end_turn"), Done(),
]  # fmt: skip
ASKED = [
    e.Start("answer_1"), e.ToolCall("1", "f"), e.ApprovalRequest("no call", "2", "May I?", "why"),
    e.ApprovalRequest("ask", "1", "May I?", "why", {"type": "object"}, "signed"),
]  # fmt: skip
RESET = [
    e.Start("answer_1"), "kept", e.FinishStep(1), e.StepStart(), "void", e.ToolCall("1", "f"),
    e.StepReset(), "b",
]  # fmt: skip


@pytest.mark.parametrize("version", [5, 6, 7])
def test_every_kind_of_part_after_each_event(script: ClientScript, version: int) -> None:
    ends = {*range(1, len(STEPS) + 1)} - {len(STEPS) - 1}  # Finish is held until Done
    answers = [*(STEPS[:end] for end in sorted(ends)), ASKED, *([RESET] if version == 7 else [])]
    for events, theirs in zip(answers, built(script, answers, version), strict=True):
        ours = json.loads(json.dumps(gaistream.collect(events).to_ui_message(version=version)))
        assert comparable(ours) == comparable(theirs), events[-1]


def test_an_answer_that_lost_a_delta_is_not_the_same(script: ClientScript) -> None:
    events = ["a", "b", Done()]
    [theirs] = built(script, [events], 7)
    assert gaistream.collect(events).to_ui_message()["parts"] == theirs["parts"]
    assert gaistream.collect(events[1:]).to_ui_message()["parts"] != theirs["parts"]
