"""The events and their three values: their fields, equality, copies and errors."""

import copy
import enum
import pickle
import sys
from types import ModuleType

import pytest


class Text(str):
    __slots__ = ()

    def __str__(self):
        return "a lie"


class Number(enum.IntEnum):
    TWO = 2


def wav(gs):
    return gs.events.AudioFormat("audio/wav", 24000, 1, 16)


def cited(gs):
    return gs.events.Citation("u", 1, 2, "t")


# name -> (the fewest arguments, the fields of that event, the most arguments)
KINDS = {
    "AudioFormat": (
        ("m",), {"mime": "m", "sample_rate": 0, "channels": 0, "bit_depth": 0}, ("m", 8000, 2, 16)
    ),
    "Citation": (("u",), {"uri": "u", "start": 0, "end": 0, "title": None}, ("u", 1, 2, "t")),
    "Usage": (
        (),
        {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "cached_input_tokens": None,
         "cache_write_tokens": None, "reasoning_tokens": None},
        (1, 2, 4, 0, 5, 6),
    ),
    "Start": ((), {"id": None, "model": None}, ("i", "m")),
    "TextDelta": (("t",), {"text": "t"}, ("é",)),
    "ReasoningDelta": (("t",), {"text": "t"}, ("é",)),
    "AudioDelta": ((b"a",), {"audio": b"a", "format": None}, (b"\0\xff", wav)),
    "ReasoningEnd": (
        (), {"id": None, "signature": None, "redacted": None}, ("i", "s", "r"),
    ),
    "ToolCallStart": (
        ("i", "n"), {"id": "i", "name": "n", "provider_executed": None}, ("i", "n", True),
    ),
    "ToolCallDelta": (("i", "t"), {"id": "i", "text": "t"}, ("i", "é")),
    "ToolCall": (
        ("i", "n"),
        {"id": "i", "name": "n", "input": None, "signature": None, "provider_executed": None},
        ("i", "n", (1, "x"), "s", False),
    ),
    "ToolResult": (
        ("i", "n"),
        {"id": "i", "name": "n", "result": None, "is_error": None, "provider_executed": None},
        ("i", "n", (1, "x"), True, False),
    ),
    "ApprovalRequest": (
        ("i", "c"),
        {"id": "i", "tool_call_id": "c", "message": None, "reason": None, "response_schema": None,
         "signature": None},
        ("i", "c", "m", "r", (1, "x"), "s"),
    ),
    "Data": (
        ("n",), {"name": "n", "data": None, "id": None, "transient": None}, ("n", (1,), "i", True),
    ),
    "File": (("m", "u"), {"media_type": "m", "url": "u", "data": None}, ("m", None, b"\0\xff")),
    "StepStart": ((), {"step_number": None, "name": None}, (7, "n")),
    "StepReset": ((), {}, ()),
    "Citations": (([],), {"citations": ()}, (lambda gs: (cited(gs), cited(gs)),)),
    "Safety": (
        ("c", "a"),
        {"category": "c", "action": "a", "score": 0.0, "note": None},
        ("c", "a", 0.5, "n"),
    ),
    "FinishStep": ((1,), {"step_number": 1}, (7,)),
    "Finish": (
        (),
        {"usage": None, "finish_reason": None, "raw_reason": None},
        (lambda gs: gs.events.Usage(1, 2), "stop", "end_turn"),
    ),
    "Error": (("m",), {"message": "m", "code": None, "retry_after": None}, ("m", "c", 1.5)),
    "Done": ((), {}, ()),
    "Raw": ((), {"raw": None}, ((1, "x"),)),
}
VALUES = {"AudioFormat", "Citation", "Usage"}
EVERY = pytest.mark.parametrize("name", KINDS)


def filled(gs, values):
    return [value(gs) if callable(value) else value for value in values]


def fewest(gs, name):
    return getattr(gs.events, name)(*KINDS[name][0])


def most(gs, name, **timestamp):
    return getattr(gs.events, name)(*filled(gs, KINDS[name][2]), **timestamp)


def timestamp(name):
    return {} if name in VALUES else {"timestamp": 1700000000.5}


