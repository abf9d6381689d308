# The events of steps, the ends of a stream, and the names of all records.
#
# Twin of gaistream/core/pure/step_events.py.


@cython.no_gc
@cython.final
cdef class StepStart(Event):
    """A step of the answer begins; steps count from 1."""

    cdef readonly object step_number
    cdef readonly str name
    __match_args__ = ("step_number", "name")

    def __cinit__(self, step_number=None, name=None, *, timestamp=None):
        self.timestamp = as_optional_number("StepStart", "timestamp", timestamp)
        self.step_number = as_optional_integer("StepStart", "step_number", step_number)
        self.name = as_optional_text("StepStart", "name", name)


@cython.no_gc
@cython.final
cdef class FinishStep(Event):
    """A step of the answer (a call of the model with its tools) is over; steps count from 1."""

    cdef readonly object step_number
    __match_args__ = ("step_number",)

    def __cinit__(self, step_number, *, timestamp=None):
        self.timestamp = as_optional_number("FinishStep", "timestamp", timestamp)
        self.step_number = as_integer("FinishStep", "step_number", step_number)


@cython.no_gc
@cython.final
cdef class StepReset(Event):
    """The provider is asked again: what the step has said so far is void."""

    __match_args__ = ()

    def __cinit__(self, *, timestamp=None):
        self.timestamp = as_optional_number("StepReset", "timestamp", timestamp)


@cython.no_gc
@cython.final
cdef class Finish(Event):
    """The answer is complete: its usage, and why it ended (`stop`, `length`, …).

    `raw_reason` is the provider's own word for that.
    """

    cdef readonly object usage
    cdef readonly str finish_reason
    cdef readonly str raw_reason
    __match_args__ = ("usage", "finish_reason", "raw_reason")

    def __cinit__(self, usage=None, finish_reason=None, raw_reason=None, *, timestamp=None):
        self.timestamp = as_optional_number("Finish", "timestamp", timestamp)
        if usage is not None and type(usage) is not Usage:
            refuse_type("Finish", "usage", "Usage or None", usage)
        self.usage = usage
        self.finish_reason = as_optional_text("Finish", "finish_reason", finish_reason)
        self.raw_reason = as_optional_text("Finish", "raw_reason", raw_reason)


@cython.no_gc
@cython.final
cdef class Error(Event):
    """Something failed; the message is for the client. A stream whose last event it is failed."""

    cdef readonly str message
    cdef readonly str code
    cdef readonly object retry_after
    __match_args__ = ("message", "code", "retry_after")

    def __cinit__(self, message, code=None, retry_after=None, *, timestamp=None):
        self.timestamp = as_optional_number("Error", "timestamp", timestamp)
        self.message = as_text("Error", "message", message)
        self.code = as_optional_text("Error", "code", code)
        self.retry_after = as_optional_number("Error", "retry_after", retry_after)


@cython.no_gc
@cython.final
cdef class Done(Event):
    """The stream has succeeded and is over. A source need not yield it: streams write it."""

    __match_args__ = ()

    def __cinit__(self, *, timestamp=None):
        self.timestamp = as_optional_number("Done", "timestamp", timestamp)


cdef tuple RECORDS = (
    ApprovalRequest, AudioDelta, AudioFormat, Citation, Citations, Data, Done, Error, Event, File,
    Finish, FinishStep, Raw, ReasoningDelta, ReasoningEnd, Safety, Start, StepReset, StepStart,
    TextDelta, ToolCall, ToolCallDelta, ToolCallStart, ToolResult, Usage,
)
cdef list RECORD_NAMES = [record.__name__ for record in RECORDS]
cdef list QUALIFIED_NAMES = [f"gaistream.events.{name}".encode() for name in RECORD_NAMES]
cdef Py_ssize_t record_index
for record_index in range(len(RECORDS)):
    name_type(RECORDS[record_index], QUALIFIED_NAMES[record_index])
