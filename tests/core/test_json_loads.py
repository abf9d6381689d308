"""read_json: strict JSON, with the same values from either library, on both twins."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_payloads import LIBRARIES, needs_orjson
from twin_input import examples


@pytest.fixture(params=LIBRARIES.values(), ids=LIBRARIES.keys())
def read(request, gs):
    """A twin's `read_json`, with each library."""
    library = request.param.library
    gs.core.install_json(lambda: library)
    yield gs.core.read_json
    gs.core.install_json(gs.core.load_json_library)


@pytest.fixture
def library(read, request):
    return LIBRARIES[request.node.callspec.params["read"].name]


LOADED = [
    ('{"a":[1,-0,1.5,1e5,"\\ud83d\\ude00\\u2028",true,null]}', None),
    (" \t\r\n1 ", 1),
    ('{"a":1,"a":2}', {"a": 2}),
    ("18446744073709551615", 2**64 - 1),
    ("-9223372036854775808", -(2**63)),
    ("18446744073709551616", 2**64),
    ("-9223372036854775809", -(2**63) - 1),
    (f'[{{"a":[ {2**70} ],"b":-{2**70},"c":"\u00e9"}},\n{2**64}]', None),
    ("1" * 4300, int("1" * 4300)),
    ("[1.12345678901234567890,123456789012345678901.5,12345678901234567890e0]", None),
    ('["12345678901234567890"," 12345678901234567890","a12345678901234567890"]', None),
    ('"\\\\ud800"', "\\ud800"),
    ('"a\x7f\u2028"', "a\x7f\u2028"),
    ("[" * 200 + "]" * 200, None),
]
UNLOADED = [
    *("NaN", "Infinity", "-Infinity", "[NaN]", "1e400", "-1e400", "1 2", "", "[1,]", '{"a":1,}'),
    *("01", "1.", ".5", "+1", "-", "'a'", '"a', "[1", "{1:2}", "nul", "truee", "\u0661", '"\\x"'),
    *('"\x01"', '"\t"', '"\n"', "\ufeff1", "\x0c1", "\xa01"),
    *(b'"\xff"', b'"\xed\xa0\x80"', b"\xef\xbb\xbf1", b"1\x00", b"1" * 5000, None, 1),
    *('["\\ud800"', '["\\ud800", NaN]', f"[{2**64}", f"[{2**64}, NaN]", '"\\ud8', '"\\ud8zz"'),
]
HALVES = {
    '"\ud800"': "\ufffd",
    '"\\ud800"': "\ufffd",
    '"\\uDC00"': "\ufffd",
    '{"\\udc00":1}': {"\ufffd": 1},
    '"\\ud83d\\u0041"': "\ufffdA",
    '"\\ud83d\\ud83d\\ude00\\ude00"': "\ufffd\U0001f600\ufffd",
    '"\\\\ud83d\\ud83d\\\\"': "\\ud83d\ufffd\\",
    '["\ud83d\ude00"]': ["\U0001f600"],
    f'["\\ud83d",{2**64}]': ["\ufffd", 2**64],
}


@pytest.mark.parametrize(("text", "value"), LOADED)
def test_reads_strict_json_of_any_kind_of_bytes(read, text, value):
    value = json.loads(text) if value is None else value
    data = text.encode()
    for given_data in (text, data, bytearray(data), memoryview(data)):
        for errors in ("strict", "replace"):
            loaded = read(given_data, errors)
            assert (type(loaded), repr(loaded)) == (type(value), repr(value))


@pytest.mark.parametrize("data", UNLOADED)
def test_invalid_json_is_refused(read, data):
    for errors in ("strict", "replace"):
        with pytest.raises(json.JSONDecodeError):
            read(data, errors)
        if isinstance(data, str) and data.isascii():
            with pytest.raises(json.JSONDecodeError):
                read(data.encode(), errors)


@pytest.mark.parametrize(("text", "value"), HALVES.items())
def test_half_a_surrogate_pair_raises_or_is_replaced(read, text, value):
    assert read(text, "replace") == value
    with pytest.raises(json.JSONDecodeError):
        read(text)
    if text.isascii():
        assert read(bytearray(text.encode()), "replace") == value


def test_too_deep_nesting_is_a_decode_error(read):
    with pytest.raises(json.JSONDecodeError):
        read("[" * 100_000 + "]" * 100_000)


FRAGMENTS = st.sampled_from(
    [*'{}[]:,"\\-+.eE0129 \t\n\r\x01\u00e9', "1" * 19, "2" * 20, "\\ud83d", "\\ude00", "1e308",
     "NaN", "null", '"a":']
)  # fmt: skip
TEXTS = st.lists(FRAGMENTS, max_size=12).map("".join) | st.lists(FRAGMENTS).map('["{}"]'.format)


@needs_orjson
@given(text=TEXTS, errors=st.sampled_from(["strict", "replace"]))
@examples(300)
def test_both_libraries_read_the_same_texts_alike(both, errors, text):
    def outcome(read):
        try:
            return repr(read(text, errors))
        except ValueError as error:
            return type(error).__mro__[-4]

    for gs in both:
        assert outcome(gs.core.read_json) == outcome(gs.core.json.library.careful_loads)


def test_written_payloads_are_read_back(read, library):
    payload = {"k": ["\u2028\x85\U0001f600", 2**64 - 1, -(2**90), -1.5e-300, None, True, {"": []}]}
    assert read(library.dumps(payload, newline=True, compact=False)) == payload
