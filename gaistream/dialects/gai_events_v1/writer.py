"""The writer of gai.events.v1: each event in an envelope with its type, its time and its number.

The shape is the full one of the Go original, in both formats. Fields that it lost are added
beside its own, and its readers ignore them. `ts` is the event's timestamp, or now, in milliseconds;
`seq` begins with 1, and an event that cannot be written does not count.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from ...core import FrameTemplate, ServerSentEvent, json_bytes
from ...errors import EventError
from ...events import (
    ApprovalRequest,
    AudioDelta,
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
)
from ..base import write_event_line
from ..event_writer import EventWriter
from ..gai.writer import citation_fields, in_base64, usage_fields, without_none
from ..identity import clock, unix_time
from . import SCHEMA

_Payload = dict[str, Any]
_LONGEST_WAIT: Final = 1e9  # seconds: a product beyond the floats cannot be rounded


def _delta(name: str) -> tuple[str, FrameTemplate]:
    prefix = b'{"schema":"%b","type":"%b","text":"' % (SCHEMA.encode(), name.encode())
    return name, FrameTemplate(prefix, b'","ts":')


_DELTAS: Final[dict[type[Any], tuple[str, FrameTemplate]]] = {
    TextDelta: _delta("text.delta"),
    ReasoningDelta: _delta("reasoning.delta"),
}


class GaiEventsV1Writer(EventWriter):
    """Writes one stream.

    Args:
        is_sse: False for NDJSON.
        retry: milliseconds of the `retry:` hint of errors in SSE; None: no hint.
        compact: False: spaces in the lines of NDJSON.
        trace_id, request_id, provider, model: see `GaiEventsV1`.
    """

    def __init__(
        self, is_sse: bool, retry: int | None, compact: bool, *, trace_id: str | None,
        request_id: str | None, provider: str | None, model: str | None,
    ) -> None:  # fmt: skip
        self._is_sse = is_sse
        self._retry = retry
        self._deltas = _DELTAS if is_sse or compact else {}
        self._ids = without_none(trace_id=trace_id, request_id=request_id)
        self._source = self._options = without_none(provider=provider, model=model)
        ids = json_bytes(self._ids, errors="replace")[1:]
        self._tail = (b"," if self._ids else b"") + ids + (b"" if is_sse else b"\n")
        self._written = 0
        self._clock = clock()

    def write(self, encoder: Any, item: Any) -> None:
        """Write an item; deltas without a timestamp, the most frequent events, in a short way."""
        kind = TextDelta if type(item) is str else type(item)
        if kind not in self._deltas or getattr(item, "timestamp", None) is not None:
            super().write(encoder, item)
            return
        name, template = self._deltas[kind]
        try:
            text = template.render(item if type(item) is str else item.text)
        except UnicodeEncodeError:  # the encoder knows what is written for half a surrogate pair
            super().write(encoder, item)
            return
        seq = self._written + 1
        data = b'%b%d,"seq":%d%b' % (text, self._clock() * 1000, seq, self._tail)
        if self._is_sse:
            encoder.write_frame(data, name)
        else:
            encoder.write_ready(data)
        self._written = seq

    def write_event(self, encoder: Any, event: Event) -> None:
        try:
            kind, fields = _SHAPES[type(event)]
        except KeyError:
            raise EventError(f"{type(event).__name__} is no event that can be written") from None
        payload = {
            "schema": SCHEMA, "type": kind, "ts": _milliseconds(event.timestamp),
            "seq": self._written + 1, **self._ids,
        }  # fmt: skip
        if type(event) is Start:
            self._source = without_none(model=event.model) | self._options
        payload |= self._source if type(event) in (Start, Finish) else {}
        payload |= fields(event)
        if self._is_sse:
            retry = self._retry if type(event) is Error else None
            encoder.write_frame(None, kind, retry=retry, json=payload)
        else:
            encoder.write_line(payload)
        self._written += 1

    def write_sse_event(self, encoder: Any, event: ServerSentEvent) -> None:
        """Write it as it is, or a line of its name and data; a mere comment makes no line."""
        if self._is_sse:
            encoder.write_sse_event(event)
        else:
            write_event_line(encoder, event, "message")


def _milliseconds(timestamp: float | None) -> int:
    try:
        milliseconds = round((unix_time() if timestamp is None else timestamp) * 1000)
    except (ValueError, OverflowError):
        raise EventError(f"timestamp must be a finite number, not {timestamp!r}") from None
    if milliseconds.bit_length() > 63:
        raise EventError(f"timestamp must be of 64 bits, not of {milliseconds.bit_length()}")
    return milliseconds


def _text(event: TextDelta | ReasoningDelta) -> _Payload:
    return {"text": event.text}


def _audio(event: AudioDelta) -> _Payload:
    audio: _Payload = {"chunk": in_base64(event.audio)}
    if event.format is not None:
        format = event.format
        audio |= {
            "format": format.mime, "sample_rate": format.sample_rate, "channels": format.channels,
            "bit_depth": format.bit_depth,
        }  # fmt: skip
    return {"audio": audio}


def _call(event: ToolCallStart | ToolCall, **fields: Any) -> _Payload:
    marks = without_none(provider_executed=event.provider_executed)
    return {"call_id": event.id, "tool_call": {"name": event.name, **fields, **marks}}


def _tool_call(event: ToolCall) -> _Payload:
    return _call(event, input=event.input, **without_none(signature=event.signature))


def _tool_result(event: ToolResult) -> _Payload:
    marks = without_none(is_error=event.is_error, provider_executed=event.provider_executed)
    return {"call_id": event.id, "name": event.name, "tool_result": event.result, **marks}


def _safety(event: Safety) -> _Payload:
    fields = {"category": event.category, "action": event.action, "score": event.score}
    return {"safety": fields | without_none(note=event.note)}


def _data(event: Data) -> _Payload:
    about = without_none(id=event.id, transient=event.transient)
    return {"name": event.name, "data": event.data, **about}


def _file(event: File) -> _Payload:
    data = None if event.data is None else in_base64(event.data)
    return {"file": {"media_type": event.media_type, **without_none(url=event.url, data=data)}}


def _approval(event: ApprovalRequest) -> _Payload:
    asked = without_none(
        message=event.message, reason=event.reason, response_schema=event.response_schema,
        signature=event.signature,
    )  # fmt: skip
    return {"call_id": event.tool_call_id, "approval": {"id": event.id, **asked}}


def _finish(event: Finish) -> _Payload:
    return without_none(
        usage=usage_fields(event.usage), finish_reason=event.finish_reason,
        raw_reason=event.raw_reason,
    )  # fmt: skip


def _error(event: Error) -> _Payload:
    error: _Payload = {"message": event.message, **without_none(code=event.code)}
    if event.retry_after is not None and math.isfinite(event.retry_after):
        seconds = max(-_LONGEST_WAIT, min(event.retry_after, _LONGEST_WAIT))
        error["retry_after_ms"] = round(seconds * 1000)
    return {"error": error}


_SHAPES: Final[dict[type[Event], tuple[str, Callable[[Any], _Payload]]]] = {
    Start: ("start", lambda event: without_none(id=event.id)),
    TextDelta: ("text.delta", _text),
    ReasoningDelta: ("reasoning.delta", _text),
    ReasoningEnd: (
        "reasoning.end",
        lambda event: without_none(
            id=event.id, signature=event.signature, redacted=event.redacted
        ),
    ),
    AudioDelta: ("audio.delta", _audio),
    ToolCallStart: ("tool.call.start", _call),
    ToolCallDelta: ("tool.call.delta", lambda event: {"call_id": event.id, "text": event.text}),
    ToolCall: ("tool.call", _tool_call),
    ToolResult: ("tool.result", _tool_result),
    ApprovalRequest: ("approval.request", _approval),
    Citations: (
        "citations", lambda event: {"citations": [citation_fields(c) for c in event.citations]},
    ),
    Safety: ("safety", _safety),
    Data: ("data", _data),
    File: ("file", _file),
    StepStart: (
        "step.start", lambda event: without_none(step=event.step_number, name=event.name),
    ),
    StepReset: ("step.reset", lambda _: {}),
    FinishStep: ("step.end", lambda event: {"step": event.step_number}),
    Finish: ("finish", _finish),
    Error: ("error", _error),
    Done: ("done", lambda _: {"finished": True}),
    Raw: ("raw", lambda event: {"raw": event.raw}),
}  # fmt: skip
