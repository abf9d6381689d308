"""The reader of OpenAI's Chat Completions protocol: `chat.completion.chunk` frames to events.

Guaranteed: each piece of text, reasoning and arguments is returned as soon as it arrives, and a
`ToolCall` only if its arguments are whole. A stream that was cut or failed ends with an `Error`,
never with a `Done`. A field that is missing, unknown or of an unexpected type stops nothing, for
many servers speak this protocol, each in its own way.

How: a small state machine. Tool calls arrive as an id and a name, then as fragments of their
arguments, which tool_calls.py reads. Reasoning has no end of its own: it ends with its signature,
or when something else begins. The usage arrives one chunk after the finish reason, so `Finish`
waits for it, for `[DONE]` or for the end of the body.
"""

from __future__ import annotations

from typing import Any

from ...core import ServerSentEvent
from ...events import (
    Done,
    Error,
    Event,
    Finish,
    ReasoningDelta,
    ReasoningEnd,
    Safety,
    Start,
    TextDelta,
    Usage,
)
from ..base import CUT, NOT_JSON, DialectReader, half_call_error
from ..deltas import SteadyDelta
from ..fields import object_of, objects_of, text_of
from .parts import (
    citations_of,
    judgements_of,
    problem_of,
    reasoning_of,
    sounds_of,
    texts_of,
    usage_of,
)
from .tool_calls import ToolCalls

__all__ = ["ChatCompletionsReader"]

_TERMINATOR = "[DONE]"
_DELTA = ("choices", 0, "delta")
_VARYING = ("created", "obfuscation")
_REASONS = {"function_call": "tool_calls"} | {
    reason: reason for reason in ("stop", "length", "tool_calls", "content_filter")
}


class ChatCompletionsReader(DialectReader):
    """Reads the frames of one Chat Completions stream; only choice 0. Belongs to one task."""

    steady_deltas = (
        SteadyDelta(TextDelta, (*_DELTA, "content"), _VARYING),
        SteadyDelta(ReasoningDelta, (*_DELTA, "reasoning_content"), _VARYING),
        SteadyDelta(ReasoningDelta, (*_DELTA, "reasoning"), _VARYING),
    )

    def __init__(self) -> None:
        self.ended = False
        self._started = False
        self._answered = False  # a part of the answer was read
        self._reasons = False  # reasoning is arriving
        self._calls = ToolCalls()
        self._finish_reason: str | None = None
        self._finished = False
        self._usage: Usage | None = None

    def feed(self, event: ServerSentEvent) -> list[Event]:
        if self.ended:
            return []
        data = text_of(event.data).strip()
        if data.startswith(_TERMINATOR):
            # text and [DONE] without a finish reason is a whole answer of some small servers
            if self._finish_reason is None and (self._calls.open or not self._answered):
                return self._cut()
            return self._complete()
        if not data:
            return []
        try:
            chunk = self.read(data)
        except ValueError:
            return self.fail(NOT_JSON)
        if not isinstance(chunk, dict):
            return []
        problem = problem_of(chunk, event.event)
        if problem is not None:
            return self.fail(problem)
        return self._chunk(chunk)

    def close(self) -> list[Event]:
        """Read the end of the body and return the last events.

        A stream with a finish reason is complete even without `[DONE]`. Any other was cut, and its
        unfinished tool call is dropped.
        """
        if self.ended:
            return []
        if self._finish_reason is not None:
            return self._complete()
        return self._cut()

    def _chunk(self, chunk: dict[str, Any]) -> list[Event]:
        events: list[Event] = []
        choices = objects_of(chunk.get("choices"))
        identity, model = text_of(chunk.get("id")), text_of(chunk.get("model"))
        # the first chunk of a gateway may have neither id nor choices: the answer begins later
        if not self._started and (identity or choices):
            self._started = True
            events.append(Start(identity or None, model or None))
        self._usage = usage_of(chunk.get("usage")) or self._usage
        events += judgements_of(object_of(chunk.get("moderation")))
        for choice in choices:
            if not choice.get("index") and not self.ended:
                events += self._choice(choice)
        if not choices and self._usage is not None and self._finish_reason is not None:
            events += self._finish()
        return events

    def _choice(self, choice: dict[str, Any]) -> list[Event]:
        delta = object_of(choice.get("delta"))
        reasoning = reasoning_of(delta)
        self._reasons = isinstance(reasoning[-1], ReasoningDelta) if reasoning else self._reasons
        events = [
            *texts_of(delta),
            *sounds_of(object_of(delta.get("audio"))),
            *citations_of(delta.get("annotations")),
        ]
        for fragment in objects_of(delta.get("tool_calls")):
            events += self._calls.add(fragment)
        if delta.get("function_call"):  # the older form: one call, without an id
            events += self._calls.add({"function": delta["function_call"]})
        if events:
            events = [*self._end_reasoning(), *events]
        self._answered = self._answered or bool(events) or bool(reasoning)
        reason = text_of(choice.get("finish_reason"))
        return reasoning + events + (self._end_choice(reason) if reason else [])

    def _end_choice(self, reason: str) -> list[Event]:
        if reason == "error":
            return self.fail(Error("the provider failed", reason))
        events = [*self._end_reasoning(), *self._end_calls()]
        if reason == "content_filter" and reason != self._finish_reason and not self.ended:
            events.append(Safety(reason, "block"))
        self._finish_reason = reason
        return events

    def _end_reasoning(self) -> list[Event]:
        is_open, self._reasons = self._reasons, False
        return [ReasoningEnd()] if is_open else []

    def _end_calls(self) -> list[Event]:
        events = self._calls.end()
        self.ended = bool(events) and isinstance(events[-1], Error)
        return events

    def _finish(self) -> list[Event]:
        if self._finished:
            return []
        events = [*self._end_reasoning(), *self._end_calls()]
        if self.ended:
            return events
        self._finished = True
        word = self._finish_reason
        reason = None if word is None else _REASONS.get(word, "other")
        raw_reason = None if reason == word else word
        return [*events, Finish(self._usage, reason, raw_reason=raw_reason)]

    def _complete(self) -> list[Event]:
        events = self._finish()
        if self.ended:
            return events
        self.ended = True
        return [*events, Done()]

    def _cut(self) -> list[Event]:
        broken = next((call for call in self._calls.open if call.is_broken()), None)
        return self.fail(CUT if broken is None else half_call_error(broken.name))
