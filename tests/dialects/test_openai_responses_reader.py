"""OpenAI's Responses, read: what the vectors do not have, and what its writer has written."""

from __future__ import annotations

import json

import pytest

START = {"type": "response.created", "response": {"id": "r", "model": "m"}}


def frame(kind, **fields):
    return {"type": f"response.{kind}", **fields}


def added(index, **item):
    return frame("output_item.added", output_index=index, item=item)


def done(index, **item):
    return frame("output_item.done", output_index=index, item=item)


def completed(*output, kind="completed", **response):
    return frame(kind, response={"id": "r", "model": "m", "output": list(output), **response})


def read(gs, *frames):
    data = (each if isinstance(each, str) else json.dumps(each) for each in frames)
    body = "".join(f"data: {each}\n\n" for each in data)
    return list(gs.read_events(body.encode(), dialect="openai_responses"))


def said(gs, *frames):
    """Return the events between the start and the finish of a stream that succeeds."""
    first, *events, _, last = read(gs, START, *frames, completed())
    assert (first, last) == (gs.events.Start("r", "m"), gs.events.Done())
    return events


def test_a_whole_conversation_is_read_as_it_was_written(gs):
    e = gs.events
    call = [e.ToolCallStart("c", "f"), e.ToolCallDelta("c", '{"a":'), e.ToolCallDelta("c", "1}")]
    other = [e.ToolCallStart("d", "g"), e.ToolCallDelta("d", "[]")]
    items = [
        e.Start("r", "m"), e.ReasoningDelta("h"), e.ReasoningDelta("m"),
        e.ReasoningEnd("rs", "sig"), e.TextDelta("Hé\u2028"), e.TextDelta("\n\n"),
        e.Citations([e.Citation("u", 1, 2, "t")]), *call[:2], *other, call[2], e.TextDelta("x"),
        e.ToolCall("c", "f", {"a": 1}), e.ToolCall("d", "g", []), e.AudioDelta(b"abc"),
        e.ToolResult("c", "f", "done"), e.ApprovalRequest("ask", "d"),
        e.Finish(e.Usage(11, 7, 18, 5, 3, 4), "tool_calls"), e.Done(),
    ]  # fmt: skip
    body = gs.encode_events(items, dialect="openai_responses")
    found = list(gs.read_events(body, dialect="openai_responses"))
    end = found[3]
    assert (end.signature, end.id[:3]) == ("sig", "rs_")  # the id is known before the end
    assert [*found[:3], items[3], *found[4:]] == items


@pytest.mark.parametrize(("ours", "raw"), [
    ("length", "max_output_tokens"), ("content_filter", None), ("other", "steered"),
    ("cancelled", None), ("stop", None),
])  # fmt: skip
def test_finish_reasons_are_kept(gs, ours, raw):
    e = gs.events
    body = gs.encode_events(["a", e.Finish(None, ours, raw)], dialect="openai_responses")
    body += gs.encode_events([e.Done()], dialect="openai_responses")  # which is not read
    encoder = gs.SSEEncoder(dialect="openai_responses")
    encoder.write_many(["a", e.Finish(None, ours, raw)])
    encoder.end()
    found = list(gs.read_events(encoder.take() + body, dialect="openai_responses"))
    assert found[-2:] == [e.Finish(None, ours, raw), e.Done()]
    assert (e.Safety("content_filter", "block") in found) == (ours == "content_filter")


def test_an_error_is_kept_once(gs):
    e = gs.events
    for error in (e.Error("no", "mine"), e.Error("no")):
        body = gs.encode_events(["a", error, e.Done()], dialect="openai_responses")
        *_, text, last = gs.read_events(body, dialect="openai_responses")
        assert (text, last) == (e.TextDelta("a"), e.Error("no", error.code or "server_error"))


