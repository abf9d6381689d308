"""The writer of AG-UI: events to the frames of a run.

Guaranteed: RUN_STARTED is first. Whatever is written for a message, a reasoning, a call or a step
stands between its start and its end, and all of them have ended before RUN_FINISHED. A stream that
failed ends with RUN_ERROR, never with RUN_FINISHED. An absent field is left out, never null.

How: a state machine of the block that is open (see stateful_writer.py, which holds errors). One
text or reasoning is open at a time; calls stay open beside it. The texts and the calls of a step
are of one message, up to the first result, so that clients keep them together. `Finish` and
approvals are held until the end, where they make the outcome.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from ...core import FrameTemplate, json_bytes
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
from ..base import half_call_error
from ..gai.writer import shape_of
from ..identity import new_hex
from ..stateful_writer import ErrorHoldingWriter
from .words import OWN, VERSION, interrupt, metadata, usage_entry

_Fields = dict[str, Any]
_FIRST_VERSION: Final = re.compile(r"[1-9]\d*\.\d+", re.ASCII)  # that has all outcomes: 1.0


class _Call(NamedTuple):
    """A tool call of this run."""

    id: str  # as it is written
    name: str
    by_server: bool  # the provider or its server runs the tool
    is_open: bool = True
    is_answered: bool = False
    has_arguments: bool = False  # a piece of them was written

    @property
    def is_for_client(self) -> bool:
        """True if the client is to run the tool."""
        return not (self.by_server or self.is_answered)


class AGUIWriter(ErrorHoldingWriter):
    """Writes one run of AG-UI.

    Args:
        thread_id, run_id, parent_run_id, protocol_version: see `AGUI`.
        requested_model: the model of the run if `Start` names none.
    """

    def __init__(
        self, thread_id: str | None, run_id: str | None, parent_run_id: str | None,
        protocol_version: str | None, requested_model: str = "",
    ) -> None:  # fmt: skip
        super().__init__()
        self._thread_id, self._run_id, self._parent_run_id = thread_id, run_id, parent_run_id
        self._has_all_outcomes = bool(_FIRST_VERSION.fullmatch(protocol_version or ""))
        self._model = requested_model
        self._started = False
        self._prefix = new_hex()  # ids of messages are of the whole conversation
        self._count = 0  # of ids that were made
        self._message = ""  # the id of the message of this step; empty before its first part
        self._open = ""  # the open block: "TEXT", "REASONING" or none
        self._block = ""  # its id
        self._templates: _Fields = {}  # of its deltas
        self._call_template: _Fields = {}  # of the call whose arguments are arriving
        self._calls: dict[str, _Call] = {}  # by the ids of the events
        self._step = ""  # the name of the open step
        self._steps = 0  # that have begun
        self._approvals: tuple[ApprovalRequest, ...] = ()
        self._finish: Finish | None = None

    def templates(self) -> _Fields:
        return {} if self.error is not None else {**self._templates, **self._call_template}

    def write_event(self, encoder: Any, event: Event) -> None:
        write = _WRITERS.get(type(event))
        if write is None:
            raise EventError(f"{type(event).__name__} is no event that can be written")
        write(self, encoder, event)

    def drop_error(self, encoder: Any, error: Error) -> None:
        self._custom(encoder, error)

    def half_call(self) -> Error | None:
        half = next((call for call in self._calls.values() if call.is_open), None)
        return None if half is None else half_call_error(half.name)

    def write_success(self, encoder: Any) -> None:
        """Write RUN_FINISHED with its outcome and counts, after the ends of what is open."""
        self._start(encoder)
        self._end_step(encoder)
        finish = self._finish or Finish()
        fields: _Fields = {"threadId": self._thread_id, "runId": self._run_id}
        reason, read_as, outcome = self._outcome(finish.finish_reason)
        if outcome:
            fields["outcome"] = outcome
        about = metadata(
            finishReason=None if reason == read_as else reason, rawFinishReason=finish.raw_reason
        )
        _write(encoder, "RUN_FINISHED", **fields, **self._usage(), **about)

    def write_error(self, encoder: Any, error: Error) -> None:
        self._start(encoder)
        code = {} if error.code is None else {"code": error.code}
        about = metadata(retryAfter=error.retry_after)
        _write(encoder, "RUN_ERROR", message=error.message, **code, **self._usage(), **about)
        encoder.failed = True

    def _usage(self) -> _Fields:
        usage = None if self._finish is None else self._finish.usage
        return {} if usage is None else {"usage": [usage_entry(usage, self._model)]}

    def _outcome(self, reason: str | None) -> tuple[str, str, _Fields]:
        """Return the finish reason, the one that clients see in the outcome, and the outcome."""
        pending = [call.id for call in self._calls.values() if call.is_for_client]
        seen = "tool_calls" if pending else "stop"
        if self._approvals:
            interrupts = [self._interrupt(each) for each in self._approvals]
            return reason or "pause", "pause", {"type": "interrupt", "interrupts": interrupts}
        reason = seen if reason in (None, "tool_calls") else reason
        if reason == "cancelled" and self._has_all_outcomes:
            return reason, reason, {"type": "cancelled"}
        if reason == "tool_calls" and self._has_all_outcomes:
            return reason, reason, {"type": "success", "pendingToolCallIds": pending}
        return str(reason), seen, {}

    def _interrupt(self, event: ApprovalRequest) -> _Fields:
        call = self._calls.get(event.tool_call_id)
        return interrupt(event, event.tool_call_id if call is None else call.id)

    # ---- the run and its steps ----

    def _start(self, encoder: Any, event: Start | None = None) -> None:
        if self._started:
            return
        self._started = True
        event = event or Start()
        if self._thread_id is None:
            self._thread_id = f"thread-{self._prefix}"
        if self._run_id is None:
            self._run_id = event.id or f"run-{self._prefix}"
        self._model = event.model or self._model
        parent = {} if self._parent_run_id is None else {"parentRunId": self._parent_run_id}
        _write(
            encoder, "RUN_STARTED", threadId=self._thread_id, runId=self._run_id,
            protocolVersion=VERSION, **parent, **metadata(model=self._model or None),
        )  # fmt: skip

    def _output(self, encoder: Any, kind: str, **fields: Any) -> None:
        """Write a frame that is a part of the step."""
        self._start(encoder)
        self.in_step = True
        _write(encoder, kind, **fields)

    def _custom(self, encoder: Any, event: Event) -> None:
        """Write an event that the protocol has no word for, with its fields in `gai`."""
        name, _, payload = shape_of(event)
        self._output(encoder, "CUSTOM", name=OWN + name, value=payload(event))

    def _write_step_start(self, encoder: Any, event: StepStart) -> None:
        self._start(encoder)
        self._end_step(encoder)
        self._steps += 1
        self._step = event.name or f"step {event.step_number or self._steps}"
        about = metadata(stepNumber=event.step_number)
        _write(encoder, "STEP_STARTED", stepName=self._step, **about)

    def _write_finish_step(self, encoder: Any, event: FinishStep) -> None:
        self._end_step(encoder, event)

    def _end_step(self, encoder: Any, event: FinishStep | None = None) -> None:
        """Close the open block, and the step if one is open."""
        self._close(encoder)
        self.in_step, self._message = False, ""
        if self._step:
            number = None if event is None else event.step_number
            _write(encoder, "STEP_FINISHED", stepName=self._step, **metadata(stepNumber=number))
            self._step = ""

    # ---- text and reasoning ----

    def _new_id(self) -> str:
        self._count += 1
        return f"{self._prefix}-{self._count}"

    def _write_text(self, encoder: Any, event: TextDelta) -> None:
        if not event.text:
            return
        if self._open != "TEXT":
            self._close(encoder)
            self._message = self._block = self._message or self._new_id()
            self._open = "TEXT"
            self._output(encoder, "TEXT_MESSAGE_START", messageId=self._block, role="assistant")
            self._templates = {"text": _template("TEXT_MESSAGE_CONTENT", self._block)}
        _write(encoder, "TEXT_MESSAGE_CONTENT", messageId=self._block, delta=event.text)

    def _write_reasoning(self, encoder: Any, event: ReasoningDelta) -> None:
        if event.text:
            self._open_reasoning(encoder)
            delta = event.text
            _write(encoder, "REASONING_MESSAGE_CONTENT", messageId=self._block, delta=delta)

    def _open_reasoning(self, encoder: Any) -> None:
        if self._open == "REASONING":
            return
        self._close(encoder)
        self._open, self._block = "REASONING", self._new_id()
        self._output(encoder, "REASONING_START", messageId=self._block)
        _write(encoder, "REASONING_MESSAGE_START", messageId=self._block, role="reasoning")
        self._templates = {"reasoning": _template("REASONING_MESSAGE_CONTENT", self._block)}

    def _write_reasoning_end(self, encoder: Any, event: ReasoningEnd) -> None:
        if self._open != "REASONING" and not (event.signature or event.redacted):
            return
        self._open_reasoning(encoder)  # reasoning whose text is hidden has a message, too
        if event.signature:
            _write(
                encoder, "REASONING_ENCRYPTED_VALUE", subtype="message", entityId=self._block,
                encryptedValue=event.signature,
            )  # fmt: skip
        self._close(encoder, **metadata(id=event.id, redacted=event.redacted))

    def _close(self, encoder: Any, **about: Any) -> None:
        """End the open text or reasoning; `about` goes into its message."""
        if self._open == "TEXT":
            _write(encoder, "TEXT_MESSAGE_END", messageId=self._block, **about)
        elif self._open:
            _write(encoder, "REASONING_MESSAGE_END", messageId=self._block, **about)
            _write(encoder, "REASONING_END", messageId=self._block)
        self._open, self._templates = "", {}

    # ---- tool calls ----

    def _set_call(self, identity: str, call: _Call) -> None:
        self._call_template = {}
        self._calls = {**self._calls, identity: call}

    def _write_call_start(self, encoder: Any, event: ToolCallStart | ToolCall) -> None:
        known = self._calls.get(event.id)
        if known is not None and known.is_open:
            return
        self._close(encoder)
        self._message = self._message or self._new_id()
        # clients would join the arguments of two calls of one id
        identity = event.id if event.id and known is None else self._new_id()
        by_server = bool(event.provider_executed)
        self._output(
            encoder, "TOOL_CALL_START", toolCallId=identity, toolCallName=event.name,
            parentMessageId=self._message, **metadata(providerExecuted=by_server or None),
        )  # fmt: skip
        self._set_call(event.id, _Call(identity, event.name, by_server))

    def _write_call_delta(self, encoder: Any, event: ToolCallDelta) -> None:
        call = self._calls.get(event.id)
        if call is None or not call.is_open:
            raise EventError(
                f"ToolCallDelta {event.id!r} is of no open call: yield its ToolCallStart before, "
                "and its ToolCall after all deltas"
            )
        if not event.text:
            return
        _write(encoder, "TOOL_CALL_ARGS", toolCallId=call.id, delta=event.text)
        if call.has_arguments or not event.text.isspace():
            self._set_call(event.id, call._replace(has_arguments=True))
            template = _template("TOOL_CALL_ARGS", call.id, "toolCallId")
            self._call_template = {"tool_call": template, "tool_call_id": event.id}

    def _write_call(self, encoder: Any, event: ToolCall) -> None:
        self._write_call_start(encoder, event)
        call = self._calls[event.id]
        if not call.has_arguments:
            arguments = {} if event.input is None else event.input
            delta = json_bytes(arguments, errors="replace").decode()
            _write(encoder, "TOOL_CALL_ARGS", toolCallId=call.id, delta=delta)
        if event.signature:
            _write(
                encoder, "REASONING_ENCRYPTED_VALUE", subtype="tool-call", entityId=call.id,
                encryptedValue=event.signature,
            )  # fmt: skip
        # it may be marked only at its end
        marked = bool(event.provider_executed) and not call.by_server
        about = metadata(providerExecuted=marked or None)
        _write(encoder, "TOOL_CALL_END", toolCallId=call.id, **about)
        self._set_call(event.id, call._replace(is_open=False, by_server=call.by_server or marked))

    def _write_result(self, encoder: Any, event: ToolResult) -> None:
        key = event.id or self._unanswered(event.name)
        if not key:
            key = self._new_id()
            self._write_call(encoder, ToolCall(key, event.name))
        self._close(encoder)
        call = self._calls.get(key) or _Call(key, event.name, False, False)
        about = metadata(
            isError=event.is_error or None, providerExecuted=event.provider_executed or None
        )
        self._output(
            encoder, "TOOL_CALL_RESULT", messageId=self._new_id(), toolCallId=call.id,
            content=_text(event.result), role="tool", **about,
        )  # fmt: skip
        self._set_call(key, call._replace(is_answered=True))
        self._message = ""  # what follows has seen the result

    def _unanswered(self, name: str) -> str:
        """Return the id of the last call of this tool that has no result; "" if there is none."""
        calls = reversed(self._calls.items())
        return next((key for key, call in calls if call.name == name and not call.is_answered), "")

    # ---- other events, and the end ----

    def _write_data(self, encoder: Any, event: Data) -> None:
        about = metadata(id=event.id, transient=event.transient or None)
        self._output(encoder, "CUSTOM", name=event.name, value=event.data, **about)

    def _hold_approval(self, encoder: Any, event: ApprovalRequest) -> None:
        self._start(encoder)
        self._approvals = (*self._approvals, event)

    def _hold_finish(self, encoder: Any, event: Finish) -> None:
        self._close(encoder)
        self._finish = event

    def _hold_error(self, encoder: Any, event: Error) -> None:
        del encoder
        self.error = event


_WRITERS: Final[dict[type[Event], Callable[[AGUIWriter, Any, Any], None]]] = {
    Start: AGUIWriter._start,
    StepStart: AGUIWriter._write_step_start,
    FinishStep: AGUIWriter._write_finish_step,
    StepReset: lambda self, *_: self.reset_step(),
    TextDelta: AGUIWriter._write_text,
    ReasoningDelta: AGUIWriter._write_reasoning,
    ReasoningEnd: AGUIWriter._write_reasoning_end,
    ToolCallStart: AGUIWriter._write_call_start,
    ToolCallDelta: AGUIWriter._write_call_delta,
    ToolCall: AGUIWriter._write_call,
    ToolResult: AGUIWriter._write_result,
    ApprovalRequest: AGUIWriter._hold_approval,
    Data: AGUIWriter._write_data,
    AudioDelta: AGUIWriter._custom,
    Citations: AGUIWriter._custom,
    File: AGUIWriter._custom,
    Safety: AGUIWriter._custom,
    Raw: lambda self, encoder, event: self._output(encoder, "RAW", event=event.raw),
    Finish: AGUIWriter._hold_finish,
    Error: AGUIWriter._hold_error,
    Done: lambda self, encoder, _: self.finish(encoder),
}


def _write(encoder: Any, kind: str, **fields: Any) -> None:
    encoder.write_frame(json={"type": kind, **fields})


def _template(kind: str, identity: str, field: str = "messageId") -> FrameTemplate:
    """Return the template of the frame of a delta."""
    encoded = json_bytes(identity, errors="replace")
    prefix = b'data: {"type":"%b","%b":%b,"delta":"' % (kind.encode(), field.encode(), encoded)
    return FrameTemplate(prefix, b'"}\n\n')


def _text(value: object) -> str:
    """Return a str as it is, and any other value as JSON."""
    return value if isinstance(value, str) else json_bytes(value, errors="replace").decode()
