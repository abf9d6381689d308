"""Objects to JSON bytes and back: the only file that knows a JSON library.

orjson does it where it can be imported, the standard library elsewhere, under one contract. A
payload is None, bool, int, float (not finite: null), str, list, tuple, dict with str keys,
dataclass, Enum, datetime, date, time, UUID, numpy array or scalar, pydantic model or dataclass, or
msgspec Struct (these as they dump themselves), nested at most 254 deep; all else is an
`EncodeError` that names type and path. Where orjson has rules of its own (fields with a leading
underscore stay out, a subclass of str is a str, an Enum too, but not as a key; one of float or
tuple is nothing), they are ours, but for integers: they have any size, written and read. How: the
library tries first; only if it refuses is the payload walked, to find the path or to replace lone
surrogates, or is a text read by the standard library. orjson is kept from what it gets wrong or
dies of: most times, dataclasses, some arrays, integers beyond 64 bits (which it reads as floats),
nesting beyond 48 levels (where it, 3.13, may write past its buffer). Not in our reach: it dies of
an Enum whose `value` raises.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, Final

from ..errors import EncodeError, FrameError
from . import install_json, nests_deeper
from .json_types import Refused, form, form_of, numpy_form

DEEPEST: Final = 254  # orjson's limit; it holds for lists and dicts, and a tuple above them counts
_BASES: Final = (str, int, list, dict)  # their subclasses, Enums too, are taken for them
_EXACT: Final = frozenset({*_BASES, bool, float, tuple, type(None)})
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SURROGATE_OR_ESCAPE: Final = re.compile("[\ud800-\udfff]|\\\\u[dD][89a-fA-F]")
_ESCAPE: Final = re.compile(  # a pair, half of one (group 1), or any other
    r"\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(u[dD][89a-fA-F][\da-fA-F]{2})|.)",
    re.DOTALL,
)
_ESCAPES: Final = tuple((code.encode(), b"\\u%04x" % ord(code)) for code in "\x85\u2028\u2029")
# The numpy types that orjson may write: bool, integers, and floats below 64 bits. For an array of
# the longest float64, such as -1.2345678901234567e-100, it takes too little room.
_FRAGMENTS: Final = frozenset("?bBhHiIlLqQef")
_STRING: Final = re.compile(rb'("(?:[^"\\]++|\\.)*+")')


def _strict(text: str) -> str:
    text.encode()  # raises if there is a lone surrogate
    return text


def _with_hook(give: Callable[[Any], Any], hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what asks `give` for the form of a value, and `hook` if it has none."""

    def form_or_hook(value: Any) -> Any:
        try:
            return give(value)
        except Refused:
            pass
        return hook(value)

    return form_or_hook


def _unwrapped(value: Any, give: Callable[[Any], Any]) -> Any:
    """Give a value, or what stands for it: a scalar, list, tuple or dict not yet looked into."""
    for _ in range(DEEPEST):  # an Enum may be its own value
        cls = type(value)
        if cls in _EXACT or isinstance(value, _BASES):
            return value
        try:
            value = give(value)
        except Refused:
            raise
        except Exception as error:
            said = f": {type(error).__name__}: {error}"
            raise Refused(f"cannot encode {cls.__name__} at", said) from error
    raise Refused("nesting at", f" exceeds {DEEPEST} levels")


def _plain(
    value: Any, depth: int, clean: Callable[[str], str], give: Callable[[Any], Any]
) -> Any:
    """Copy what stands inside of `depth` containers into plain values, or refuse it."""
    if type(value) not in _EXACT:
        value = _unwrapped(value, give)
    if isinstance(value, str):
        return clean(str.__str__(value))
    if value is None or type(value) is bool:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return _written_integer(int.__index__(value))
    if depth >= DEEPEST and not isinstance(value, tuple):
        raise Refused("nesting at", f" exceeds {DEEPEST} levels")
    keyed, keys, copies = isinstance(value, dict), [], []
    held = list.__iter__ if isinstance(value, list) else tuple.__iter__  # not a subclass's own
    # All of it in this one frame, so that the deepest payload takes few of the interpreter's.
    for step, inside in list(dict.items(value) if keyed else enumerate(held(value))):
        if keyed:
            if type(step) is not str:
                raise Refused("dict key at", f" must be str, not {_kind_of_key(step)}")
            keys.append(clean(step))
        try:
            copies.append(_plain(inside, depth + 1, clean, give))
        except Refused as refused:
            named = isinstance(step, str) and step.isidentifier()
            refused.path.append(f".{step}" if named else f"[{json.dumps(step)}]")
            raise
    if keyed:
        return dict(zip(keys, copies, strict=True))
    return tuple(copies) if isinstance(value, tuple) else copies


