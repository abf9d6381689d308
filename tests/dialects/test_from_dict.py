"""Dicts that become events, in both shapes."""

import base64
import re
from types import MappingProxyType

import pytest

AUDIO = base64.b64encode(b"\0\xff").decode()
FORM = {"mime": "m", "sample_rate": 8000, "channels": 2, "bit_depth": 16}


def event_from_dict(gs, item):
    return gs.dialects.gai.from_dict.event_from_dict(item)


# The event, its dict as a gai NDJSON line, and with the event's own fields beside the type.
DICTS = {
    "start": (
        lambda e: e.Start("i", "m"),
        {"type": "start", "started": True, "id": "i", "model": "m"},
        {"type": "start", "id": "i", "model": "m"},
    ),
    "text_delta": (
        lambda e: e.TextDelta("a"),
        {"type": "text_delta", "text": "a"},
        {"type": "text_delta", "text": "a", "unknown": 5},
    ),
    "reasoning_delta": (
        lambda e: e.ReasoningDelta("a"),
        {"type": "reasoning_delta", "text": "a"},
        {"type": "reasoning_delta", "text": "a"},
    ),
    "audio_delta": (
        lambda e: e.AudioDelta(b"\0\xff", e.AudioFormat(**FORM)),
        {"type": "audio_delta", "audio": {"chunk": AUDIO, "format": FORM}},
        {"type": "audio_delta", "audio": b"\0\xff", "format": FORM},
    ),
    "audio without format": (
        lambda e: e.AudioDelta(b"\0\xff"),
        {"type": "audio_delta", "audio": {"chunk": AUDIO, "format": None}},
        {"type": "audio_delta", "audio": AUDIO},
    ),
    "tool_call": (
        lambda e: e.ToolCall("i", "n", {"a": 1}),
        {"type": "tool_call", "tool_call": {"id": "i", "input": {"a": 1}, "name": "n"}},
        {"type": "tool_call", "id": "i", "name": "n", "input": {"a": 1}},
    ),
    "tool_result": (
        lambda e: e.ToolResult("i", "n", [1]),
        {"type": "tool_result", "tool_result": {"id": "i", "name": "n", "result": [1]}},
        {"type": "tool_result", "id": "i", "name": "n", "result": [1]},
    ),
    "citations": (
        lambda e: e.Citations([e.Citation("u", 1, 2, "t"), e.Citation("v")]),
        {
            "type": "citations",
            "citations": [
                {"uri": "u", "start": 1, "end": 2, "title": "t"},
                {"uri": "v", "start": 0, "end": 0},
            ],
        },
        {
            "type": "citations",
            "citations": ({"uri": "u", "start": 1, "end": 2, "title": "t"}, {"uri": "v"}),
        },
    ),
    "safety": (
        lambda e: e.Safety("c", "a", 0.5, "n"),
        {"type": "safety", "safety": {"category": "c", "action": "a", "score": 0.5, "note": "n"}},
        {"type": "safety", "category": "c", "action": "a", "score": 0.5, "note": "n"},
    ),
    "finish_step": (
        lambda e: e.FinishStep(2),
        {"type": "finish_step", "step": {"number": 2, "finished": True}},
        {"type": "finish_step", "step_number": 2},
    ),
    "finish": (
        lambda e: e.Finish(e.Usage(1, 2, 3), "stop"),
        {
            "type": "finish",
            "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
            "finish_reason": "stop",
            "finished": True,
        },
        {
            "type": "finish",
            "usage": {"input_tokens": 1, "output_tokens": 2},
            "finish_reason": "stop",
        },
    ),
    "a bare finish": (
        lambda e: e.Finish(),
        {"type": "finish", "usage": None, "finished": True},
        {"type": "finish"},
    ),
    "error": (
        lambda e: e.Error("m", "c", 1.5),
        {"type": "error", "error": "m", "code": "c", "retry_after": 1.5},
        {"type": "error", "message": "m", "code": "c", "retry_after": 1.5},
    ),
    "done": (lambda e: e.Done(), {"type": "done", "finished": True}, {"type": "done"}),
    "raw": (lambda e: e.Raw([1]), {"type": "raw", "raw": [1]}, {"type": "raw", "raw": [1]}),
    "raw nil": (lambda e: e.Raw(), {"type": "raw"}, {"type": "raw", "raw": None}),
}


@pytest.mark.parametrize("case", DICTS.values(), ids=DICTS.keys())
def test_a_dict_becomes_its_event_in_both_shapes(gs, case):
    make, *shapes = case
    for shape in shapes:
        event = event_from_dict(gs, shape)
        assert (event, event.timestamp) == (make(gs.events), None)
        timed = event_from_dict(gs, MappingProxyType(shape | {"timestamp": 17.5}))
        assert (timed, timed.timestamp) == (event, 17.5)


@pytest.mark.parametrize("case", DICTS.values(), ids=DICTS.keys())
def test_the_first_shape_is_the_line_that_is_written(gs, case):
    make, line, _ = case
    written = gs.encode_events([make(gs.events)], "ndjson")
    assert gs.ServerSentEvent(written).json() == line
    assert gs.encode_events([line], "ndjson") == written
    assert gs.encode_events([line]) == gs.encode_events([make(gs.events)])


