"""The writers of the default protocol.

In SSE the event's name stands in `event:` and its fields in the data; in NDJSON the name stands
in `type` and most fields in an object of that name. Error events carry a `retry:` hint in SSE.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from ...core import FrameTemplate, ServerSentEvent
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
from ..base import write_event_line
from ..event_writer import EventWriter
from ..identity import unix_time

_Payload = dict[str, Any]


def without_none(**fields: Any) -> _Payload:
    """Return the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def in_base64(data: bytes) -> str:
    """Return bytes in base64."""
    return base64.b64encode(data).decode("ascii")


def _format(audio: AudioFormat | None) -> _Payload | None:
    if audio is None:
        return None
    return {
        "mime": audio.mime,
        "sample_rate": audio.sample_rate,
        "channels": audio.channels,
        "bit_depth": audio.bit_depth,
    }


def citation_fields(citation: Citation) -> _Payload:
    """Return a citation; an absent title is left out."""
    fields = {"uri": citation.uri, "start": citation.start, "end": citation.end}
    return fields | without_none(title=citation.title)


def usage_fields(usage: Usage | None) -> _Payload | None:
    """Return the counts; absent parts are left out."""
    if usage is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        **without_none(
            cached_input_tokens=usage.cached_input_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            reasoning_tokens=usage.reasoning_tokens,
        ),
    }


def _start(event: Start) -> _Payload:
    return {"started": True, **without_none(id=event.id, model=event.model)}


def _text(event: TextDelta | ReasoningDelta) -> _Payload:
    return {"text": event.text}


def _citations(event: Citations) -> _Payload:
    return {"citations": [citation_fields(each) for each in event.citations]}


def _safety(event: Safety) -> _Payload:
    fields = {"category": event.category, "action": event.action, "score": event.score}
    return {"safety": fields | without_none(note=event.note)}


def _reasoning_end(event: ReasoningEnd) -> _Payload:
    return without_none(id=event.id, signature=event.signature, redacted=event.redacted)


def _call_start(event: ToolCallStart) -> _Payload:
    return without_none(provider_executed=event.provider_executed)


def _tool_call(event: ToolCall) -> _Payload:
    fields = {"tool_name": event.name, "tool_id": event.id, "input": event.input}
    if event.signature is not None:
        fields["signature"] = event.signature
    if event.provider_executed is not None:
        fields["provider_executed"] = event.provider_executed
    return fields


def _tool_result(event: ToolResult) -> _Payload:
    fields = {"tool_name": event.name, "tool_id": event.id, "result": event.result}
    if event.is_error is not None:
        fields["is_error"] = event.is_error
    if event.provider_executed is not None:
        fields["provider_executed"] = event.provider_executed
    return fields


def _in_line(fields: _Payload, *first: str) -> _Payload:
    """Return the fields of a call or result as they stand in a line, these first."""
    named = {"id": fields.pop("tool_id"), "name": fields.pop("tool_name"), **fields}
    return {name: named[name] for name in dict.fromkeys((*first, *named))}


def _data(event: Data) -> _Payload:
    fields = {"name": event.name, "data": event.data}
    return fields | without_none(id=event.id, transient=event.transient)


def _file(event: File) -> _Payload:
    if event.data is None:
        return {"media_type": event.media_type, "url": event.url}
    return {"media_type": event.media_type, "data": in_base64(event.data)}


def _approval(event: ApprovalRequest) -> _Payload:
    return {"id": event.id, "tool_id": event.tool_call_id} | without_none(
        message=event.message,
        reason=event.reason,
        response_schema=event.response_schema,
        signature=event.signature,
    )


def _finish(event: Finish) -> _Payload:
    reasons = without_none(finish_reason=event.finish_reason, raw_reason=event.raw_reason)
    return {"usage": usage_fields(event.usage), **reasons}


def _error(event: Error) -> _Payload:
    return {"error": event.message, **without_none(code=event.code, retry_after=event.retry_after)}


