"""Encoders: the bytes of every way of writing, in each format and with each option."""

import builtins
import json
import re
import time

import pytest


def sse(gs, **options):
    return gs.SSEEncoder(gs.SSEOptions(**options))


def ndjson(gs, **options):
    return gs.NDJSONEncoder(gs.NDJSONOptions(**options))


def written(encoder, use):
    use(encoder)
    return encoder.take()


# ---- Server-Sent Events ----

EVENTS = {
    "nothing": (None, "event: e\n\n"),
    "str": ("a\nb", "event: e\ndata: a\ndata: b\n\n"),
    "bytes": (b"\xc3\xa9", "event: e\ndata: é\n\n"),
    "bytearray": (bytearray(b"a"), "event: e\ndata: a\n\n"),
    "memoryview": (memoryview(b"abcd")[1:3], "event: e\ndata: bc\n\n"),
    "dict": ({"a": None}, 'event: e\ndata: {"a":null}\n\n'),
    "list": (["\u2028"], 'event: e\ndata: ["\\u2028"]\n\n'),
    "number": (5, "event: e\ndata: 5\n\n"),
    "False": (False, "event: e\ndata: false\n\n"),
}


@pytest.mark.parametrize("case", EVENTS.values(), ids=EVENTS.keys())
def test_write_event_takes_text_or_any_payload(gs, case):
    data, expected = case
    assert written(sse(gs), lambda e: e.write_event("e", data)) == expected.encode()
    numbered = written(sse(gs, include_id=True), lambda e: e.write_event("e", data))
    assert numbered == b"id: 1\n" + expected.encode()


FRAMES = {
    "data": {"data": "a\r\nb"},
    "all": {"data": "d", "event": "e", "id": "i", "retry": 1, "comment": "c"},
    "json": {"json": {"a": "é"}, "event": "e"},
    "retry": {"retry": 1},
    "comment": {"comment": "c"},
    "name": {"event": "e"},
    "bytes": {"data": b"\xff", "errors": "replace"},
    "surrogate": {"data": "\ud800", "errors": "replace"},
}


@pytest.mark.parametrize("fields", FRAMES.values(), ids=FRAMES.keys())
def test_write_frame_writes_the_frame_of_encode_sse(gs, fields):
    arguments = {name: value for name, value in fields.items() if name != "errors"}
    assert written(sse(gs), lambda e: e.write_frame(**arguments)) == gs.encode_sse(**fields)
    content = {"data", "event", "json"} & fields.keys() and "id" not in fields
    expected = gs.encode_sse(**fields, **({"id": 1} if content else {}))
    assert written(sse(gs, include_id=True), lambda e: e.write_frame(**arguments)) == expected


def test_comments_and_the_prelude(gs):
    assert written(sse(gs), lambda e: e.write_comment()) == b":\n\n"
    assert written(sse(gs), lambda e: e.write_comment("a\nb")) == b": a\n: b\n\n"
    assert written(sse(gs), lambda e: e.write_comment("\ud800")) == b": \xef\xbf\xbd\n\n"
    assert written(sse(gs), lambda e: e.write_prelude()) == b":\n\n"
    assert written(sse(gs), lambda e: e.write_prelude(30)) == b":\n\nretry: 30\n"


SSE_WRONG = {
    "comment": (lambda e: e.write_comment(5), "FrameTypeError"),
    "strict comment": (lambda e: e.write_comment("\ud800"), "UnicodeEncodeError"),
    "prelude": (lambda e: e.write_prelude(-1), "FrameError"),
    "name": (lambda e: e.write_event("a\n", "x"), "FrameError"),
    "payload": (lambda e: e.write_event("a", {1: 2}), "EncodeError"),
    "strict": (lambda e: e.write_event("\ud800", None), "UnicodeEncodeError"),
    "strict bytes": (lambda e: e.write_event("e", b"\xff"), "UnicodeDecodeError"),
    "strict json": (lambda e: e.write_frame(json="\ud800"), "UnicodeEncodeError"),
    "nothing": (lambda e: e.write_frame(), "FrameError"),
    "ready": (lambda e: e.write_ready("text"), "FrameTypeError"),
}


