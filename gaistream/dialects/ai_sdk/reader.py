"""The reader of the AI SDK's UI message stream: chunks to events.

Guaranteed: text and arguments are returned as soon as they arrive. A tool call is returned whole or
not at all. A stream that was cut, aborted or failed ends with an `Error`, never with a `Done`. A
chunk that its own client would not understand (unknown, with a wrong field, of a part that is not
open, or beginning an open one again) becomes a `Raw`; none raises.

How: a small state machine that knows the open parts, the tool calls and their arguments so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from ...core import ServerSentEvent
from ...errors import EventError
from ...events import (
    ApprovalRequest,
    Citation,
    Citations,
    Data,
    Done,
    Error,
    Event,
    Finish,
    FinishStep,
    Raw,
    ReasoningDelta,
    ReasoningEnd,
    Start,
    StepReset,
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
    object_of,
    optional_text,
    required_text,
    text_of,
)
from . import fields
from .fields import Chunk

_REASONS: Final = {"tool-calls": "tool_calls", "content-filter": "content_filter"}
_KNOWN_REASONS: Final = frozenset({"stop", "length", "tool-calls", "content-filter", "other"})
_INTERRUPTED: Final = Error("the answer was interrupted", "truncated")


class UIMessageReader(DialectReader):
    """Reads the chunks of one UI message stream. Belongs to one task."""

    steady_deltas = (
        SteadyDelta(TextDelta, ("delta",)),
        SteadyDelta(ReasoningDelta, ("delta",)),
    )

    def __init__(self) -> None:
        self.ended = False
        self._started = False
        self._finished = False
        self._step = 0
        self._texts: set[str] = set()  # the open parts
        self._reasonings: dict[str, Chunk] = {}  # the open parts, with their metadata
        self._calls: dict[str, OpenCall] = {}
        self._earlier_calls: dict[str, OpenCall] = {}  # of the steps before this one
        self._cited: set[Citation] = set()

    def feed(self, event: ServerSentEvent) -> list[Event]:
        if self.ended or event.data is None or event.event == "ping":
            return []
        data = str(event.data).strip()
        if data == "[DONE]":
            return self._done()
        if not data:
            return []
        try:
            return self.feed_value(self.read(data))
        except ValueError:
            return self.fail(NOT_JSON)

    def feed_value(self, value: Any) -> list[Event]:
        if self.ended:
            return []
        kind = value.get("type") if isinstance(value, dict) else None
        if not isinstance(kind, str):
            return [Raw(value)]
        read = _data if kind.startswith("data-") else _READERS.get(kind)
        if read is None:
            return [Raw(value)]
        try:
            return list(read(self, value))
        except (Unexpected, EventError, WrongField):
            return [Raw(value)]

    def close(self) -> list[Event]:
        return [] if self.ended else self._done()

    def _done(self) -> list[Event]:
        if self._finished:
            self.ended = True
            return [Done()]
        broken = [call for call in self._calls.values() if call.is_broken]
        return self.fail(half_call_error(broken[0].name) if broken else CUT)

    def _open_calls(self) -> list[OpenCall]:
        return [call for call in self._calls.values() if call.is_open]

    # ---- the message and its steps ----

    def _start(self, chunk: Chunk) -> Iterable[Event]:
        if self._started:
            raise Unexpected
        self._started = True
        model = text_of(object_of(chunk.get("messageMetadata")).get("model"))
        return [Start(optional_text(chunk, "messageId"), model or None)]

    def _start_step(self, chunk: Chunk) -> Iterable[Event]:
        del chunk
        if half := self._open_calls():
            return self.fail(half_call_error(half[0].name))
        self._earlier_calls = dict(self._calls)
        return [StepStart()]

    def _finish_step(self, chunk: Chunk) -> Iterable[Event]:
        del chunk
        if half := self._open_calls():
            return self.fail(half_call_error(half[0].name))
        self._step += 1
        return [FinishStep(self._step)]

    def _reset_step(self, chunk: Chunk) -> Iterable[Event]:
        del chunk
        self._texts.clear()
        self._reasonings.clear()
        self._cited.clear()
        self._calls = dict(self._earlier_calls)
        return [StepReset()]

    def _finish(self, chunk: Chunk) -> Iterable[Event]:
        word = optional_text(chunk, "finishReason")
        half = self._open_calls()
        if word in ("error", "interrupted"):
            failed = Error("the server reported that the answer failed")
            return self.fail(_INTERRUPTED if word == "interrupted" else failed)
        if half:
            return self.fail(half_call_error(half[0].name))
        self._finished = True
        about = object_of(chunk.get("messageMetadata"))
        raw = text_of(about.get("rawFinishReason")) or None
        if word not in _KNOWN_REASONS:
            raw = raw or word
        return [Finish(fields.usage_of(about), self._reason(word), raw_reason=raw)]

    def _reason(self, word: str | None) -> str:
        if word is None:
            waits = any(not (call.by_server or call.is_answered) for call in self._calls.values())
            return "tool_calls" if waits else "stop"
        return _REASONS.get(word, word) if word in _KNOWN_REASONS else "other"

    def _error(self, chunk: Chunk) -> Iterable[Event]:
        return self.fail(Error(text_of(chunk.get("errorText")) or "the server failed"))

    def _abort(self, chunk: Chunk) -> Iterable[Event]:
        reason = text_of(chunk.get("reason")) or "the server aborted the answer"
        return self.fail(Error(reason, "aborted"))

    # ---- text and reasoning ----

    def _text_start(self, chunk: Chunk) -> Iterable[Event]:
        identity = required_text(chunk, "id")
        if identity in self._texts:
            raise Unexpected
        self._texts.add(identity)
        return []

    def _text_delta(self, chunk: Chunk) -> Iterable[Event]:
        delta = required_text(chunk, "delta")
        if required_text(chunk, "id") not in self._texts:
            raise Unexpected
        return [TextDelta(delta)] if delta else []

    def _text_end(self, chunk: Chunk) -> Iterable[Event]:
        identity = required_text(chunk, "id")
        if identity not in self._texts:
            raise Unexpected
        self._texts.discard(identity)
        found = [each for each in fields.citations_of(chunk) if each not in self._cited]
        return [Citations(found)] if found else []

    def _reasoning_start(self, chunk: Chunk) -> Iterable[Event]:
        identity = required_text(chunk, "id")
        if identity in self._reasonings:
            raise Unexpected
        self._reasonings[identity] = fields.metadata_of(chunk)
        return []

    def _reasoning_delta(self, chunk: Chunk) -> Iterable[Event]:
        identity, delta = required_text(chunk, "id"), required_text(chunk, "delta")
        if identity not in self._reasonings:
            raise Unexpected
        self._reasonings[identity] |= fields.metadata_of(chunk)
        return [ReasoningDelta(delta)] if delta else []

    def _reasoning_end(self, chunk: Chunk) -> Iterable[Event]:
        identity = required_text(chunk, "id")
        if identity not in self._reasonings:
            raise Unexpected
        about = self._reasonings.pop(identity) | fields.metadata_of(chunk)
        return [
            ReasoningEnd(
                id=about.get("id"), signature=about.get("signature"), redacted=about.get("redacted")
            )
        ]

    def _source_url(self, chunk: Chunk) -> Iterable[Event]:
        citation = fields.source_of(chunk)
        self._cited.add(citation)
        return [Citations([citation])]

    # ---- tool calls ----

    def _tool_input_start(self, chunk: Chunk) -> Iterable[Event]:
        call = self._begin_call(chunk)
        return [
            ToolCallStart(chunk["toolCallId"], call.name, provider_executed=call.by_server or None)
        ]

    def _begin_call(self, chunk: Chunk) -> OpenCall:
        identity, name = required_text(chunk, "toolCallId"), required_text(chunk, "toolName")
        known = self._calls.get(identity)
        if known is not None and not known.is_answered:
            raise Unexpected
        call = self._calls[identity] = OpenCall(name, chunk.get("providerExecuted") is True)
        return call

    def _tool_input_delta(self, chunk: Chunk) -> Iterable[Event]:
        identity, delta = required_text(chunk, "toolCallId"), required_text(chunk, "inputTextDelta")
        call = self._calls.get(identity)
        if call is None or not call.is_open:
            raise Unexpected
        if not delta:
            return []
        call.arguments.append(delta)
        return [ToolCallDelta(identity, delta)]

    def _end_call(self, chunk: Chunk) -> ToolCall:
        """End an open call, or one that begins here."""
        identity, name = required_text(chunk, "toolCallId"), required_text(chunk, "toolName")
        call = self._calls.get(identity)
        if call is None or not call.is_open:
            call = self._begin_call(chunk)
        call.name, call.is_open, call.arguments = name, False, []
        call.by_server = call.by_server or chunk.get("providerExecuted") is True
        return ToolCall(
            identity,
            name,
            chunk.get("input"),
            signature=fields.metadata_of(chunk).get("signature"),
            provider_executed=call.by_server or None,
        )

    def _tool_input_available(self, chunk: Chunk) -> Iterable[Event]:
        return [self._end_call(chunk)]

    def _tool_input_error(self, chunk: Chunk) -> Iterable[Event]:
        """Return the error as the call's result; the arguments of an open call are not whole."""
        message = required_text(chunk, "errorText")
        known = self._calls.get(required_text(chunk, "toolCallId"))
        was_open = known is not None and known.is_open
        call = self._end_call(chunk)
        self._calls[call.id].is_answered = True
        by_server = call.provider_executed
        result = ToolResult(call.id, call.name, message, is_error=True, provider_executed=by_server)
        return [result] if was_open else [call, result]

    def _tool_output(self, chunk: Chunk) -> Iterable[Event]:
        identity = required_text(chunk, "toolCallId")
        if chunk.get("preliminary") is True:
            raise Unexpected
        failed = chunk["type"] == "tool-output-error"
        result = required_text(chunk, "errorText") if failed else chunk.get("output")
        call = self._calls.get(identity)
        if call is not None:
            call.is_answered = True
        return [
            ToolResult(
                identity,
                "" if call is None else call.name,
                result,
                is_error=failed or None,
                provider_executed=chunk.get("providerExecuted") is True or None,
            )
        ]

    def _tool_output_denied(self, chunk: Chunk) -> Iterable[Event]:
        call = self._calls.get(required_text(chunk, "toolCallId"))
        if call is not None:
            call.is_answered = True
        raise Unexpected

    def _approval(self, chunk: Chunk) -> Iterable[Event]:
        asked = object_of(chunk.get("approvalDescriptor"))
        return [
            ApprovalRequest(
                required_text(chunk, "approvalId"),
                required_text(chunk, "toolCallId"),
                message=text_of(asked.get("message")) or None,
                reason=text_of(chunk.get("reason")) or text_of(asked.get("reason")) or None,
                response_schema=asked.get("responseSchema"),
                signature=text_of(chunk.get("signature")) or None,
            )
        ]


