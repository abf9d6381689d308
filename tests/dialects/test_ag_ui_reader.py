"""AG-UI as it is read: foreign producers, chunks, reasoning, and the round trip."""

from __future__ import annotations

import json

import pytest
from ag_ui_runs import Frame
from conversations import FULL, PAIRS, expected
from dialect_vectors import load

import gaistream

STARTED = {"type": "RUN_STARTED", "threadId": "t", "runId": "r"}
FINISHED = {"type": "RUN_FINISHED", "threadId": "t", "runId": "r"}
WRONG = [None, True, -1, 2**70, 1.5, float("nan"), "", "x", "\ud800", [], [1], {}, {"type": 1}]
VECTORS = load("ag_ui")


def body_of(frames: list[Frame]) -> bytes:
    return b"".join(b"data: " + json.dumps(frame).encode() + b"\n\n" for frame in frames)


def read(gs, *frames, ends=True):
    """Return the events between the start and the end of a run with these frames."""
    body = body_of([STARTED, *frames, *([FINISHED] if ends else [])])
    events = list(gs.read_events(body, dialect="ag_ui"))
    assert events[0] == gs.events.Start("r")
    return events[1:-2] if ends else events[1:]


def frame(kind, **fields):
    return {"type": kind, **fields}


def thought(gs, *middle):
    """Return the events of a reasoning message with some frames before its end."""
    return read(gs, frame("REASONING_MESSAGE_START", messageId="m", role="reasoning"),
                frame("REASONING_MESSAGE_CONTENT", messageId="m", delta="hm"), *middle)  # fmt: skip


@pytest.mark.parametrize("items", [FULL, *PAIRS.values()], ids=["full", *PAIRS])
def test_what_was_written_is_read(items):
    dialect = gaistream.dialects.ag_ui(protocol_version="1.0")
    found = list(gaistream.read_events(gaistream.encode_events(items, dialect=dialect),
                                       dialect="ag_ui"))  # fmt: skip
    said, wanted = expected(found), expected(items)
    assert (said.model, said.order) == (wanted.model, wanted.order)
    assert said == wanted


@pytest.mark.parametrize("before", [True, False])
def test_a_message_of_reasoning_without_a_span_has_its_value_too(gs, before):
    e = gs.events
    value = frame("REASONING_ENCRYPTED_VALUE", subtype="message", entityId="m", encryptedValue="s")
    end = frame("REASONING_MESSAGE_END", messageId="m")
    events = thought(gs, *((value, end) if before else (end, value)))
    assert events == [e.ReasoningDelta("hm"), e.ReasoningEnd("m", "s")]


def test_reasoning_without_a_value_ends_with_the_next_frame_or_the_cut(gs):
    e = gs.events
    end = frame("REASONING_MESSAGE_END", messageId="m")
    other = frame("REASONING_ENCRYPTED_VALUE", subtype="message", entityId="x", encryptedValue="s")
    assert thought(gs, end)[-1] == e.ReasoningEnd("m")
    assert thought(gs, end, other)[1:] == [e.ReasoningEnd("m"), e.Raw(other)]
    start = frame("REASONING_MESSAGE_START", messageId="m")
    *_, ended, error = read(gs, start, end, ends=False)
    assert (ended, error.code) == (e.ReasoningEnd("m"), "truncated")
    *_, ended, error = read(gs, start, end, frame("RUN_ERROR", message="no"), ends=False)
    assert (ended, error) == (e.ReasoningEnd("m"), e.Error("no"))


