"""gaistream._json: what both libraries write, what they refuse, and that they agree."""

import dataclasses
import datetime as dt
import enum
import functools
import json
import math
import subprocess
import sys
import uuid
from collections import OrderedDict, namedtuple
from typing import Any, ClassVar

import msgspec
import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaistream import _json
from gaistream.errors import EncodeError, FrameError

LIBRARIES = {found.name: found for found in (_json.library, _json.STANDARD)}
needs_orjson = pytest.mark.skipif("orjson" not in LIBRARIES, reason="orjson is not installed")


@pytest.fixture(params=LIBRARIES.values(), ids=LIBRARIES.keys())
def library(request):
    return request.param


class Text(str):
    __slots__ = ()

    def __str__(self):
        return "not what it holds"


class Whole(int):
    def __index__(self):
        return 42


class Real(float):
    pass


class Many(list):
    def __iter__(self):
        return iter(["not what it holds"])


class Mapping(dict):
    def items(self):
        return {"not": "what it holds"}.items()


class Three(tuple):
    __slots__ = ()


class Moment(dt.datetime):
    pass


Point = namedtuple("Point", "x y")


class Colour(enum.Enum):
    RED = "red"
    PAIR = (1, ["x"])
    NOTHING = None
    BAD = frozenset()


class Level(enum.IntEnum):
    LOW = 1


class Label(str, enum.Enum):  # noqa: UP042 - the older kind
    ONE = "one"


class Titled(str, enum.Enum):  # noqa: UP042 - StrEnum takes one value
    ONE = "one", "Title"

    def __new__(cls, text, title):
        made = str.__new__(cls, text)
        made._value_ = title
        return made


class Measure(np.float64, enum.Enum):
    A = 1.5

    @property
    def value(self):
        return "Measure"


class Deep(enum.Enum):
    A = {"k": [1, {2}]}


class Flags(enum.Flag):
    A = 1
    B = 2


class ChoicesType(enum.EnumMeta):
    """Such as Django's: orjson knows enums only by the exact metaclass."""


class Choice(enum.Enum, metaclass=ChoicesType):
    A = "a"


@dataclasses.dataclass
class Record:
    a: Any = 1
    _hidden: int = 2
    shared: ClassVar[int] = 3
    given: dataclasses.InitVar[int] = 4
    later: int = dataclasses.field(init=False, default=5)

    @functools.cached_property
    def cached(self):
        return 6


@dataclasses.dataclass(slots=True)
class Slotted:
    a: Any = 1
    _hidden: int = 2
    later: int = dataclasses.field(init=False, default=5)


class Undecorated(Record):
    pass


class UndecoratedSlotted(Slotted):
    pass


@dataclasses.dataclass
class RecordText(str):
    a: int = 1


@dataclasses.dataclass
class RecordTuple(tuple):
    a: int = 1


class Model(pydantic.BaseModel):
    x: Any = None
    f: float | None = pydantic.Field(None, serialization_alias="number")


class ConstantsModel(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(ser_json_inf_nan="constants")
    f: float = math.inf


class OwnJSONModel(pydantic.BaseModel):
    def model_dump_json(self, **_):
        return '{"own":\n[NaN, 1e5, "\u2028"]}'


class OwnDumpModel(pydantic.BaseModel):
    def model_dump(self, **_):
        return {"own": math.nan}


class FailingModel(pydantic.BaseModel):
    def model_dump_json(self, **_):
        raise RuntimeError("no dump today")


class Packed(msgspec.Struct, rename={"x": "X"}, tag=True):
    x: Any = None


class UnknownZone(dt.tzinfo):
    def utcoffset(self, _):
        return None


class FailingZone(dt.tzinfo):
    def utcoffset(self, _):
        raise RuntimeError("no offset")


class FailingEnum(enum.Enum):
    A = 1

    @property
    def value(self):
        raise RuntimeError("no value")


def record(**attributes):
    made = Record()
    vars(made).update(attributes)
    return made


def moment(**offset):
    return dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.timezone(dt.timedelta(**offset)))


