"""Events with sse-starlette's arguments and bytes: the module `sse_starlette.event`.

An event is written in the order comment, id, event, data, retry, then a blank line. Its lines end
in CRLF, or in the event's own `sep`.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from ...core import ServerSentEvent as _ServerSentEvent
from ...errors import FrameTypeError

__all__ = ["JSONServerSentEvent", "ServerSentEvent", "ensure_bytes"]

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_BYTES: Final = (bytes, bytearray, memoryview)
_to_json: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":")
).encode


class ServerSentEvent(_ServerSentEvent):
    """One event.

    Its attributes may be changed until it is sent, and a subclass may have its own `encode`.
    gaistream's other responses take it too, if its data is text; they write their own line ends.

    Args:
        data: text; of anything else the `str()`.
        event: the event's name; line ends are removed.
        id: the value that a client sends back as Last-Event-ID, cleaned like `event`; an int is
            written in decimal.
        retry: milliseconds that a client waits before it reconnects.
        comment: text that clients ignore.
        sep: the line end; None: DEFAULT_SEPARATOR.
    """

    DEFAULT_SEPARATOR = "\r\n"

    def __init__(
        self,
        data: Any = None,
        *,
        event: str | None = None,
        id: str | int | None = None,
        retry: int | None = None,
        comment: str | None = None,
        sep: str | None = None,
    ) -> None:
        self.data = data
        self.event = event
        self.id = id
        self.retry = retry
        self.comment = comment
        self._sep = self.DEFAULT_SEPARATOR if sep is None else sep

    def encode(self) -> bytes:
        """Return the event's bytes. Raise TypeError for a field of the wrong type."""
        return _encode(self._sep, self.data, self.event, self.id, self.retry, self.comment)

    __bytes__ = encode
    __hash__ = object.__hash__  # type: ignore[assignment]  # equal only to itself


class JSONServerSentEvent(ServerSentEvent):
    """An event whose data is a JSON payload, as `json.dumps` writes it; None: no data.

    Raises:
        TypeError: JSON does not know a value in it.
        ValueError: a number is NaN or infinite.
    """

    def __init__(self, data: Any = None, *args: Any, **fields: Any) -> None:
        super().__init__(None if data is None else _to_json(data), *args, **fields)


def ensure_bytes(data: Any, sep: str) -> bytes:
    """Return the bytes of an item of a stream.

    Args:
        data: bytes are complete frames; a ServerSentEvent has its own line end; a dict holds the
            arguments of one; of anything else the `str()` is the data of an event.
        sep: the line end.

    Raises:
        TypeError: a field of the wrong type, or a dict with an unknown one.
    """
    if isinstance(data, dict):
        if "sep" in data:
            data = {name: value for name, value in data.items() if name != "sep"}
        return _encode(sep, **data)
    if isinstance(data, str):
        return _encode(sep, data)
    if isinstance(data, ServerSentEvent):
        return data.encode()
    if isinstance(data, _BYTES):
        return bytes(data)
    if isinstance(data, _ServerSentEvent):
        return _encode(sep, data.data, data.event, data.id, data.retry, data.comment)
    return _encode(sep, str(data))


def _encode(
    sep: str,
    /,
    data: Any = None,
    event: Any = None,
    id: Any = None,
    retry: Any = None,
    comment: Any = None,
) -> bytes:
    text = "" if comment is None else _lines(":", str(comment), sep)
    if id is not None:
        text += f"id: {_one_line('id', id)}{sep}"
    if event is not None:
        if type(event) is not str or "\n" in event or "\r" in event:
            event = _one_line("event", event)
        text += f"event: {event}{sep}"
    if data is not None:
        if type(data) is not str:
            data = str(data)
        if "\n" in data or "\r" in data:
            text += _lines("data:", data, sep)
        else:  # as most data, without a call
            text += f"data: {data}{sep}"
    if retry is not None:
        if not isinstance(retry, int):
            raise FrameTypeError("retry argument must be int")
        text += f"retry: {retry}{sep}"
    text += sep
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a surrogate pair must not end a stream
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _lines(field: str, text: str, sep: str) -> str:
    return "".join(f"{field} {line}{sep}" for line in _LINE_END.split(text))


def _one_line(field: str, value: object) -> str:
    if isinstance(value, str):
        return _LINE_END.sub("", value)
    if field == "id" and type(value) is int:
        return str(value)
    raise FrameTypeError(f"{field} must be str, not {type(value).__name__}")
