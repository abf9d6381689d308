"""Newline-delimited JSON out: one value a line, LF after each. Twin of src/ndjson.pxi."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .payloads import write_json


def encode_ndjson(obj: Any) -> bytes:
    """Encode one value as one line, its LF included.

    Raises:
        EncodeError: a payload that JSON cannot express; the message names the path to the value.
        UnicodeEncodeError: a lone surrogate in a string.
    """
    return write_json(obj, True, False)


def encode_ndjson_lines(objs: Iterable[Any]) -> bytes:
    """Encode many values, one line each; see encode_ndjson."""
    lines = bytearray()
    for obj in objs:  # copied at once: holding many bytes objects of a JSON library is slow
        lines += write_json(obj, True, False)
    return bytes(lines)