def test_each_message_of_a_span_is_a_block(gs):
    e = gs.events
    one, other = (
        [frame("REASONING_MESSAGE_START", messageId=name),
         frame("REASONING_MESSAGE_CONTENT", messageId=name, delta=name),
         frame("REASONING_MESSAGE_END", messageId=name)] for name in "ab"
    )  # fmt: skip
    value = frame("REASONING_ENCRYPTED_VALUE", subtype="message", entityId="s", encryptedValue="v")
    end = frame("REASONING_END", messageId="s")
    assert read(gs, frame("REASONING_START", messageId="s"), *one, *other, value, end) == [
        e.ReasoningDelta("a"), e.ReasoningEnd("a"), e.ReasoningDelta("b"),
        e.ReasoningEnd("b", "v"),
    ]  # fmt: skip


def test_chunks_end_with_a_frame_of_another_kind(gs):
    e = gs.events
    events = read(
        gs,
        frame("REASONING_MESSAGE_CHUNK", messageId="m", delta="h"),
        frame("REASONING_ENCRYPTED_VALUE", subtype="message", entityId="m", encryptedValue="v"),
        frame("REASONING_MESSAGE_CHUNK", delta="m"),
        frame("TOOL_CALL_CHUNK", toolCallId="a", toolCallName="f"),
        frame("RAW", event=1),
        frame("TOOL_CALL_CHUNK", delta="{}"),
        frame("TOOL_CALL_CHUNK", toolCallId="b", toolCallName="g", delta="[]"),
        frame("CUSTOM", name="n", value=None),
        frame("TEXT_MESSAGE_CHUNK", messageId="t", delta="a"),
        frame("TEXT_MESSAGE_CHUNK", delta=""),
        frame("TEXT_MESSAGE_CHUNK", messageId="u", delta="b"),
    )
    assert events == [
        e.ReasoningDelta("h"), e.ReasoningDelta("m"), e.ReasoningEnd("m", "v"),
        e.ToolCallStart("a", "f"), e.Raw(1), e.ToolCallDelta("a", "{}"), e.ToolCall("a", "f", {}),
        e.ToolCallStart("b", "g"), e.ToolCallDelta("b", "[]"), e.ToolCall("b", "g", []),
        e.Data("n"), e.TextDelta("a"), e.TextDelta("b"),
    ]  # fmt: skip


def test_half_a_call_in_chunks_ends_the_stream_at_the_next_frame(gs):
    events = read(
        gs, frame("TOOL_CALL_CHUNK", toolCallId="a", toolCallName="f", delta="{"),
        frame("TEXT_MESSAGE_CHUNK", messageId="t", delta="a"), ends=False,
    )  # fmt: skip
    assert events[-1].code == "truncated_tool_call"
    assert len(events) == 3


def test_a_call_that_the_end_of_the_run_ends_is_whole_or_an_error(gs):
    e = gs.events
    start = frame("TOOL_CALL_START", toolCallId="c", toolCallName="f")
    arguments = frame("TOOL_CALL_ARGS", toolCallId="c", delta='{"a":1}')
    assert read(gs, start, arguments)[-1] == e.ToolCall("c", "f", {"a": 1})
    assert read(gs, start)[-1] == e.ToolCall("c", "f", None)
    half = {**arguments, "delta": "["}
    for frames in ([start, half], [start, half, FINISHED]):
        assert read(gs, *frames, ends=False)[-1].code == "truncated_tool_call"


def test_a_signature_of_a_call_comes_before_its_end(gs):
    e = gs.events
    start = frame("TOOL_CALL_START", toolCallId="c", toolCallName="f")
    end = frame("TOOL_CALL_END", toolCallId="c", metadata={"providerExecuted": True})
    value = frame(
        "REASONING_ENCRYPTED_VALUE", subtype="tool-call", entityId="c", encryptedValue="v"
    )
    assert read(gs, start, value, end)[-1] == e.ToolCall("c", "f", None, "v", True)
    assert read(gs, start, end, value)[-1] == e.Raw(value)


