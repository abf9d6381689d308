# What a stream says: thirteen kinds of event, and the three values that stand in them.
#
# Immutable, checked when made (in __cinit__, so that calling __init__ again changes nothing),
# compared by kind and fields but not by timestamp. Those that hold nothing which could refer back
# to them are left out of garbage collection, which makes them cheaper to make.
# Twin of gaistream/core/pure/events.py.

from functools import partial

from cpython.object cimport PyTypeObject

cdef enum:
    LONGEST_BYTES_IN_REPR = 32


cdef int fail(str owner, str field, str expected, object value) except -1:
    raise EventError(f"{owner}.{field} must be {expected}, not {type(value).__name__}")


cdef inline object as_text(str owner, str field, object value):
    if not isinstance(value, str):
        fail(owner, field, "str", value)
    return PyUnicode_FromObject(value)


cdef inline object as_optional_text(str owner, str field, object value):
    if value is None:
        return None
    if not isinstance(value, str):
        fail(owner, field, "str or None", value)
    return PyUnicode_FromObject(value)


cdef inline object exact_number(object value):
    """Give the number itself, not a subclass's: it must not refer back to its event."""
    if value is None or type(value) is int or type(value) is float:
        return value
    return int.__pos__(value) if isinstance(value, int) else float.__pos__(value)


cdef inline object as_integer(str owner, str field, object value):
    if not isinstance(value, int) or isinstance(value, bool):
        fail(owner, field, "int", value)
    return exact_number(value)


cdef inline object as_optional_integer(str owner, str field, object value):
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        fail(owner, field, "int or None", value)
    return exact_number(value)


cdef inline object as_number(str owner, str field, object value):
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        fail(owner, field, "int or float", value)
    return exact_number(value)


cdef inline object as_optional_number(str owner, str field, object value):
    if value is not None and (not isinstance(value, (int, float)) or isinstance(value, bool)):
        fail(owner, field, "int, float or None", value)
    return exact_number(value)


cdef int name_type(object kind, const char* name) except -1:
    """Name a class by the module where a pickle finds it, on the twin that runs then."""
    (<PyTypeObject*> kind).tp_name = name
    return 0


@cython.no_gc
cdef class Value:
    """An immutable record; its fields are its `__match_args__`."""

    __match_args__ = ()

    def __setattr__(self, name, value):
        raise AttributeError(f"{type(self).__name__} is immutable: cannot set {name!r}")

    def __delattr__(self, name):
        raise AttributeError(f"{type(self).__name__} is immutable: cannot delete {name!r}")

    def _values(self):
        return tuple([getattr(self, name) for name in self.__match_args__])

    def __eq__(self, other):
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self):
        Py_EnterRecursiveCall(b" while hashing an event")  # which may stand in another
        try:
            return hash((type(self).__name__, self._values()))
        finally:
            Py_LeaveRecursiveCall()

    def __repr__(self):
        said = []
        for name in (*self.__match_args__, "timestamp"):
            value = getattr(self, name, None)
            if value is None:
                continue
            if isinstance(value, bytes) and len(value) > LONGEST_BYTES_IN_REPR:
                said.append(f"{name}=<{len(value)} bytes>")
            else:
                said.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(said)})"

    def __reduce__(self):
        timestamp = getattr(self, "timestamp", None)
        make = type(self) if timestamp is None else partial(type(self), timestamp=timestamp)
        return make, self._values()


@cython.no_gc
cdef class Event(Value):
    """The base of the thirteen kinds; `timestamp` is in Unix seconds, or None."""

    cdef readonly object timestamp


@cython.no_gc
@cython.final
cdef class AudioFormat(Value):
    """How the bytes of an `AudioDelta` are to be heard."""

    cdef readonly str mime
    cdef readonly object sample_rate
    cdef readonly object channels
    cdef readonly object bit_depth
    __match_args__ = ("mime", "sample_rate", "channels", "bit_depth")

    def __cinit__(self, mime, sample_rate=0, channels=0, bit_depth=0):
        self.mime = as_text("AudioFormat", "mime", mime)
        self.sample_rate = as_integer("AudioFormat", "sample_rate", sample_rate)
        self.channels = as_integer("AudioFormat", "channels", channels)
        self.bit_depth = as_integer("AudioFormat", "bit_depth", bit_depth)


@cython.no_gc
@cython.final
cdef class Citation(Value):
    """A place that a stretch of the answer rests on; `start` and `end` are offsets in the text."""

    cdef readonly str uri
    cdef readonly object start
    cdef readonly object end
    cdef readonly str title
    __match_args__ = ("uri", "start", "end", "title")

    def __cinit__(self, uri, start=0, end=0, title=None):
        self.uri = as_text("Citation", "uri", uri)
        self.start = as_integer("Citation", "start", start)
        self.end = as_integer("Citation", "end", end)
        self.title = as_optional_text("Citation", "title", title)


