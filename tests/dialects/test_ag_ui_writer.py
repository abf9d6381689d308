"""AG-UI as it is written: messages, reasoning, calls, steps, and the ends of a run."""

from __future__ import annotations

import contextlib

import pytest
from ag_ui_runs import check_run, content, frames_of, kinds, written
from event_recipes import event_from, recipes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CURRENT = {"protocol_version": "1.0"}


def test_a_run_has_its_ids_and_text_its_start_deltas_and_end(gs):
    e = gs.events
    frames, _ = written(
        gs,
        [e.Start("m1", "gpt"), "He", e.TextDelta("llo"), "", e.Finish(e.Usage(3, 2, 5), "stop")],
        thread_id="t", run_id="r", parent_run_id="p",
    )  # fmt: skip
    message = frames[1]["messageId"]
    assert frames == [
        {"type": "RUN_STARTED", "threadId": "t", "runId": "r", "protocolVersion": "1.0",
         "parentRunId": "p", "metadata": {"model": "gpt"}},
        {"type": "TEXT_MESSAGE_START", "messageId": message, "role": "assistant"},
        {"type": "TEXT_MESSAGE_CONTENT", "messageId": message, "delta": "He"},
        {"type": "TEXT_MESSAGE_CONTENT", "messageId": message, "delta": "llo"},
        {"type": "TEXT_MESSAGE_END", "messageId": message},
        {"type": "RUN_FINISHED", "threadId": "t", "runId": "r", "usage": [
            {"model": "gpt", "inputTokens": 3, "outputTokens": 2, "totalTokens": 5}]},
    ]  # fmt: skip


def test_ids_that_are_missing_are_made_and_differ_from_run_to_run(gs):
    (one, *_), (other, *_) = (written(gs, ["a"])[0] for _ in range(2))
    assert len({one["threadId"], one["runId"], other["threadId"], other["runId"]}) == 4
    assert written(gs, [gs.events.Start("answer")])[0][0]["runId"] == "answer"
    again = {written(gs, ["a"], run_id="r")[0][1]["messageId"] for _ in range(2)}
    assert len(again) == 2  # of one conversation, if the run is tried again


def test_reasoning_is_a_span_with_a_message_and_its_encrypted_value(gs):
    e = gs.events
    frames = content(gs, [e.ReasoningDelta("hm"), e.ReasoningEnd("rs_1", "c2ln", "data"), "so"])
    assert kinds(frames)[:6] == [
        "REASONING_START", "REASONING_MESSAGE_START", "REASONING_MESSAGE_CONTENT",
        "REASONING_ENCRYPTED_VALUE", "REASONING_MESSAGE_END", "REASONING_END",
    ]  # fmt: skip
    identity = frames[0]["messageId"]
    assert frames[3] == {
        "type": "REASONING_ENCRYPTED_VALUE", "subtype": "message", "entityId": identity,
        "encryptedValue": "c2ln",
    }  # fmt: skip
    assert frames[4]["metadata"] == {"id": "rs_1", "redacted": "data"}


def test_reasoning_without_text_is_written_only_if_something_must_go_back(gs):
    e = gs.events
    assert content(gs, [e.ReasoningEnd("id")]) == []
    frames = content(gs, [e.ReasoningEnd(signature="s"), e.ReasoningEnd(redacted="r")])
    assert kinds(frames).count("REASONING_START") == 2


def test_calls_alternate_with_each_other_and_with_the_text_of_their_message(gs):
    e = gs.events
    frames = content(gs, [
        e.ToolCallStart("c1", "f"), e.ToolCallStart("c2", "g"), e.ToolCallDelta("c1", '{"a":'),
        "so", e.ToolCallDelta("c2", "{}"), e.ToolCallDelta("c1", "1}"), " far",
        e.ToolCall("c1", "f", {"a": 1}), e.ToolCall("c2", "g"), e.ToolResult("c1", "f", [1]),
        "next", e.ToolCall("c3", "f"),
    ])  # fmt: skip
    assert kinds(frames) == [
        "TOOL_CALL_START", "TOOL_CALL_START", "TOOL_CALL_ARGS", "TEXT_MESSAGE_START",
        "TEXT_MESSAGE_CONTENT", "TOOL_CALL_ARGS", "TOOL_CALL_ARGS", "TEXT_MESSAGE_CONTENT",
        "TOOL_CALL_END", "TOOL_CALL_END", "TEXT_MESSAGE_END", "TOOL_CALL_RESULT",
        "TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END",
        "TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END",
    ]  # fmt: skip
    first, second, third = (each for each in frames if each["type"] == "TOOL_CALL_START")
    assert first["parentMessageId"] == second["parentMessageId"] == frames[3]["messageId"]
    assert third["parentMessageId"] == frames[12]["messageId"] != first["parentMessageId"]
    assert frames[11]["content"] == "[1]"
    assert frames[-2]["delta"] == "{}"


