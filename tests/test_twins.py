"""The twins are equal: on any input the same bytes, or the same error with the same text.

Every public name of the backend is put to both twins by hypothesis, with input that is valid,
invalid and hostile; of whatever has a state, sequences of operations, so that the state after an
error is compared too. Values of ours are made by recipe (`Make`), once for each twin.
"""

import copy
import enum
import inspect
import os
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.hypothesis_twins


def examples(count):
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=bool(os.environ.get("CI")),
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture
def twins(both):
    if len(both) < 2:
        pytest.skip("only one twin is in this run")
    return both


# ---- what is compared ----


@dataclass
class Make:
    """A recipe: a class of the backend, and what it is called with."""

    name: str
    args: tuple = ()
    named: dict = field(default_factory=dict)


def made(gs, value):
    """Give the value for this twin; what can change is a copy of its own."""
    if isinstance(value, Make):
        return getattr(gs._backend, value.name)(*made(gs, value.args), **made(gs, value.named))
    if type(value) in (list, tuple):
        return type(value)(made(gs, each) for each in value)
    if type(value) is dict:
        return {key: made(gs, each) for key, each in value.items()}
    return bytearray(value) if type(value) is bytearray else value


def plain(value):
    """Give what a value is for somebody who does not know which twin has made it."""
    kind = type(value)
    if isinstance(value, memoryview):
        return "memoryview", value.readonly, value.format, value.shape, bytes(value)
    if kind in (list, tuple):
        return kind.__name__, [plain(each) for each in value]
    if kind.__module__.startswith("gaistream."):
        names = getattr(kind, "__match_args__", ("data", "event", "id", "retry", "comment"))
        names = (*names, "timestamp", "prefix", "suffix")
        return kind.__name__, [plain(getattr(value, name, None)) for name in names]
    return kind.__name__, value if kind in (bytes, str) else repr(value)


def outcome(use, *args, **named):
    try:
        return plain(use(*args, **named))
    except Exception as error:
        return "raised", type(error).__name__, str(error)


def same(twins, use, *args, **named):
    """Assert that this use of a twin, a function of (package, …), gives the same on both."""
    first, second = (
        outcome(lambda gs=gs: use(gs, *made(gs, args), **made(gs, named))) for gs in twins
    )
    assert first == second


# ---- what is tried ----


class Text(str):
    __slots__ = ()


class Liar(str):
    """Text that tells Python code something else than it holds."""

    __slots__ = ()

    def __iter__(self):
        return iter("lie")

    def __str__(self):
        return "lie"

    def encode(self, *_):
        return b"lie"


class Whole(int):
    pass


class Level(enum.IntEnum):
    LOW = 3
    HIGH = 2**70


NASTY = "\r\n\0\"\\\x1f\x7f\x80\x85\xff\u07ff\u2028\u2029\ud7ff\ud800\udfff\ue000\ufeff\uffff😀 :ab"
texts = st.one_of(
    st.text(st.sampled_from(NASTY)),
    st.text(),
    st.sampled_from(["", "x" * 256, "\x01" * 257, "é" * 300, "\n" * 65, "a\r\n" * 70, "data"]),
)
any_texts = st.one_of(texts, texts.map(Text), texts.map(Liar))
octets = st.one_of(
    st.binary(),
    texts.map(lambda text: text.encode(errors="surrogatepass")),
    st.text(st.sampled_from(NASTY)).map(lambda text: text.encode(errors="replace")),
    st.sampled_from([b"", b"\n" * 66, b"\xe2\x82", b"\xf0\x9f\x98", b"a\r" * 80]),
)
views = st.one_of(
    st.builds(lambda data, step: memoryview(data)[::step], octets, st.sampled_from([1, 2, -1])),
    st.builds(lambda data, a, b: memoryview(data)[a:b], octets, st.integers(), st.integers()),
    octets.map(lambda data: memoryview(data * 4).cast("I")),
    octets.map(lambda data: memoryview(data + b"\n\n").cast("B", [1, len(data) + 2])),
    octets.map(lambda data: memoryview((data + b"ab")[:2]).cast("c", [2, 1])),
)
bytes_likes = st.one_of(octets, octets.map(bytearray), views)
whole = st.one_of(
    st.integers(-3, 12),
    st.sampled_from([0, 2**63 - 1, 2**63, -(2**63), 2**64, 2**300, True, False]),
    st.integers().map(Whole),
    st.sampled_from(Level),
)
wrong = st.sampled_from([None, 1.5, float("nan"), 1j, object(), Text, [], (), {}, {1: 2}, ["x"]])
wrong |= st.just(...)
anything = st.one_of(any_texts, bytes_likes, whole, wrong)


