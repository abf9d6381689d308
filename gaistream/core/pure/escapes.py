"""JSON string escaping.

The output equals orjson's, except that the line separators of gaistream/core/separators.py are
always escaped. Twin of src/escapes.pxi.
"""

from __future__ import annotations

import re
from typing import Final

from gaistream.core.separators import LINE_SEPARATORS
from gaistream.errors import FrameTypeError

from .text import check_errors, utf8

_ESCAPED: Final = re.compile(f'[\x00-\x1f"\\\\{LINE_SEPARATORS}]')
_ESCAPES: Final = {
    **{each: f"\\u{ord(each):04x}" for each in (*map(chr, range(0x20)), *LINE_SEPARATORS)},
    "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\",
}  # fmt: skip


def _escape(match: re.Match[str]) -> str:
    return _ESCAPES[match[0]]


def escape_json(text: str, errors: str = "strict") -> bytes:
    """Escape a str for the inside of a JSON string, without the quotes, in UTF-8.

    The output equals orjson's, except that U+0085, U+2028 and U+2029 are always escaped.
    """
    return escaped(text, check_errors(errors))


def escaped(text: object, replace: bool) -> bytes:
    """Escape a str as escape_json does."""
    if not isinstance(text, str):
        raise FrameTypeError(f"text must be str, not {type(text).__name__}")
    text = str.__str__(text)  # a subclass may return other text
    safe = _ESCAPED.sub(_escape, text)
    try:
        return safe.encode()
    except UnicodeEncodeError:
        return _ESCAPED.sub(_escape, utf8(text, replace).decode()).encode()
