"""Deltas that are read without parsing: the events are those of the dialect's reader."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twin_input import examples


def chat(text, name="content", **more):
    delta = {"choices": [{"index": 0, "delta": {name: text}, "finish_reason": None}]}
    return None, {"id": "c", "created": 7, "model": "m", **delta, **more}


def responses(text, number=1, item="i", **more):
    about = {"item_id": item, "output_index": 0, "content_index": 0}
    kind = "response.output_text.delta"
    return kind, {"type": kind, "sequence_number": number, **about, "delta": text, **more}


def anthropic(text, kind="text_delta", name="text", index=0):
    fields = {"type": "content_block_delta", "index": index, "delta": {"type": kind, name: text}}
    return "content_block_delta", fields


def ollama(text, time="2026-01-01T00:00:00Z", **more):
    message = {"role": "assistant", "content": text}
    return None, {"model": "m", "created_at": time, "message": message, "done": False, **more}


def event(kind, **fields):
    return kind, {"type": kind, **fields}


STARTS = {
    "anthropic": [
        event("message_start", message={"id": "m"}),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("content_block_start", index=1, content_block={"type": "thinking", "thinking": ""}),
    ],
    "ai_sdk": [(None, {"type": "start"}), (None, {"type": "text-start", "id": "t"})],
    "ag_ui": [
        (None, {"type": "RUN_STARTED", "threadId": "t", "runId": "r"}),
        (None, {"type": "TEXT_MESSAGE_START", "messageId": "t", "role": "assistant"}),
    ],
}
DELTAS = {
    "openai_chat": chat,
    "openai_responses": responses,
    "anthropic": anthropic,
    "ollama": ollama,
    "ai_sdk": lambda text: (None, {"type": "text-delta", "id": "t", "delta": text}),
    "ag_ui": lambda text: (None, {"type": "TEXT_MESSAGE_CONTENT", "messageId": "t", "delta": text}),
    "gai": lambda text: ("text_delta", {"text": text}),
}
FAILED = {"error": {"message": "no", "code": "c"}}
OTHERS = {  # what comes between the deltas, and may look like one
    "openai_chat": [
        chat("a", "reasoning_content"), chat("b", "reasoning"), chat("r", "refusal"),
        chat("x", created=8), chat("y", obfuscation="abc"), chat("z", obfuscation="d\n"),
        chat("u", usage={"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}),
        chat("v", id="other"), chat("w", content="w"), chat(["t"]), chat([{"type": "text"}]),
        chat("", usage=None), chat(None), (None, FAILED), ("error", chat("e")[1]),
        (None, {"choices": [], "usage": {"total_tokens": 9}}), (None, [1]), (None, "text"),
        (None, {"choices": [
            {"index": 1, "delta": {"content": "hi"}}, {"index": 0, "delta": {"content": "hi"}}]}),
        (None, {"choices": [{"delta": {"content": "end"}, "finish_reason": "stop"}]}),
        (None, {"choices": [{"delta": {"tool_calls": [
            {"index": 0, "id": "k", "function": {"name": "f", "arguments": "{"}}]}}]}),
    ],
    "openai_responses": [
        responses("a", 2), responses("b", 10**20), responses("c", 1.5), responses("d", True),
        responses("e", item="j"), responses("f", obfuscation="x"), responses("g", error="e"),
        event("response.output_item.added", output_index=0, item={"type": "message"}),
        event("response.output_item.added", output_index=0, item={"type": "reasoning"}),
        event("response.output_item.done", output_index=0, item={"type": "message"}),
        event("response.reasoning_summary_text.delta", output_index=0, summary_index=0, delta="r"),
        event("response.reasoning_summary_text.delta", output_index=0, summary_index=1, delta="r"),
        event("response.completed", response={"status": "completed"}), ("error", FAILED),
    ],
    "anthropic": [
        anthropic("a", "thinking_delta", "thinking", 1), anthropic("b", index=1),
        anthropic("c", "signature_delta", "signature", 1), event("ping"),
        event("content_block_stop", index=0), event("content_block_stop", index=1),
        event("message_delta", delta={"stop_reason": "end_turn"}), event("message_stop"),
        event("error", **FAILED), ("other", anthropic("d")[1]),
    ],
    "ollama": [
        ollama("a", "2026-01-01T00:00:01Z"), ollama("b", 5), ollama("c", "\u00e9"),
        (None, {"model": "m", "response": "r", "done": False}), ollama("d", images=["aGk="]),
        (None, {"model": "m", "message": {"role": "assistant", "content": "", "thinking": "t"}}),
        (None, {"model": "m", "done": True, "done_reason": "stop"}), (None, {"error": "no"}),
    ],
    "ai_sdk": [
        (None, {"type": "text-end", "id": "t"}), (None, {"type": "finish"}),
        (None, {"type": "text-delta", "id": "u", "delta": "x"}),
        (None, {"type": "reasoning-start", "id": "r"}), (None, {"type": "text-start", "id": "u"}),
        (None, {"type": "reasoning-delta", "id": "r", "delta": "x"}), ("ping", {}),
    ],
    "ag_ui": [
        (None, {"type": "TEXT_MESSAGE_END", "messageId": "t"}),
        (None, {"type": "TEXT_MESSAGE_CONTENT", "messageId": "t", "delta": "x", "timestamp": 5}),
        (None, {"type": "TEXT_MESSAGE_CHUNK", "messageId": "v", "delta": "x"}),
        (None, {"type": "REASONING_MESSAGE_CHUNK", "messageId": "w", "delta": "x"}),
        (None, {"type": "RUN_FINISHED", "threadId": "t", "runId": "r"}),
    ],
    "gai": [
        ("reasoning_delta", {"text": "r"}), ("text_delta", {"text": 5}), ("done", {}),
        ("text_delta", {"text": "a", "timestamp": 5}), ("error", {"error": "no", "message": "no"}),
        (None, {"type": "text_delta", "text": "x"}), ("ping", {}), ("text_delta", ["text"]),
    ],
}  # fmt: skip
RAW = [
    b"{", b"[DONE]", b"", b'{"choices":[{"index":0,"delta":{"content":"a","content":"b"}}]}',
    b'{"delta":{"content":"a"},"choices":[{"delta":{"content":"a"}}]}', b'{"text":"\\ud83d"}',
    b'{"text":"\\ude00"}', b'{"text":"a","text":"a"}', b"NaN",
]  # fmt: skip
words = st.sampled_from(
    ["a", " the", 'say "hi"\n', "\u00e9\U0001f600", "", "\\", "\u2028", "\x00", "content", "\ud83d",
     "\ude00", "x" * 40]
)  # fmt: skip


def body_of(frames, *, is_sse, escaped):
    """Return the bytes of frames: pairs of a name and a payload, or bytes of data."""
    body = b""
    for frame in frames:
        name, data = (None, frame) if isinstance(frame, bytes) else frame
        if not isinstance(data, bytes):
            text = json.dumps(data, ensure_ascii=escaped, separators=(",", ":"))
            data = text.encode("utf-8", "surrogatepass")
        named = b"" if name is None else b"event: %b\n" % name.encode()
        body += b"%bdata: %b\n\n" % (named, data) if is_sse else data + b"\n"
    return body


def decoder_of(gs, dialect, *, by_matchers=True):
    format = "ndjson" if dialect == "ollama" else "sse"
    if by_matchers:
        return gs.reading.events.EventDecoder(format, dialect)
    reader = gs.dialects.find(dialect).reader(format)
    reader.__class__ = type("Plain", (type(reader),), {})  # declares no steady deltas

    class Plain(gs.dialects.Dialect):
        name = "plain"
        reads = ("sse", "ndjson")

        def reader(self, format):
            return reader

    return gs.reading.events.EventDecoder(format, Plain())


def events_of(decoder, chunks):
    events = [each for chunk in chunks for each in decoder.feed(chunk)]
    state = decoder.ended, decoder._reader.was_lenient, decoder._reader.halves_replaced
    return [(repr(each), each.timestamp) for each in events + decoder.close()], state


def matches(decoder):
    return sum(each.count for each in decoder._deltas._known.values())


@pytest.mark.parametrize("dialect", DELTAS)
@pytest.mark.hypothesis_twins
@given(data=st.data())
@examples(150)
def test_the_events_are_those_of_the_reader(both, dialect, data):
    delta = words.map(DELTAS[dialect])
    other = st.sampled_from(OTHERS[dialect]) | st.sampled_from(RAW)
    frames = data.draw(st.lists(st.one_of(delta, delta, delta, other), max_size=24))
    escaped = data.draw(st.booleans())
    body = body_of([*STARTS.get(dialect, ()), *frames], is_sse=dialect != "ollama", escaped=escaped)
    body = body[: len(body) - data.draw(st.sampled_from([0, 0, 1, 9, 40]))]
    size = data.draw(st.sampled_from([1, 7, 150, 1000, 100_000]))
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    read = [events_of(decoder_of(gs, dialect), chunks) for gs in both]
    plain = [events_of(decoder_of(gs, dialect, by_matchers=False), chunks) for gs in both]
    assert read == plain
    assert read[0] == read[-1]


@pytest.mark.parametrize("dialect", DELTAS)
def test_all_but_the_first_deltas_are_read_without_parsing(gs, dialect):
    frames = [DELTAS[dialect](f"piece {number}\n") for number in range(50)]
    body = body_of([*STARTS.get(dialect, ()), *frames], is_sse=dialect != "ollama", escaped=True)
    for chunks in ([body], body.splitlines(keepends=True)):
        decoder = decoder_of(gs, dialect)
        events, _ = events_of(decoder, chunks)
        assert sum("piece" in each for each, _ in events) == 50
        assert matches(decoder) >= (48 if dialect != "ollama" or len(chunks) > 1 else 0)


def test_values_without_meaning_may_vary(gs):
    for dialect, make in (
        ("openai_chat", lambda n: chat(f"{n}", created=n, obfuscation="x" * n)),
        ("openai_responses", lambda n: responses(f"{n}", 10**n, obfuscation="x" * n)),
        ("ollama", lambda n: ollama(f"{n}", f"2026-01-01T00:00:{n}Z")),
        ("ag_ui", lambda n: (None, {**DELTAS["ag_ui"](f"{n}")[1], "timestamp": n})),
    ):
        frames = [*STARTS.get(dialect, ()), *(make(number) for number in range(1, 17))]
        is_sse = dialect != "ollama"
        chunks = [body_of([frame], is_sse=is_sse, escaped=True) for frame in frames]
        decoder = decoder_of(gs, dialect)
        assert events_of(decoder, chunks) == events_of(
            decoder_of(gs, dialect, by_matchers=False), chunks
        )
        assert matches(decoder) >= 14


def test_a_text_that_stands_twice_is_not_taken_for_the_other(gs):
    def two(of_other, text):
        choices = [(1, of_other), (0, text)]
        return None, {"choices": [{"index": n, "delta": {"content": t}} for n, t in choices]}

    doubled = b'{"choices":[{"delta":{"content":"%b","content":"b"}}]}'
    for frames, texts in (
        ([two("b", "b"), two("b", "b"), two("c", "b"), two("b", "d")], "bbbd"),
        ([doubled % b"b", doubled % b"b", doubled % b"c"], "bbb"),
    ):
        decoder = decoder_of(gs, "openai_chat")
        events = decoder.feed(body_of(frames, is_sse=True, escaped=True))
        assert "".join(each.text for each in events[1:]) == texts


def test_a_stream_whose_frames_always_differ_is_examined_a_few_times(gs):
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    frames = [chat("x", usage={**usage, "completion_tokens": number}) for number in range(40)]
    decoder = decoder_of(gs, "openai_chat")
    events, _ = events_of(decoder, [body_of(frames, is_sse=True, escaped=True)])
    assert len(events) == 42
    assert decoder._deltas._tries == 0


def test_a_subclass_of_a_reader_sees_every_frame(gs):
    seen = []
    base = type(gs.dialects.find("openai_chat").reader("sse"))

    class Counting(base):
        def feed(self, event):
            seen.append(event.data)
            return super().feed(event)

    class Own(gs.dialects.Dialect):
        name = "own"
        reads = ("sse",)

        def reader(self, format):
            return Counting()

    decoder = gs.reading.events.EventDecoder("sse", Own())
    decoder.feed(body_of([chat("a"), chat("b"), chat("c")], is_sse=True, escaped=True))
    assert len(seen) == 3
