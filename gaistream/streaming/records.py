"""The items of a source as the records of a log, and back.

A record names the kind of its item; its data is the time in milliseconds, a blank, and the item in
neutral bytes, from which every dialect and format can be written. Kinds:

    str, bytes       text in UTF-8 (half surrogate pairs too), and frames that are ready
    text, reasoning  a delta, in UTF-8 likewise
    tool_call, …     any other event, its fields as JSON
    sse              the fields of a ServerSentEvent as JSON, without its id
    json             any other item, as JSON
    end              the end of the source: nothing, or its error as JSON
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from ..core import ServerSentEvent, json_bytes, read_json
from ..dialects.gai.from_dict import event_from_dict
from ..errors import LogError
from ..events import AudioFormat, Citation, Error, Event, ReasoningDelta, TextDelta, Usage
from ..replay import Record

Encode = Callable[[Any], bytes]
_VALUES: Final = (AudioFormat, Citation, Usage)
_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")
_DELTAS: Final[dict[str | None, type[Any]]] = {"text": TextDelta, "reasoning": ReasoningDelta}
_DELTA_KINDS: Final = {kind: name for name, kind in _DELTAS.items()}
_kinds: dict[type[Any], str] = {}


class End(NamedTuple):
    """The end of a source, as an item: its error, or None if it succeeded."""

    error: Error | None = None


def encode_json(payload: Any) -> bytes:
    """Return a payload as JSON."""
    return json_bytes(payload, errors="replace")


def to_record(item: Any, encode: Encode = encode_json, *, has_events: bool = True) -> Record:
    """Return the record of an item.

    Args:
        item: an item that a source may yield, or an End.
        encode: encodes payloads as JSON.
        has_events: False if an event is a payload like any other.

    Raises:
        EncodeError: the item holds a value that JSON does not know.
    """
    if not has_events and isinstance(item, Event):
        kind, data = "json", encode(item)
    else:
        kind, data = _encoded(item, encode)
    return Record(b"%d %b" % (time.time() * 1000, data), kind)


def _encoded(item: Any, encode: Encode) -> tuple[str, bytes]:
    if type(item) is str:
        return "str", item.encode("utf-8", "surrogatepass")
    if isinstance(item, Event):
        return _encoded_event(item, encode)
    if isinstance(item, bytes):
        return "bytes", bytes(item)
    if isinstance(item, ServerSentEvent):
        data = item.data_bytes
        text = None if data is None else data.decode(errors="replace")
        return "sse", encode([text, item.event, item.retry, item.comment])
    if type(item) is End:
        error = item.error
        if error is None:
            return "end", b""
        return "end", encode([error.message, error.code, error.retry_after])
    if isinstance(item, dict) and isinstance(item.get("data"), bytes | bytearray | memoryview):
        item = {**item, "data": bytes(item["data"]).decode(errors="replace")}  # a frame of "raw"
    return "json", encode(item)


def _encoded_event(event: Any, encode: Encode) -> tuple[str, bytes]:
    delta = _DELTA_KINDS.get(type(event))
    if delta is not None and event.timestamp is None:
        return delta, event.text.encode("utf-8", "surrogatepass")
    kind = _kinds.get(type(event))
    if kind is None:
        name = type(event).__name__
        kind = _kinds[type(event)] = _CAPITAL.sub("_", name).lower()
    fields = {name: _plain(getattr(event, name)) for name in event.__match_args__}
    return kind, encode({**fields, "timestamp": event.timestamp})


def _plain(value: Any) -> Any:
    """Return a field of an event as JSON takes it."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, _VALUES):
        return {name: getattr(value, name) for name in value.__match_args__}
    if type(value) is tuple:
        return [_plain(each) for each in value]
    return value


def from_record(record: Record) -> tuple[float, Any]:
    """Return the time of a record in Unix seconds, and its item.

    Raises:
        LogError: the record was not made by `to_record`.
    """
    try:
        milliseconds, _, data = record.data.partition(b" ")
        return int(milliseconds) / 1000, _decoded(record.event, data)
    except (ValueError, TypeError) as error:
        raise LogError(f"a record is not one of a resumable stream: {error}", "corrupt") from error


def _decoded(kind: str | None, data: bytes) -> Any:
    if kind == "str":
        return data.decode("utf-8", "surrogatepass")
    delta = _DELTAS.get(kind)
    if delta is not None:
        return delta(data.decode("utf-8", "surrogatepass"))
    if kind == "bytes":
        return data
    if kind == "json":
        return read_json(data)
    if kind == "sse":
        text, name, retry, comment = read_json(data)
        return ServerSentEvent(text, name, retry=retry, comment=comment)
    if kind == "end":
        return End(Error(*read_json(data)) if data else None)
    return event_from_dict({**read_json(data), "type": kind})
