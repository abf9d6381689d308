"""The AI SDK's UI message stream as it is written: parts, calls, steps and ends."""

from __future__ import annotations

import pytest
from ui_chunks import content, kinds, written


def test_text_has_its_start_deltas_and_end(gs):
    e = gs.events
    chunks, _ = written(
        gs, [e.Start("m1", "gpt"), "He", e.TextDelta("llo"), "", e.Done()], end=False
    )
    assert chunks == [
        {"type": "start", "messageId": "m1", "messageMetadata": {"model": "gpt"}},
        {"type": "start-step"},
        {"type": "text-start", "id": "text-1"},
        {"type": "text-delta", "id": "text-1", "delta": "He"},
        {"type": "text-delta", "id": "text-1", "delta": "llo"},
        {"type": "text-end", "id": "text-1"},
        {"type": "finish-step"},
        {"type": "finish", "finishReason": "stop"},
        "[DONE]",
    ]


def test_an_empty_stream_is_a_whole_answer(gs):
    chunks, _ = written(gs, [])
    assert kinds(chunks) == ["start", "start-step", "finish-step", "finish", "[DONE]"]


def test_another_kind_of_part_ends_the_open_one_and_ids_are_never_used_twice(gs):
    e = gs.events
    chunks = content(gs, ["a", e.ReasoningDelta("b"), "c", e.File("image/png", url="u:x"), "d"])
    assert kinds(chunks) == [
        "text-start", "text-delta", "text-end",
        "reasoning-start", "reasoning-delta", "reasoning-end",
        "text-start", "text-delta", "text-end", "file",
        "text-start", "text-delta", "text-end",
    ]  # fmt: skip
    starts = [each["id"] for each in chunks if each["type"].endswith("-start")]
    assert len(set(starts)) == 4


def test_calls_alternate_with_each_other_and_with_text(gs):
    e = gs.events
    chunks = content(gs, [
        e.ToolCallStart("c1", "f"), e.ToolCallStart("c2", "g"), e.ToolCallDelta("c1", '{"a":'),
        "so", e.ToolCallDelta("c2", "{}"), e.ToolCallDelta("c1", "1}"), " far",
        e.ToolCall("c1", "f", {"a": 1}), e.ToolCall("c2", "g"), e.ToolResult("c1", "f", [1]),
    ])  # fmt: skip
    assert kinds(chunks) == [
        "tool-input-start", "tool-input-start", "tool-input-delta", "text-start", "text-delta",
        "tool-input-delta", "tool-input-delta", "text-delta", "tool-input-available",
        "tool-input-available", "tool-output-available", "text-end",
    ]  # fmt: skip
    assert chunks[2] == {"type": "tool-input-delta", "toolCallId": "c1", "inputTextDelta": '{"a":'}
    assert chunks[8] == {
        "type": "tool-input-available", "toolCallId": "c1", "toolName": "f", "input": {"a": 1},
    }  # fmt: skip
    assert chunks[9]["input"] == {}
    assert chunks[10] == {"type": "tool-output-available", "toolCallId": "c1", "output": [1]}


def test_a_call_without_streamed_arguments_has_all_its_chunks(gs):
    e = gs.events
    chunks = content(gs, [e.ToolCall("c1", "f", {"é": 1}), e.ToolCall("c2", "g")])
    assert kinds(chunks) == [
        "tool-input-start", "tool-input-delta", "tool-input-available",
        "tool-input-start", "tool-input-available",
    ]  # fmt: skip
    assert chunks[1]["inputTextDelta"] == '{"é":1}'


def test_tools_that_the_server_runs_are_flagged_wherever_the_source_says_so(gs):
    e = gs.events
    start = e.ToolCallStart("c1", "web_search", provider_executed=True)
    result = e.ToolResult("c1", "web_search", "x", provider_executed=True)
    chunks = content(gs, [start, e.ToolCall("c1", "web_search", {}), result])
    assert [each["providerExecuted"] for each in chunks] == [True, True, True]


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("by_server", [True, False])
@pytest.mark.parametrize("given", ["tool_calls", None])
def test_the_reason_is_tool_calls_only_while_the_client_is_to_run_one(
    gs, answered, by_server, given
):
    e = gs.events
    items = [e.ToolCall("c1", "f", provider_executed=by_server), e.Finish(finish_reason=given)]
    if answered:
        items.insert(1, e.ToolResult("c1", "f", 1))
    chunks, _ = written(gs, items)
    assert chunks[-2]["finishReason"] == ("stop" if answered or by_server else "tool-calls")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("stop", "stop"), ("length", "length"), ("content_filter", "content-filter"),
     ("pause", "other"), ("cancelled", "other"), ("eos", "other"), ("", "other")],
)  # fmt: skip
def test_finish_reasons_are_the_protocol_s_words(gs, ours, theirs):
    for version in (5, 6, 7):
        chunks, _ = written(gs, [gs.events.Finish(finish_reason=ours)], version=version)
        assert chunks[-2]["finishReason"] == theirs


