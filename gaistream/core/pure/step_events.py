"""The events of steps, and the ends of a stream. Twin of src/step_events.pxi."""

from __future__ import annotations

from typing import Self

from .events import Event, new_event
from .values import (
    Usage,
    as_integer,
    as_optional_integer,
    as_optional_number,
    as_optional_text,
    as_text,
    refuse_type,
    set_field,
)


class StepStart(Event):
    """A step of the answer begins; steps count from 1."""

    __slots__ = ("name", "step_number")
    __match_args__ = ("step_number", "name")

    step_number: int | None
    name: str | None

    def __new__(
        cls,
        step_number: int | None = None,
        name: str | None = None,
        *,
        timestamp: float | None = None,
    ) -> Self:
        self: Self = new_event(cls, timestamp)
        set_field(self, "step_number", as_optional_integer("StepStart", "step_number", step_number))
        set_field(self, "name", as_optional_text("StepStart", "name", name))
        return self


class FinishStep(Event):
    """A step of the answer (a call of the model with its tools) is over; steps count from 1."""

    __slots__ = ("step_number",)
    __match_args__ = ("step_number",)

    step_number: int

    def __new__(cls, step_number: int, *, timestamp: float | None = None) -> Self:
        self: Self = new_event(cls, timestamp)
        set_field(self, "step_number", as_integer("FinishStep", "step_number", step_number))
        return self


class StepReset(Event):
    """The provider is asked again: what the step has said so far is void."""

    __slots__ = ()

    def __new__(cls, *, timestamp: float | None = None) -> Self:
        self: Self = new_event(cls, timestamp)
        return self


class Finish(Event):
    """The answer is complete: its usage, and why it ended (`stop`, `length`, …).

    `raw_reason` is the provider's own word for that.
    """

    __slots__ = ("finish_reason", "raw_reason", "usage")
    __match_args__ = ("usage", "finish_reason", "raw_reason")

    usage: Usage | None
    finish_reason: str | None
    raw_reason: str | None

    def __new__(
        cls,
        usage: Usage | None = None,
        finish_reason: str | None = None,
        raw_reason: str | None = None,
        *,
        timestamp: float | None = None,
    ) -> Self:
        self: Self = new_event(cls, timestamp)
        if usage is not None and type(usage) is not Usage:
            refuse_type("Finish", "usage", "Usage or None", usage)
        set_field(self, "usage", usage)
        set_field(self, "finish_reason", as_optional_text("Finish", "finish_reason", finish_reason))
        set_field(self, "raw_reason", as_optional_text("Finish", "raw_reason", raw_reason))
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
        self: Self = new_event(cls, timestamp)
        set_field(self, "message", as_text("Error", "message", message))
        set_field(self, "code", as_optional_text("Error", "code", code))
        set_field(self, "retry_after", as_optional_number("Error", "retry_after", retry_after))
        return self


class Done(Event):
    """The stream has succeeded and is over. A source need not yield it: streams write it."""

    __slots__ = ()

    def __new__(cls, *, timestamp: float | None = None) -> Self:
        self: Self = new_event(cls, timestamp)
        return self
