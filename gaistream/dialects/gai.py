"""The default protocol: the payloads of the Go original, with what it lost added.

In SSE the event's name stands in `event:` and its fields in the data; in NDJSON the name stands
in `type` and most fields in an object of that name. Error events carry a `retry:` hint in SSE.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

from ..core import FrameTemplate, ServerSentEvent
from ..errors import EventError
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
from ..writing.options import NDJSONOptions, SSEOptions
from .base import EventDialect, write_event_line

_Payload = dict[str, Any]


def _given(**fields: Any) -> _Payload:
    """Give the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _format(form: AudioFormat | None) -> _Payload | None:
    if form is None:
        return None
    return {
        "mime": form.mime,
        "sample_rate": form.sample_rate,
        "channels": form.channels,
        "bit_depth": form.bit_depth,
    }


def _citation(citation: Citation) -> _Payload:
    said = {"uri": citation.uri, "start": citation.start, "end": citation.end}
    return said | _given(title=citation.title)


def _usage(usage: Usage | None) -> _Payload | None:
    if usage is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        **_given(
            cached_input_tokens=usage.cached_input_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            reasoning_tokens=usage.reasoning_tokens,
        ),
    }


def _start(event: Start) -> _Payload:
    return {"started": True, **_given(id=event.id, model=event.model)}


def _text(event: TextDelta | ReasoningDelta) -> _Payload:
    return {"text": event.text}


def _citations(event: Citations) -> _Payload:
    return {"citations": [_citation(each) for each in event.citations]}


def _safety(event: Safety) -> _Payload:
    said = {"category": event.category, "action": event.action, "score": event.score}
    return {"safety": said | _given(note=event.note)}


def _finish(event: Finish) -> _Payload:
    return {"usage": _usage(event.usage), **_given(finish_reason=event.finish_reason)}


def _error(event: Error) -> _Payload:
    return {"error": event.message, **_given(code=event.code, retry_after=event.retry_after)}


# What each kind is called, its SSE payload, and its NDJSON payload but for the type.
_SAID: dict[type[Event], tuple[str, Callable[[Any], _Payload], Callable[[Any], _Payload]]] = {
    Start: ("start", _start, _start),
    TextDelta: ("text_delta", _text, _text),
    ReasoningDelta: ("reasoning_delta", _text, _text),
    AudioDelta: (
        "audio_delta",
        lambda event: {"audio": _base64(event.audio), "format": _format(event.format)},
        lambda event: {"audio": {"chunk": _base64(event.audio), "format": _format(event.format)}},
    ),
    ToolCall: (
        "tool_call",
        lambda event: {"tool_name": event.name, "tool_id": event.id, "input": event.input},
        lambda event: {"tool_call": {"id": event.id, "input": event.input, "name": event.name}},
    ),
    ToolResult: (
        "tool_result",
        lambda event: {"tool_name": event.name, "tool_id": event.id, "result": event.result},
        lambda event: {
            "tool_result": {"name": event.name, "id": event.id, "result": event.result}
        },
    ),
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
    Raw: ("raw", lambda event: {"raw": event.raw}, lambda event: _given(raw=event.raw)),
}


def _seconds(timestamp: float | None) -> int:
    """Give a time in whole Unix seconds: an event's, or now."""
    try:
        seconds = int(time.time() if timestamp is None else timestamp)
    except (ValueError, OverflowError):
        raise EventError(f"timestamp must be a finite number, not {timestamp!r}") from None
    if seconds.bit_length() > 63:
        raise EventError(f"timestamp must be of 64 bits, not of {seconds.bit_length()}")
    return seconds


def _said(event: Event) -> tuple[str, Callable[[Any], _Payload], Callable[[Any], _Payload]]:
    try:
        return _SAID[type(event)]
    except KeyError:
        raise EventError(f"{type(event).__name__} is no event that can be written") from None


class GaiSSE(EventDialect):
    """The default protocol over SSE."""

    text_template = FrameTemplate(b'event: text_delta\ndata: {"text":"', b'"}\n\n')
    reasoning_template = FrameTemplate(b'event: reasoning_delta\ndata: {"text":"', b'"}\n\n')

    def __init__(self, options: SSEOptions) -> None:
        self._error_retry = options.error_retry

    def say(self, frames: Any, event: Event) -> None:
        """Write one event."""
        name, payload, _ = _said(event)
        retry = self._error_retry if type(event) is Error else None
        frames.write_frame(None, name, retry=retry, json=payload(event))

    def pass_on(self, frames: Any, event: ServerSentEvent) -> None:
        """Write a ServerSentEvent as it is."""
        frames.write_sse_event(event)


class GaiNDJSON(EventDialect):
    """The default protocol over NDJSON."""

    def __init__(self, options: NDJSONOptions) -> None:
        self._timestamps = options.include_timestamp
        if self._timestamps:
            return  # such a line differs in two places
        gap = b"" if options.compact_json else b" "
        for name in ("text", "reasoning"):
            start = b'{"type":%b"%b_delta",%b"text":%b"' % (gap, name.encode(), gap, gap)
            setattr(self, f"{name}_template", FrameTemplate(start, b'"}\n'))

    def say(self, frames: Any, event: Event) -> None:
        """Write one event."""
        name, _, payload = _said(event)
        line: _Payload = {"type": name}
        if self._timestamps:
            line["timestamp"] = _seconds(event.timestamp)
        frames.write_line(line | payload(event))

    def pass_on(self, frames: Any, event: ServerSentEvent) -> None:
        """Write a ServerSentEvent as a line of its name and data; a mere comment is left out."""
        write_event_line(frames, event, "message")
