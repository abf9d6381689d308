"""How the default protocol is read: the inverse of gai.py, and of what the Go original wrote.

What it guarantees: nothing that comes is lost, and nothing stops it. A kind that is not known, or
a known one whose fields are not as they must be, becomes a `Raw` of the whole, its name under
`type`; a frame that should be JSON and is not is an `Error` that ends the stream; a stream that
ends with neither `Done` nor `Error` was cut, which an `Error` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core import ServerSentEvent, json, read_json
from ..errors import EventError
from ..events import Done, Error, Event, Raw, ReasoningDelta, TextDelta
from .base import EventStream
from .items import KINDS, event_of

_DELTAS = {"text_delta": TextDelta, "reasoning_delta": ReasoningDelta}
# What the fields of an SSE payload are called in an event.
_NAMES = {"tool_name": "name", "tool_id": "id"}


class GaiReader(EventStream):
    """Reads the frames or lines of one stream of the default protocol. Belongs to one task."""

    def __init__(self) -> None:
        self.ended = False
        self._failed = False  # the last event was an Error

    def feed(self, event: ServerSentEvent) -> list[Event]:
        """Take a frame, whose name is the event's kind."""
        name = event.event or "message"
        if self.ended or name == "ping":
            return []
        payload: Any
        try:
            payload = self._payload(event)
        except ValueError:
            payload = event.data
            if payload is None:
                return []
            if name in KINDS - {"done", "error"}:
                self.ended = True
                return [Error(f"the stream has a {name} that is not JSON", "invalid_frame")]
        if name == "message":  # without a name: the kind may stand in the payload
            return self.feed_value(payload)
        if not isinstance(payload, dict):
            if name not in ("done", "error"):
                self._failed = False
                return [Raw({"type": name, "data": payload})]
            payload = {"error": str(event.data)}
        delta = _DELTAS.get(name)
        if delta is not None and type(payload.get("text")) is str:
            self._failed = False
            return [delta(payload["text"])]
        if name in ("tool_call", "tool_result"):
            fields = {**payload, "type": name}
            for field, own in _NAMES.items():
                if field in fields:
                    fields[own] = fields.pop(field)
            return self._give(name, fields, payload)
        return self._give(name, {**payload, "type": name}, payload)

    def _payload(self, event: ServerSentEvent) -> Any:
        if event.data_bytes is None:
            raise ValueError("the event has no data")
        try:
            return read_json(event.data_bytes)
        except ValueError:
            return self.read_leniently(event.data)

    def feed_value(self, value: Any) -> list[Event]:
        """Take the value of a line, whose kind stands under `type`."""
        if self.ended:
            return []
        kind = value.get("type") if isinstance(value, dict) else None
        if not isinstance(kind, str):
            self._failed = False
            return [Raw(value)]
        delta, text = _DELTAS.get(kind), value.get("text")
        if delta is not None and type(text) is str and "timestamp" not in value:
            self._failed = False
            return [delta(text)]
        return [] if kind == "ping" else self._give(kind, value)

    def close(self) -> list[Event]:
        """Say that the stream has ended."""
        if self.ended:
            return []
        self.ended = True
        return [] if self._failed else [Error("the stream was cut", "truncated")]

    def _give(self, kind: str, fields: dict[str, Any], payload: Any = None) -> list[Event]:
        self._failed = kind == "error"
        if kind == "done":
            self.ended = True
            return [Done()]
        try:
            return [event_of(fields)]
        except EventError:
            if kind == "error":
                return [_error_of(fields)]
            return [Raw(fields if payload is None else {**payload, "type": kind})]


def _error_of(fields: Mapping[str, Any]) -> Error:
    """Give an Error whatever shape it has: a stream that failed must not look as if it had not."""
    inner = fields.get("error")
    if isinstance(inner, Mapping):  # as in the bodies of HTTP errors
        fields = inner
    said = [each for each in (fields.get("message"), fields.get("error")) if isinstance(each, str)]
    code = fields.get("code")
    message = said[0] if said else json.dumps(dict(fields), errors="replace").decode()
    return Error(message, code if isinstance(code, str) else None)