def test_a_result_is_text_or_the_value_of_an_object_or_array(gs):
    for content, value in [("[1]", [1]), ('{"a":"b"}', {"a": "b"}), ("5", "5"), ("[x", "[x"),
                           ("", ""), ([{"type": "text", "text": "a"}],) * 2]:  # fmt: skip
        result = frame("TOOL_CALL_RESULT", messageId="m", toolCallId="c", content=content)
        assert read(gs, result) == [gs.events.ToolResult("c", "", value)]


def test_text_of_another_role_is_no_text_of_the_answer(gs):
    start = frame("TEXT_MESSAGE_START", messageId="u", role="user")
    said = frame("TEXT_MESSAGE_CONTENT", messageId="u", delta="hi")
    assert read(gs, start, said) == [gs.events.Raw(said)]


def test_an_interrupt_is_its_approvals(gs):
    e = gs.events
    asked = {"id": "i", "reason": "risky", "toolCallId": "c", "responseSchema": {"type": "null"}}
    outcome = {"type": "interrupt", "interrupts": [asked, 5]}
    events = read(gs, {**FINISHED, "outcome": outcome}, ends=False)
    approval = e.ApprovalRequest("i", "c", reason="risky", response_schema={"type": "null"})
    assert events == [approval, e.Finish(None, "pause"), e.Done()]


def test_what_follows_the_end_is_dropped(gs):
    events = read(gs, FINISHED, frame("RUN_ERROR", message="no"), ends=False)
    assert events == [gs.events.Finish(None, "stop"), gs.events.Done()]


@pytest.mark.parametrize(
    "wrong",
    [
        frame("TEXT_MESSAGE_CONTENT", messageId="none", delta="x"),
        frame("TEXT_MESSAGE_END", messageId="none"),
        frame("TEXT_MESSAGE_CHUNK", delta="x"),
        frame("REASONING_MESSAGE_CONTENT", messageId="none", delta="x"),
        frame("REASONING_MESSAGE_END", messageId="none"),
        frame("REASONING_END", messageId="none"),
        frame("TOOL_CALL_START", toolCallId="c"),
        frame("TOOL_CALL_ARGS", toolCallId="none", delta="x"),
        frame("TOOL_CALL_END", toolCallId="none"),
        frame("TOOL_CALL_RESULT", messageId="m", toolCallId="c"),
        frame("STEP_STARTED"),
        frame("CUSTOM", name="n"),
        frame("RUN_STARTED", threadId="t", runId="again"),
        frame("STATE_DELTA", delta=[]),
        {},
        [],
        5,
        None,
    ],
)
def test_a_frame_that_means_nothing_where_it_stands_is_raw(gs, wrong):
    assert read(gs, wrong) == [gs.events.Raw(wrong)]


@pytest.mark.parametrize(
    "opener",
    [
        frame("TEXT_MESSAGE_START", messageId="m"),
        frame("REASONING_START", messageId="m"),
        frame("REASONING_MESSAGE_START", messageId="m"),
        frame("TOOL_CALL_START", toolCallId="m", toolCallName="f"),
    ],
)
def test_an_id_that_is_open_is_not_opened_again(gs, opener):
    assert gs.events.Raw(opener) in read(gs, opener, opener)


def paths(value, path=()):
    if path:
        yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from paths(value[key], (*path, key))


@pytest.mark.parametrize("name", VECTORS)
def test_a_wrong_or_missing_value_anywhere_never_raises_and_ends_the_stream_once(gs, name):
    lines = VECTORS[name]["input"].split("\n")
    text = json.dumps([json.loads(line[6:]) for line in lines if line])
    ends = (gs.events.Done, gs.events.Error)
    for *path, last in paths(json.loads(text)):
        for wrong in ("missing", *WRONG):
            frames = holder = json.loads(text)
            for step in path:
                holder = holder[step]
            if wrong == "missing":
                del holder[last]
            else:
                holder[last] = wrong
            events = list(gs.read_events(body_of(frames), dialect="ag_ui"))
            assert isinstance(events[-1], ends)
            assert not any(isinstance(each, ends) for each in events[:-1])