def _written_integer(value: int) -> int:
    if value.bit_length() > 2000:  # no interpreter refuses fewer
        try:
            repr(value)
        except ValueError:
            most = sys.get_int_max_str_digits()
            raise Refused("integer at", f" has more than {most} digits") from None
    return value


def _kind_of_key(key: object) -> str:
    kind = type(key).__name__
    if key is None or isinstance(key, str | int | float):
        kind += ": the standard library's json would write it as a string, so pass str keys"
    return kind


def _plain_copy(payload: object, errors: str, give: Callable[[Any], Any] = form) -> Any:
    clean = _strict if errors == "strict" else partial(_SURROGATE.sub, "\ufffd")
    try:
        return _plain(payload, 0, clean, give)
    except Refused as refused:
        raise EncodeError(str(refused)) from refused.__cause__
    except RecursionError as error:
        raise EncodeError("nesting at $ exceeds the interpreter's recursion limit") from error


def _standard_dumps(obj: object, _default: object, option: int | None) -> bytes:
    text = _ENCODER.encode(_plain_copy(obj, "strict"))
    return f"{text}\n".encode() if option else text.encode()


def _spaced(encoded: bytes) -> bytes:
    parts = _STRING.split(encoded)  # every second one is a string
    parts[::2] = [part.replace(b":", b": ").replace(b",", b", ") for part in parts[::2]]
    return b"".join(parts)


def _finite(text: str) -> float:
    if math.isfinite(number := float(text)):
        return number
    raise ValueError(f"{text:.20} is not a finite number")


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))
_DECODER: Final = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)
_LENIENT_DECODER: Final = json.JSONDecoder()


def _decoded(data: bytes | bytearray | memoryview | str) -> str:
    if type(data) not in (bytes, bytearray, memoryview, str):
        raise json.JSONDecodeError("Input must be bytes, bytearray, memoryview, or str", "", 0)
    return data if isinstance(data, str) else bytes(data).decode()


def _standard_loads(data: bytes | bytearray | memoryview | str) -> Any:
    try:
        text = _decoded(data)
        value = _DECODER.decode(text)
        if _SURROGATE_OR_ESCAPE.search(text):
            json.dumps(value, ensure_ascii=False).encode()  # raises if a lone one is left
    except json.JSONDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        raise json.JSONDecodeError(str(error), "", 0) from error
    return value