@pytest.fixture
def importable(gs, monkeypatch):
    """Return this copy of the package, in which pickle finds its classes."""

    def add(module: ModuleType):
        monkeypatch.setitem(sys.modules, module.__name__, module)
        for each in vars(module).values():
            if isinstance(each, ModuleType) and each.__name__.startswith(f"{module.__name__}."):
                add(each)

    add(gs)
    return gs


def test_every_list_of_events_names_the_same_classes(gs):
    kinds = KINDS.keys() - VALUES
    assert set(gs.events.__all__) == kinds | VALUES | {"Event"}
    assert {each.__name__ for each in gs.events.Event.__subclasses__()} == kinds
    twin = gs.core._core if gs.backend == "native" else gs.core.pure
    assert set(gs.events.__all__) < set(twin.__all__)
    assert FIELDS.keys() == KINDS.keys()


@EVERY
def test_every_event_is_written_by_the_default_dialect(gs, name):
    if name not in VALUES:
        for make in (gs.SSEEncoder, gs.NDJSONEncoder):
            encoder = make()
            encoder.write(most(gs, name))
            assert encoder.pending


@EVERY
def test_fields_have_their_defaults_and_their_order(gs, name):
    event, fields = fewest(gs, name), KINDS[name][1]
    assert {field: getattr(event, field) for field in event.__match_args__} == fields
    assert list(event.__match_args__) == list(fields)
    if name not in VALUES:
        assert event.timestamp is None
        assert isinstance(event, gs.events.Event)


@EVERY
def test_fields_are_positional_or_keyword_arguments(gs, name):
    values = filled(gs, KINDS[name][2])
    event = most(gs, name, **timestamp(name))
    named = getattr(gs.events, name)(
        **dict(zip(event.__match_args__, values, strict=True)), **timestamp(name)
    )
    assert (event, named) == (named, event)
    for field, value in zip(event.__match_args__, values, strict=True):
        assert getattr(event, field) == value
        assert type(getattr(event, field)) is type(value)


@EVERY
def test_events_are_immutable(gs, name):
    event = most(gs, name, **timestamp(name))
    for field in (*event.__match_args__, "timestamp", "other"):
        message = f"^{name} is immutable: cannot set '{field}'$"
        with pytest.raises(AttributeError, match=message):
            setattr(event, field, "x")
        message = f"^{name} is immutable: cannot delete '{field}'$"
        with pytest.raises(AttributeError, match=message):
            delattr(event, field)
    event.__init__(*KINDS[name][0])
    assert event == most(gs, name)
    assert getattr(event, "timestamp", None) == timestamp(name).get("timestamp")
    with pytest.raises(TypeError):
        vars(event)


@EVERY
def test_events_are_equal_by_class_and_fields_but_not_by_timestamp(gs, name):
    event = most(gs, name)
    assert event == most(gs, name, **timestamp(name))
    assert hash(event) == hash(most(gs, name, **timestamp(name)))
    if name not in ("Done", "StepReset"):
        assert event != fewest(gs, name)
    assert event != KINDS[name][2]
    assert [other for other in KINDS if event == most(gs, other)] == [name]
    assert [other for other in KINDS if hash(event) == hash(most(gs, other))] == [name]
    assert event.__eq__(None) is NotImplemented


@EVERY
def test_events_are_pickled_and_copied_with_their_timestamp(importable, name):
    event = most(importable, name, **timestamp(name))
    again = [pickle.loads(pickle.dumps(event, way)) for way in range(pickle.HIGHEST_PROTOCOL + 1)]
    for other in (*again, copy.copy(event), copy.deepcopy(event)):
        assert (other, type(other), repr(other)) == (event, type(event), repr(event))


@EVERY
def test_the_repr_of_an_event_evaluates_to_it(gs, name):
    for event in (fewest(gs, name), most(gs, name), most(gs, name, **timestamp(name))):
        again = eval(repr(event), vars(gs.events) | {"__builtins__": {}})
        assert (again, repr(again)) == (event, repr(event))
        assert getattr(again, "timestamp", None) == getattr(event, "timestamp", None)