def test_tools_of_the_server_are_calls_with_results(gs):
    e = gs.events
    searched = [{"file_id": "f", "text": "t"}]
    items = [
        {"type": "file_search_call", "id": "1", "queries": ["q"], "results": searched},
        {"type": "code_interpreter_call", "id": "2", "code": "x", "container_id": "c",
         "outputs": [{"type": "logs", "logs": "y"}]},
        {"type": "mcp_call", "id": "3", "name": "n", "arguments": '{"a":1}', "output": "o"},
        {"type": "mcp_call", "id": "4", "name": "n", "arguments": "{", "error": "broken"},
        {"type": "web_search_call", "id": "5", "status": "failed"},
    ]  # fmt: skip
    progress = frame("mcp_call_arguments.delta", output_index=2, item_id="3", delta='{"a":1}')
    frames = [frame("code_interpreter_call_code.delta", output_index=1, delta="x"), progress]
    assert said(gs, *(added(n, **item) for n, item in enumerate(items)), *frames,
                *(done(n, **item) for n, item in enumerate(items))) == [
        e.ToolCall("1", "file_search", {"queries": ["q"]}, None, True),
        e.ToolResult("1", "file_search", searched, None, True),
        e.ToolCall("2", "code_interpreter", {"code": "x", "container_id": "c"}, None, True),
        e.ToolResult("2", "code_interpreter", [{"type": "logs", "logs": "y"}], None, True),
        e.ToolCall("3", "n", {"a": 1}, None, True), e.ToolResult("3", "n", "o", None, True),
        e.ToolCall("4", "n", "{", None, True), e.ToolResult("4", "n", "broken", True, True),
        e.ToolCall("5", "web_search", None, None, True),
        e.ToolResult("5", "web_search", None, True, True),
    ]  # fmt: skip


def test_an_approval_of_a_call_that_is_not_known_brings_the_call(gs):
    e = gs.events
    item = {"type": "mcp_approval_request", "id": "ask", "name": "n", "arguments": '{"a":1}'}
    assert said(gs, added(0, **item), done(0, **item)) == [
        e.ToolCall("ask", "n", {"a": 1}, None, True), e.ApprovalRequest("ask", "ask"),
    ]  # fmt: skip


def test_images_sound_refusals_and_annotations(gs):
    e = gs.events
    image = {"type": "image_generation_call", "id": "i", "result": "AAE=", "output_format": "webp"}
    broken = {**image, "result": "?"}
    note = {"type": "file_path", "file_id": "f"}
    about = {"output_index": 0, "content_index": 0, "item_id": "m"}
    annotation = frame("output_text.annotation.added", **about, annotation=note)
    assert said(
        gs, added(0, type="message"), frame("refusal.delta", **about, delta="No."),
        frame("refusal.done", **about, refusal="No."), annotation, added(1, **image),
        frame("image_generation_call.partial_image", output_index=1, partial_image_b64="AA=="),
        done(1, **image), done(2, **broken), frame("audio.delta", delta="AAE="),
        frame("audio.delta", delta="?"),
    ) == [
        e.TextDelta("No."), e.Raw(annotation), e.File("image/webp", data=b"\0\1"), e.Raw(broken),
        e.AudioDelta(b"\0\1"), e.Raw(frame("audio.delta", delta="?")),
    ]  # fmt: skip


def test_unknown_items_events_and_fields_are_raw_or_ignored(gs):
    e = gs.events
    item = {"type": "computer_call", "id": "x"}
    unknown = {"type": "response.unknown", "a": 1}
    assert said(gs, added(0, **item), done(0, **item), unknown, "[1]", "5", "", {"x": 1},
                frame("output_text.delta", output_index=9, delta="a"),
                frame("in_progress", response=START["response"])) == [
        e.Raw(item), e.Raw(unknown), e.Raw([1]), e.Raw(5), e.Raw({"x": 1}), e.TextDelta("a"),
    ]  # fmt: skip


MESSAGE = {"type": "message", "content": [{"type": "output_text", "text": "Hi"},
                                          {"type": "refusal", "refusal": "No."}]}  # fmt: skip
