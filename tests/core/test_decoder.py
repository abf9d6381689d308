"""Server-Sent Events in: every case of the vectors, cut anywhere; limits, ids, retry, the end."""

import base64
import copy
import json
import pickle
import random
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

VECTORS = Path(__file__).parents[1] / "data" / "sse_cases.jsonl"
CASES = [json.loads(line) for line in VECTORS.read_text(encoding="utf-8").splitlines()]
EVERY_CUT_UP_TO = 2000  # bytes; of longer inputs some cuts are taken
BLOCK = b"id: 7\nevent: e\nretry: 30\ndata: a\ndata: b\n\n"


def chunks_at(text, cuts):
    return [text[first:last] for first, last in pairwise([0, *sorted(cuts), len(text)])]


def read(gs, chunks):
    decoder = gs.SSEDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    decoder.close()
    said = [{"event": each.event, "data": each.data, "id": each.id} for each in events]
    return said, decoder.retry, decoder.last_event_id


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_case_holds_wherever_it_is_cut(gs, case):
    text = base64.b64decode(case["input_b64"])
    expected = (case["events"], case["retry"], case["last_event_id"])
    assert read(gs, [text]) == expected
    assert read(gs, [bytes([byte]) for byte in text]) == expected
    source = random.Random(case["name"])
    places = range(len(text) + 1)
    if len(text) > EVERY_CUT_UP_TO:
        places = [*range(40), *source.sample(places, 40), *range(len(text) - 40, len(text))]
    for place in places:
        assert read(gs, chunks_at(text, [place])) == expected
    for _ in range(20):
        cuts = source.choices(range(len(text) + 1), k=source.randrange(12))
        assert read(gs, chunks_at(text, cuts)) == expected


def test_the_vectors_are_all_there():
    assert len({case["name"] for case in CASES}) == len(CASES) == 148


def test_an_event_comes_as_soon_as_its_blank_line_is_complete(gs):
    for end in (b"\n", b"\r"):
        decoder = gs.SSEDecoder()
        assert decoder.feed(b"data: a" + end) == []
        assert [event.data for event in decoder.feed(end)] == ["a"]
    decoder = gs.SSEDecoder()
    assert [event.data for event in decoder.feed(b"data: a\r\n\r")] == ["a"]  # not at its LF
    assert [event.data for event in decoder.feed(b"\ndata: b\n\n")] == ["b"]


def test_a_stream_without_its_last_blank_line_has_no_last_event(gs):
    decoder = gs.SSEDecoder()
    assert len(decoder.feed(BLOCK + b"id: 8\ndata: cut\n")) == 1
    assert decoder.close() == []
    assert decoder.last_event_id == "7"
    with pytest.raises(gs.errors.ClosedError, match=r"^the decoder is closed$"):
        decoder.feed(b"\n")
    assert decoder.close() == []


def test_an_id_is_in_force_from_its_blank_line_on(gs):
    decoder = gs.SSEDecoder()
    decoder.feed(b"id: 1\n")
    assert decoder.last_event_id == ""
    assert decoder.feed(b"\n") == []
    assert decoder.last_event_id == "1"
    events = decoder.feed(b"data: a\n\nid\ndata: b\n\nid: x\0\ndata:\n\n")
    assert [event.id for event in events] == ["1", "", ""]
    assert decoder.last_event_id == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"0", 0),
        (b"5000", 5000),
        (b"007", 7),
        (b"9" * 18, 10**18 - 1),
        (b"0" * 50 + b"9" * 18, 10**18 - 1),
        (b"9" * 19, 2**63 - 1),
        (b"1" + b"0" * 10_000, 2**63 - 1),
        (b"", None),
        (b"+5", None),
        (b"-5", None),
        (b" 5", None),
        (b"5 ", None),
        (b"5.0", None),
        (b"1_000", None),
        ("٣".encode(), None),
        (b"\xef\xbc\x95", None),
    ],
    ids=lambda value: ascii(value)[:16],
)
def test_retry_takes_ascii_digits_only_and_at_its_line(gs, value, expected):
    decoder = gs.SSEDecoder()
    assert decoder.feed(b"retry: " + value + b"\n") == []
    assert decoder.retry == expected
    (event,) = decoder.feed(b"data: a\n\n")
    assert event.retry == expected
    (event,) = decoder.feed(b"data: b\n\n")
    assert (event.retry, decoder.retry) == (None, expected)


