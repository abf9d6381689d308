# The thirteen kinds of event in a stream.
#
# An event is an immutable record (see values.pxi). Its `timestamp` takes no part in comparison.
# Twin of gaistream/core/pure/events.py.


@cython.no_gc
cdef class Event(Value):
    """The base of the thirteen events; `timestamp` is in Unix seconds, or None."""

    cdef readonly object timestamp


@cython.no_gc
@cython.final
cdef class Start(Event):
    """The answer begins; `id` and `model` are None if the provider did not send them."""

    cdef readonly str id
    cdef readonly str model
    __match_args__ = ("id", "model")

    def __cinit__(self, id=None, model=None, *, timestamp=None):
        self.timestamp = as_optional_number("Start", "timestamp", timestamp)
        self.id = as_optional_text("Start", "id", id)
        self.model = as_optional_text("Start", "model", model)


@cython.no_gc
@cython.final
cdef class TextDelta(Event):
    """The next piece of the answer's text."""

    cdef readonly str text
    __match_args__ = ("text",)

    def __cinit__(self, text, *, timestamp=None):
        self.timestamp = as_optional_number("TextDelta", "timestamp", timestamp)
        self.text = as_text("TextDelta", "text", text)


@cython.no_gc
@cython.final
cdef class ReasoningDelta(Event):
    """The next piece of the model's reasoning before its answer."""

    cdef readonly str text
    __match_args__ = ("text",)

    def __cinit__(self, text, *, timestamp=None):
        self.timestamp = as_optional_number("ReasoningDelta", "timestamp", timestamp)
        self.text = as_text("ReasoningDelta", "text", text)


@cython.no_gc
@cython.final
cdef class AudioDelta(Event):
    """The next bytes of a spoken answer; a `bytearray` or `memoryview` is copied to `bytes`."""

    cdef readonly bytes audio
    cdef readonly object format
    __match_args__ = ("audio", "format")

    def __cinit__(self, audio, format=None, *, timestamp=None):
        self.timestamp = as_optional_number("AudioDelta", "timestamp", timestamp)
        if not isinstance(audio, (bytes, bytearray, memoryview)):
            refuse_type("AudioDelta", "audio", "bytes, bytearray or memoryview", audio)
        if format is not None and type(format) is not AudioFormat:
            refuse_type("AudioDelta", "format", "AudioFormat or None", format)
        self.audio = bytes(audio)
        self.format = format


@cython.trashcan(True)
@cython.final
cdef class ToolCall(Event):
    """The model calls a tool; `input` is any JSON value, or None."""

    cdef readonly str id
    cdef readonly str name
    cdef readonly object input
    __match_args__ = ("id", "name", "input")

    def __cinit__(self, id, name, input=None, *, timestamp=None):
        self.timestamp = as_optional_number("ToolCall", "timestamp", timestamp)
        self.id = as_text("ToolCall", "id", id)
        self.name = as_text("ToolCall", "name", name)
        self.input = input


@cython.trashcan(True)
@cython.final
cdef class ToolResult(Event):
    """The result of the tool call with the same `id`; `result` is any JSON value."""

    cdef readonly str id
    cdef readonly str name
    cdef readonly object result
    __match_args__ = ("id", "name", "result")

    def __cinit__(self, id, name, result=None, *, timestamp=None):
        self.timestamp = as_optional_number("ToolResult", "timestamp", timestamp)
        self.id = as_text("ToolResult", "id", id)
        self.name = as_text("ToolResult", "name", name)
        self.result = result


@cython.no_gc
@cython.final
cdef class Citations(Event):
    """The sources of the answer."""

    cdef readonly tuple citations
    __match_args__ = ("citations",)

    def __cinit__(self, citations, *, timestamp=None):
        self.timestamp = as_optional_number("Citations", "timestamp", timestamp)
        self.citations = tuple(citations)
        for citation in self.citations:
            if type(citation) is not Citation:
                refuse_type("Citations", "citations", "an iterable of Citation", citation)


@cython.no_gc
@cython.final
cdef class Safety(Event):
    """A judgement of the content: its category, the action that was taken, and a score."""

    cdef readonly str category
    cdef readonly str action
    cdef readonly object score
    cdef readonly str note
    __match_args__ = ("category", "action", "score", "note")

    def __cinit__(self, category, action, score=0.0, note=None, *, timestamp=None):
        self.timestamp = as_optional_number("Safety", "timestamp", timestamp)
        self.category = as_text("Safety", "category", category)
        self.action = as_text("Safety", "action", action)
        self.score = as_number("Safety", "score", score)
        self.note = as_optional_text("Safety", "note", note)


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
cdef class Finish(Event):
    """The answer is complete: its usage, and why it ended (`stop`, `length`, …)."""

    cdef readonly object usage
    cdef readonly str finish_reason
    __match_args__ = ("usage", "finish_reason")

    def __cinit__(self, usage=None, finish_reason=None, *, timestamp=None):
        self.timestamp = as_optional_number("Finish", "timestamp", timestamp)
        if usage is not None and type(usage) is not Usage:
            refuse_type("Finish", "usage", "Usage or None", usage)
        self.usage = usage
        self.finish_reason = as_optional_text("Finish", "finish_reason", finish_reason)


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


@cython.trashcan(True)
@cython.final
cdef class Raw(Event):
    """Any other JSON value, which is passed on as it is."""

    cdef readonly object raw
    __match_args__ = ("raw",)

    def __cinit__(self, raw=None, *, timestamp=None):
        self.timestamp = as_optional_number("Raw", "timestamp", timestamp)
        self.raw = raw


cdef tuple RECORDS = (
    AudioDelta, AudioFormat, Citation, Citations, Done, Error, Event, Finish, FinishStep, Raw,
    ReasoningDelta, Safety, Start, TextDelta, ToolCall, ToolResult, Usage,
)
cdef list RECORD_NAMES = [record.__name__ for record in RECORDS]
cdef list QUALIFIED_NAMES = [f"gaistream.events.{name}".encode() for name in RECORD_NAMES]
cdef Py_ssize_t record_index
for record_index in range(len(RECORDS)):
    name_type(RECORDS[record_index], QUALIFIED_NAMES[record_index])
