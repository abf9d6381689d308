"""gai.events.v1: what the Go original wrote, in both of its shapes, and what is added to it."""

from __future__ import annotations

import json

import pytest
from event_recipes import event_from, recipes
from golden import DATA, RECORDED, UNKNOWN, event_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FORMATS = pytest.mark.parametrize("format", ["sse", "ndjson"])
NAME = "gai_events_v1"
TS = 1700000000123
OPTIONS = {"trace_id": "trace_1", "request_id": "req_1", "provider": "openai", "model": "gpt-x"}


def payloads(gs, format, items, **options):
    """Return the payloads of a stream; in SSE the name of each event is its type."""
    body = gs.encode_events(items, format, gs.dialects.gai_events_v1(**options))
    if format == "ndjson":
        return [json.loads(line) for line in body.splitlines()]
    events = gs.SSEDecoder().feed(body)
    found = [json.loads(event.data) for event in events]
    assert [event.event for event in events] == [each["type"] for each in found]
    return found


def contains(found, expected):
    if isinstance(expected, dict):
        return all(key in found and contains(found[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(contains, found, expected))
    return found == expected


@FORMATS
def test_each_event_contains_all_that_the_original_wrote(gs, format):
    recorded = [each for each in RECORDED if each["type"] != UNKNOWN]
    golden = [json.loads(line) for line in (DATA / "ndjson_normalized.txt").read_text().split("\n")
              if line]  # fmt: skip
    golden = [each for each in golden if each["type"] != "raw.42"]
    items = [*(event_of(gs, each) for each in recorded), gs.events.Done()]
    found = payloads(gs, format, items, **OPTIONS)
    assert len(found) == len(golden)
    for number, (ours, theirs) in enumerate(zip(found, golden, strict=True), 1):
        if theirs["type"] == "done":
            theirs["schema"] = "gai.events.v1"
        else:
            theirs["seq"] = number
        if theirs["type"] == "raw.10":  # without its value
            theirs["type"] = "raw"
        if theirs.get("error", {}).get("code") == "internal":
            del theirs["error"]["code"]  # the original made it up
        if "error" in theirs:
            theirs["error"].pop("temporary", None)
            theirs["error"]["message"] = ours["error"]["message"]
        if theirs["type"] == "text.delta" and "\ufffd" in theirs.get("text", ""):
            theirs["text"] = ours["text"]
        assert contains(ours, theirs), (ours, theirs)


@pytest.mark.parametrize("shape", ["ndjson", "sse"])
def test_both_shapes_of_the_original_are_read(gs, shape):
    e = gs.events
    body = (DATA / f"{shape}_normalized.txt").read_bytes()
    found = list(gs.read_events(body, format=shape, dialect=NAME))
    assert len(found) == len(RECORDED) + 1
    usage = e.Usage(10, 20, 30)
    assert found[0] == e.Start(None, "gpt-x")
    assert found[1:3] == [e.TextDelta("Hello"), e.TextDelta("")]
    assert found[7:11] == [
        e.ToolCall("call_1", "get_weather", {"city": "Paris", "n": 1.0}),
        e.ToolCall("call_2", "noargs", None),
        e.ToolResult("call_1", "", {"sky": "clear", "temp_c": 21.5}),
        e.ToolResult("call_2", "", "plain"),
    ]
    assert found[13] == e.FinishStep(1)
    assert [type(each) for each in found[14:16]] == [e.Raw, e.Raw]
    assert found[16:20] == [
        e.Error("boom <x>", "internal"), e.Error(""), e.Finish(usage), e.Finish(),
    ]  # fmt: skip
    assert found[21:] == [e.Error("slow down", "rate_limited", 1.5), e.Done()]
    if shape == "ndjson":
        assert found[5] == e.AudioDelta(b"\x00\x01\x02\xfd\xfe\xff", e.AudioFormat("audio/pcm"))
        assert found[11] == e.Citations([e.Citation("https://example.com/a?x=1&y=2", 0, 5, "A"),
                                         e.Citation("https://example.com/b", 6, 9)])  # fmt: skip
        assert found[12] == e.Safety("harassment", "warn", 0.1)
        assert found[1].timestamp == TS / 1000
    else:  # which has lost them
        assert [type(each) for each in (found[5], found[11], found[12])] == [e.Raw] * 3


EVENTS = {
    'ReasoningEnd("r", "s", "x")': {"id": "r", "signature": "s", "redacted": "x"},
    'ToolCallStart("1", "f", True)': {
        "call_id": "1", "tool_call": {"name": "f", "provider_executed": True},
    },
    'ToolCallDelta("1", "{")': {"call_id": "1", "text": "{"},
    'ToolCall("1", "f", 2, "s", False)': {
        "call_id": "1",
        "tool_call": {"name": "f", "input": 2, "signature": "s", "provider_executed": False},
    },
    'ToolResult("1", "f", 2, True)': {
        "call_id": "1", "name": "f", "tool_result": 2, "is_error": True,
    },
    'ApprovalRequest("a", "1", "m")': {"call_id": "1", "approval": {"id": "a", "message": "m"}},
    'Data("n", None, "d", True)': {"name": "n", "data": None, "id": "d", "transient": True},
    'File("m", "u")': {"file": {"media_type": "m", "url": "u"}},
    'File("m", None, b"data")': {"file": {"media_type": "m", "data": "ZGF0YQ=="}},
    'StepStart(2, "n")': {"step": 2, "name": "n"},
    "StepReset()": {},
    "FinishStep(3)": {"step": 3},
    'Raw({"a": 1})': {"raw": {"a": 1}},
    'Finish(None, "stop", "end_turn")': {"finish_reason": "stop", "raw_reason": "end_turn"},
}  # fmt: skip
KINDS = {"ReasoningEnd": "reasoning.end", "ToolCallStart": "tool.call.start",
         "ToolCallDelta": "tool.call.delta", "ToolCall": "tool.call", "ToolResult": "tool.result",
         "ApprovalRequest": "approval.request", "StepStart": "step.start",
         "StepReset": "step.reset", "FinishStep": "step.end"}  # fmt: skip


@FORMATS
@pytest.mark.parametrize("made", EVENTS)
def test_an_event_has_these_fields_in_its_envelope(gs, format, made, monkeypatch):
    monkeypatch.setattr("time.time", lambda: TS / 1000)
    event = eval(made, vars(gs.events))
    name = type(event).__name__
    [payload] = payloads(gs, format, [event])
    assert payload == {
        "schema": "gai.events.v1", "type": KINDS.get(name, name.lower()), "ts": TS, "seq": 1,
        **EVENTS[made],
    }  # fmt: skip
    assert (
        next(iter(gs.read_events(gs.encode_events([event], format, NAME), format, NAME))) == event
    )


def test_any_events_are_read_as_they_were_written(gs):
    @settings(max_examples=100, deadline=None,
              suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
    @given(st.lists(recipes, max_size=4), st.sampled_from(["sse", "ndjson"]))
    def any_events(chosen, format):
        items = [event_from(gs, recipe) for recipe in chosen]
        body = gs.encode_events([*items, gs.events.Done()], format, NAME)
        found = list(gs.read_events(body, format, NAME))[:-1]
        items = [e if type(e) is not gs.events.Error else gs.events.Error(
            e.message, e.code or None, None if e.retry_after is None
            else round(max(-1e9, min(e.retry_after, 1e9)) * 1000) / 1000)
            for e in items]  # fmt: skip
        assert found == items

    any_events()


@FORMATS
@pytest.mark.parametrize("kind", ["TextDelta", "ReasoningDelta"])
@pytest.mark.parametrize("options", [{}, {"trace_id": "100%d", "request_id": "r\ud800\n"}])
def test_deltas_in_the_short_way_say_the_same(gs, format, kind, options, monkeypatch):
    monkeypatch.setattr("time.time", lambda: TS / 1000)
    make = getattr(gs.events, kind)
    for text in ("a", "", 'é\u2028"\\\n\x00', "half \ud800."):
        short, long = (
            payloads(gs, format, ["before", delta], **options)[1]
            for delta in (make(text), make(text, timestamp=TS / 1000))
        )
        assert short == long
        assert short["text"] == text.replace("\ud800", "\ufffd")


def test_deltas_have_ids_and_spaces_if_they_are_asked_for(gs):
    options = gs.SSEOptions(include_id=True)
    [event] = gs.SSEDecoder().feed(b"".join(gs.sse(["a"], options, dialect=NAME)))[:1]
    assert event.id == "1"
    line = b"".join(gs.ndjson(["a"], gs.NDJSONOptions(compact_json=False), dialect=NAME))
    assert b'"text": "a"' in line


def test_an_event_that_cannot_be_written_takes_no_number(gs):
    encoder = gs.SSEEncoder(dialect=NAME)
    encoder.write("a")
    with pytest.raises(gs.errors.EncodeError):
        encoder.write(gs.events.Raw(object()))
    with pytest.raises(gs.errors.EventError, match="finite"):
        encoder.write(gs.events.TextDelta("a", timestamp=float("nan")))
    encoder.write("b")
    assert [json.loads(each.data)["seq"] for each in gs.SSEDecoder().feed(encoder.take())] == [1, 2]


def test_errors_carry_the_hint_and_end_the_stream_without_done(gs):
    [start, error] = gs.SSEDecoder().feed(
        b"".join(gs.sse(["a", gs.events.Error("no", "busy", 1.5)], dialect=NAME))
    )
    assert (start.event, error.event) == ("text.delta", "error")
    assert json.loads(error.data)["error"] == {
        "message": "no", "code": "busy", "retry_after_ms": 1500,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'data: {"type":"text.delta","text":"a"}\n\n', "truncated"),
        (b'data: {"type":"error","error":{"message":"a"}}\n\ndata: {"type":"x"}\n\n', "truncated"),
        (b"event: text.delta\ndata: {\n\n", "invalid_frame"),
        (b"", "truncated"),
    ],
)
def test_a_cut_and_a_broken_frame_are_errors(gs, body, code):
    assert list(gs.read_events(body, dialect=NAME))[-1].code == code


def test_an_error_that_is_last_ends_the_stream(gs):
    for data in (b'{"error":{"message":"no"}}', b'{"message":"no"}', b'{"error":"no"}', b"no"):
        found = list(gs.read_events(b"event: error\ndata: " + data + b"\n\n", dialect=NAME))
        assert found == [gs.events.Error("no")]


WRONG = [None, True, -1, 2**70, 1.5, float("nan"), "", "x", "\ud800", [], [1], {}, {"type": 1}]


def paths(value, path=()):
    if path:
        yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from paths(value[key], (*path, key))


def test_a_wrong_or_missing_value_anywhere_is_no_exception(gs):
    e = gs.events
    items = [e.Start("a", "b"), e.AudioDelta(b"x", e.AudioFormat("m")), e.ToolCall("1", "f", {}),
             e.ToolResult("1", "f", 1), e.Citations([e.Citation("u")]), e.Safety("c", "a"),
             e.ApprovalRequest("a", "1"), e.File("m", "u"), e.Data("n"), e.StepStart(1, "n"),
             e.FinishStep(1), e.Finish(e.Usage(1, 2)), e.Error("no", "c", 1)]  # fmt: skip
    text = json.dumps(payloads(gs, "ndjson", items))
    for *path, last in paths(json.loads(text)):
        for wrong in ("missing", *WRONG):
            holder = lines = json.loads(text)
            for step in path:
                holder = holder[step]
            if wrong == "missing":
                del holder[last]
            else:
                holder[last] = wrong
            body = "".join(json.dumps(line) + "\n" for line in lines).encode()
            events = list(gs.read_events(body, format="ndjson", dialect=NAME))
            assert isinstance(events[-1], e.Done | e.Error)


@pytest.mark.parametrize("name", ["trace_id", "request_id", "provider", "model"])
def test_an_option_of_the_wrong_type_is_refused(gs, name):
    with pytest.raises(gs.errors.FrameTypeError, match=f"{name} must be str or None, not int"):
        gs.dialects.gai_events_v1(**{name: 1})
