# The events of tool calls.
#
# Twin of gaistream/core/pure/tool_events.py.


@cython.no_gc
@cython.final
cdef class ToolCallStart(Event):
    """The model begins to call a tool, whose arguments follow.

    `provider_executed` is True if the provider runs the tool itself.
    """

    cdef readonly str id
    cdef readonly str name
    cdef readonly object provider_executed
    __match_args__ = ("id", "name", "provider_executed")

    def __cinit__(self, id, name, provider_executed=None, *, timestamp=None):
        self.timestamp = as_optional_number("ToolCallStart", "timestamp", timestamp)
        self.id = as_text("ToolCallStart", "id", id)
        self.name = as_text("ToolCallStart", "name", name)
        self.provider_executed = as_optional_flag(
            "ToolCallStart", "provider_executed", provider_executed
        )


@cython.no_gc
@cython.final
cdef class ToolCallDelta(Event):
    """The next piece of the JSON text of the arguments of the call with this `id`."""

    cdef readonly str id
    cdef readonly str text
    __match_args__ = ("id", "text")

    def __cinit__(self, id, text, *, timestamp=None):
        self.timestamp = as_optional_number("ToolCallDelta", "timestamp", timestamp)
        self.id = as_text("ToolCallDelta", "id", id)
        self.text = as_text("ToolCallDelta", "text", text)


@cython.trashcan(True)
@cython.final
cdef class ToolCall(Event):
    """The model calls a tool; `input` is any JSON value, or None.

    It ends the call that a `ToolCallStart` with its `id` began, or stands without one. `signature`
    is what the provider wants back with the call.
    """

    cdef readonly str id
    cdef readonly str name
    cdef readonly object input
    cdef readonly str signature
    cdef readonly object provider_executed
    __match_args__ = ("id", "name", "input", "signature", "provider_executed")

    def __cinit__(
        self, id, name, input=None, signature=None, provider_executed=None, *, timestamp=None
    ):
        self.timestamp = as_optional_number("ToolCall", "timestamp", timestamp)
        self.id = as_text("ToolCall", "id", id)
        self.name = as_text("ToolCall", "name", name)
        self.input = input
        self.signature = as_optional_text("ToolCall", "signature", signature)
        self.provider_executed = as_optional_flag(
            "ToolCall", "provider_executed", provider_executed
        )


@cython.trashcan(True)
@cython.final
cdef class ToolResult(Event):
    """The result of the tool call with the same `id`; `result` is any JSON value.

    `is_error` is True if the tool failed.
    """

    cdef readonly str id
    cdef readonly str name
    cdef readonly object result
    cdef readonly object is_error
    cdef readonly object provider_executed
    __match_args__ = ("id", "name", "result", "is_error", "provider_executed")

    def __cinit__(
        self, id, name, result=None, is_error=None, provider_executed=None, *, timestamp=None
    ):
        self.timestamp = as_optional_number("ToolResult", "timestamp", timestamp)
        self.id = as_text("ToolResult", "id", id)
        self.name = as_text("ToolResult", "name", name)
        self.result = result
        self.is_error = as_optional_flag("ToolResult", "is_error", is_error)
        self.provider_executed = as_optional_flag(
            "ToolResult", "provider_executed", provider_executed
        )


@cython.trashcan(True)
@cython.final
cdef class ApprovalRequest(Event):
    """A tool call waits until a person approves it.

    `response_schema` is the JSON schema of the answer that is expected, or None.
    """

    cdef readonly str id
    cdef readonly str tool_call_id
    cdef readonly str message
    cdef readonly str reason
    cdef readonly object response_schema
    cdef readonly str signature
    __match_args__ = ("id", "tool_call_id", "message", "reason", "response_schema", "signature")

    def __cinit__(
        self,
        id,
        tool_call_id,
        message=None,
        reason=None,
        response_schema=None,
        signature=None,
        *,
        timestamp=None,
    ):
        self.timestamp = as_optional_number("ApprovalRequest", "timestamp", timestamp)
        self.id = as_text("ApprovalRequest", "id", id)
        self.tool_call_id = as_text("ApprovalRequest", "tool_call_id", tool_call_id)
        self.message = as_optional_text("ApprovalRequest", "message", message)
        self.reason = as_optional_text("ApprovalRequest", "reason", reason)
        self.response_schema = response_schema
        self.signature = as_optional_text("ApprovalRequest", "signature", signature)