def test_values_may_be_events_already(gs):
    events = gs.events
    usage, citation, form = events.Usage(1), events.Citation("u"), events.AudioFormat("m")
    assert event_from_dict(gs, {"type": "finish", "usage": usage}) == events.Finish(usage)
    assert event_from_dict(gs, {"type": "citations", "citations": [citation, {"uri": "u"}]}) == (
        events.Citations([citation, citation])
    )
    item = {"type": "audio_delta", "audio": bytearray(b"a"), "format": form}
    assert event_from_dict(gs, item) == events.AudioDelta(b"a", form)


TYPE = "a dict needs a 'type' that is an event's, not"
MEND = '; for your own JSON objects pass dialect="json"'
WRONG = {
    "no type": ({}, f"{TYPE} None{MEND}"),
    "an unknown type": ({"type": "unknown(42)"}, f"{TYPE} 'unknown(42)'{MEND}"),
    "a type that is none": ({"type": ["start"]}, f"{TYPE} ['start']{MEND}"),
    "no text": ({"type": "text_delta"}, "text_delta needs the field 'text'"),
    "no reasoning": ({"type": "reasoning_delta"}, "reasoning_delta needs the field 'text'"),
    "text": ({"type": "text_delta", "text": 5}, "TextDelta.text must be str, not int"),
    "time": (
        {"type": "done", "timestamp": "now"},
        "Done.timestamp must be int, float or None, not str",
    ),
    "no audio": ({"type": "audio_delta"}, "audio_delta needs the field 'audio'"),
    "no chunk": ({"type": "audio_delta", "audio": {}}, "audio_delta needs the field 'chunk'"),
    "not base64": (
        {"type": "audio_delta", "audio": "a"},
        "audio_delta.audio is not base64: ",
    ),
    "not ASCII": (
        {"type": "audio_delta", "audio": {"chunk": "é"}},
        "audio_delta.audio is not base64: ",
    ),
    "format": (
        {"type": "audio_delta", "audio": "", "format": "wav"},
        "audio_delta.format must be an object, not str",
    ),
    "no mime": (
        {"type": "audio_delta", "audio": "", "format": {"channels": 1}},
        "audio_delta.format needs the field 'mime'",
    ),
    "no id": ({"type": "tool_call", "name": "n"}, "tool_call needs the field 'id'"),
    "no name": (
        {"type": "tool_call", "tool_call": {"id": "i"}},
        "tool_call needs the field 'name'",
    ),
    "call": (
        {"type": "tool_call", "tool_call": "n"},
        "tool_call.tool_call must be an object, not str",
    ),
    "no tool": ({"type": "tool_result", "id": "i"}, "tool_result needs the field 'name'"),
    "result": (
        {"type": "tool_result", "tool_result": [1]},
        "tool_result.tool_result must be an object, not list",
    ),
    "no citations": ({"type": "citations"}, "citations needs the field 'citations'"),
    "citations": ({"type": "citations", "citations": {}}, "citations must be a list, not dict"),
    "citation": ({"type": "citations", "citations": [5]}, "citations must be an object, not int"),
    "no citation": (
        {"type": "citations", "citations": [None]},
        "Citations.citations must be an iterable of Citation, not NoneType",
    ),
    "no uri": (
        {"type": "citations", "citations": [{"start": 1}]},
        "citations needs the field 'uri'",
    ),
    "no category": ({"type": "safety", "action": "a"}, "safety needs the field 'category'"),
    "no action": (
        {"type": "safety", "safety": {"category": "c"}},
        "safety needs the field 'action'",
    ),
    "safety": ({"type": "safety", "safety": None}, "safety.safety must be an object, not NoneType"),
    "no number": ({"type": "finish_step", "step": {}}, "finish_step needs the field 'number'"),
    "no step": ({"type": "finish_step"}, "finish_step needs the field 'step_number'"),
    "step": ({"type": "finish_step", "step": 1}, "finish_step.step must be an object, not int"),
    "usage": ({"type": "finish", "usage": 5}, "finish.usage must be an object, not int"),
    "tokens": (
        {"type": "finish", "usage": {"input_tokens": "1"}},
        "Usage.input_tokens must be int, not str",
    ),
    "no message": ({"type": "error"}, "error needs the field 'message'"),
    "message": (
        {"type": "error", "error": {"message": "m"}},
        "Error.message must be str, not dict",
    ),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_a_missing_or_wrong_field_of_a_dict_is_named(gs, case):
    item, message = case
    with pytest.raises(gs.errors.EventError, match=f"^{re.escape(message)}") as caught:
        event_from_dict(gs, item)
    if not message.endswith(": "):
        assert str(caught.value) == message
    encoder = gs.SSEEncoder()
    with pytest.raises(gs.errors.EventError, match=f"^{re.escape(message)}"):
        encoder.write(item)
    assert encoder.pending == 0
