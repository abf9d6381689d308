"""The reader of AG-UI: the frames of a run to events.

Guaranteed: text and arguments are returned as soon as they arrive. A tool call is returned whole or
not at all. A run that was cut or has failed ends with an `Error`, never with a `Done`. A frame that
means nothing where it stands (unknown, with a wrong field, of a message or call that is not open,
or beginning an open one again) becomes a `Raw`; none raises.

How: a small state machine that knows the open messages, the tool calls and their arguments so far.
Chunks open what is not open, and it ends with the next frame of another kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ...core import ServerSentEvent
from ...errors import EventError
from ...events import (
    Data,
    Done,
    Error,
    Event,
    Finish,
    FinishStep,
    Raw,
    Start,
    StepStart,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStart,
    ToolResult,
)
from ..base import CUT, NOT_JSON, DialectReader, half_call_error
from ..deltas import SteadyDelta
from ..fields import (
    OpenCall,
    Unexpected,
    WrongField,
    arguments_of,
    object_of,
    objects_of,
    optional_text,
    required_text,
    text_of,
)
from .fields import (
    Frame,
    approval_of,
    is_set,
    metadata_of,
    number_of,
    own_event,
    result_of,
    usage_of,
)
from .reasoning import Reasoning

_REASONS: Final = {"cancelled": "cancelled", "interrupt": "pause"}
# Frames that may stand between the chunks of a message.
_BETWEEN_CHUNKS: Final = frozenset(
    {"RAW", "REASONING_ENCRYPTED_VALUE", "ACTIVITY_SNAPSHOT", "ACTIVITY_DELTA",
     "SUBAGENT_STARTED"}
)  # fmt: skip


class AGUIReader(DialectReader):
    """Reads the frames of one run of AG-UI. Belongs to one task."""

    steady_deltas = (SteadyDelta(TextDelta, ("delta",), ("timestamp",)),)

    def __init__(self) -> None:
        self.ended = False
        self._started = False
        self._texts: dict[str, bool] = {}  # the open messages: True if the assistant's
        self._reasoning = Reasoning()
        self._calls: dict[str, OpenCall] = {}
        self._chunks: tuple[str, str] | None = None  # kind and id of what chunks have opened
        self._steps = 0

    def feed(self, event: ServerSentEvent) -> list[Event]:
        data = "" if event.data is None else str(event.data).strip()
        if self.ended or not data or event.event == "ping":
            return []
        try:
            return self.feed_value(self.read(data))
        except ValueError:
            return [*self._reasoning.release(), *self.fail(NOT_JSON)]

    def feed_value(self, value: Any) -> list[Event]:
        if self.ended:
            return []
        kind = text_of(value.get("type")) if isinstance(value, dict) else ""
        read = _READERS.get(kind)
        events = [] if kind == "REASONING_ENCRYPTED_VALUE" else self._reasoning.release()
        if read is not None and kind not in _BETWEEN_CHUNKS and not kind.endswith("_CHUNK"):
            events += self._end_chunks()
        if self.ended:
            return events
        try:
            return events + (read(self, value) if read is not None else [Raw(value)])
        except (Unexpected, EventError, WrongField):
            return [*events, *self._reasoning.release(), Raw(value)]

    def close(self) -> list[Event]:
        """Read the end of the body; a run that has not finished was cut."""
        if self.ended:
            return []
        events = self._reasoning.release()
        for call in self._calls.values():
            if call.is_broken:
                return [*events, *self.fail(half_call_error(call.name))]
        return [*events, *self.fail(CUT)]

    # ---- the run and its steps ----

    def _run_started(self, frame: Frame) -> list[Event]:
        if self._started:
            raise Unexpected
        identity, model = optional_text(frame, "runId"), metadata_of(frame).get("model")
        self._started = True
        return [Start(identity, text_of(model) or None)]

    def _run_finished(self, frame: Frame) -> list[Event]:
        events: list[Event] = []
        for identity, call in self._calls.items():
            if call.is_open:
                events += self._end_call(identity)
                if self.ended:
                    return events
        outcome, about = object_of(frame.get("outcome")), metadata_of(frame)
        events += map(approval_of, objects_of(outcome.get("interrupts")))
        waits = any(not (call.by_server or call.is_answered) for call in self._calls.values())
        waits = waits or bool(outcome.get("pendingToolCallIds"))
        seen = _REASONS.get(text_of(outcome.get("type")), "tool_calls" if waits else "stop")
        reason = text_of(about.get("finishReason")) or seen
        raw = text_of(about.get("rawFinishReason")) or None
        self.ended = True
        return [*events, Finish(usage_of(frame), reason, raw), Done()]

    def _run_error(self, frame: Frame) -> list[Event]:
        message = text_of(frame.get("message")) or "the run failed"
        code, retry_after = text_of(frame.get("code")), metadata_of(frame).get("retryAfter")
        if isinstance(retry_after, bool) or not isinstance(retry_after, int | float):
            retry_after = None
        return self.fail(Error(message, code or None, retry_after))

    def _step_started(self, frame: Frame) -> list[Event]:
        return [StepStart(number_of(frame), required_text(frame, "stepName"))]

    def _step_finished(self, frame: Frame) -> list[Event]:
        number = number_of(frame)
        self._steps += 1
        return [FinishStep(self._steps if number is None else number)]

    # ---- text and reasoning ----

    def _text_start(self, frame: Frame) -> list[Event]:
        identity = required_text(frame, "messageId")
        if identity in self._texts:
            raise Unexpected
        self._texts[identity] = optional_text(frame, "role") in (None, "assistant")
        return []

    def _text(self, frame: Frame) -> list[Event]:
        """Return the delta of an open message; one of another role is no text of the answer."""
        identity, delta = required_text(frame, "messageId"), required_text(frame, "delta")
        if not self._texts.get(identity):
            raise Unexpected
        return [TextDelta(delta)] if delta else []

    def _text_end(self, frame: Frame) -> list[Event]:
        if self._texts.pop(required_text(frame, "messageId"), None) is None:
            raise Unexpected
        return []

    def _encrypted_value(self, frame: Frame) -> list[Event]:
        if frame.get("subtype") != "tool-call":
            return self._reasoning.set_value(frame)
        call = self._calls.get(required_text(frame, "entityId"))
        if call is None or not call.is_open:
            raise Unexpected
        call.signature = required_text(frame, "encryptedValue")
        return self._reasoning.release()

    # ---- tool calls ----

    def _call_start(self, frame: Frame) -> list[Event]:
        identity, name = required_text(frame, "toolCallId"), required_text(frame, "toolCallName")
        known = self._calls.get(identity)
        if known is not None and known.is_open:
            raise Unexpected
        by_server = is_set(frame, "providerExecuted")
        self._calls[identity] = OpenCall(name, by_server)
        return [ToolCallStart(identity, name, by_server or None)]

    def _call_delta(self, frame: Frame) -> list[Event]:
        identity, delta = required_text(frame, "toolCallId"), required_text(frame, "delta")
        call = self._calls.get(identity)
        if call is None or not call.is_open:
            raise Unexpected
        if not delta:
            return []
        call.arguments.append(delta)
        return [ToolCallDelta(identity, delta)]

    def _call_end(self, frame: Frame) -> list[Event]:
        identity = required_text(frame, "toolCallId")
        call = self._calls.get(identity)
        if call is None or not call.is_open:
            raise Unexpected
        call.by_server = call.by_server or is_set(frame, "providerExecuted")
        return self._end_call(identity)

    def _end_call(self, identity: str) -> list[Event]:
        call = self._calls[identity]
        try:
            value = arguments_of(call.arguments)
        except ValueError:
            return self.fail(half_call_error(call.name))
        call.is_open, call.arguments = False, []
        return [ToolCall(identity, call.name, value, call.signature, call.by_server or None)]

    def _result(self, frame: Frame) -> list[Event]:
        identity, value = required_text(frame, "toolCallId"), result_of(frame)
        call = self._calls.get(identity)
        if call is not None:
            call.is_answered = True
        return [
            ToolResult(
                identity,
                "" if call is None else call.name,
                value,
                is_error=is_set(frame, "isError") or None,
                provider_executed=is_set(frame, "providerExecuted") or None,
            )
        ]

    # ---- chunks ----

    def _chunk(self, frame: Frame) -> list[Event]:
        """Read a chunk, as the start of what it opens, if need be, and a delta."""
        kind = frame["type"]
        field, start, delta, _ = _CHUNKS[kind]
        identity, text = optional_text(frame, field), optional_text(frame, "delta")
        is_next = self._chunks is not None and self._chunks[0] == kind
        if is_next and self._chunks is not None and identity in (None, self._chunks[1]):
            frame = {**frame, field: self._chunks[1]}
            return delta(self, frame) if text else []
        events = self._end_chunks()
        if not self.ended:
            events += start(self, frame)
            self._chunks = kind, str(identity)
            events += delta(self, frame) if text else []
        return events

    def _end_chunks(self) -> list[Event]:
        """End what chunks have opened."""
        if self._chunks is None:
            return []
        (kind, identity), self._chunks = self._chunks, None
        field, _, _, end = _CHUNKS[kind]
        return [*end(self, {field: identity}), *self._reasoning.release()]

    # ---- other frames ----

    def _custom(self, frame: Frame) -> list[Event]:
        name, about = required_text(frame, "name"), metadata_of(frame)
        if "value" not in frame:
            raise Unexpected
        transient = about.get("transient") is True or None
        data = Data(name, frame["value"], text_of(about.get("id")) or None, transient)
        return [own_event(name, frame["value"]) or data]

    def _raw(self, frame: Frame) -> list[Event]:
        return [Raw(frame.get("event", frame))]


_Reader = Callable[[AGUIReader, Frame], list[Event]]
# For each kind of chunk the field of its id, and what reads its start, its delta and its end.
_CHUNKS: Final[dict[str, tuple[str, _Reader, _Reader, _Reader]]] = {
    "TEXT_MESSAGE_CHUNK": (
        "messageId", AGUIReader._text_start, AGUIReader._text, AGUIReader._text_end,
    ),
    "REASONING_MESSAGE_CHUNK": (
        "messageId", lambda reader, frame: reader._reasoning.start(frame),
        lambda reader, frame: reader._reasoning.delta(frame),
        lambda reader, frame: reader._reasoning.end(frame),
    ),
    "TOOL_CALL_CHUNK": (
        "toolCallId", AGUIReader._call_start, AGUIReader._call_delta, AGUIReader._call_end,
    ),
}  # fmt: skip
_READERS: Final[dict[str, _Reader]] = {
    "RUN_STARTED": AGUIReader._run_started,
    "RUN_FINISHED": AGUIReader._run_finished,
    "RUN_ERROR": AGUIReader._run_error,
    "STEP_STARTED": AGUIReader._step_started,
    "STEP_FINISHED": AGUIReader._step_finished,
    "TEXT_MESSAGE_START": AGUIReader._text_start,
    "TEXT_MESSAGE_CONTENT": AGUIReader._text,
    "TEXT_MESSAGE_END": AGUIReader._text_end,
    "REASONING_START": lambda reader, frame: reader._reasoning.start_span(frame),
    "REASONING_MESSAGE_START": lambda reader, frame: reader._reasoning.start(frame),
    "REASONING_MESSAGE_CONTENT": lambda reader, frame: reader._reasoning.delta(frame),
    "REASONING_MESSAGE_END": lambda reader, frame: reader._reasoning.end(frame),
    "REASONING_END": lambda reader, frame: reader._reasoning.end_span(frame),
    "REASONING_ENCRYPTED_VALUE": AGUIReader._encrypted_value,
    "TOOL_CALL_START": AGUIReader._call_start,
    "TOOL_CALL_ARGS": AGUIReader._call_delta,
    "TOOL_CALL_END": AGUIReader._call_end,
    "TOOL_CALL_RESULT": AGUIReader._result,
    "CUSTOM": AGUIReader._custom,
    "RAW": AGUIReader._raw,
    **dict.fromkeys(_CHUNKS, AGUIReader._chunk),
}
