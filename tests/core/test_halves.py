"""Halves of surrogate pairs, and numbers that are not strict JSON, do not end an answer.

Servers in JavaScript cut an emoji in two, so that one chunk ends in `\\ud83d` and the next begins
with `\\ude00`.
"""

from __future__ import annotations

import asyncio
import json

import pytest

END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
SMILE = "\U0001f600"


def chunk(**delta):
    body = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def chat(*deltas):
    return b"".join(chunk(**delta) for delta in deltas) + END, "sse", "openai_chat"


def gai_sse(*deltas):
    frames = [f"event: {kind}\ndata: {json.dumps(data)}\n\n" for kind, data in deltas]
    return "".join(frames).encode() + b"event: done\ndata: {}\n\n", "sse", "gai"


def gai_ndjson(*lines):
    body = "".join(json.dumps({"type": kind, **data}) + "\n" for kind, data in lines)
    return body.encode() + b'{"type":"done"}', "ndjson", "gai"


def deltas_of(protocol, *parts):
    """A stream of pieces (kind, text)."""
    if protocol == "chat":
        names = {"text_delta": "content", "reasoning_delta": "reasoning_content"}
        return chat(*({names[kind]: text} for kind, text in parts))
    made = [(kind, {"text": text}) for kind, text in parts]
    return gai_sse(*made) if protocol == "sse" else gai_ndjson(*made)


T, R = "text_delta", "reasoning_delta"
# fmt: off
PARTS = {  # name: (pieces received, pieces returned)
    "two halves": ([(T, "Hi \ud83d"), (T, "\ude00 there")], [(T, "Hi "), (T, f"{SMILE} there")]),
    "halves alone": ([(T, "\ud83d"), (T, "\ude00")], [(T, SMILE)]),
    "half, and another character": ([(T, "a\ud83d"), (T, "b")], [(T, "a"), (T, "\ufffdb")]),
    "half at the end": ([(T, "a\ud83d")], [(T, "a"), (T, "\ufffd")]),
    "the second half first": ([(T, "\ude00a"), (T, "\ud83d")], [(T, "\ufffda"), (T, "\ufffd")]),
    "half, half, whole": ([(T, "\ud83d"), (T, "\ud83d"), (T, "\ude00")],
                          [(T, "\ufffd"), (T, SMILE)]),
    "another kind between": ([(R, "a\ud83d"), (T, "\ude00b")],
                             [(R, "a"), (R, "\ufffd"), (T, "\ufffdb")]),
    "reasoning": ([(R, "\ud83d"), (R, "\ude00")], [(R, SMILE)]),
    "twice": ([(T, "\ud83d"), (T, "\ude00\ud83d"), (T, "\ude00")], [(T, SMILE), (T, SMILE)]),
    "in the middle": ([(T, "a\ud83db")], [(T, "a\ufffdb")]),
}
# fmt: on
EACH_PART = pytest.mark.parametrize("name", PARTS)


def kinds(gs, parts):
    known = {T: gs.events.TextDelta, R: gs.events.ReasoningDelta}
    return [known[kind](text) for kind, text in parts]


def read(gs, body, format, dialect):
    whole = list(gs.read_events(body, format, dialect))
    pieces = [body[at : at + 1] for at in range(len(body))]
    assert list(gs.read_events(pieces, format, dialect)) == whole
    return whole


@EACH_PART
@pytest.mark.parametrize("protocol", ["chat", "sse", "ndjson"])
def test_readers_join_halves_that_meet_and_replace_the_others(gs, protocol, name):
    come, given = PARTS[name]
    events = read(gs, *deltas_of(protocol, *come))
    deltas = (gs.events.TextDelta, gs.events.ReasoningDelta)
    assert [event for event in events if isinstance(event, deltas)] == kinds(gs, given)
    assert events[-1] == gs.events.Done()


async def asynchronous(items):
    for item in items:
        await asyncio.sleep(0)
        yield item


@EACH_PART
@pytest.mark.parametrize("form", ["sse", "ndjson", "async sse", "timestamps"])
def test_streams_join_halves_when_they_are_written(gs, form, name):
    come, given = PARTS[name]
    items = kinds(gs, come)
    format = "sse" if "sse" in form else "ndjson"
    if form == "async sse":

        async def collect():
            return b"".join([part async for part in gs.sse(asynchronous(items))])

        written = asyncio.run(collect())
    else:
        options = gs.NDJSONOptions(include_timestamp=True) if form == "timestamps" else None
        written = b"".join(getattr(gs, format)(iter(items), options))
    *deltas, done = gs.read_events(written, format)
    assert deltas == kinds(gs, given)
    assert done == gs.events.Done()


def test_a_frame_written_between_halves_comes_after_the_first(gs):
    events = gs.events
    items = ["a\ud83d", events.FinishStep(1), "\ude00b\ud83d", events.Error("bad")]
    wanted = ["a", "\ufffd", events.FinishStep(1), "\ufffdb", "\ufffd", events.Error("bad")]
    options = gs.SSEOptions(include_id=True)
    written, expected = (b"".join(gs.sse(iter(each), options)) for each in (items, wanted))
    assert written == expected
    assert b"id: 6" in written


