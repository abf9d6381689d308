"""JSON libraries under one contract: the only file that knows one.

orjson is used where it can be imported and has every feature needed here, else msgspec, which has
wheels for the Pythons that orjson has none for, else the standard library. All write and read the
same:

- A payload is None, bool, int, float (null unless finite), str, list, tuple, dict with str keys,
  dataclass, Enum, datetime, date, time, UUID, numpy array or scalar, pydantic model or dataclass,
  or msgspec Struct (these dump themselves), nested at most 254 levels deep. Anything else is an
  `EncodeError` that names the type and the path.
- Where orjson has rules, they hold for all: fields with a leading underscore are left out; a
  subclass of str, int, list or dict is written as one, but a key must be an exact str; a subclass
  of float or tuple is refused. Only integers differ: any size is written and read.

How: the library tries first. If it refuses, the payload is walked to find the path or to replace
lone surrogates, and text is read again by the standard library. orjson never sees what it gets
wrong or crashes on: most times, dataclasses, some arrays, integers beyond 64 bits (it reads them
as floats), nesting beyond 48 levels (orjson 3.13 may write past its buffer): that is written in
parts. One crash cannot be kept from it: an Enum whose `value` raises. msgspec gets only exact types
of JSON, because it has rules for any other, which no option turns off.
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

from ..errors import EncodeError
from .json_types import Unencodable, converter_of, numpy_to_plain, to_plain

DEEPEST: Final = 254  # orjson's limit; it holds for lists and dicts, and a tuple above them counts
_BASES: Final = (str, int, list, dict)  # subclasses, Enums too, are written as these
_EXACT: Final = frozenset({*_BASES, bool, float, tuple, type(None)})
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SURROGATE_OR_ESCAPE: Final = re.compile("[\ud800-\udfff]|\\\\u[dD][89a-fA-F]")
_ESCAPE: Final = re.compile(  # a pair, half of one (group 1), or any other
    r"\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(u[dD][89a-fA-F][\da-fA-F]{2})|.)",
    re.DOTALL,
)
# The numpy types that orjson may write: bool, integers, and floats below 64 bits. For an array of
# the longest float64, such as -1.2345678901234567e-100, it takes too little room.
_FRAGMENTS: Final = frozenset("?bBhHiIlLqQef")
_READABLE: Final = (bytes, bytearray, memoryview, str)
_STRING: Final = re.compile(rb'("(?:[^"\\]++|\\.)*+")')


def _strict(text: str) -> str:
    text.encode()  # raises if there is a lone surrogate
    return text


def _converted(value: Any, convert: Callable[[Any], Any]) -> Any:
    """Return a value as a scalar, list, tuple or dict whose items are not converted yet."""
    for _ in range(DEEPEST):  # an Enum may be its own value
        cls = type(value)
        if cls in _EXACT or isinstance(value, _BASES):
            return value
        try:
            value = convert(value)
        except Unencodable:
            raise
        except Exception as error:
            reason = f": {type(error).__name__}: {error}"
            raise Unencodable(f"cannot encode {cls.__name__} at", reason) from error
    raise Unencodable("nesting at", f" exceeds {DEEPEST} levels")


def _plain(
    value: Any, depth: int, clean: Callable[[str], str], convert: Callable[[Any], Any]
) -> Any:
    """Copy a value inside `depth` containers, all through, to exact types of JSON."""
    if type(value) not in _EXACT:
        value = _converted(value, convert)
    if isinstance(value, str):
        return clean(str.__str__(value))
    if value is None or type(value) is bool:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return _printable(int.__index__(value))
    if depth >= DEEPEST and not isinstance(value, tuple):
        raise Unencodable("nesting at", f" exceeds {DEEPEST} levels")
    keyed, keys, copies = isinstance(value, dict), [], []
    iterate = list.__iter__ if isinstance(value, list) else tuple.__iter__  # no override counts
    # One function, so that the deepest payload takes few frames of the interpreter.
    for step, item in list(dict.items(value) if keyed else enumerate(iterate(value))):
        if keyed:
            if type(step) is not str:
                raise Unencodable("dict key at", f" must be str, not {_kind_of_key(step)}")
            keys.append(clean(step))
        try:
            copies.append(_plain(item, depth + 1, clean, convert))
        except Unencodable as error:
            named = isinstance(step, str) and step.isidentifier()
            error.path.append(f".{step}" if named else f"[{json.dumps(step)}]")
            raise
    if keyed:
        return dict(zip(keys, copies, strict=True))
    return tuple(copies) if isinstance(value, tuple) else copies


def _printable(value: int) -> int:
    if value.bit_length() > 2000:  # no interpreter refuses fewer
        try:
            repr(value)
        except ValueError:
            most = sys.get_int_max_str_digits()
            raise Unencodable("integer at", f" has more than {most} digits") from None
    return value


def _kind_of_key(key: object) -> str:
    kind = type(key).__name__
    if key is None or isinstance(key, str | int | float):
        kind += ": the standard library's json would write it as a string, so pass str keys"
    return kind


def _plain_copy(
    payload: object, errors: str, convert: Callable[[Any], Any] = to_plain
) -> Any:
    clean = _strict if errors == "strict" else partial(_SURROGATE.sub, "\ufffd")
    try:
        return _plain(payload, 0, clean, convert)
    except Unencodable as error:
        raise EncodeError(str(error)) from error.__cause__
    except RecursionError as error:
        raise EncodeError("nesting at $ exceeds the interpreter's recursion limit") from error


def _standard_dumps(payload: object, _default: object, option: int | None) -> bytes:
    text = _ENCODER.encode(_plain_copy(payload, "strict"))
    return f"{text}\n".encode() if option else text.encode()


def _finite(text: str) -> float:
    if math.isfinite(number := float(text)):
        return number
    raise ValueError(f"{text:.20} is not a finite number")


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))
_DECODER: Final = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)
_LENIENT_DECODER: Final = json.JSONDecoder()


def _text_of(data: bytes | bytearray | memoryview | str) -> str:
    if type(data) not in _READABLE:
        raise json.JSONDecodeError("Input must be bytes, bytearray, memoryview, or str", "", 0)
    return data if isinstance(data, str) else bytes(data).decode()


def _standard_loads(data: bytes | bytearray | memoryview | str) -> Any:
    try:
        text = _text_of(data)
        value = _DECODER.decode(text)
        if _SURROGATE_OR_ESCAPE.search(text):
            json.dumps(value, ensure_ascii=False).encode()  # raises if a lone one is left
    except json.JSONDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        raise json.JSONDecodeError(str(error), "", 0) from error
    return value


def whole_text(text: str) -> str:
    """Return text whose adjacent halves of surrogate pairs are joined, each other one U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def whole_json(text: str) -> str:
    """Return JSON treated likewise; in JSON a half may be an escape, too."""
    if _SURROGATE.search(text):
        text = whole_text(text)
    return _ESCAPE.sub(lambda found: "\\ufffd" if found[1] else found[0], text)


