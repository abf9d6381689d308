"""Conversions between the formats: round trips, losses that are counted, refusals."""

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
    body = b"".join([conversion.feed(chunk) for chunk in chunks] + [conversion.close()])
    return body, conversion


def there_and_back(source, dialect, body):
    other = "ndjson" if source == "sse" else "sse"
    there, first = convert(source, dialect, body)
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
    body = b"".join(bytes(event) for event in events)
    there, back, conversion = there_and_back("sse", "envelope", body)
    assert SSEDecoder().feed(back) == SSEDecoder().feed(body)
    assert conversion.count == len(there.splitlines()) == len(SSEDecoder().feed(body))
    assert not conversion.lost


def test_an_envelope_has_only_the_fields_that_are_there():
    body = b"data: a\n\nevent: e\nid: 1\nretry: 5\ndata: b\ndata: c\n\ndata: d\n\nid\ndata: e\n\n"
    lines, conversion = convert("sse", "envelope", body)
    assert [json.loads(line) for line in lines.splitlines()] == [
        {"data": "a"},
        {"event": "e", "data": "b\nc", "id": "1", "retry": 5},
        {"data": "d"},
        {"data": "e", "id": ""},
    ]
    assert (conversion.count, conversion.lost) == (4, {})


@pytest.mark.parametrize("source", ["sse", "ndjson"])
def test_an_answer_in_gaistreams_own_protocol_comes_back_byte_by_byte(source):
    body = encode_events(ANSWER, source)
    other = "ndjson" if source == "sse" else "sse"
    there, back, _ = there_and_back(source, "gai", body)
    assert there == encode_events(ANSWER, other)
    assert back == body
    chunks = [bytes([byte]) for byte in body]
    assert convert(source, "gai", *chunks)[0] == there


def test_lines_come_back_from_events_whose_data_they_are():
    body = b'{"a":1}\n[2,"\xc3\xa9"]\nnull\n'
    there, back, conversion = there_and_back("ndjson", "json", body)
    assert there == b'data: {"a":1}\n\ndata: [2,"\xc3\xa9"]\n\ndata: null\n\n'
    assert back == body
    assert not conversion.lost


def test_data_on_several_lines_becomes_one_line_of_json():
    body, _ = convert("sse", "json", b'data: {"a":\ndata:  1}\n\ndata: [DONE]\n\n')
    assert body == b'{"a":1}\n'


def test_characters_that_split_lines_in_some_readers_are_escaped():
    body, _ = convert("sse", "json", 'data: "a\u2028b\u2029c\x85"\n\n'.encode())
    assert body == b'"a\\u2028b\\u2029c\\u0085"\n'
    body, _ = convert("ndjson", "json", '"a\u2028"\n'.encode())
    assert body == b'data: "a\\u2028"\n\n'


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


@pytest.mark.parametrize(("dialect", "body", "lost"), LOST)
def test_losses_are_counted_whatever_the_chunks(dialect, body, lost):
    for chunks in ([body], [bytes([byte]) for byte in body]):
        _, conversion = convert("sse", dialect, *chunks)
        assert conversion.lost == lost
        assert (conversion.failure, conversion.wrong) == ("", "")


REFUSED = [
    ("ndjson", "envelope", b'{"data":"a"}\n{"text":"b"}\n', b"data: a\n\n",
     "value 2 is not an envelope, which has only event, data, id, retry"),
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


@pytest.mark.parametrize(("source", "dialect", "body", "before", "message"), REFUSED)
def test_an_impossible_item_is_refused_and_the_output_before_it_is_kept(
    source, dialect, body, before, message
):
    for chunks in ([body], [bytes([byte]) for byte in body]):
        output, conversion = convert(source, dialect, *chunks)
        assert output == before
        assert message in conversion.failure


CUT = [
    ("sse", "envelope", b"data: 1\n\ndata: 2\n", "has no blank line after it"),
    ("sse", "gai", encode_events([TextDelta("a")], "sse"), "without its done"),
    ("ndjson", "gai", encode_events([TextDelta("a")], "ndjson"), "without its done"),
    ("ndjson", "gai", encode_events(ANSWER, "ndjson") * 2, "after the end"),
]


@pytest.mark.parametrize(("source", "dialect", "body", "message"), CUT)
def test_a_cut_stream_is_converted_and_reported_as_wrong(source, dialect, body, message):
    output, conversion = convert(source, dialect, body)
    assert output
    assert message in conversion.wrong
    assert not conversion.failure
