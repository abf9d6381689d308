"""How the AI SDK's UI message stream ends: errors, cuts, mistakes of the source; its options."""

from __future__ import annotations

import asyncio

import pytest
from ui_chunks import kinds, written


def test_an_error_that_is_the_last_event_ends_the_stream(gs):
    e = gs.events
    for end in ([], [e.Done()]):
        chunks, encoder = written(gs, ["a", e.ToolCallStart("c1", "f"), e.Error("no"), *end])
        assert kinds(chunks)[-2:] == ["tool-input-error", "error"]
        assert chunks[-1] == {"type": "error", "errorText": "no"}
        assert encoder.failed


def test_an_error_before_more_is_a_part(gs):
    e = gs.events
    chunks, encoder = written(gs, ["a", e.Error("no", "busy", 1.5), "b"])
    assert kinds(chunks)[-7:] == [
        "text-start", "text-delta", "data-error", "text-delta", "text-end", "finish-step", "finish",
        "[DONE]",
    ][-7:]  # fmt: skip
    assert {
        "type": "data-error",
        "data": {"message": "no", "code": "busy", "retryAfter": 1.5},
    } in chunks
    assert not encoder.failed


def test_an_error_waits_for_the_next_item(gs):
    e = gs.events
    encoder = gs.SSEEncoder(dialect="ai_sdk")
    encoder.write("a")
    encoder.take()
    encoder.write(e.Error("no"))
    encoder.write(None)  # no item
    assert encoder.take() == b""
    assert not encoder.failed
    encoder.write("b")
    assert b"data-error" in encoder.take()


def test_a_failure_of_the_source_after_an_error_is_not_told_instead_of_it(gs):
    encoder = gs.SSEEncoder(dialect="ai_sdk")
    encoder.write(gs.events.Error("the first"))
    encoder.end(ValueError())
    assert b"the first" in encoder.take()


def test_a_cut_is_interrupted_in_version_7_and_an_error_before(gs):
    cut = gs.events.Error("cut", "truncated")
    for version in (5, 6):
        chunks, encoder = written(gs, ["a", cut], version=version)
        assert kinds(chunks)[-1] == "error"
    chunks, encoder = written(gs, ["a", cut], version=7)
    assert kinds(chunks)[-3:] == ["text-end", "finish-step", "finish"]
    assert chunks[-1]["finishReason"] == "interrupted"
    assert encoder.failed


def test_a_source_that_raises_ends_with_an_error(gs):
    async def source():
        yield "a"
        raise gs.StreamError("busy")

    async def body():
        return b"".join([chunk async for chunk in gs.sse(source(), dialect="ai_sdk")])

    text = asyncio.run(body()).decode()
    assert text.endswith('data: {"type":"error","errorText":"busy"}\n\n')
    assert "[DONE]" not in text


def test_a_call_that_does_not_end_becomes_an_error_at_the_end_of_its_step(gs):
    e = gs.events
    call = [e.ToolCallStart("c1", "f"), e.ToolCallDelta("c1", "{")]
    chunks, _ = written(gs, [*call, e.FinishStep(1)])
    errors = [each for each in chunks if kinds([each]) == ["tool-input-error"]]
    assert errors == [
        {"type": "tool-input-error", "toolCallId": "c1", "toolName": "f", "input": {},
         "errorText": "the tool call was not finished"},
    ]  # fmt: skip
    assert kinds(chunks).index("tool-input-error") < kinds(chunks).index("finish-step")


@pytest.mark.parametrize("ends", [["Done"], ["Finish", "Done"]])
def test_a_stream_that_ends_inside_of_a_call_failed(gs, ends):
    e = gs.events
    call = [e.ToolCallStart("c1", "f"), e.ToolCallDelta("c1", "{")]
    chunks, encoder = written(gs, [*call, *(getattr(e, name)() for name in ends)])
    assert kinds(chunks)[-2:] == ["tool-input-error", "error"]
    assert chunks[-1]["errorText"] == "the tool call 'f' was cut: its arguments are not whole"
    assert encoder.failed


