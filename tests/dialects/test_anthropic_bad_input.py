"""Anthropic Messages: whatever is wrong in a stream is an Error or a Raw, never an exception."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
from dialect_vectors import load

VECTORS = load("anthropic")
WRONG = [None, True, -1, 2**70, 1.5, float("nan"), "", "x", "\ud800", [], [1], {}, {"type": 1}]


def frames_of(name: str) -> list[dict[str, Any]]:
    """Return the payloads of a vector."""
    lines = VECTORS[name]["input"].split("\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line[:5] == "data:"]


def body_of(frames: list[Any]) -> bytes:
    text = "".join(
        f"event: {frame.get('type') if isinstance(frame, dict) else 'x'}\n"
        f"data: {json.dumps(frame)}\n\n"
        for frame in frames
    )
    return text.encode(errors="replace")


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of each value inside of a value."""
    found = [path] if path else []
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            found += places(value[key], (*path, key))
    return found


def changed(frames: list[Any], path: tuple[Any, ...], *value: Any) -> list[Any]:
    """Return the frames with another value at a path, or without it."""
    frames = copy.deepcopy(frames)
    holder = frames
    for step in path[:-1]:
        holder = holder[step]
    if value:
        holder[path[-1]] = value[0]
    else:
        del holder[path[-1]]
    return frames


def texts_of(gs: Any, events: list[Any]) -> str:
    deltas = (gs.events.TextDelta, gs.events.ReasoningDelta, gs.events.ToolCallDelta)
    return "".join(each.text for each in events if isinstance(each, deltas))


@pytest.mark.parametrize("name", VECTORS)
def test_a_wrong_or_missing_value_anywhere_never_raises_and_ends_the_stream_once(gs, name):
    frames = frames_of(name)
    said = texts_of(gs, list(gs.read_events(body_of(frames), dialect="anthropic")))
    ends = (gs.events.Done, gs.events.Error)
    for path in places(frames):
        for wrong in [(), *((each,) for each in WRONG)]:
            body = body_of(changed(frames, path, *wrong))
            events = list(gs.read_events(body, dialect="anthropic"))
            assert isinstance(events[-1], ends)
            assert not any(isinstance(each, ends) for each in events[:-1])
            rest = iter(said)  # nothing is read that was not said, apart from the wrong values
            assert all(each in rest for each in re.sub("[x\ufffd]", "", texts_of(gs, events)))


def test_a_block_index_that_is_used_twice_is_an_error(gs):
    frames = frames_of("text with ping")
    start = next(each for each in frames if each["type"] == "content_block_start")
    for at in range(frames.index(start) + 1, len(frames) - 1):
        twice = [*frames[:at], start, *frames[at:]]
        events = list(gs.read_events(body_of(twice), dialect="anthropic"))
        assert events[-1].code == "invalid_frame"
        assert "index 0 twice" in events[-1].message


def test_arguments_that_are_cut_anywhere_are_never_a_call(gs):
    body = VECTORS["half a call, max_tokens"]["input"].encode()
    for at in range(len(body)):
        events = list(gs.read_events(body[:at], dialect="anthropic"))
        assert isinstance(events[-1], gs.events.Error)
        assert not any(isinstance(each, gs.events.ToolCall) for each in events)


def test_a_frame_that_is_not_json_is_an_error(gs):
    start = VECTORS["text with ping"]["input"].partition("event: ping")[0]
    events = list(gs.read_events(f"{start}data: [DONE]\n\n".encode(), dialect="anthropic"))
    assert events[-1].code == "invalid_frame"


@pytest.mark.parametrize(
    ("data", "message", "code"),
    [
        ('{"type":"error","error":{"type":"api_error","message":"no"}}', "no", "api_error"),
        ('{"error":"no"}', "no", None),
        ('{"error":{"message":5}}', "the provider failed", None),
        ("[]", "the provider failed", None),
        ("broken", "broken", None),
    ],
)
def test_an_error_of_any_shape_ends_the_stream(gs, data, message, code):
    body = f"event: error\ndata: {data}\n\n".encode()
    events = list(gs.read_events(body, dialect="anthropic"))
    assert events == [gs.events.Error(message, code)]


def test_ten_megabytes_of_arguments_are_read(gs):
    frames = frames_of("thinking with signature, redacted, tool")
    pieces = [each for each in frames if "partial_json" in each.get("delta", {})]
    pieces[1]["delta"]["partial_json"] = '{"a":"' + "x" * 10_000_000
    pieces[2]["delta"]["partial_json"] = '"}'
    events = list(gs.read_events(body_of(frames), dialect="anthropic"))
    calls = [each for each in events if isinstance(each, gs.events.ToolCall)]
    assert len(calls[0].input["a"]) == 10_000_000
