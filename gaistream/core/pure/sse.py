"""Server-Sent Events out: one frame in the byte profile that every client accepts.

LF only, one space after each colon, one `data:` line per line of data, fields in the order
comment, id, event, retry, data; a blank line ends every block but one of only `retry`. Every
field is checked before a byte is written. (HTML standard, 9.2.5.) Twin of src/sse.pxi and
src/sse_fast.pxi.
"""

from __future__ import annotations

import re
from typing import Any, Final

from gaistream.errors import FrameError, FrameTypeError

from .buffer import MAX_INT, place
from .checks import checked_int
from .payloads import write_json
from .text import check_errors, lines_of, text_bytes, utf8

_BREAKS: Final = {"\r": "CR", "\n": "LF", "\0": "NUL"}
_BREAK: Final = re.compile("[\r\n\0]")


def _name_line(field: str, value: object, replace: bool) -> bytes:
    """Return the line of an event or id, in which line ends and NUL are refused."""
    if field == "id" and isinstance(value, int) and not isinstance(value, bool):
        return b"id: %d\n" % checked_int("id", value, -MAX_INT, MAX_INT, "")
    if not isinstance(value, str):
        expected = "str or int" if field == "id" else "str"
        raise FrameTypeError(f"{field} must be {expected}, not {type(value).__name__}")
    value = str.__str__(value)  # a subclass may return other text
    found = _BREAK.search(value)
    if found is not None:
        raise FrameError(
            f"{field} must not contain CR, LF or NUL: "
            f"found {_BREAKS[found[0]]} at index {found.start()} of {len(value)} characters"
        )
    return field.encode() + b": " + utf8(value, replace) + b"\n"


def sse_frame(
    data: object,
    event: object,
    id: object,
    retry: object,
    comment: object,
    json: Any,
    replace: bool,
) -> bytes:
    """Return one frame; see encode_sse."""
    parts = []
    if comment is not None:
        if not isinstance(comment, str):
            raise FrameTypeError(f"comment must be str, not {type(comment).__name__}")
        for line in lines_of(utf8(comment, replace)):
            parts.append(b": " + line + b"\n" if line else b":\n")
    if id is not None:
        parts.append(_name_line("id", id, replace))
    if event is not None:
        parts.append(_name_line("event", event, replace))
    if retry is not None:
        parts.append(b"retry: %d\n" % checked_int("retry", retry, 0, MAX_INT, "milliseconds"))
    if json is not ...:
        if data is not None:
            raise FrameError("data and json exclude each other")
        parts.append(b"data: " + write_json(json, True, replace))
    elif data is not None:
        lines = lines_of(text_bytes("data", data, replace))
        parts.append(b"data: " + b"\ndata: ".join(lines) + b"\n")
    if not parts:
        raise FrameError("a frame needs data, json, event, id, retry or comment")
    has_content = data is not None or json is not ... or event is not None or id is not None
    if has_content or retry is None:
        parts.append(b"\n")
    return b"".join(parts)


def encode_sse(
    data: str | bytes | bytearray | memoryview | None = None,
    event: str | None = None,
    *,
    id: str | int | None = None,
    retry: int | None = None,
    comment: str | None = None,
    json: Any = ...,
    errors: str = "strict",
) -> bytes:
    r"""Encode one Server-Sent Event.

    Args:
        data: text, or UTF-8 bytes; CRLF, CR and LF each end a line. None writes no data line.
        event: the event's name; CR, LF and NUL are refused, as in `id`.
        id: a client sends it back as Last-Event-ID; an int is written in decimal.
        retry: milliseconds that a client waits before it reconnects, from 0.
        comment: text that clients ignore; it may have several lines.
        json: any JSON payload, instead of `data`; None is a payload too.
        errors: "strict", or "replace" for U+FFFD in place of invalid text.

    Returns:
        The frame. A block of only `retry` has no blank line after it: with one, several
        clients emit a phantom event.

    Raises:
        FrameError: a field that cannot be written, or no field at all (a ValueError;
            a wrong type is a FrameTypeError, which is a TypeError too).
        UnicodeEncodeError, UnicodeDecodeError: a lone surrogate; bytes that are not UTF-8.
        EncodeError: a payload that JSON cannot express.
    """
    if (
        id is None and retry is None and comment is None and json is ... and errors == "strict"
        and (event is None or (type(event) is str and event.isprintable()))
        and type(data) is str and "\n" not in data and "\r" not in data
    ):  # fmt: skip
        try:  # the usual small frame
            if event is None:
                return f"data: {data}\n\n".encode()
            return f"event: {event}\ndata: {data}\n\n".encode()
        except UnicodeEncodeError:
            pass  # sse_frame raises it with the text of the field
    return sse_frame(data, event, id, retry, comment, json, check_errors(errors))


def encode_sse_into(
    buffer: bytearray | memoryview,
    offset: int,
    data: str | bytes | bytearray | memoryview | None = None,
    event: str | None = None,
    *,
    id: str | int | None = None,
    retry: int | None = None,
    comment: str | None = None,
    json: Any = ...,
    errors: str = "strict",
) -> int:
    """Encode one Server-Sent Event into a writable buffer; see encode_sse.

    Returns:
        The offset after the frame.

    Raises:
        BufferTooSmall: the frame does not fit; `needed` is its size. Nothing was written.
    """
    frame = sse_frame(data, event, id, retry, comment, json, check_errors(errors))
    place(buffer, offset, len(frame))[:] = frame
    return offset + len(frame)


def encode_comment(text: str = "") -> bytes:
    """Encode a comment block, which clients ignore: a heartbeat, or the first bytes of a stream."""
    return sse_frame(None, None, None, None, text, ..., False)