def often(*strategies):
    """Mostly one of these, at times anything."""
    return st.one_of(*strategies, *strategies, *strategies, anything)


errors = st.sampled_from(["strict", "replace", "strict", "replace", "ignore", None, Text("strict")])
fields = st.fixed_dictionaries(
    {},
    optional={
        "data": often(any_texts, bytes_likes),
        "event": often(any_texts),
        "id": often(any_texts, whole),
        "retry": often(whole),
        "comment": often(any_texts),
    },
)
leaves = st.one_of(st.none(), st.booleans(), st.floats(), whole, any_texts, wrong)
payloads = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.one_of(texts, texts, whole), inner, max_size=4)
    ),
    max_leaves=8,
)
frames = st.tuples(
    fields, st.fixed_dictionaries({}, optional={"json": payloads}), errors
).map(lambda parts: {**parts[0], **parts[1], "errors": parts[2]})
values = st.one_of(
    st.builds(lambda *args: Make("AudioFormat", args), texts, st.integers(0, 9)),
    st.builds(lambda *args: Make("Citation", args), texts, st.integers(0, 9)),
    st.builds(lambda *args: Make("Usage", args), st.integers(0, 9), st.integers(0, 9)),
)
KINDS = {
    "AudioFormat": [any_texts, whole, whole, whole],
    "Citation": [any_texts, whole, whole, any_texts],
    "Usage": [whole, whole, whole],
    "Event": [],
    "Start": [any_texts, any_texts],
    "TextDelta": [any_texts],
    "ReasoningDelta": [any_texts],
    "AudioDelta": [bytes_likes, values],
    "ToolCall": [any_texts, any_texts, payloads],
    "ToolResult": [any_texts, any_texts, payloads],
    "Citations": [st.lists(values, max_size=3)],
    "Safety": [any_texts, any_texts, st.floats(), any_texts],
    "FinishStep": [whole],
    "Finish": [values, any_texts],
    "Error": [any_texts, any_texts, st.floats(0, 9)],
    "Done": [],
    "Raw": [payloads],
}


@st.composite
def things(draw, kinds=tuple(KINDS), given=often):
    """Draw the recipe of an event or value: fields left out, by place, by name, of any type."""
    name = draw(st.sampled_from(kinds))
    args = [draw(given(strategy)) for strategy in KINDS[name]]
    least = {"ToolCall": 2, "ToolResult": 2, "Safety": 2}.get(name, 1)
    count = draw(st.integers(min(least, len(args)), len(args)))
    when = draw(st.one_of(st.just({}), st.fixed_dictionaries({"timestamp": often(st.floats())})))
    return Make(name, tuple(args[:count]), {} if name in list(KINDS)[:4] else when)


events = things(tuple(KINDS)[4:], lambda strategy: strategy)
sse_events = fields.map(lambda named: Make("ServerSentEvent", (), named))
rooms = st.one_of(
    st.integers(0, 90).map(bytearray),
    st.integers(0, 90).map(bytearray),
    st.sampled_from([memoryview(b"ro"), "x", None, b"bytes", 5]),
)
offsets = st.one_of(st.integers(0, 9), st.integers(0, 9), whole, wrong)
items = st.one_of(texts, events, events, sse_events, octets, values, payloads, anything)


# ---- functions ----


@given(text=anything, named=st.fixed_dictionaries({}, optional={"errors": errors}))
@examples(300)
def test_escape_json_and_encode_comment(twins, text, named):
    same(twins, lambda gs, *args, **named: gs._backend.escape_json(*args, **named), text, **named)
    same(twins, lambda gs, text: gs.encode_comment(text), text)


@given(named=frames)
@examples(600)
def test_encode_sse(twins, named):
    same(twins, lambda gs, **named: gs.encode_sse(**named), **named)


@given(room=rooms, offset=offsets, named=frames)
@examples(400)
def test_encode_sse_into(twins, room, offset, named):
    def use(gs, room, offset, **named):
        return outcome(gs.encode_sse_into, room, offset, **named), room

    same(twins, use, room, offset, **named)


