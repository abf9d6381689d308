"""The fields of events and values: what is taken, what it becomes, and what is refused."""

import enum

import pytest
from event_fields import EVERY, KINDS, TYPES, VALUES, cited, filled, wav


class Text(str):
    __slots__ = ()

    def __str__(self):
        return "a lie"


class Number(enum.IntEnum):
    TWO = 2


def arguments_of(gs, name):
    """Return the most arguments of a kind, by name."""
    names = getattr(gs.events, name).__match_args__
    return dict(zip(names, filled(gs, KINDS[name][2]), strict=True))


@EVERY
def test_a_subclass_of_str_becomes_an_exact_str(gs, name):
    make = getattr(gs.events, name)
    for field, expected in zip(make.__match_args__, TYPES[name], strict=True):
        if expected in ("str", "str or None"):
            arguments = arguments_of(gs, name) | {field: Text("é\n")}
            if (name, field) == ("File", "url"):
                arguments["data"] = None
            value = getattr(make(**arguments), field)
            assert (type(value), value) == (str, "é\n")


class Bound(float):
    """A number that may refer back to its event."""


def test_a_subclass_of_int_or_float_becomes_an_exact_number(gs):
    events = gs.events
    usage = events.Usage(0, 0, None, Number.TWO, Number.TWO, Number.TWO)
    for number in (events.FinishStep(Number.TWO).step_number,
                   events.StepStart(Number.TWO).step_number,
                   usage.cached_input_tokens, usage.cache_write_tokens, usage.reasoning_tokens,
                   events.TextDelta("", timestamp=Number.TWO).timestamp):
        assert (type(number), number) == (int, 2)
    for number in (events.Safety("c", "a", Bound(0.5)).score,
                   events.Error("e", None, Bound(0.5)).retry_after):
        assert (type(number), number) == (float, 0.5)
    assert events.Usage(Number.TWO, 10**30).total_tokens == 10**30 + 2
    assert events.Usage(1, 2, 0).total_tokens == 0
    assert events.Usage(-1).total_tokens == -1
    assert events.Safety("c", "a", 10**400).score == 10**400


@pytest.mark.parametrize("name", ["AudioDelta", "File"])
def test_bytes_are_copied(gs, name):
    def make(data):
        if name == "AudioDelta":
            return gs.events.AudioDelta(data).audio
        return gs.events.File("m", None, data).data

    data = bytearray(b"abcd")
    for like in (data, memoryview(data), memoryview(data).cast("H"), memoryview(data)[::1]):
        assert (type(make(like)), make(like)) == (bytes, b"abcd")
    assert make(memoryview(data)[::-2]) == b"db"
    copied = make(data)
    data[:] = b"gone"
    assert copied == b"abcd"


@pytest.mark.parametrize("fields", [{}, {"url": "u", "data": b""}, {"url": "", "data": b"d"}])
def test_a_file_has_either_a_url_or_data(gs, fields):
    with pytest.raises(gs.errors.EventError, match=r"^File needs either url or data$"):
        gs.events.File("m", **fields)
    assert gs.events.File("m", "").url == ""
    assert gs.events.File("m", data=b"").data == b""


def test_citations_may_come_from_any_iterable(gs):
    citations = [cited(gs), cited(gs)]
    assert gs.events.Citations(iter(citations)).citations == tuple(citations)
    with pytest.raises(TypeError, match="int"):
        gs.events.Citations(5)


WRONG_TYPES = {
    "str": [None, b"x", 5],
    "str or None": [b"x", 5],
    "int": [True, 1.5, "1"],
    "int or None": [True, 1.5, "1"],
    "int or float": [None, True, "1", 1j],
    "int, float or None": [True, "1", 1j],
    "bytes, bytearray or memoryview": ["x", None, 5, [1]],
    "bytes, bytearray, memoryview or None": ["x", 5, [1]],
    "bool or None": [0, 1, 1.0, "true", []],
    "AudioFormat or None": ["audio/wav", {"mime": "m"}],
    "Usage or None": [5, {"input_tokens": 1}],
    "an iterable of Citation": [["u"], [None], "u"],
}


@EVERY
def test_a_wrong_type_is_named(gs, name):
    make = getattr(gs.events, name)
    fields = dict(zip(make.__match_args__, TYPES[name], strict=True))
    if name not in VALUES:
        fields["timestamp"] = "int, float or None"
    arguments = arguments_of(gs, name)
    for field, expected in fields.items():
        for wrong in WRONG_TYPES[expected] if expected else ():
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