THOUGHT = {"type": "reasoning", "id": "rs", "encrypted_content": "s",
           "summary": [{"text": "a"}, {"text": "b"}]}  # fmt: skip
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'}


def test_servers_that_send_no_deltas_are_read_by_the_ends_of_items_or_of_the_response(gs):
    e = gs.events
    items = [MESSAGE, THOUGHT, CALL]
    frames = [done(index, **item) for index, item in enumerate(items)]
    expected = [
        e.TextDelta("Hi"), e.TextDelta("No."), e.ReasoningDelta("a"), e.ReasoningDelta("\n\n"),
        e.ReasoningDelta("b"), e.ReasoningEnd("rs", "s"), e.ToolCallStart("c", "f"),
        e.ToolCall("c", "f", {"a": 1}),
    ]  # fmt: skip
    assert said(gs, *frames) == expected
    assert read(gs, completed(*items)) == [
        e.Start("r", "m"), *expected, e.Finish(None, "tool_calls"), e.Done(),
    ]  # fmt: skip
    begun = [added(0, type="message"), frame("output_text.delta", output_index=0, delta="a")]
    assert said(gs, *begun, completed(MESSAGE)) == [e.TextDelta("a")]


def test_a_call_without_its_end_ends_with_the_response_if_its_arguments_are_whole(gs):
    e = gs.events
    frames = [START, added(0, **{**CALL, "arguments": ""}),
              frame("function_call_arguments.delta", output_index=0, delta="[1]")]  # fmt: skip
    assert read(gs, *frames, completed())[-3:-1] == [
        e.ToolCall("c", "f", [1]), e.Finish(None, "tool_calls")]  # fmt: skip
    details = {"reason": "max_output_tokens"}
    for end in (completed(kind="incomplete", incomplete_details=details),
                done(0, **{**CALL, "status": "incomplete"})):  # fmt: skip
        assert read(gs, *frames, end)[-1].code == "truncated_tool_call"
    assert read(gs, *frames)[-1].code == "truncated"


def test_ids_that_are_missing_or_taken_are_made(gs):
    e = gs.events
    items = [{**CALL, "call_id": id} for id in ("c", "c", "", None)]
    events = said(gs, *(added(n, **item) for n, item in enumerate(items)))
    ids = [each.id for each in events if isinstance(each, e.ToolCallStart)]
    assert ids[0] == "c"
    assert len(set(ids)) == 4
    assert all(ids)


def test_a_call_whose_result_came_needs_no_answer(gs):
    e = gs.events
    frames = [done(0, **CALL), done(1, type="function_call_output", call_id="c", output="o")]
    events = read(gs, START, *frames, completed())
    assert events[-3:] == [e.ToolResult("c", "f", "o"), e.Finish(None, "stop"), e.Done()]


@pytest.mark.parametrize(("frames", "message", "code"), [
    ([{"type": "error", "code": "c", "message": "no", "param": None}], "no", "c"),
    ([{"type": "error", "error": {"type": "t", "code": None, "message": "no"}}], "no", "t"),
    ([{"error": {"message": "no", "code": "c"}}], "no", "c"),
    ([{"error": "no"}], "no", None),
    ([{"type": "error"}], "the provider failed", None),
    ([{"type": "response.failed", "response": {"error": None}}], "the provider failed", None),
    ([{"type": "response.failed"}], "the provider failed", None),
    (["oops"], "the stream has a frame that is not JSON", "invalid_frame"),
    (["[DONE]"], "the stream was cut", "truncated"),
    ([], "the stream was cut", "truncated"),
])  # fmt: skip
def test_errors_of_every_shape_end_the_stream(gs, frames, message, code):
    after = [completed()] if frames else []
    assert read(gs, START, *frames, *after)[1:] == [gs.events.Error(message, code)]
    body = b"event: error\ndata: broken\n\n"
    assert list(gs.read_events(body, dialect="openai_responses")) == [gs.events.Error("broken")]
