"""OpenAI's Chat Completions: tool calls come whole or not at all; the counts of tokens."""

from __future__ import annotations

import json

import pytest

DONE = b"data: [DONE]\n\n"


def frame(finish=None, /, **delta):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "i", "choices": [choice]}).encode() + b"\n\n"


def calls(*fragments, finish=None):
    """A frame of fragments (index, id, name, arguments); what is None is left out."""
    made = []
    for index, identity, name, arguments in fragments:
        function = {"name": name, "arguments": arguments}
        call = {"index": index, "id": identity}
        call = {key: value for key, value in call.items() if value is not None}
        function = {key: value for key, value in function.items() if value is not None}
        made.append(call | {"function": function})
    return frame(finish, tool_calls=made)


def read(gs, body):
    """The events, which must be the same whatever the chunks."""
    whole = list(gs.read_events(body, dialect="openai_chat"))
    assert list(gs.read_events([body[at : at + 1] for at in range(len(body))],
                               dialect="openai_chat")) == whole  # fmt: skip
    return whole


A, B = '{"city":"a"}', '{"zone":"b"}'
F, G = ("f", {"city": "a"}), ("g", {"zone": "b"})
HALF, REST = '{"city":', '"a"}'
# fmt: off
WHOLE = {  # name: (frames of fragments, the calls)
    "one call": ([[(0, "x", "f", HALF)], [(0, None, None, REST)]], [F]),
    "another id in a later fragment": ([[(0, "x", "f", HALF)], [(0, "y", None, REST)]], [F]),
    "another id, and the name again": ([[(0, "x", "f", HALF)], [(0, "y", "f", REST)]], [F]),
    "id and name again, with nothing else": ([[(0, "x", "f", A)], [(0, "x", "f", "")]], [F]),
    "an id later than the call": ([[(0, None, "f", HALF)], [(0, "x", None, REST)]], [F]),
    "a name later than the call": ([[(0, "x", None, HALF)], [(0, "x", "f", REST)]], [F]),
    "fragments alternate": (
        [[(0, "x", "f", HALF)], [(1, "y", "g", '{"zone":')], [(0, None, None, REST)],
         [(1, None, None, '"b"}')]], [F, G],
    ),
    "fragments alternate, index 0, told apart by ids": (
        [[(0, "x", "f", HALF)], [(0, "y", "g", '{"zone":')], [(0, "x", None, REST)],
         [(0, "y", None, '"b"}')]], [F, G],
    ),
    "fragments alternate, no index, told apart by ids": (
        [[(None, "x", "f", HALF)], [(None, "y", "f", '{"city":')], [(None, "x", None, REST)],
         [(None, "y", None, '"c"}')]], [F, ("f", {"city": "c"})],
    ),
    "two begin in one delta": (
        [[(0, "x", "f", ""), (1, "y", "g", "")], [(0, None, None, A)], [(1, None, None, B)]],
        [F, G],
    ),
    "two begin in one delta, the second goes on first": (
        [[(0, "x", "f", ""), (1, "y", "g", "")], [(1, None, None, B)], [(0, None, None, A)]],
        [F, G],
    ),
    "whole, index 0, empty ids": ([[(0, "", "f", A)], [(0, "", "g", B)]], [F, G]),
    "whole, index 0, no ids, one name": (
        [[(0, None, "f", A)], [(0, None, "f", '{"city":"c"}')]], [F, ("f", {"city": "c"})],
    ),
    "whole, no index, no ids": ([[(None, None, "f", A)], [(None, None, "g", B)]], [F, G]),
    "whole, all in one delta": ([[(0, None, "f", A), (0, None, "g", B)]], [F, G]),
    "without arguments, index 0": ([[(0, "", "f", "")], [(0, "", "g", None)]],
                                   [("f", None), ("g", None)]),
    "numbers may go on": ([[(0, "x", "f", "1")], [(1, "y", "g", "2")], [(0, None, None, "9")]],
                          [("f", 19), ("g", 2)]),
    "a space on its own in a string": (
        [[(0, "x", "f", '{"a":"b')], [(0, None, None, " ")], [(0, None, None, 'c"}')]],
        [("f", {"a": "b c"})],
    ),
    "values instead of text": (
        [[(0, "", "f", {"city": "a"})], [(0, "", "f", [1])]], [F, ("f", [1])],
    ),
}
BROKEN = {
    "half an object": [[(0, "x", "f", HALF)]],
    "no JSON": [[(0, "x", "f", "city=a")]],
    "half a call beside a whole one": [[(0, "x", "f", A)], [(1, "y", "g", '{"zone":')]],
    "an object and more": [[(0, "x", "f", A)], [(0, "x", None, REST)]],
}
# fmt: on


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("reason", ["tool_calls", "stop"])
def test_fragments_are_joined_however_a_server_numbers_and_names_them(gs, name, reason):
    frames, wanted = WHOLE[name]
    body = b"".join(calls(*each) for each in frames) + frame(reason) + DONE
    events = read(gs, body)
    found = [event for event in events if isinstance(event, gs.events.ToolCall)]
    assert [(call.name, call.input) for call in found] == wanted
    assert len({call.id for call in found}) == len(wanted)
    for call in found:
        own = [event for event in events if getattr(event, "id", None) == call.id]
        assert own[0] == gs.events.ToolCallStart(call.id, call.name)
        assert own[-1] is call
        text = "".join(delta.text for delta in own[1:-1])
        assert not text or json.loads(text) == call.input
    assert events[-2:] == [gs.events.Finish(None, reason), gs.events.Done()]


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("end", [frame("tool_calls"), frame("stop"), frame("length"), DONE, b""])
def test_half_a_tool_call_is_never_returned(gs, name, end):
    body = b"".join(calls(*each) for each in BROKEN[name]) + end + (end and DONE)
    events = read(gs, frame(content="Hi") + body)
    assert type(events[-1]) is gs.events.Error
    assert events[-1].code == "truncated_tool_call"
    whole = [gs.events.ToolCall("x", "f", {"city": "a"})]
    found = [event for event in events if type(event) is gs.events.ToolCall]
    assert found == (whole if "whole" in name else [])


