"""Text to bytes: UTF-8 with surrogates refused or repaired, JSON strings, lines, payloads.

Everything here is strict by default and says exactly what is wrong; `errors="replace"` writes
U+FFFD instead. JSON payloads are encoded by functions of gaistream/core/json.py, for this
package knows no JSON library. Twin of src/text.pxi.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Any, Final

from gaistream.errors import FrameError, FrameTypeError

from .buffer import readable

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
# What JSON itself demands, and the three characters on which httpx and requests split lines.
_ESCAPED: Final = re.compile('[\x00-\x1f"\\\\\x85\u2028\u2029]')
_ESCAPES: Final = {
    **{chr(code): f"\\u{code:04x}" for code in (*range(0x20), 0x85, 0x2028, 0x2029)},
    "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\",
}


# What a JSON library of 64 bits would round: 20 digits, or a minus and 19, and no fraction.
_LONG: Final = b"0" * 19
_DIGITS: Final = bytes(0x30 if 0x30 <= code <= 0x39 else 0 for code in range(256))
_NO_DIGITS: Final = bytes(code for code in range(256) if not 0x30 <= code <= 0x39)
_LONG_INTEGER: Final = re.compile(
    rb"(?:^|[\[,: \t\r\n])(?:-[0-9]{19}|[0-9]{20})[0-9]*(?![0-9.eE])"
)

# orjson (3.13 and before) writes beyond its buffer where nesting is much deeper than this.
DEEPEST_FAST: Final = 48
_NESTING: Final = (dict, list, tuple)
_FLAT: Final = frozenset({str, int, float, bool, type(None)})


def check_errors(errors: object) -> bool:
    """Give whether bad text is to be repaired."""
    if errors == "strict":
        return False
    if errors == "replace":
        return True
    raise FrameError(f"errors must be 'strict' or 'replace', not {errors!r}")


def utf8(text: str, replace: bool) -> bytes:
    """Encode a str; a lone surrogate raises UnicodeEncodeError, or becomes U+FFFD."""
    text = str.__str__(text)  # a subclass may say something else
    try:
        return text.encode()
    except UnicodeEncodeError:
        if not replace:
            raise
    return _SURROGATE.sub("\ufffd", text).encode()


def text_bytes(field: str, data: object, replace: bool) -> bytes:
    """Give str or UTF-8 bytes as bytes; bytes that are not UTF-8 raise, or are repaired."""
    if isinstance(data, str):
        return utf8(data, replace)
    held = bytes(readable(field, data, "str, bytes, bytearray or memoryview"))
    try:
        held.decode()
    except UnicodeDecodeError:
        if not replace:
            raise
        return held.decode(errors="replace").encode()
    return held


def lines_of(data: bytes) -> list[bytes]:
    """Split at every CRLF, CR and LF; a trailing line end makes a trailing empty line."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return data.split(b"\n")


def _escape(match: re.Match[str]) -> str:
    return _ESCAPES[match[0]]


def escape_json(text: str, errors: str = "strict") -> bytes:
    """Escape a str for the inside of a JSON string, without the quotes, in UTF-8.

    The output equals orjson's, except that U+0085, U+2028 and U+2029 are always escaped.
    """
    return escaped(text, check_errors(errors))


def escaped(text: object, replace: bool) -> bytes:
    """Escape a str for the inside of a JSON string."""
    if not isinstance(text, str):
        raise FrameTypeError(f"text must be str, not {type(text).__name__}")
    text = str.__str__(text)  # a subclass may say something else
    safe = _ESCAPED.sub(_escape, text)
    try:
        return safe.encode()
    except UnicodeEncodeError:
        return _ESCAPED.sub(_escape, utf8(text, replace).decode()).encode()


def _not_installed(*_: Any) -> Any:
    raise RuntimeError("no JSON library is installed: import gaistream, not one of its twins alone")


class _JSON:
    """What gaistream/core/json.py installed."""

    dumps: Callable[..., bytes] = _not_installed
    default: Any = None
    option: Any = None
    line_option: Any = None
    careful: Callable[[Any, bool, str], bytes] = _not_installed
    loads: Callable[[Any], Any] = _not_installed
    careful_loads: Callable[[Any, str], Any] | None = None


def install_json(
    dumps: Callable[..., bytes],
    default: Any,
    option: Any,
    line_option: Any,
    careful: Callable[[Any, bool, str], bytes],
    loads: Callable[[Any], Any],
    careful_loads: Callable[[Any, str], Any] | None = None,
) -> None:
    """Install the JSON library: `dumps(obj, default, option)`, and `careful` where that fails.

    `loads(data)` reads; `careful_loads(data, errors)`, if there is one, reads integers beyond 64
    bits, and lone surrogates.
    """
    _JSON.dumps = dumps
    _JSON.default = default
    _JSON.option = option
    _JSON.line_option = line_option
    _JSON.careful = careful
    _JSON.loads = loads
    _JSON.careful_loads = careful_loads


def nests_deeper(payload: object, levels: int = DEEPEST_FAST) -> bool:
    """Tell whether dicts, lists and tuples stand in each other more than so many levels deep.

    Raises RecursionError where neither that nor the interpreter's stack suffices.
    """
    return _deeper(payload, int.__pos__(levels))


def _deeper(payload: object, levels: int) -> bool:
    if not isinstance(payload, _NESTING):
        return False
    if levels <= 0:
        return True
    held = dict.values(payload) if isinstance(payload, dict) else payload
    try:
        for each in held:
            if type(each) not in _FLAT and _deeper(each, levels - 1):
                return True
    except RecursionError:
        raise
    except RuntimeError:  # another thread changes the dict: look at a copy, which is made at once
        return _deeper(list(held), levels)
    return False


def json_bytes(payload: Any, newline: bool, replace: bool) -> bytes:
    """Give a payload in JSON, its line separators escaped, with an LF behind it if asked."""
    errors = "replace" if replace else "strict"
    if _deeper(payload, DEEPEST_FAST):
        encoded = _JSON.careful(payload, newline, errors)
    else:
        try:
            option = _JSON.line_option if newline else _JSON.option
            encoded = _JSON.dumps(payload, _JSON.default, option)
        except Exception:
            encoded = _JSON.careful(payload, newline, errors)
    if encoded.isascii():
        return encoded
    for separator in (b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2\x80\xa9"):
        if separator in encoded:  # JSON has non-ASCII only inside strings
            encoded = encoded.replace(separator, _ESCAPES[separator.decode()].encode())
    return encoded


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
        return False  # no run of 19 digits: it would have one of these
    return octets.translate(_DIGITS).find(_LONG) >= 0 and _LONG_INTEGER.search(octets) is not None


def json_value(data: Any, replace: bool = True) -> Any:
    """Read one JSON value."""
    careful = _JSON.careful_loads
    if careful is None:
        return _JSON.loads(data)
    if holds_long_integer(data):
        return careful(data, "replace" if replace else "strict")
    try:
        return _JSON.loads(data)
    except ValueError:
        if replace:
            with contextlib.suppress(ValueError):
                return careful(data, "replace")
        raise


def read_json(data: bytes | bytearray | memoryview | str, errors: str = "strict") -> Any:
    """Read one JSON value: strict JSON, integers of any size.

    Args:
        data: the JSON; bytes are UTF-8.
        errors: what half a surrogate pair is, in an escape or in a str: with "strict" an error,
            with "replace" U+FFFD.

    Raises:
        ValueError: it is not JSON.
    """
    return json_value(data, check_errors(errors))