def test_an_invalid_retry_leaves_the_last_one(gs):
    decoder = gs.SSEDecoder()
    decoder.feed(b"retry: 1\nretry: x\nretry: 2\nretry:\n")
    assert decoder.retry == 2


@pytest.mark.parametrize(
    ("source", "written"),
    [
        (b"data: a\n\n", b"data: a\n\n"),
        (b"event: message\ndata:a\r\n\r\n", b"data: a\n\n"),
        (BLOCK, BLOCK),
        (b"data\n\n", b"data: \n\n"),
        (b"id\ndata: a\n\n", b"id: \ndata: a\n\n"),
        (b":c\ndata: a\nretry: 08\nid: 1\n\n", b"id: 1\nretry: 8\ndata: a\n\n"),
        (b"data: \xff\n\n", b"data: \xef\xbf\xbd\n\n"),
    ],
    ids=str,
)
def test_events_that_were_read_can_be_written(gs, source, written):
    (event,) = gs.SSEDecoder().feed(source)
    assert bytes(event) == written
    assert gs.SSEDecoder().feed(written) == [event]


names = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))
written = st.fixed_dictionaries(
    {"data": st.text()},
    optional={
        "event": names,
        "id": names,
        "retry": st.integers(0, 10**18),
        "comment": st.text(),
    },
)


@given(blocks=st.lists(written, max_size=5), sizes=st.lists(st.integers(1, 40)))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_written_events_are_read_back(gs, blocks, sizes):
    text = b"".join(gs.encode_sse(**fields) for fields in blocks)
    events = read_in(gs.SSEDecoder(), text, sizes)
    last_id = ""
    assert len(events) == len(blocks)
    for event, fields in zip(events, blocks, strict=True):
        last_id = fields.get("id", last_id)
        assert event.data == re.sub("\r\n?", "\n", fields["data"])
        assert event.event == (fields.get("event") or "message")
        assert (event.id, event.retry) == (last_id, fields.get("retry"))
    assert read_in(gs.SSEDecoder(), b"".join(map(bytes, events)), sizes) == events


def read_in(decoder, text, sizes):
    events = []
    for size in sizes:
        events += decoder.feed(text[:size])
        text = text[size:]
    return events + decoder.feed(text)


def test_an_inherited_id_is_not_written_again(gs):
    first, second = gs.SSEDecoder().feed(b"id: 1\ndata: a\n\ndata: b\n\n")
    assert (first.id, second.id) == ("1", "1")
    assert (bytes(first), bytes(second)) == (b"id: 1\ndata: a\n\n", b"data: b\n\n")
    again = copy.copy(second)
    assert (again, bytes(again)) == (second, b"data: b\n\n")
    second.id = "2"  # its own now
    assert bytes(second) == b"id: 2\ndata: b\n\n"


def test_events_that_were_read_are_pickled(both):
    for event in both[0].SSEDecoder().feed(b"id: 1\ndata: a\n\ndata: b\n\n"):
        again = pickle.loads(pickle.dumps(event))
        assert (again, bytes(again)) == (event, bytes(event))


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_the_limit_is_of_the_pending_line_and_its_events_data(gs, size):
    line = b"data:" + b"x" * size
    for limit in (len(line), len(line) + 1):
        decoder = gs.SSEDecoder(max_event_bytes=limit)
        for chunk in (line + b"\n\n", *(bytes([byte]) for byte in line + b"\n\n")):
            decoder.feed(chunk)
    for chunks in ([line], [line + b"\n\n"], [line[:3], line[3:]], [b"\n", line + b"\r"]):
        decoder = gs.SSEDecoder(max_event_bytes=len(line) - 1)
        for chunk in chunks[:-1]:
            decoder.feed(chunk)
        said = f"max_event_bytes={len(line) - 1}: it has at least {len(line)} bytes"
        message = f"^an event exceeds {said}$"
        with pytest.raises(gs.errors.EventTooLarge, match=message):
            decoder.feed(chunks[-1])
        with pytest.raises(gs.errors.ClosedError, match=r"^the decoder is closed$"):
            decoder.feed(b"")


