# Immutable records: their base, the checks of their fields, and the values that events hold.
#
# A record is checked when it is made (in __cinit__, so that calling __init__ again changes nothing)
# and equal to a record of the same class with equal fields. Records whose fields cannot refer back
# to them take no part in garbage collection, which makes them cheaper to make.
# Twin of gaistream/core/pure/values.py.

from functools import partial

from cpython.object cimport PyTypeObject, newfunc

cdef extern from *:
    """
    static void gaistream_make_by(PyTypeObject *kind, newfunc make) {
        kind->tp_new = make;
        kind->tp_vectorcall = NULL;  /* Cython's own, which goes past tp_new */
    }
    """
    void make_by "gaistream_make_by"(PyTypeObject* kind, newfunc make) noexcept

cdef enum:
    LONGEST_BYTES_IN_REPR = 32


cdef int refuse_arguments(type kind, PyObject* args, PyObject* named) except -1:
    if <object> args or (named is not NULL and <object> named):
        raise TypeError(f"{kind.__name__}() takes no arguments")


cdef int refuse_type(str owner, str field, str expected, object value) except -1:
    raise EventError(f"{owner}.{field} must be {expected}, not {type(value).__name__}")


cdef inline object as_text(str owner, str field, object value):
    if not isinstance(value, str):
        refuse_type(owner, field, "str", value)
    return PyUnicode_FromObject(value)


cdef inline object as_optional_text(str owner, str field, object value):
    if value is None:
        return None
    if not isinstance(value, str):
        refuse_type(owner, field, "str or None", value)
    return PyUnicode_FromObject(value)


cdef inline object exact_number(object value):
    """Return an exact int or float: one of a subclass could refer back to its event."""
    if value is None or type(value) is int or type(value) is float:
        return value
    return int.__pos__(value) if isinstance(value, int) else float.__pos__(value)


cdef inline object as_integer(str owner, str field, object value):
    if not isinstance(value, int) or isinstance(value, bool):
        refuse_type(owner, field, "int", value)
    return exact_number(value)


cdef inline object as_optional_integer(str owner, str field, object value):
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        refuse_type(owner, field, "int or None", value)
    return exact_number(value)


cdef inline object as_number(str owner, str field, object value):
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        refuse_type(owner, field, "int or float", value)
    return exact_number(value)


cdef inline object as_optional_number(str owner, str field, object value):
    if value is not None and (not isinstance(value, (int, float)) or isinstance(value, bool)):
        refuse_type(owner, field, "int, float or None", value)
    return exact_number(value)


cdef inline object as_optional_flag(str owner, str field, object value):
    if value is not None and not isinstance(value, bool):
        refuse_type(owner, field, "bool or None", value)
    return value


cdef int name_type(object kind, const char* name) except -1:
    """Set the name by which a pickle finds a class; its bytes must live as long as the class."""
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
        fields = []
        for name in (*self.__match_args__, "timestamp"):
            value = getattr(self, name, None)
            if value is None:
                continue
            if isinstance(value, bytes) and len(value) > LONGEST_BYTES_IN_REPR:
                fields.append(f"{name}=<{len(value)} bytes>")
            else:
                fields.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(fields)})"

    def __reduce__(self):
        timestamp = getattr(self, "timestamp", None)
        make = type(self) if timestamp is None else partial(type(self), timestamp=timestamp)
        return make, self._values()


@cython.no_gc
@cython.final
cdef class AudioFormat(Value):
    """The format of the bytes of an `AudioDelta`."""

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
    """A source of a part of the answer; `start` and `end` are offsets in the answer's text."""

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
    """The tokens of an answer; `total_tokens` is the sum of both kinds unless it is set.

    The last three are None if they are unknown: input tokens that were read from a cache, input
    tokens that were written to one, and output tokens of reasoning.
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
