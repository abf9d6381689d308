"""json_bytes: every accepted type, written with both JSON libraries."""

import datetime as dt
import json
import math
import re
import uuid
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pydantic
import pytest
from json_payloads import (
    LIBRARIES,
    Choice,
    Colour,
    ConstantsModel,
    Flags,
    Label,
    Level,
    Many,
    Mapping,
    Measure,
    Model,
    OwnDumpModel,
    OwnJSONModel,
    Packed,
    Record,
    RecordText,
    RecordTuple,
    Slotted,
    Text,
    Titled,
    Undecorated,
    UndecoratedSlotted,
    UnknownZone,
    Whole,
    in_a_child,
    moment,
    needs_orjson,
    record,
)

from gaistream.core import json as _json
from gaistream.errors import FrameError


@pytest.fixture(params=LIBRARIES.values(), ids=LIBRARIES.keys())
def library(request):
    return request.param


# NATIVE: the output is orjson's own. HELPED: both libraries follow rules of gaistream.
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
    (moment(hours=8, minutes=59, seconds=30), '"2020-01-02T03:04:05+09:00"'),
    (moment(hours=23, minutes=59, seconds=59), '"2020-01-02T03:04:05+23:59"'),
    (moment(hours=-23, minutes=-59, seconds=-59), '"2020-01-02T03:04:05-23:59"'),
    (dt.time(1, 2, 3, 12_345), '"01:02:03.012345"'),
    (np.datetime64("1960-01"), '"1960-01-01T00:00:00"'),
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
def test_expects_of_native_types_what_orjson_would_write(payload, expected):
    import orjson

    assert orjson.dumps(payload, option=orjson.OPT_SERIALIZE_NUMPY).decode() == expected


@pytest.mark.parametrize(("payload", "expected"), NATIVE + HELPED)
def test_the_careful_path_writes_what_the_fast_path_writes(library, payload, expected):
    careful = library.library.careful_dumps([payload], True, "strict").decode()
    assert careful.replace("\u2028", "\\u2028") == f"[{expected}]\n"


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
    assert LIBRARIES["orjson"].dumps({text: text}) == LIBRARIES["json"].dumps({text: text})


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
def test_an_unknown_value_of_errors_is_refused(library, errors):
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


def test_a_library_does_not_escape_separators(library):
    called = library.library
    dumps, default = called.dumps, called.default
    assert dumps({"a": "\u2028"}, default, called.option) == '{"a":"\u2028"}'.encode()
    assert dumps([1, None], default, called.line_option) == b"[1,null]\n"
    if not called.only_plain:
        assert dumps([Model()], default, called.line_option) == b'[{"x":null,"f":null}]\n'
        with pytest.raises(TypeError):
            dumps({1}, default, called.option)


@pytest.mark.parametrize("slots", [False, True])
def test_a_pydantic_dataclass_is_dumped_by_pydantic(library, slots):
    @pydantic.dataclasses.dataclass(slots=slots)
    class Account:
        name: str
        password: str = pydantic.Field(exclude=True, default="secret")
        age: int | None = None
        when: dt.timedelta = dt.timedelta(seconds=90)

        @pydantic.field_serializer("age")
        def _(self, age: int | None) -> str:
            return f"{age} years"

    class Plain(Account):
        pass

    by_pydantic = pydantic.TypeAdapter(Account).dump_json(Account("a"))
    assert library.dumps(Account("a")) == by_pydantic
    assert library.dumps([Account("a")]) == b"[%b]" % by_pydantic
    assert b"secret" not in library.dumps({"k": Plain("b")})


def test_importing_it_imports_no_optional_library():
    heavy = "{'numpy', 'pydantic', 'msgspec', 'pydantic_core'}"
    program = f"import sys, gaistream.core.json; print({heavy} & {{*sys.modules}})"
    assert in_a_child(program) == "set()"


@pytest.mark.parametrize(("missing", "used"), [("orjson", "msgspec"), ("orjson msgspec", "json")])
def test_without_orjson_msgspec_serves_and_else_the_standard_library(missing, used):
    code = f"import sys; sys.modules.update(dict.fromkeys('{missing}'.split()));"
    code += "import gaistream as g; print(g.json_library, g.encode_ndjson([1.5, None]))"
    assert in_a_child(code) == f"{used} b'[1.5,null]\\n'"


FEATURES = re.findall(r"\b(orjson|msgspec\.json)\.([A-Za-z]\w+)", Path(_json.__file__).read_text())


@pytest.mark.parametrize(("library", "feature"), FEATURES)
@needs_orjson
def test_a_library_that_lacks_a_feature_is_passed_over(library, feature):
    code = f"import sys, {library}; del {library}.{feature};"
    code += "" if library == "orjson" else "sys.modules['orjson'] = None;"
    code += "import gaistream as g;"
    code += "print(g.encode_ndjson({'a': 1}), g.json_library)"  # the first use finds it out
    next_one = "msgspec" if library == "orjson" else "json"
    assert in_a_child(code) == f"b'{{\"a\":1}}\\n' {next_one}"


def test_the_module_binds_the_library_it_found():
    assert _json.json_library == next(iter(LIBRARIES))
    library = _json.library
    assert library.name == _json.json_library
    assert library.loads("[1]") == [1]
    assert library.dumps([1], library.default, library.option) == b"[1]"
    assert library.dumps([1], library.default, library.line_option) == b"[1]\n"
    assert library.careful_dumps(["\ud800"], False, "replace") == '["\ufffd"]'.encode()