def test_the_data_of_many_lines_counts_together(gs):
    decoder = gs.SSEDecoder(max_event_bytes=20)
    decoder.feed(b"data:12345\ndata:12345\n")  # 11 bytes with the LF between them
    assert decoder.feed(b":" * 9) == []
    with pytest.raises(gs.errors.EventTooLarge):
        decoder.feed(b":")
    decoder = gs.SSEDecoder(max_event_bytes=20)
    with pytest.raises(gs.errors.EventTooLarge):
        decoder.feed(b"data:12345\n" * 4)
    decoder = gs.SSEDecoder(max_event_bytes=20)
    assert len(decoder.feed(b"data:12345\n\n" * 400)) == 400


def test_the_state_keeps_the_events_before_the_limit(gs):
    decoder = gs.SSEDecoder(max_event_bytes=20)
    with pytest.raises(gs.errors.EventTooLarge):
        decoder.feed(b"id: 3\nretry: 4\n\nid: 5\nretry: 6\n" + b"x" * 21)
    assert (decoder.last_event_id, decoder.retry) == ("3", 6)


def test_other_types_are_refused_and_change_nothing(gs):
    decoder = gs.SSEDecoder()
    decoder.feed(b"data: a\r")
    for chunk, name in (("x", "str"), (None, "NoneType"), ([1], "list")):
        message = f"^data must be bytes, bytearray or memoryview, not {name}$"
        with pytest.raises(gs.errors.FrameTypeError, match=message):
            decoder.feed(chunk)
    assert [event.data for event in decoder.feed(bytearray(b"\n\n"))] == ["a"]


def test_an_event_is_compared_and_shown_by_its_fields(gs):
    make = gs.ServerSentEvent
    (event,) = gs.SSEDecoder().feed(BLOCK)
    assert event == make("a\nb", "e", id="7", retry=30)
    assert repr(event) == "ServerSentEvent(data='a\\nb', event='e', id='7', retry=30)"
    assert repr(make(comment="c")) == "ServerSentEvent(comment='c')"
    assert repr(make()) == "ServerSentEvent()"
    for other in (make("a", "e"), make("a\nb", "e", id=7, retry=30), "a\nb", None):
        assert event != other
    assert (make(), make("") == make()) == (make(), False)
    with pytest.raises(TypeError):
        hash(event)


def test_an_event_reads_its_data_as_json(gs):
    (event,) = gs.SSEDecoder().feed(b'data: {"a":\ndata: [1,"\xc3\xa9"]}\n\n')
    assert event.json() == {"a": [1, "é"]}
    for make in (str, str.encode, lambda text: bytearray(text.encode())):
        assert gs.ServerSentEvent(make('"x"')).json() == "x"
    for data in ("", "{", "NaN", "1 2"):
        with pytest.raises(ValueError):
            gs.ServerSentEvent(data).json()
    with pytest.raises(ValueError, match=r"^the event has no data$"):
        gs.ServerSentEvent(event="e").json()


def test_an_event_is_checked_when_it_is_written(gs):
    event = gs.ServerSentEvent("a", "b")
    event.event, event.retry = "b\n", -1
    with pytest.raises(gs.errors.FrameError, match=r"^event must not contain CR, LF or NUL"):
        bytes(event)
    event.event = None
    with pytest.raises(gs.errors.FrameError, match=r"^retry must be from 0"):
        bytes(event)
    event.retry = 0
    assert bytes(event) == b"retry: 0\ndata: a\n\n"
