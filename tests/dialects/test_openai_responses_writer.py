"""OpenAI's Responses, written: the frames of each event, the ends, and the Response object."""

from __future__ import annotations

import json
import re

import pytest

HEAD = ["response.created", "response.in_progress"]
OPEN_RESPONSES = {  # the fields that the standard requires of a response
    "id", "object", "created_at", "completed_at", "status", "incomplete_details", "model",
    "previous_response_id", "instructions", "output", "error", "tools", "tool_choice", "truncation",
    "parallel_tool_calls", "text", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs",
    "temperature", "reasoning", "usage", "max_output_tokens", "max_tool_calls", "store",
    "background", "service_tier", "metadata", "safety_identifier", "prompt_cache_key",
}  # fmt: skip


def write(gs, *items, **options):
    """Return the payloads of a stream without its `[DONE]`; their numbers are checked."""
    encoder = gs.SSEEncoder(dialect=gs.dialects.openai_responses(**options))
    for item in items:
        encoder.write(item)
    encoder.end()
    *frames, done, end = encoder.take().decode().split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    payloads = []
    for number, frame in enumerate(frames):
        name, data = re.fullmatch("event: (.+)\ndata: (.+)", frame).groups()
        payloads.append(json.loads(data))
        assert payloads[-1]["type"] == name
        assert payloads[-1].pop("sequence_number") == number
    return payloads


def kinds(payloads):
    return [each["type"].removeprefix("response.") for each in payloads]


def ended(gs, *items, **options):
    """Return the response at the end of a stream."""
    return write(gs, *items, **options)[-1]["response"]


