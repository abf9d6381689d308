"""Fields of untrusted JSON: a value of another type is as good as none.

Readers look at the fields of their frames by these functions, none of which raises but
`arguments_of`, for the arguments of a tool call that was cut, and `required_text` and
`optional_text`, for a frame that means nothing without the field.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable
from typing import Any, Final
from zlib import crc32

from ..core import read_json

_MOST = 2**63  # counts and offsets from here on cannot be written as JSON
_URL_SAFE: Final = str.maketrans("-_", "+/")


class Unexpected(Exception):
    """A frame that means nothing where it stands: it becomes a Raw."""


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


def sum_of(*counts: int | None) -> int:
    """Return the sum of counts; unknown ones, and a sum that is too large, are 0."""
    return count_of(sum(count or 0 for count in counts)) or 0


class OpenCall:
    """A tool call of an answer that is read, and its arguments as far as they have come."""

    def __init__(self, name: str, by_server: bool) -> None:
        self.name = name
        self.by_server = by_server
        self.signature: str | None = None
        self.is_open = True
        self.is_answered = False
        self.arguments: list[str] = []

    @property
    def is_broken(self) -> bool:
        """True if it is open, and its arguments so far are not JSON."""
        try:
            arguments_of(self.arguments if self.is_open else ())
        except ValueError:
            return True
        return False


class CallIds:
    """The ids of one answer's tool calls, each of which differs from the others.

    A made id is the same whenever the same answer is read, and another one in the next answer of
    a conversation.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, identity: object, answer: object) -> str:
        """Return the id of the next call.

        Args:
            identity: the provider's id of the call; another one is made if it is none, or taken.
            answer: what tells the answer from others, such as its id or its time.
        """
        found = text_of(identity)
        number = len(self._taken)
        while not found or found in self._taken:
            number += 1
            found = f"call_{crc32(text_of(answer).encode(errors='replace')):08x}_{number}"
        self._taken.add(found)
        return found


def bytes_of(value: object) -> bytes | None:
    """Return the bytes of base64 of either alphabet; None for any other value, or if it is bad."""
    try:
        text = text_of(value).translate(_URL_SAFE)
        return b64decode(text + "=" * (-len(text) % 4), validate=True) or None
    except ValueError:  # binascii.Error, or one for text that is not ASCII
        return None