def nested(kind, depth, inside=1):
    for _ in range(depth):
        inside = kind(inside)
    return inside


def outcome(call, *args, **kwargs):
    """What a call gives: its bytes, or its exception in full."""
    try:
        return call(*args, **kwargs)
    except UnicodeEncodeError as error:
        return type(error), error.args
    except Exception as error:
        return type(error), str(error), type(error.__cause__)


# What orjson writes by itself, and so the authority; HELPED: what both write by our rules.
NATIVE = [
    (None, "null"),
    (True, "true"),
    (0, "0"),
    (2**64 - 1, "18446744073709551615"),
    (-(2**63), "-9223372036854775808"),
    (1.5, "1.5"),
    (-0.0, "-0.0"),
    (1e15, "1000000000000000.0"),
    (math.nan, "null"),
    ([math.inf, -math.inf], "[null,null]"),
    ("", '""'),
    ('é"\\/\x7f\x80 \U0001f600', '"é\\"\\\\/\x7f\x80 \U0001f600"'),
    (Text("x"), '"x"'),
    (Whole(3), "3"),
    (Many([1]), "[1]"),
    (Mapping(a=1), '{"a":1}'),
    ((1, (), [], {}), "[1,[],[],{}]"),
    (OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
    (dt.datetime(1, 1, 1), '"0001-01-01T00:00:00"'),
    (dt.datetime(2020, 1, 2, 3, 4, 5, 60), '"2020-01-02T03:04:05.000060"'),
    (dt.datetime(2020, 1, 2, tzinfo=dt.UTC), '"2020-01-02T00:00:00+00:00"'),
    (moment(hours=5, minutes=30), '"2020-01-02T03:04:05+05:30"'),
    (moment(hours=-5, minutes=-30), '"2020-01-02T03:04:05-05:30"'),
    (moment(seconds=29), '"2020-01-02T03:04:05+00:00"'),
    (moment(seconds=30), '"2020-01-02T03:04:05+00:01"'),
    (moment(seconds=-3), '"2020-01-02T03:04:05-00:00"'),
    (moment(seconds=-90, microseconds=-5), '"2020-01-02T03:04:05-00:02"'),
    (dt.datetime(2020, 1, 1, tzinfo=UnknownZone()), '"2020-01-01T00:00:00+00:00"'),
    (dt.date(2020, 1, 2), '"2020-01-02"'),
    (dt.time(1, 2, 3, 4), '"01:02:03.000004"'),
    (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
    (Colour.RED, '"red"'),
    (Colour.PAIR, '[1,["x"]]'),
    (Colour.NOTHING, "null"),
    (Level.LOW, "1"),
    (Label.ONE, '"one"'),
    (Titled.ONE, '"one"'),
    (Measure.A, '"Measure"'),
    (Flags.A | Flags.B, "3"),
    (Record(), '{"a":1}'),
    (record(extra=7, _secret=8), '{"a":1,"extra":7}'),
    (record(cached=Record().cached, later=9), '{"a":1,"cached":6,"later":9}'),
    (Slotted([Record(None)]), '{"a":[{"a":null}],"later":5}'),
    (RecordText("q"), '"q"'),
    (RecordTuple(), '{"a":1}'),
    (np.bool_(True), "true"),
    (np.int8(-5), "-5"),
    (np.uint64(2**64 - 1), "18446744073709551615"),
    (np.float64("nan"), "null"),
    (np.float32(0.1), "0.1"),
    (np.float16(0.1), "0.099975586"),
    (np.str_("x"), '"x"'),
    (np.datetime64("2021-02"), '"2021-02-01T00:00:00"'),
    (np.datetime64("2021-01-01T05:06:07.123456789"), '"2021-01-01T05:06:07.123456"'),
    (np.arange(6).reshape(2, 3), "[[0,1,2],[3,4,5]]"),
    (np.zeros((2, 0)), "[[],[]]"),
    (np.array([0.1, np.inf], "f4"), "[0.1,null]"),
    (np.array([0, 1], "M8[s]"), '["1970-01-01T00:00:00","1970-01-01T00:00:01"]'),
]
HELPED = [
    (Choice.A, '"a"'),
    (Undecorated(), '{"a":1}'),
    (UndecoratedSlotted(), '{"a":1,"later":5}'),
    (np.arange(6).reshape(2, 3).T, "[[0,3],[1,4],[2,5]]"),
    (np.array([0.1, 0.2, 0.3], "f4")[::2], "[0.1,0.3]"),
    (np.array([0, 1, 2], "M8[ns]")[::2], '["1970-01-01T00:00:00","1970-01-01T00:00:00"]'),
    (np.datetime64("1960-01-01T00:00:01.5"), '"1960-01-01T00:00:01.500000"'),
    (np.datetime64("9999-12-31"), '"9999-12-31T00:00:00"'),
    (np.datetime64("0000-01-01"), '"0000-01-01T00:00:00"'),
    (np.array(1.5), "1.5"),
    (np.array(["a", "b"]), '["a","b"]'),
    (np.array([{"a": np.arange(2)}, None]), '[{"a":[0,1]},null]'),
    (np.array([1.5, math.nan], "longdouble"), "[1.5,null]"),
    (np.longdouble(1.5), "1.5"),
    (np.ma.array([1, 2], mask=[0, 1]), "[1,null]"),
    (Model(x={1: {2}}, f=math.nan), '{"x":{"1":[2]},"f":null}'),
    (ConstantsModel(), '{"f":null}'),
    (OwnJSONModel(), '{"own":[null,100000.0,"\\u2028"]}'),
    (OwnDumpModel(), '{"own":null}'),
    (pydantic.RootModel[list[int]]([1]), "[1]"),
    (
        Packed([math.nan, b"x", Packed()]),
        '{"type":"Packed","X":[null,"eA==",{"type":"Packed","X":null}]}',
    ),
    (Packed({1: Slotted()}), '{"type":"Packed","X":{"1":{"a":1,"_hidden":2,"later":5}}}'),
]


@pytest.mark.parametrize(("payload", "expected"), NATIVE + HELPED)
def test_writes_every_accepted_type(library, payload, expected):
    assert library.dumps({"k": [payload]}).decode() == f'{{"k":[{expected}]}}'


@needs_orjson
@pytest.mark.parametrize(("payload", "expected"), NATIVE)
def test_expects_of_native_types_what_orjson_writes(payload, expected):
    import orjson

    assert orjson.dumps(payload, option=orjson.OPT_SERIALIZE_NUMPY).decode() == expected


@pytest.mark.parametrize(("payload", "expected"), NATIVE + HELPED)
def test_the_careful_path_writes_what_the_fast_path_writes(library, payload, expected):
    careful = library.careful_dumps([payload], True, "strict").decode()
    assert careful.replace("\u2028", "\\u2028") == f"[{expected}]\n"


REFUSED = [
    ({"items": [1, 2, 3, {"tags": {1}}]}, "cannot encode set at $.items[3].tags"),
    (b"x", "cannot encode bytes at $"),
    (bytearray(), "cannot encode bytearray at $"),
    ([1j], "cannot encode complex at $[0]"),
    ((object(),), "cannot encode object at $[0]"),
    (Real(1.5), "cannot encode Real at $"),
    (Three((1,)), "cannot encode Three at $"),
    (Point(1, 2), "cannot encode Point at $"),
    (Moment(2020, 1, 1), "cannot encode Moment at $"),
    (dt.timedelta(1), "cannot encode timedelta at $"),
    (dt.time(1, tzinfo=dt.UTC), "cannot encode time with tzinfo at $"),
    (Record, "cannot encode type at $"),
    (Colour, "cannot encode EnumType at $"),
    (Colour.BAD, "cannot encode frozenset at $"),
    ({"a": {1: 2}}, "dict key at $.a must be str, not int"),
    ({None: 1}, "dict key at $ must be str, not NoneType"),
    ([{Text("k"): 1}], "dict key at $[0] must be str, not Text"),
    ({Label.ONE: 1}, "dict key at $ must be str, not Label"),
    (record(a={2.5: 1}), "dict key at $.a must be str, not float"),
    ({"n": 2**64}, "integer at $.n exceeds 64 bits"),
    ([0, -(2**63) - 1], "integer at $[1] exceeds 64 bits"),
    (Whole(2**64), "integer at $ exceeds 64 bits"),
    ({"a b": {'"\n': {"\u00e9": {1}}}}, 'cannot encode set at $["a b"]["\\"\\n"].\u00e9'),
    ({"": ({1},)}, 'cannot encode set at $[""][0]'),
    ([Record(Slotted([Deep.A]))], "cannot encode set at $[0].a.a[0].k[1]"),
    (Model(x=[0, {"n": 2**70}]), "integer at $.x[1].n exceeds 64 bits"),
    (Packed([Packed(2**70)]), "integer at $.X[0].X exceeds 64 bits"),
    (np.array([None, {1}]), "cannot encode set at $[1]"),
    (np.array([1j]), "cannot encode numpy complex128 at $"),
    (np.complex64(1), "cannot encode numpy complex64 at $"),
    (np.timedelta64(1, "ns"), "cannot encode numpy timedelta64[ns] at $"),
    (np.bytes_(b"x"), "cannot encode numpy |S1 at $"),
]
FAILING = [
    (FailingModel(), "cannot encode FailingModel at $.a[0]: RuntimeError: no dump today"),
    (
        Model(x=object()),
        "cannot encode Model at $.a[0]: PydanticSerializationError: "
        "Unable to serialize unknown type: <class 'object'>",
    ),
    (
        Packed(object()),
        "cannot encode Packed at $.a[0]: TypeError: Encoding objects of type object is unsupported",
    ),
]
CRASHES_ORJSON = [
    (FailingEnum.A, "cannot encode FailingEnum at $.a[0]: RuntimeError: no value"),
    (
        dt.datetime(2020, 1, 1, tzinfo=FailingZone()),
        "cannot encode datetime at $.a[0]: RuntimeError: no offset",
    ),
    (
        Slotted.__new__(Slotted),
        "cannot encode Slotted at $.a[0]: AttributeError: ",
    ),
]


@pytest.mark.parametrize(("payload", "message"), REFUSED)
def test_refuses_all_else_naming_type_and_path(library, payload, message):
    for errors in ("strict", "replace"):
        with pytest.raises(EncodeError) as caught:
            library.dumps(payload, errors=errors)
        assert str(caught.value) == message
        assert caught.value.__cause__ is None


def test_a_path_through_a_repaired_key_can_be_printed(library):
    with pytest.raises(EncodeError, match=r'^cannot encode set at \$\["\\ud800"\]$'):
        library.dumps({"\ud800": {1}}, errors="replace")


@pytest.mark.parametrize(("payload", "message"), FAILING)
def test_an_exception_of_a_models_own_dump_is_the_cause_of_ours(library, payload, message):
    with pytest.raises(EncodeError) as caught:
        library.dumps({"a": [payload]})
    assert str(caught.value) == message
    assert type(caught.value.__cause__).__name__ == message.split(": ")[1]


@pytest.mark.parametrize(("payload", "message"), CRASHES_ORJSON)
def test_an_exception_of_a_users_attribute_is_the_cause_of_ours(payload, message):
    with pytest.raises(EncodeError) as caught:
        _json.STANDARD.dumps({"a": [payload]})
    assert str(caught.value).startswith(message)
    assert type(caught.value.__cause__).__name__ == message.split(": ")[1]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_inside_of_a_dump_comes_through(library, interrupt):
    interrupts = [interrupt]

    class Interrupted(pydantic.BaseModel):
        def model_dump(self, **_):
            if interrupts:
                raise interrupts.pop()
            return {}

    with pytest.raises(interrupt):
        library.dumps([Interrupted()])


def test_a_refusal_of_the_library_that_the_walk_cannot_explain_is_told_in_its_words():
    def refuse(*_):
        raise TypeError("not today")

    refusing = dataclasses.replace(_json.STANDARD, fast_dumps=refuse)
    with pytest.raises(EncodeError, match=r"^not today$"):
        refusing.dumps({"a": 1})


KINDS = {
    "list": (1, lambda inside: [inside]),
    "dict": (1, lambda inside: {"k": inside}),
    "dataclass": (1, Record),
    "tuple in list": (2, lambda inside: [(inside,)]),
    "slots in list": (2, lambda inside: [Slotted(inside)]),
    "model in list": (2, lambda inside: [Model.model_construct(x=inside)]),
}


@pytest.mark.parametrize(("levels", "kind"), KINDS.values(), ids=KINDS.keys())
def test_nesting_has_one_limit(library, levels, kind):
    deepest = library.dumps(nested(kind, _json.DEEPEST // levels))
    assert deepest == _json.STANDARD.dumps(nested(kind, _json.DEEPEST // levels))
    with pytest.raises(EncodeError, match=r"^nesting at \$.*\.\.\..* exceeds 254 levels$"):
        library.dumps(nested(kind, _json.DEEPEST // levels + 2 // levels))


def test_a_circular_structure_is_refused(library):
    circle: list[Any] = []
    circle.append({"again": Record(circle)})
    with pytest.raises(EncodeError) as caught:
        library.dumps(circle)
    assert str(caught.value) == (
        "nesting at $[0].again.a[0].again.a[0].again...[0].again.a[0].again.a[0].again"
        " exceeds 254 levels"
    )


def test_a_circle_through_a_tuple_is_refused():
    # orjson 3.13 does not look at the depth in a tuple, and can overflow the stack here.
    circle: list[Any] = []
    circle.append({"again": (circle,)})
    with pytest.raises(EncodeError, match=r"exceeds 254 levels$"):
        _json.STANDARD.dumps(circle)


def test_nested_tuples_beyond_the_interpreters_stack_are_refused():
    endless = nested(lambda inside: (inside,), 100_000)
    with pytest.raises(EncodeError, match="recursion limit"):
        _json.STANDARD.dumps(endless)


def test_an_enum_that_is_its_own_value_is_refused():
    class Own(enum.Enum):
        A = 1

    Own.A._value_ = Own.A
    with pytest.raises(EncodeError, match=r"^nesting at \$\[0\] exceeds 254 levels$"):
        _json.STANDARD.dumps([Own.A])


@pytest.mark.parametrize("moment", ["1969-12", "1960-01"])
def test_months_before_1970_are_written(moment):
    # orjson aborts the process on these.
    written = f'"{moment}-01T00:00:00"'
    assert _json.STANDARD.dumps(np.datetime64(moment)).decode() == written
    assert _json.library.careful_dumps(np.array([moment], "M8[M]"), False, "strict").decode() == (
        f"[{written}]"
    )


@pytest.mark.parametrize("moment", ["-0001-12-31", "10000-01-01", "NaT"])
def test_dates_without_a_year_of_four_digits_are_refused(library, moment):
    with pytest.raises(EncodeError) as caught:
        library.careful_dumps([np.array(moment, "M8[s]")], False, "strict")
    assert str(caught.value) == (
        "cannot encode datetime64 at $[0]: NaT or not in the years 0 to 9999"
    )


def test_an_offset_that_is_rounded_up_carries_into_the_hour():
    # orjson writes minute 60 here.
    written = _json.STANDARD.dumps(moment(hours=8, minutes=59, seconds=30))
    assert written == b'"2020-01-02T03:04:05+09:00"'


def test_a_time_has_six_digits_of_microseconds():
    # orjson 3.12 and 3.13 lose the leading zero of these.
    assert _json.STANDARD.dumps(dt.time(1, 2, 3, 12_345)) == b'"01:02:03.012345"'


LOW = "".join(map(chr, range(0x2100)))


def test_escapes_are_orjsons_but_for_the_three_line_separators(library):
    short = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
    for code, character in enumerate(LOW):
        escaped = code < 0x20 or code in (0x85, 0x2028, 0x2029)
        expected = short.get(code, f"\\u{code:04x}" if escaped else character)
        assert library.dumps(character).decode() == f'"{expected}"'
        assert library.dumps({character: 0}).decode() == f'{{"{expected}":0}}'


@needs_orjson
def test_both_escape_every_plane_alike():
    text = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000, 7)]))
    assert LIBRARIES["orjson"].dumps({text: text}) == _json.STANDARD.dumps({text: text})


SURROGATES = [
    ("a\ud800b", "a\ufffdb"),
    ({"k": ["\udfff\ud800"]}, {"k": ["\ufffd\ufffd"]}),
    ({"\ud83d\ude00": 1}, {"\ufffd\ufffd": 1}),
    (Text("\ud800"), "\ufffd"),
    (np.str_("\ud800"), "\ufffd"),
    (record(**{"a": "\ud800", "\ud801": 1}), {"a": "\ufffd", "\ufffd": 1}),
    (Slotted("\ud800"), {"a": "\ufffd", "later": 5}),
    (Model(x=["\u2028", Text("e")]).model_copy(update={"x": "\ud800"}), {"x": "\ufffd", "f": None}),
    (Packed("\ud800"), {"type": "Packed", "X": "\ufffd"}),
]


@pytest.mark.parametrize(("payload", "repaired"), SURROGATES)
def test_lone_surrogates_are_refused_or_replaced_one_by_one(library, payload, repaired):
    with pytest.raises(UnicodeEncodeError) as caught:
        library.dumps(payload)
    error = caught.value
    assert (error.encoding, error.reason) == ("utf-8", "surrogates not allowed")
    assert "\ufffd" in _json._SURROGATE.sub("\ufffd", error.object)
    assert error.object[error.start] in error.object
    written = library.dumps(payload, errors="replace", newline=True)
    assert json.loads(written) == repaired
    assert written.endswith(b"}\n" if isinstance(repaired, dict) else b'"\n')


@pytest.mark.parametrize("errors", ["ignore", None])
def test_an_unknown_way_of_errors_is_refused(library, errors):
    with pytest.raises(FrameError, match="errors must be 'strict' or 'replace', not"):
        library.dumps(1, errors=errors)


@pytest.mark.parametrize(
    ("payload", "spaced"),
    [
        ({"a": [1, {}], "b": {"c": None}}, '{"a": [1, {}], "b": {"c": null}}'),
        ({'k:,"\\': ':,",:\\'}, '{"k:,\\"\\\\": ":,\\",:\\\\"}'),
        (["\\", ",", "\\\\", ":"], '["\\\\", ",", "\\\\\\\\", ":"]'),
        ("a,b:c", '"a,b:c"'),
        (["\u2028,", "\u00e9:"], '["\\u2028,", "\u00e9:"]'),
        ([], "[]"),
    ],
)
def test_spaces_follow_structural_colons_and_commas_only(library, payload, spaced):
    assert library.dumps(payload, compact=False).decode() == spaced
    assert library.dumps(payload, compact=False, newline=True).decode() == spaced + "\n"


def test_a_newline_is_one_line_feed(library):
    assert library.dumps({"a": "\n"}, newline=True) == b'{"a":"\\n"}\n'
    assert library.dumps(["\ud800"], newline=True, errors="replace") == '["\ufffd"]\n'.encode()


def test_the_core_gets_bytes_without_escaped_separators(library):
    dumps, default = library.fast_dumps, _json.json_default
    assert dumps({"a": "\u2028"}, default, library.option) == '{"a":"\u2028"}'.encode()
    assert dumps([Model()], default, library.line_option) == b'[{"x":null,"f":null}]\n'
    with pytest.raises(TypeError):
        dumps({1}, default, library.option)


# ---- both libraries agree on everything ----

TEXTS = st.text(st.characters(exclude_categories=()), max_size=5)  # surrogates too
# orjson rounds 59 minutes and 30 seconds to minute 60, which no reader takes.
OFFSETS = (
    st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23))
    .filter(lambda offset: abs(offset // dt.timedelta(seconds=1)) % 3600 < 3570)
    .map(dt.timezone)
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.sampled_from([2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1]),
    st.floats(),
    TEXTS,
    TEXTS.map(Text),
    st.integers(-(2**65), 2**65).map(Whole),
    st.datetimes(timezones=st.none() | OFFSETS),
    st.dates(),
    # orjson 3.12 and 3.13 write 10000 to 99999 microseconds of a time with a digit too few.
    st.times().filter(lambda time: not 10_000 <= time.microsecond < 100_000),
    st.uuids(),
    st.sampled_from([*Colour, *Level, *Label, *Choice, Flags.A, Real(1.0), b"x", Point(1, 2), {1}]),
    st.floats(width=32).map(np.float32),
    st.floats(width=16).map(np.float16),
    st.integers(0, 4_000_000).map(lambda minutes: np.datetime64(minutes, "m")),
    st.lists(st.floats(width=32), max_size=3).map(lambda items: np.array(items, "f4")),
)
KEYS = TEXTS | st.sampled_from([1, None, Text("k"), Label.ONE])
PAYLOADS = st.recursive(
    SCALARS,
    lambda inside: st.one_of(
        st.lists(inside, max_size=4),
        st.lists(inside, max_size=4).map(tuple),
        st.lists(inside, max_size=2).map(Many),
        st.dictionaries(TEXTS, inside, max_size=4),
        st.dictionaries(KEYS, inside, max_size=2),
        inside.map(Record),
        inside.map(Slotted),
        inside.map(lambda item: record(**{"extra \u2028": item})),
        inside.map(lambda item: Model.model_construct(x=item)),
        inside.map(Packed),
    ),
    max_leaves=12,
)


def meaning(result):
    """An outcome in which floats count by value, and keys by their order."""
    if isinstance(result, bytes):
        assert b"\n" not in result[:-1]
        assert not set("\x85\u2028\u2029") & set(result.decode())
        return json.loads(result, object_pairs_hook=lambda pairs: ["dict", *pairs])
    return result


@needs_orjson
@given(PAYLOADS, st.sampled_from(["strict", "replace"]), st.booleans(), st.booleans())
def test_both_libraries_agree_on_any_payload(payload, errors, newline, compact):
    options = {"errors": errors, "newline": newline, "compact": compact}
    by_orjson = outcome(LIBRARIES["orjson"].dumps, payload, **options)
    by_standard = outcome(_json.STANDARD.dumps, payload, **options)
    assert repr(meaning(by_orjson)) == repr(meaning(by_standard))
    if errors == "replace" and isinstance(by_orjson, tuple):
        assert by_orjson[0] is EncodeError


LOADED = [
    ('{"a":[1,-0,1.5,1e5,"\\ud83d\\ude00\\u2028",true,null]}', None),
    (" \t\r\n1 ", 1),
    ('{"a":1,"a":2}', {"a": 2}),
    ("18446744073709551615", 2**64 - 1),
    ("-9223372036854775808", -(2**63)),
    ("18446744073709551616", 1.8446744073709552e19),
    ("-9223372036854775809", -9.223372036854776e18),
    ('"\\\\ud800"', "\\ud800"),
    ('"a\x7f\u2028"', "a\x7f\u2028"),
    ("[" * 200 + "]" * 200, None),
]
UNLOADED = [
    *("NaN", "Infinity", "-Infinity", "[NaN]", "1e400", "-1e400", "1 2", "", "[1,]", '{"a":1,}'),
    *("01", "1.", ".5", "+1", "-", "'a'", '"a', "[1", "{1:2}", "nul", "truee", "\u0661", '"\\x"'),
    *('"\x01"', '"\t"', '"\n"', "\ufeff1", "\x0c1", "\xa01", '"\ud800"', '"\\ud800"', '"\\udc00"'),
    *('{"\\udc00":1}', '"\\ud83d\\u0041"', b'"\xff"', b'"\xed\xa0\x80"', b"\xef\xbb\xbf1"),
    *(b"1\x00", b"1" * 5000, None, 1),
]


@pytest.mark.parametrize(("text", "value"), LOADED)
def test_reads_strict_json_of_any_kind_of_bytes(library, text, value):
    value = json.loads(text) if value is None else value
    data = text.encode()
    for given_data in (text, data, bytearray(data), memoryview(data)):
        loaded = library.loads(given_data)
        assert (type(loaded), loaded) == (type(value), value)


@pytest.mark.parametrize("data", UNLOADED)
def test_reads_nothing_else(library, data):
    with pytest.raises(json.JSONDecodeError):
        library.loads(data)
    if isinstance(data, str) and data.isascii():
        with pytest.raises(json.JSONDecodeError):
            library.loads(data.encode())


def test_what_is_nested_too_deep_is_a_decode_error(library):
    with pytest.raises(json.JSONDecodeError):
        library.loads("[" * 100_000 + "]" * 100_000)


FRAGMENTS = st.sampled_from(
    [*'{}[]:,"\\-+.eE0129 \t\n\r\x01\u00e9', "\\ud83d", "\\ude00", "1e308", "NaN", "null", '"a":']
)


@needs_orjson
@given(st.lists(FRAGMENTS, max_size=12).map("".join) | st.lists(FRAGMENTS).map('["{}"]'.format))
def test_both_libraries_read_the_same_texts_alike(text):
    def read(library):
        try:
            return repr(library.loads(text))
        except ValueError as error:
            return type(error).__mro__[-4]

    assert read(LIBRARIES["orjson"]) == read(_json.STANDARD)


def test_what_is_written_is_read_back(library):
    payload = {"k": ["\u2028\x85\U0001f600", 2**64 - 1, -1.5e-300, None, True, {"": []}]}
    assert library.loads(library.dumps(payload, newline=True, compact=False)) == payload


# ---- the module ----


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_it_imports_no_optional_library():
    heavy = "{'numpy', 'pydantic', 'msgspec', 'pydantic_core'}"
    assert run(f"import sys, gaistream._json as j; print(*({heavy} & set(sys.modules)))") == []


def test_without_orjson_the_standard_library_serves():
    code = "import sys; sys.modules['orjson'] = None; import gaistream._json as j;"
    assert run(code + "print(j.json_library, j.dumps([1.5, None]).decode())") == [
        "json",
        "[1.5,null]",
    ]


def test_the_module_binds_the_library_it_found():
    assert _json.json_library == ("orjson" if "orjson" in LIBRARIES else "json")
    assert _json.dumps({"a": 1}, newline=True) == b'{"a":1}\n'
    assert _json.loads("[1]") == [1]
    assert _json.fast_dumps([1], _json.json_default, _json.json_option) == b"[1]"
    assert _json.fast_dumps([1], _json.json_default, _json.json_line_option) == b"[1]\n"
    assert _json.careful_dumps(["\ud800"], False, "replace") == '["\ufffd"]'.encode()
