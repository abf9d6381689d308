"""Anthropic Messages: the writer, frame by frame, and what is read of what was written."""

from __future__ import annotations

import json

import pytest


def written(gs, *items, done=True):
    """Return the payloads of a stream, without the start of the message."""
    encoder = gs.SSEEncoder(dialect="anthropic")
    encoder.write_many(items)
    if done and not encoder.ended:
        encoder.end()
    events = list(gs.SSEDecoder().feed(encoder.take()))
    payloads = [json.loads(event.data) for event in events]
    assert [event.event for event in events] == [each["type"] for each in payloads]
    assert done is False or payloads[0]["type"] in ("message_start", "error")
    return payloads[1:] if payloads and payloads[0]["type"] == "message_start" else payloads


def outline(payloads):
    """Return the kind of each frame, with the index of its block and what it starts or adds."""
    lines = []
    for each in payloads:
        fields = each.get("content_block") or each.get("delta") or {}
        fields = fields if "type" in fields else {}
        kind = each["type"].removeprefix("content_block_").removeprefix("message_")
        lines.append(" ".join(str(part) for part in (kind, each.get("index"), *fields.values())))
    return [line.replace(" None", "") for line in lines]


def test_blocks_follow_each_other_with_their_indexes(gs):
    e = gs.events
    payloads = written(
        gs, e.Start("m", "x"), e.TextDelta(""), "a", "b", e.ReasoningDelta("r"),
        e.ReasoningEnd(None, "s"), e.FinishStep(1), e.StepStart(2), "c", e.FinishStep(2), "d",
    )  # fmt: skip
    assert outline(payloads) == [
        "start 0 text ", "delta 0 text_delta a", "delta 0 text_delta b", "stop 0",
        "start 1 thinking  ", "delta 1 thinking_delta r", "delta 1 signature_delta s", "stop 1",
        "start 2 text ", "delta 2 text_delta c", "stop 2",
        "start 3 text ", "delta 3 text_delta d", "stop 3", "delta", "stop",
    ]  # fmt: skip


def test_what_comes_for_another_block_is_held_until_the_open_call_ends(gs):
    e = gs.events
    payloads = written(
        gs, e.ToolCallStart("1", "f"), "text", e.ToolCallStart("2", "g"),
        e.ToolCallDelta("2", "{}"), e.ToolCallDelta("1", "[]"), e.ToolCallStart("3", "h"),
        e.ToolCall("2", "g"), e.ToolCall("1", "f"), e.ReasoningDelta("r"), e.ToolCall("3", "h", 5),
    )  # fmt: skip
    assert outline(payloads) == [
        "start 0 tool_use 1 f {}", "delta 0 input_json_delta []", "stop 0",
        "start 1 text ", "delta 1 text_delta text", "stop 1",
        "start 2 tool_use 2 g {}", "delta 2 input_json_delta {}", "stop 2",
        "start 3 tool_use 3 h {}", "delta 3 input_json_delta 5", "stop 3",
        "start 4 thinking  ", "delta 4 thinking_delta r", "stop 4", "delta", "stop",
    ]  # fmt: skip


def test_a_delta_of_the_open_call_is_written_at_once(gs):
    e = gs.events
    encoder = gs.SSEEncoder(dialect="anthropic")
    encoder.write_many([e.ToolCallStart("1", "f"), e.ToolCallStart("2", "g")])
    encoder.take()
    encoder.write(e.ToolCallDelta("1", "{"))
    assert b'"partial_json":"{"' in encoder.take()
    encoder.write(e.ToolCallDelta("2", "{"))
    assert encoder.take() == b""


def test_a_call_without_its_end_is_a_failure(gs):
    e = gs.events
    for end in ([], [e.Finish(None, "tool_calls")], [e.Done()]):
        payloads = written(gs, e.ToolCallStart("1", "f"), e.ToolCallDelta("1", "{"), *end)
        assert payloads[-1] == {
            "type": "error",
            "error": {
                "type": "api_error",
                "message": "the tool call 'f' was cut: its arguments are not whole",
            },
        }


