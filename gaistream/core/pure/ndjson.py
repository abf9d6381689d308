"""Newline-delimited JSON out: one line a value, LF behind each. Twin of src/ndjson.pxi."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .payloads import write_json


def encode_ndjson(obj: Any) -> bytes:
    """Encode one value as one line, its LF included.

    Raises:
        EncodeError: a payload that JSON cannot say; the message names the path to it.
        UnicodeEncodeError: a lone surrogate in a string.
    """
    return write_json(obj, True, False)


def encode_ndjson_lines(objs: Iterable[Any]) -> bytes:
    """Encode many values, one line each; see encode_ndjson."""
    lines = bytearray()
    for obj in objs:  # copied at once: to hold many of a JSON library's bytes is slow
        lines += write_json(obj, True, False)
    return bytes(lines)
