"""The writer of the AI SDK's UI message stream: events to chunks.

Guaranteed: each part has its start, deltas and end, in this order, and ids of its own; no chunk
refers to a part or a call that the client has not seen begin in this stream. A stream that failed
ends with an `error` chunk (under version 7, if it was cut, with `finish` and `interrupted`), never
with a successful `finish` and `[DONE]`.

How: a small state machine. One text or reasoning part is open at a time, and ends when another
part begins; tool calls stay open beside it. An `Error` is held until the next item, because clients
stop at an `error` chunk: if the stream goes on it becomes a `data-error` part. `Finish` is held
until the end, so that the last one counts. State is replaced, never changed in place, so that an
event that cannot be encoded leaves it as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from ...core import FrameTemplate, json_bytes
from ...errors import EncodeError, EventError
from ...events import (
    ApprovalRequest,
    AudioDelta,
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
)
from ...message.words import UNFINISHED, cited
from ..base import half_call_error
from ..stateful_writer import ErrorHoldingWriter
from . import parts


class _Call(NamedTuple):
    """A tool call of this stream."""

    name: str
    by_server: bool  # the provider or its server runs the tool
    is_open: bool = True  # its arguments are arriving
    is_answered: bool = False

    @property
    def is_for_client(self) -> bool:
        """True if the client is to run the tool."""
        return not (self.by_server or self.is_answered)


class UIMessageWriter(ErrorHoldingWriter):
    """Writes one UI message stream.

    Args:
        version: the major version of the clients: 5, 6 or 7.
        provider: the name under which signatures are written as `providerMetadata`.
    """

    def __init__(self, version: int, provider: str) -> None:
        super().__init__()
        self._version = version
        self._provider = provider
        self._started = False
        self._step_is_open = False
        self._part = ""  # the open part: "text", "reasoning" or none
        self._id = ""  # of the open part
        self._templates: dict[str, FrameTemplate] = {}  # of its deltas
        self._count = 0  # of parts, for their ids
        self._sources = 0  # written so far, for their ids
        self._cited: tuple[parts.Chunk, ...] = ()  # in the open text
        self._calls: dict[str, _Call] = {}
        self._call_template: dict[str, Any] = {}  # of the call whose arguments are arriving
        self._earlier_calls = self._calls  # of the steps before this one
        self._finish: Finish | None = None

    def templates(self) -> dict[str, Any]:
        return {} if self.error is not None else {**self._templates, **self._call_template}

    def write_event(self, encoder: Any, event: Event) -> None:
        try:
            write = _WRITERS[type(event)]
        except KeyError:
            raise EventError(f"{type(event).__name__} is no event that can be written") from None
        write(self, encoder, event)

    def drop_error(self, encoder: Any, error: Error) -> None:
        self._output(encoder, parts.error_part(error))

    def half_call(self) -> Error | None:
        half = next((call for call in self._calls.values() if call.is_open), None)
        return None if half is None else half_call_error(half.name)

    def write_success(self, encoder: Any) -> None:
        """Write the finish reason and `[DONE]`."""
        if not self._started:
            self._begin_step(encoder)
        self._end_step(encoder)
        event = self._finish or Finish()
        encoder.write_frame(json=parts.finish(event, self._reason(event)))
        encoder.write_frame("[DONE]")

    # ---- the message and its steps ----

    def _start(self, encoder: Any, event: Start | None = None) -> None:
        if self._started:
            return
        self._started = True
        start: parts.Chunk = {"type": "start"}
        if event is not None:
            start |= parts.set_fields(messageId=event.id)
            if event.model:
                start["messageMetadata"] = {"model": event.model}
        encoder.write_frame(json=start)

    def _write_start(self, encoder: Any, event: Start) -> None:
        if not self._started:
            self._start(encoder, event)
            self._begin_step(encoder)

    def _begin_step(self, encoder: Any) -> None:
        if self._step_is_open:
            return
        self._start(encoder)
        self._step_is_open, self._earlier_calls = True, self._calls
        encoder.write_frame(json={"type": "start-step"})

    def _end_step(self, encoder: Any, *_: Any) -> None:
        self._end_part(encoder)
        self._end_calls(encoder, UNFINISHED)
        self.in_step = False
        if self._step_is_open:
            self._step_is_open = False
            encoder.write_frame(json={"type": "finish-step"})

    def _write_step_start(self, encoder: Any, _: StepStart) -> None:
        if self.in_step:
            self._end_step(encoder)
        self._begin_step(encoder)

    def _write_step_reset(self, encoder: Any, _: StepReset) -> None:
        if self._version < 7:
            self.reset_step()
        elif self.in_step:
            self._close_part()
            self._calls, self.in_step = self._earlier_calls, False
            self._call_template = {}
            encoder.write_frame(json={"type": "reset-step"})

    def _output(self, encoder: Any, chunk: parts.Chunk) -> None:
        """Write a chunk of the current step."""
        self._begin_step(encoder)
        encoder.write_frame(json=chunk)
        self.in_step = True

    def _write_part(self, encoder: Any, chunk: parts.Chunk) -> None:
        """Write a part of one chunk, which ends the open part."""
        self._end_part(encoder)
        self._output(encoder, chunk)

    # ---- text and reasoning ----

    def _begin_part(self, encoder: Any, part: str, about: parts.Chunk | None = None) -> None:
        self._end_part(encoder)
        self._count += 1
        self._part, self._id = part, f"{part}-{self._count}"
        self._output(encoder, {"type": f"{part}-start", "id": self._id, **(about or {})})
        start = f'data: {{"type":"{part}-delta","id":"{self._id}","delta":"'
        self._templates = {part: FrameTemplate(start.encode(), b'"}\n\n')}

    def _end_part(self, encoder: Any, about: parts.Chunk | None = None) -> None:
        if not self._part:
            return
        end = {"type": f"{self._part}-end", "id": self._id, **(about or {})}
        if self._cited and self._version >= 7:
            end["citations"] = self._cited
        encoder.write_frame(json=end)
        self._close_part()

    def _close_part(self) -> None:
        self._part, self._cited, self._templates = "", (), {}

    def _write_delta(self, encoder: Any, event: TextDelta | ReasoningDelta) -> None:
        if not event.text:
            return
        part = "text" if type(event) is TextDelta else "reasoning"
        if self._part != part:
            self._begin_part(encoder, part)
        delta = {"type": f"{part}-delta", "id": self._id, "delta": event.text}
        encoder.write_frame(json=delta)

    def _write_reasoning_end(self, encoder: Any, event: ReasoningEnd) -> None:
        about = parts.reasoning_metadata(event, self._provider)
        if self._part != "reasoning":
            if not (event.signature or event.redacted):
                return
            # reasoning whose text is hidden; clients look for its metadata at either end
            self._begin_part(encoder, "reasoning", about)
        self._end_part(encoder, about)

    def _write_citations(self, encoder: Any, event: Citations) -> None:
        for each in event.citations:
            self._write_citation(encoder, each)

    def _write_citation(self, encoder: Any, citation: Citation) -> None:
        identity = f"source-{self._sources + 1}"
        self._output(encoder, parts.source_url(citation, identity, self._provider))
        self._sources += 1
        if self._part == "text":
            self._cited = (*self._cited, cited(citation, identity))

    # ---- tool calls ----

    def _set_call(self, identity: str, call: _Call) -> None:
        self._call_template = {}
        self._calls = {**self._calls, identity: call}

    def _write_call_start(self, encoder: Any, event: ToolCallStart | ToolCall) -> None:
        known = self._calls.get(event.id)
        if known is not None and known.is_open:
            return
        self._write_part(encoder, parts.input_start(event))
        self._set_call(event.id, _Call(event.name, bool(event.provider_executed)))

    def _write_call_delta(self, encoder: Any, event: ToolCallDelta) -> None:
        known = self._calls.get(event.id)
        if known is None or not known.is_open:
            raise EventError(
                f"ToolCallDelta {event.id!r} is of no open call: yield its ToolCallStart before, "
                "and its ToolCall after all deltas"
            )
        if not event.text:
            return
        if not self._call_template:
            identity = json_bytes(event.id, errors="replace")
            prefix = (
                b'data: {"type":"tool-input-delta","toolCallId":%b,"inputTextDelta":"' % identity
            )
            template = FrameTemplate(prefix, b'"}\n\n')
            self._call_template = {"tool_call": template, "tool_call_id": event.id}
        delta = {"toolCallId": event.id, "inputTextDelta": event.text}
        encoder.write_frame(json={"type": "tool-input-delta", **delta})

    def _write_call(self, encoder: Any, event: ToolCall) -> None:
        known = self._calls.get(event.id)
        if known is None or not known.is_open:
            self._write_call_start(encoder, event)
            if event.input is not None:
                delta = {"toolCallId": event.id, "inputTextDelta": _text(event.input)}
                encoder.write_frame(json={"type": "tool-input-delta", **delta})
        call = self._calls[event.id]
        by_server = call.by_server or bool(event.provider_executed)
        encoder.write_frame(json=parts.input_available(event, by_server, self._provider))
        self._set_call(event.id, _Call(event.name, by_server, False, call.is_answered))

    def _write_result(self, encoder: Any, event: ToolResult) -> None:
        identity = event.id or self._unanswered(event.name)
        if not identity:
            self._count += 1
            identity = f"call-{self._count}"
            self._write_call(encoder, ToolCall(identity, event.name))
        text = event.result if isinstance(event.result, str) else _text(event.result)
        self._output(encoder, parts.output(identity, event, text))
        call = self._calls.get(identity) or _Call(event.name, False, False)
        self._set_call(identity, call._replace(is_answered=True))

    def _unanswered(self, name: str) -> str:
        """Return the id of the last call of this tool that has no result; "" if there is none."""
        calls = reversed(self._calls.items())
        return next((key for key, call in calls if call.name == name and call.is_for_client), "")

    def _end_calls(self, encoder: Any, message: str) -> None:
        """Write the end of the open calls: their arguments are not whole."""
        for identity, call in self._calls.items():
            if call.is_open:
                encoder.write_frame(json=parts.input_error(identity, call.name, message))
                self._set_call(identity, call._replace(is_open=False, is_answered=True))

    def _write_approval(self, encoder: Any, event: ApprovalRequest) -> None:
        # a request for a call that the client does not know would kill the stream
        version = self._version if event.tool_call_id in self._calls else 5
        self._output(encoder, parts.approval(event, version))

    # ---- other parts, and the end ----

    def _write_data(self, encoder: Any, event: Data) -> None:
        if event.transient:
            self._output(encoder, parts.data_part(event))
        else:
            self._write_part(encoder, parts.data_part(event))

    def _write_finish(self, encoder: Any, event: Finish) -> None:
        self._end_part(encoder)
        self._finish = event

    def _hold_error(self, encoder: Any, event: Error) -> None:
        del encoder
        self.error = event

    def write_error(self, encoder: Any, error: Error) -> None:
        self._end_part(encoder)
        self._end_calls(encoder, error.message)
        if error.code == "truncated" and self._version >= 7:
            self._end_step(encoder)
            encoder.write_frame(json={"type": "finish", "finishReason": "interrupted"})
        else:
            encoder.write_frame(json={"type": "error", "errorText": error.message})
        encoder.failed = True

    def _reason(self, event: Finish) -> str:
        """Return why the answer ended: `tool_calls` only if the client is to run one."""
        reason = event.finish_reason
        if reason is not None and reason != "tool_calls":
            return reason
        pending = any(call.is_for_client for call in self._calls.values())
        return "tool_calls" if pending else "stop"


def _text(value: object) -> str:
    """Return a value as JSON text; "" if it can't be one, which its own chunk reports."""
    try:
        return json_bytes(value, errors="replace").decode()
    except EncodeError:
        return ""


