"""The events and their three values: their fields, equality, hashes and copies."""

import copy
import pickle
import sys
from types import ModuleType

import pytest
from event_fields import EVERY, KINDS, TYPES, VALUES, fewest, filled, most, timestamp


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
    assert TYPES.keys() == KINDS.keys()


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
            case gs.events.ToolCallDelta(id, text):
                matched.append((id, text))
            case gs.events.File(media_type, None, data):
                matched.append((media_type, data))
            case gs.events.StepReset():
                matched.append("reset")
            case gs.events.Error(message, code, retry_after=seconds):
                matched.append((message, code, seconds))
            case gs.events.Done():
                matched.append("done")
            case gs.events.Raw(value):
                matched.append(value)
    call, finish, error = ("i", "n", (1, "x")), (1, 2, 3, "stop"), ("m", "c", 1.5)
    delta, file = ("i", "é"), ("m", b"\0\xff")
    assert matched == ["é", "é", delta, call, file, "reset", finish, error, "done", (1, "x")]


def test_an_event_with_an_unhashable_field_is_unhashable(gs):
    events = gs.events
    for event in (events.Raw([]), events.ToolCall("i", "n", {}), events.ToolResult("i", "n", {}),
                  events.Data("n", []), events.ApprovalRequest("i", "c", response_schema={})):
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


DEEP = {  # kind -> the arguments before the one that may hold another event
    "Raw": (),
    "Data": ("n",),
    "ToolCall": ("i", "n"),
    "ToolResult": ("i", "n"),
    "ApprovalRequest": ("i", "c", "m", "r"),
}


@pytest.mark.parametrize("kind", DEEP)
def test_events_that_nest_too_deep_for_the_stack_are_a_recursion_error(gs, kind):
    make, names = getattr(gs.events, kind), DEEP[kind]
    deep, same = 1, 1
    for _ in range(100_000):
        deep, same = make(*names, deep), make(*names, same)
    for use in (hash, repr, copy.deepcopy, lambda event: event == same):
        with pytest.raises(RecursionError):
            use(deep)
    assert hash(make(*names, make(*names, 1))) == hash(make(*names, make(*names, 1)))
