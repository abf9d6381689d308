"""Events from what stands for one: dicts with a `type`, and exceptions.

A dict is taken in the shape of a gai NDJSON line (`{"type":"tool_call","tool_call":{…}}`) or with
the event's own fields beside the type (`{"type":"tool_call","id":…,"name":…,"input":…}`). Keys
that an event does not know are left aside.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..errors import EventError, StreamError, ungrouped
from ..events import (
    AudioDelta,
    AudioFormat,
    Citation,
    Citations,
    Done,
    Error,
    Event,
    Finish,
    FinishStep,
    Raw,
    ReasoningDelta,
    Safety,
    Start,
    TextDelta,
    ToolCall,
    ToolResult,
    Usage,
)

OWN_JSON: Final = 'for your own JSON objects pass dialect="json"'
_Fields = Mapping[str, Any]


def event_of(item: _Fields) -> Event:
    """Make the event that a dict describes; EventError says what is missing or wrong."""
    kind = item.get("type")
    make = _MAKERS.get(kind) if isinstance(kind, str) else None
    if make is None:
        raise EventError(f"a dict needs a 'type' that is an event's, not {kind!r}; {OWN_JSON}")
    try:
        return make(item, {"timestamp": item.get("timestamp")})
    except KeyError as error:
        raise EventError(f"{kind} needs the field {error.args[0]!r}") from None


def error_event(error: BaseException) -> Error:
    """Give the event that tells a client of an exception: only a StreamError tells its text."""
    error = ungrouped(error)
    if isinstance(error, StreamError):
        return Error(error.message, error.code, error.retry_after)
    return Error("internal error", "internal")


def error_object(code: str | None, message: str) -> dict[str, dict[str, str]]:
    """Give the object that tells of a failure: in people's own streams, and in HTTP bodies."""
    return {"error": {"code": code or "error", "message": message}}


def _within(item: _Fields, name: str) -> _Fields:
    """Give the object under `name`, or the item itself where its fields stand beside the type."""
    inner = item.get(name, item)
    if not isinstance(inner, Mapping):
        raise EventError(f"{item['type']}.{name} must be an object, not {type(inner).__name__}")
    return inner


def _value(kind: type[Any], name: str, given: Any) -> Any:
    """Give a value of this kind: as it is, from an object, or None."""
    if given is None or isinstance(given, kind):
        return given
    if not isinstance(given, Mapping):
        raise EventError(f"{name} must be an object, not {type(given).__name__}")
    required = {AudioFormat: "mime", Citation: "uri"}.get(kind)
    if required is not None and required not in given:
        raise EventError(f"{name} needs the field {required!r}")
    return kind(**{field: given[field] for field in kind.__match_args__ if field in given})


def _audio(item: _Fields, when: Any) -> Event:
    inner = item["audio"]
    chunk = inner["chunk"] if isinstance(inner, Mapping) else inner
    form = inner.get("format") if isinstance(inner, Mapping) else item.get("format")
    if isinstance(chunk, str):
        try:
            chunk = base64.b64decode(chunk, validate=True)
        except ValueError as error:  # binascii.Error, or one for text that is not ASCII
            raise EventError(f"audio_delta.audio is not base64: {error}") from None
    return AudioDelta(chunk, _value(AudioFormat, "audio_delta.format", form), **when)


def _citations(item: _Fields, when: Any) -> Event:
    given = item["citations"]
    if not isinstance(given, list | tuple):
        raise EventError(f"citations must be a list, not {type(given).__name__}")
    return Citations([_value(Citation, "citations", each) for each in given], **when)


def _tool_call(item: _Fields, when: Any) -> Event:
    fields = _within(item, "tool_call")
    return ToolCall(fields["id"], fields["name"], fields.get("input"), **when)


def _tool_result(item: _Fields, when: Any) -> Event:
    fields = _within(item, "tool_result")
    return ToolResult(fields.get("id", ""), fields["name"], fields.get("result"), **when)


def _safety(item: _Fields, when: Any) -> Event:
    fields = _within(item, "safety")
    return Safety(
        fields["category"], fields["action"], fields.get("score", 0.0), fields.get("note"), **when
    )


def _finish_step(item: _Fields, when: Any) -> Event:
    number = _within(item, "step")["number"] if "step" in item else item["step_number"]
    return FinishStep(number, **when)


def _finish(item: _Fields, when: Any) -> Event:
    usage = _value(Usage, "finish.usage", item.get("usage"))
    return Finish(usage, item.get("finish_reason"), **when)


def _error(item: _Fields, when: Any) -> Event:
    message = item["error"] if "error" in item else item["message"]
    return Error(message, item.get("code"), item.get("retry_after"), **when)


_MAKERS: dict[str, Callable[[_Fields, Any], Event]] = {
    "start": lambda item, when: Start(item.get("id"), item.get("model"), **when),
    "text_delta": lambda item, when: TextDelta(item["text"], **when),
    "reasoning_delta": lambda item, when: ReasoningDelta(item["text"], **when),
    "audio_delta": _audio,
    "tool_call": _tool_call,
    "tool_result": _tool_result,
    "citations": _citations,
    "safety": _safety,
    "finish_step": _finish_step,
    "finish": _finish,
    "error": _error,
    "done": lambda _, when: Done(**when),
    "raw": lambda item, when: Raw(item.get("raw"), **when),
}
KINDS = frozenset(_MAKERS)
