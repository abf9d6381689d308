"""encode_events: many events in one call, whose encoders are used again."""

import random
import threading

import pytest

FORMATS = ["sse", "ndjson"]
TEXTS = ["", "a", "é\u2028", "\ud800", "\n\"\\" * 9, "x" * 256, "\x01" * 300, "😀" * 99]


def items(gs, seed):
    """A list of any events, mostly text."""
    draw = random.Random(seed)
    events = gs.events
    kinds = [
        *[lambda: events.TextDelta(draw.choice(TEXTS)), lambda: draw.choice(TEXTS)] * 4,
        lambda: events.ReasoningDelta(draw.choice(TEXTS)),
        lambda: events.ToolCall("1", "tool", {"a": 1}),
        lambda: events.Error("no"),
        lambda: {"type": "text_delta", "text": "of a dict"},
    ]
    return [draw.choice(kinds)() for _ in range(draw.randrange(40))]


@pytest.mark.parametrize("format", FORMATS)
def test_a_list_is_written_as_its_items_are_one_by_one(gs, format):
    kind = gs.SSEEncoder if format == "sse" else gs.NDJSONEncoder
    for seed in range(60):
        one_by_one = kind()
        for item in items(gs, seed):
            one_by_one.write(item)
        expected = one_by_one.take()
        assert gs.encode_events(items(gs, seed), format) == expected
        assert gs.encode_events(iter(items(gs, seed)), format) == expected
        many = kind()
        many.write_many(items(gs, seed))
        assert (many.failed, many.take()) == (one_by_one.failed, expected)


@pytest.mark.parametrize("format", FORMATS)
def test_no_call_leaves_a_trace_in_the_next(gs, format):
    events = gs.events
    expected = gs.encode_events(["a", events.Done()], format)
    for before in (["x", events.Done()], [events.Error("no")], [], ["x"] * 2000):
        gs.encode_events(before, format)
        assert gs.encode_events(["a", events.Done(), "b"], format) == expected
    with pytest.raises(gs.errors.EventError):
        gs.encode_events(["x", 5], format)
    with pytest.raises(ZeroDivisionError):
        gs.encode_events((str(1 // left) for left in (1, 0)), format)
    assert gs.encode_events(["a", events.Done()], format) == expected


def test_an_id_of_one_call_does_not_change_a_comment_of_the_next(gs):
    comment = gs.ServerSentEvent(comment="c")
    gs.encode_events([gs.ServerSentEvent("a", id="1"), gs.ServerSentEvent(retry=5)], "sse")
    assert gs.encode_events([comment], "sse") == b": c\n\n"


def test_a_source_may_encode_events_itself(gs):
    def source():
        for text in "ab":
            yield gs.encode_events([text]).decode().split('"')[3] + "!"

    assert gs.encode_events(source()) == gs.encode_events(["a!", "b!"])


def test_many_threads_may_encode_events(gs):
    def source(name):
        for number in range(50):
            yield f"{name}-{number}"

    wrong = []

    def encode(name):
        expected = gs.encode_events(list(source(name)))
        wrong.extend(1 for _ in range(20) if gs.encode_events(source(name)) != expected)

    threads = [threading.Thread(target=encode, args=[name]) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("dialect", ["no", 5, [], None])
def test_an_unknown_dialect_or_format_is_refused(gs, dialect):
    with pytest.raises(gs.errors.FrameError, match="dialect must be"):
        gs.encode_events([], dialect=dialect)
    with pytest.raises(gs.errors.FrameError, match="format must be 'sse' or 'ndjson', not"):
        gs.encode_events([], dialect)


@pytest.mark.parametrize("kind", ["SSEEncoder", "NDJSONEncoder"])
def test_an_encoder_is_left_as_it_was(gs, kind):
    encoder = getattr(gs, kind)()
    encoder.write("before")
    waiting = encoder.pending
    frames = encoder.encode_many(["a", gs.events.Error("no"), gs.events.Done()])
    assert (encoder.pending, encoder.failed, encoder.ended) == (waiting, False, False)
    with pytest.raises(gs.errors.EventError):
        encoder.encode_many(["a", 5])
    assert encoder.pending == waiting
    assert encoder.encode_many([]) == b""
    encoder.take()
    encoder.write_many(["a", gs.events.Error("no"), gs.events.Done()])
    assert encoder.take() == frames
    with pytest.raises(gs.errors.ClosedError):
        encoder.encode_many(["a"])
    assert encoder.ended


def test_numbers_go_on_after_the_frames_of_many(gs):
    encoder = gs.SSEEncoder(gs.SSEOptions(include_id=True))
    assert encoder.encode_many(["a", "b"]).startswith(b"id: 1\n")
    encoder.write("c")
    assert encoder.take().startswith(b"id: 1\n")
    assert encoder.last_id == 1


def test_no_encoder_is_made_for_one_event(gs, monkeypatch):
    gs.encode_events([])
    monkeypatch.setattr(gs.SSEEncoder, "__init__", lambda *_, **__: 1 // 0)
    assert gs.encode_events([gs.events.TextDelta("a")]).count(b"data:") == 1