@pytest.mark.parametrize("tool", ["web_search", "mine"])
def test_tools_of_the_provider_never_look_like_calls_for_the_client(gs, tool):
    e = gs.events
    payloads = written(
        gs, e.ToolCallStart("1", tool, True), e.ToolCallDelta("1", "{}"),
        e.ToolCall("1", tool, {}), e.ToolResult("1", tool, "no block has this shape", None, True),
        e.ToolCall("2", tool, None, None, True), e.Finish(None, "tool_calls"),
    )  # fmt: skip
    starts = [each["content_block"] for each in payloads if each["type"] == "content_block_start"]
    expected = ["server_tool_use"] * 2 if tool == "web_search" else []
    assert [each["type"] for each in starts] == expected
    assert payloads[-2]["delta"]["stop_reason"] == "end_turn"


REASONS = [
    ("stop", None, "end_turn"),
    ("stop", "stop_sequence", "stop_sequence"),
    ("stop", "max_tokens", "end_turn"),
    ("length", None, "max_tokens"),
    ("length", "model_context_window_exceeded", "model_context_window_exceeded"),
    ("length", "MAX_TOKENS", "max_tokens"),
    ("content_filter", None, "refusal"),
    ("pause", "pause_turn", "pause_turn"),
    ("tool_calls", "tool_use", "end_turn"),
    ("cancelled", None, "end_turn"),
    ("other", "tool_use", "end_turn"),
    (None, None, "end_turn"),
]


@pytest.mark.parametrize(("reason", "raw", "expected"), REASONS)
def test_a_stop_reason_is_the_protocols_word(gs, reason, raw, expected):
    finish = gs.events.Finish(None, reason, raw)
    assert written(gs, "a", finish)[-2]["delta"]["stop_reason"] == expected


def test_the_reason_is_tool_use_while_a_call_has_no_result(gs):
    e = gs.events
    for reason in (None, "tool_calls"):
        items = [e.ToolCall("1", "f"), e.ToolCall("2", "f"), e.ToolResult("1", "f", 5)]
        finish = e.Finish(None, reason)
        assert written(gs, *items, finish)[-2]["delta"]["stop_reason"] == "tool_use"
        items.append(e.ToolResult("2", "f", 5))
        assert written(gs, *items, finish)[-2]["delta"]["stop_reason"] == "end_turn"


def test_input_counts_are_those_beside_the_caches_and_the_last_finish_counts(gs):
    e = gs.events
    usage = e.Usage(150, 9, None, 100, 30, 4)
    last = written(gs, e.Finish(e.Usage(1, 1), "length"), e.Finish(usage, "stop"))[-2]
    assert last["usage"] == {
        "input_tokens": 20,
        "output_tokens": 9,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 30,
        "output_tokens_details": {"thinking_tokens": 4},
    }
    assert last["delta"]["stop_reason"] == "end_turn"
    assert written(gs, e.Finish(e.Usage(5, 1, None, 9)))[-2]["usage"]["input_tokens"] == 0


def test_an_error_is_the_end_only_if_nothing_follows_it(gs):
    e = gs.events
    error = e.Error("no", "rate_limited")
    assert outline(written(gs, error, "a"))[-1] == "stop"
    for end in ([], [e.Done()]):
        payloads = written(gs, "a", error, *end)
        assert payloads[-1]["error"] == {"type": "rate_limit_error", "message": "no"}
        assert "message_stop" not in [each["type"] for each in payloads]
    assert written(gs, e.Error("no", "overloaded_error"))[-1]["error"]["type"] == "overloaded_error"
    assert written(gs, e.Error("no", "made_up_error"))[-1]["error"]["type"] == "api_error"


def test_a_step_that_begins_again_is_an_error_after_a_part_of_it_was_sent(gs):
    e = gs.events
    encoder = gs.SSEEncoder(dialect="anthropic")
    encoder.write_many(["a", e.FinishStep(1), e.StepStart(2), e.StepReset(), "b"])
    assert not encoder.ended
    encoder.write(e.StepReset())
    assert (encoder.ended, encoder.failed) == (True, True)
    assert encoder.take().rpartition(b"event: ")[2].startswith(b"error\n")


def test_an_event_that_cannot_be_written_leaves_the_writer_as_it_was(gs):
    e = gs.events
    encoder = gs.SSEEncoder(dialect="anthropic")
    encoder.write_many([e.Start("m", "x"), "a"])
    before = encoder.take()
    with pytest.raises(gs.errors.EncodeError):
        encoder.write(e.ToolCall("1", "f", object()))
    assert encoder.pending == 0
    encoder.write_many(["b", e.Done()])
    whole = gs.encode_events([e.Start("m", "x"), "a", "b", e.Done()], dialect="anthropic")
    assert before + encoder.take() == whole


