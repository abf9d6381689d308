"""json_bytes: orjson, msgspec and the standard library write the same of any payload."""

import datetime as dt
import gc
import json
import weakref

import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_payloads import (
    LIBRARIES,
    STANDARD,
    Choice,
    Colour,
    Flags,
    Label,
    Level,
    Many,
    Model,
    Packed,
    Point,
    Real,
    Record,
    Slotted,
    Text,
    Whole,
    in_a_child,
    record,
)

from gaistream.core import json_bytes, json_types
from gaistream.errors import EncodeError


def outcome(call, *args, **kwargs):
    """Return the result of a call, or its exception in full."""
    try:
        return call(*args, **kwargs)
    except UnicodeEncodeError as error:
        return type(error), error.args
    except Exception as error:
        return type(error), str(error), type(error.__cause__)


TEXTS = st.text(st.characters(exclude_categories=()), max_size=5)  # surrogates too
DAY = dt.timedelta(days=1) - dt.timedelta.resolution  # no offset is longer
OFFSETS = st.timedeltas(-DAY, DAY).map(dt.timezone)
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
    st.times(),
    st.uuids(),
    st.sampled_from([*Colour, *Level, *Label, *Choice, Flags.A, Real(1.0), b"x", Point(1, 2), {1}]),
    st.floats(width=32).map(np.float32),
    st.floats(width=16).map(np.float16),
    st.integers(-4_000_000, 4_000_000).map(lambda minutes: np.datetime64(minutes, "m")),
    st.integers(-9999, 9999).map(lambda months: np.datetime64(months, "M")),
    st.lists(st.floats(width=32), max_size=3).map(lambda items: np.array(items, "f4")),
    st.lists(st.floats(), max_size=3).map(np.array),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3).map(lambda items: np.array(items, "i8")),
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
    """Return an outcome in which floats compare by value and keys by their order."""
    if isinstance(result, bytes):
        assert b"\n" not in result[:-1]
        assert not set("\x85\u2028\u2029") & set(result.decode())
        return json.loads(result, object_pairs_hook=lambda pairs: ["dict", *pairs])
    return result


@given(PAYLOADS, st.sampled_from(["strict", "replace"]), st.booleans(), st.booleans())
def test_all_libraries_agree_on_any_payload(payload, errors, newline, compact):
    options = {"errors": errors, "newline": newline, "compact": compact}
    by_standard = outcome(STANDARD.dumps, payload, **options)
    for library in LIBRARIES.values():
        written = outcome(library.dumps, payload, **options)
        assert repr(meaning(written)) == repr(meaning(by_standard))
    if errors == "replace" and isinstance(by_standard, tuple):
        assert by_standard[0] is EncodeError


@given(st.datetimes(timezones=st.none() | OFFSETS))
def test_a_datetime_is_read_back_to_the_minute_of_its_offset(value):
    written = [library.dumps(value) for library in LIBRARIES.values()]
    assert len(set(written)) == 1
    read = dt.datetime.fromisoformat(json.loads(written[0]))
    assert read.replace(tzinfo=None) == value.replace(tzinfo=None)
    if value.tzinfo is None:
        assert read.tzinfo is None
    else:
        assert abs(read.utcoffset() - value.utcoffset()) < dt.timedelta(minutes=1)


@given(st.times())
def test_a_time_is_read_back(value):
    for library in LIBRARIES.values():
        assert dt.time.fromisoformat(json.loads(library.dumps(value))) == value


# ---- arrays, in every layout ----


class Kind(np.ndarray):
    pass


def unaligned(array):
    held = np.zeros(array.nbytes + 1, "u1")
    moved = held[1:].view(array.dtype).reshape(array.shape)
    moved[...] = array
    return moved


def read_only(array):
    array.flags.writeable = False
    return array


LAYOUTS = {
    "contiguous": lambda array: array,
    "read-only": read_only,
    "transposed": lambda array: array.T,
    "reversed": lambda array: array[::-1],
    "every second": lambda array: array[:, ::2],
    "repeated": lambda array: np.broadcast_to(array[0], (2, 3)),
    "unaligned": unaligned,
    "swapped": lambda array: array.astype(array.dtype.newbyteorder()),
    "Fortran's": np.asfortranarray,
    "subclass": lambda array: array.view(Kind),
    "matrix": lambda array: array.view(np.matrix),
    "no dimension": lambda array: np.array(array[0, 0]),
    "one dimension": lambda array: array[0],
    "four dimensions": lambda array: array.reshape(1, 2, 1, 3),
    "empty": lambda array: array[:, :0],
    "scalar": lambda array: array[0, 1],
}
DTYPES = ["?", *"bBhHiIlLqQ", "e", "f", "d", "g", "M8[s]", "M8[M]"]


@pytest.mark.filterwarnings("ignore:.*matrix:PendingDeprecationWarning")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_both_write_an_array_of_any_type_and_layout_alike(layout, dtype):
    array = layout(np.array([[0, 1, 100], [7, 50, 3]]).astype(dtype))
    written = [library.dumps({"k": [array]}) for library in LIBRARIES.values()]
    assert len(set(written)) == 1
    if array.dtype.kind != "M":
        assert json.loads(written[0]) == {"k": [array.tolist()]}


@pytest.mark.parametrize("dtype", ["e", "f", "d", "g"])
def test_non_finite_numbers_in_an_array_are_null(dtype):
    array = np.array([1.5, np.nan, np.inf, -np.inf], dtype)
    for library in LIBRARIES.values():
        assert library.dumps(array) == b"[1.5,null,null,null]"
        assert library.dumps([array[1], array[0]]) == b"[null,1.5]"


LONGEST = {
    "?": False,
    **{code: np.iinfo(code).min for code in "bhiq"},
    **{code: np.iinfo(code).max for code in "BHIQ"},
    "e": -6.104e-05,
    "f": -1.1754944e-38,
    "d": -1.2345678901234567e-100,
}


def test_no_array_writes_past_the_memory_it_has():
    # orjson 3.13 does so with 164 of the longest float64.
    code = f"""
        import numpy as np
        from gaistream.core import json_bytes
        for dtype, longest in {LONGEST}.items():
            for length in range(0, 800):
                json_bytes(np.full(length, longest, dtype))
            for rows in range(1, 30):
                json_bytes(np.full((rows, rows), longest, dtype))
        print("whole")"""
    assert in_a_child(code.replace("\n        ", "\n"), PYTHONMALLOC="debug") == "whole"


# ---- the cache of converters ----


def test_few_of_endlessly_created_classes_are_kept_alive():
    def alive():
        gc.collect()
        return sum(made() is not None for made in classes)

    classes = []
    for _ in range(2000):
        made = type("Made", (), {"__dataclass_fields__": {}})
        classes.append(weakref.ref(made))
        assert json_bytes([made()]) == b"[{}]"
        del made
    assert alive() <= json_types.converter_of.cache_info().maxsize < 2000


def test_replacing_a_method_of_a_model_later_takes_effect():
    class Later(pydantic.BaseModel):
        pass

    assert json_bytes(Later()) == b"{}"
    Later.model_dump = lambda _, **__: {"now": 1}
    assert json_bytes(Later()) == b'{"now":1}'
