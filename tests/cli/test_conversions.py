"""Conversions between the formats: what comes back, what is lost and counted, what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaistream import ServerSentEvent, SSEDecoder, encode_events
from gaistream.cli._conversions import Conversion
from gaistream.events import (
    Citation,
    Citations,
    Done,
    Finish,
    ReasoningDelta,
    Start,
    TextDelta,
    ToolCall,
    ToolResult,
    Usage,
)

ANSWER = [
    Start("m", "1"),
    ReasoningDelta("hm\r\n"),
    TextDelta("a\u2028b"),
    ToolCall("search", "t1", {"q": "x"}),
    ToolResult("search", "t1", [1, None]),
    Citations([Citation("https://example.org/", 0, 5)]),
    Finish(Usage(1, 2)),
    Done(),
]


def convert(source, dialect, *chunks):
    conversion = Conversion(source, dialect)
    said = b"".join([conversion.feed(chunk) for chunk in chunks] + [conversion.close()])
    return said, conversion


def there_and_back(source, dialect, said):
    other = "ndjson" if source == "sse" else "sse"
    there, first = convert(source, dialect, said)
    back, second = convert(other, dialect, there)
    for conversion in (first, second):
        assert (conversion.failure, conversion.wrong) == ("", "")
    return there, back, first


# field values that SSE can say: no line ends in names and ids, and no NUL in ids
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
names = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=5)
frames = st.builds(
    ServerSentEvent, texts, names, id=st.none() | names,
    retry=st.none() | st.integers(0, 10**9),
)  # fmt: skip


@given(st.lists(frames, max_size=6))
@settings(max_examples=200, deadline=None)
def test_every_event_of_sse_comes_back_from_envelopes(events):
    said = b"".join(bytes(event) for event in events)
    there, back, conversion = there_and_back("sse", "envelope", said)
    assert SSEDecoder().feed(back) == SSEDecoder().feed(said)
    assert conversion.count == len(there.splitlines()) == len(SSEDecoder().feed(said))
    assert not conversion.lost


def test_an_envelope_says_only_what_is_there():
    said = b"data: a\n\nevent: e\nid: 1\nretry: 5\ndata: b\ndata: c\n\ndata: d\n\nid\ndata: e\n\n"
    lines, conversion = convert("sse", "envelope", said)
    assert [json.loads(line) for line in lines.splitlines()] == [
        {"data": "a"},
        {"event": "e", "data": "b\nc", "id": "1", "retry": 5},
        {"data": "d"},
        {"data": "e", "id": ""},
    ]
    assert (conversion.count, conversion.lost) == (4, {})


@pytest.mark.parametrize("source", ["sse", "ndjson"])
def test_an_answer_in_gaistreams_own_protocol_comes_back_byte_by_byte(source):
    said = encode_events(ANSWER, source)
    other = "ndjson" if source == "sse" else "sse"
    there, back, _ = there_and_back(source, "gai", said)
    assert there == encode_events(ANSWER, other)
    assert back == said
    chunks = [bytes([byte]) for byte in said]
    assert convert(source, "gai", *chunks)[0] == there


def test_lines_come_back_from_events_whose_data_they_are():
    said = b'{"a":1}\n[2,"\xc3\xa9"]\nnull\n'
    there, back, conversion = there_and_back("ndjson", "json", said)
    assert there == b'data: {"a":1}\n\ndata: [2,"\xc3\xa9"]\n\ndata: null\n\n'
    assert back == said
    assert not conversion.lost


def test_data_on_several_lines_becomes_one_line_of_json():
    said, _ = convert("sse", "json", b'data: {"a":\ndata:  1}\n\ndata: [DONE]\n\n')
    assert said == b'{"a":1}\n'


def test_what_some_readers_take_for_line_ends_is_escaped():
    said, _ = convert("sse", "json", 'data: "a\u2028b\u2029c\x85"\n\n'.encode())
    assert said == b'"a\\u2028b\\u2029c\\u0085"\n'
    said, _ = convert("ndjson", "json", '"a\u2028"\n'.encode())
    assert said == b'data: "a\\u2028"\n\n'


LOST = [
    ("envelope", b": hi\n\ndata: 1\n\n", {"comments": 1}),
    ("envelope", b"retry: 5\n\ndata: 1\nretry: 6\n\n", {"retry hints": 1}),
    ("json", b": hi\nid: 1\nevent: e\nretry: 5\ndata: 1\n\ndata: [DONE]\n\n",
     {"comments": 1, "ids": 1, "event names": 1, "retry hints": 1, "[DONE]": 1}),
    ("gai", b'id: 7\nevent: text_delta\ndata: {"text":"a"}\n\n'
     b'event: done\ndata: {"finished":true}\n\n', {"ids": 1}),
    ("gai", b'event: text_delta\ndata: {"text":"a\\ud83d"}\n\n'
     b'event: raw\ndata: {"raw":["\\ude00"]}\n\nevent: text_delta\ndata: {"text":"\\ud83d"}\n\n'
     b'event: text_delta\ndata: {"text":"\\ude00"}\n\nevent: done\ndata: {}\n\n',
     {"halves of characters": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "said", "lost"), LOST)
def test_what_is_lost_is_counted_wherever_it_is_cut(dialect, said, lost):
    for chunks in ([said], [bytes([byte]) for byte in said]):
        _, conversion = convert("sse", dialect, *chunks)
        assert conversion.lost == lost
        assert (conversion.failure, conversion.wrong) == ("", "")


REFUSED = [
    ("ndjson", "envelope", b'{"data":"a"}\n{"text":"b"}\n', b"data: a\n\n",
     "value 2 is no envelope, which has event, data, id and retry alone"),
    ("ndjson", "envelope", b'{"data":1}\n', b"", "value 1: data must be str"),
    ("ndjson", "envelope", b'{"data":"","retry":true}\n', b"", "value 1: retry must be int"),
    ("ndjson", "envelope", b'{"data":"a","id":"b\\nc"}\n', b"", "value 1: id "),
    ("ndjson", "envelope", b'{"data":"a"}\n{"data":\n{}\n', b"data: a\n\n", "line 2"),
    ("sse", "json", b"data: 1\n\ndata: hello\n\ndata: 2\n\n", b"1\n",
     "the data of event 2 is not JSON"),
    ("sse", "gai", b"event: text_delta\ndata: {oops\n\n", b"", "event 1"),
    ("sse", "gai", b'event: raw\ndata: {"raw":[NaN]}\n\n', b"", "event 1 holds NaN"),
    ("ndjson", "gai", b'{"type":"raw","raw":-Infinity}\n', b"", "event 1 holds NaN"),
    ("ndjson", "envelope", b'{"data":"\\ud83d"}\n', b"", "line 1"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "dialect", "said", "before", "told"), REFUSED)
def test_what_cannot_be_said_is_refused_and_what_came_before_it_is_kept(
    source, dialect, said, before, told
):
    for chunks in ([said], [bytes([byte]) for byte in said]):
        given, conversion = convert(source, dialect, *chunks)
        assert given == before
        assert told in conversion.failure


CUT = [
    ("sse", "envelope", b"data: 1\n\ndata: 2\n", "has no blank line behind it"),
    ("sse", "gai", encode_events([TextDelta("a")], "sse"), "without its done"),
    ("ndjson", "gai", encode_events([TextDelta("a")], "ndjson"), "without its done"),
    ("ndjson", "gai", encode_events(ANSWER, "ndjson") * 2, "behind the end"),
]


@pytest.mark.parametrize(("source", "dialect", "said", "told"), CUT)
def test_a_stream_that_was_cut_is_converted_and_said_to_be_wrong(source, dialect, said, told):
    given, conversion = convert(source, dialect, said)
    assert given
    assert told in conversion.wrong
    assert not conversion.failure