def test_a_text_with_counts(gs):
    e = gs.events
    cited = e.Citations([e.Citation("u", 1, 2, "t"), e.Citation("v")])
    finish = e.Finish(e.Usage(11, 7, 18, 5, 3, 4), "stop")
    payloads = write(gs, e.Start("r", "m"), "Hé", "\u2028", cited, "!", finish, e.Done())
    assert kinds(payloads) == [
        "created", "in_progress", "output_item.added", "content_part.added",
        "output_text.delta", "output_text.delta", "output_text.annotation.added",
        "output_text.annotation.added", "output_text.delta", "output_text.done",
        "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    item = payloads[2]["item"]
    assert item == {"id": item["id"], "type": "message", "status": "in_progress",
                    "role": "assistant", "content": []}  # fmt: skip
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    annotations = [
        {"type": "url_citation", "url": "u", "title": "t", "start_index": 1, "end_index": 2},
        {"type": "url_citation", "url": "v", "title": "", "start_index": 0, "end_index": 0},
    ]
    part = {"type": "output_text", "text": "Hé\u2028!", "annotations": annotations, "logprobs": []}
    assert payloads[4] == {"type": "response.output_text.delta", **place, "delta": "Hé",
                           "logprobs": []}  # fmt: skip
    assert payloads[7] == {"type": "response.output_text.annotation.added", **place,
                           "annotation_index": 1, "annotation": annotations[1]}  # fmt: skip
    assert payloads[9] == {"type": "response.output_text.done", **place, "text": "Hé\u2028!",
                           "logprobs": []}  # fmt: skip
    assert payloads[10] == {"type": "response.content_part.done", **place, "part": part}
    done = {**item, "status": "completed", "content": [part]}
    assert payloads[11] == {"type": "response.output_item.done", "output_index": 0, "item": done}
    response = payloads[12]["response"]
    assert (response["id"], response["model"], response["output"]) == ("r", "m", [done])
    assert response["usage"] == {
        "input_tokens": 11, "output_tokens": 7, "total_tokens": 18,
        "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 3},
        "output_tokens_details": {"reasoning_tokens": 4},
    }  # fmt: skip


def test_reasoning_is_one_summary_part_with_its_encrypted_content(gs):
    e = gs.events
    payloads = write(gs, e.ReasoningDelta("h"), e.ReasoningDelta("m"), e.ReasoningEnd("x", "sig"),
                     e.ReasoningEnd("rs_9", "alone"), e.ReasoningEnd(redacted="d"),
                     e.ReasoningDelta("so"), "a")  # fmt: skip
    names = [each for each in kinds(payloads) if "reasoning" in each or "item" in each]
    assert names[:9] == [
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.delta", "reasoning_summary_text.done",
        "reasoning_summary_part.done", "output_item.done", "output_item.added", "output_item.done",
    ]  # fmt: skip
    first, alone, last, message = payloads[-1]["response"]["output"]
    assert first["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert first["encrypted_content"] == "sig"
    assert alone == {"id": "rs_9", "type": "reasoning", "summary": [],
                     "encrypted_content": "alone"}  # fmt: skip
    assert last["summary"][0]["text"] == "so"
    assert "encrypted_content" not in last
    assert message["content"][0]["text"] == "a"


def test_calls_alternate_with_each_other_and_with_text(gs):
    e = gs.events
    payloads = write(
        gs, e.ToolCallStart("c", "f"), e.ToolCallDelta("c", " "), e.ToolCallDelta("c", '{"a":'),
        e.ToolCallStart("d", "g"), "t", e.ToolCallDelta("c", "1"), "u", e.ToolCallDelta("c", "}"),
        e.ToolCall("d", "g"), e.ToolCall("c", "f", {"a": 2}), e.ToolCall("e", "h", [1, "ü"]),
    )  # fmt: skip
    texts = {}
    for each in payloads:
        if "delta" in each:
            texts[each["output_index"]] = texts.get(each["output_index"], "") + each["delta"]
    assert texts == {0: '{"a":1}', 1: "{}", 2: "tu", 3: '[1,"ü"]'}
    output = payloads[-1]["response"]["output"]
    assert [each["type"] for each in output] == ["function_call"] * 2 + ["message", "function_call"]
    assert output[0] == {
        "id": output[0]["id"], "type": "function_call", "status": "completed", "call_id": "c",
        "name": "f", "arguments": '{"a":1}',
    }  # fmt: skip
    assert len({each["id"] for each in output}) == 4
    done = [each for each in payloads if each["type"].endswith("arguments.done")]
    assert [(each["name"], each["arguments"]) for each in done] == [
        ("g", "{}"), ("f", '{"a":1}'), ("h", '[1,"ü"]'),
    ]  # fmt: skip
    added = [each["output_index"] for each in payloads if each["type"].endswith("item.added")]
    assert added == [0, 1, 2, 3]


def test_results_and_approvals_are_items(gs):
    e = gs.events
    output = ended(gs, e.ToolCall("c", "f", {"a": 1}), e.ToolResult("c", "f", {"b": None}),
                   e.ToolResult("c", "f", "text"), e.ApprovalRequest("ask", "c"),
                   e.ApprovalRequest("ask2", "unknown"))["output"]  # fmt: skip
    outputs = [each for each in output if each["type"] == "function_call_output"]
    assert [(each["call_id"], each["output"], each["status"]) for each in outputs] == [
        ("c", '{"b":null}', "completed"), ("c", "text", "completed"),
    ]  # fmt: skip
    assert output[-2:] == [
        {"id": "ask", "type": "mcp_approval_request", "name": "f", "arguments": '{"a":1}',
         "server_label": "gaistream"},
        {"id": "ask2", "type": "mcp_approval_request", "name": "unknown", "arguments": "{}",
         "server_label": "gaistream"},
    ]  # fmt: skip


def test_sound_is_written_in_pieces_whose_base64_can_be_joined(gs):
    audio = gs.events.AudioDelta
    payloads = write(gs, audio(b"a"), audio(b"bcde"), audio(b"fgh"))
    assert kinds(payloads)[2:] == ["audio.delta"] * 3 + ["audio.done", "completed"]
    assert [each["delta"] for each in payloads[2:5]] == ["YWJj", "ZGVm", "Z2g="]


def test_events_that_the_protocol_cannot_say_are_left_out(gs):
    e = gs.events
    unsaid = [
        "", e.TextDelta(""), e.ReasoningDelta(""), e.ReasoningEnd("i"), e.Safety("c", "block"),
        e.ReasoningEnd(redacted="d"), e.StepStart(), e.FinishStep(1), e.StepReset(), None,
        e.Data("n", 1), e.File("image/png", url="u"), e.Raw({"x": 1}), e.Citations([]),
        e.ToolCallDelta("unknown", "{}"), e.Error("a tool failed"), e.Raw(1),
    ]  # fmt: skip
    assert kinds(write(gs, *unsaid)) == ["created", "in_progress", "completed"]


@pytest.mark.parametrize(("ours", "raw", "status", "reason"), [
    ("stop", None, "completed", None), ("tool_calls", None, "completed", None),
    (None, None, "completed", None), ("pause", None, "completed", None),
    ("odd", None, "completed", None), ("other", None, "completed", None),
    ("length", "max_tokens", "incomplete", "max_output_tokens"),
    ("content_filter", None, "incomplete", "content_filter"),
    ("other", "steered", "incomplete", "steered"), ("stop", "steered", "completed", None),
    ("cancelled", None, "incomplete", None), ("cancelled", "steered", "incomplete", "steered"),
])  # fmt: skip
def test_finish_reasons(gs, ours, raw, status, reason):
    finish = gs.events.Finish(None, ours, raw)
    *_, done, last = write(gs, "a", finish)
    assert last["type"] == f"response.{status}"
    response = last["response"]
    assert response["status"] == done["item"]["status"] == status
    assert response["incomplete_details"] == (None if reason is None else {"reason": reason})
    assert response["output"] == [done["item"]]
    assert (response["completed_at"] is None) == (status == "incomplete")


def test_the_response_has_every_required_field_and_repeats_the_request(gs):
    plain = ended(gs, "a")
    assert OPEN_RESPONSES <= plain.keys()
    assert (plain["tools"], plain["tool_choice"], plain["store"]) == ([], "auto", False)
    tool = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    hosted = {"type": "web_search"}
    schema = {"type": "json_schema", "name": "n", "schema": {}}
    request = {
        "model": "asked", "instructions": "Be brief.", "tools": [tool, hosted, 5],
        "tool_choice": {"type": "allowed_tools", "tools": []}, "temperature": 0, "top_p": 0.5,
        "max_output_tokens": 9, "metadata": {"a": "b"}, "parallel_tool_calls": False,
        "reasoning": {"effort": "low"}, "text": {"format": schema, "verbosity": "low"},
        "store": True, "stream": True, "input": "Hi", "user": "u", "safety_identifier": "s",
    }  # fmt: skip
    response = ended(gs, gs.events.Start("r", "m"), "a", request=request)
    assert OPEN_RESPONSES <= response.keys()
    for name in ("instructions", "temperature", "top_p", "max_output_tokens", "metadata",
                 "parallel_tool_calls", "user", "safety_identifier"):  # fmt: skip
        assert response[name] == request[name]
    assert response["tools"] == [{**tool, "description": None, "strict": None}, hosted]
    assert response["tool_choice"] == {"type": "allowed_tools", "tools": [], "mode": "auto"}
    assert response["reasoning"] == {"effort": "low", "summary": None}
    assert response["text"]["format"] == {**schema, "description": None, "strict": False}
    assert response["text"]["verbosity"] == "low"
    assert (response["model"], response["store"]) == ("m", False)
    assert not {"stream", "input"} & response.keys()


def test_fields_of_the_request_that_have_other_types_are_not_repeated(gs):
    names = ("tools", "tool_choice", "temperature", "instructions", "reasoning", "text", "metadata",
             "parallel_tool_calls", "truncation", "top_logprobs", "user")  # fmt: skip
    plain = ended(gs, "a")
    for wrong in (None, True, 1.5, [1], object()):
        fields = {name: wrong for name in names if type(plain[name]) is not type(wrong)}
        response = ended(gs, "a", request=fields)
        assert {name: response[name] for name in names} == {name: plain[name] for name in names}


def test_the_model_of_the_dialect_and_ids_that_are_made(gs):
    start = gs.events.Start("i", "m")
    assert ended(gs, start, model="own")["model"] == "own"
    first, other = ended(gs, "a"), ended(gs, "a", start)
    assert first["id"].startswith("resp_")
    assert first["id"] != other["id"] != "i"  # the first frame counts
    assert first["model"] == ""


@pytest.mark.parametrize(("code", "kind", "failure"), [
    (None, "server_error", "server_error"), ("truncated", "server_error", "server_error"),
    ("rate_limited", "rate_limit_error", "rate_limit_exceeded"),
    ("invalid_prompt", "server_error", "invalid_prompt"),
])  # fmt: skip
def test_a_failure_is_said_so_that_every_client_notices_it(gs, code, kind, failure):
    e = gs.events
    error = {"type": kind, "code": code, "message": "no", "param": None}
    flat = {"type": "error", "code": code, "message": "no", "param": None, "error": error}
    for items in (
        [e.Error("no", code)], ["a", e.Error("no", code), None], [e.Error("no", code), e.Done()],
    ):  # fmt: skip
        payloads = write(gs, *items)
        assert [each["type"] for each in payloads[:2]] == HEAD
        assert payloads[-2] == flat
        response = payloads[-1]["response"]
        assert payloads[-1]["type"] == "response.failed"
        assert (response["status"], response["output"]) == ("failed", [])
        assert response["error"] == {"code": failure, "message": "no"}
    encoder = gs.SSEEncoder(dialect="openai_responses")
    encoder.write(e.Error("no", code))
    encoder.end(gs.StreamError("later"))
    assert encoder.failed
    assert b'"message":"no"' in encoder.take()


def test_half_a_call_is_a_failure_however_the_answer_ends(gs):
    e = gs.events
    half = [e.ToolCall("b", "f"), e.ToolCallStart("c", "f"), e.ToolCallDelta("c", "{")]
    for end in ([], [e.Finish(None, "length")], [e.Done()]):
        payloads = write(gs, *half, *end)
        assert payloads[-2]["code"] == "truncated_tool_call"
        assert [each["call_id"] for each in payloads[-1]["response"]["output"]] == ["b"]


def test_a_step_that_is_taken_back_fails_if_a_part_of_it_was_written(gs):
    e = gs.events
    between = [e.FinishStep(1), e.StepStart(), e.StepReset()]
    first, second = ended(gs, "a", *between, "b")["output"]
    assert (first["content"][0]["text"], second["content"][0]["text"]) == ("a", "b")
    encoder = gs.SSEEncoder(dialect="openai_responses")
    encoder.write_many([e.StepStart(), "a", e.StepReset()])
    assert encoder.ended
    assert encoder.failed
    assert b'"code":"step_reset"' in encoder.take()


def test_an_event_that_cannot_be_written_changes_nothing(gs):
    e = gs.events
    encoder = gs.SSEEncoder(gs.SSEOptions(errors="strict"), dialect="openai_responses")
    encoder.write_many(["a", "b", e.ToolCallStart("c", "f"), e.ToolCallDelta("c", "1")])
    number, frames = encoder.sequence, encoder.take()
    for bad in ("\ud800", e.ToolCallDelta("c", "\ud800"), e.ToolCall("d", "g", {"x": object()}),
                e.ToolResult("c", "f", object()), e.Citations([e.Citation("\ud800")])):  # fmt: skip
        with pytest.raises((UnicodeEncodeError, gs.errors.GaistreamError)):
            encoder.write(bad)
        assert (encoder.sequence, encoder.take()) == (number, b"")
    encoder.write_many([e.ToolCallDelta("c", "2"), e.ToolCall("c", "f", 12), "d", e.Done()])
    events = list(gs.read_events(frames + encoder.take(), dialect="openai_responses"))
    assert events[-1] == e.Done()
    assert e.ToolCall("c", "f", 12) in events
    assert "".join(each.text for each in events if isinstance(each, e.TextDelta)) == "abd"


def test_heartbeats_are_comments(gs):
    encoder = gs.SSEEncoder(gs.SSEOptions(heartbeat="native"), dialect="openai_responses")
    encoder.write_heartbeat()
    encoder.write("a")
    encoder.take()
    encoder.write_heartbeat()
    assert encoder.take() == b": keep-alive\n\n"


@pytest.mark.parametrize("options", [{"model": 1}, {"request": 1}])
def test_options_of_wrong_types(gs, options):
    with pytest.raises(gs.errors.FrameTypeError, match=f"{next(iter(options))} must be"):
        gs.dialects.openai_responses(**options)
