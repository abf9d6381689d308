"""Server-Sent Events out: one frame in the byte profile that every client accepts.

LF only, one space after each colon, one `data:` line per line of data, fields in the order
comment, id, event, retry, data; a blank line ends every block but one of only `retry`. Every
field is checked before a byte is written. Twin of src/sse.pxi. (HTML standard, 9.2.5.)
"""

from __future__ import annotations

import copyreg
import re
from typing import Any, Final

from gaistream.errors import FrameError, FrameTypeError

from .buffer import MAX_INT, place, readable
from .checks import checked_int
from .payloads import json_value, write_json
from .text import check_errors, lines_of, text_bytes, utf8

_BREAKS: Final = {"\r": "CR", "\n": "LF", "\0": "NUL"}
_BREAK: Final = re.compile("[\r\n\0]")


def _name_line(field: str, value: object, replace: bool) -> bytes:
    """Give the line of an event or id, which a line end or NUL would break out of."""
    if field == "id" and isinstance(value, int) and not isinstance(value, bool):
        return b"id: %d\n" % checked_int("id", value, -MAX_INT, MAX_INT, "")
    if not isinstance(value, str):
        expected = "str or int" if field == "id" else "str"
        raise FrameTypeError(f"{field} must be {expected}, not {type(value).__name__}")
    value = str.__str__(value)  # a subclass may say something else
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
    """Give one frame; see encode_sse."""
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
        id: what a client sends back as Last-Event-ID; an int is written in decimal.
        retry: milliseconds that a client waits before it reconnects, from 0.
        comment: text that clients ignore; it may have several lines.
        json: any JSON payload, instead of `data`; None is a payload too.
        errors: "strict", or "replace" for U+FFFD in place of what is not text.

    Returns:
        The frame. A block of only `retry` has no blank line behind it: with one, several
        clients emit a phantom event.

    Raises:
        FrameError: a field that cannot be written, or no field at all (a ValueError;
            a wrong type is a FrameTypeError, which is a TypeError too).
        UnicodeEncodeError, UnicodeDecodeError: a lone surrogate; bytes that are not UTF-8.
        EncodeError: a payload that JSON cannot say.
    """
    if (
        id is None and retry is None and comment is None and json is ... and errors == "strict"
        and (event is None or (type(event) is str and event.isprintable()))
        and type(data) is str and "\n" not in data and "\r" not in data
    ):  # fmt: skip
        try:  # the usual small frame, without the general way
            if event is None:
                return f"data: {data}\n\n".encode()
            return f"event: {event}\ndata: {data}\n\n".encode()
        except UnicodeEncodeError:
            pass  # which is to tell of the field's own text
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
        The offset behind the frame.

    Raises:
        BufferTooSmall: the frame does not fit; `needed` tells its size. Nothing was written.
    """
    frame = sse_frame(data, event, id, retry, comment, json, check_errors(errors))
    place(buffer, offset, len(frame))[:] = frame
    return offset + len(frame)


def encode_comment(text: str = "") -> bytes:
    """Encode a comment block, which clients ignore: a heartbeat, or the first bytes of a stream."""
    return sse_frame(None, None, None, None, text, ..., False)