def test_a_call_that_has_an_id_of_an_earlier_one_gets_its_own(gs):
    e = gs.events
    call = [e.ToolCallStart("c", "f"), e.ToolCallDelta("c", "{}"), e.ToolCall("c", "f", {}),
            e.ToolResult("c", "f", 1)]  # fmt: skip
    frames = content(gs, [*call, *call, e.ToolCall("", "f")])
    ids = [each["toolCallId"] for each in frames if each["type"] == "TOOL_CALL_START"]
    assert len(set(ids)) == 3
    assert all(ids)
    results = [each["toolCallId"] for each in frames if each["type"] == "TOOL_CALL_RESULT"]
    assert results == ids[:2]


def test_a_signature_of_a_call_is_its_encrypted_value(gs):
    frames = content(gs, [gs.events.ToolCall("c", "f", {}, "sig")])
    assert frames[2] == {
        "type": "REASONING_ENCRYPTED_VALUE", "subtype": "tool-call", "entityId": "c",
        "encryptedValue": "sig",
    }  # fmt: skip


def test_a_result_without_an_id_answers_the_last_call_of_its_tool(gs):
    e = gs.events
    frames = content(gs, [e.ToolCall("a", "f"), e.ToolCall("b", "f"), e.ToolResult("", "f", 1),
                          e.ToolResult("", "other", None, True)])  # fmt: skip
    results = [each for each in frames if each["type"] == "TOOL_CALL_RESULT"]
    assert results[0]["toolCallId"] == "b"
    assert results[1]["metadata"] == {"isError": True}
    assert results[1]["content"] == "null"
    assert frames[-2]["type"] == "TOOL_CALL_END"  # of a call that was made for it


def test_steps_end_before_the_next_and_before_the_run(gs):
    e = gs.events
    frames = content(gs, [
        e.StepStart(1, "plan"), "a", e.StepStart(2), "b", e.FinishStep(2), e.StepStart(),
        e.FinishStep(3), e.FinishStep(4), e.StepStart(5),
    ])  # fmt: skip
    steps = [(each["type"][5:], each["stepName"]) for each in frames if "stepName" in each]
    assert steps == [
        ("STARTED", "plan"), ("FINISHED", "plan"), ("STARTED", "step 2"), ("FINISHED", "step 2"),
        ("STARTED", "step 3"), ("FINISHED", "step 3"), ("STARTED", "step 5"),
        ("FINISHED", "step 5"),
    ]  # fmt: skip
    texts = [each["messageId"] for each in frames if each["type"] == "TEXT_MESSAGE_START"]
    assert len(set(texts)) == 2


def test_events_without_a_word_of_the_protocol_are_custom_and_leave_the_text_open(gs):
    e = gs.events
    frames = content(gs, ["a", e.Data("weather", None, "1", True), e.Safety("c", "block"),
                          e.AudioDelta(b"x"), e.File("a/b", "u:x"), e.Citations([]),
                          e.Raw({"z": None}), "b"])  # fmt: skip
    assert kinds(frames) == ["TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", *["CUSTOM"] * 5, "RAW",
                             "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END"]  # fmt: skip
    assert frames[2] == {
        "type": "CUSTOM", "name": "weather", "value": None,
        "metadata": {"id": "1", "transient": True},
    }  # fmt: skip
    assert [each["name"] for each in frames[3:7]] == [
        "gaistream.safety", "gaistream.audio_delta", "gaistream.file", "gaistream.citations",
    ]  # fmt: skip
    assert frames[7]["event"] == {"z": None}


# ---- the ends ----


@pytest.mark.parametrize(
    ("reason", "outcome", "about"),
    [
        (None, None, None),
        ("stop", None, None),
        ("tool_calls", None, None),  # none is pending
        ("length", None, "length"),
        ("content_filter", None, "content_filter"),
        ("pause", None, "pause"),
        ("cancelled", {"type": "cancelled"}, None),
        ("odd", None, "odd"),
    ],
)
def test_the_outcome_says_why_a_run_ended(gs, reason, outcome, about):
    frames, _ = written(gs, ["a", gs.events.Finish(None, reason, "raw")], **CURRENT)
    assert frames[-1].get("outcome") == outcome
    assert frames[-1]["metadata"].get("finishReason") == about
    assert frames[-1]["metadata"]["rawFinishReason"] == "raw"


def test_pending_calls_are_those_that_the_client_is_to_answer(gs):
    e = gs.events
    items = [e.ToolCall("a", "f"), e.ToolCall("b", "f"), e.ToolResult("a", "f", 1),
             e.ToolCall("s", "f", {}, None, True)]  # fmt: skip
    frames, _ = written(gs, items, **CURRENT)
    assert frames[-1]["outcome"] == {"type": "success", "pendingToolCallIds": ["b"]}
    frames, _ = written(gs, [*items, e.Finish(None, "stop")], **CURRENT)
    assert "outcome" not in frames[-1]
    assert frames[-1]["metadata"] == {"finishReason": "stop"}


@pytest.mark.parametrize("version", [None, "", "0.9", "one", "1.0\n"])
def test_a_client_that_did_not_declare_the_version_gets_no_new_outcome(gs, version):
    e = gs.events
    for item, about in ((e.ToolCall("a", "f"), None), (e.Finish(None, "cancelled"), "cancelled")):
        frames, _ = written(gs, [item], protocol_version=version)
        assert "outcome" not in frames[-1]
        assert frames[-1].get("metadata", {}).get("finishReason") == about


