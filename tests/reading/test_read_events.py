"""Events read back: what was written, what the original wrote, what was cut or broken."""

import asyncio
import json

import pytest
from event_recipes import assert_same, event_from, recipes
from golden import DATA, RECORDED, UNKNOWN, event_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FORMATS = pytest.mark.parametrize("format", ["sse", "ndjson"])


def cut_error(gs):
    return gs.events.Error("the stream was cut", "truncated")


def read(gs, source, *args, **named):
    return list(gs.read_events(source, *args, **named))


def bytewise(text):
    return [text[at : at + 1] for at in range(len(text))]


# ---- what is written is read ----

@FORMATS
@given(recipes=st.lists(recipes, max_size=6), sizes=st.lists(st.integers(1, 40)))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_event_that_is_written_is_read_back_equal(gs, format, recipes, sizes):
    written = [*(event_from(gs, recipe) for recipe in recipes), gs.events.Done()]
    text = gs.encode_events(written, format)
    assert_same(read(gs, text, format), written)
    assert_same(read(gs, bytewise(text), format), written)
    chunks, rest = [], text
    for size in sizes:
        chunks.append(rest[:size])
        rest = rest[size:]
    assert_same(read(gs, [*chunks, rest], format), written)


@FORMATS
def test_a_response_of_ours_is_read_back_with_its_prelude_ids_and_heartbeats(gs, format):
    events = [gs.events.Start("i"), gs.events.TextDelta("a"), gs.events.Error("e", "c", 2.5)]
    if format == "sse":
        encoder = gs.SSEEncoder(gs.SSEOptions(include_id=True))
        encoder.begin()
    else:
        encoder = gs.NDJSONEncoder(gs.NDJSONOptions(include_timestamp=True, compact_json=False))
    for event in events:
        encoder.write(event)
        encoder.write_heartbeat()
    encoder.finish()
    found = read(gs, encoder.take(), format)
    assert found == [*events, gs.events.Done()]
    if format == "ndjson":
        assert all(isinstance(each.timestamp, int) for each in found[:-1])


# ---- the original ----


def recorded(gs):
    """The events behind the golden files, without the fields that the original lost."""
    events = gs.events
    for record in RECORDED:
        if record["type"] == UNKNOWN:
            yield None
            continue
        event = event_of(gs, record)
        if isinstance(event, events.TextDelta) and "text_bytes_hex" in record:
            event = events.TextDelta("bad utf8: ��")
        elif isinstance(event, events.ToolResult):
            event = events.ToolResult("", event.name, event.result)
        elif isinstance(event, events.Error):
            event = events.Error(event.message)
        yield event
    yield events.Done()


@pytest.mark.parametrize(
    "name", ["sse.txt", "sse_with_id.txt", "ndjson.txt", "ndjson_with_timestamp.txt"]
)
def test_the_golden_files_are_read(gs, name):
    format = name.partition("_")[0].removesuffix(".txt")
    text = (DATA / name).read_bytes()
    for source in (text, bytewise(text)):
        found, expected = read(gs, source, format), list(recorded(gs))
        unknown = expected.index(None)
        fields = {"raw": None} if format == "sse" else {}
        if "timestamp" in name:
            fields = {"timestamp": 1700000000}
        assert found.pop(unknown) == gs.events.Raw({"type": UNKNOWN, **fields})
        del expected[unknown]
        assert [_text(each) for each in found] == [_text(each) for each in expected]


def _text(event):
    return repr(type(event)(*(getattr(event, name) for name in event.__match_args__)))


def test_the_golden_files_of_openai_are_read(gs):
    found = read(gs, (DATA / "openai_sse.txt").read_bytes(), dialect="openai_chat")
    events = gs.events
    assert found[:2] == [events.Start(), events.TextDelta("Hello")]
    arriving = (events.ToolCallStart, events.ToolCallDelta)
    calls = [event for event in found if isinstance(event, arriving)]
    assert [event.id for event in calls] == ["call_1", "call_1", "call_2"]
    assert [event for event in found if event not in calls][4:] == [
        events.ToolCall("call_1", "get_weather", {"city": "Paris", "n": 1.0}),
        events.ToolCall("call_2", "noargs"),
        events.Finish(events.Usage(10, 20, 30), "stop"),
        events.Done(),
    ]
    cut = (DATA / "openai_sse.txt").read_bytes().partition(b"data: {\"choices\":[{\"finish")[0]
    assert read(gs, cut, dialect="openai_chat")[-1].code == "truncated"


