"""json_bytes: a refusal names type and path, and no payload ends the process."""

import dataclasses
import datetime as dt
import enum
from decimal import Decimal
from typing import Any

import numpy as np
import pydantic
import pytest
from json_payloads import (
    LIBRARIES,
    STANDARD,
    Colour,
    Deep,
    FailingEnum,
    FailingModel,
    Installed,
    Label,
    Model,
    Moment,
    Packed,
    Point,
    Real,
    Record,
    Slotted,
    Text,
    Three,
    Whole,
    in_a_child,
    nested,
    record,
)

from gaistream.core import json as _json
from gaistream.errors import EncodeError


@pytest.fixture(params=LIBRARIES.values(), ids=LIBRARIES.keys())
def library(request):
    return request.param


WRITTEN_AS = "the standard library's json would write it as"
STRING = f": {WRITTEN_AS} a string, so pass str keys"
REFUSED = [
    ({"items": [1, 2, 3, {"tags": {1}}]}, "cannot encode set at $.items[3].tags"),
    (b"x", "cannot encode bytes at $"),
    (bytearray(), "cannot encode bytearray at $"),
    ([1j], "cannot encode complex at $[0]"),
    ((object(),), "cannot encode object at $[0]"),
    (Real(1.5), f"cannot encode Real at $: {WRITTEN_AS} a number; pass float(value)"),
    (Three((1,)), f"cannot encode Three at $: {WRITTEN_AS} a list; pass list(value)"),
    (
        Point(1, 2),
        f"cannot encode Point at $: {WRITTEN_AS} a list; pass value._asdict()",
    ),
    (Moment(2020, 1, 1), "cannot encode Moment at $"),
    (dt.timedelta(1), "cannot encode timedelta at $"),
    (dt.time(1, tzinfo=dt.UTC), "cannot encode time with tzinfo at $"),
    (Record, "cannot encode type at $"),
    (Colour, "cannot encode EnumType at $"),
    (Colour.BAD, "cannot encode frozenset at $"),
    ({"a": {1: 2}}, f"dict key at $.a must be str, not int{STRING}"),
    ({None: 1}, f"dict key at $ must be str, not NoneType{STRING}"),
    ([{Text("k"): 1}], f"dict key at $[0] must be str, not Text{STRING}"),
    ({Label.ONE: 1}, f"dict key at $ must be str, not Label{STRING}"),
    (record(a={2.5: 1}), f"dict key at $.a must be str, not float{STRING}"),
    (record(_a={1}, b=2.5j), "cannot encode complex at $.b"),
    ({"n": 10**4300}, "integer at $.n has more than 4300 digits"),
    ([0, -(10**9999)], "integer at $[1] has more than 4300 digits"),
    ([Whole(10**4300)], "integer at $[0] has more than 4300 digits"),
    ({"a b": {'"\n': {"\u00e9": {1}}}}, 'cannot encode set at $["a b"]["\\"\\n"].\u00e9'),
    ({"": ({1},)}, 'cannot encode set at $[""][0]'),
    ([Record(Slotted([Deep.A]))], "cannot encode set at $[0].a.a[0].k[1]"),
    (Model(x=[0, {"n": 10**4300}]), "integer at $.x[1].n has more than 4300 digits"),
    (Packed([Packed(10**4300)]), "integer at $.X[0].X has more than 4300 digits"),
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


@pytest.mark.parametrize(("payload", "message"), REFUSED)
def test_other_values_are_refused_with_type_and_path(library, payload, message):
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


# Each of these would crash orjson if it reached it.
DEADLY = [
    (
        "dt.datetime(2020, 1, 1, tzinfo=FailingZone())",
        "cannot encode datetime at $.a[0]: RuntimeError: no offset",
    ),
    ("Slotted.__new__(Slotted)", "cannot encode Slotted at $.a[0]: AttributeError: "),
    ("Guarded.__new__(Guarded)", "cannot encode Guarded at $.a[0]: RuntimeError: no getting"),
]


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize(("payload", "message"), DEADLY)
def test_an_exception_inside_a_value_is_reported_and_does_not_end_the_process(
    name, payload, message
):
    told = in_a_child(
        "from json_payloads import *\nfrom json_payloads import _json\n"
        f"try: LIBRARIES[{name!r}].dumps({{'a': [{payload}]}})\n"
        "except _json.EncodeError as error: print(error, type(error.__cause__).__name__)"
    )
    assert told.startswith(message)
    assert told.endswith(message.split(": ")[1])


@pytest.mark.parametrize("name", LIBRARIES)
def test_months_before_1970_do_not_end_the_process(name):
    code = "from json_payloads import *\nmonths = np.array(['1969-12', '0000-02'], 'M8[M]')\n"
    code += f"print(*(LIBRARIES[{name!r}].dumps(each).decode() for each in (months, months[0])))"
    assert in_a_child(code) == (
        '["1969-12-01T00:00:00","0000-02-01T00:00:00"] "1969-12-01T00:00:00"'
    )


def test_an_exception_of_an_enums_value_is_the_cause_of_ours():
    # orjson 3.13 crashes, and the value cannot be kept from it.
    with pytest.raises(EncodeError) as caught:
        STANDARD.dumps({"a": [FailingEnum.A]})
    assert str(caught.value) == "cannot encode FailingEnum at $.a[0]: RuntimeError: no value"
    assert type(caught.value.__cause__) is RuntimeError


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_inside_a_dump_is_raised(library, interrupt):
    interrupts = [interrupt]

    class Interrupted(pydantic.BaseModel):
        def model_dump(self, **_):
            if interrupts:
                raise interrupts.pop()
            return {}

    with pytest.raises(interrupt):
        library.dumps([Interrupted()])


def test_a_payload_that_only_the_library_refuses_is_written():
    def refuse(*_):
        raise TypeError("not today")

    refusing = Installed(dataclasses.replace(_json.STANDARD, dumps=refuse))
    assert refusing.dumps({"a": 1}) == b'{"a":1}'


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
    assert deepest == STANDARD.dumps(nested(kind, _json.DEEPEST // levels))
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
    # orjson 3.13 does not count the depth in a tuple, and can overflow the stack here.
    circle: list[Any] = []
    circle.append({"again": (circle,)})
    with pytest.raises(EncodeError, match=r"exceeds 254 levels$"):
        STANDARD.dumps(circle)


def test_nested_tuples_beyond_the_interpreters_stack_are_refused():
    endless = nested(lambda inside: (inside,), 100_000)
    with pytest.raises(EncodeError, match="recursion limit"):
        STANDARD.dumps(endless)


def test_an_enum_that_is_its_own_value_is_refused():
    # orjson 3.13 crashes on this one, too.
    class Own(enum.Enum):
        A = 1

    Own.A._value_ = Own.A
    with pytest.raises(EncodeError, match=r"^nesting at \$\[0\] exceeds 254 levels$"):
        STANDARD.dumps([Own.A])


@pytest.mark.parametrize("moment", ["-0001-12-31", "10000-01-01", "NaT"])
def test_dates_without_a_year_of_four_digits_are_refused(library, moment):
    with pytest.raises(EncodeError) as caught:
        library.library.careful_dumps([np.array(moment, "M8[s]")], False, "strict")
    assert str(caught.value) == (
        "cannot encode datetime64 at $[0]: NaT or not in the years 0 to 9999"
    )


# ---- default= ----

HOOKED = [
    ({"amount": Decimal("1.50"), "tags": {"a"}}, b'{"amount":"1.50","tags":["a"]}'),
    ([Point(1, 2), Real(1.5), b"x"], b'[[1,2],1.5,"x"]'),
    (record(a=Decimal(1), b=[{2}]), b'{"a":"1","b":[[2]]}'),
    (Decimal("2"), b'"2"'),
    (nested(lambda inside: [inside], 60, Decimal(1)), b"[" * 60 + b'"1"' + b"]" * 60),
    ([Model(x=1), Colour.RED], None),  # the hook is not asked for these
]


def stands_for(value):
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, set | tuple):
        return [*value]
    if isinstance(value, float):
        return float(value)
    if isinstance(value, bytes):
        return value.decode()
    raise TypeError("unknown")


@pytest.mark.parametrize(("payload", "expected"), HOOKED, ids=lambda value: type(value).__name__)
def test_a_hook_converts_values_that_json_has_no_type_for(library, payload, expected):
    for errors in ("strict", "replace"):
        dumped = library.dumps(payload, errors=errors, default=stands_for)
        assert dumped == (library.dumps(payload) if expected is None else expected)


def test_an_exception_of_a_hook_is_reported_with_the_path(library):
    with pytest.raises(EncodeError) as caught:
        library.dumps({"a": [1j]}, default=stands_for)
    assert str(caught.value) == "cannot encode complex at $.a[0]: TypeError: unknown"
    assert isinstance(caught.value.__cause__, TypeError)
    with pytest.raises(EncodeError, match=r"^nesting at \$ exceeds 254 levels$"):
        library.dumps(1j, default=lambda value: value)
    with pytest.raises(EncodeError, match=r"^dict key at \$ must be str, not bytes$"):
        library.dumps({b"k": 1}, default=stands_for)
    with pytest.raises(KeyboardInterrupt):
        library.dumps(1j, default=interrupted)


def interrupted(_):
    raise KeyboardInterrupt
