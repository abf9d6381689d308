"""OpenAI's Responses: whatever is wrong in a stream is an Error or a Raw, never an exception."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from dialect_vectors import load

VECTORS = load("openai_responses")
WRONG = [None, True, -1, 2**70, 1.5, float("nan"), "", "x", "\ud800", [], [1], {}, {"type": 1}]
KEPT = ("created_at", "object", "parallel_tool_calls", "tool_choice", "tools", "logprobs")
DONE = b"data: [DONE]\n\n"


def frames_of(name: str) -> list[dict[str, Any]]:
    """Return the payloads of a vector."""
    lines = VECTORS[name]["input"].split("\n")
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


def body_of(frames: list[Any]) -> bytes:
    text = "".join(f"data: {json.dumps(frame)}\n\n" for frame in frames)
    return text.encode(errors="replace")


def read(gs: Any, frames: list[Any]) -> list[Any]:
    return list(gs.read_events(body_of(frames), dialect="openai_responses"))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of each value inside of a value, but for those that no reader looks at."""
    found = [path] if path else []
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            found += [] if key in KEPT else places(value[key], (*path, key))
    return found


def changed(frames: list[Any], path: tuple[Any, ...], *value: Any) -> list[Any]:
    """Return the frames with another value at a path, or without it."""
    at, *inner = path
    frames = frames.copy()
    if not inner:
        frames[at : at + 1] = value
        return frames
    holder = frames[at] = copy.deepcopy(frames[at])
    for step in inner[:-1]:
        holder = holder[step]
    if value:
        holder[inner[-1]] = value[0]
    else:
        del holder[inner[-1]]
    return frames


@pytest.mark.parametrize("name", VECTORS)
def test_a_wrong_or_missing_value_anywhere_never_raises_and_ends_the_stream_once(gs, name):
    e = gs.events
    frames = frames_of(name)
    for path in places(frames):
        for wrong in [(), *((each,) for each in WRONG)]:
            events = read(gs, changed(frames, path, *wrong))
            kinds = [type(event) for event in events]
            assert kinds[-1] in (e.Done, e.Error)
            assert not {e.Done, e.Error} & set(kinds[:-1])
            assert kinds.count(e.Finish) == kinds.count(e.Done)
            assert kinds.count(e.Start) <= 1
            assert e.ToolCall not in kinds or name == "hosted tool"  # the others have half a call
            gs.encode_events(events, dialect="openai_responses")


def test_an_output_index_that_is_used_twice_is_an_error(gs):
    frames = frames_of("text with usage")
    start = next(each for each in frames if each["type"] == "response.output_item.added")
    for at in range(frames.index(start) + 1, len(frames) - 1):
        events = read(gs, [*frames[:at], start, *frames[at:]])
        assert events[-1].code == "invalid_frame"
        assert "output index 0 twice" in events[-1].message


def test_an_item_that_is_done_twice_says_nothing_more(gs):
    frames = frames_of("hosted tool")
    ends = [each for each in frames if each["type"] == "response.output_item.done"]
    events = read(gs, [*frames[:-1], *ends, frames[-1]])
    assert [each.raw for each in events if isinstance(each, gs.events.Raw)] == ends
    assert [each for each in events if not isinstance(each, gs.events.Raw)] == read(gs, frames)


@pytest.mark.parametrize("name", ["half a call in an incomplete response", "text with [DONE]"])
def test_a_stream_that_is_cut_anywhere_is_never_whole(gs, name):
    body = VECTORS[name]["input"].encode().removesuffix(DONE)
    for at in range(len(body) - 2):
        events = list(gs.read_events(body[:at], dialect="openai_responses"))
        assert isinstance(events[-1], gs.events.Error)
        assert gs.events.ToolCall not in map(type, events)
        again = list(gs.read_events(body[:at] + b"\n\n" + DONE, dialect="openai_responses"))
        assert isinstance(again[-1], gs.events.Error)


@pytest.mark.parametrize("arguments", ['{"a":NaN}', '{"a":1e400}', "{'a':1}", "[1"])
def test_arguments_that_are_not_json_are_no_call(gs, arguments):
    frames = frames_of("cut with a call whose arguments are half")
    frames[-1]["delta"] = arguments
    events = read(gs, [*frames, {"type": "response.completed", "response": {"output": []}}])
    assert events[-1].code == "truncated_tool_call"


def test_ten_megabytes_of_arguments_are_read(gs):
    frames = frames_of("cut with a call whose arguments are half")
    pieces = [*(['{"a":"', *["x" * 1000] * 10_000]), '"}']
    call = [{**frames[-1], "delta": piece} for piece in pieces]
    item = {**frames[-2]["item"], "arguments": "".join(pieces), "status": "completed"}
    end = {"type": "response.output_item.done", "output_index": 0, "item": item}
    last = {"type": "response.completed", "response": {"output": [item]}}
    events = read(gs, [*frames[:-1], *call, end, last])
    [whole] = [each for each in events if isinstance(each, gs.events.ToolCall)]
    assert len(whole.input["a"]) == 10_000_000
    body = gs.encode_events(events, dialect="openai_responses")
    assert list(gs.read_events(body, dialect="openai_responses"))[-3:] == events[-3:]