# ---- how a stream ends ----


@FORMATS
def test_a_stream_that_was_cut_ends_with_an_error(gs, format):
    events = [gs.events.TextDelta("a"), gs.events.Finish()]
    text = gs.encode_events(events, format)
    assert read(gs, text, format) == [*events, cut_error(gs)]
    assert read(gs, b"", format) == read(gs, [], format) == [cut_error(gs)]
    done = gs.encode_events([gs.events.Done()], format)
    for size in range(len(done) - 2):
        assert read(gs, [text, done[:size]], format)[-1].code in ("truncated", "invalid_frame")


@FORMATS
def test_a_stream_that_failed_ends_with_its_error_only(gs, format):
    events = [gs.events.TextDelta("a"), gs.events.Error("e", "c")]
    assert read(gs, gs.encode_events(events, format), format) == events
    more = [*events, gs.events.TextDelta("on")]  # it was a report
    assert read(gs, gs.encode_events(more, format), format) == [*more, cut_error(gs)]


@FORMATS
def test_nothing_comes_after_done_and_the_source_is_not_read_on(gs, format):
    done, more = (
        gs.encode_events([event], format) for event in (gs.events.Done(), gs.events.TextDelta("x"))
    )
    closed = []

    def source():
        try:
            yield more + done + more
            raise AssertionError("asked for more than it needs")
        finally:
            closed.append(True)

    events = gs.read_events(source(), format)
    assert next(events) == gs.events.TextDelta("x")
    assert closed == [True]  # before the rest is given
    assert list(events) == [gs.events.Done()]
    decoder = gs.reading.events.EventDecoder(format)
    assert (decoder.feed(done), decoder.ended) == ([gs.events.Done()], True)
    assert decoder.feed(more) == decoder.close() == []
    decoder = gs.reading.events.EventDecoder(format, max_event_bytes=50)
    decoder.feed(done)
    assert decoder.feed(b"x" * 51) == []


# ---- what is not as expected ----

UNREADABLE = {
    "an unknown name": (b'event: new\ndata: {"a":1}', {"type": "new", "a": 1}),
    "an unknown name and a value": (b"event: new\ndata: [1]", {"type": "new", "data": [1]}),
    "an unknown name and text": (b"event: new\ndata: hello", {"type": "new", "data": "hello"}),
    "no name": (b'data: {"a":1}', {"a": 1}),
    "no name and text": (b"data: hello", "hello"),
    "a type that is no text": (b'data: {"type":1}', {"type": 1}),
    "a field of another type": (
        b'event: text_delta\ndata: {"text":1}', {"type": "text_delta", "text": 1},
    ),
    "a missing field": (
        b'event: tool_call\ndata: {"tool_id":"i"}', {"type": "tool_call", "tool_id": "i"},
    ),
    "audio that is no base64": (
        b'event: audio_delta\ndata: {"audio":"?"}', {"type": "audio_delta", "audio": "?"},
    ),
    "a payload that is no object": (
        b"event: finish\ndata: null", {"type": "finish", "data": None},
    ),
}


@pytest.mark.parametrize("case", UNREADABLE.values(), ids=UNREADABLE)
def test_an_unknown_event_is_raw(gs, case):
    frame, raw = case
    assert read(gs, frame + b"\n\n") == [gs.events.Raw(raw), cut_error(gs)]


@pytest.mark.parametrize("raw", [{"type": "new", "a": 1}, {"type": 1}, {"a": 1}, [1], "x", None, 5,
                                 {"type": "text_delta"}, {"type": "safety", "safety": 5}], ids=str)
def test_a_line_that_is_not_a_known_event_is_raw(gs, raw):
    text = json.dumps(raw).encode() + b'\n{"type":"done"}\n'
    assert read(gs, text, "ndjson") == [gs.events.Raw(raw), gs.events.Done()]


def test_an_event_without_a_name_may_have_its_type_in_the_payload(gs):
    text = b'data: {"type":"text_delta","text":"a"}\n\ndata: {"type":"done"}\n\n'
    assert read(gs, text) == [gs.events.TextDelta("a"), gs.events.Done()]


def test_heartbeats_are_no_events(gs):
    assert read(gs, b": keep-alive\n\nevent: ping\ndata: {}\n\nevent: done\ndata\n\n") == [
        gs.events.Done()
    ]
    assert read(gs, b'{"type":"ping"}\n\n{"type":"done"}', "ndjson") == [gs.events.Done()]


