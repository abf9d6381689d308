"""Text to UTF-8: a lone surrogate, or bytes that are not UTF-8, raise or become U+FFFD.

Twin of src/text.pxi.
"""

from __future__ import annotations

import re
from typing import Final

from gaistream.errors import FrameError

from .buffer import readable

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def check_errors(errors: object) -> bool:
    """Return whether bad text is repaired."""
    if errors == "strict":
        return False
    if errors == "replace":
        return True
    raise FrameError(f"errors must be 'strict' or 'replace', not {errors!r}")


def utf8(text: str, replace: bool) -> bytes:
    """Encode a str; a lone surrogate raises UnicodeEncodeError, or becomes U+FFFD."""
    text = str.__str__(text)  # a subclass may return other text
    try:
        return text.encode()
    except UnicodeEncodeError:
        if not replace:
            raise
    return _SURROGATE.sub("\ufffd", text).encode()


def text_bytes(field: str, data: object, replace: bool) -> bytes:
    """Return a str or UTF-8 bytes as bytes; bytes that are not UTF-8 raise, or are repaired."""
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