def test_the_model_and_the_id_of_the_message(gs):
    body = gs.encode_events([gs.events.Start("m", "x")], dialect=gs.dialects.anthropic(model="y"))
    message = json.loads(next(iter(gs.SSEDecoder().feed(body))).data)["message"]
    assert (message["id"], message["model"], message["content"]) == ("m", "y", [])
    body = gs.encode_events(["a"], dialect="anthropic")
    message = json.loads(next(iter(gs.SSEDecoder().feed(body))).data)["message"]
    assert message["id"].startswith("msg_")
    assert message["model"] == ""


def test_what_was_written_is_read_as_the_same_events(gs):
    e = gs.events
    found = {"type": "code_execution_result", "stdout": "1", "stderr": "", "return_code": 0}
    events = [
        e.Start("m", "x"), e.ReasoningDelta("r"), e.ReasoningEnd(None, "s"),
        e.ReasoningEnd(None, None, "data"), e.ReasoningEnd(None, "only a signature"),
        e.TextDelta("a\u2028"), e.Citations([e.Citation("https://a.example", title="A")]),
        e.ToolCallStart("1", "f"), e.ToolCallDelta("1", '{"a":'), e.ToolCallDelta("1", "1}"),
        e.ToolCall("1", "f", {"a": 1}),
        e.ToolCallStart("2", "code_execution", True), e.ToolCallDelta("2", '{"code":"1"}'),
        e.ToolCall("2", "code_execution", {"code": "1"}, None, True),
        e.ToolResult("2", "code_execution", found, None, True),
        e.Finish(e.Usage(150, 9, None, 100, 30, 4), "tool_calls", "tool_use"), e.Done(),
    ]  # fmt: skip
    body = gs.encode_events(events, dialect="anthropic")
    assert list(gs.read_events(body, dialect="anthropic")) == events


def test_a_heartbeat_is_a_ping_unless_a_comment_is_asked_for(gs):
    for options, expected in (
        (None, b'event: ping\ndata: {"type":"ping"}\n\n'),
        (gs.SSEOptions(heartbeat="comment"), b": keep-alive\n\n"),
    ):
        encoder = gs.SSEEncoder(options, dialect="anthropic")
        encoder.write_heartbeat()
        assert encoder.take() == expected


def test_half_surrogate_pairs_in_deltas_are_as_in_other_dialects(gs):
    e = gs.events
    for kind in (e.TextDelta, e.ReasoningDelta):
        payloads = written(gs, kind("a"), kind("\ud800b"))
        assert outline(payloads)[2].endswith("\ufffdb")
        encoder = gs.SSEEncoder(gs.SSEOptions(errors="strict"), dialect="anthropic")
        encoder.write(kind("a"))
        with pytest.raises(UnicodeEncodeError):
            encoder.write(kind("\ud800b"))


def test_a_delta_of_an_open_block_is_the_same_by_its_template_and_without(gs):
    e = gs.events
    wild = "a\u2028\"\\\n\x00\U0001f600"
    for kind in (e.TextDelta, e.ReasoningDelta, str):
        payloads = written(gs, kind("a"), kind(wild), kind(wild))
        assert outline(payloads)[2] == outline(payloads)[3]
        assert outline(payloads)[2].endswith(f"_delta {wild}")


def test_sources_that_come_in_reasoning_do_not_split_its_block(gs):
    e = gs.events
    cite = e.Citations([e.Citation("https://a.example")])
    for after, kinds in (
        ([], ["thinking", "text"]),
        ([e.TextDelta("c")], ["thinking", "text"]),
        ([e.ToolCall("1", "f", {})], ["thinking", "text", "tool_use"]),
    ):
        events = [e.ReasoningDelta("a"), cite, e.ReasoningDelta("b"), e.ReasoningEnd("i", "s")]
        payloads = written(gs, *events, *after, e.Done())
        starts = [each["content_block"] for each in payloads if "content_block" in each]
        assert [each["type"] for each in starts] == kinds
        deltas = [each["delta"]["type"] for each in payloads if "delta" in each and "index" in each]
        assert deltas[:4] == [
            "thinking_delta", "thinking_delta", "signature_delta", "citations_delta",
        ]  # fmt: skip