def test_approvals_that_are_held_interrupt_the_run(gs):
    e = gs.events
    schema = {"type": "object"}
    frames, _ = written(gs, [
        e.ToolCall("c", "rm"), e.ApprovalRequest("i1", "c", "Sure?", "risky", schema, "sig"),
        e.ApprovalRequest("i2", "other", response_schema=True), e.Finish(None, "pause"),
    ])  # fmt: skip
    assert frames[-1]["outcome"] == {"type": "interrupt", "interrupts": [
        {"id": "i1", "reason": "risky", "message": "Sure?", "toolCallId": "c",
         "responseSchema": schema, "metadata": {"signature": "sig"}},
        {"id": "i2", "reason": "tool_call", "toolCallId": "other",
         "metadata": {"responseSchema": True}},
    ]}  # fmt: skip
    assert "metadata" not in frames[-1]


@pytest.mark.parametrize("items", [[], ["a"]])
def test_an_error_that_is_the_last_event_ends_the_run(gs, items):
    e = gs.events
    usage = e.Finish(e.Usage(-1, 2, 2**60))
    for end in ([], [e.Done()]):
        frames, encoder = written(gs, [*items, usage, e.Error("no", "busy", 1.5), *end])
        assert frames[-1] == {
            "type": "RUN_ERROR", "message": "no", "code": "busy", "usage": [{"outputTokens": 2}],
            "metadata": {"retryAfter": 1.5},
        }  # fmt: skip
        assert encoder.failed


def test_an_error_before_more_is_custom_and_waits_for_it(gs):
    e = gs.events
    frames, encoder = written(gs, ["a", e.Error("no", "busy"), "b"])
    assert frames[3] == {
        "type": "CUSTOM", "name": "gaistream.error", "value": {"error": "no", "code": "busy"},
    }  # fmt: skip
    assert not encoder.failed


def test_half_a_call_and_a_step_that_is_reset_fail_the_run(gs):
    e = gs.events
    frames, encoder = written(gs, [e.ToolCallStart("c", "f"), e.ToolCallDelta("c", "{")])
    assert (frames[-1]["code"], encoder.failed) == ("truncated_tool_call", True)
    frames, _ = written(gs, [e.StepStart(), e.StepReset(), "a"])
    assert frames[-1]["type"] == "RUN_FINISHED"
    encoder = gs.SSEEncoder(dialect="ag_ui")
    encoder.write_many(["a", e.StepReset()])
    assert frames_of(encoder.take())[-1]["code"] == "step_reset"


def test_an_item_that_cannot_be_written_leaves_the_run_as_it_was(gs):
    e = gs.events
    encoder = gs.SSEEncoder(dialect="ag_ui")
    for bad in (e.ToolCall("c", "f", object()), e.ToolResult("c", "f", object()), e.Raw(object()),
                e.ToolCallDelta("c", "x"), 5):  # fmt: skip
        with pytest.raises((gs.errors.EncodeError, gs.errors.EventError)):
            encoder.write(bad)
    encoder.write("a")
    encoder.end()
    frames = frames_of(encoder.take())
    check_run(frames)
    assert kinds(frames)[1:-1] == ["TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END"]


@pytest.mark.parametrize("name", ["thread_id", "run_id", "parent_run_id", "protocol_version"])
def test_an_option_of_the_wrong_type_is_refused(gs, name):
    with pytest.raises(gs.errors.FrameTypeError, match=f"{name} must be str or None, not int"):
        gs.dialects.ag_ui(**{name: 1})


def test_a_request_sets_the_options_of_its_answer(gs):
    body = {"threadId": "t", "runId": "r", "parentRunId": "p", "protocolVersion": "1.0",
            "messages": [{"id": "1", "role": "user", "content": "hi"}], "model": "m"}  # fmt: skip
    asked = gs.dialects.find("ag_ui").read_request(body)
    assert asked.stream
    encoded = gs.encode_events([gs.events.ToolCall("c", "f"), gs.events.Done()],
                               dialect=asked.dialect)  # fmt: skip
    first, *_, last = frames_of(encoded)
    assert (first["threadId"], first["runId"], first["parentRunId"]) == ("t", "r", "p")
    assert first["metadata"] == {"model": "m"}
    assert last["outcome"]["pendingToolCallIds"] == ["c"]


def test_any_events_in_any_order_make_a_run_that_keeps_the_rules(gs):
    @settings(max_examples=60, deadline=None,
              suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
    @given(st.lists(recipes, max_size=12))
    def any_events(chosen):
        encoder = gs.SSEEncoder(dialect="ag_ui")
        for recipe in chosen:
            with contextlib.suppress(gs.errors.EventError, gs.errors.ClosedError):
                encoder.write(event_from(gs, recipe))
        if not encoder.ended:
            encoder.end()
        check_run(frames_of(encoder.take()))

    any_events()