def test_a_source_that_fails_after_a_half(gs):
    def source():
        yield "a\ud83d"
        raise gs.StreamError("broken")

    written = b"".join(gs.sse(source()))
    assert [*gs.read_events(written)] == [
        gs.events.TextDelta("a"), gs.events.TextDelta("\ufffd"), gs.events.Error("broken", "error")
    ]  # fmt: skip


def test_a_write_that_fails_leaves_the_half_where_it_was(gs):
    encoder = gs.SSEEncoder(gs.SSEOptions(include_id=True))
    encoder.join_halves()
    encoder.write("a\ud83d")
    with pytest.raises(gs.errors.EventError):
        encoder.write(object())
    encoder.write("\ude00")
    assert encoder.last_id == 2
    assert f'"{SMILE}"'.encode() in encoder.take()


def test_strict_streams_and_the_json_dialect_join_nothing(gs):
    written = b"".join(gs.sse(iter(["\ud83d", "\ude00"]), gs.SSEOptions(errors="strict")))
    assert b"event: error" in written
    written = b"".join(gs.sse(iter(["\ud83d", "\ude00"]), dialect="json"))
    assert written.endswith('data: "\ufffd"\n\ndata: "\ufffd"\n\n'.encode())


def test_halves_in_any_other_event_are_replaced_when_read(gs):
    events = gs.events
    wide, mended = "\ud83dx\ude00", "\ufffdx\ufffd"
    call = {"id": wide, "name": wide, "input": {wide: [wide, 2**70, {"a": None}]}}
    cited = {"citations": [{"uri": wide, "start": 1, "end": 2, "title": wide}]}
    body = gai_ndjson(
        ("tool_call", {"tool_call": call}),
        ("citations", cited),
        (wide, {"x": wide}),
        ("error", {"error": wide, "timestamp": 5}),
        ("start", {"id": wide}),
    )
    assert read(gs, *body) == [
        events.ToolCall(mended, mended, {mended: [mended, 2**70, {"a": None}]}),
        events.Citations([events.Citation(mended, 1, 2, mended)]),
        events.Raw({"type": mended, "x": mended}),
        events.Error(mended),
        events.Start(mended),
        events.Done(),
    ]


def test_halves_in_the_arguments_of_a_tool_call_are_joined(gs):
    texts = ('{"a":"\ud83d', '\ude00", "b":"\\ud83d', '\\ude00\\ud83d"}')
    fragments = [
        {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": text}}]}
        for text in texts
    ]
    calls = [each for each in read(gs, *chat(*fragments)) if isinstance(each, gs.events.ToolCall)]
    assert calls == [gs.events.ToolCall("c", "f", {"a": SMILE, "b": f"{SMILE}\ufffd"})]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_an_unused_number_that_is_not_strict_json_does_not_end_the_text(gs, number):
    text = {"type": "text_delta", "text": "Hi", "logprob": "X"}
    bodies = {
        "openai_chat": chunk(content="Hi", logprobs="X") + END,
        "gai": b"event: text_delta\ndata: %b\n\n" % json.dumps(text).encode(),
    }
    for dialect, body in bodies.items():
        body = body.replace(b'"X"', number.encode())
        assert gs.events.TextDelta("Hi") in read(gs, body, "sse", dialect)
    lines = json.dumps(text).replace('"X"', number).encode() + b"\n"
    said = read(gs, lines + lines + b'{"type":"done"}', "ndjson", "gai")
    assert said == [gs.events.TextDelta("Hi")] * 2 + [gs.events.Done()]
    assert type(read(gs, lines + b"{no}\n" + lines, "ndjson", "gai")[1]) is gs.events.Error


def test_other_readers_replace_each_half(gs):
    text = b'{"text":"Hi \\ud83d","n":%d}' % 2**70
    value = {"text": "Hi \ufffd", "n": 2**70}
    assert list(gs.NDJSONReader(text)) == [value]
    assert gs.SSEDecoder().feed(b"data: " + text + b"\n\n")[0].json() == value
    assert gs.ServerSentEvent('["\ud83d"]').json() == ["\ufffd"]

    async def body():
        return text

    incoming = gs.http.IncomingRequest("POST", "/", "", {}, None, body)
    assert asyncio.run(incoming.json()) == value


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 123456789012345678901, 10**4299])
def test_integers_of_any_size_are_exact_both_ways(gs, number):
    call = gs.events.ToolCall("1", "pay", {"wei": number})
    for format in ("sse", "ndjson"):
        written = gs.encode_events([call, gs.events.Done()], format)
        assert str(number).encode() in written
        assert next(iter(gs.read_events(written, format))).input == {"wei": number}
    assert gs.encode_ndjson(number) == b"%d\n" % number
    assert list(gs.NDJSONReader(b"%d\n" % number)) == [number]
