"""The events of tool calls.

A call is a `ToolCallStart`, the deltas of its arguments and a `ToolCall`, or only a `ToolCall`.
Twin of src/tool_events.pxi.
"""

from __future__ import annotations

from typing import Any, Self

from .events import Event, new_event
from .values import as_optional_flag, as_optional_text, as_text, set_field


class ToolCallStart(Event):
    """The model begins to call a tool, whose arguments follow.

    `provider_executed` is True if the provider runs the tool itself.
    """

    __slots__ = ("id", "name", "provider_executed")
    __match_args__ = ("id", "name", "provider_executed")

    id: str
    name: str
    provider_executed: bool | None

    def __new__(
        cls,
        id: str,
        name: str,
        provider_executed: bool | None = None,
        *,
        timestamp: float | None = None,
    ) -> Self:
        self: Self = new_event(cls, timestamp)
        set_field(self, "id", as_text("ToolCallStart", "id", id))
        set_field(self, "name", as_text("ToolCallStart", "name", name))
        checked = as_optional_flag("ToolCallStart", "provider_executed", provider_executed)
        set_field(self, "provider_executed", checked)
        return self


class ToolCallDelta(Event):
    """The next piece of the JSON text of the arguments of the call with this `id`."""

    __slots__ = ("id", "text")
    __match_args__ = ("id", "text")

    id: str
    text: str

    def __new__(cls, id: str, text: str, *, timestamp: float | None = None) -> Self:
        self: Self = new_event(cls, timestamp)
        set_field(self, "id", as_text("ToolCallDelta", "id", id))
        set_field(self, "text", as_text("ToolCallDelta", "text", text))
        return self


class ToolCall(Event):
    """The model calls a tool; `input` is any JSON value, or None.

    It ends the call that a `ToolCallStart` with its `id` began, or stands without one. `signature`
    is what the provider wants back with the call.
    """

    __slots__ = ("id", "input", "name", "provider_executed", "signature")
    __match_args__ = ("id", "name", "input", "signature", "provider_executed")

    id: str
    name: str
    input: Any
    signature: str | None
    provider_executed: bool | None

    def __new__(
        cls,
        id: str,
        name: str,
        input: Any = None,
        signature: str | None = None,
        provider_executed: bool | None = None,
        *,
        timestamp: float | None = None,
    ) -> Self:
        self: Self = new_event(cls, timestamp)
        set_field(self, "id", as_text("ToolCall", "id", id))
        set_field(self, "name", as_text("ToolCall", "name", name))
        set_field(self, "input", input)
        set_field(self, "signature", as_optional_text("ToolCall", "signature", signature))
        checked = as_optional_flag("ToolCall", "provider_executed", provider_executed)
        set_field(self, "provider_executed", checked)
        return self


class ToolResult(Event):
    """The result of the tool call with the same `id`; `result` is any JSON value.

    `is_error` is True if the tool failed.
    """

    __slots__ = ("id", "is_error", "name", "provider_executed", "result")
    __match_args__ = ("id", "name", "result", "is_error", "provider_executed")

    id: str
    name: str
    result: Any
    is_error: bool | None
    provider_executed: bool | None

    def __new__(
        cls,
        id: str,
        name: str,
        result: Any = None,
        is_error: bool | None = None,
        provider_executed: bool | None = None,
        *,
        timestamp: float | None = None,
    ) -> Self:
        self: Self = new_event(cls, timestamp)
        set_field(self, "id", as_text("ToolResult", "id", id))
        set_field(self, "name", as_text("ToolResult", "name", name))
        set_field(self, "result", result)
        set_field(self, "is_error", as_optional_flag("ToolResult", "is_error", is_error))
        checked = as_optional_flag("ToolResult", "provider_executed", provider_executed)
        set_field(self, "provider_executed", checked)
        return self


class ApprovalRequest(Event):
    """A tool call waits until a person approves it.

    `response_schema` is the JSON schema of the answer that is expected, or None.
    """

    __slots__ = ("id", "message", "reason", "response_schema", "signature", "tool_call_id")
    __match_args__ = ("id", "tool_call_id", "message", "reason", "response_schema", "signature")

    id: str
    tool_call_id: str
    message: str | None
    reason: str | None
    response_schema: Any
    signature: str | None

    def __new__(
        cls,
        id: str,
        tool_call_id: str,
        message: str | None = None,
        reason: str | None = None,
        response_schema: Any = None,
        signature: str | None = None,
        *,
        timestamp: float | None = None,
    ) -> Self:
        self: Self = new_event(cls, timestamp)
        set_field(self, "id", as_text("ApprovalRequest", "id", id))
        set_field(self, "tool_call_id", as_text("ApprovalRequest", "tool_call_id", tool_call_id))
        set_field(self, "message", as_optional_text("ApprovalRequest", "message", message))
        set_field(self, "reason", as_optional_text("ApprovalRequest", "reason", reason))
        set_field(self, "response_schema", response_schema)
        set_field(self, "signature", as_optional_text("ApprovalRequest", "signature", signature))
        return self