def lenient_loads(data: bytes | bytearray | memoryview | str) -> Any:
    """Return the value of JSON that may hold lone surrogates, NaN, Infinity and -Infinity.

    Raises ValueError.
    """
    try:
        return _LENIENT_DECODER.decode(_text_of(data))
    except RecursionError as error:
        raise ValueError("nesting exceeds the interpreter's recursion limit") from error


@dataclasses.dataclass(frozen=True)
class Library:
    """A JSON library as the core calls it; the core escapes line separators in the output.

    `dumps(payload, default, option)` writes a payload nested at most 48 levels deep and raises
    any exception; `default` converts values that the library does not know or gets wrong.
    `option` is for plain JSON, `line_option` adds an LF. `loads(data)` reads strict JSON without
    lone surrogates and with integers of at most 64 bits; it raises ValueError.

    `fragment(encoded)` returns an object that `dumps` writes as this JSON, for what is nested
    deeper; None if there is none. With `only_plain`, `dumps` gets only exact types of JSON, nested
    up to `DEEPEST` levels.
    """

    name: str
    dumps: Callable[[Any, Callable[[Any], Any] | None, int | None], bytes]
    default: Callable[[Any], Any]
    loads: Callable[[bytes | bytearray | memoryview | str], Any]
    option: int
    line_option: int
    fragment: Callable[[bytes], Any] | None = None
    only_plain: bool = False

    @staticmethod
    def with_hook(
        convert: Callable[[Any], Any], hook: Callable[[Any], Any]
    ) -> Callable[[Any], Any]:
        """Return a function that asks `hook` about values that `convert` cannot convert."""

        def convert_or_ask(value: Any) -> Any:
            try:
                return convert(value)
            except Unencodable:
                pass
            return hook(value)

        return convert_or_ask

    def careful_dumps(
        self, payload: object, newline: bool, errors: str, hook: Callable[[Any], Any] | None = None
    ) -> bytes:
        """Write a payload that `dumps` refused or must not see.

        Raises EncodeError, which names the type and the path, or UnicodeEncodeError for a lone
        surrogate unless `errors` is "replace".
        """
        cause = getattr(sys.exception(), "__cause__", None)
        if isinstance(cause, KeyboardInterrupt | SystemExit):  # raised inside `default`
            raise cause
        convert = to_plain if hook is None else self.with_hook(to_plain, hook)
        text = _ENCODER.encode(_plain_copy(payload, errors, convert))
        return f"{text}\n".encode() if newline else text.encode()

    @staticmethod
    def careful_loads(data: bytes | bytearray | memoryview | str, errors: str) -> Any:
        """Read JSON that `loads` cannot: long integers, and with "replace" lone surrogates."""
        if errors != "replace":
            return _standard_loads(data)
        text = _text_of(data)
        return _standard_loads(whole_json(text) if _SURROGATE_OR_ESCAPE.search(text) else text)

    @staticmethod
    def spaced(encoded: bytes) -> bytes:
        """Return JSON with a space after every colon and comma outside of strings."""
        parts = _STRING.split(encoded)  # every second one is a string
        parts[::2] = [part.replace(b":", b": ").replace(b",", b", ") for part in parts[::2]]
        return b"".join(parts)


