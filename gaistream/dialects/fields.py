"""Fields of untrusted JSON: a value of another type is as good as none.

Readers look at the fields of their frames by these functions, none of which raises but
`arguments_of`, for the arguments of a tool call that was cut, and `required_text` and
`optional_text`, for a frame that means nothing without the field.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..core import read_json

_MOST = 2**63  # counts and offsets from here on cannot be written as JSON


class WrongField(Exception):
    """A field that a frame needs is missing, or has another type."""


def required_text(fields: dict[str, Any], name: str) -> str:
    """Return a field that must be a str. Raise WrongField."""
    value = fields.get(name)
    if not isinstance(value, str):
        raise WrongField
    return value


def optional_text(fields: dict[str, Any], name: str) -> str | None:
    """Return a field that is absent, None or a str. Raise WrongField."""
    return None if fields.get(name) is None else required_text(fields, name)


def text_of(value: object) -> str:
    """Return a str, "" for any other value."""
    return value if isinstance(value, str) else ""


def count_of(value: object) -> int | None:
    """Return an int from 0 on, None for any other value."""
    return value if type(value) is int and 0 <= value < _MOST else None


def object_of(value: object) -> dict[str, Any]:
    """Return a dict, an empty one for any other value."""
    return value if isinstance(value, dict) else {}


def objects_of(value: object) -> list[dict[str, Any]]:
    """Return the dicts of a list, none for any other value."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def arguments_of(pieces: Iterable[str]) -> Any:
    """Return the value of a tool call's arguments, None if there are none.

    Raise ValueError if they are not JSON.
    """
    text = "".join(pieces)
    return read_json(text, "replace") if text.strip() else None