def test_only_the_last_finish_is_written_with_its_counts(gs):
    e = gs.events
    last = e.Finish(e.Usage(11, 7, 18, 5, 3, 4), "length", "max")
    chunks, _ = written(gs, [e.Finish(e.Usage(1, 1)), "more", last])
    assert kinds(chunks).count("finish") == 1
    assert chunks[-2]["messageMetadata"] == {
        "usage": {
            "inputTokens": 11, "outputTokens": 7, "totalTokens": 18, "cachedInputTokens": 5,
            "cacheWriteInputTokens": 3, "reasoningTokens": 4,
        },
        "rawFinishReason": "max",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "signature"),
    [("gaistream", "signature"), ("anthropic", "signature"), ("google", "thoughtSignature"),
     ("openai", "reasoningEncryptedContent")],
)  # fmt: skip
def test_signatures_stand_where_the_provider_s_package_looks_for_them(gs, provider, signature):
    e = gs.events
    items = [
        e.ReasoningDelta("hm"),
        e.ReasoningEnd("r1", "sig"),
        e.ToolCall("c", "f", signature="s"),
    ]
    chunks = content(gs, items, provider=provider)
    assert chunks[2] == {
        "type": "reasoning-end", "id": "reasoning-1",
        "providerMetadata": {provider: {"itemId": "r1", signature: "sig"}},
    }  # fmt: skip
    assert chunks[-1]["providerMetadata"] == {provider: {signature: "s"}}


def test_reasoning_without_text_is_a_part_if_something_must_go_back(gs):
    e = gs.events
    chunks = content(gs, [e.ReasoningEnd(redacted="abc"), e.ReasoningEnd("r2"), e.ReasoningEnd()])
    assert kinds(chunks) == ["reasoning-start", "reasoning-end"]
    assert {"gaistream": {"redactedData": "abc"}} in [each["providerMetadata"] for each in chunks]


def test_citations_are_sources_and_in_version_7_also_the_text_s(gs):
    e = gs.events
    items = ["So.", e.Citations([e.Citation("u:1", 0, 3, "E"), e.Citation("u:2", -1, 2**60)])]
    for version in (5, 6, 7):
        chunks = content(gs, items, version=version)
        assert kinds(chunks) == ["text-start", "text-delta", "source-url", "source-url", "text-end"]
        assert chunks[2]["title"] == "E"
        assert chunks[2]["sourceId"] != chunks[3]["sourceId"]
        assert "providerMetadata" not in chunks[3]
        assert ("citations" in chunks[4]) == (version == 7)
    first, second = chunks[4]["citations"]
    assert (first["startIndex"], first["endIndex"]) == (0, 3)
    assert second == {
        "source": {"type": "source", "sourceType": "url", "id": "source-2", "url": "u:2"}
    }  # positions that the client refuses are left out


def test_steps_begin_once_and_end_with_their_part(gs):
    e = gs.events
    items = [
        e.Start(), e.StepStart(1), "a", e.FinishStep(1), e.FinishStep(1), e.StepStart(2), "b",
        e.StepStart(3), "c", e.FinishStep(3), "d",
    ]  # fmt: skip
    chunks, _ = written(gs, items)
    step = ["start-step", "text-start", "text-delta", "text-end", "finish-step"]
    assert kinds(chunks) == ["start", *step * 4, "finish", "[DONE]"]


def test_a_step_may_be_begun_again(gs):
    e = gs.events
    before = [e.Start(), e.StepReset(), "a", e.ToolCallStart("c1", "f"), "b"]
    chunks, encoder = written(gs, [*before, e.StepReset(), "c"], version=7)
    reset = kinds(chunks).index("reset-step")
    assert kinds(chunks)[reset:] == [
        "reset-step", "text-start", "text-delta", "text-end", "finish-step", "finish", "[DONE]",
    ]  # fmt: skip
    for version in (5, 6):
        chunks, encoder = written(gs, [*before, e.StepReset()], version=version)
        assert kinds(chunks)[-3:] == ["text-end", "tool-input-error", "error"]
        assert encoder.failed
        assert encoder.ended


def test_data_files_sound_and_judgements_have_chunks(gs):
    e = gs.events
    chunks = content(gs, [
        e.Data("weather", {"t": 1}, "w1"), e.Data("tick", None, transient=True),
        e.File("image/png", data=b"123"), e.File("image/png", url="https://e.org/a.png"),
        e.AudioDelta(b"abc", e.AudioFormat("audio/pcm", 16000, 1, 16)),
        e.Safety("hate", "warn", 0.5), e.Raw([1]),
    ])  # fmt: skip
    assert chunks == [
        {"type": "data-weather", "id": "w1", "data": {"t": 1}},
        {"type": "data-tick", "data": None, "transient": True},
        {"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,MTIz"},
        {"type": "file", "mediaType": "image/png", "url": "https://e.org/a.png"},
        {"type": "data-audio", "transient": True, "data": {"audio": "YWJj", "format": {
            "mime": "audio/pcm", "sampleRate": 16000, "channels": 1, "bitDepth": 16}}},
        {"type": "data-safety", "data": {"category": "hate", "action": "warn", "score": 0.5}},
        {"type": "data-raw", "data": [1], "transient": True},
    ]  # fmt: skip


def test_an_approval_is_asked_for_as_each_version_can(gs):
    e = gs.events
    asked = e.ApprovalRequest("a1", "c1", message="May I?", reason="cost", signature="s")
    items = [e.ToolCall("c1", "f"), asked]
    base = {
        "type": "tool-approval-request",
        "approvalId": "a1",
        "toolCallId": "c1",
        "signature": "s",
    }
    described = {"message": "May I?"}
    assert content(gs, items, version=5)[-1]["type"] == "data-approval-request"
    assert content(gs, items, version=6)[-1] == {
        **base, "approvalDescriptor": {**described, "reason": "cost"},
    }  # fmt: skip
    assert content(gs, items, version=7)[-1] == {
        **base, "approvalDescriptor": described, "reason": "cost",
    }  # fmt: skip
    # a call that the client does not know would kill its stream
    assert content(gs, [asked], version=7)[-1]["type"] == "data-approval-request"
