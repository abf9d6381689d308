"""The data of events that were read, when it is decoded, and the memory that reading takes."""

import copy
import pickle
import tracemalloc

import pytest
from required import need_counted_allocations

MIB = 2**20


def one(gs, text):
    (event,) = gs.SSEDecoder().feed(text)
    return event


# ---- data and data_bytes ----


@pytest.mark.parametrize(
    ("source", "raw", "text"),
    [
        (b"data: a\n\n", b"a", "a"),
        (b"data\n\n", b"", ""),
        (b"data: a\ndata:\ndata: b\r\n\r\n", b"a\n\nb", "a\n\nb"),
        ("data: é😀\n\n".encode(), "é😀".encode(), "é😀"),
        (b"data: \xe2\x82|\xff\n\n", b"\xe2\x82|\xff", "�|�"),
        (b"data: \0\n\n", b"\0", "\0"),
    ],
    ids=str,
)
def test_data_is_available_as_bytes_and_as_text(gs, source, raw, text):
    for first in ("data", "data_bytes"):
        event = one(gs, source)
        getattr(event, first)  # whichever is read first
        assert (event.data_bytes, event.data) == (raw, text)
        assert (type(event.data_bytes), type(event.data)) == (bytes, str)
        assert event.data is event.data  # decoded once


def test_data_bytes_makes_no_str(gs):
    event = one(gs, b"data: " + b"x" * MIB + b"\n\n")
    tracemalloc.start()
    try:
        assert len(event.data_bytes) == MIB
        assert tracemalloc.get_traced_memory()[1] < MIB // 2
        assert len(event.data) == MIB
        assert tracemalloc.get_traced_memory()[1] >= MIB
    finally:
        tracemalloc.stop()


def test_data_that_is_set_replaces_what_was_read(gs):
    event = one(gs, b"data: \xff\n\n")
    for data, raw in (("é", "é".encode()), (b"\xff", b"\xff"), (bytearray(b"b"), b"b")):
        event.data = data
        assert (event.data, event.data_bytes) == (data, raw)
    event.data = None
    assert (event.data, event.data_bytes) == (None, None)
    event.data = "\ud800"
    with pytest.raises(UnicodeEncodeError):
        _ = event.data_bytes
    event.data = 5
    with pytest.raises(gs.errors.FrameTypeError, match=r"^data must be bytes, bytearray or"):
        _ = event.data_bytes
    with pytest.raises(AttributeError):
        event.data_bytes = b""


def test_events_are_equal_shown_copied_and_pickled_whether_decoded_or_not(both):
    source = b"id: 1\nevent: e\ndata: \xff\xc3\xa9\n\n"
    for gs in both:
        made = gs.ServerSentEvent("�é", "e", id="1")
        assert one(gs, source) == made
        assert repr(one(gs, source)) == repr(made)
        assert bytes(one(gs, source)) == bytes(made)
        decoded = one(gs, source)
        assert decoded.data == "�é"
        assert decoded == one(gs, source)
        for event in (one(gs, source), decoded):
            again = [copy.copy(event), copy.deepcopy(event)]
            if gs is both[0]:
                again.append(pickle.loads(pickle.dumps(event)))
            for each in again:
                assert (each.data_bytes, each.data) == (b"\xff\xc3\xa9", "�é")
                assert (each, bytes(each)) == (event, bytes(event))


def test_json_is_read_from_the_bytes_or_from_the_text_if_they_are_not_utf_8(gs):
    assert one(gs, b'data: {"a":\ndata: 1}\n\n').json() == {"a": 1}
    assert one(gs, b'data: "\xff"\n\n').json() == "�"
    for bad in (b"data: {\n\n", b"data: \xff\n\n", b"data\n\n"):
        with pytest.raises(ValueError):
            one(gs, bad).json()


# ---- every end of an event, before the next read ----