def test_the_repr_of_long_bytes_is_their_length(gs):
    make = gs.events.AudioDelta
    assert repr(make(b"x" * 32)) == f"AudioDelta(audio={b'x' * 32!r})"
    assert repr(make(b"x" * 33, timestamp=0)) == "AudioDelta(audio=<33 bytes>, timestamp=0)"
    assert repr(gs.events.Safety("c", "a")) == "Safety(category='c', action='a', score=0.0)"


def test_events_are_matched_by_position(gs):
    matched = []
    for name in KINDS:
        match most(gs, name):
            case gs.events.TextDelta(text) | gs.events.ReasoningDelta(text):
                matched.append(text)
            case gs.events.ToolCall(id, name, input):
                matched.append((id, name, input))
            case gs.events.Finish(gs.events.Usage(took, gave, total), reason):
                matched.append((took, gave, total, reason))
            case gs.events.Error(message, code, retry_after=seconds):
                matched.append((message, code, seconds))
            case gs.events.Done():
                matched.append("done")
            case gs.events.Raw(value):
                matched.append(value)
    call, finish, error = ("i", "n", (1, "x")), (1, 2, 3, "stop"), ("m", "c", 1.5)
    assert matched == ["é", "é", call, finish, error, "done", (1, "x")]


def test_a_subclass_of_str_becomes_an_exact_str(gs):
    text = Text("é\n")
    events = gs.events
    found = [
        events.AudioFormat(text).mime,
        *[getattr(events.Citation(text, title=text), field) for field in ("uri", "title")],
        *[getattr(events.Start(text, text), field) for field in ("id", "model")],
        events.TextDelta(text).text,
        events.ReasoningDelta(text).text,
        *[getattr(events.ToolCall(text, text), field) for field in ("id", "name")],
        *[getattr(events.ToolResult(text, text), field) for field in ("id", "name")],
        *[getattr(events.Safety(text, text, 0, text), f) for f in ("category", "action", "note")],
        events.Finish(None, text).finish_reason,
        *[getattr(events.Error(text, text), field) for field in ("message", "code")],
    ]
    assert {(type(value), value) for value in found} == {(str, "é\n")}


class Bound(float):
    """A number that may refer back to its event."""


def test_a_subclass_of_int_or_float_becomes_an_exact_number(gs):
    events = gs.events
    for number in (events.FinishStep(Number.TWO).step_number,
                   events.TextDelta("", timestamp=Number.TWO).timestamp):
        assert (type(number), number) == (int, 2)
    for number in (events.Safety("c", "a", Bound(0.5)).score,
                   events.Error("e", None, Bound(0.5)).retry_after):
        assert (type(number), number) == (float, 0.5)
    assert events.Usage(Number.TWO, 10**30).total_tokens == 10**30 + 2
    assert events.Usage(1, 2, 0).total_tokens == 0
    assert events.Usage(-1).total_tokens == -1
    assert events.Safety("c", "a", 10**400).score == 10**400


def test_audio_is_copied_into_bytes(gs):
    data = bytearray(b"abcd")
    for audio_like in (data, memoryview(data), memoryview(data).cast("H"), memoryview(data)[::1]):
        audio = gs.events.AudioDelta(audio_like).audio
        assert (type(audio), audio) == (bytes, b"abcd")
    assert gs.events.AudioDelta(memoryview(data)[::-2]).audio == b"db"
    event = gs.events.AudioDelta(data)
    data[:] = b"gone"
    assert event.audio == b"abcd"


def test_citations_may_come_from_any_iterable(gs):
    citations = [cited(gs), cited(gs)]
    assert gs.events.Citations(iter(citations)).citations == tuple(citations)
    with pytest.raises(TypeError, match="int"):
        gs.events.Citations(5)


def test_an_event_with_an_unhashable_field_is_unhashable(gs):
    events = gs.events
    for event in (events.Raw([]), events.ToolCall("i", "n", {}), events.ToolResult("i", "n", {})):
        assert event == copy.deepcopy(event)
        with pytest.raises(TypeError, match="unhashable"):
            hash(event)


