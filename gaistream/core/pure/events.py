"""The thirteen kinds of event in a stream.

An event is an immutable record (see values.py). Its `timestamp` (Unix seconds, or None) takes no
part in comparison. Twin of src/events.pxi.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self, cast

from .values import (
    BASES,
    AudioFormat,
    Citation,
    Usage,
    Value,
    as_integer,
    as_number,
    as_optional_number,
    as_optional_text,
    as_text,
    refuse_type,
    set_field,
)


class Event(Value):
    """The base of the thirteen events; `timestamp` is in Unix seconds, or None."""

    __slots__ = ("timestamp",)

    timestamp: float | None

    def __new__(cls) -> Self:
        return cast(Self, _event(cls, None))


BASES.append(Event)


def _event(cls: type[Any], timestamp: float | None) -> Any:
    self = object.__new__(cls)
    set_field(self, "timestamp", as_optional_number(cls.__name__, "timestamp", timestamp))
    return self


class Start(Event):
    """The answer begins; `id` and `model` are None if the provider did not send them."""

    __slots__ = ("id", "model")
    __match_args__ = ("id", "model")

    id: str | None
    model: str | None

    def __new__(
        cls,
        id: str | None = None,
        model: str | None = None,
        *,
        timestamp: float | None = None,
    ) -> Self:
        self: Self = _event(cls, timestamp)
        set_field(self, "id", as_optional_text("Start", "id", id))
        set_field(self, "model", as_optional_text("Start", "model", model))
        return self


class TextDelta(Event):
    """The next piece of the answer's text."""

    __slots__ = ("text",)
    __match_args__ = ("text",)

    text: str

    def __new__(cls, text: str, *, timestamp: float | None = None) -> Self:
        self: Self = _event(cls, timestamp)
        set_field(self, "text", as_text("TextDelta", "text", text))
        return self


class ReasoningDelta(Event):
    """The next piece of the model's reasoning before its answer."""

    __slots__ = ("text",)
    __match_args__ = ("text",)

    text: str

    def __new__(cls, text: str, *, timestamp: float | None = None) -> Self:
        self: Self = _event(cls, timestamp)
        set_field(self, "text", as_text("ReasoningDelta", "text", text))
        return self


class AudioDelta(Event):
    """The next bytes of a spoken answer; a `bytearray` or `memoryview` is copied to `bytes`."""

    __slots__ = ("audio", "format")
    __match_args__ = ("audio", "format")

    audio: bytes
    format: AudioFormat | None

    def __new__(
        cls,
        audio: bytes | bytearray | memoryview,
        format: AudioFormat | None = None,
        *,
        timestamp: float | None = None,
    ) -> Self:
        self: Self = _event(cls, timestamp)
        if not isinstance(audio, bytes | bytearray | memoryview):
            refuse_type("AudioDelta", "audio", "bytes, bytearray or memoryview", audio)
        if format is not None and type(format) is not AudioFormat:
            refuse_type("AudioDelta", "format", "AudioFormat or None", format)
        set_field(self, "audio", bytes(audio))
        set_field(self, "format", format)
        return self


class ToolCall(Event):
    """The model calls a tool; `input` is any JSON value, or None."""

    __slots__ = ("id", "input", "name")
    __match_args__ = ("id", "name", "input")

    id: str
    name: str
    input: Any

    def __new__(
        cls,
        id: str,
        name: str,
        input: Any = None,
        *,
        timestamp: float | None = None,
    ) -> Self:
        self: Self = _event(cls, timestamp)
        set_field(self, "id", as_text("ToolCall", "id", id))
        set_field(self, "name", as_text("ToolCall", "name", name))
        set_field(self, "input", input)
        return self


class ToolResult(Event):
    """The result of the tool call with the same `id`; `result` is any JSON value."""

    __slots__ = ("id", "name", "result")
    __match_args__ = ("id", "name", "result")

    id: str
    name: str
    result: Any

    def __new__(
        cls,
        id: str,
        name: str,
        result: Any = None,
        *,
        timestamp: float | None = None,
    ) -> Self:
        self: Self = _event(cls, timestamp)
        set_field(self, "id", as_text("ToolResult", "id", id))
        set_field(self, "name", as_text("ToolResult", "name", name))
        set_field(self, "result", result)
        return self


