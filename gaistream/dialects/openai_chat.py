"""OpenAI's Chat Completions protocol: how a stream of `chat.completion.chunk` frames is read.

`ChatCompletionsReader` turns frames into events. What it guarantees: text comes out as soon as it
comes in; a tool call comes out whole or not at all; a stream that was cut or that failed ends in an
`Error` and never in a `Done`; and no field that is missing, unknown or of another type than
expected stops it, for many servers speak this protocol, each in its own way.

How: a small state machine. Tool calls arrive as an id and a name, then as fragments of their
arguments, which `_ToolCalls` joins. The usage arrives one chunk after the finish reason, so
`Finish` waits for it, for `[DONE]` or for the end of the body.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from ..core import ServerSentEvent, read_json
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
        self._answered = False  # there was some of the answer: text, sound or a tool call
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
            # Small servers send text and [DONE] without any reason: that is a whole answer.
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
        """Say that the body has ended, and give what was waiting for that.

        A stream that gave a finish reason ends well even without `[DONE]`; any other was cut,
        and its unfinished tool call is not given.
        """
        if self.ended:
            return []
        if self._finish_reason is not None:
            return self._complete()
        return self._cut()

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
            if not choice.get("index") and not self.ended:
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
        self._answered = self._answered or bool(events)
        reason = _text(choice.get("finish_reason"))
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


class _Call:
    """A tool call that is arriving."""

    def __init__(self, index: int | None, identity: str, name: str) -> None:
        self.index = index
        self.identity = identity
        self.name = name
        self.arguments: list[str] = []  # the first is not blank
        self.value: object = None  # the arguments of a server that does not send them as text

    def add(self, arguments: object) -> None:
        """Add a fragment of the arguments: by the protocol the next piece of their JSON text."""
        if not isinstance(arguments, str):
            self.value = arguments
        elif self.arguments or arguments.strip():
            self.arguments.append(arguments)

    def input(self) -> object:
        """Return the arguments; None if there are none. ValueError: they are not JSON."""
        return read_json("".join(self.arguments), "replace") if self.arguments else self.value

    def is_broken(self) -> bool:
        """True if the arguments so far are not JSON."""
        try:
            self.input()
        except ValueError:
            return True
        return False

    def is_complete(self) -> bool:
        """True if no further fragment can belong to it; the digits of a number might go on."""
        if not self.arguments:
            return self.value is not None
        last = next((text for each in reversed(self.arguments) if (text := each.rstrip())), "")
        return last.endswith(("}", "]", '"')) and not self.is_broken()

    def error(self) -> Error:
        """Return the event that ends a stream in which this call is broken."""
        message = f"the tool call {self.name!r} was cut: its arguments are not JSON"
        return Error(message, "truncated_tool_call")


class _ToolCalls:
    """Joins the fragments of tool calls, by their index, their id or their order.

    Servers differ: calls may alternate, be numbered 0 all of them or not at all, have no id, or
    another one in each fragment.

    Attributes:
        open: the calls that are arriving, in the order in which they began.
    """

    def __init__(self) -> None:
        self.open: list[_Call] = []
        self._current: _Call | None = None
        self._count = 0

    def add(self, fragment: dict[str, Any]) -> list[Event]:
        """Take a fragment, and return the calls that it completes by beginning another."""
        function = _object(fragment.get("function"))
        identity, name = _text(fragment.get("id")), _text(function.get("name"))
        index = fragment.get("index") if type(fragment.get("index")) is int else None
        arguments = function.get("arguments")
        is_empty = arguments is None or (isinstance(arguments, str) and not arguments.strip())
        call = self._find(index, identity)
        events: list[Event] = []
        if call is None or _begins_another(call, index, identity, name, is_empty):
            if not identity and not name:  # a piece of a call that is over
                return [] if is_empty else [Raw({"tool_calls": [fragment]})]
            events = self._end([each for each in self.open if each.is_complete()])
            call = _Call(index, identity, name)
            self.open.append(call)
        call.identity = call.identity or identity
        call.name = call.name or name
        if arguments is not None:
            call.add(arguments)
        self._current = call
        return events

    def end(self) -> list[Event]:
        """End all calls; an Error is the last event if the arguments of one are not JSON."""
        return self._end(self.open)

    def _find(self, index: int | None, identity: str) -> _Call | None:
        calls = [call for call in self.open if index is None or call.index in (None, index)]
        for call in calls:
            if identity and call.identity == identity:
                return call
        if self._current in calls:
            return self._current
        return calls[-1] if calls else None

    def _end(self, calls: list[_Call]) -> list[Event]:
        events: list[Event] = []
        self.open = [call for call in self.open if call not in calls]
        for call in calls:
            try:
                value = call.input()
            except ValueError:
                return [*events, call.error()]
            self._count += 1
            events.append(ToolCall(call.identity or f"call_{self._count}", call.name, value))
        return events


def _begins_another(
    call: _Call, index: int | None, identity: str, name: str, is_empty: bool
) -> bool:
    """True if a fragment that could belong to the call is the first of another one."""
    if not name:
        return False
    if name != (call.name or name):
        return True
    known = identity == call.identity if identity and call.identity else None
    if known is False and index is None:
        return True
    return call.is_complete() and not (known and is_empty)


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
    total = _count(counts, "total_tokens")
    prompt, completion = _count(counts, "prompt_tokens"), _count(counts, "completion_tokens")
    if prompt is completion is total is None:
        return None
    of_prompt = _object(counts.get("prompt_tokens_details"))
    of_completion = _object(counts.get("completion_tokens_details"))
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
