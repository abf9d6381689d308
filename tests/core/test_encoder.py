"""Encoders: items and their bytes, failed writes, ids, the end of a stream, memory."""

import re

import pytest
from required import need_counted_allocations

DONE_SSE = b'event: done\ndata: {"finished":true}\n\n'
DONE_NDJSON = b'{"type":"done","finished":true}\n'
ENCODERS = ["SSEEncoder", "NDJSONEncoder"]


class Text(str):
    __slots__ = ()


@pytest.fixture(params=ENCODERS)
def kind(request):
    return request.param


def make(gs, kind, **options):
    form = gs.SSEOptions if kind == "SSEEncoder" else gs.NDJSONOptions
    return getattr(gs, kind)(form(**options))


# The items that a source may yield, and their bytes in each format.
ITEMS = {
    "str": (
        lambda gs: 'a"\n',
        b'event: text_delta\ndata: {"text":"a\\"\\n"}\n\n',
        b'{"type":"text_delta","text":"a\\"\\n"}\n',
    ),
    "a subclass of str": (
        lambda gs: Text("é"),
        'event: text_delta\ndata: {"text":"é"}\n\n'.encode(),
        '{"type":"text_delta","text":"é"}\n'.encode(),
    ),
    "an event": (
        lambda gs: gs.events.FinishStep(2),
        b'event: finish_step\ndata: {"step_number":2}\n\n',
        b'{"type":"finish_step","step":{"number":2,"finished":true}}\n',
    ),
    "reasoning": (
        lambda gs: gs.events.ReasoningDelta("\u2028"),
        b'event: reasoning_delta\ndata: {"text":"\\u2028"}\n\n',
        b'{"type":"reasoning_delta","text":"\\u2028"}\n',
    ),
    "dict": (
        lambda gs: {"type": "text_delta", "text": "a"},
        b'event: text_delta\ndata: {"text":"a"}\n\n',
        b'{"type":"text_delta","text":"a"}\n',
    ),
    "bytes": (lambda gs: b": x\n\n", b": x\n\n", b": x\n\n"),
    "ServerSentEvent": (
        lambda gs: gs.ServerSentEvent("a\nb", "e", retry=5),
        b"event: e\nretry: 5\ndata: a\ndata: b\n\n",
        b'{"type":"e","data":"a\\nb"}\n',
    ),
    "an unnamed ServerSentEvent": (
        lambda gs: gs.ServerSentEvent("a"),
        b"data: a\n\n",
        b'{"type":"message","data":"a"}\n',
    ),
    "done": (lambda gs: gs.events.Done(), DONE_SSE, DONE_NDJSON),
}


@pytest.mark.parametrize("case", ITEMS.values(), ids=ITEMS.keys())
def test_every_item_that_a_source_may_yield_is_written(gs, kind, case):
    item, *expected = case
    encoder = make(gs, kind)
    encoder.write(item(gs))
    wanted = expected[ENCODERS.index(kind)]
    assert encoder.pending == len(wanted)
    assert encoder.take() == wanted
    assert (encoder.pending, encoder.take()) == (0, b"")
    many = make(gs, kind)
    many.write_many([item(gs)])
    assert many.take() == wanted


NO_EVENT = {
    "an int": (lambda gs: 5, "int is no event: "),
    "bytearray": (lambda gs: bytearray(b"x"), "bytearray is no event: "),
    "a class": (lambda gs: gs.events.Done, "type is no event: "),
    "a value": (lambda gs: gs.events.Usage(), "Usage is no event: "),
    "an event of another library": (
        lambda gs: type("ServerSentEvent", (), {"__module__": "fastapi.sse"})(),
        "fastapi.sse.ServerSentEvent is no event: ",
    ),
    "dict": (lambda gs: {"text": "a"}, "a dict needs a 'type' that is an event's, not None"),
    "a bare event": (lambda gs: gs.events.Event(), "Event is no event that can be written"),
    "a subclass of ours": (
        lambda gs: type("Mine", (gs.events.Event,), {})(),
        "Mine is no event that can be written",
    ),
}


