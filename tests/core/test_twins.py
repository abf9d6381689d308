"""The twins are equal: on any input the same bytes, or the same error with the same text.

This file covers functions and values, and checks that every public name is covered;
tests/core/test_twins_state.py covers objects with a state.
"""

import copy
import inspect
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twin_input import (
    any_texts,
    anything,
    errors,
    examples,
    fields,
    frames,
    octets,
    offsets,
    often,
    outcome,
    payloads,
    rooms,
    same,
    sse_events,
    texts,
    things,
)

pytestmark = pytest.mark.hypothesis_twins


@pytest.fixture
def twins(both):
    if len(both) < 2:
        pytest.skip("only one twin is in this run")
    return both


# ---- functions ----


@given(text=anything, named=st.fixed_dictionaries({}, optional={"errors": errors}))
@examples(300)
def test_escape_json_and_encode_comment(twins, text, named):
    same(twins, lambda gs, *args, **named: gs.core.escape_json(*args, **named), text, **named)
    same(twins, lambda gs, text: gs.encode_comment(text), text)


@given(named=frames)
@examples(400)
def test_encode_sse(twins, named):
    same(twins, lambda gs, **named: gs.encode_sse(**named), **named)


@given(item=st.one_of(payloads, things(), sse_events), most=st.sampled_from([0, 300, 2**18]))
@examples(400)
def test_estimate_size(twins, item, most):
    same(twins, lambda gs, item: gs.core.estimate_size(item, most), item)


@given(
    value=anything, least=st.integers(-(2**63), 2**63 - 1), most=st.integers(-(2**63), 2**63 - 1),
    unit=st.sampled_from(["", "bytes"]),
)  # fmt: skip
@examples(200)
def test_checked_int(twins, value, least, most, unit):
    same(twins, lambda gs, value: gs.core.checked_int("it", value, least, most, unit), value)


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
    payload=often(payloads), newline=st.booleans(), compact=st.booleans(), errors=errors,
    default=st.sampled_from([None, str, lambda value: [value]]),
)  # fmt: skip
@examples(200)
def test_json_bytes(twins, payload, **options):
    same(twins, lambda gs, payload: gs.core.json_bytes(payload, **options), payload)


digits = st.integers(-(2**70), 2**70).map(str) | st.from_regex(r"-?[0-9]{17,22}", fullmatch=True)
numbers = st.lists(
    digits | st.sampled_from([*'-.eE[],: \t\n"', "\u2028", "\ud83d", "1" * 40, '{"a":']), max_size=8
).map("".join)
escapes = st.lists(
    st.sampled_from(["\\ud83d", "\\uDE00", "\\\\", "\\n", "a", "ud800", "\ud83d", "\ude00"])
).map('["{}"]'.format)


@given(data=st.one_of(numbers, numbers.map("[{}]".format), escapes, often(texts)), errors=errors)
@examples(600)
def test_read_json(twins, data, errors):
    same(twins, lambda gs, data: gs.core.read_json(data, errors), data)
    if isinstance(data, str):
        data = str.encode(data, errors="replace")
        for kind in (bytes, bytearray, memoryview):
            same(twins, lambda gs, data, kind=kind: gs.core.read_json(kind(data), errors), data)


@given(
    parts=st.tuples(often(octets), often(octets)),
    many=st.lists(often(any_texts), max_size=3),
    room=rooms,
    offset=offsets,
    errors=errors,
    middle=st.one_of(st.none(), octets, anything),
    number=st.one_of(st.none(), st.integers(-1, 2**54), anything),
)
@examples(300)
def test_frame_template(twins, parts, many, room, offset, errors, middle, number):
    def use(gs, parts, many, room, offset, middle, number):
        template = gs.FrameTemplate(*parts, middle)
        return (
            template,
            repr(template),
            [outcome(template.render, text, errors) for text in many],
            outcome(template.render_many, many, errors),
            outcome(template.render_many, iter(many)),
            [outcome(template.render, text, errors, number) for text in many],
            outcome(template.render_many, many, errors, number),
            [outcome(template.render_into, room, offset, text, errors) for text in many],
            [outcome(template.render_into, room, offset, text, errors, number) for text in many],
            room,
            copy.copy(template),
            outcome(setattr, template, "prefix", b""),
            outcome(template.__init__, b"other", b"parts") and template.render("x"),
        )

    same(twins, use, parts, many, room, offset, middle, number)


@given(
    payload=payloads,
    slot=often(any_texts),
    inside=st.booleans(),
    event=st.one_of(st.none(), texts, anything),
    format=st.sampled_from(["sse", "sse", "ndjson", "xml", None]),
    number=st.one_of(st.none(), st.integers(-1, 12), st.integers(0, 2**54), anything),
)
@examples(300)
def test_frame_template_of_a_payload(twins, payload, slot, inside, event, format, number):
    def use(gs, payload, slot, event, number):
        held = [payload, {"t": slot, "n": number}] if inside else payload
        template = gs.FrameTemplate.of(held, slot, event=event, format=format, number=number)
        return template, template.render("x", number=number)

    same(twins, use, payload, slot, event, number)