_Writer = Callable[[UIMessageWriter, Any, Any], None]
_WRITERS: Final[dict[type[Event], _Writer]] = {
    Start: UIMessageWriter._write_start,
    StepStart: UIMessageWriter._write_step_start,
    FinishStep: UIMessageWriter._end_step,
    StepReset: UIMessageWriter._write_step_reset,
    TextDelta: UIMessageWriter._write_delta,
    ReasoningDelta: UIMessageWriter._write_delta,
    ReasoningEnd: UIMessageWriter._write_reasoning_end,
    Citations: UIMessageWriter._write_citations,
    ToolCallStart: UIMessageWriter._write_call_start,
    ToolCallDelta: UIMessageWriter._write_call_delta,
    ToolCall: UIMessageWriter._write_call,
    ToolResult: UIMessageWriter._write_result,
    ApprovalRequest: UIMessageWriter._write_approval,
    Data: UIMessageWriter._write_data,
    File: lambda self, encoder, event: self._write_part(encoder, parts.file(event)),
    AudioDelta: lambda self, encoder, event: self._output(encoder, parts.audio(event)),
    Safety: lambda self, encoder, event: self._output(encoder, parts.safety(event)),
    Raw: lambda self, encoder, event: self._output(encoder, parts.raw(event)),
    Finish: UIMessageWriter._write_finish,
    Error: UIMessageWriter._hold_error,
    Done: lambda self, encoder, _: self.finish(encoder),
}
