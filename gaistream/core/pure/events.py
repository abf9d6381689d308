"""What a stream says: thirteen kinds of event, and the three values that stand in them.

An event is immutable, checked when it is made, and compares equal to an event of the same kind
with equal fields; its `timestamp` (Unix seconds, or None) is when it was said, not what was said,
and takes no part in the comparison. Values are made in `__new__`, so that calling `__init__`
again cannot change one. Twin of src/events.pxi: same kinds, same fields, same errors.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar, NoReturn, Self, cast

from gaistream.errors import EventError

_set = object.__setattr__
_LONGEST_BYTES_IN_REPR = 32


def _fail(owner: str, field: str, expected: str, value: object) -> NoReturn:
    raise EventError(f"{owner}.{field} must be {expected}, not {type(value).__name__}")


def _text(owner: str, field: str, value: object) -> str:
    if not isinstance(value, str):
        _fail(owner, field, "str", value)
    return str.__str__(value)  # an exact str, where it is of a subclass


def _optional_text(owner: str, field: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        _fail(owner, field, "str or None", value)
    return str.__str__(value)


def _exact(value: float) -> float:
    return int.__pos__(value) if isinstance(value, int) else float.__pos__(value)


def _integer(owner: str, field: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        _fail(owner, field, "int", value)
    return int.__pos__(value)  # an exact int, where it is of a subclass


def _optional_integer(owner: str, field: str, value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        _fail(owner, field, "int or None", value)
    return int.__pos__(value)


def _number(owner: str, field: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        _fail(owner, field, "int or float", value)
    return _exact(value)


def _optional_number(owner: str, field: str, value: object) -> float | None:
    if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
        _fail(owner, field, "int, float or None", value)
    return None if value is None else _exact(value)


class _Value:
    """An immutable record; its fields are its `__match_args__`."""

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]] = ()

    # For pickle, copy and type checkers: every subclass defines its own signature.
    def __new__(cls, *values: Any, **named: Any) -> Self:  # noqa: ARG004
        return object.__new__(cls)

    def __init_subclass__(cls) -> None:
        base = cls.__mro__[1]
        if base not in _BASES:
            raise TypeError(f"type '{base.__name__}' is not an acceptable base type")
        cls.__module__ = "gaistream.events"  # where a pickle finds the class of the twin that runs

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable: cannot set {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable: cannot delete {name!r}")

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__match_args__)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._values()))

    def __repr__(self) -> str:
        said = []
        for name in (*self.__match_args__, "timestamp"):
            value = getattr(self, name, None)
            if value is None:
                continue
            if isinstance(value, bytes) and len(value) > _LONGEST_BYTES_IN_REPR:
                said.append(f"{name}=<{len(value)} bytes>")
            else:
                said.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(said)})"

    def __reduce__(self) -> tuple[Any, ...]:
        timestamp = getattr(self, "timestamp", None)
        make = type(self) if timestamp is None else partial(type(self), timestamp=timestamp)
        return make, self._values()


_BASES: list[type[Any]] = [_Value]


class AudioFormat(_Value):
    """How the bytes of an `AudioDelta` are to be heard."""

    __slots__ = ("bit_depth", "channels", "mime", "sample_rate")
    __match_args__ = ("mime", "sample_rate", "channels", "bit_depth")

    mime: str
    sample_rate: int
    channels: int
    bit_depth: int

    def __new__(
        cls, mime: str, sample_rate: int = 0, channels: int = 0, bit_depth: int = 0
    ) -> Self:
        self = object.__new__(cls)
        _set(self, "mime", _text("AudioFormat", "mime", mime))
        _set(self, "sample_rate", _integer("AudioFormat", "sample_rate", sample_rate))
        _set(self, "channels", _integer("AudioFormat", "channels", channels))
        _set(self, "bit_depth", _integer("AudioFormat", "bit_depth", bit_depth))
        return self


class Citation(_Value):
    """A place that a stretch of the answer rests on; `start` and `end` are offsets in the text."""

    __slots__ = ("end", "start", "title", "uri")
    __match_args__ = ("uri", "start", "end", "title")

    uri: str
    start: int
    end: int
    title: str | None

    def __new__(cls, uri: str, start: int = 0, end: int = 0, title: str | None = None) -> Self:
        self = object.__new__(cls)
        _set(self, "uri", _text("Citation", "uri", uri))
        _set(self, "start", _integer("Citation", "start", start))
        _set(self, "end", _integer("Citation", "end", end))
        _set(self, "title", _optional_text("Citation", "title", title))
        return self


class Usage(_Value):
    """Tokens that an answer took; `total_tokens` is their sum unless it is given.

    The last three are None if they are not known: the tokens of the input that were read from a
    cache and written to one, and the tokens of the output that are reasoning.
    """

    __slots__ = (
        "cache_write_tokens",
        "cached_input_tokens",
        "input_tokens",
        "output_tokens",
        "reasoning_tokens",
        "total_tokens",
    )
    __match_args__ = (
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "cached_input_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
    )

    input_tokens: int
    output_tokens: int
    total_tokens: int
    cached_input_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None

    def __new__(
        cls,
        input_tokens: int = 0,
        output_tokens: int = 0,
        total_tokens: int | None = None,
        cached_input_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        reasoning_tokens: int | None = None,
    ) -> Self:
        self = object.__new__(cls)
        _set(self, "input_tokens", _integer("Usage", "input_tokens", input_tokens))
        _set(self, "output_tokens", _integer("Usage", "output_tokens", output_tokens))
        if total_tokens is None:
            total_tokens = input_tokens + output_tokens
        _set(self, "total_tokens", _integer("Usage", "total_tokens", total_tokens))
        for name, value in (
            ("cached_input_tokens", cached_input_tokens),
            ("cache_write_tokens", cache_write_tokens),
            ("reasoning_tokens", reasoning_tokens),
        ):
            _set(self, name, _optional_integer("Usage", name, value))
        return self


class Event(_Value):
    """The base of the thirteen kinds; `timestamp` is in Unix seconds, or None."""

    __slots__ = ("timestamp",)

    timestamp: float | None

    def __new__(cls) -> Self:
        return cast(Self, _event(cls, None))


_BASES.append(Event)


def _event(cls: type[Any], timestamp: float | None) -> Any:
    self = object.__new__(cls)
    _set(self, "timestamp", _optional_number(cls.__name__, "timestamp", timestamp))
    return self


class Start(Event):
    """The answer begins; `id` and `model` name it where the provider told them."""

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
        _set(self, "id", _optional_text("Start", "id", id))
        _set(self, "model", _optional_text("Start", "model", model))
        return self


class TextDelta(Event):
    """The next piece of the answer's text."""

    __slots__ = ("text",)
    __match_args__ = ("text",)

    text: str

    def __new__(cls, text: str, *, timestamp: float | None = None) -> Self:
        self: Self = _event(cls, timestamp)
        _set(self, "text", _text("TextDelta", "text", text))
        return self