@pytest.mark.parametrize(
    ("payload", "message", "code"),
    [
        ('{"error":"e","code":"c"}', "e", "c"),
        ('{"message":"e"}', "e", None),
        ('{"error":{"code":"c","message":"e"}}', "e", "c"),
        ('{"error":{"status":500}}', '{"status":500}', None),
        ('{"error":null}', '{"error":null,"type":"error"}', None),
        ('{"error":"e","retry_after":"soon"}', "e", None),
        ("the server is gone", "the server is gone", None),
    ],
)
def test_an_error_is_an_error_whatever_its_shape(gs, payload, message, code):
    assert read(gs, f"event: error\ndata: {payload}\n\n".encode()) == [
        gs.events.Error(message, code)
    ]


def test_a_frame_that_is_not_json_ends_the_stream_as_failed(gs):
    good = b'event: text_delta\ndata: {"text":"a"}\n\n'
    found = read(gs, good + b'event: text_delta\ndata: {"text":\n\n' + good)
    message = "the stream has a text_delta that is not JSON"
    assert found == [gs.events.TextDelta("a"), gs.events.Error(message, "invalid_frame")]


def test_a_line_that_is_not_json_ends_the_stream_as_failed(gs):
    good = b'{"type":"text_delta","text":"a"}\n'
    for chunks in ([good + b"{\n" + good], [good, b"{"]):
        first, error = read(gs, chunks, "ndjson")
        assert first == gs.events.TextDelta("a")
        assert error.code == "invalid_frame"
        assert error.message.startswith("the stream has a bad line: line 2, column 2: ")


@FORMATS
def test_events_before_one_beyond_the_limit_are_read(gs, format):
    events = [gs.events.TextDelta("a"), gs.events.TextDelta("b" * 100)]
    found = gs.read_events(gs.encode_events(events, format), format, max_event_bytes=90)
    assert next(found) == events[0]
    with pytest.raises(gs.errors.EventTooLarge, match=r"exceeds max_\w+_bytes=90: it") as caught:
        next(found)
    assert caught.value.values == []  # they were given
    assert list(found) == []
    decoder = gs.reading.events.EventDecoder(format, max_event_bytes=90)
    with pytest.raises(gs.errors.EventTooLarge) as caught:
        decoder.feed(gs.encode_events(events, format))
    assert caught.value.values == events[:1]


# ---- sources of events, and arguments ----


class Foreign:
    """An event of somebody else's client."""

    def __init__(self, event, data):
        self.event, self.data = event, data


def test_events_of_an_sse_client_are_read(gs):
    text = gs.encode_events([gs.events.TextDelta("a"), gs.events.Done()])
    frames = gs.SSEDecoder().feed(text)
    expected = [gs.events.TextDelta("a"), gs.events.Done()]
    assert read(gs, frames) == read(gs, iter(frames)) == expected
    assert read(gs, [Foreign(each.event, each.data) for each in frames]) == expected

    async def source():
        for frame in frames:
            yield frame

    async def main():
        return [event async for event in gs.read_events(source())]

    assert asyncio.run(main()) == expected


@pytest.mark.parametrize(
    ("args", "kind", "message"),
    [
        ((b"", "xml"), "FrameError", "format must be 'sse' or 'ndjson', not 'xml'"),
        ((b"", "sse", "json"), "FrameError", "a dialect that is read from sse is 'gai' or "),
        ((b"", "ndjson", "openai_chat"), "FrameError", "a dialect that is read from ndjson is 'g"),
        (("text",), "FrameTypeError", "a source is bytes, a file, .*, not str"),
        ((5,), "FrameTypeError", "a source is bytes, a file, .*, not int"),
    ],
    ids=str,
)
def test_a_bad_argument_is_refused(gs, args, kind, message):
    with pytest.raises(getattr(gs.errors, kind), match=f"^{message}"):
        gs.read_events(*args)


def test_a_chunk_that_is_neither_bytes_nor_an_event_is_refused_and_the_source_closed(gs):
    closed = []

    def source():
        try:
            yield "data: text\n\n"
        finally:
            closed.append(True)

    with pytest.raises(gs.errors.FrameTypeError, match=r"^data must be bytes, bytearray or memory"):
        next(gs.read_events(source()))
    assert closed == [True]