@EVERY
def test_an_event_class_cannot_be_subclassed(gs, name):
    with pytest.raises(TypeError):
        type("Sub", (getattr(gs.events, name),), {})


def test_the_base_class_and_its_subclasses_are_events_without_fields(gs):
    for base in (gs.events.Event, type("Mine", (gs.events.Event,), {})):
        event = base()
        assert (event.timestamp, event.__match_args__) == (None, ())
        assert repr(event) == f"{base.__name__}()"
        assert event == base()


WRONG_TYPES = {
    "str": [None, b"x", 5],
    "str or None": [b"x", 5],
    "int": [True, 1.5, "1"],
    "int or float": [None, True, "1", 1j],
    "int, float or None": [True, "1", 1j],
    "bytes, bytearray or memoryview": ["x", None, 5, [1]],
    "AudioFormat or None": ["audio/wav", {"mime": "m"}],
    "Usage or None": [5, {"input_tokens": 1}],
    "an iterable of Citation": [["u"], [None], "u"],
}
FIELDS = {
    "AudioFormat": ["str", "int", "int", "int"],
    "Citation": ["str", "int", "int", "str or None"],
    "Usage": ["int", "int", "int", "int or None", "int or None", "int or None"],
    "Start": ["str or None", "str or None"],
    "TextDelta": ["str"],
    "ReasoningDelta": ["str"],
    "AudioDelta": ["bytes, bytearray or memoryview", "AudioFormat or None"],
    "ReasoningEnd": ["str or None", "str or None", "str or None"],
    "ToolCallStart": ["str", "str", "bool or None"],
    "ToolCallDelta": ["str", "str"],
    "ToolCall": ["str", "str", None, "str or None", "bool or None"],
    "ToolResult": ["str", "str", None, "bool or None", "bool or None"],
    "ApprovalRequest": ["str", "str", "str or None", "str or None", None, "str or None"],
    "Data": ["str", None, "str or None", "bool or None"],
    "File": ["str", "str or None", "bytes, bytearray, memoryview or None"],
    "StepStart": ["int or None", "str or None"],
    "StepReset": [],
    "Citations": ["an iterable of Citation"],
    "Safety": ["str", "str", "int or float", "str or None"],
    "FinishStep": ["int"],
    "Finish": ["Usage or None", "str or None", "str or None"],
    "Error": ["str", "str or None", "int, float or None"],
    "Done": [],
    "Raw": [None],
}


@EVERY
def test_a_wrong_type_is_named(gs, name):
    make = getattr(gs.events, name)
    fields = dict(zip(make.__match_args__, FIELDS[name], strict=True))
    if name not in VALUES:
        fields["timestamp"] = "int, float or None"
    arguments = dict(zip(make.__match_args__, filled(gs, KINDS[name][2]), strict=True))
    for field, expected in fields.items():
        for wrong in WRONG_TYPES.get(expected, ()):
            with pytest.raises(gs.errors.EventError) as caught:
                make(**arguments | {field: wrong})
            inner = wrong[0] if expected.startswith("an iterable") else wrong
            message = f"{name}.{field} must be {expected}, not {type(inner).__name__}"
            assert str(caught.value) == message
            assert isinstance(caught.value, TypeError)


def test_a_format_or_usage_must_be_of_its_exact_class(gs):
    with pytest.raises(gs.errors.EventError, match=r"not Usage$"):
        gs.events.AudioDelta(b"", gs.events.Usage())
    with pytest.raises(gs.errors.EventError, match=r"not AudioFormat$"):
        gs.events.Finish(wav(gs))


@pytest.mark.parametrize("kind", ["Raw", "ToolCall", "ToolResult"])
def test_events_that_nest_too_deep_for_the_stack_are_a_recursion_error(gs, kind):
    make = getattr(gs.events, kind)
    names = () if kind == "Raw" else ("i", "n")
    deep, same = 1, 1
    for _ in range(100_000):
        deep, same = make(*names, deep), make(*names, same)
    for use in (hash, repr, copy.deepcopy, lambda event: event == same):
        with pytest.raises(RecursionError):
            use(deep)
    assert hash(make(*names, make(*names, 1))) == hash(make(*names, make(*names, 1)))