class Citations(Event):
    """The sources of the answer."""

    __slots__ = ("citations",)
    __match_args__ = ("citations",)

    citations: tuple[Citation, ...]

    def __new__(cls, citations: Iterable[Citation], *, timestamp: float | None = None) -> Self:
        self: Self = _event(cls, timestamp)
        citations = tuple(citations)
        for citation in citations:
            if type(citation) is not Citation:
                refuse_type("Citations", "citations", "an iterable of Citation", citation)
        set_field(self, "citations", citations)
        return self


class Safety(Event):
    """A judgement of the content: its category, the action that was taken, and a score."""

    __slots__ = ("action", "category", "note", "score")
    __match_args__ = ("category", "action", "score", "note")

    category: str
    action: str
    score: float
    note: str | None

    def __new__(
        cls,
        category: str,
        action: str,
        score: float = 0.0,
        note: str | None = None,
        *,
        timestamp: float | None = None,
    ) -> Self:
        self: Self = _event(cls, timestamp)
        set_field(self, "category", as_text("Safety", "category", category))
        set_field(self, "action", as_text("Safety", "action", action))
        set_field(self, "score", as_number("Safety", "score", score))
        set_field(self, "note", as_optional_text("Safety", "note", note))
        return self


class FinishStep(Event):
    """A step of the answer (a call of the model with its tools) is over; steps count from 1."""

    __slots__ = ("step_number",)
    __match_args__ = ("step_number",)

    step_number: int

    def __new__(cls, step_number: int, *, timestamp: float | None = None) -> Self:
        self: Self = _event(cls, timestamp)
        set_field(self, "step_number", as_integer("FinishStep", "step_number", step_number))
        return self


class Finish(Event):
    """The answer is complete: its usage, and why it ended (`stop`, `length`, …)."""

    __slots__ = ("finish_reason", "usage")
    __match_args__ = ("usage", "finish_reason")

    usage: Usage | None
    finish_reason: str | None

    def __new__(
        cls,
        usage: Usage | None = None,
        finish_reason: str | None = None,
        *,
        timestamp: float | None = None,
    ) -> Self:
        self: Self = _event(cls, timestamp)
        if usage is not None and type(usage) is not Usage:
            refuse_type("Finish", "usage", "Usage or None", usage)
        set_field(self, "usage", usage)
        set_field(self, "finish_reason", as_optional_text("Finish", "finish_reason", finish_reason))
        return self


class Error(Event):
    """Something failed; the message is for the client. A stream whose last event it is failed."""

    __slots__ = ("code", "message", "retry_after")
    __match_args__ = ("message", "code", "retry_after")

    message: str
    code: str | None
    retry_after: float | None

    def __new__(
        cls,
        message: str,
        code: str | None = None,
        retry_after: float | None = None,
        *,
        timestamp: float | None = None,
    ) -> Self:
        self: Self = _event(cls, timestamp)
        set_field(self, "message", as_text("Error", "message", message))
        set_field(self, "code", as_optional_text("Error", "code", code))
        set_field(self, "retry_after", as_optional_number("Error", "retry_after", retry_after))
        return self


class Done(Event):
    """The stream has succeeded and is over. A source need not yield it: streams write it."""

    __slots__ = ()

    def __new__(cls, *, timestamp: float | None = None) -> Self:
        self: Self = _event(cls, timestamp)
        return self


class Raw(Event):
    """Any other JSON value, which is passed on as it is."""

    __slots__ = ("raw",)
    __match_args__ = ("raw",)

    raw: Any

    def __new__(cls, raw: Any = None, *, timestamp: float | None = None) -> Self:
        self: Self = _event(cls, timestamp)
        set_field(self, "raw", raw)
        return self