_Shape = tuple[str, Callable[[Any], _Payload], Callable[[Any], _Payload]]
# The name of each event, its SSE payload, and its NDJSON payload without the type.
_SHAPES: dict[type[Event], _Shape] = {
    Start: ("start", _start, _start),
    TextDelta: ("text_delta", _text, _text),
    ReasoningDelta: ("reasoning_delta", _text, _text),
    AudioDelta: (
        "audio_delta",
        lambda event: {"audio": in_base64(event.audio), "format": _format(event.format)},
        lambda event: {"audio": {"chunk": in_base64(event.audio), "format": _format(event.format)}},
    ),
    ReasoningEnd: ("reasoning_end", _reasoning_end, _reasoning_end),
    ToolCallStart: (
        "tool_call_start",
        lambda event: {"tool_id": event.id, "tool_name": event.name} | _call_start(event),
        lambda event: {"tool_call": {"id": event.id, "name": event.name} | _call_start(event)},
    ),
    ToolCallDelta: (
        "tool_call_delta",
        lambda event: {"tool_id": event.id, "text": event.text},
        lambda event: {"tool_call": {"id": event.id, "text": event.text}},
    ),
    ToolCall: (
        "tool_call",
        _tool_call,
        lambda event: {"tool_call": _in_line(_tool_call(event), "id", "input", "name")},
    ),
    ToolResult: (
        "tool_result",
        _tool_result,
        lambda event: {"tool_result": _in_line(_tool_result(event), "name", "id")},
    ),
    ApprovalRequest: (
        "approval_request",
        _approval,
        lambda event: {"approval": _approval(event)},
    ),
    Data: ("data", _data, _data),
    File: ("file", _file, _file),
    StepStart: (
        "step_start",
        lambda event: without_none(step_number=event.step_number, name=event.name),
        lambda event: {"step": without_none(number=event.step_number, name=event.name)},
    ),
    StepReset: ("step_reset", lambda _: {}, lambda _: {}),
    Citations: ("citations", _citations, _citations),
    Safety: ("safety", _safety, _safety),
    FinishStep: (
        "finish_step",
        lambda event: {"step_number": event.step_number},
        lambda event: {"step": {"number": event.step_number, "finished": True}},
    ),
    Finish: ("finish", _finish, lambda event: {**_finish(event), "finished": True}),
    Error: ("error", _error, _error),
    Done: ("done", lambda _: {"finished": True}, lambda _: {"finished": True}),
    Raw: ("raw", lambda event: {"raw": event.raw}, lambda event: without_none(raw=event.raw)),
}


def _seconds(timestamp: float | None) -> int:
    """Return a time, or now, in whole Unix seconds."""
    try:
        seconds = int(unix_time() if timestamp is None else timestamp)
    except (ValueError, OverflowError):
        raise EventError(f"timestamp must be a finite number, not {timestamp!r}") from None
    if seconds.bit_length() > 63:
        raise EventError(f"timestamp must be of 64 bits, not of {seconds.bit_length()}")
    return seconds


def shape_of(event: Event) -> _Shape:
    """Return the name of an event, and the functions that make its two payloads."""
    try:
        return _SHAPES[type(event)]
    except KeyError:
        raise EventError(f"{type(event).__name__} is no event that can be written") from None


class GaiSSE(EventWriter):
    """The default protocol over SSE."""

    text_template = FrameTemplate(b'event: text_delta\ndata: {"text":"', b'"}\n\n')
    reasoning_template = FrameTemplate(b'event: reasoning_delta\ndata: {"text":"', b'"}\n\n')

    def __init__(self, retry: int | None) -> None:
        self._retry = retry

    def write_event(self, encoder: Any, event: Event) -> None:
        name, payload, _ = shape_of(event)
        retry = self._retry if type(event) is Error else None
        encoder.write_frame(None, name, retry=retry, json=payload(event))


class GaiNDJSON(EventWriter):
    """The default protocol over NDJSON."""

    def __init__(self, compact: bool, timestamps: bool) -> None:
        self._timestamps = timestamps
        if timestamps:
            return  # such a line differs in two places
        gap = b"" if compact else b" "
        for name in ("text", "reasoning"):
            start = b'{"type":%b"%b_delta",%b"text":%b"' % (gap, name.encode(), gap, gap)
            setattr(self, f"{name}_template", FrameTemplate(start, b'"}\n'))

    def write_event(self, encoder: Any, event: Event) -> None:
        name, _, payload = shape_of(event)
        line: _Payload = {"type": name}
        if self._timestamps:
            line["timestamp"] = _seconds(event.timestamp)
        encoder.write_line(line | payload(event))

    def write_sse_event(self, encoder: Any, event: ServerSentEvent) -> None:
        """Write a line of the event's name and data; a mere comment is left out."""
        write_event_line(encoder, event, "message")