class ReasoningDelta(Event):
    """The next piece of the text in which a model reasons before it answers."""

    __slots__ = ("text",)
    __match_args__ = ("text",)

    text: str

    def __new__(cls, text: str, *, timestamp: float | None = None) -> Self:
        self: Self = _event(cls, timestamp)
        _set(self, "text", _text("ReasoningDelta", "text", text))
        return self


class AudioDelta(Event):
    """The next bytes of spoken answer; a `bytearray` or `memoryview` is copied into `bytes`."""

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
            _fail("AudioDelta", "audio", "bytes, bytearray or memoryview", audio)
        if format is not None and type(format) is not AudioFormat:
            _fail("AudioDelta", "format", "AudioFormat or None", format)
        _set(self, "audio", bytes(audio))
        _set(self, "format", format)
        return self


class ToolCall(Event):
    """The model asks for a tool; `input` is any JSON value, None when there is none."""

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
        _set(self, "id", _text("ToolCall", "id", id))
        _set(self, "name", _text("ToolCall", "name", name))
        _set(self, "input", input)
        return self


class ToolResult(Event):
    """What the tool answered to the call with the same `id`; `result` is any JSON value."""

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
        _set(self, "id", _text("ToolResult", "id", id))
        _set(self, "name", _text("ToolResult", "name", name))
        _set(self, "result", result)
        return self


class Citations(Event):
    """The places that the answer rests on."""

    __slots__ = ("citations",)
    __match_args__ = ("citations",)

    citations: tuple[Citation, ...]

    def __new__(cls, citations: Iterable[Citation], *, timestamp: float | None = None) -> Self:
        self: Self = _event(cls, timestamp)
        citations = tuple(citations)
        for citation in citations:
            if type(citation) is not Citation:
                _fail("Citations", "citations", "an iterable of Citation", citation)
        _set(self, "citations", citations)
        return self


class Safety(Event):
    """A judgement of the content: which category, what was done (`action`), how sure."""

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
        _set(self, "category", _text("Safety", "category", category))
        _set(self, "action", _text("Safety", "action", action))
        _set(self, "score", _number("Safety", "score", score))
        _set(self, "note", _optional_text("Safety", "note", note))
        return self


class FinishStep(Event):
    """One step of the answer (a model call with its tools) is over; steps count from 1."""

    __slots__ = ("step_number",)
    __match_args__ = ("step_number",)

    step_number: int

    def __new__(cls, step_number: int, *, timestamp: float | None = None) -> Self:
        self: Self = _event(cls, timestamp)
        _set(self, "step_number", _integer("FinishStep", "step_number", step_number))
        return self


class Finish(Event):
    """The answer is complete: what it took, and why it ended (`stop`, `length`, …)."""

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
            _fail("Finish", "usage", "Usage or None", usage)
        _set(self, "usage", usage)
        _set(self, "finish_reason", _optional_text("Finish", "finish_reason", finish_reason))
        return self


class Error(Event):
    """Something failed; the text is for the client. Last in a stream, it ends it as failed."""

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
        _set(self, "message", _text("Error", "message", message))
        _set(self, "code", _optional_text("Error", "code", code))
        _set(self, "retry_after", _optional_number("Error", "retry_after", retry_after))
        return self


class Done(Event):
    """The stream is over and succeeded. The engine writes it; a source may."""

    __slots__ = ()

    def __new__(cls, *, timestamp: float | None = None) -> Self:
        self: Self = _event(cls, timestamp)
        return self


class Raw(Event):
    """Anything else: a JSON value that passes through as it is."""

    __slots__ = ("raw",)
    __match_args__ = ("raw",)

    raw: Any

    def __new__(cls, raw: Any = None, *, timestamp: float | None = None) -> Self:
        self: Self = _event(cls, timestamp)
        _set(self, "raw", raw)
        return self
