"""What the tests of the twins try, and how they compare.

Input is valid, invalid and hostile. Values of ours are made by recipe (`Make`), once for each
twin; `same` asserts that a use of the package gives the same on both, or the same error.
"""

import enum
import os
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

SHARE = float(os.environ.get("GAISTREAM_EXAMPLES", "1"))  # of the examples, for slow builds


def examples(count):
    return settings(
        max_examples=max(1, int(count * SHARE)),
        deadline=None,
        derandomize=bool(os.environ.get("CI")),
        suppress_health_check=list(HealthCheck),
    )


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
        return getattr(gs.core, value.name)(*made(gs, value.args), **made(gs, value.named))
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
        seen = [getattr(error, name, None) for name in ("values", "line", "column")]
        return "raised", type(error).__name__, str(error), plain(seen)


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


class LyingNumber(int):
    """A number that is within every limit, if one asks it."""

    def __le__(self, other):
        return True

    __lt__ = __ge__ = __gt__ = __le__


class Contrary(int):
    """A number that Python code converts, counts and prints as another."""

    def __index__(self):
        return 5

    __int__ = __pos__ = __abs__ = bit_length = __index__

    def __repr__(self):
        return "contrary"

    __str__ = __repr__

    def __format__(self, _):
        return "contrary"


class Level(enum.IntEnum):
    LOW = 3
    HIGH = 2**70


NASTY = "\r\n\0\"\\\x1f\x7f\x80\x85\xff\u07ff\u2028\u2029\ud7ff\ud800\udfff\ue000\ufeff\uffff😀 :ab"
texts = st.one_of(
    st.text(st.sampled_from(NASTY)),
    st.text(st.sampled_from('abcdefgh: \0\n\r"'), min_size=7, max_size=20),  # whole words of ASCII
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
    st.sampled_from([-5, 7, 2**70]).map(LyingNumber),
    st.sampled_from([-5, 0, 2**31, 2**64, 2**300]).map(Contrary),
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
    "Usage": [whole, whole, whole, whole, whole, whole],
    "Event": [],
    "Start": [any_texts, any_texts],
    "TextDelta": [any_texts],
    "ReasoningDelta": [any_texts],
    "AudioDelta": [bytes_likes, values],
    "ReasoningEnd": [any_texts, any_texts, any_texts],
    "ToolCallStart": [any_texts, any_texts, st.booleans()],
    "ToolCallDelta": [any_texts, any_texts],
    "ToolCall": [any_texts, any_texts, payloads, any_texts, st.booleans()],
    "ToolResult": [any_texts, any_texts, payloads, st.booleans(), st.booleans()],
    "ApprovalRequest": [any_texts, any_texts, any_texts, any_texts, payloads, any_texts],
    "Data": [any_texts, payloads, any_texts, st.booleans()],
    "File": [any_texts, st.none() | any_texts, st.none() | bytes_likes],
    "StepStart": [whole, any_texts],
    "StepReset": [],
    "Citations": [st.lists(values, max_size=3)],
    "Safety": [any_texts, any_texts, st.floats(), any_texts],
    "FinishStep": [whole],
    "Finish": [values, any_texts, any_texts],
    "Error": [any_texts, any_texts, st.floats(0, 9)],
    "Done": [],
    "Raw": [payloads],
}


NEED_TWO = {"ApprovalRequest", "File", "Safety", "ToolCall", "ToolCallDelta", "ToolCallStart",
            "ToolResult"}  # fmt: skip


@st.composite
def things(draw, kinds=tuple(KINDS), given=often):
    """Draw the recipe of an event or value: fields left out, by place, by name, of any type."""
    name = draw(st.sampled_from(kinds))
    args = [draw(given(strategy)) for strategy in KINDS[name]]
    least = 2 if name in NEED_TWO else 1
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