@pytest.mark.parametrize("case", SSE_WRONG.values(), ids=SSE_WRONG.keys())
def test_an_sse_frame_that_cannot_be_written_leaves_nothing(gs, case):
    use, name = case
    kind = getattr(gs.errors, name, None) or getattr(builtins, name)
    encoder = sse(gs, errors="strict", include_id=True)
    with pytest.raises(kind):
        use(encoder)
    assert (encoder.pending, encoder.last_id) == (0, 0)
    encoder.write_heartbeat()
    assert encoder.take() == b": keep-alive\n\n"


@pytest.mark.parametrize(
    ("use", "written"),
    [
        (lambda e, gs: e.write_frame("a", id="x"), True),
        (lambda e, gs: e.write(gs.ServerSentEvent("a", id=0)), True),
        (lambda e, gs: e.write(b"event: x\nid: 5\ndata: a\n\n"), True),
        (lambda e, gs: e.write(b"id: 5\n\n"), True),
        (lambda e, gs: e.write_ready(memoryview(b"event: x\r\nid:\r\n\r\n")), True),
        (lambda e, gs: e.write(b"data: id: 5\n\n"), False),
        (lambda e, gs: e.write_ready(b"identity: 5\n\n"), False),
        (lambda e, gs: e.write_frame("id: 5", "id:"), False),
        (lambda e, gs: e.write_comment("id: 5"), False),
    ],
)
def test_after_an_id_a_heartbeat_has_no_blank_line(gs, use, written):
    encoder = sse(gs)
    use(encoder, gs)
    encoder.take()
    encoder.write_heartbeat()
    assert encoder.take() == (b": keep-alive\n" if written else b": keep-alive\n\n")


# ---- NDJSON ----

LINES = {
    "event of str": (lambda e: e.write_event("e", "a\n"), '{"type":"e","data":"a\\n"}\n'),
    "event of bytes": (lambda e: e.write_event("e", b"\xc3\xa9"), '{"type":"e","data":"é"}\n'),
    "event of bad bytes": (lambda e: e.write_event("e", b"\xff"), '{"type":"e","data":"\ufffd"}\n'),
    "event of dict": (lambda e: e.write_event("e", {"a": 1}), '{"type":"e","a":1}\n'),
    "event of None": (lambda e: e.write_event("e", None), '{"type":"e","data":null}\n'),
    "event of list": (lambda e: e.write_event("e", [1]), '{"type":"e","data":[1]}\n'),
    "named frame": (lambda e: e.write_frame("a", "e"), '{"type":"e","data":"a"}\n'),
    "named payload": (lambda e: e.write_frame(event="e", json={"a": 1}), '{"type":"e","a":1}\n'),
    "a line": (lambda e: e.write_frame('{"a": 1}'), '{"a": 1}\n'),
    "a line of bytes": (lambda e: e.write_frame(bytearray(b"[\xff]")), "[\ufffd]\n"),
    "a payload": (lambda e: e.write_frame(json=["\u2028", None]), '["\\u2028",null]\n'),
    "a payload that is null": (lambda e: e.write_frame(json=None), "null\n"),
    "line": (lambda e: e.write_line({"a": "\ud800"}), '{"a":"\ufffd"}\n'),
    "heartbeat": (lambda e: e.write_heartbeat(), '{"type":"ping"}\n'),
    "ready": (lambda e: e.write_ready(b"[1]\n"), "[1]\n"),
    "the beginning": (lambda e: e.begin(), ""),
}


@pytest.mark.parametrize("case", LINES.values(), ids=LINES.keys())
def test_every_way_of_writing_a_line(gs, case):
    use, expected = case
    assert written(ndjson(gs), use) == expected.encode()


