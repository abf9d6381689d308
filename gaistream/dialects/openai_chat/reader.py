"""The reader of OpenAI's Chat Completions protocol: `chat.completion.chunk` frames to events.

Guaranteed: text is returned as soon as it arrives. A tool call is returned whole or not at all. A
stream that was cut or failed ends with an `Error`, never with a `Done`. A field that is missing,
unknown or of an unexpected type stops nothing, for many servers speak this protocol, each in its
own way.

How: a small state machine. Tool calls arrive as an id and a name, then as fragments of their
arguments, which tool_calls.py joins. The usage arrives one chunk after the finish reason, so
`Finish` waits for it, for `[DONE]` or for the end of the body.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from ...core import ServerSentEvent
from ...events import (
    AudioDelta,
    Done,
    Error,
    Event,
    Finish,
    Raw,
    ReasoningDelta,
    Safety,
    Start,
    TextDelta,
    Usage,
)
from ..base import DialectReader
from .fields import object_of, objects_of, text_of
from .tool_calls import ToolCalls

__all__ = ["ChatCompletionsReader"]

_TERMINATOR = "[DONE]"


class ChatCompletionsReader(DialectReader):
    """Reads the frames of one Chat Completions stream; only choice 0. Belongs to one task."""

    def __init__(self) -> None:
        self.ended = False
        self._started = False
        self._answered = False  # a part of the answer was read: text, sound or a tool call
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
            return self._fail("the provider sent a frame that is not JSON", "invalid_frame")
        if not isinstance(chunk, dict):
            return []
        problem = _problem_of(chunk, event.event)
        if problem is not None:
            return self._fail(*problem)
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
        self._usage = _usage_of(chunk.get("usage")) or self._usage
        events += _judgements(object_of(chunk.get("moderation")))
        for choice in choices:
            if not choice.get("index") and not self.ended:
                events += self._choice(choice)
        if not choices and self._usage is not None and self._finish_reason is not None:
            events += self._finish()
        return events

    def _choice(self, choice: dict[str, Any]) -> list[Event]:
        delta = object_of(choice.get("delta"))
        events = [*_texts_of(delta), *_sounds_of(object_of(delta.get("audio")))]
        for fragment in objects_of(delta.get("tool_calls")):
            events += self._calls.add(fragment)
        if delta.get("function_call"):  # the older form: one call, without an id
            events += self._calls.add({"function": delta["function_call"]})
        self._answered = self._answered or bool(events)
        reason = text_of(choice.get("finish_reason"))
        if reason:
            events += self._end_calls()
            if reason == "content_filter" and reason != self._finish_reason and not self.ended:
                events.append(Safety(reason, "block"))
            self._finish_reason = reason
        return events

    def _end_calls(self) -> list[Event]:
        events = self._calls.end()
        self.ended = bool(events) and isinstance(events[-1], Error)
        return events

    def _finish(self) -> list[Event]:
        if self._finished:
            return []
        events = self._end_calls()
        if self.ended:
            return events
        self._finished = True
        return [*events, Finish(self._usage, self._finish_reason)]

    def _complete(self) -> list[Event]:
        events = self._finish()
        if self.ended:
            return events
        self.ended = True
        return [*events, Done()]

    def _cut(self) -> list[Event]:
        broken = next((call for call in self._calls.open if call.is_broken()), None)
        if broken is None:
            return self._fail("the provider's stream was cut", "truncated")
        self.ended = True
        return [broken.error()]

    def _fail(self, message: str, code: str | None) -> list[Event]:
        self.ended = True
        return [Error(message, code)]


def _texts_of(delta: dict[str, Any]) -> list[Event]:
    """Return the reasoning of a delta (under one of two names), then its text."""
    events: list[Event] = []
    reasoning = text_of(delta.get("reasoning_content")) or text_of(delta.get("reasoning"))
    if reasoning:
        events.append(ReasoningDelta(reasoning))
    for content in (delta.get("content"), delta.get("refusal")):
        if isinstance(content, str):
            if content:
                events.append(TextDelta(content))
        elif content:
            events.append(Raw(content))  # a list of parts, which some servers send
    return events


def _sounds_of(audio: dict[str, Any]) -> list[Event]:
    """Return the transcript of a delta, which is the text of a spoken answer, then its sound."""
    events: list[Event] = []
    transcript, data = text_of(audio.get("transcript")), text_of(audio.get("data"))
    if transcript:
        events.append(TextDelta(transcript))
    if data:
        try:
            events.append(AudioDelta(base64.b64decode(data, validate=True)))
        except binascii.Error:
            events.append(Raw({"audio": audio}))
    return events


def _judgements(moderation: dict[str, Any]) -> list[Event]:
    """Return an event for each category in which the question or the answer was flagged."""
    events: list[Event] = []
    for side in ("input", "output"):
        for result in objects_of(object_of(moderation.get(side)).get("results")):
            scores = object_of(result.get("category_scores"))
            for category, flagged in object_of(result.get("categories")).items():
                if flagged is True:
                    score = scores.get(category)
                    known = score if isinstance(score, int | float) else 0.0
                    events.append(Safety(category, "warn", float(known), note=side))
    return events


def _usage_of(usage: object) -> Usage | None:
    counts = object_of(usage)
    total = _count(counts, "total_tokens")
    prompt, completion = _count(counts, "prompt_tokens"), _count(counts, "completion_tokens")
    if prompt is completion is total is None:
        return None
    of_prompt = object_of(counts.get("prompt_tokens_details"))
    of_completion = object_of(counts.get("completion_tokens_details"))
    return Usage(
        prompt or 0,
        completion or 0,
        total,
        _count(of_prompt, "cached_tokens"),
        _count(of_prompt, "cache_write_tokens"),
        _count(of_completion, "reasoning_tokens"),
    )


def _count(counts: dict[str, Any], name: str) -> int | None:
    value = counts.get(name)
    return value if type(value) is int else None


def _problem_of(chunk: dict[str, Any], name: str | None) -> tuple[str, str | None] | None:
    """Return the message and code of an error frame of any known shape; None for other frames."""
    error = chunk.get("error")
    if not error:
        if name != "error" and chunk.get("object") != "error":
            return None
        error = chunk
    if not isinstance(error, dict):
        return str(error), None
    code = error.get("code") or error.get("type")
    return text_of(error.get("message")) or "the provider failed", str(code) if code else None
