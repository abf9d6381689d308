"""OpenAI's Chat Completions, read: no input raises, and nothing is returned that was not sent."""

from __future__ import annotations

import copy
import json

import pytest
from dialect_vectors import load

VECTORS = load("openai_chat")
NAMES = ["usage details", "a call ends when the next begins", "reasoning details with a signature",
         "signature of a tool call, function_call reason"]  # fmt: skip
WRONG = [None, True, -1, 2**70, 1.5, float("nan"), "x", "\ud800", "", [], {}, [[]], [{"x": 1}],
         {"index": 0}]  # fmt: skip
DONE = b"data: [DONE]\n\n"


def chunks_of(name):
    lines = [line[6:] for line in VECTORS[name]["input"].split("\n\n")]
    return [json.loads(line) for line in lines if line.startswith("{")]


def body_of(chunks):
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + DONE


def places(value, path=()):
    """Yield the path of each value inside of a JSON value."""
    if path:
        yield path
    if isinstance(value, list):
        value = dict(enumerate(value))
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from places(inner, (*path, key))


def changed(chunks):
    """Yield the chunks with each of their values replaced, or left out."""
    for path in places(chunks):
        for wrong in (*WRONG, ...):
            copied = copy.deepcopy(chunks)
            holder = copied
            for key in path[:-1]:
                holder = holder[key]
            if wrong is ...:
                del holder[path[-1]]
            else:
                holder[path[-1]] = wrong
            yield copied


def read(gs, body):
    return list(gs.read_events(body, dialect="openai_chat"))


def check(gs, found, sent):
    """Check the order of a stream's events, and that each text stands in what was sent."""
    events = gs.events
    kinds = [type(event) for event in found]
    assert kinds[-1] in (events.Done, events.Error)
    assert not {events.Done, events.Error} & set(kinds[:-1])
    assert kinds.count(events.Start) <= 1
    assert kinds.count(events.Finish) == kinds.count(events.Done)
    begun = {}
    for event in found:
        if isinstance(event, events.ToolCallStart):
            assert event.id not in begun
            begun[event.id] = ""
        elif isinstance(event, events.ToolCallDelta):
            begun[event.id] += event.text
        elif isinstance(event, events.ToolCall):
            text = begun.pop(event.id)
            assert not text or json.loads(text) == event.input
        elif isinstance(event, events.TextDelta | events.ReasoningDelta):
            assert event.text.replace("\ufffd", "") in sent
    gs.encode_events(found)  # whatever is read can be written
    gs.encode_events(found, dialect="openai_chat")


@pytest.mark.parametrize("name", NAMES)
def test_no_wrong_type_and_no_missing_field_raises(gs, name):
    chunks = chunks_of(name)
    for each in changed(chunks):
        texts = json.dumps(each, ensure_ascii=False)
        check(gs, read(gs, body_of(each)), texts)


@pytest.mark.parametrize("frame", [
    b"data: 5", b"data: []", b'data: "x"', b"data: null", b"data: NaN", b"event: odd\ndata: {}",
    b"event: ping\ndata: {}", b'data: {"type":"odd"}', b"data:", b": x",
])  # fmt: skip
def test_frames_that_the_protocol_does_not_have_are_skipped(gs, frame):
    text = body_of(chunks_of(NAMES[0]))
    wanted = read(gs, text)
    assert read(gs, frame + b"\n\n" + text) == wanted
    first, separator, rest = text.partition(b"\n\n")
    assert read(gs, first + separator + frame + b"\n\n" + rest) == wanted


def calling(arguments, **fields):
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": arguments}, **fields}
    return {"choices": [{"delta": {"tool_calls": [call]}}]}


END = {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}


@pytest.mark.parametrize("text", [
    "[" * 200_000, '{"a":' * 200_000, "NaN", "Infinity", '{"a":NaN}', "1e999", "9" * 5000, "{",
    "\x00", "}",
])  # fmt: skip
def test_arguments_that_are_no_json_end_in_an_error(gs, text):
    *_, delta, error = read(gs, body_of([calling(text), END]))
    assert delta == gs.events.ToolCallDelta("c", text)
    assert (type(error), error.code) == (gs.events.Error, "truncated_tool_call")


@pytest.mark.parametrize("frame", [b"[" * 200_000, b'{"a":' * 200_000, b"{", b"<html>"])
def test_a_frame_that_cannot_be_read_ends_in_an_error(gs, frame):
    (error,) = read(gs, b"data: " + frame + b"\n\n" + DONE)
    assert error.code == "invalid_frame"


def test_arguments_of_ten_megabytes(gs):
    text = json.dumps("x" * 10_000_000)
    _, _, delta, call, *_ = read(gs, body_of([calling(text), END]))
    assert len(delta.text) == len(text)
    assert len(call.input) == 10_000_000
    pieces = [calling(text[at : at + 100_000], id=None) for at in range(0, len(text), 100_000)]
    assert read(gs, body_of([calling(""), *pieces, END]))[-3] == call
    assert read(gs, body_of([calling(text[:-1]), END]))[-1].code == "truncated_tool_call"


def test_one_index_and_one_id_for_two_calls(gs):
    events = gs.events
    found = read(gs, body_of([calling("{}"), calling("[1]"), END]))
    calls = [event for event in found if isinstance(event, events.ToolCall)]
    assert [(call.id, call.input) for call in calls] == [("c", {}), ("call_2", [1])]
