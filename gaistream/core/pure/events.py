"""The base of the events, and the events of an answer's content.

An event is an immutable record (see values.py). Its `timestamp` (Unix seconds, or None) takes no
part in comparison. The events of tools and steps are in tool_events.py and step_events.py. Twin of
src/events.pxi.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self, cast

from gaistream.errors import EventError

from .values import (
    BASES,
    AudioFormat,
    Citation,
    Value,
    as_number,
    as_optional_flag,
    as_optional_number,
    as_optional_text,
    as_text,
    refuse_type,
    set_field,
)


class Event(Value):
    """The base of all events; `timestamp` is in Unix seconds, or None."""

    __slots__ = ("timestamp",)

    timestamp: float | None

    def __new__(cls) -> Self:
        return cast(Self, new_event(cls, None))


BASES.append(Event)


def new_event(cls: type[Any], timestamp: float | None) -> Any:
    """Return a new event that has only its timestamp."""
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
        self: Self = new_event(cls, timestamp)
        set_field(self, "id", as_optional_text("Start", "id", id))
        set_field(self, "model", as_optional_text("Start", "model", model))
        return self


class TextDelta(Event):
    """The next piece of the answer's text."""

    __slots__ = ("text",)
    __match_args__ = ("text",)

    text: str

    def __new__(cls, text: str, *, timestamp: float | None = None) -> Self:
        self: Self = new_event(cls, timestamp)
        set_field(self, "text", as_text("TextDelta", "text", text))
        return self


class ReasoningDelta(Event):
    """The next piece of the model's reasoning before its answer."""

    __slots__ = ("text",)
    __match_args__ = ("text",)

    text: str

    def __new__(cls, text: str, *, timestamp: float | None = None) -> Self:
        self: Self = new_event(cls, timestamp)
        set_field(self, "text", as_text("ReasoningDelta", "text", text))
        return self


class ReasoningEnd(Event):
    """The preceding reasoning is complete.

    `id` is the provider's. `signature` must be sent back with the reasoning, and only its provider
    can use it. `redacted` is reasoning that the provider encrypted.
    """

    __slots__ = ("id", "redacted", "signature")
    __match_args__ = ("id", "signature", "redacted")

    id: str | None
    signature: str | None
    redacted: str | None

    def __new__(
        cls,
        id: str | None = None,
        signature: str | None = None,
        redacted: str | None = None,
        *,
        timestamp: float | None = None,
    ) -> Self:
        self: Self = new_event(cls, timestamp)
        set_field(self, "id", as_optional_text("ReasoningEnd", "id", id))
        set_field(self, "signature", as_optional_text("ReasoningEnd", "signature", signature))
        set_field(self, "redacted", as_optional_text("ReasoningEnd", "redacted", redacted))
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
        self: Self = new_event(cls, timestamp)
        if not isinstance(audio, bytes | bytearray | memoryview):
            refuse_type("AudioDelta", "audio", "bytes, bytearray or memoryview", audio)
        if format is not None and type(format) is not AudioFormat:
            refuse_type("AudioDelta", "format", "AudioFormat or None", format)
        set_field(self, "audio", bytes(audio))
        set_field(self, "format", format)
        return self


class File(Event):
    """A file of the answer: the `url` where it is, or its `data`.

    A `bytearray` or `memoryview` is copied to `bytes`.
    """

    __slots__ = ("data", "media_type", "url")
    __match_args__ = ("media_type", "url", "data")

    media_type: str
    url: str | None
    data: bytes | None

    def __new__(
        cls,
        media_type: str,
        url: str | None = None,
        data: bytes | bytearray | memoryview | None = None,
        *,
        timestamp: float | None = None,
    ) -> Self:
        self: Self = new_event(cls, timestamp)
        set_field(self, "media_type", as_text("File", "media_type", media_type))
        set_field(self, "url", as_optional_text("File", "url", url))
        if data is not None and not isinstance(data, bytes | bytearray | memoryview):
            refuse_type("File", "data", "bytes, bytearray, memoryview or None", data)
        if (url is None) == (data is None):
            raise EventError("File needs either url or data")
        set_field(self, "data", None if data is None else bytes(data))
        return self


class Citations(Event):
    """The sources of the answer."""

    __slots__ = ("citations",)
    __match_args__ = ("citations",)

    citations: tuple[Citation, ...]

    def __new__(cls, citations: Iterable[Citation], *, timestamp: float | None = None) -> Self:
        self: Self = new_event(cls, timestamp)
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
        self: Self = new_event(cls, timestamp)
        set_field(self, "category", as_text("Safety", "category", category))
        set_field(self, "action", as_text("Safety", "action", action))
        set_field(self, "score", as_number("Safety", "score", score))
        set_field(self, "note", as_optional_text("Safety", "note", note))
        return self


class Data(Event):
    """A JSON value of the application, under a name.

    A later one with the same `id` replaces it. `transient` is True if the message does not keep it.
    """

    __slots__ = ("data", "id", "name", "transient")
    __match_args__ = ("name", "data", "id", "transient")

    name: str
    data: Any
    id: str | None
    transient: bool | None

    def __new__(
        cls,
        name: str,
        data: Any = None,
        id: str | None = None,
        transient: bool | None = None,
        *,
        timestamp: float | None = None,
    ) -> Self:
        self: Self = new_event(cls, timestamp)
        set_field(self, "name", as_text("Data", "name", name))
        set_field(self, "data", data)
        set_field(self, "id", as_optional_text("Data", "id", id))
        set_field(self, "transient", as_optional_flag("Data", "transient", transient))
        return self


class Raw(Event):
    """Any other JSON value, which is passed on as it is."""

    __slots__ = ("raw",)
    __match_args__ = ("raw",)

    raw: Any

    def __new__(cls, raw: Any = None, *, timestamp: float | None = None) -> Self:
        self: Self = new_event(cls, timestamp)
        set_field(self, "raw", raw)
        return self