def orjson_library() -> Library:
    """Return orjson under the contract.

    Raises ImportError if it is missing, AttributeError if it lacks a feature.
    """
    import orjson

    dumps, fragment, numpy = orjson.dumps, orjson.Fragment, orjson.OPT_SERIALIZE_NUMPY

    def default(value: Any) -> Any:
        cls: Any = type(value)
        if cls is date or (cls is datetime and (value.tzinfo is None or value.tzinfo is UTC)):
            return dumps(value)[1:-1].decode()  # right for these, and faster than isoformat()
        convert = converter_of(cls)
        dtype = value.dtype if convert is numpy_to_plain else None
        if dtype is not None and dtype.char in _FRAGMENTS and dtype.isnative:
            if value.shape and not value.flags.carray:
                value = value.copy()  # contiguous and aligned
            try:
                return fragment(dumps(value, None, numpy))
            except TypeError:  # without a dimension, or a subclass
                pass
        return convert(value)

    option = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
    line_option = option | orjson.OPT_APPEND_NEWLINE
    return Library("orjson", dumps, default, orjson.loads, option, line_option, fragment)


def msgspec_library() -> Library:
    """Return msgspec under the contract.

    Raises ImportError if it is missing, AttributeError if it lacks a feature.
    """
    import msgspec.json

    encoder, decode = msgspec.json.Encoder(), msgspec.json.Decoder().decode
    encode, encode_lines = encoder.encode, encoder.encode_lines

    def dumps(payload: Any, _default: object, option: int | None) -> bytes:
        return encode_lines((payload,)) if option else encode(payload)

    def loads(data: bytes | bytearray | memoryview | str) -> Any:
        try:
            if type(data) in _READABLE:
                return decode(data)
        except Exception:  # its errors have no position
            return _standard_loads(data)
        return _standard_loads(data)

    return Library("msgspec", dumps, to_plain, loads, 0, 1, only_plain=True)


def best_library() -> Library:
    """Return the first library that can be imported and has every feature needed."""
    for load in (orjson_library, msgspec_library):
        try:
            return load()
        except (ImportError, AttributeError):
            pass
    return STANDARD


STANDARD: Final = Library("json", _standard_dumps, to_plain, _standard_loads, 0, 1)
library: Final = best_library()
json_library = library.name
"""The library that encodes payloads: "orjson", else "msgspec" if that is installed, else "json"."""
