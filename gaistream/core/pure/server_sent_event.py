"""ServerSentEvent: one event, to be written or as it was read.

Twin of src/server_sent_event.pxi.
"""

from __future__ import annotations

import copyreg
from typing import Any

from gaistream.errors import FrameError

from .buffer import readable
from .payloads import json_value, write_json
from .sse import sse_frame
from .text import utf8


class ServerSentEvent:
    """One Server-Sent Event, to be written or as it was read. `bytes(event)` encodes it.

    An event that was read is named "message" unless it had a name, and has the id that was in
    force (a client remembers it from event to event); `bytes()` writes neither. Its data is
    decoded when `data` is read, each maximal stretch that is not UTF-8 to U+FFFD.

    Attributes:
        data: the text (lines joined by LF), or None.
        data_bytes: the same as bytes, as received, without making a str of it.
        event: the name, or None.
        id: the id, or None; `bytes()` writes one that is set, not one that is inherited.
        retry: the reconnection time of this block in milliseconds, or None.
        comment: a comment to be written with it, or None; never read.

    Args:
        json: any JSON payload instead of `data`, which becomes its text; None is a payload too.
            A lone surrogate in it becomes U+FFFD.

    Raises:
        FrameError: a field that cannot be written (a ValueError; a wrong type is a
            FrameTypeError, which is a TypeError too).
        EncodeError: a payload that JSON cannot express.
    """

    __slots__ = ("_data", "_id", "_is_json", "_own_id", "_raw", "comment", "event", "retry")
    __module__ = "gaistream"  # where a pickle finds the class, of either twin

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
        checked = "" if isinstance(data, str | bytes) else data  # these can always be written
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
        """The text, as set or as decoded, or None."""
        if self._data is None and self._raw is not None:
            self._data = self._raw.decode(errors="replace")
        return self._data

    @data.setter
    def data(self, data: str | bytes | bytearray | memoryview | None) -> None:
        self._data = data
        self._raw = None
        self._is_json = False  # the data was given as `json`

    @property
    def data_bytes(self) -> bytes | None:
        """The data as received, without making a str of it; else the UTF-8 of `data`.

        Raises UnicodeEncodeError for a lone surrogate, FrameTypeError for data of another type.
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
        """Return the value of `data` as JSON, with U+FFFD for half a surrogate pair.

        Raises ValueError if it is not JSON.
        """
        if self._raw is not None:
            try:
                return json_value(self._raw, True)
            except ValueError:
                pass  # perhaps it is not UTF-8: read the text
        if self.data is None:
            raise ValueError("the event has no data")
        return json_value(self.data, True)

    def __bytes__(self) -> bytes:
        data, name, own_id = written_fields(self)
        return sse_frame(data, name, own_id, self.retry, self.comment, ..., False)

    def __reduce__(self) -> tuple[Any, ...]:
        own = (
            self._data, self._raw, self.event, self._id, self.retry, self.comment, self._own_id,
            self._is_json,
        )  # fmt: skip
        state: Any = object.__getstate__(self)
        added = {**(state[0] or {}), **state[1]}  # by a subclass
        for name in ServerSentEvent.__slots__:
            del added[name]
        return copyreg.__newobj__, (type(self),), (own, added)  # type: ignore[attr-defined]

    def __setstate__(self, state: tuple[Any, Any]) -> None:
        own, added = state
        self._data, self._raw, self.event, self._id, self.retry, self.comment = own[:6]
        self._own_id, self._is_json = own[6:]
        for name, value in (added or {}).items():
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
        given = [
            f"{name}={value!r}"
            for name in ("data", "event", "id", "retry", "comment")
            if (value := getattr(self, name)) is not None
        ]
        return f"ServerSentEvent({', '.join(given)})"


def written_fields(event: ServerSentEvent) -> tuple[Any, str | None, str | int | None]:
    """Return data, name and id as written: not the default name, not an inherited id."""
    data = event._raw if event._is_json else event.data
    name = None if event.event == "message" else event.event
    return data, name, event.id if event._own_id else None


def received_event(
    data: bytes, event: str, id: str, retry: int | None, own_id: bool
) -> ServerSentEvent:
    """Return an event as a decoder has read it."""
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