@given(payload=often(payloads), many=often(st.lists(payloads, max_size=3)))
@examples(200)
def test_encode_ndjson(twins, payload, many):
    same(twins, lambda gs, payload: gs.encode_ndjson(payload), payload)
    same(twins, lambda gs, many: gs.encode_ndjson_lines(many), many)
    same(twins, lambda gs, many: gs.encode_ndjson_lines(iter(many)), many)


@given(
    parts=st.tuples(often(octets), often(octets)),
    many=st.lists(often(any_texts), max_size=3),
    room=rooms,
    offset=offsets,
    errors=errors,
)
@examples(300)
def test_frame_template(twins, parts, many, room, offset, errors):
    def use(gs, parts, many, room, offset):
        template = gs.FrameTemplate(*parts)
        return (
            template,
            repr(template),
            [outcome(template.render, text, errors) for text in many],
            outcome(template.render_many, many, errors),
            outcome(template.render_many, iter(many)),
            [outcome(template.render_into, room, offset, text, errors) for text in many],
            room,
            copy.copy(template),
            outcome(setattr, template, "prefix", b""),
            outcome(template.__init__, b"other", b"parts") and template.render("x"),
        )

    same(twins, use, parts, many, room, offset)


@given(
    payload=payloads,
    slot=often(any_texts),
    inside=st.booleans(),
    event=st.one_of(st.none(), texts, anything),
    format=st.sampled_from(["sse", "sse", "ndjson", "xml", None]),
)
@examples(300)
def test_frame_template_of_a_payload(twins, payload, slot, inside, event, format):
    def use(gs, payload, slot, event):
        held = [payload, {"t": slot}] if inside else payload
        template = gs.FrameTemplate.of(held, slot, event=event, format=format)
        return template, template.render("x")

    same(twins, use, payload, slot, event)


# ---- values ----


@given(thing=things(), other=things(), name=texts)
@examples(600)
def test_events_and_their_values(twins, thing, other, name):
    def use(gs, thing, other):
        return (
            thing,
            repr(thing),
            [outcome(hash, thing), thing == other, thing == copy.copy(thing), thing != other],
            [outcome(setattr, thing, name, 1), outcome(delattr, thing, name)],
            outcome(copy.deepcopy, thing),
            outcome(thing.__init__, 1, 2) and thing,
            gs.encode_events([thing, other], "ndjson"),
        )

    same(twins, use, thing, other)


@given(event=sse_events, other=sse_events, changes=fields)
@examples(400)
def test_server_sent_event(twins, event, other, changes):
    def use(gs, event, other, changes):
        seen = [outcome(bytes, event), outcome(event.json), repr(event), event == other]
        for name, value in changes.items():
            setattr(event, name, value)
        return seen, event, outcome(bytes, event), [event == copy.copy(event), event != other]

    same(twins, use, event, other, changes)


# ---- whatever has a state ----


def run(thing, steps, look):
    """Do the steps, each a method's name and its arguments, and tell what each gave and left."""
    return [
        [outcome(getattr(thing, name), *args, **named), outcome(look, thing)]
        for name, args, named in steps
    ]


def step(name, *args, **named):
    return st.tuples(st.just(name), st.tuples(*args), st.fixed_dictionaries({}, optional=named))


class ViewedBuffer:
    """A buffer and the views that are held of it."""

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
        buffer = ViewedBuffer(gs._backend.Buffer(size))
        log = run(buffer, steps, lambda each: [len(each.buffer), each.buffer.view()])
        return log, [args for _, args, _ in steps]

    same(twins, use, size, steps)


PIECES = [b"data", b"event", b"id", b"retry", b":", b": ", b"\n", b"\r", b"\r\n", b"\n\n", b"a"]
PIECES += [b"12", b"\0", b"\xff", b"\xe2\x82", b"\xac", b"\xef\xbb\xbf", b"9" * 19, b"data: x\n\n"]
limits = st.one_of(st.just({}), st.just({}), st.integers(1, 30), anything)


@st.composite
def feeds(draw):
    """Draw steps that feed a stream in chunks, with other input and a close among them."""
    text = draw(st.one_of(st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join), octets))
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


