"""The reader of gai.events.v1: of the full shape, and of both that the Go original wrote.

The original's SSE was compact: a call's name and input, a result's output and an error's code stand
beside the type, and audio, citations, safety, steps and raw values are missing.

Guaranteed: no frame is lost, and no frame raises. An unknown kind, or a known one with wrong or
missing fields, becomes a `Raw` of the whole payload. A frame that is not JSON becomes an `Error`
that ends the stream, and so does the end of a body that has neither `done` nor an error last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ...core import ServerSentEvent
from ...errors import EventError
from ...events import Done, Error, Event, Raw
from ..base import CUT, NOT_JSON, DialectReader
from ..fields import object_of, text_of
from ..gai.from_dict import event_from_dict

_Payload = dict[str, Any]


class GaiEventsV1Reader(DialectReader):
    """Reads the frames or lines of one stream."""

    def __init__(self) -> None:
        self.ended = False
        self._failed = False  # the last event was an Error
        self._steps = 0

    def feed(self, event: ServerSentEvent) -> list[Event]:
        if self.ended or event.data is None or event.event == "ping":
            return []
        try:
            payload = self.read(event.data)
        except ValueError:
            failed = Error(str(event.data)) if event.event == "error" else NOT_JSON
            return self.fail(failed)
        if isinstance(payload, dict) and not text_of(payload.get("type")):
            payload = {**payload, "type": event.event or "message"}
        return self.feed_value(payload)

    def feed_value(self, value: Any) -> list[Event]:
        kind = text_of(value.get("type")) if isinstance(value, dict) else ""
        if self.ended or kind == "ping":
            return []
        self._failed = kind == "error"
        if kind == "done":
            self.ended = True
            return [Done()]
        if kind == "error":
            return [_error(value)]
        if kind == "step.end":
            self._steps += 1
            value = {"step": self._steps, **value}
        ours, fields = _READERS.get(kind, ("", dict))
        try:
            return [event_from_dict({"timestamp": _seconds(value), **fields(value), "type": ours})]
        except (EventError, AttributeError, KeyError, TypeError):
            whole = kind.startswith("raw") and "raw" in value
            return [Raw(value["raw"] if whole else value)]

    def close(self) -> list[Event]:
        if self.ended:
            return []
        self.ended = True
        return [] if self._failed else [CUT]


def _seconds(value: Any) -> float | None:
    ts = value.get("ts")
    return ts / 1000 if type(ts) is int else None


def _error(value: _Payload) -> Error:
    fields = object_of(value.get("error", value))
    after = fields.get("retry_after_ms")
    if type(after) not in (int, float):
        after = None
    message = text_of(fields.get("message")) or text_of(value.get("error"))
    code = text_of(fields.get("code")) or None
    seconds = None if after is None else after / 1000
    return Error(message, code, seconds, timestamp=_seconds(value))


def _pick(value: _Payload, *names: str) -> _Payload:
    return {name: value[name] for name in names if name in value}


def _audio(value: _Payload) -> _Payload:
    audio = value["audio"]
    mime, numbers = audio.get("format"), _pick(audio, "sample_rate", "channels", "bit_depth")
    return {"audio": audio["chunk"], "format": None if mime is None else {"mime": mime, **numbers}}


def _call(value: _Payload) -> _Payload:
    inner = value.get("tool_call", value)
    marks = _pick(inner, "input", "signature", "provider_executed")
    return {"id": value["call_id"], "name": inner["name"], **marks}


def _result(value: _Payload) -> _Payload:
    result = value["tool_result"] if "tool_result" in value else value["output"]
    marks = _pick(value, "is_error", "provider_executed")
    return {"id": value["call_id"], "name": value.get("name", ""), "result": result, **marks}


def _approval(value: _Payload) -> _Payload:
    asked = _pick(
        value["approval"], "id", "message", "reason", "response_schema", "signature"
    )  # fmt: skip
    return {"tool_call_id": value["call_id"], **asked}


def _fields(*names: str, **defaults: Any) -> Callable[[_Payload], _Payload]:
    """Return what takes the fields of these names, and others that the original leaves out."""
    return lambda value: defaults | _pick(value, *names, *defaults)


# For each type the name of the event, and what makes its fields.
_READERS: Final[dict[str, tuple[str, Callable[[_Payload], _Payload]]]] = {
    "start": ("start", _fields("id", "model")),
    "text.delta": ("text_delta", _fields(text="")),
    "reasoning.delta": ("reasoning_delta", _fields(text="")),
    "reasoning.end": ("reasoning_end", _fields("id", "signature", "redacted")),
    "audio.delta": ("audio_delta", _audio),
    "tool.call.start": ("tool_call_start", _call),
    "tool.call.delta": (
        "tool_call_delta", lambda value: {"id": value["call_id"], "text": value["text"]},
    ),
    "tool.call": ("tool_call", _call),
    "tool.result": ("tool_result", _result),
    "approval.request": ("approval_request", _approval),
    "citations": ("citations", _fields("citations")),
    "safety": (
        "safety", lambda value: {"safety": {"category": "", "action": "", **value["safety"]}},
    ),
    "data": ("data", _fields("name", "data", "id", "transient")),
    "file": ("file", lambda value: _pick(value["file"], "media_type", "url", "data")),
    "step.start": (
        "step_start", lambda value: {"step_number": value.get("step"), **_pick(value, "name")},
    ),
    "step.reset": ("step_reset", _fields()),
    "step.end": ("finish_step", lambda value: {"step_number": value["step"]}),
    "finish": ("finish", _fields("usage", "finish_reason", "raw_reason")),
}  # fmt: skip
