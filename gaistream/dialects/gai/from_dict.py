"""Events from dicts with a `type`.

A dict has the shape of a gai NDJSON line (`{"type":"tool_call","tool_call":{…}}`), or the event's
fields beside the type (`{"type":"tool_call","id":…,"name":…,"input":…}`). Unknown keys are ignored.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import EventError
from ...events import (
    ApprovalRequest,
    AudioDelta,
    AudioFormat,
    Citation,
    Citations,
    Data,
    Done,
    Error,
    Event,
    File,
    Finish,
    FinishStep,
    Raw,
    ReasoningDelta,
    ReasoningEnd,
    Safety,
    Start,
    StepReset,
    StepStart,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStart,
    ToolResult,
    Usage,
)
from ..base import OWN_JSON

_Fields = Mapping[str, Any]


def event_from_dict(item: _Fields) -> Event:
    """Return the event that a dict describes. Raise EventError if a field is missing or wrong."""
    kind = item.get("type")
    make = _MAKERS.get(kind) if isinstance(kind, str) else None
    if make is None:
        raise EventError(f"a dict needs a 'type' that is an event's, not {kind!r}; {OWN_JSON}")
    try:
        return make(item, {"timestamp": item.get("timestamp")})
    except KeyError as error:
        raise EventError(f"{kind} needs the field {error.args[0]!r}") from None


def _within(item: _Fields, name: str) -> _Fields:
    """Return the object under `name`, or the item itself if its fields are beside the type."""
    inner = item.get(name, item)
    if not isinstance(inner, Mapping):
        raise EventError(f"{item['type']}.{name} must be an object, not {type(inner).__name__}")
    return inner


def _value(kind: type[Any], name: str, value: Any) -> Any:
    """Return a value of this kind, made of its fields if need be; None stays None."""
    if value is None or isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise EventError(f"{name} must be an object, not {type(value).__name__}")
    required = {AudioFormat: "mime", Citation: "uri"}.get(kind)
    if required is not None and required not in value:
        raise EventError(f"{name} needs the field {required!r}")
    return kind(**{field: value[field] for field in kind.__match_args__ if field in value})


def _decoded(name: str, data: Any) -> Any:
    """Return the bytes of a base64 text, and any other value as it is."""
    if not isinstance(data, str):
        return data
    try:
        return base64.b64decode(data, validate=True)
    except ValueError as error:  # binascii.Error, or one for text that is not ASCII
        raise EventError(f"{name} is not base64: {error}") from None


def _audio(item: _Fields, common: Any) -> Event:
    inner = item["audio"]
    chunk = inner["chunk"] if isinstance(inner, Mapping) else inner
    format = inner.get("format") if isinstance(inner, Mapping) else item.get("format")
    audio = _decoded("audio_delta.audio", chunk)
    return AudioDelta(audio, _value(AudioFormat, "audio_delta.format", format), **common)


def _citations(item: _Fields, common: Any) -> Event:
    citations = item["citations"]
    if not isinstance(citations, list | tuple):
        raise EventError(f"citations must be a list, not {type(citations).__name__}")
    return Citations([_value(Citation, "citations", each) for each in citations], **common)


def _tool_call(item: _Fields, common: Any) -> Event:
    fields = _within(item, "tool_call")
    return ToolCall(
        fields["id"],
        fields["name"],
        fields.get("input"),
        fields.get("signature"),
        fields.get("provider_executed"),
        **common,
    )


def _tool_call_start(item: _Fields, common: Any) -> Event:
    fields = _within(item, "tool_call")
    return ToolCallStart(fields["id"], fields["name"], fields.get("provider_executed"), **common)


def _tool_call_delta(item: _Fields, common: Any) -> Event:
    fields = _within(item, "tool_call")
    return ToolCallDelta(fields["id"], fields["text"], **common)


def _tool_result(item: _Fields, common: Any) -> Event:
    fields = _within(item, "tool_result")
    return ToolResult(
        fields.get("id", ""),
        fields["name"],
        fields.get("result"),
        fields.get("is_error"),
        fields.get("provider_executed"),
        **common,
    )


def _approval_request(item: _Fields, common: Any) -> Event:
    fields = _within(item, "approval")
    return ApprovalRequest(
        fields["id"],
        fields["tool_call_id"] if "tool_call_id" in fields else fields["tool_id"],
        fields.get("message"),
        fields.get("reason"),
        fields.get("response_schema"),
        fields.get("signature"),
        **common,
    )


def _reasoning_end(item: _Fields, common: Any) -> Event:
    return ReasoningEnd(item.get("id"), item.get("signature"), item.get("redacted"), **common)


def _data(item: _Fields, common: Any) -> Event:
    return Data(item["name"], item["data"], item.get("id"), item.get("transient"), **common)


def _file(item: _Fields, common: Any) -> Event:
    data = _decoded("file.data", item.get("data"))
    return File(item["media_type"], item.get("url"), data, **common)


def _step_start(item: _Fields, common: Any) -> Event:
    fields = _within(item, "step")
    number = fields.get("number", fields.get("step_number"))
    return StepStart(number, fields.get("name"), **common)


def _safety(item: _Fields, common: Any) -> Event:
    fields = _within(item, "safety")
    return Safety(
        fields["category"], fields["action"], fields.get("score", 0.0), fields.get("note"), **common
    )


def _finish_step(item: _Fields, common: Any) -> Event:
    number = _within(item, "step")["number"] if "step" in item else item["step_number"]
    return FinishStep(number, **common)


def _finish(item: _Fields, common: Any) -> Event:
    usage = _value(Usage, "finish.usage", item.get("usage"))
    return Finish(usage, item.get("finish_reason"), item.get("raw_reason"), **common)


def _error(item: _Fields, common: Any) -> Event:
    message = item["error"] if "error" in item else item["message"]
    return Error(message, item.get("code"), item.get("retry_after"), **common)


_MAKERS: dict[str, Callable[[_Fields, Any], Event]] = {
    "start": lambda item, common: Start(item.get("id"), item.get("model"), **common),
    "text_delta": lambda item, common: TextDelta(item["text"], **common),
    "reasoning_delta": lambda item, common: ReasoningDelta(item["text"], **common),
    "audio_delta": _audio,
    "reasoning_end": _reasoning_end,
    "tool_call_start": _tool_call_start,
    "tool_call_delta": _tool_call_delta,
    "tool_call": _tool_call,
    "tool_result": _tool_result,
    "citations": _citations,
    "safety": _safety,
    "approval_request": _approval_request,
    "data": _data,
    "file": _file,
    "step_start": _step_start,
    "step_reset": lambda _, common: StepReset(**common),
    "finish_step": _finish_step,
    "finish": _finish,
    "error": _error,
    "done": lambda _, common: Done(**common),
    "raw": lambda item, common: Raw(item.get("raw"), **common),
}
KINDS = frozenset(_MAKERS)
