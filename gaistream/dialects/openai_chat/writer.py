"""The writer of OpenAI's Chat Completions protocol: events to `chat.completion.chunk` frames.

Guaranteed: the chunks of a stream have one id, time and model. The first has the role, the last the
finish reason; then come the counts, if they are asked for, and `[DONE]`. A stream that failed ends
with an error object, never with `[DONE]`. A tool call whose `ToolCall` does not come is a failure.

How: a small state machine (see stateful_writer.py, which holds errors). `Finish` is held until the
end, for the last counts.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ...core import FrameTemplate, json_bytes
from ...events import (
    AudioDelta,
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
from ..identity import new_hex, unix_time
from ..stateful_writer import ErrorHoldingWriter
from . import error_fields
from .written_calls import WrittenCalls

if TYPE_CHECKING:
    from ...message import Message

_Delta = dict[str, Any]
_REASONS: Final = frozenset({"stop", "length", "content_filter"})


class ChatCompletionsWriter(ErrorHoldingWriter):
    """Writes one Chat Completions stream.

    Args:
        model: the model of all chunks; None: that of `Start`.
        include_usage: write the counts of `Finish`.
        requested_model: the model of all chunks if there is no other.
    """

    def __init__(
        self, model: str | None = None, include_usage: bool = False, requested_model: str = ""
    ) -> None:
        super().__init__()
        self._model = model
        self._requested_model = requested_model
        self._include_usage = include_usage
        self._head: dict[str, Any] = {}  # the fields of every chunk; empty before the first
        self._templates: dict[str, FrameTemplate] = {}  # after the first chunk
        self._calls = WrittenCalls()
        self._call_template: dict[str, Any] = {}  # of the call whose arguments are arriving
        self._finish: Finish | None = None
        self._details = self._sources = 0  # written so far, for their indexes
        self._sound = b""  # less than three bytes, which wait for more
        self._sound_id = ""  # of the sound, if there is any
        self._named_sound = False  # the id was written

    def templates(self) -> dict[str, Any]:
        if not self.in_step or self.error is not None:
            return {}
        return {**self._templates, **self._call_template}

    def write_event(self, encoder: Any, event: Event) -> None:
        kind = type(event)
        if kind is Error:
            self.error = event  # type: ignore[assignment]
        elif kind is Done:
            self.finish(encoder)
        elif kind is Start:
            self._begin(encoder, event)
        else:
            make = _DELTAS.get(kind)
            for delta in () if make is None else make(self, event):
                self._begin(encoder)
                self.in_step = True
                self._write_chunk(encoder, delta)

    def half_call(self) -> Error | None:
        return self._calls.half_call()

    def write_success(self, encoder: Any) -> None:
        """Write the finish reason, the counts and `[DONE]`."""
        self._begin(encoder)
        if self._sound_id:  # with all fields that the type of a whole answer requires
            ends = {"transcript": "", "expires_at": self._head["created"]}
            self._write_chunk(encoder, {"audio": self._sound_fields(self._sound) | ends})
        self._write_chunk(encoder, {}, self._finish_reason())
        usage = self._finish.usage if self._finish is not None else None
        if self._include_usage and usage is not None:
            encoder.write_frame(json={**self._head, "choices": [], "usage": _usage(usage)})
        encoder.write_frame("[DONE]")

    def whole(self, message: Message) -> dict[str, Any]:
        answer = {**message.to_openai(), "refusal": None}
        if message.audio:
            sound = base64.b64encode(message.audio).decode("ascii")
            ends = {"transcript": "", "expires_at": self._head["created"]}
            answer["audio"] = {"id": self._sound_id, "data": sound, **ends}
        choice = {"index": 0, "message": answer, "logprobs": None}
        choice["finish_reason"] = self._finish_reason()
        usage = self._finish.usage if self._finish is not None else None
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [choice],
            **({} if usage is None else {"usage": _usage(usage)}),
        }

    def heartbeat(self, encoder: Any) -> None:
        """Write an empty delta; a comment before the first chunk, whose id is not known yet."""
        if not self._head:
            super().heartbeat(encoder)
            return
        data = json_bytes(self._chunk({}), errors="replace")
        encoder.write_ready(b"data: %b\n\n" % data)

    def write_error(self, encoder: Any, error: Error) -> None:
        encoder.write_frame(json={"error": error_fields(error)})
        encoder.failed = True

    def _begin(self, encoder: Any, start: Event | None = None) -> None:
        """Write the chunk of the role, unless it was written."""
        if self._head:
            return
        start = start if type(start) is Start else Start()
        self._head = {
            "id": start.id or f"chatcmpl-{new_hex()}",
            "object": "chat.completion.chunk",
            "created": int(unix_time()),
            "model": self._model or start.model or self._requested_model,
        }
        self._write_chunk(encoder, {"role": "assistant", "content": ""})
        self._templates = {
            "text": self._template(b'"content":"', b'"'),
            "reasoning": self._template(b'"reasoning_content":"', b'"'),
        }

    def _template(self, start: bytes, end: bytes) -> FrameTemplate:
        """Return the template of a delta: its JSON before and after the text."""
        head = json_bytes(self._head, errors="replace")[:-1]
        prefix = b'data: %b,"choices":[{"index":0,"delta":{%b' % (head, start)
        return FrameTemplate(prefix, b'%b},"finish_reason":null}]}\n\n' % end)

    def _write_chunk(self, encoder: Any, delta: _Delta, reason: str | None = None) -> None:
        encoder.write_frame(json=self._chunk(delta, reason))

    def _chunk(self, delta: _Delta, reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {**self._head, "choices": [choice]}

    def _finish_reason(self) -> str:
        reason = None if self._finish is None else self._finish.finish_reason
        if reason in _REASONS:
            return str(reason)
        if reason in (None, "tool_calls") and self._calls.unanswered:
            return "tool_calls"
        return "stop"

    # ---- the deltas of each kind of event ----

    def _text(self, event: TextDelta) -> list[_Delta]:
        return [{"content": event.text}] if event.text else []

    def _reasoning(self, event: ReasoningDelta) -> list[_Delta]:
        return [{"reasoning_content": event.text}] if event.text else []

    def _reasoning_end(self, event: ReasoningEnd) -> list[_Delta]:
        if event.redacted:
            block = {"type": "reasoning.encrypted", "data": event.redacted}
            block["format"] = "anthropic-claude-v1"  # the only protocol with such blocks
        elif event.signature:
            block = {"type": "reasoning.text", "text": ""}
        else:
            return []
        fields = {"signature": event.signature, "id": event.id, "index": self._details}
        self._details += 1
        present = {name: value for name, value in fields.items() if value is not None}
        return [{"reasoning_details": [block | present]}]

    def _audio(self, event: AudioDelta) -> list[_Delta]:
        # whole groups of three bytes: clients join the base64 of all pieces, then decode it
        sound = self._sound + event.audio
        whole = len(sound) - len(sound) % 3
        self._sound = sound[whole:]
        self._sound_id = self._sound_id or f"audio_{new_hex()}"
        return [{"audio": self._sound_fields(sound[:whole])}] if whole else []

    def _sound_fields(self, sound: bytes) -> dict[str, Any]:
        fields = {} if self._named_sound else {"id": self._sound_id}
        self._named_sound = True
        return fields | ({"data": base64.b64encode(sound).decode("ascii")} if sound else {})

    def _tool_call_start(self, event: ToolCallStart) -> list[_Delta]:
        self._calls, fragments = self._calls.started(event)
        self._call_template = {}
        return _calls(fragments)

    def _tool_call_delta(self, event: ToolCallDelta) -> list[_Delta]:
        self._calls, fragments = self._calls.continued(event)
        if fragments and self._call_template.get("tool_call_id") != event.id:
            start = b'"tool_calls":[{"index":%d,"function":{"arguments":"' % fragments[0]["index"]
            template = self._template(start, b'"}}]')
            self._call_template = {"tool_call": template, "tool_call_id": event.id}
        return _calls(fragments)

    def _tool_call(self, event: ToolCall) -> list[_Delta]:
        self._calls, fragments = self._calls.ended(event)
        self._call_template = {}
        return _calls(fragments)

    def _tool_result(self, event: ToolResult) -> list[_Delta]:
        self._calls = self._calls.answered(event.id)
        return []

    def _citations(self, event: Citations) -> list[_Delta]:
        annotations = []
        for index, citation in enumerate(event.citations, self._sources):
            fields = {
                "start_index": citation.start,
                "end_index": citation.end,
                "title": citation.title or "",
                "url": citation.uri,
            }
            # clients that join the deltas of a list need the index
            annotations.append({"index": index, "type": "url_citation", "url_citation": fields})
        self._sources += len(annotations)
        return [{"annotations": annotations}] if annotations else []

    def _step(self, event: StepStart | FinishStep) -> list[_Delta]:
        self.in_step = False
        return []

    def _step_reset(self, event: StepReset) -> list[_Delta]:
        self.reset_step()
        return []

    def _hold_finish(self, event: Finish) -> list[_Delta]:
        self._finish = event
        return []


_DELTAS: Final[dict[type[Event], Callable[[ChatCompletionsWriter, Any], list[_Delta]]]] = {
    TextDelta: ChatCompletionsWriter._text,
    ReasoningDelta: ChatCompletionsWriter._reasoning,
    ReasoningEnd: ChatCompletionsWriter._reasoning_end,
    AudioDelta: ChatCompletionsWriter._audio,
    ToolCallStart: ChatCompletionsWriter._tool_call_start,
    ToolCallDelta: ChatCompletionsWriter._tool_call_delta,
    ToolCall: ChatCompletionsWriter._tool_call,
    ToolResult: ChatCompletionsWriter._tool_result,
    Citations: ChatCompletionsWriter._citations,
    StepStart: ChatCompletionsWriter._step,
    FinishStep: ChatCompletionsWriter._step,
    StepReset: ChatCompletionsWriter._step_reset,
    Finish: ChatCompletionsWriter._hold_finish,
}


def _calls(fragments: list[dict[str, Any]]) -> list[_Delta]:
    return [{"tool_calls": [fragment]} for fragment in fragments]


def _usage(usage: Usage) -> dict[str, Any]:
    prompt = {
        "cached_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
    }
    completion = {"reasoning_tokens": usage.reasoning_tokens}
    counts: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }
    for name, details in (
        ("prompt_tokens_details", prompt),
        ("completion_tokens_details", completion),
    ):
        present = {key: count for key, count in details.items() if count is not None}
        if present:
            counts[name] = present
    return counts
