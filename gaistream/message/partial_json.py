"""The value of JSON whose end has not come yet."""

from __future__ import annotations

import re
from typing import Any, Final

from ..core import read_json

_TOKEN: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\],:]|[^\s"{}\[\],:]+|"', re.DOTALL)
_STRING: Final = re.compile(r'"(?:[^"\\]++|\\(?:u[0-9a-fA-F]{4}|[^u]))*+', re.DOTALL)
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_LITERALS: Final = ("true", "false", "null")


def read_partial_json(text: str, *, repair: bool) -> Any:
    """Return the value of the beginning of a JSON text, or None if it has none yet.

    Args:
        text: the beginning; arrays and objects that are open in it are closed.
        repair: whether a string, number or literal that is cut is kept too, as far as it goes.
    """
    completed = _completed(text, repair)
    if not completed:
        return None
    try:
        return read_json(completed, "replace")
    except ValueError:
        return None


def _completed(text: str, repair: bool) -> str:
    """Return the text up to the end of its last value, with closing brackets."""
    closers: list[str] = []
    value_next = True  # else the next string is a key
    kept = 0  # the end of the last value or opening bracket
    scalar = ""
    for token in _TOKEN.finditer(text):
        first = token[0][0]
        end = token.end()
        if first in ",:":
            value_next = first == ":" or not closers or closers[-1] == "]"
            continue
        if first in "{[":
            closers.append("}" if first == "{" else "]")
            value_next = first == "["
        elif first in "}]":
            if not closers or closers.pop() != first:
                return ""
        elif token[0] == '"' or (end == len(text) and first != '"'):  # it may be cut
            if value_next:
                scalar = _last_scalar(text[token.start() :], repair)
            if scalar:
                kept = token.start()
            break
        elif not value_next:
            continue  # a key
        kept = end
    return text[:kept] + scalar + "".join(reversed(closers))


def _last_scalar(text: str, repair: bool) -> str:
    """Return the scalar that a text ends in, completed, or "" if it is not to be kept."""
    if text[0] == '"':
        found = _STRING.match(text)
        return found[0] + '"' if repair and found else ""
    number = _NUMBER.match(text)
    if number and (repair or number[0] == text):
        return number[0]
    for literal in _LITERALS:
        if literal == text or (repair and literal.startswith(text)):
            return literal
    return ""