def test_a_call_is_returned_once_another_begins(gs):
    body = calls((0, "x", "f", A)) + calls((1, "y", "g", ""))
    *_, call, start, end = read(gs, body)
    assert call == gs.events.ToolCall("x", "f", {"city": "a"})
    assert start == gs.events.ToolCallStart("y", "g")
    assert end.code == "truncated"


def test_the_terminator_without_a_finish_reason(gs):
    events = gs.events
    text = frame(role="assistant", content="") + frame(content="Hi")
    start = events.Start("i")
    assert read(gs, text + DONE) == [
        start, events.TextDelta("Hi"), events.Finish(None, None), events.Done()
    ]  # fmt: skip
    cut = events.Error("the stream was cut", "truncated")
    assert read(gs, frame(role="assistant", content="") + DONE) == [start, cut]
    assert read(gs, text + calls((0, "x", "f", A)) + DONE)[-1] == cut
    assert read(gs, DONE) == [cut]


def test_all_counts_of_tokens_that_came_are_kept_and_written(gs):
    counts = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    details = {
        "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": None},
    }
    wrong = {"prompt_tokens_details": {"cached_tokens": "5"}, "completion_tokens_details": None}
    for more, three in ((details, (0, 3, 4)), ({}, (None,) * 3), (wrong, (None,) * 3)):
        chunk = json.dumps({"choices": [], "usage": counts | more}).encode()
        finish = read(gs, frame("stop") + b"data: " + chunk + b"\n\n" + DONE)[-2]
        assert finish == gs.events.Finish(gs.events.Usage(11, 7, 18, *three), "stop")
        names = ("cached_input_tokens", "cache_write_tokens", "reasoning_tokens")
        present = {name: count for name, count in zip(names, three, strict=True)
                   if count is not None}  # fmt: skip
        for format in ("sse", "ndjson"):
            written = gs.encode_events([finish, gs.events.Done()], format)
            assert list(gs.read_events(written, format)) == [finish, gs.events.Done()]
            data = written.split(b"\n")[format == "sse"].removeprefix(b"data: ")
            usage = {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}
            assert json.loads(data)["usage"] == usage | present
