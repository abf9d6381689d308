"""The AI SDK's UI message stream as it is read: what is wrong in it, and the way there and back."""

from __future__ import annotations

import json

import pytest
from dialect_vectors import load

WRONG = [None, 5, True, [], {}, ["x"], {"x": {"y": 1}}, "", "x", 1e400]
VECTORS = load("ai_sdk")


def body_of(*chunks):
    return "".join(f"data: {json.dumps(each)}\n\n" for each in chunks).encode()


def read(gs, *chunks, end=True):
    tail = [{"type": "finish"}] if end else []
    return list(gs.read_events(body_of(*chunks, *tail), dialect="ai_sdk"))


def is_ended(gs, events):
    """Return True if the last event is the only end."""
    ends = [type(each) in (gs.events.Done, gs.events.Error) for each in events]
    return ends[-1] and not any(ends[:-1])


def chunks_of(name):
    texts = VECTORS[name]["input"].split("\n\n")
    blocks = [text.removeprefix("data: ") for text in texts if text.startswith("data: {")]
    return [json.loads(block) for block in blocks]


@pytest.mark.parametrize("name", VECTORS)
def test_a_wrong_field_is_an_error_or_a_raw_and_never_an_exception(gs, name):
    chunks = chunks_of(name)
    for at, chunk in enumerate(chunks):
        for field in chunk:
            missing = {key: value for key, value in chunk.items() if key != field}
            for wrong in [missing, *({**chunk, field: each} for each in WRONG)]:
                events = read(gs, *chunks[:at], wrong, *chunks[at + 1 :], end=False)
                assert is_ended(gs, events), wrong


@pytest.mark.parametrize("name", VECTORS)
def test_a_chunk_that_comes_twice_or_not_at_all_stops_nothing(gs, name):
    chunks = chunks_of(name)
    for at, chunk in enumerate(chunks):
        assert is_ended(gs, read(gs, *chunks[:at], *chunks[at + 1 :], end=False))
        assert is_ended(gs, read(gs, *chunks[:at], chunk, chunk, *chunks[at + 1 :], end=False))


TEXT = {"type": "text-start", "id": "t"}
REASONING = {"type": "reasoning-start", "id": "r"}
CALL = {"type": "tool-input-start", "toolCallId": "c", "toolName": "f"}
AVAILABLE = {"type": "tool-input-available", "toolCallId": "c", "toolName": "f", "input": {}}


