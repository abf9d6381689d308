"""The reader of the default protocol, as the writers here and the Go original write it.

Guaranteed: no frame is lost, and no frame raises. An unknown kind, or a known one with wrong
fields, becomes a `Raw` of the whole payload, its name under `type`. A frame of a known kind that is
not JSON becomes an `Error` that ends the stream. A stream that ends with neither `Done` nor `Error`
was cut, and ends with an `Error` of code "truncated".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core import ServerSentEvent, json_bytes, read_json
from ...errors import EventError
from ...events import Done, Error, Event, Raw, ReasoningDelta, TextDelta
from ..base import CUT, DialectReader
from ..deltas import SteadyDelta
from .from_dict import KINDS, event_from_dict

_DELTAS = {"text_delta": TextDelta, "reasoning_delta": ReasoningDelta}
# The fields of an SSE payload whose names are others in the event, by kind.
_TOOLS = ("tool_call", "tool_call_start", "tool_call_delta", "tool_result")
_FIELD_NAMES = {kind: {"tool_name": "name", "tool_id": "id"} for kind in _TOOLS}


class GaiReader(DialectReader):
    """Reads the frames or lines of one stream of the default protocol."""

    steady_deltas = (
        SteadyDelta(TextDelta, ("text",)),
        SteadyDelta(ReasoningDelta, ("text",)),
    )

    def __init__(self) -> None:
        self.ended = False
        self._failed = False  # the last event was an Error

    def feed(self, event: ServerSentEvent) -> list[Event]:
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
        if name == "message":  # the kind may be in the payload
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
        if name in _FIELD_NAMES:
            fields = {**payload, "type": name}
            for written, field in _FIELD_NAMES[name].items():
                if written in fields:
                    fields[field] = fields.pop(written)
            return self._event(name, fields, payload)
        return self._event(name, {**payload, "type": name}, payload)

    def _payload(self, event: ServerSentEvent) -> Any:
        if event.data_bytes is None:
            raise ValueError("the event has no data")
        try:
            return read_json(event.data_bytes)
        except ValueError:
            return self.read_leniently(event.data)

    def feed_value(self, value: Any) -> list[Event]:
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
        return [] if kind == "ping" else self._event(kind, value)

    def close(self) -> list[Event]:
        if self.ended:
            return []
        self.ended = True
        return [] if self._failed else [CUT]

    def _event(self, kind: str, fields: dict[str, Any], payload: Any = None) -> list[Event]:
        self._failed = kind == "error"
        if kind == "done":
            self.ended = True
            return [Done()]
        try:
            return [event_from_dict(fields)]
        except EventError:
            if kind == "error":
                return [_error_of(fields)]
            return [Raw(fields if payload is None else {**payload, "type": kind})]


def _error_of(fields: Mapping[str, Any]) -> Error:
    """Return an Error from fields of any shape, for a failed stream must not look whole."""
    inner = fields.get("error")
    if isinstance(inner, Mapping):  # as in the bodies of HTTP errors
        fields = inner
    texts = [each for each in (fields.get("message"), fields.get("error")) if isinstance(each, str)]
    code = fields.get("code")
    message = texts[0] if texts else json_bytes(dict(fields), errors="replace").decode()
    return Error(message, code if isinstance(code, str) else None)
