"""The twins stay equal: after any sequence of operations, errors among them, the same state."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twin_input import (
    Make,
    anything,
    bytes_likes,
    errors,
    events,
    examples,
    fields,
    items,
    octets,
    offsets,
    often,
    outcome,
    payloads,
    rooms,
    same,
    texts,
    things,
    whole,
)

pytestmark = pytest.mark.hypothesis_twins


@pytest.fixture
def twins(both):
    if len(both) < 2:
        pytest.skip("only one twin is in this run")
    return both


def run(thing, steps, look):
    """Take the steps (a method and its arguments); return the result and state after each."""
    return [
        [outcome(getattr(thing, name), *args, **named), outcome(look, thing)]
        for name, args, named in steps
    ]


def step(name, *args, **named):
    return st.tuples(st.just(name), st.tuples(*args), st.fixed_dictionaries({}, optional=named))


class ViewedBuffer:
    """A buffer and the existing views of it."""

    def __init__(self, buffer):
        self.buffer = buffer
        self.views = []

    def hold(self):
        self.views.append(self.buffer.view())
        return self.views[-1]

    def release(self):
        while self.views:
            self.views.pop().release()

    def __getattr__(self, name):
        return getattr(self.buffer, name)


BUFFER_STEPS = st.one_of(
    step("append", bytes_likes),
    step("append", octets),
    step("append", anything),
    step("truncate", offsets),
    step("take"),
    step("take_into", rooms, offset=offsets),
    step("hold"),
    step("release"),
    step("release"),
)


@given(size=often(st.sampled_from([1, 8, 8192, 8193])), steps=st.lists(BUFFER_STEPS, max_size=12))
@examples(400)
def test_buffer(twins, size, steps):
    def use(gs, size, steps):
        buffer = ViewedBuffer(gs.core.Buffer(size))
        log = run(buffer, steps, lambda each: [len(each.buffer), each.buffer.view()])
        return log, [args for _, args, _ in steps]

    same(twins, use, size, steps)


PIECES = [b"data", b"event", b"id", b"retry", b":", b": ", b"\n", b"\r", b"\r\n", b"\n\n", b"a"]
PIECES += [b"12", b"\0", b"\xff", b"\xe2\x82", b"\xac", b"\xef\xbb\xbf", b"9" * 19, b"data: x\n\n"]
limits = st.one_of(st.just({}), st.just({}), st.integers(1, 30), anything)


@st.composite
def feeds(draw, pieces=PIECES):
    """Draw steps that feed a stream in chunks, mixed with other input and a close."""
    text = draw(st.one_of(st.lists(st.sampled_from(pieces), max_size=30).map(b"".join), octets))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6)))
    chunks = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    steps = [("feed", (chunk,), {}) for chunk in chunks]
    for extra in draw(st.lists(st.one_of(step("close"), step("feed", anything)), max_size=2)):
        steps.insert(draw(st.integers(0, len(steps))), extra)
    return steps


@given(limit=limits, steps=feeds())
@examples(400)
def test_line_splitter(twins, limit, steps):
    def use(gs, limit, steps):
        splitter = gs.LineSplitter(**({} if limit == {} else {"max_line_bytes": limit}))
        return run(splitter, steps, lambda _: None), splitter.close()

    same(twins, use, limit, steps)


@given(limit=limits, last=st.one_of(st.just({}), st.text(max_size=3), anything), steps=feeds())
@examples(400)
def test_sse_decoder(twins, limit, last, steps):
    def use(gs, limit, last, steps):
        given = {"max_event_bytes": limit, "last_event_id": last}
        decoder = gs.SSEDecoder(**{name: each for name, each in given.items() if each != {}})
        return run(decoder, steps, lambda each: [each.last_event_id, each.retry])

    same(twins, use, limit, last, steps)


@given(data=octets, first=st.booleans())
@examples(200)
def test_events_that_were_read(twins, data, first):
    def use(gs, data):
        events = gs.SSEDecoder().feed(b"data: " + data + b"\n\ndata: \xff\n\n")
        texts = [event.data for event in events] if first else None
        copies = [copy.copy(event) for event in events]
        raw = [[event.data_bytes, repr(event), bytes(event)] for event in events]
        return texts, raw, events, copies, copies == events

    same(twins, use, data)


LINES = [b"1", b"[]", b'{"a":1}', b"x", b"\n", b"\n", b"\r\n", b"\r", b" ", b"\xef\xbb\xbf", b"\0"]
LINES += [b'"\xff"', b'"\xe2\x82', b'"', b"NaN", b"1e999", b"9" * 30, b"[" * 40, b"\t", b"\n\n"]


class Told(list):
    """A callable for bad lines that refuses some of them."""

    def __call__(self, error):
        self.append((str(error), error.line, error.column, error.values))
        if len(self) % 3 == 0:
            raise LookupError(len(self))


class Picky:
    """A `loads` that refuses some lines, each in its own way."""

    def __call__(self, line):
        if len(line) > 6:
            raise OSError(5, "no")
        if line.startswith(b"["):
            raise KeyError(line)
        return line


@given(
    limit=limits,
    named=st.fixed_dictionaries(
        {},
        optional={
            "strict": often(st.booleans()),
            "loads": st.one_of(st.none(), st.just(Picky), anything),
            "on_error": st.one_of(st.sampled_from(["raise", "skip", Told, Told]), anything),
        },
    ),
    steps=feeds(LINES),
)
@examples(600)
def test_ndjson_decoder(twins, limit, named, steps):
    def use(gs, limit, named, steps):
        named = {key: each() if each in (Told, Picky) else each for key, each in named.items()}
        if limit != {}:
            named["max_line_bytes"] = limit
        decoder = gs.NDJSONDecoder(**named)
        log = run(decoder, [*steps, *[("feed", (b"",), {})] * 2], lambda _: None)
        return log, [outcome(decoder.close) for _ in range(3)], named.get("on_error")

    same(twins, use, limit, named, steps)


ENCODER_STEPS = st.one_of(
    step("write", items),
    step("write", texts),
    step("write", events),
    step("write_many", often(st.lists(items, max_size=3))),
    step("write_event", often(texts), st.one_of(payloads, anything)),
    st.tuples(st.just("write_frame"), st.just(()), fields),
    step("write_frame", json=payloads, event=often(texts), data=st.none()),
    step("write_comment", often(texts)),
    step("write_ready", often(octets, bytes_likes)),
    step("write_prelude"),
    step("write_prelude", often(whole)),
    step("write_frame", retry=whole, comment=texts),
    step("write_comment", texts),
    step("write_heartbeat"),
    step("join_halves"),
    step("write", st.sampled_from(["a\ud83d", "\ude00b", "\ud83d", "\ude00"])),
    step("write_line", payloads),
    step("write_text_line", often(texts, octets)),
    step("take"),
    step("take_into", rooms, offset=offsets),
)
ENDING_STEPS = st.one_of(step("fail", things(("Error",), lambda each: each)), step("finish"))
all_steps = st.builds(
    lambda steps, end, rest: [*steps, *end, *rest],
    st.lists(ENCODER_STEPS, max_size=10),
    st.lists(ENDING_STEPS, max_size=1),
    st.lists(ENCODER_STEPS, max_size=3),
)
def look(frames):
    return frames.pending, frames.failed, frames.ended, getattr(frames, "last_id", None)


def played(encoder, steps):
    log = run(encoder, [each for each in steps if hasattr(encoder, each[0])], look)
    return log, outcome(encoder.write_heartbeat), encoder.take()


@given(
    errors=st.sampled_from(["strict", "replace"]),
    dialect=st.sampled_from(["gai", "gai", "json"]),
    switch=st.booleans(),
    steps=all_steps,
)
@examples(400)
@pytest.mark.parametrize("kind", ["SSE", "NDJSON"])
def test_encoders(twins, kind, errors, dialect, switch, steps, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.5)

    def use(gs, steps):
        named = {"include_id": switch} if kind == "SSE" else {"compact_json": switch}
        options = getattr(gs, f"{kind}Options")(errors=errors, buffer_size=8, **named)
        return played(getattr(gs, f"{kind}Encoder")(options, dialect=dialect), steps)

    same(twins, use, steps)


@given(times=st.lists(st.one_of(events, texts), max_size=4), compact=st.booleans())
@examples(200)
def test_lines_with_timestamps(twins, times, compact, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.5)

    def use(gs, times):
        options = gs.NDJSONOptions(include_timestamp=True, compact_json=compact)
        return played(gs.NDJSONEncoder(options), [("write", (each,), {}) for each in times])

    same(twins, use, times)


class Scripted:
    """A dialect whose items are lists of steps to take."""

    def __init__(self, text, reasoning):
        self.text_template = text
        self.reasoning_template = reasoning

    def write(self, frames, item):
        if not isinstance(item, list):
            raise LookupError(type(item).__name__)
        for name, args, named in item:
            if name == "mark":
                frames.failed, frames.ended = args
            elif name == "sequence":
                (frames.sequence,) = args
            elif hasattr(frames, name):
                getattr(frames, name)(*args, **named)

    fail = write

    def finish(self, frames):
        frames.write_ready(b"(end)")


templates = st.one_of(
    st.none(),
    st.builds(lambda *a: Make("FrameTemplate", a), octets, octets),
    st.builds(lambda *a: Make("FrameTemplate", a), octets, octets, octets),
)
INNER = st.one_of(
    st.tuples(
        st.just("set_templates"),
        st.just(()),
        st.fixed_dictionaries(
            {},
            optional={
                "text": often(templates),
                "reasoning": templates,
                "tool_call": templates,
                "tool_call_id": st.sampled_from(["", "x", None]),
            },
        ),
    ),
    step("sequence", st.one_of(st.integers(0, 9), anything)),

    st.tuples(st.just("write_frame"), st.just(()), fields),
    step("write_event", often(texts), payloads),
    step("write_ready", octets),
    step("write_frame", retry=whole),
    step("write_comment", texts),
    step("write_line", payloads),
    step("mark", st.booleans(), st.booleans()),
    step("write", st.one_of(texts, events)),
)
scripts = st.lists(INNER, max_size=4)
SCRIPTED_STEPS = st.one_of(
    step("write", scripts),
    step("write", st.one_of(texts, events)),
    step("write_many", st.lists(st.one_of(scripts, texts, events), max_size=3)),
    step("take"),
)


@given(
    sizes=st.sampled_from([1, 64, 8192]),
    named=st.fixed_dictionaries({}, optional={"errors": errors, "include_id": st.booleans()}),
    text=templates,
    reasoning=templates,
    steps=st.lists(SCRIPTED_STEPS, max_size=6),
    end=st.one_of(st.just([]), st.tuples(step("fail", scripts)), st.tuples(step("finish"))),
)
@examples(250)
@pytest.mark.parametrize("kind", ["BaseSSEEncoder", "BaseNDJSONEncoder"])
def test_frames_with_any_dialect(twins, kind, sizes, named, text, reasoning, steps, end):
    if kind == "BaseNDJSONEncoder":
        named = {"errors": named["errors"]} if "errors" in named else {}

    def use(gs, text, reasoning, steps):
        frames = getattr(gs.core, kind)(Scripted(text, reasoning), sizes, **named)
        return played(frames, [*steps, *end])

    same(twins, use, text, reasoning, steps)