ENDS = [b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r\n", b"\r\n\n", b"\r\r\n", b"\n\r"]


@pytest.mark.parametrize("end", ENDS, ids=ascii)
def test_an_event_is_returned_at_each_form_of_a_blank_line(gs, end):
    for cut in range(len(end) + 1):
        decoder = gs.SSEDecoder()
        given = decoder.feed(b"data: a" + end[:cut]) + decoder.feed(end[cut:])
        assert [event.data for event in given] == ["a"]
        given = decoder.feed(b"data: b\n\n")  # and no byte of the end is left
        assert [event.data for event in given] == ["b"]


# ---- limits ----


def test_an_event_beyond_the_limit_is_reported_with_the_events_before_it(gs):
    decoder = gs.SSEDecoder(max_event_bytes=20)
    decoder.feed(b"id: 1\n\ndata: 12345\n")
    with pytest.raises(gs.errors.EventTooLarge) as caught:
        decoder.feed(b"data: 6\n\ndata: 8\n\nid: 2\n\ndata: 9012345\ndata: 6789012345\n\nx\n\n")
    error = caught.value
    assert [event.data for event in error.values] == ["12345\n6", "8"]
    assert str(error) == "an event exceeds max_event_bytes=20: it has at least 23 bytes"
    assert (error.name, error.limit, error.size) == ("max_event_bytes", 20, 23)
    assert decoder.last_event_id == "2"  # a client reconnects with it
    with pytest.raises(gs.errors.ClosedError):
        decoder.feed(b"")


def test_a_line_beyond_the_limit_is_reported_with_the_lines_before_it(gs):
    splitter = gs.LineSplitter(max_line_bytes=3)
    splitter.feed(b"a")
    with pytest.raises(gs.errors.EventTooLarge) as caught:
        splitter.feed(b"b\ncd\r\nefgh\ni")
    assert caught.value.values == [b"ab", b"cd"]
    splitter = gs.LineSplitter(max_line_bytes=3)
    with pytest.raises(gs.errors.EventTooLarge) as caught:
        splitter.feed(b"a\nbcde")
    assert caught.value.values == [b"a"]


def test_event_too_large_is_copied_and_pickled(both):
    for gs in both:
        error = gs.errors.EventTooLarge("an event", "max_event_bytes", 1, 2, ["x"])
        again = [copy.copy(error)] + ([pickle.loads(pickle.dumps(error))] if gs is both[0] else [])
        for each in again:
            assert (str(each), vars(each)) == (str(error), vars(error))


@pytest.mark.parametrize("limit", [300_000, MIB, MIB + MIB // 8])
@pytest.mark.parametrize("kind", ["SSEDecoder", "NDJSONDecoder", "LineSplitter", "data lines"])
def test_an_endless_line_takes_no_more_than_twice_the_limit(gs, kind, limit):
    if kind in ("SSEDecoder", "data lines"):
        reader = gs.SSEDecoder(max_event_bytes=limit)
    else:
        reader = getattr(gs, kind)(max_line_bytes=limit)
    chunk = b"data: xyz\n" * 100 if kind == "data lines" else b"0123456789" * 100
    tracemalloc.start()
    try:
        fed = 0
        with pytest.raises(gs.errors.EventTooLarge):
            while fed < 10 * limit:
                fed += len(chunk)
                reader.feed(chunk)
        assert fed <= limit * (3 if kind == "data lines" else 1) + len(chunk)
        now, peak = tracemalloc.get_traced_memory()
        assert peak <= 2 * limit
        assert now < 100_000  # and its memory is free
    finally:
        tracemalloc.stop()


def test_many_lines_of_data_are_kept_in_few_blocks(gs):
    need_counted_allocations(gs)
    decoder = gs.SSEDecoder()
    before = gs.core._core.allocations()
    for _ in range(1000):
        decoder.feed(b"data: a line of data\n" * 100)
    assert gs.core._core.allocations()[0] - before[0] <= 10  # doubled, from 8 KiB to 2 MiB
    (event,) = decoder.feed(b"\n")
    assert gs.core._core.allocations()[1] - before[1] == 1  # the event's bytes
    assert event.data_bytes == b"\n".join([b"a line of data"] * 100_000)


def test_data_of_one_line_is_copied_once(gs):
    need_counted_allocations(gs)
    decoder = gs.SSEDecoder()
    text = b"event: e\ndata: " + b"x" * 65_536 + b"\n\n"
    before = gs.core._core.allocations()
    assert len(decoder.feed(text * 3)) == 3
    after = gs.core._core.allocations()
    memory, made = (now - then for now, then in zip(after, before, strict=True))
    assert (memory, made) == (0, 3)


def test_data_of_one_line_that_was_waited_for_is_copied_once_more(gs):
    need_counted_allocations(gs)
    decoder = gs.SSEDecoder()
    text = b"event: e\ndata: " + b"x" * 65_536 + b"\n\n"
    decoder.feed(text[:40_000])
    before = gs.core._core.allocations()
    (event,) = decoder.feed(text[40_000:])
    after = gs.core._core.allocations()
    memory, made = (now - then for now, then in zip(after, before, strict=True))
    assert (memory, made) == (1, 1)  # the pending line grows, and the event is made from it
    assert event.data_bytes == b"x" * 65_536