class ServerSentEvent:
    """One Server-Sent Event, to be written or as it was read. `bytes(event)` encodes it.

    An event that was read has the name "message" where none was given, and the id that was in
    force (a client remembers it from event to event); `bytes()` writes neither. Its data is
    decoded when `data` is asked for, each maximal stretch that is not UTF-8 to U+FFFD.

    Attributes:
        data: the text (lines joined by LF), or None.
        data_bytes: the same in bytes, as it came over the wire, without making a str of it.
        event: the name, or None.
        id: the id, or None; one that is set is written by `bytes()`.
        retry: the reconnection time of this block in milliseconds, or None.
        comment: a comment to be written with it, or None; never read.

    Args:
        json: any JSON payload, instead of `data`, which is then its text; None is a payload too.
            A lone surrogate in it becomes U+FFFD.

    Raises:
        FrameError: a field that cannot be written (a ValueError; a wrong type is a
            FrameTypeError, which is a TypeError too).
        EncodeError: a payload that JSON cannot say.
    """

    __slots__ = ("_data", "_id", "_is_json", "_own_id", "_raw", "comment", "event", "retry")
    __module__ = "gaistream"  # where a pickle finds the class of the twin that runs

    _data: str | bytes | bytearray | memoryview | None
    _raw: bytes | None

    def __init__(
        self,
        data: str | bytes | bytearray | memoryview | None = None,
        event: str | None = None,
        *,
        id: str | int | None = None,
        retry: int | None = None,
        comment: str | None = None,
        json: Any = ...,
    ) -> None:
        checked = "" if isinstance(data, str | bytes) else data  # which can always be written
        if any(each is not None for each in (checked, event, id, retry, comment)):
            sse_frame(checked, event, id, retry, comment, ..., True)
        self.data = data
        if json is not ...:
            if data is not None:
                raise FrameError("data and json exclude each other")
            self._raw = write_json(json, False, True)
            self._is_json = True
        self.event = event
        self.id = id
        self.retry = retry
        self.comment = comment

    @property
    def data(self) -> str | bytes | bytearray | memoryview | None:
        """The text, or what was given for it, or None."""
        if self._data is None and self._raw is not None:
            self._data = self._raw.decode(errors="replace")
        return self._data

    @data.setter
    def data(self, data: str | bytes | bytearray | memoryview | None) -> None:
        self._data = data
        self._raw = None
        self._is_json = False  # what `data` says was given as `json`

    @property
    def data_bytes(self) -> bytes | None:
        """The data as it came over the wire, no str made of it; else the UTF-8 of `data`.

        Raises UnicodeEncodeError for a lone surrogate, FrameTypeError for what is no text.
        """
        if self._raw is not None or self._data is None:
            return self._raw
        if isinstance(self._data, str):
            return utf8(self._data, False)
        return bytes(readable("data", self._data))

    @property
    def id(self) -> str | int | None:
        """The id; one that is set here is written, one that was inherited is not."""
        return self._id

    @id.setter
    def id(self, id: str | int | None) -> None:
        self._id = id
        self._own_id = True

    def json(self) -> Any:
        """Read `data` as JSON, half a surrogate pair as U+FFFD; ValueError if it is none."""
        if self._raw is not None:
            try:
                return json_value(self._raw, True)
            except ValueError:
                pass  # not UTF-8, perhaps: let the text tell
        if self.data is None:
            raise ValueError("the event has no data")
        return json_value(self.data, True)

    def __bytes__(self) -> bytes:
        data, event, own = written_fields(self)
        return sse_frame(data, event, own, self.retry, self.comment, ..., False)

    def __reduce__(self) -> tuple[Any, ...]:
        held = (
            self._data, self._raw, self.event, self._id, self.retry, self.comment, self._own_id,
            self._is_json,
        )  # fmt: skip
        state: Any = object.__getstate__(self)
        more = {**(state[0] or {}), **state[1]}  # of a subclass
        for own in ServerSentEvent.__slots__:
            del more[own]
        return copyreg.__newobj__, (type(self),), (held, more)  # type: ignore[attr-defined]

    def __setstate__(self, state: tuple[Any, Any]) -> None:
        held, more = state
        self._data, self._raw, self.event, self._id, self.retry, self.comment = held[:6]
        self._own_id, self._is_json = held[6:]
        for name, value in (more or {}).items():
            setattr(self, name, value)

    def __eq__(self, other: object) -> bool:
        if type(other) is not ServerSentEvent:
            return NotImplemented
        return (self.data, self.event, self.id, self.retry, self.comment) == (
            other.data,
            other.event,
            other.id,
            other.retry,
            other.comment,
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        said = [
            f"{name}={value!r}"
            for name in ("data", "event", "id", "retry", "comment")
            if (value := getattr(self, name)) is not None
        ]
        return f"ServerSentEvent({', '.join(said)})"


def written_fields(event: ServerSentEvent) -> tuple[Any, str | None, str | int | None]:
    """Return data, name and id as written: not the default name, not an inherited id."""
    data = event._raw if event._is_json else event.data
    name = None if event.event == "message" else event.event
    return data, name, event.id if event._own_id else None


def read_event(
    data: bytes, event: str, id: str, retry: int | None, own_id: bool
) -> ServerSentEvent:
    """Make the event that a decoder has read."""
    made = _new(ServerSentEvent)
    made._data = made.comment = None
    made._raw = data
    made._is_json = False
    made.event = event
    made._id = id
    made.retry = retry
    made._own_id = own_id
    return made


_new = object.__new__
