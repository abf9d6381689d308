"""The default protocol: the frames of the newer events, and errors."""

import json

import pytest

FULL = {  # what makes each event: its SSE data, and its line without the type
    'ReasoningEnd("r", "s", "x")': ('{"id":"r","signature":"s","redacted":"x"}', None),
    "ReasoningEnd()": ("{}", None),
    'ToolCallStart("1", "f")': (
        '{"tool_id":"1","tool_name":"f"}', '"tool_call":{"id":"1","name":"f"}'),
    'ToolCallStart("1", "f", True)': (
        '{"tool_id":"1","tool_name":"f","provider_executed":true}',
        '"tool_call":{"id":"1","name":"f","provider_executed":true}'),
    'ToolCallDelta("1", "{")': (
        '{"tool_id":"1","text":"{"}', '"tool_call":{"id":"1","text":"{"}'),
    'ToolCall("1", "f", 2)': (
        '{"tool_name":"f","tool_id":"1","input":2}',
        '"tool_call":{"id":"1","input":2,"name":"f"}'),
    'ToolCall("1", "f", None, "s", False)': (
        '{"tool_name":"f","tool_id":"1","input":null,"signature":"s","provider_executed":false}',
        '"tool_call":{"id":"1","input":null,"name":"f","signature":"s",'
        '"provider_executed":false}'),
    'ToolResult("1", "f", 2, True)': (
        '{"tool_name":"f","tool_id":"1","result":2,"is_error":true}',
        '"tool_result":{"name":"f","id":"1","result":2,"is_error":true}'),
    'ApprovalRequest("a", "1")': (
        '{"id":"a","tool_id":"1"}', '"approval":{"id":"a","tool_id":"1"}'),
    'ApprovalRequest("a", "1", "m", "r", {"type":"null"}, "s")': (
        '{"id":"a","tool_id":"1","message":"m","reason":"r","response_schema":{"type":"null"},'
        '"signature":"s"}',
        '"approval":{"id":"a","tool_id":"1","message":"m","reason":"r",'
        '"response_schema":{"type":"null"},"signature":"s"}'),
    'Data("n", [1])': ('{"name":"n","data":[1]}', None),
    'Data("n", None, "d", True)': ('{"name":"n","data":null,"id":"d","transient":true}', None),
    'File("m", "u")': ('{"media_type":"m","url":"u"}', None),
    'File("m", None, b"data")': ('{"media_type":"m","data":"ZGF0YQ=="}', None),
    "StepStart()": ("{}", '"step":{}'),
    'StepStart(2, "n")': ('{"step_number":2,"name":"n"}', '"step":{"number":2,"name":"n"}'),
    "StepReset()": ("{}", ""),
    'Finish(None, "stop", "end_turn")': (
        '{"usage":null,"finish_reason":"stop","raw_reason":"end_turn"}',
        '"usage":null,"finish_reason":"stop","raw_reason":"end_turn","finished":true'),
}  # fmt: skip
NAMES = {"ReasoningEnd": "reasoning_end", "ToolCallStart": "tool_call_start",
         "ToolCallDelta": "tool_call_delta", "ToolCall": "tool_call", "ToolResult": "tool_result",
         "ApprovalRequest": "approval_request", "Data": "data", "File": "file",
         "StepStart": "step_start", "StepReset": "step_reset", "Finish": "finish"}  # fmt: skip


@pytest.mark.parametrize("made", FULL)
def test_a_newer_event_has_this_frame_and_this_line_and_is_read_back(gs, made):
    event = eval(made, vars(gs.events))
    name, (data, line) = NAMES[type(event).__name__], FULL[made]
    frame = f"event: {name}\ndata: {data}\n\n".encode()
    assert gs.encode_events([event]) == frame
    line = data[1:-1] if line is None else line
    whole = f'{{"type":"{name}"{"," if line else ""}{line}}}\n'.encode()
    assert gs.encode_events([event], "ndjson") == whole
    for format, written in (("sse", frame), ("ndjson", whole)):
        assert next(iter(gs.read_events([written], format))) == event


@pytest.mark.parametrize("made", FULL)
def test_a_dict_of_the_events_own_fields_stands_for_a_newer_event(gs, made):
    event = eval(made, vars(gs.events))
    fields = {field: getattr(event, field) for field in event.__match_args__}
    given = {"type": NAMES[type(event).__name__], **fields}
    assert gs.encode_events([given]) == gs.encode_events([event])
    known = {name: value for name, value in given.items() if value is not None}
    if "data" not in type(event).__match_args__:  # Data's may be None
        assert gs.encode_events([known]) == gs.encode_events([event])


@pytest.mark.parametrize("fields", [
    {"type": "file", "media_type": "m"}, {"type": "file", "media_type": "m", "data": "no base64"},
    {"type": "file", "media_type": "m", "url": "u", "data": "ZGF0YQ=="}, {"type": "data"},
    {"type": "tool_call_delta", "id": "1"}, {"type": "step_start", "step": 1},
    {"type": "tool_call_start", "id": "1", "name": "f", "provider_executed": "yes"},
])  # fmt: skip
def test_a_dict_with_missing_or_wrong_fields_is_refused_and_a_frame_of_it_is_raw(gs, fields):
    with pytest.raises(gs.errors.EventError):
        gs.encode_events([fields])
    (raw, _) = gs.read_events([json.dumps(fields).encode() + b"\n"], "ndjson")
    assert raw == gs.events.Raw(fields)


def test_only_the_text_of_a_stream_error_is_shown(gs):
    event_of = gs.dialects.base.error_event
    error = gs.StreamError("slow down", code="rate_limited", retry_after=1.5)
    assert event_of(error) == gs.events.Error("slow down", "rate_limited", 1.5)
    for hidden in (ValueError("secret"), KeyboardInterrupt("secret"), gs.errors.FrameError("s")):
        assert event_of(hidden) == gs.events.Error("internal error", "internal")


def test_errors_of_the_default_protocol_carry_a_retry_hint(gs):
    for options, hint in (
        ({}, "retry: 5000\n"),
        ({"retry_ms": 7}, "retry: 7\n"),
        ({"max_retries": 0, "retry_ms": 7}, ""),
    ):
        encoder = gs.SSEEncoder(gs.SSEOptions(**options))
        encoder.write(gs.events.Error("m"))
        expected = f'event: error\n{hint}data: {{"error":"m"}}\n\n'.encode()
        assert encoder.take() == expected
        encoder.fail(gs.events.Error("m"))
        assert encoder.take() == expected
