"""gaistream._json: both libraries read strict JSON, and the same values."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_payloads import LIBRARIES, needs_orjson

from gaistream import _json


@pytest.fixture(params=LIBRARIES.values(), ids=LIBRARIES.keys())
def library(request):
    return request.param


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
