"""Payloads to JSON bytes and back, by the installed JSON library.

The library is a `gaistream.core.json.Library`, loaded with the first payload. Deep payloads reach
its `dumps` in parts, each written for itself and put into the one around it, or not at all; JSON
with long integers never reaches its `loads`. Line separators are escaped in the output. Twin of
src/payloads.pxi.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Any, Final

from gaistream.core.separators import escape_separators

from .text import check_errors

DEEPEST_FAST: Final = 48  # orjson 3.13 writes past its buffer where nesting is much deeper
DEEPEST: Final = 254  # beyond it the careful way refuses the payload
_CONTAINERS: Final = (dict, list, tuple)
_FLAT: Final = frozenset({str, int, float, bool, type(None)})
# Integers beyond 64 bits: 20 digits, or a minus and 19, and no fraction.
_LONG: Final = b"0" * 19
_DIGITS: Final = bytes(0x30 if 0x30 <= code <= 0x39 else 0 for code in range(256))
_NO_DIGITS: Final = bytes(code for code in range(256) if not 0x30 <= code <= 0x39)
_LONG_INTEGER: Final = re.compile(
    rb"(?:^|[\[,: \t\r\n])(?:-[0-9]{19}|[0-9]{20})[0-9]*(?![0-9.eE])"
)


def _not_installed() -> Any:
    raise RuntimeError("no JSON library is installed: import gaistream, not one of its twins alone")


class _Installed:
    """The JSON library, and the function that loads it."""

    load: Callable[[], Any] = _not_installed
    library: Any = None


def install_json(load: Callable[[], Any]) -> None:
    """Set the function that returns the JSON library; it is called with the first payload."""
    _Installed.load = load
    _Installed.library = None


def _load_library() -> Any:
    _Installed.library = _Installed.load()
    return _Installed.library


def nests_deeper(payload: object, levels: int = DEEPEST_FAST) -> bool:
    """Return whether dicts, lists and tuples are nested more than `levels` deep.

    Raises RecursionError if the interpreter's stack ends first.
    """
    return _deeper(payload, int.__pos__(levels))


def _deeper(payload: object, levels: int) -> bool:
    if not isinstance(payload, _CONTAINERS):
        return False
    if levels <= 0:
        return True
    items = dict.values(payload) if isinstance(payload, dict) else payload
    try:
        for each in items:
            if type(each) not in _FLAT and _deeper(each, levels - 1):
                return True
    except RecursionError:
        raise
    except RuntimeError:  # another thread changes the dict: read a copy, made in one step
        return _deeper(list(items), levels)
    return False


def _is_plain(payload: object, levels: int) -> bool:
    """True for exact types of JSON, nested at most `levels` deep."""
    if type(payload) in _FLAT:
        return True
    if levels <= 0:
        return False
    if type(payload) is dict:
        fields = dict.items(payload.copy())
        return all(type(key) is str and _is_plain(item, levels - 1) for key, item in fields)
    if type(payload) is list or type(payload) is tuple:
        return all(_is_plain(item, levels - 1) for item in payload)
    return False


def _in_parts(library: Any, convert: Any, payload: Any, left: int) -> tuple[Any, int]:
    """Return a container and its height, at most 48 levels: parts of a higher one are fragments.

    Raises ValueError if more than `left` levels are nested, or for a container that the careful
    way must see.
    """
    if left <= 0:
        raise ValueError("too deep")
    if isinstance(payload, tuple) and type(payload) is not tuple:
        raise ValueError("a subclass of tuple")
    fields: dict[Any, Any]
    if isinstance(payload, dict):
        fields = dict.copy(payload)
    else:  # whatever the class of a list overrides
        fields = dict(enumerate(list.copy(payload) if isinstance(payload, list) else payload))
    height = 0
    for key, item in fields.items():
        if type(item) in _FLAT or not isinstance(item, _CONTAINERS):
            continue
        part, inside = _in_parts(library, convert, item, left - 1)
        if inside >= DEEPEST_FAST:
            part, inside = library.fragment(library.dumps(part, convert, library.option)), 0
        fields[key] = part
        if inside > height:
            height = inside
    return fields if isinstance(payload, dict) else [*fields.values()], height + 1


def _write_guarded(library: Any, payload: Any, newline: bool, replace: bool, hook: Any) -> Any:
    """Write a payload that is deep, or for a library that must get only plain ones."""
    errors = "replace" if replace else "strict"
    fits = _is_plain(payload, DEEPEST) if library.only_plain else library.fragment is not None
    if not fits:
        return library.careful_dumps(payload, newline, errors, hook)
    try:
        option = library.line_option if newline else library.option
        convert = library.default if hook is None else library.with_hook(library.default, hook)
        whole = library.only_plain
        parts = payload if whole else _in_parts(library, convert, payload, DEEPEST)[0]
        return library.dumps(parts, convert, option)
    except Exception:
        return library.careful_dumps(payload, newline, errors, hook)


def write_json(
    payload: Any, newline: bool, replace: bool, hook: Callable[[Any], Any] | None = None
) -> bytes:
    """Return a payload as JSON, with an LF if `newline`; `hook` may convert unknown values."""
    library = _Installed.library or _load_library()
    encoded: bytes
    if library.only_plain or _deeper(payload, DEEPEST_FAST):
        encoded = _write_guarded(library, payload, newline, replace, hook)
    else:
        try:
            option = library.line_option if newline else library.option
            convert = library.default if hook is None else library.with_hook(library.default, hook)
            encoded = library.dumps(payload, convert, option)
        except Exception:
            errors = "replace" if replace else "strict"
            encoded = library.careful_dumps(payload, newline, errors, hook)
    return encoded if encoded.isascii() else escape_separators(encoded)


def json_bytes(
    payload: Any,
    *,
    newline: bool = False,
    errors: str = "strict",
    compact: bool = True,
    default: Callable[[Any], Any] | None = None,
) -> bytes:
    """Return a payload as JSON in UTF-8, on one line, with U+0085, U+2028 and U+2029 escaped.

    Args:
        payload: any JSON payload.
        newline: whether an LF follows.
        errors: "strict", or "replace" for U+FFFD in place of lone surrogates.
        compact: False: a space after every colon and comma outside of strings.
        default: converts values that JSON has no type for; what it raises is the cause of an
            EncodeError.

    Raises:
        EncodeError: a payload that JSON cannot express; the message names the type and the path.
        UnicodeEncodeError: a lone surrogate, with errors="strict".
    """
    encoded = write_json(payload, newline, check_errors(errors), default)
    return encoded if compact else (_Installed.library or _load_library()).spaced(encoded)


def holds_long_integer(data: object) -> bool:
    """True if JSON holds an integer beyond 64 bits, or text that looks like one."""
    if type(data) is bytes:
        octets = data
    elif isinstance(data, str):
        octets = str.encode(data, errors="replace")
    elif isinstance(data, bytes | bytearray | memoryview):
        octets = bytes(data)
    else:
        return False
    if len(octets) > 512 and not octets[18::19].translate(None, _NO_DIGITS):
        return False  # a run of 19 digits would have one of these
    return octets.translate(_DIGITS).find(_LONG) >= 0 and _LONG_INTEGER.search(octets) is not None


def json_value(data: Any, replace: bool = True) -> Any:
    """Return the value of JSON."""
    library = _Installed.library or _load_library()
    if holds_long_integer(data):
        return library.careful_loads(data, "replace" if replace else "strict")
    try:
        return library.loads(data)
    except ValueError:
        if replace:
            with contextlib.suppress(ValueError):
                return library.careful_loads(data, "replace")
        raise


def read_json(data: bytes | bytearray | memoryview | str, errors: str = "strict") -> Any:
    """Return the value of strict JSON; an integer may have any size.

    Args:
        data: the JSON; bytes are UTF-8.
        errors: half a surrogate pair, in an escape or in a str, is an error with "strict" and
            U+FFFD with "replace".

    Raises:
        ValueError: the data is not JSON.
    """
    return json_value(data, check_errors(errors))