@pytest.mark.parametrize(
    ("before", "odd"),
    [
        ([], {"type": "text-delta", "id": "t", "delta": "x"}),
        ([], {"type": "text-end", "id": "t"}),
        ([TEXT, {"type": "text-end", "id": "t"}], {"type": "text-delta", "id": "t", "delta": "x"}),
        ([TEXT], TEXT),
        ([], {"type": "reasoning-delta", "id": "r", "delta": "x"}),
        ([], {"type": "reasoning-end", "id": "r"}),
        ([REASONING], REASONING),
        ([], {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": "x"}),
        ([CALL, AVAILABLE], CALL),
        ([CALL, AVAILABLE], AVAILABLE),
        ([CALL, AVAILABLE], {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": "x"}),
        ([AVAILABLE], {"type": "tool-output-available", "toolCallId": "c", "output": 1,
                       "preliminary": True}),
        ([AVAILABLE], {"type": "tool-output-denied", "toolCallId": "c"}),
        ([{"type": "start"}], {"type": "start"}),
        ([], {"type": "data-x"}),
        ([], {"type": "source-document", "sourceId": "s", "mediaType": "a/b", "title": "x"}),
        ([], {"type": "hologram"}),
        ([], {"type": 5}),
        ([], {}),
        ([], [1]),
        ([], "x"),
        ([], None),
    ],
)  # fmt: skip
def test_a_chunk_that_its_client_would_not_understand_is_a_raw(gs, before, odd):
    events = read(gs, *before, odd)
    assert gs.events.Raw(odd) in events
    assert type(events[-1]) is gs.events.Done


def test_numbers_that_json_does_not_have_are_read(gs):
    body = b'data: {"type":"data-x","data":NaN}\n\ndata: {"type":"finish"}\n\n'
    events = list(gs.read_events(body, dialect="ai_sdk"))
    assert [type(each) for each in events[1:]] == [gs.events.Finish, gs.events.Done]


def test_a_chunk_that_is_not_json_is_an_error(gs):
    events = list(gs.read_events(b"data: {oops\n\ndata: [DONE]\n\n", dialect="ai_sdk"))
    assert [each.code for each in events] == ["invalid_frame"]


@pytest.mark.parametrize("end", [
    {"type": "finish-step"}, {"type": "finish"}, {"type": "finish", "finishReason": "tool-calls"},
])  # fmt: skip
def test_a_call_that_is_half_at_the_end_of_its_step_is_an_error(gs, end):
    delta = {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": '{"a":1}'}
    events = read(gs, CALL, delta, end)
    assert events[-1].code == "truncated_tool_call"
    assert gs.events.ToolCall not in map(type, events)


@pytest.mark.parametrize(("text", "code"), [
    ("", "truncated"), ("{}", "truncated"), ('{"a":', "truncated_tool_call"),
])  # fmt: skip
def test_a_cut_in_a_call_is_an_error(gs, text, code):
    delta = {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": text}
    events = read(gs, CALL, delta, end=False)
    assert events[-1].code == code
    assert gs.events.ToolCall not in map(type, events)


def test_arguments_that_were_refused_are_a_result_that_is_an_error(gs):
    e = gs.events
    refused = {"type": "tool-input-error", "toolCallId": "c", "toolName": "f", "input": {"a": 1},
               "errorText": "no"}  # fmt: skip
    result = e.ToolResult("c", "f", "no", is_error=True)
    assert read(gs, CALL, refused)[:2] == [e.ToolCallStart("c", "f"), result]
    assert read(gs, refused)[:2] == [e.ToolCall("c", "f", {"a": 1}), result]


@pytest.mark.parametrize(("chunks", "reason"), [
    ([AVAILABLE], "tool_calls"),
    ([{**AVAILABLE, "providerExecuted": True}], "stop"),
    ([AVAILABLE, {"type": "tool-output-error", "toolCallId": "c", "errorText": "x"}], "stop"),
    ([AVAILABLE, {"type": "tool-output-denied", "toolCallId": "c"}], "stop"),
    ([AVAILABLE, {"type": "reset-step"}], "stop"),
])  # fmt: skip
def test_without_a_reason_the_calls_that_wait_decide(gs, chunks, reason):
    assert read(gs, *chunks)[-2] == gs.events.Finish(finish_reason=reason)


def test_signatures_are_read_under_any_provider_at_either_end(gs):
    e = gs.events
    for about in ({"anthropic": {"signature": "s"}}, {"google": {"thoughtSignature": "s"}},
                  {"x": 1, "openai": {"reasoningEncryptedContent": "s"}}):  # fmt: skip
        for start, end in (({"providerMetadata": about}, {}), ({}, {"providerMetadata": about})):
            chunks = [{**REASONING, **start}, {"type": "reasoning-end", "id": "r", **end}]
            assert read(gs, *chunks)[0] == e.ReasoningEnd(signature="s")
        call = read(gs, {**AVAILABLE, "providerMetadata": about})[0]
        assert call == e.ToolCall("c", "f", {}, signature="s")


def test_files_are_bytes_if_their_url_holds_them(gs):
    e = gs.events
    for url, file in (
        ("data:image/png;base64,MTIz", e.File("image/png", data=b"123")),
        ("data:image/png;base64,M", e.File("image/png", url="data:image/png;base64,M")),
        ("https://e.org/a.png", e.File("image/png", url="https://e.org/a.png")),
    ):
        for kind in ("file", "reasoning-file"):
            assert read(gs, {"type": kind, "mediaType": "image/png", "url": url})[0] == file


def conversation(e):
    """Return events of every kind that the protocol can say, as its reader returns them."""
    return [
        e.Start("m1", "gpt"), e.StepStart(), e.ReasoningDelta("hm"), e.ReasoningEnd("r1", "sig"),
        e.ReasoningEnd(redacted="xyz"), e.TextDelta("a\u2028\u2029\u0085é😀"),
        e.Citations([e.Citation("u:1", 0, 3, "E")]), e.ToolCallStart("c1", "f"),
        e.ToolCallStart("s1", "g", provider_executed=True), e.ToolCallDelta("c1", '{"a":'),
        e.ToolCallDelta("s1", "{}"), e.ToolCallDelta("c1", "1}"),
        e.ToolCall("c1", "f", {"a": 1}, signature="s"),
        e.ToolCall("s1", "g", {}, provider_executed=True), e.ToolResult("c1", "f", {"r": [None]}),
        e.ToolResult("s1", "g", "bad", is_error=True, provider_executed=True), e.FinishStep(1),
        e.StepStart(), e.Data("w", {"t": 1}, "w1"), e.Data("x", None, transient=True),
        e.File("image/png", data=b"123"), e.File("image/png", url="u:x"),
        e.ToolCallStart("c2", "f"), e.ToolCallDelta("c2", "{}"), e.ToolCall("c2", "f", {}),
        e.ApprovalRequest("a1", "c2", message="m", reason="r", response_schema={"type": "string"},
                          signature="s"),
        e.FinishStep(2), e.Finish(e.Usage(11, 7, 18, 5, 3, 4), "tool_calls", "tool_use"), e.Done(),
    ]  # fmt: skip


@pytest.mark.parametrize("version", [5, 6, 7])
@pytest.mark.parametrize("provider", ["gaistream", "openai", "google"])
def test_every_typed_field_comes_back(gs, version, provider):
    e = gs.events
    events = conversation(e)
    dialect = gs.dialects.ai_sdk(version=version, provider=provider)
    body = gs.encode_events(events, dialect=dialect)
    found = list(gs.read_events(body, dialect="ai_sdk"))
    if version == 5:  # which has no approvals
        place = next(at for at, each in enumerate(events) if type(each) is e.ApprovalRequest)
        assert found.pop(place).name == "approval-request"
        events.pop(place)
    assert found == events


def test_a_stream_that_was_reset_comes_back(gs):
    e = gs.events
    events = [e.Start("m"), e.StepStart(), e.TextDelta("a"), e.StepReset(), e.TextDelta("b"),
              e.FinishStep(1), e.Finish(finish_reason="stop"), e.Done()]  # fmt: skip
    body = gs.encode_events(events, dialect=gs.dialects.ai_sdk(version=7))
    assert list(gs.read_events(body, dialect="ai_sdk")) == events
