"""Whatever a stream has been made of, its reader returns events that it says, and one end.

The streams are the vectors of tests/data/dialects, cut at every byte, and changed at random: wrong
types, missing fields, unknown, repeated, left out and exchanged frames, NaN, and broken bytes.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import re
from typing import Any

import pytest
from dialect_vectors import load
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

WRITTEN = ["openai_chat", "openai_responses", "anthropic", "ai_sdk", "ag_ui"]
READERS = [*WRITTEN, "gemini", "gemini_interactions", "ollama"]
FORMATS = {"ollama": "ndjson"}
VECTORS = {dialect: load(dialect) for dialect in READERS}
ALL = [(dialect, name) for dialect in READERS for name in VECTORS[dialect]]
WRONG = [
    None, True, -1, 0, 2**70, 1.5, float("nan"), "", "x", "\ud800", [], [1], {}, {"type": 1},
    {"index": 0}, [[]],
]  # fmt: skip
UNKNOWN = [
    {"type": "unknown"}, {}, [], 5, "text", None, {"type": "data-x"}, {"choices": [{"delta": 1}]},
    {"type": "content_block_delta", "index": 99, "delta": {"type": "text_delta", "text": "x"}},
    {"type": "text-delta", "id": "none", "delta": "x"}, {"error": None},
    {"type": "TEXT_MESSAGE_CONTENT", "messageId": "none", "delta": "x"},
    {"type": "TOOL_CALL_CHUNK", "delta": "x"}, {"type": "REASONING_END", "messageId": 1},
    {"type": "CUSTOM", "name": "gaistream.file", "value": {"media_type": 1}},
    {"candidates": [5, {}]},
    {"event_type": "step.delta", "index": 99, "delta": {"type": "text", "text": "x"}},
    {"event_type": "interaction.completed"}, {"message": {"tool_calls": [5, {"function": {}}]}},
]  # fmt: skip
UNWHOLE = re.compile("[\ud800-\udfff\ufffd\U00010000-\U0010ffff]")  # what halves are joined to


def read(gs, body, dialect):
    return list(gs.read_events(body, FORMATS.get(dialect, "sse"), dialect))


def frames_of(body):
    """Return the name and the payload of each frame; the text of one that is not JSON."""
    frames = []
    if body.startswith("{"):  # lines, which have no names
        whole = [line for line in body.split("\n") if line.endswith("}")]
        return [["", json.loads(line)] for line in whole]
    for block in body.split("\n\n"):
        name, payload = "", None
        for line in block.split("\n"):
            field, _, value = line.partition(":")
            if field == "event":
                name = value.strip()
            elif field == "data":
                payload = value.strip()
        if payload is not None:
            try:
                frames.append([name, json.loads(payload)])
            except ValueError:
                frames.append([name, payload])
    return frames


def body_of(frames, dialect=""):
    if dialect in FORMATS:
        return "".join(json.dumps(payload) + "\n" for _, payload in frames).encode()
    text = ""
    for name, payload in frames:
        data = payload if payload == "[DONE]" else json.dumps(payload)
        text += f"event: {name}\ndata: {data}\n\n" if name else f"data: {data}\n\n"
    return text.encode()


def content(gs, events):
    """Return the events without the end of the stream."""
    ends = (gs.events.Finish, gs.events.Done, gs.events.Error)
    return list(itertools.takewhile(lambda event: not isinstance(event, ends), events))


@pytest.mark.parametrize(("dialect", "name"), ALL)
def test_a_stream_that_is_cut_says_nothing_more_than_the_whole_one(gs, dialect, name):
    body = VECTORS[dialect][name]["input"].encode()
    whole = content(gs, read(gs, body, dialect))
    for at in range(len(body)):
        events = read(gs, body[:at], dialect)
        assert isinstance(events[-1], gs.events.Done | gs.events.Error)
        said = content(gs, events)
        if said and isinstance(said[-1], gs.events.ReasoningEnd):
            continue  # the end of the stream may end it, unsigned
        assert said == whole[: len(said)]


def places(value, path=()):
    """Yield the path of each value inside of a JSON value."""
    if path:
        yield path
    if isinstance(value, list):
        value = dict(enumerate(value))
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from places(inner, (*path, key))


@st.composite
def changed_frames(draw, dialect):
    """Return the frames of a vector with some changes."""
    body = VECTORS[dialect][draw(st.sampled_from(sorted(VECTORS[dialect])))]["input"]
    frames = copy.deepcopy(frames_of(body))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(frames) - 1, 0)))
        change = draw(st.sampled_from(["set", "set", "leave out", "twice", "drop", "swap", "add"]))
        if change == "add" or not frames:
            frames.insert(at, ["", copy.deepcopy(draw(st.sampled_from(UNKNOWN)))])
        elif change == "twice":
            frames.insert(draw(st.integers(0, len(frames))), copy.deepcopy(frames[at]))
        elif change == "drop":
            del frames[at]
        elif change == "swap":
            frames[at], frames[at - 1] = frames[at - 1], frames[at]
        else:
            change_value(draw, frames[at], change)
    return frames


def change_value(draw, frame, change):
    paths = list(places(frame[1]))
    if not paths:
        frame[1] = copy.deepcopy(draw(st.sampled_from(WRONG)))
        return
    *path, last = draw(st.sampled_from(paths))
    holder = frame[1]
    for key in path:
        holder = holder[key]
    if change == "set":
        holder[last] = copy.deepcopy(draw(st.sampled_from(WRONG)))
    else:
        del holder[last]


def leaves(value):
    """Return the texts of a JSON value, and the JSON of its objects and arrays."""
    if isinstance(value, str):
        return [UNWHOLE.sub("", value)]
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        written = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        return [UNWHOLE.sub("", written), *itertools.chain.from_iterable(map(leaves, inner))]
    return []


def check(gs, dialect, events, frames):
    """Check that the events are in order, end once, and that each text was sent."""
    e = gs.events
    between_parts = e.ReasoningDelta("\n\n")  # of a summary, which no frame has
    kinds = [type(event) for event in events]
    assert kinds[-1] in (e.Done, e.Error)
    assert not {e.Done, e.Error} & set(kinds[:-1])
    assert kinds.count(e.Start) <= 1
    assert e.Finish in kinds or e.Done not in kinds
    sent = None if frames is None else leaves([payload for _, payload in frames])
    arguments: dict[str, str] = {}
    for event in events:
        if isinstance(event, e.TextDelta | e.ReasoningDelta | e.ToolCallDelta):
            assert event.text
            if sent is not None and event != between_parts:
                assert any(UNWHOLE.sub("", event.text) in leaf for leaf in sent)
        if isinstance(event, e.ToolCallStart):
            assert dialect == "ai_sdk" or event.id not in arguments  # there an answered one may
            arguments[event.id] = ""
        elif isinstance(event, e.ToolCallDelta):
            arguments[event.id] += event.text
        elif isinstance(event, e.ToolCall):
            text = arguments.pop(event.id, "")
            if text and dialect != "ai_sdk":  # whose input comes by itself
                assert event.input == json.loads(text)
    gs.encode_events(events)
    for name in WRITTEN:  # whose order has rules that not every stream keeps
        with contextlib.suppress(gs.errors.EventError):
            gs.encode_events(events, dialect=name)


ROBUST = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("dialect", READERS)
def test_changed_frames_say_what_they_have(gs, dialect):
    @ROBUST
    @given(changed_frames(dialect))
    def changed(frames):
        check(gs, dialect, read(gs, body_of(frames, dialect), dialect), frames)

    changed()


@pytest.mark.parametrize("dialect", READERS)
def test_broken_bytes_end_the_stream_once(gs, dialect):
    @ROBUST
    @given(st.sampled_from(sorted(VECTORS[dialect])), st.data())
    def broken(name, data):
        body = bytearray(VECTORS[dialect][name]["input"].encode())
        for _ in range(data.draw(st.integers(1, 5))):
            at = data.draw(st.integers(4, max(len(body), 4)))  # after a byte order mark
            body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
        check(gs, dialect, read(gs, bytes(body), dialect), None)

    broken()


TEN_MEGABYTES = "x" * 10_000_000


def long_call(dialect, arguments, ends):
    """Return the body of a stream whose call has these arguments, in two deltas."""
    middle = len(arguments) // 2
    pieces = arguments[:middle], arguments[middle:]
    if dialect == "ai_sdk":
        call = {"toolCallId": "c", "toolName": "f"}
        frames: list[Any] = [
            {"type": "tool-input-start", **call},
            *({"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": x} for x in pieces),
        ]
        if ends:
            whole = {"type": "tool-input-available", **call, "input": json.loads(arguments)}
            frames += [whole, {"type": "finish"}]
    elif dialect == "gemini_interactions":
        step = {"type": "function_call", "id": "c", "name": "f", "arguments": {}}
        frames = [
            {"event_type": "step.start", "index": 0, "step": step},
            *({"event_type": "step.delta", "index": 0,
               "delta": {"type": "arguments_delta", "arguments": x}} for x in pieces),
            *([{"event_type": "interaction.completed", "interaction": {}}] if ends else []),
        ]  # fmt: skip
    elif dialect == "anthropic":
        block = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
        frames = [
            {"type": "content_block_start", "index": 0, "content_block": block},
            *({"type": "content_block_delta", "index": 0,
               "delta": {"type": "input_json_delta", "partial_json": x}} for x in pieces),
            *([{"type": "content_block_stop", "index": 0}, {"type": "message_stop"}]
              if ends else []),
        ]  # fmt: skip
    elif dialect == "openai_responses":
        item = {"type": "function_call", "call_id": "c", "name": "f", "arguments": ""}
        frames = [
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            *({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": x}
              for x in pieces),
            *([{"type": "response.completed", "response": {"output": []}}] if ends else []),
        ]  # fmt: skip
    elif dialect == "ag_ui":
        frames = [
            {"type": "TOOL_CALL_START", "toolCallId": "c", "toolCallName": "f"},
            *({"type": "TOOL_CALL_ARGS", "toolCallId": "c", "delta": x} for x in pieces),
            *([{"type": "TOOL_CALL_END", "toolCallId": "c"}, {"type": "RUN_FINISHED"}]
              if ends else []),
        ]  # fmt: skip
    else:
        function = {"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}
        deltas = [function, *({"index": 0, "function": {"arguments": x}} for x in pieces)]
        frames = [{"choices": [{"delta": {"tool_calls": [each]}}]} for each in deltas]
        frames += [{"choices": [{"delta": {}, "finish_reason": "stop"}]}] if ends else []
    return body_of([[each.get("type", "") if dialect == "anthropic" else "", each]
                    for each in frames])  # fmt: skip


@pytest.mark.parametrize("dialect", [*WRITTEN, "gemini_interactions"])
def test_ten_megabytes_of_arguments_are_a_call_or_an_error(gs, dialect):
    arguments = json.dumps({"a": TEN_MEGABYTES})
    events = read(gs, long_call(dialect, arguments, ends=True), dialect)
    [call] = [event for event in events if isinstance(event, gs.events.ToolCall)]
    assert call.input == {"a": TEN_MEGABYTES}
    assert isinstance(events[-1], gs.events.Done)
    events = read(gs, long_call(dialect, arguments[:-1], ends=False), dialect)
    assert events[-1].code == "truncated_tool_call"
    assert gs.events.ToolCall not in map(type, events)
