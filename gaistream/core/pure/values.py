"""Immutable records: their base, the checks of their fields, and the values that events hold.

A record is checked when it is made, and equal to a record of the same class with equal fields. It
is made in `__new__`, so that calling `__init__` again cannot change it. Twin of src/values.pxi.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, NoReturn, Self

from gaistream.errors import EventError

set_field = object.__setattr__
_LONGEST_BYTES_IN_REPR = 32


def refuse_type(owner: str, field: str, expected: str, value: object) -> NoReturn:
    """Raise EventError: a field got a value of a wrong type."""
    raise EventError(f"{owner}.{field} must be {expected}, not {type(value).__name__}")


def as_text(owner: str, field: str, value: object) -> str:
    """Return an exact str, also for one of a subclass."""
    if not isinstance(value, str):
        refuse_type(owner, field, "str", value)
    return str.__str__(value)


def as_optional_text(owner: str, field: str, value: object) -> str | None:
    """Return an exact str, or None."""
    if value is None:
        return None
    if not isinstance(value, str):
        refuse_type(owner, field, "str or None", value)
    return str.__str__(value)


def exact_number(value: float) -> float:
    """Return an exact int or float, also for one of a subclass."""
    return int.__pos__(value) if isinstance(value, int) else float.__pos__(value)


def as_integer(owner: str, field: str, value: object) -> int:
    """Return an exact int."""
    if not isinstance(value, int) or isinstance(value, bool):
        refuse_type(owner, field, "int", value)
    return int.__pos__(value)


def as_optional_integer(owner: str, field: str, value: object) -> int | None:
    """Return an exact int, or None."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        refuse_type(owner, field, "int or None", value)
    return int.__pos__(value)


def as_number(owner: str, field: str, value: object) -> float:
    """Return an exact int or float."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        refuse_type(owner, field, "int or float", value)
    return exact_number(value)


def as_optional_number(owner: str, field: str, value: object) -> float | None:
    """Return an exact int or float, or None."""
    if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
        refuse_type(owner, field, "int, float or None", value)
    return None if value is None else exact_number(value)


def as_optional_flag(owner: str, field: str, value: object) -> bool | None:
    """Return True, False or None."""
    if value is not None and not isinstance(value, bool):
        refuse_type(owner, field, "bool or None", value)
    return value


class Value:
    """An immutable record; its fields are its `__match_args__`."""

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]] = ()

    # For pickle, copy and type checkers: every subclass defines its own signature.
    def __new__(cls, *values: Any, **named: Any) -> Self:  # noqa: ARG004
        return object.__new__(cls)

    def __init_subclass__(cls) -> None:
        base = cls.__mro__[1]
        if base not in BASES:
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
        fields = []
        for name in (*self.__match_args__, "timestamp"):
            value = getattr(self, name, None)
            if value is None:
                continue
            if isinstance(value, bytes) and len(value) > _LONGEST_BYTES_IN_REPR:
                fields.append(f"{name}=<{len(value)} bytes>")
            else:
                fields.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(fields)})"

    def __reduce__(self) -> tuple[Any, ...]:
        timestamp = getattr(self, "timestamp", None)
        make = type(self) if timestamp is None else partial(type(self), timestamp=timestamp)
        return make, self._values()


BASES: list[type[Any]] = [Value]  # the classes that may have subclasses


class AudioFormat(Value):
    """The format of the bytes of an `AudioDelta`."""

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
        set_field(self, "mime", as_text("AudioFormat", "mime", mime))
        set_field(self, "sample_rate", as_integer("AudioFormat", "sample_rate", sample_rate))
        set_field(self, "channels", as_integer("AudioFormat", "channels", channels))
        set_field(self, "bit_depth", as_integer("AudioFormat", "bit_depth", bit_depth))
        return self


class Citation(Value):
    """A source of a part of the answer; `start` and `end` are offsets in the answer's text."""

    __slots__ = ("end", "start", "title", "uri")
    __match_args__ = ("uri", "start", "end", "title")

    uri: str
    start: int
    end: int
    title: str | None

    def __new__(cls, uri: str, start: int = 0, end: int = 0, title: str | None = None) -> Self:
        self = object.__new__(cls)
        set_field(self, "uri", as_text("Citation", "uri", uri))
        set_field(self, "start", as_integer("Citation", "start", start))
        set_field(self, "end", as_integer("Citation", "end", end))
        set_field(self, "title", as_optional_text("Citation", "title", title))
        return self


class Usage(Value):
    """The tokens of an answer; `total_tokens` is the sum of both kinds unless it is set.

    The last three are None if they are unknown: input tokens that were read from a cache, input
    tokens that were written to one, and output tokens of reasoning.
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
        set_field(self, "input_tokens", as_integer("Usage", "input_tokens", input_tokens))
        set_field(self, "output_tokens", as_integer("Usage", "output_tokens", output_tokens))
        if total_tokens is None:
            total_tokens = input_tokens + output_tokens
        set_field(self, "total_tokens", as_integer("Usage", "total_tokens", total_tokens))
        for name, value in (
            ("cached_input_tokens", cached_input_tokens),
            ("cache_write_tokens", cache_write_tokens),
            ("reasoning_tokens", reasoning_tokens),
        ):
            set_field(self, name, as_optional_integer("Usage", name, value))
        return self