def test_a_delta_of_a_call_that_is_not_open_is_the_source_s_mistake(gs):
    e = gs.events
    for before in ([], [e.ToolCall("c1", "f")]):
        encoder = gs.SSEEncoder(dialect="ai_sdk")
        encoder.write_many(before)
        with pytest.raises(gs.errors.EventError, match="yield its ToolCallStart before"):
            encoder.write(e.ToolCallDelta("c1", "{"))


def test_an_event_that_cannot_be_encoded_changes_nothing(gs):
    e = gs.events
    bad = [
        e.ToolCall("c1", "f", object()), e.Data("x", object()), e.ToolResult("c1", "f", object()),
        e.Raw(object()), 5, {"type": "text_delta"},
    ]  # fmt: skip
    for before in ([], ["a"], ["a", e.Error("no")], [e.ToolCallStart("c1", "f")]):
        expected, _ = written(gs, [*before, "b", e.ToolResult("c1", "f", 1)])
        for item in bad:
            encoder = gs.SSEEncoder(dialect="ai_sdk")
            encoder.write_many(before)
            with pytest.raises((gs.errors.EncodeError, gs.errors.EventError)):
                encoder.write(item)
            encoder.write_many(["b", e.ToolResult("c1", "f", 1)])
            encoder.end()
            whole = gs.SSEEncoder(dialect="ai_sdk")
            whole.write_many([*before, "b", e.ToolResult("c1", "f", 1)])
            whole.end()
            assert encoder.take() == whole.take(), item
        assert expected


def test_a_result_without_an_id_is_of_the_last_call_of_its_tool(gs):
    e = gs.events
    chunks, _ = written(
        gs, [e.ToolCall("c1", "f"), e.ToolResult("", "f", 1), e.ToolResult("", "g", 2)]
    )
    outputs = [each for each in chunks if kinds([each]) == ["tool-output-available"]]
    calls = {
        each["toolCallId"]: each["toolName"]
        for each in chunks
        if kinds([each]) == ["tool-input-start"]
    }
    assert [(calls[each["toolCallId"]], each["output"]) for each in outputs] == [("f", 1), ("g", 2)]


def test_a_result_of_an_earlier_message_s_call_is_passed_on(gs):
    e = gs.events
    chunks, _ = written(gs, [e.ToolResult("c0", "f", {"r": 1}, is_error=True)])
    assert chunks[2] == {"type": "tool-output-error", "toolCallId": "c0", "errorText": '{"r":1}'}


def test_frames_and_bytes_pass_between_the_chunks(gs):
    chunks, _ = written(gs, ["a", gs.ServerSentEvent('{"type":"data-x","data":1}'), "b"])
    assert {"type": "data-x", "data": 1} in chunks


def test_each_stream_has_its_own_writer(gs):
    own = gs.dialects.ai_sdk()
    bodies = [gs.encode_events(["a", gs.events.Done()], dialect=own) for _ in range(2)]
    assert bodies[0] == bodies[1]
    assert gs.encode_events(["a", gs.events.Done()], dialect="ai_sdk") == bodies[0]


def test_an_error_that_is_the_last_of_many_is_encoded(gs):
    for error in (gs.events.Error("no"), {"type": "error", "error": "no"}):
        body = gs.encode_events(["a", error], dialect="ai_sdk")
        assert body.endswith(b'data: {"type":"error","errorText":"no"}\n\n')
    assert b"[DONE]" not in gs.encode_events(["a"], dialect="ai_sdk")


def test_the_response_has_the_protocol_s_header(gs):
    headers = dict(gs.http.headers("sse", dialect="ai_sdk"))
    assert headers["x-vercel-ai-ui-message-stream"] == "v1"


@pytest.mark.parametrize("version", [4, 8, "6", True, 5.5, None])
def test_a_version_that_is_not_known_is_refused(gs, version):
    with pytest.raises(gs.errors.FrameError, match="version must be 5, 6 or 7, not"):
        gs.dialects.ai_sdk(version=version)


def test_a_provider_is_a_name(gs):
    with pytest.raises(gs.errors.FrameTypeError, match="provider must be str, not int"):
        gs.dialects.ai_sdk(provider=5)
    with pytest.raises(gs.errors.FrameError, match="provider must not be empty"):
        gs.dialects.ai_sdk(provider="")