@given(limit=limits, steps=feeds())
@examples(600)
def test_sse_decoder(twins, limit, steps):
    def use(gs, limit, steps):
        decoder = gs.SSEDecoder(**({} if limit == {} else {"max_event_bytes": limit}))
        return run(decoder, steps, lambda each: [each.last_event_id, each.retry])

    same(twins, use, limit, steps)


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
    step("write_heartbeat"),
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
@examples(1000)
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
    """A dialect that does what an item, a list of steps, tells it."""

    def __init__(self, text, reasoning):
        self.text_template = text
        self.reasoning_template = reasoning

    def write(self, frames, item):
        if not isinstance(item, list):
            raise LookupError(type(item).__name__)
        for name, args, named in item:
            if name == "mark":
                frames.failed, frames.ended = args
            elif hasattr(frames, name):
                getattr(frames, name)(*args, **named)

    fail = write

    def finish(self, frames):
        frames.write_ready(b"(end)")


INNER = st.one_of(
    st.tuples(st.just("write_frame"), st.just(()), fields),
    step("write_event", often(texts), payloads),
    step("write_ready", octets),
    step("write_line", payloads),
    step("mark", st.booleans(), st.booleans()),
    step("write", st.one_of(texts, events)),
)
scripts = st.lists(INNER, max_size=4)
templates = st.one_of(st.none(), st.builds(lambda *a: Make("FrameTemplate", a), octets, octets))
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
@examples(500)
@pytest.mark.parametrize("kind", ["SSEFrames", "NDJSONFrames"])
def test_frames_with_any_dialect(twins, kind, sizes, named, text, reasoning, steps, end):
    if kind == "NDJSONFrames":
        named = {"errors": named["errors"]} if "errors" in named else {}

    def use(gs, text, reasoning, steps):
        frames = getattr(gs._backend, kind)(Scripted(text, reasoning), sizes, **named)
        return played(frames, [*steps, *end])

    same(twins, use, text, reasoning, steps)


# ---- that all is covered ----


def test_install_json_is_what_encodes(twins):
    def careful(payload, newline, errors):
        return f"careful {payload} {newline} {errors}".encode()

    def use(gs):
        library = gs._json
        core = gs._backend
        seen = []
        try:
            core.install_json(lambda *a: repr(a).encode(), 1, 2, 3, careful, lambda a: ("read", a))
            seen += [core.encode_ndjson("é"), core.encode_sse(json="\x85")]
            seen += [core.ServerSentEvent("a").json()]
            core.install_json(lambda *_: 1 // 0, None, None, None, careful, None)
            seen += [core.encode_ndjson("é"), core.encode_sse(json="\x85", errors="replace")]
        finally:
            core.install_json(
                library.fast_dumps,
                library.json_default,
                library.json_option,
                library.json_line_option,
                library.careful_dumps,
                library.loads,
            )
        return seen, core.encode_ndjson("é")

    same(twins, use)


def subclassed(kind):
    try:
        return bool(type("Sub", (kind,), {}))
    except TypeError:
        return False


def test_the_twins_have_the_same_names(twins):
    native, pure = (gs._backend for gs in twins)
    names = twins[1].pure.__all__
    assert list(twins[0]._core.__all__) == list(names)
    for name in names:
        first, second = getattr(native, name), getattr(pure, name)
        assert callable(first) is callable(second)
        if inspect.isclass(first):
            public = [{each for each in dir(kind) if each[0] != "_"} for kind in (first, second)]
            assert public[0] == public[1], name
            assert subclassed(first) is subclassed(second), name
            assert getattr(first, "__match_args__", 0) == getattr(second, "__match_args__", 0)


FUNCTIONS = ["encode_comment", "encode_ndjson", "encode_sse", "encode_sse_into", "escape_json"]
METHODS = {
    "Buffer": ["append", "take", "take_into", "truncate", "view"],
    "FrameTemplate": ["of", "render", "render_into", "render_many"],
    "LineSplitter": ["close", "feed"],
    "SSEDecoder": ["close", "feed"],
    "SSEFrames": ["take", "take_into", "write", "write_event", "write_frame", "write_ready"],
    "NDJSONFrames": ["write_line", "write_many", "write_text_line", "fail", "finish"],
}


def test_the_twins_take_the_same_arguments(twins):
    def shape(thing):
        parameters = inspect.signature(thing).parameters.values()
        return [(each.name, each.default) for each in parameters]

    native, pure = (gs._backend for gs in twins)
    pairs = [(getattr(native, name), getattr(pure, name)) for name in FUNCTIONS]
    for name, methods in METHODS.items():
        for method in methods:
            pairs.append(tuple(getattr(getattr(core, name), method) for core in (native, pure)))
    for first, second in pairs:
        assert shape(first) == shape(second), first
