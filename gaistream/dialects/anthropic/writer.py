"""The writer of Anthropic's Messages protocol: events to content blocks.

Guaranteed: blocks have the indexes 0, 1, … and are written one after the other, each with its
start, its deltas and its stop. A stream that failed ends with an `error` frame, never with
`message_stop`. A tool call whose `ToolCall` does not come is a failure.

How: a state machine of the block that is open (see stateful_writer.py, which holds errors). While
a tool call is open, events of other blocks are held until it ends. `Finish` is held until the end,
for the last counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ...core import FrameTemplate, json_bytes
from ...events import (
    Citations,
    Done,
    Error,
    Event,
    Finish,
    FinishStep,
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
    Usage,
)
from ...message.words import SERVER_TOOLS, result_type
from ..base import half_call_error
from ..identity import new_hex
from ..stateful_writer import ErrorHoldingWriter
from . import error_fields
from .words import FINISH_REASONS

if TYPE_CHECKING:
    from ...message import Message

_PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
_TEXT: Final = {"type": "text", "text": ""}
_THINKING: Final = {"type": "thinking", "thinking": "", "signature": ""}
# The delta that has a template in a block of this type: its name there, its type and its field.
_DELTAS: Final = {
    "text": ("text", "text_delta", "text"),
    "thinking": ("reasoning", "thinking_delta", "thinking"),
}
_STOP_REASONS: Final = {
    reason: next(word for word, other in FINISH_REASONS.items() if other == reason)
    for reason in FINISH_REASONS.values()
}


class MessagesWriter(ErrorHoldingWriter):
    """Writes one stream of Anthropic's protocol.

    Args:
        model: the model of the message; None: that of `Start`.
        requested_model: the model of the message if there is no other.
    """

    default_heartbeat = "native"

    def __init__(self, model: str | None = None, requested_model: str = "") -> None:
        super().__init__()
        self._model = model
        self._requested_model = requested_model
        self._message: dict[str, Any] = {}  # as it was started; empty before
        self._index = 0  # of the open block, or of the next one
        self._open = ""  # the type of the open block
        self._templates: dict[str, Any] = {}  # of the deltas of the open block
        self._tool: ToolCallStart | None = None  # the call of the open block
        self._has_arguments = False  # and a piece of its arguments was written
        self._held: list[Event] = []  # until the open call ends; only appended to
        self._unanswered: frozenset[str] = frozenset()  # calls that the client must answer
        self._server_tools: dict[str, str] = {}  # names by id; replaced, never changed
        self._sources: tuple[Citations, ...] = ()  # that came in the open block of reasoning
        self._left_out: frozenset[str] = frozenset()  # calls that cannot be written
        self._finish: Finish | None = None

    def heartbeat(self, encoder: Any) -> None:
        encoder.write_ready(_PING)

    def write(self, encoder: Any, item: Any) -> None:
        held = len(self._held)
        try:
            super().write(encoder, item)
        except BaseException:
            del self._held[held:]
            raise

    def templates(self) -> dict[str, Any]:
        return self._templates if self.error is None else {}

    def write_event(self, encoder: Any, event: Event) -> None:
        kind = type(event)
        if kind is Error:
            self.error = event  # type: ignore[assignment]
        elif kind is Done:
            self.finish(encoder)
        elif kind is Start:
            self._begin(encoder, event)
        elif kind is Finish:
            self._finish = event  # type: ignore[assignment]
        elif kind is StepReset:
            self.reset_step()
        elif kind in _WRITERS and not self._is_left_out(event):
            self._write_or_hold(encoder, event)

    def half_call(self) -> Error | None:
        return None if self._tool is None else half_call_error(self._tool.name)

    def write_success(self, encoder: Any) -> None:
        """Write the stop reason, the counts and `message_stop`."""
        self._begin(encoder)
        self._close(encoder)
        usage = self._finish.usage if self._finish is not None else None
        delta = {"stop_reason": self._stop_reason(), "stop_sequence": None}
        _write(encoder, "message_delta", delta=delta, usage=_usage(usage))
        _write(encoder, "message_stop")

    def whole(self, message: Message) -> dict[str, Any]:
        usage = self._finish.usage if self._finish is not None else None
        return {
            **self._message,
            "content": message.to_anthropic(),
            "stop_reason": self._stop_reason(),
            "usage": {**_usage(Usage()), **_usage(usage)},
        }

    def write_error(self, encoder: Any, error: Error) -> None:
        _write(encoder, "error", error=error_fields(error))
        encoder.failed = True

    def _begin(self, encoder: Any, start: Event | None = None) -> None:
        """Write the start of the message, unless it was written."""
        if self._message:
            return
        start = start if type(start) is Start else Start()
        self._message = {
            "id": start.id or f"msg_{new_hex()}",
            "type": "message",
            "role": "assistant",
            "model": self._model or start.model or self._requested_model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": _usage(Usage()),
        }
        _write(encoder, "message_start", message=self._message)

    def _stop_reason(self) -> str:
        finish = self._finish or Finish()
        reason, raw = finish.finish_reason, finish.raw_reason
        if reason in (None, "tool_calls"):
            return "tool_use" if self._unanswered else "end_turn"
        if raw is not None and FINISH_REASONS.get(raw) == reason:
            return raw
        return _STOP_REASONS.get(str(reason), "end_turn")

    # ---- the order of the blocks ----

    def _is_left_out(self, event: Any) -> bool:
        """Return True for a call or result of a provider's tool that this protocol does not know.

        A call with `provider_executed` must not look like one that the client is to answer.
        """
        kind = type(event)
        if kind is ToolCallStart or kind is ToolCall:
            is_started = self._is_of_open_call(event) or any(
                type(each) is ToolCallStart and each.id == event.id for each in self._held
            )
            if event.provider_executed and event.name not in SERVER_TOOLS and not is_started:
                self._left_out |= {event.id}
                return True
            if kind is ToolCallStart:
                self._left_out -= {event.id}
        return kind in (ToolCallDelta, ToolCall, ToolResult) and event.id in self._left_out

    def _write_or_hold(self, encoder: Any, event: Event) -> None:
        self._begin(encoder)
        waiting = deque([event])
        while waiting:
            event = waiting.popleft()
            if self._tool is not None and not self._is_of_open_call(event):
                self._held.append(event)
                self.in_step = type(event) not in (StepStart, FinishStep)
                continue
            _WRITERS[type(event)](self, encoder, event)
            if self._held and self._tool is None:
                waiting.extendleft(reversed(self._held))
                self._held = []

    def _is_of_open_call(self, event: Any) -> bool:
        return (
            self._tool is not None
            and type(event) in (ToolCallStart, ToolCallDelta, ToolCall)
            and event.id == self._tool.id
        )

    def _open_block(self, encoder: Any, kind: str, block: dict[str, Any]) -> None:
        """Start a block of this type, unless one is open; close any other."""
        while self._open and self._open != kind:
            self._stop_block(encoder)
        if self._open:
            return
        self._open, self.in_step = kind, True
        if kind in _DELTAS:
            name, delta, field = _DELTAS[kind]
            self._templates = {name: _template(self._index, delta, field)}
        _write(encoder, "content_block_start", index=self._index, content_block=block)

    def _write_delta(self, encoder: Any, kind: str, **fields: Any) -> None:
        delta = {"type": kind, **fields}
        _write(encoder, "content_block_delta", index=self._index, delta=delta)

    def _close(self, encoder: Any) -> None:
        """Stop the open block, if there is one."""
        while self._open:
            self._stop_block(encoder)

    def _stop_block(self, encoder: Any) -> None:
        """Stop the open block; sources that came in reasoning then begin a block of text."""
        _write(encoder, "content_block_stop", index=self._index)
        self._index += 1
        self._open = ""
        self._templates = {}
        self._tool = None
        sources, self._sources = self._sources, ()
        for event in sources:
            self._citations(encoder, event)

    # ---- the frames of each kind of event ----

    def _text(self, encoder: Any, event: TextDelta) -> None:
        if event.text:
            self._open_block(encoder, "text", _TEXT)
            self._write_delta(encoder, "text_delta", text=event.text)

    def _reasoning(self, encoder: Any, event: ReasoningDelta) -> None:
        if event.text:
            self._open_block(encoder, "thinking", _THINKING)
            self._write_delta(encoder, "thinking_delta", thinking=event.text)

    def _reasoning_end(self, encoder: Any, event: ReasoningEnd) -> None:
        if event.signature and (self._open == "thinking" or not event.redacted):
            self._open_block(encoder, "thinking", _THINKING)
            self._write_delta(encoder, "signature_delta", signature=event.signature)
        if self._open == "thinking":
            self._stop_block(encoder)
        if event.redacted:
            block = {"type": "redacted_thinking", "data": event.redacted}
            self._open_block(encoder, "redacted_thinking", block)
            self._close(encoder)

    def _citations(self, encoder: Any, event: Citations) -> None:
        if self._open == "thinking":  # a block is whole, and only text has sources
            self._sources += (event,)
            return
        for citation in event.citations:
            self._open_block(encoder, "text", _TEXT)
            location = {
                "type": "web_search_result_location",
                "cited_text": "",
                "url": citation.uri,
                "title": citation.title or "",
                "encrypted_index": "",
            }
            self._write_delta(encoder, "citations_delta", citation=location)

    def _tool_call_start(self, encoder: Any, event: ToolCallStart) -> None:
        if self._is_of_open_call(event):
            return
        self._close(encoder)
        id = event.id or f"toolu_{new_hex()}"
        if event.provider_executed:
            kind = "server_tool_use"
            self._server_tools = {**self._server_tools, event.id: event.name}
        else:
            kind = "tool_use"
            self._unanswered |= {event.id}
        block = {"type": kind, "id": id, "name": event.name, "input": {}}
        self._open_block(encoder, kind, block)
        self._tool, self._has_arguments = event, False

    def _tool_call_delta(self, encoder: Any, event: ToolCallDelta) -> None:
        if event.text and self._is_of_open_call(event):
            self._write_delta(encoder, "input_json_delta", partial_json=event.text)
            if not self._has_arguments and not event.text.isspace():
                self._has_arguments = True
                template = _template(self._index, "input_json_delta", "partial_json")
                self._templates = {"tool_call": template, "tool_call_id": event.id}

    def _tool_call(self, encoder: Any, event: ToolCall) -> None:
        start = ToolCallStart(event.id, event.name, event.provider_executed)
        self._tool_call_start(encoder, start)
        if event.provider_executed:  # it may be marked only at its end
            self._unanswered -= {event.id}
        if not self._has_arguments and event.input is not None:
            text = json_bytes(event.input, errors="replace").decode()
            self._write_delta(encoder, "input_json_delta", partial_json=text)
        self._close(encoder)

    def _tool_result(self, encoder: Any, event: ToolResult) -> None:
        self._unanswered -= {event.id}
        kind = result_type(self._server_tools.get(event.id, ""), event.result)
        if kind is not None:
            block = {"type": kind, "tool_use_id": event.id, "content": event.result}
            self._close(encoder)
            self._open_block(encoder, kind, block)
            self._close(encoder)

    def _step(self, encoder: Any, event: StepStart | FinishStep) -> None:
        self._close(encoder)
        self.in_step = False


_WRITERS: Final[dict[type[Event], Callable[[MessagesWriter, Any, Any], None]]] = {
    TextDelta: MessagesWriter._text,
    ReasoningDelta: MessagesWriter._reasoning,
    ReasoningEnd: MessagesWriter._reasoning_end,
    Citations: MessagesWriter._citations,
    ToolCallStart: MessagesWriter._tool_call_start,
    ToolCallDelta: MessagesWriter._tool_call_delta,
    ToolCall: MessagesWriter._tool_call,
    ToolResult: MessagesWriter._tool_result,
    StepStart: MessagesWriter._step,
    FinishStep: MessagesWriter._step,
}


def _template(index: int, delta: str, field: str) -> FrameTemplate:
    """Return the template of the frame of a delta."""
    prefix = (
        b"event: content_block_delta\n"
        b'data: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":"'
    )
    return FrameTemplate(prefix % (index, delta.encode(), field.encode()), b'"}}\n\n')


def _write(encoder: Any, kind: str, **fields: Any) -> None:
    encoder.write_frame(None, kind, json={"type": kind, **fields})


def _usage(usage: Usage | None) -> dict[str, Any]:
    """Return the counts; Anthropic's input tokens are those beside its caches."""
    if usage is None:
        return {"output_tokens": 0}
    cached, written = usage.cached_input_tokens, usage.cache_write_tokens
    counts: dict[str, Any] = {
        "input_tokens": max(usage.input_tokens - (cached or 0) - (written or 0), 0),
        "output_tokens": usage.output_tokens,
    }
    if cached is not None:
        counts["cache_read_input_tokens"] = cached
    if written is not None:
        counts["cache_creation_input_tokens"] = written
    if usage.reasoning_tokens is not None:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return counts
