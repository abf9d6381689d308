# The base of the events, and the events of an answer's content.
#
# An event is an immutable record (see values.pxi). Its `timestamp` takes no part in comparison.
# Twin of gaistream/core/pure/events.py.


@cython.no_gc
cdef class Event(Value):
    """The base of all events; `timestamp` is in Unix seconds, or None."""

    cdef readonly object timestamp


# A __cinit__ of the base would also run for each event of the kinds below, once a token. They don't
# pass through this slot of its type, so only the base itself, and subclasses in Python, do.
cdef newfunc new_base_event = (<PyTypeObject*> Event).tp_new


cdef object new_bare_event(type kind, PyObject* args, PyObject* named):
    refuse_arguments(kind, args, named)
    return new_base_event(kind, args, named)


make_by(<PyTypeObject*> Event, <newfunc> new_bare_event)


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
cdef class ReasoningEnd(Event):
    """The preceding reasoning is complete.

    `id` is the provider's. `signature` must be sent back with the reasoning, and only its provider
    can use it. `redacted` is reasoning that the provider encrypted.
    """

    cdef readonly str id
    cdef readonly str signature
    cdef readonly str redacted
    __match_args__ = ("id", "signature", "redacted")

    def __cinit__(self, id=None, signature=None, redacted=None, *, timestamp=None):
        self.timestamp = as_optional_number("ReasoningEnd", "timestamp", timestamp)
        self.id = as_optional_text("ReasoningEnd", "id", id)
        self.signature = as_optional_text("ReasoningEnd", "signature", signature)
        self.redacted = as_optional_text("ReasoningEnd", "redacted", redacted)


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


@cython.no_gc
@cython.final
cdef class File(Event):
    """A file of the answer: the `url` where it is, or its `data`.

    A `bytearray` or `memoryview` is copied to `bytes`.
    """

    cdef readonly str media_type
    cdef readonly str url
    cdef readonly bytes data
    __match_args__ = ("media_type", "url", "data")

    def __cinit__(self, media_type, url=None, data=None, *, timestamp=None):
        self.timestamp = as_optional_number("File", "timestamp", timestamp)
        self.media_type = as_text("File", "media_type", media_type)
        self.url = as_optional_text("File", "url", url)
        if data is not None and not isinstance(data, (bytes, bytearray, memoryview)):
            refuse_type("File", "data", "bytes, bytearray, memoryview or None", data)
        if (url is None) == (data is None):
            raise EventError("File needs either url or data")
        self.data = None if data is None else bytes(data)


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


@cython.trashcan(True)
@cython.final
cdef class Data(Event):
    """A JSON value of the application, under a name.

    A later one with the same `id` replaces it. `transient` is True if the message does not keep it.
    """

    cdef readonly str name
    cdef readonly object data
    cdef readonly str id
    cdef readonly object transient
    __match_args__ = ("name", "data", "id", "transient")

    def __cinit__(self, name, data=None, id=None, transient=None, *, timestamp=None):
        self.timestamp = as_optional_number("Data", "timestamp", timestamp)
        self.name = as_text("Data", "name", name)
        self.data = data
        self.id = as_optional_text("Data", "id", id)
        self.transient = as_optional_flag("Data", "transient", transient)


@cython.trashcan(True)
@cython.final
cdef class Raw(Event):
    """Any other JSON value, which is passed on as it is."""

    cdef readonly object raw
    __match_args__ = ("raw",)

    def __cinit__(self, raw=None, *, timestamp=None):
        self.timestamp = as_optional_number("Raw", "timestamp", timestamp)
        self.raw = raw