# ---- values ----


@given(thing=things(), other=things(), name=texts)
@examples(400)
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
        def raw():
            return outcome(lambda: event.data_bytes)

        seen = [outcome(bytes, event), outcome(event.json), repr(event), event == other, raw()]
        for name, value in changes.items():
            setattr(event, name, value)
        seen += [event == copy.copy(event), event != other]
        return seen, event, raw(), outcome(bytes, event)

    same(twins, use, event, other, changes)


# ---- every public name is covered ----


def test_the_installed_library_encodes_and_reads(twins):
    class Library:
        option, line_option, default, fragment, only_plain = 1, 2, 3, None, False
        loads = staticmethod(lambda data: int(data))
        careful_loads = staticmethod(lambda *args: args)
        with_hook = staticmethod(lambda *args: args)
        spaced = staticmethod(lambda encoded: b"spaced " + encoded)

        @staticmethod
        def dumps(*args):
            return repr(args).encode()

        @staticmethod
        def careful_dumps(payload, newline, errors, hook=None):
            return f"careful {payload} {newline} {errors} {hook}".encode()

    class Failing(Library):
        @staticmethod
        def dumps(*_):
            raise ZeroDivisionError

    def use(gs):
        core = gs.core
        seen = []
        try:
            core.install_json(lambda: Library)
            seen += [core.encode_ndjson("é"), core.encode_sse(json="\x85"), core.read_json("7")]
            seen += [core.json_bytes([1], compact=False), core.json_bytes(1, default=5)]
            core.install_json(lambda: Failing)
            seen += [outcome(core.read_json, "x"), core.read_json("1" * 20)]
            seen += [core.read_json("x", "replace"), core.ServerSentEvent("y").json()]
            seen += [core.encode_ndjson("é"), core.encode_sse(json="\x85", errors="replace")]
            seen += [core.json_bytes("é", newline=True, default=5)]
        finally:
            core.install_json(core.load_json_library)
        return seen, core.encode_ndjson("é")

    same(twins, use)


def subclassed(kind):
    try:
        return bool(type("Sub", (kind,), {}))
    except TypeError:
        return False


def test_the_twins_have_the_same_names(twins):
    native, pure = (gs.core for gs in twins)
    names = twins[1].core.pure.__all__
    assert list(twins[0].core._core.__all__) == list(names)
    for name in names:
        first, second = getattr(native, name), getattr(pure, name)
        assert callable(first) is callable(second)
        if inspect.isclass(first):
            public = [{each for each in dir(kind) if each[0] != "_"} for kind in (first, second)]
            assert public[0] == public[1], name
            assert subclassed(first) is subclassed(second), name
            assert getattr(first, "__match_args__", 0) == getattr(second, "__match_args__", 0)


STATEFUL = ["Buffer", "LineSplitter", "SSEDecoder", "NDJSONDecoder", "SSEEncoder", "NDJSONEncoder"]


@pytest.mark.parametrize("name", [*STATEFUL, "ServerSentEvent"])
def test_a_subclass_may_have_arguments_of_its_own(twins, name):
    def use(gs):
        base = getattr(gs, name, None) or getattr(gs.core, name)

        class Named(base):
            def __init__(self, own):
                super().__init__()
                self.own = own

        return Named("x").own

    assert {use(gs) for gs in twins} == {"x"}


@pytest.mark.parametrize("name", STATEFUL)
def test_objects_with_a_state_cannot_be_copied(twins, name):
    for gs in twins:
        thing = (getattr(gs, name, None) or getattr(gs.core, name))()
        for again in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError):
                again(thing)


FUNCTIONS = ["checked_int", "encode_comment", "encode_ndjson", "encode_sse", "encode_sse_into",
             "escape_json", "json_bytes", "read_json"]  # fmt: skip
METHODS = {
    "Buffer": ["append", "take", "take_into", "truncate", "view"],
    "DeltaCollector": ["add", "add_other"],
    "FrameTemplate": ["of", "render", "render_into", "render_many"],
    "LineSplitter": ["close", "feed"],
    "NDJSONDecoder": ["close", "feed"],
    "SSEDecoder": ["close", "feed"],
    "BaseSSEEncoder": ["take", "take_into", "write", "write_event", "write_frame", "write_ready",
                       "set_templates"],
    "BaseNDJSONEncoder": ["write_line", "write_many", "write_text_line", "fail", "finish"],
}


def test_the_twins_take_the_same_arguments(twins):
    def shape(thing):
        parameters = inspect.signature(thing).parameters.values()
        return [(each.name, each.default) for each in parameters]

    native, pure = (gs.core for gs in twins)
    pairs = [(getattr(native, name), getattr(pure, name)) for name in FUNCTIONS]
    for name, methods in METHODS.items():
        for method in methods:
            pairs.append(tuple(getattr(getattr(core, name), method) for core in (native, pure)))
    for first, second in pairs:
        assert shape(first) == shape(second), first