@pytest.mark.parametrize("case", NO_EVENT.values(), ids=NO_EVENT.keys())
def test_an_item_that_is_not_an_event_is_refused(gs, kind, case):
    item, message = case
    encoder = make(gs, kind)
    encoder.write("a")
    before = encoder.pending
    with pytest.raises(gs.errors.EventError, match=f"^{re.escape(message)}"):
        encoder.write(item(gs))
    assert encoder.pending == before


# Items that cannot be written, and the error with errors="strict".
BAD = {
    "text": (lambda gs: gs.events.TextDelta("a\ud800"), UnicodeEncodeError),
    "long text": (lambda gs: "a\ud800" * 1000, UnicodeEncodeError),
    "reasoning": (lambda gs: gs.events.ReasoningDelta("\udfff"), UnicodeEncodeError),
    "a name": (lambda gs: gs.events.Start(model="\ud800"), UnicodeEncodeError),
    "payload": (lambda gs: gs.events.Raw(object()), TypeError),
    "input": (lambda gs: gs.events.ToolCall("i", "n", {1: 2}), TypeError),
    "no event": (lambda gs: 5, TypeError),
    "a dict of no kind": (lambda gs: {"type": "x"}, TypeError),
    "bytes of others": (lambda gs: gs.ServerSentEvent(b"\xff"), UnicodeDecodeError),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_a_write_that_fails_leaves_nothing_behind(gs, kind, case):
    item, error = case
    numbered = {"include_id": True} if kind == "SSEEncoder" else {}
    encoder = make(gs, kind, errors="strict", **numbered)
    clean = make(gs, kind, errors="strict", **numbered)
    for good in (None, "a", gs.events.Error("e"), gs.events.FinishStep(1), b"id: 7\n\n"):
        if good is not None:
            encoder.write(good)
            clean.write(good)
        state = encoder.pending, encoder.failed, encoder.ended
        for write in (encoder.write, lambda item: encoder.write_many(["fine", item, "not this"])):
            with pytest.raises(error):
                write(item(gs))
            if write == encoder.write:
                assert (encoder.pending, encoder.failed, encoder.ended) == state
        clean.write("fine")
        encoder.write_heartbeat()
        clean.write_heartbeat()
        assert encoder.take() == clean.take()
    encoder.finish()
    clean.finish()
    assert encoder.take() == clean.take()


def test_after_an_id_that_was_not_written_a_heartbeat_keeps_its_blank_line(gs):
    encoder = make(gs, "SSEEncoder", errors="strict", include_id=True)
    for bad in ("\ud800", gs.events.Raw(object())):
        with pytest.raises((ValueError, TypeError)):
            encoder.write(bad)
    encoder.write_heartbeat()
    assert (encoder.take(), encoder.last_id) == (b": keep-alive\n\n", 0)
    encoder.write("a")
    encoder.write_heartbeat()
    assert encoder.take().endswith(b"\n\n: keep-alive\n")


class Halfway:
    """A dialect that fails after it has written frames."""

    text_template = reasoning_template = None

    def write(self, frames, item):
        frames.write_event("half", item)
        frames.write_ready(b"id: 5\n\n")
        frames.failed, frames.ended = True, True
        raise LookupError(item)

    fail = write

    def finish(self, frames):
        self.write(frames, "done")


def test_a_dialect_that_fails_halfway_leaves_nothing_behind(gs):
    frames = gs.core.BaseSSEEncoder(Halfway(), include_id=True)
    for use in (frames.write, frames.fail, lambda _: frames.finish(), lambda _: frames.write("a")):
        with pytest.raises(LookupError):
            use(["b"])
        state = frames.pending, frames.last_id, frames.failed, frames.ended
        assert state == (0, 0, False, False)
    frames.write_heartbeat()
    frames.write_frame("c")
    assert frames.take() == b": keep-alive\n\nid: 1\ndata: c\n\n"


def test_ids_are_contiguous_whatever_is_written(gs):
    encoder = make(gs, "SSEEncoder", include_id=True)
    encoder.write_prelude(5)
    encoder.write("a")
    encoder.write(gs.events.FinishStep(1))
    encoder.write_comment("c")
    encoder.write_frame(retry=5)
    encoder.write_frame("own", id="x")
    encoder.write(b"data: ready\n\n")
    encoder.write_event("e", {"a": 1})
    with pytest.raises(gs.errors.FrameError):
        encoder.write_event("\n", None)
    encoder.write(gs.ServerSentEvent("s"))
    encoder.write_frame(json=None)
    encoder.write_many(gs.events.TextDelta(text) for text in "bc")
    encoder.write(gs.events.Done())
    ids = re.findall(rb"^id: (.*)$", encoder.take(), re.MULTILINE)
    assert ids == [b"1", b"2", b"x", b"3", b"4", b"5", b"6", b"7", b"8"]
    assert encoder.last_id == 8


def test_without_include_id_no_id_is_written(gs):
    encoder = make(gs, "SSEEncoder")
    encoder.write_many(["a", gs.events.Done()])
    assert (b"id:" in encoder.take(), encoder.last_id) == (False, 0)


WRITES = {
    "write": lambda e: e.write("a"),
    "write_many": lambda e: e.write_many([]),
    "write_event": lambda e: e.write_event("e", "a"),
    "write_frame": lambda e: e.write_frame("a"),
    "write_ready": lambda e: e.write_ready(b"a"),
    "write_heartbeat": lambda e: e.write_heartbeat(),
    "fail": lambda e: e.fail(None),
    "finish": lambda e: e.finish(),
}
ENDS = {
    "Done": lambda e, gs: e.write(gs.events.Done()),
    "dict": lambda e, gs: e.write({"type": "done"}),
    "finish": lambda e, gs: e.finish(),
    "fail": lambda e, gs: e.fail(gs.events.Error("m")),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_after_the_end_nothing_can_be_written_and_pending_bytes_are_taken(gs, kind, end):
    encoder = make(gs, kind)
    end(encoder, gs)
    assert encoder.ended is True
    waiting = encoder.pending
    writes = [*WRITES.values()]
    if kind == "SSEEncoder":
        writes += [lambda e: e.write_comment("c"), lambda e: e.write_prelude()]
    for write in writes:
        with pytest.raises(gs.errors.ClosedError, match=r"^the stream has ended: nothing may"):
            write(encoder)
    assert encoder.pending == waiting == len(encoder.take())
    assert encoder.take() == b""


def test_write_many_stops_at_done_and_at_an_error(gs, kind):
    encoder = make(gs, kind)
    rest = iter(["a", gs.events.Done(), "b", "c"])
    encoder.write_many(rest)
    assert list(rest) == ["b", "c"]
    assert encoder.take().count(b"text_delta") == 1
    encoder = make(gs, kind)
    with pytest.raises(gs.errors.EventError):
        encoder.write_many(["a", 5, "b"])
    assert encoder.take().count(b"text_delta") == 1
    with pytest.raises(ZeroDivisionError):
        encoder.write_many(str(1 // left) for left in (1, 0))
    assert encoder.take().count(b"text_delta") == 1
    with pytest.raises(TypeError):
        encoder.write_many(5)


def test_a_stream_has_failed_if_its_last_event_is_an_error(gs, kind):
    encoder = make(gs, kind)
    assert (encoder.failed, encoder.ended) == (False, False)
    encoder.write(gs.events.Error("m"))
    assert (encoder.failed, encoder.ended) == (True, False)
    for item in ("a", gs.events.ReasoningDelta("r"), gs.events.Raw(), {"type": "start"}):
        encoder.write(item)
        assert encoder.failed is False
        encoder.write(gs.events.Error("m"))
    encoder.fail(gs.events.Error("the last"))
    assert (encoder.failed, encoder.ended) == (True, True)
    assert DONE_SSE not in (taken := encoder.take())
    assert b"done" not in taken
    assert b"the last" in taken.splitlines()[-1 if kind == "NDJSONEncoder" else -2]


def test_take_into_moves_all_or_nothing(gs, kind):
    encoder = make(gs, kind)
    encoder.write("a")
    size = encoder.pending
    for room in (bytearray(size - 1), bytearray(size + 1)):
        with pytest.raises(gs.errors.BufferTooSmall) as caught:
            encoder.take_into(room, 2)
        assert (caught.value.needed, encoder.pending) == (size, size)
        assert room == bytes(len(room))
    room = bytearray(size + 2)
    assert encoder.take_into(memoryview(room), 2) == size + 2
    encoder.write("a")
    assert room[2:] == encoder.take()
    assert encoder.take_into(bytearray()) == 0


@pytest.mark.parametrize("text", ["token ", "\n" * 40], ids=["plain", "escaped"])
def test_a_steady_stream_allocates_only_the_bytes_that_are_taken(gs, kind, text):
    need_counted_allocations(gs)
    for options in ({}, {"include_id": True}) if kind == "SSEEncoder" else ({},):
        encoder = make(gs, kind, **options)
        events = [gs.events.TextDelta(text), gs.events.ReasoningDelta(text), text]
        encoder.write_many(events)
        encoder.take()
        blocks, objects = gs.core._core.allocations()
        for _ in range(500):
            encoder.write_many(events)
            encoder.write(events[0])
            encoder.take()
        assert gs.core._core.allocations() == (blocks, objects + 500)


def test_encoders_refuse_other_types_of_options_and_unknown_dialects(gs):
    for kind, other in zip(ENCODERS, (gs.NDJSONOptions, gs.SSEOptions), strict=True):
        name = f"^options must be {kind[:-7]}Options or None, not "
        for options in (other(), {"include_id": True}, 5):
            with pytest.raises(gs.errors.FrameTypeError, match=name + type(options).__name__):
                getattr(gs, kind)(options)
        for dialect in ("xml", None, 5, []):
            with pytest.raises(gs.errors.FrameError, match=r"^dialect must be 'gai' or "):
                getattr(gs, kind)(dialect=dialect)
        assert getattr(gs, kind)().options == type(getattr(gs, kind)().options)()


def test_many_events_are_encoded_in_one_call(gs):
    events = ["a", gs.events.Raw(1), gs.events.Done(), "not this"]
    for kind, format in zip(ENCODERS, ("sse", "ndjson"), strict=True):
        encoder = make(gs, kind)
        encoder.write_many(events)
        assert gs.encode_events(iter(events), format) == encoder.take()
        assert gs.encode_events([], format) == b""
    assert gs.encode_events([1, None], "ndjson", "json") == b"1\nnull\n"
    with pytest.raises(gs.errors.FrameError, match=r"^format must be 'sse' or 'ndjson', not 'x'$"):
        gs.encode_events([], "x")


@pytest.mark.parametrize("kind", ["SSEEncoder", "NDJSONEncoder"])
@pytest.mark.parametrize("dialect", ["gai", "json"])
def test_fail_takes_only_an_error(gs, kind, dialect):
    encoder = getattr(gs, kind)(dialect=dialect)
    with pytest.raises(gs.errors.EventError, match=r"an Error, not TextDelta$"):
        encoder.fail(gs.events.TextDelta("x"))
    assert (encoder.pending, encoder.ended, encoder.failed) == (0, False, False)
    encoder.fail(gs.events.Error("x"))
    assert (encoder.ended, encoder.failed) == (True, True)