@cython.no_gc
@cython.final
cdef class Usage(Value):
    """Tokens that an answer took; `total_tokens` is their sum unless it is given.

    The last three are None if they are not known: the tokens of the input that were read from a
    cache and written to one, and the tokens of the output that are reasoning.
    """

    cdef readonly object input_tokens
    cdef readonly object output_tokens
    cdef readonly object total_tokens
    cdef readonly object cached_input_tokens
    cdef readonly object cache_write_tokens
    cdef readonly object reasoning_tokens
    __match_args__ = (
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "cached_input_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
    )

    def __cinit__(
        self,
        input_tokens=0,
        output_tokens=0,
        total_tokens=None,
        cached_input_tokens=None,
        cache_write_tokens=None,
        reasoning_tokens=None,
    ):
        self.input_tokens = as_integer("Usage", "input_tokens", input_tokens)
        self.output_tokens = as_integer("Usage", "output_tokens", output_tokens)
        if total_tokens is None:
            total_tokens = input_tokens + output_tokens
        self.total_tokens = as_integer("Usage", "total_tokens", total_tokens)
        self.cached_input_tokens = as_optional_integer(
            "Usage", "cached_input_tokens", cached_input_tokens
        )
        self.cache_write_tokens = as_optional_integer(
            "Usage", "cache_write_tokens", cache_write_tokens
        )
        self.reasoning_tokens = as_optional_integer("Usage", "reasoning_tokens", reasoning_tokens)


@cython.no_gc
@cython.final
cdef class Start(Event):
    """The answer begins; `id` and `model` name it where the provider told them."""

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
    """The next piece of the text in which a model reasons before it answers."""

    cdef readonly str text
    __match_args__ = ("text",)

    def __cinit__(self, text, *, timestamp=None):
        self.timestamp = as_optional_number("ReasoningDelta", "timestamp", timestamp)
        self.text = as_text("ReasoningDelta", "text", text)


@cython.no_gc
@cython.final
cdef class AudioDelta(Event):
    """The next bytes of spoken answer; a `bytearray` or `memoryview` is copied into `bytes`."""

    cdef readonly bytes audio
    cdef readonly object format
    __match_args__ = ("audio", "format")

    def __cinit__(self, audio, format=None, *, timestamp=None):
        self.timestamp = as_optional_number("AudioDelta", "timestamp", timestamp)
        if not isinstance(audio, (bytes, bytearray, memoryview)):
            fail("AudioDelta", "audio", "bytes, bytearray or memoryview", audio)
        if format is not None and type(format) is not AudioFormat:
            fail("AudioDelta", "format", "AudioFormat or None", format)
        self.audio = bytes(audio)
        self.format = format


@cython.trashcan(True)
@cython.final
cdef class ToolCall(Event):
    """The model asks for a tool; `input` is any JSON value, None when there is none."""

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
    """What the tool answered to the call with the same `id`; `result` is any JSON value."""

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
    """The places that the answer rests on."""

    cdef readonly tuple citations
    __match_args__ = ("citations",)

    def __cinit__(self, citations, *, timestamp=None):
        self.timestamp = as_optional_number("Citations", "timestamp", timestamp)
        self.citations = tuple(citations)
        for citation in self.citations:
            if type(citation) is not Citation:
                fail("Citations", "citations", "an iterable of Citation", citation)


@cython.no_gc
@cython.final
cdef class Safety(Event):
    """A judgement of the content: which category, what was done (`action`), how sure."""

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
    """One step of the answer (a model call with its tools) is over; steps count from 1."""

    cdef readonly object step_number
    __match_args__ = ("step_number",)

    def __cinit__(self, step_number, *, timestamp=None):
        self.timestamp = as_optional_number("FinishStep", "timestamp", timestamp)
        self.step_number = as_integer("FinishStep", "step_number", step_number)


@cython.no_gc
@cython.final
cdef class Finish(Event):
    """The answer is complete: what it took, and why it ended (`stop`, `length`, …)."""

    cdef readonly object usage
    cdef readonly str finish_reason
    __match_args__ = ("usage", "finish_reason")

    def __cinit__(self, usage=None, finish_reason=None, *, timestamp=None):
        self.timestamp = as_optional_number("Finish", "timestamp", timestamp)
        if usage is not None and type(usage) is not Usage:
            fail("Finish", "usage", "Usage or None", usage)
        self.usage = usage
        self.finish_reason = as_optional_text("Finish", "finish_reason", finish_reason)


@cython.no_gc
@cython.final
cdef class Error(Event):
    """Something failed; the text is for the client. Last in a stream, it ends it as failed."""

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
    """The stream is over and succeeded. The engine writes it; a source may."""

    __match_args__ = ()

    def __cinit__(self, *, timestamp=None):
        self.timestamp = as_optional_number("Done", "timestamp", timestamp)


@cython.trashcan(True)
@cython.final
cdef class Raw(Event):
    """Anything else: a JSON value that passes through as it is."""

    cdef readonly object raw
    __match_args__ = ("raw",)

    def __cinit__(self, raw=None, *, timestamp=None):
        self.timestamp = as_optional_number("Raw", "timestamp", timestamp)
        self.raw = raw


name_type(AudioFormat, b"gaistream.events.AudioFormat")
name_type(Citation, b"gaistream.events.Citation")
name_type(Usage, b"gaistream.events.Usage")
name_type(Event, b"gaistream.events.Event")
name_type(Start, b"gaistream.events.Start")
name_type(TextDelta, b"gaistream.events.TextDelta")
name_type(ReasoningDelta, b"gaistream.events.ReasoningDelta")
name_type(AudioDelta, b"gaistream.events.AudioDelta")
name_type(ToolCall, b"gaistream.events.ToolCall")
name_type(ToolResult, b"gaistream.events.ToolResult")
name_type(Citations, b"gaistream.events.Citations")
name_type(Safety, b"gaistream.events.Safety")
name_type(FinishStep, b"gaistream.events.FinishStep")
name_type(Finish, b"gaistream.events.Finish")
name_type(Error, b"gaistream.events.Error")
name_type(Done, b"gaistream.events.Done")
name_type(Raw, b"gaistream.events.Raw")