def whole_text(text: str) -> str:
    """Join the halves of surrogate pairs that meet, and replace each other half by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def whole_json(text: str) -> str:
    """Do the same within JSON, where halves are escapes too."""
    if _SURROGATE.search(text):
        text = whole_text(text)
    return _ESCAPE.sub(lambda found: "\\ufffd" if found[1] else found[0], text)


def careful_loads(data: bytes | bytearray | memoryview | str, errors: str) -> Any:
    """Read what `loads` of a library cannot: long integers, and with "replace" lone surrogates."""
    if errors != "replace":
        return _standard_loads(data)
    text = _decoded(data)
    return _standard_loads(whole_json(text) if _SURROGATE_OR_ESCAPE.search(text) else text)


def lenient_loads(data: bytes | bytearray | memoryview | str) -> Any:
    """Read JSON in which lone surrogates, NaN, Infinity and -Infinity are what they are.

    Raises ValueError.
    """
    try:
        return _LENIENT_DECODER.decode(_decoded(data))
    except RecursionError as error:
        raise ValueError("nesting exceeds the interpreter's recursion limit") from error


@dataclasses.dataclass(frozen=True)
class Library:
    """A JSON library behind the contract.

    `fast_dumps(payload, default, option)` raises anything and escapes no separators; `default`
    gives what stands for what the library does not know, or is not trusted with; `loads` takes
    strict JSON without lone surrogates and with integers of 64 bits, and raises ValueError.
    """

    name: str
    fast_dumps: Callable[[Any, Callable[[Any], Any] | None, int | None], bytes]
    default: Callable[[Any], Any]
    loads: Callable[[bytes | bytearray | memoryview | str], Any]
    option: int
    line_option: int

    def dumps(
        self,
        obj: object,
        *,
        newline: bool = False,
        errors: str = "strict",
        compact: bool = True,
        default: Callable[[Any], Any] | None = None,
    ) -> bytes:
        """Write a payload as JSON in UTF-8, on one line, U+0085, U+2028 and U+2029 escaped.

        `newline` adds an LF; `errors` is "strict" or, to write U+FFFD for lone surrogates,
        "replace"; `compact=False` puts a space behind every colon and comma outside of strings;
        `default` returns what stands for a value that JSON cannot say otherwise.
        Raises EncodeError, which names the type and the path, or UnicodeEncodeError.
        """
        if errors != "strict" and errors != "replace":
            raise FrameError(f"errors must be 'strict' or 'replace', not {errors!r}")
        if nests_deeper(obj):
            encoded = self.careful_dumps(obj, newline, errors, default)
        else:
            try:
                option = self.line_option if newline else self.option
                give = self.default if default is None else _with_hook(self.default, default)
                encoded = self.fast_dumps(obj, give, option)
            except Exception:
                encoded = self.careful_dumps(obj, newline, errors, default)
        if not encoded.isascii():
            for separator, escape in _ESCAPES:
                encoded = encoded.replace(separator, escape)
        return encoded if compact else _spaced(encoded)

    def careful_dumps(
        self,
        obj: object,
        newline: bool,
        errors: str,
        default: Callable[[Any], Any] | None = None,
    ) -> bytes:
        """Do what `fast_dumps` could not, or say why not, as `dumps` does."""
        cause = getattr(sys.exception(), "__cause__", None)
        if isinstance(cause, KeyboardInterrupt | SystemExit):  # out of the default
            raise cause
        give = form if default is None else _with_hook(form, default)
        text = _ENCODER.encode(_plain_copy(obj, errors, give))  # never orjson: see nests_deeper
        return f"{text}\n".encode() if newline else text.encode()


def orjson_library() -> Library:
    """Return orjson behind the contract.

    Raises ImportError if it is missing, AttributeError if it is too old.
    """
    import orjson

    dumps, fragment, numpy = orjson.dumps, orjson.Fragment, orjson.OPT_SERIALIZE_NUMPY

    def default(value: Any) -> Any:
        cls: Any = type(value)
        if cls is date or (cls is datetime and (value.tzinfo is None or value.tzinfo is UTC)):
            return dumps(value)[1:-1].decode()  # right for these, and faster than isoformat()
        give = form_of(cls)
        if give is numpy_form and (dtype := value.dtype).char in _FRAGMENTS and dtype.isnative:
            if value.shape and not value.flags.carray:
                value = value.copy()  # contiguous and aligned
            try:
                return fragment(dumps(value, None, numpy))
            except TypeError:  # without a dimension, or a subclass
                pass
        return give(value)

    option = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
    line_option = option | orjson.OPT_APPEND_NEWLINE
    return Library("orjson", dumps, default, orjson.loads, option, line_option)


STANDARD: Final = Library("json", _standard_dumps, form, _standard_loads, 0, 1)
try:
    library = orjson_library()
except (ImportError, AttributeError):
    library = STANDARD
json_library = library.name
"""What encodes payloads: "orjson" if it is there and has all that is used, else "json"."""

# What the core calls on its hot path: fast_dumps(payload, json_default, json_option), or with
# json_line_option for an LF; where that raises anything, careful_dumps(payload, newline, errors).
# To read: loads(data), or careful_loads(data, errors).
fast_dumps, loads = library.fast_dumps, library.loads
json_default, json_option, json_line_option = library.default, library.option, library.line_option
dumps, careful_dumps = library.dumps, library.careful_dumps
install_json(
    fast_dumps, json_default, json_option, json_line_option, careful_dumps, loads, careful_loads
)