def _data(reader: UIMessageReader, chunk: Chunk) -> Iterable[Event]:
    del reader
    if "data" not in chunk:
        raise Unexpected
    name, identity = chunk["type"].removeprefix("data-"), optional_text(chunk, "id")
    return [
        Data(name, chunk["data"], id=identity, transient=chunk.get("transient") is True or None)
    ]


_Reader = Callable[[UIMessageReader, Chunk], Iterable[Event]]
_READERS: Final[dict[str, _Reader]] = {
    "start": UIMessageReader._start,
    "start-step": UIMessageReader._start_step,
    "finish-step": UIMessageReader._finish_step,
    "reset-step": UIMessageReader._reset_step,
    "text-start": UIMessageReader._text_start,
    "text-delta": UIMessageReader._text_delta,
    "text-end": UIMessageReader._text_end,
    "reasoning-start": UIMessageReader._reasoning_start,
    "reasoning-delta": UIMessageReader._reasoning_delta,
    "reasoning-end": UIMessageReader._reasoning_end,
    "tool-input-start": UIMessageReader._tool_input_start,
    "tool-input-delta": UIMessageReader._tool_input_delta,
    "tool-input-available": UIMessageReader._tool_input_available,
    "tool-input-error": UIMessageReader._tool_input_error,
    "tool-output-available": UIMessageReader._tool_output,
    "tool-output-error": UIMessageReader._tool_output,
    "tool-output-denied": UIMessageReader._tool_output_denied,
    "tool-approval-request": UIMessageReader._approval,
    "source-url": UIMessageReader._source_url,
    "file": lambda _, chunk: [fields.file_of(chunk)],
    "reasoning-file": lambda _, chunk: [fields.file_of(chunk)],
    "finish": UIMessageReader._finish,
    "error": UIMessageReader._error,
    "abort": UIMessageReader._abort,
}