NO_FIELD = "must be None: an NDJSON line has no"
NDJSON_WRONG = {
    "id": (lambda e: e.write_frame("1", id=1), "FrameError", f"id {NO_FIELD} id field"),
    "retry": (lambda e: e.write_frame("1", retry=1), "FrameError", f"retry {NO_FIELD} retry field"),
    "comment": (
        lambda e: e.write_frame("1", comment=""), "FrameError", f"comment {NO_FIELD} comment field"
    ),
    "comments": (lambda e: e.write_comment("c"), "FrameError", "NDJSON has no comments"),
    "both": (
        lambda e: e.write_frame("1", json=1), "FrameError", "data and json exclude each other"
    ),
    "nothing": (lambda e: e.write_frame(), "FrameError", "a line needs data or json"),
    "LF": (
        lambda e: e.write_frame("é\n"),
        "FrameError",
        "data must be one line: found LF at index 2 of 3 bytes",
    ),
    "CR": (
        lambda e: e.write_text_line(b"\r\n"),
        "FrameError",
        "data must be one line: found CR at index 0 of 2 bytes",
    ),
    "name": (lambda e: e.write_event(b"e", 1), "FrameTypeError", "event must be str, not bytes"),
    "type": (
        lambda e: e.write_event("e", {"type": "f"}),
        "FrameError",
        "data must not have a 'type' of its own: the event is the type",
    ),
    "payload": (
        lambda e: e.write_line({"a": 1j}), "EncodeError", "cannot encode complex at $.a"
    ),
    "line of int": (
        lambda e: e.write_frame(5),
        "FrameTypeError",
        "data must be str, bytes, bytearray or memoryview, not int",
    ),
}


@pytest.mark.parametrize("case", NDJSON_WRONG.values(), ids=NDJSON_WRONG.keys())
def test_a_line_that_cannot_be_written_leaves_nothing(gs, case):
    use, kind, message = case
    for options in ({}, {"compact_json": False}):
        encoder = ndjson(gs, **options)
        with pytest.raises(getattr(gs.errors, kind), match=f"^{re.escape(message)}$"):
            use(encoder)
        assert encoder.pending == 0


@pytest.mark.parametrize("compact", [True, False])
def test_strict_lines_raise_a_unicode_error(gs, compact):
    encoder = ndjson(gs, errors="strict", compact_json=compact)
    for use in (
        lambda: encoder.write("\ud800"),
        lambda: encoder.write_line(["\ud800"]),
        lambda: encoder.write_event("e", "\ud800"),
        lambda: encoder.write_event("\ud800", 1),
        lambda: encoder.write_frame('"\ud800"'),
        lambda: encoder.write(gs.events.Raw("\ud800")),
    ):
        with pytest.raises(UnicodeEncodeError):
            use()
    for use in (encoder.write_frame, lambda data: encoder.write_event("e", data)):
        with pytest.raises(UnicodeDecodeError):
            use(b"\xff")
    assert encoder.pending == 0


def test_without_compact_json_a_space_follows_each_colon_and_comma(gs):
    encoder = ndjson(gs, compact_json=False)
    encoder.write_many(["a:,", gs.events.ReasoningDelta("é"), gs.events.FinishStep(1)])
    encoder.write_event("e", {"a": [1, {"b": "c:d,e"}]})
    encoder.write_frame("[1,2]")  # it is JSON already
    encoder.write_frame(json=[1, 2])
    assert encoder.take().decode().splitlines() == [
        '{"type": "text_delta", "text": "a:,"}',
        '{"type": "reasoning_delta", "text": "é"}',
        '{"type": "finish_step", "step": {"number": 1, "finished": true}}',
        '{"type": "e", "a": [1, {"b": "c:d,e"}]}',
        "[1,2]",
        "[1, 2]",
    ]


def test_an_event_without_a_timestamp_gets_the_time_of_the_clock(gs):
    encoder = ndjson(gs, include_timestamp=True)
    before = int(time.time())
    encoder.write_many(["a", gs.events.ReasoningDelta("r"), {"type": "start"}, gs.events.Raw()])
    encoder.write_event("e", {})
    encoder.finish()
    lines = [json.loads(line) for line in encoder.take().splitlines()]
    assert all(before <= line["timestamp"] <= time.time() for line in lines)
    assert len(lines) == 6
    for timestamp, written in ((5, 5), (1.9, 1), (-1.5, -1), (2**40, 2**40), (0, 0)):
        encoder = ndjson(gs, include_timestamp=True)
        encoder.write(gs.events.TextDelta("é", timestamp=timestamp))
        line = f'{{"type":"text_delta","timestamp":{written},"text":"é"}}\n'
        assert encoder.take() == line.encode()


@pytest.mark.parametrize("when", [float("nan"), float("inf"), 10**30], ids=str)
def test_an_impossible_timestamp_is_a_frame_error(gs, when):
    encoder = ndjson(gs, include_timestamp=True)
    with pytest.raises(gs.errors.GaistreamError):
        encoder.write(gs.events.Raw(timestamp=when))
    assert encoder.pending == 0
