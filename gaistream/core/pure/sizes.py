"""An estimate of the memory that an item of a source takes, to bound reading ahead.

The estimate errs upwards: every object counts 64 bytes beside its text or bytes, a str that is
not ASCII four bytes a character, and an object that cannot be looked into 16 KiB. No code of the
item's class is run. Twin of src/sizes.pxi.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from .events import TextDelta
from .server_sent_event import ServerSentEvent
from .values import Value

_OBJECT: Final = 64  # bytes: an object, and its place in its container
_OPAQUE: Final = 16 * 1024
_HEAP_TYPE: Final = 1 << 9  # the flag of classes that Python code can make
_FLAT: Final = (type(None), bool, int, float)
_SERIES: Final[tuple[Any, ...]] = (list, tuple, set, frozenset)
_SSE_FIELDS: Final = ("_data", "_raw", "event", "_id", "comment")


def estimate_size(value: object, most: int) -> int:
    """Return roughly how many bytes of memory a value takes, at most `most`.

    Args:
        value: an item of a source: an event, str, bytes, a dict, a model, …
        most: bytes at which counting ends.
    """
    size = 0
    if type(value) is TextDelta:  # most items are, or text
        size, value = _OBJECT, value.text
    if type(value) is str:
        return min(size + _OBJECT + _text_size(value), most)
    values: list[Any] = [value]
    for each in values:  # the list grows meanwhile
        size += _OBJECT
        if isinstance(each, str):
            size += _text_size(each)
        elif isinstance(each, bytes):
            size += bytes.__len__(each)
        elif isinstance(each, bytearray):
            size += bytearray.__len__(each)
        elif isinstance(each, memoryview):
            size += each.nbytes
        elif type(each) not in _FLAT and not isinstance(each, type):
            parts = _parts(each)
            if parts is None:
                size += _OPAQUE
            else:
                values += parts
        if size >= most or len(values) * _OBJECT >= most:
            return most
    return size


def _text_size(text: str) -> int:
    length = str.__len__(text)
    return length if str.isascii(text) else 4 * length


def _parts(value: Any) -> Iterable[Any] | None:
    """Return the values that a container or an object holds; None if they are unknown."""
    if isinstance(value, dict):
        return [*dict.keys(value), *dict.values(value)]
    for kind in _SERIES:
        if isinstance(value, kind):
            values: Iterable[Any] = kind.__iter__(value)
            return values
    if isinstance(value, Value):
        return value._values()
    if isinstance(value, ServerSentEvent):
        return [getattr(value, name, None) for name in _SSE_FIELDS]
    if not type(value).__flags__ & _HEAP_TYPE:
        return None
    try:
        state: Any = object.__getstate__(value)  # attributes, slots, or a pair of both
    except Exception:
        return None
    if state is None:
        return None
    dicts = state if type(state) is tuple else (state,)
    return [each for held in dicts if held is not None for each in (*held, *dict.values(held))]
