"""OpenAI's Chat Completions protocol: how a stream of `chat.completion.chunk` frames is read.

`ChatCompletionsReader` turns frames into events. What it guarantees: text comes out as soon as it
comes in; a tool call comes out whole; a stream that was cut or that failed ends in an `Error` and
never in a `Done`; and no field that is missing, unknown or of another type than expected stops it,
for many servers speak this protocol, each in its own way.

How: a small state machine. Tool calls arrive as an id and a name, then as fragments of their
arguments; they are joined until the next call or the finish reason. The usage arrives one chunk
after the finish reason, so `Finish` waits for it, for `[DONE]` or for the end of the body.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from .. import _json
from .._backend import ServerSentEvent
from ..events import (
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
    ToolCall,
    Usage,
)
from .base import EventStream

__all__ = ["ChatCompletionsReader"]

_TERMINATOR = "[DONE]"


class ChatCompletionsReader(EventStream):
    """Reads the frames of one Chat Completions stream. Belongs to one task.

    Only choice 0 is read. Feed it every frame, then close it: the end of the body says whether
    the stream was complete.

    Attributes:
        ended: True after `[DONE]`, an error or `close()`; what is fed from then on is dropped.
    """

    def __init__(self) -> None:
        self.ended = False
        self._started = False
        self._calls = _ToolCalls()
        self._finish_reason: str | None = None
        self._finished = False
        self._usage: Usage | None = None

    def feed(self, event: ServerSentEvent) -> list[Event]:
        """Take a frame, as `SSEDecoder` gives it, and give the events that it completes."""
        if self.ended:
            return []
        data = _text(event.data).strip()
        if data.startswith(_TERMINATOR):
            return self._complete()
        if not data:
            return []
        try:
            chunk = _json.loads(data)
        except ValueError:
            return self._fail("the provider sent a frame that is not JSON", "invalid_frame")
        if not isinstance(chunk, dict):
            return []
        problem = _problem_of(chunk, event.event)
        if problem is not None:
            return self._fail(*problem)
        return self._chunk(chunk)

    def close(self) -> list[Event]:
        """Say that the body has ended, and give what was waiting for that.

        A stream that gave a finish reason ends well even without `[DONE]`; any other was cut,
        and its unfinished tool call is not given.
        """
        if self.ended:
            return []
        if self._finish_reason is not None:
            return self._complete()
        return self._fail("the provider's stream was cut", "truncated")

    def _chunk(self, chunk: dict[str, Any]) -> list[Event]:
        events: list[Event] = []
        choices = _objects(chunk.get("choices"))
        identity, model = _text(chunk.get("id")), _text(chunk.get("model"))
        # A gateway may open with a nameless chunk of its own; the answer begins after it.
        if not self._started and (identity or choices):
            self._started = True
            events.append(Start(identity or None, model or None))
        self._usage = _usage_of(chunk.get("usage")) or self._usage
        events += _judgements(_object(chunk.get("moderation")))
        for choice in choices:
            if not choice.get("index"):
                events += self._choice(choice)
        if not choices and self._usage is not None and self._finish_reason is not None:
            events += self._finish()
        return events

    def _choice(self, choice: dict[str, Any]) -> list[Event]:
        delta = _object(choice.get("delta"))
        events = [*_said(delta), *_heard(_object(delta.get("audio")))]
        for fragment in _objects(delta.get("tool_calls")):
            events += self._calls.add(fragment)
        if delta.get("function_call"):  # the protocol's older form: one call, with no id
            events += self._calls.add({"function": delta["function_call"]})
        reason = _text(choice.get("finish_reason"))
        if reason:
            events += self._calls.flush()
            if reason == "content_filter" and reason != self._finish_reason:
                events.append(Safety(reason, "block"))
            self._finish_reason = reason
        return events

    def _finish(self) -> list[Event]:
        if self._finished:
            return []
        self._finished = True
        return [*self._calls.flush(), Finish(self._usage, self._finish_reason)]

    def _complete(self) -> list[Event]:
        self.ended = True
        return [*self._finish(), Done()]

    def _fail(self, message: str, code: str | None) -> list[Event]:
        self.ended = True
        return [Error(message, code)]


class _ToolCalls:
    """Joins the fragments of tool calls; holds the one call that is still arriving."""

    def __init__(self) -> None:
        self._count = 0
        self._index: int | None = None
        self._id = ""
        self._name = ""
        self._arguments: list[str] = []

    def add(self, fragment: dict[str, Any]) -> list[Event]:
        function = _object(fragment.get("function"))
        identity, name = _text(fragment.get("id")), _text(function.get("name"))
        index = fragment.get("index")
        if type(index) is not int:
            index = self._index
        # Some servers number every call 0, or none at all: then a new id tells a new call.
        fresh = identity not in ("", self._id) and self._id != ""
        events: list[Event] = []
        if fresh or index is None or index != self._index:
            if not identity and not name:
                return [Raw({"tool_calls": [fragment]})]  # a piece of a call that is over
            events = self.flush()
            self._index = self._count if index is None else index
        self._id = self._id or identity
        self._name = self._name or name
        arguments = function.get("arguments")
        # By the protocol they are JSON text; a server that sends the value itself is understood.
        self._arguments.append(
            _json.dumps(arguments).decode() if isinstance(arguments, dict) else _text(arguments)
        )
        return events

    def flush(self) -> list[Event]:
        """Give the call that is complete now, if there is one."""
        arguments, self._arguments = self._arguments, []
        if not arguments:
            return []
        self._count += 1
        identity = self._id or f"call_{self._count}"
        event = ToolCall(identity, self._name, _input_of("".join(arguments)))
        self._index, self._id, self._name = None, "", ""
        return [event]


def _input_of(arguments: str) -> object:
    if not arguments.strip():
        return None
    try:
        return _json.loads(arguments)
    except ValueError:
        return arguments


def _said(delta: dict[str, Any]) -> list[Event]:
    """The texts of a delta: reasoning (two names are in use, never for two texts), then answer."""
    events: list[Event] = []
    reasoning = _text(delta.get("reasoning_content")) or _text(delta.get("reasoning"))
    if reasoning:
        events.append(ReasoningDelta(reasoning))
    for content in (delta.get("content"), delta.get("refusal")):
        if isinstance(content, str):
            if content:
                events.append(TextDelta(content))
        elif content:
            events.append(Raw(content))  # a list of parts, as some servers send: passed on whole
    return events


def _heard(audio: dict[str, Any]) -> list[Event]:
    """The sound of a delta, and its transcript, which is then the text of the answer."""
    events: list[Event] = []
    transcript, data = _text(audio.get("transcript")), _text(audio.get("data"))
    if transcript:
        events.append(TextDelta(transcript))
    if data:
        try:
            events.append(AudioDelta(base64.b64decode(data, validate=True)))
        except binascii.Error:
            events.append(Raw({"audio": audio}))
    return events


def _judgements(moderation: dict[str, Any]) -> list[Event]:
    """One event for each category under which the question or the answer was flagged."""
    events: list[Event] = []
    for side in ("input", "output"):
        for result in _objects(_object(moderation.get(side)).get("results")):
            scores = _object(result.get("category_scores"))
            for category, flagged in _object(result.get("categories")).items():
                if flagged is True:
                    score = scores.get(category)
                    known = score if isinstance(score, int | float) else 0.0
                    events.append(Safety(category, "warn", float(known), note=side))
    return events


def _usage_of(usage: object) -> Usage | None:
    counts = _object(usage)
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    known = {name: counts[name] for name in names if type(counts.get(name)) is int}
    if not known:
        return None
    return Usage(
        known.get("prompt_tokens", 0),
        known.get("completion_tokens", 0),
        known.get("total_tokens"),
    )


def _problem_of(chunk: dict[str, Any], name: str | None) -> tuple[str, str | None] | None:
    """The message and code of an error frame, in the shapes in use; None for other frames."""
    error = chunk.get("error")
    if not error:
        if name != "error" and chunk.get("object") != "error":
            return None
        error = chunk
    if not isinstance(error, dict):
        return str(error), None
    code = error.get("code") or error.get("type")
    return _text(error.get("message")) or "the provider failed", str(code) if code else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
