# Immutable records: their base, the checks of their fields, and the values that events hold.
#
# A record is checked when it is made (in __cinit__, so that calling __init__ again changes nothing)
# and equal to a record of the same class with equal fields. Records whose fields cannot refer back
# to them take no part in garbage collection, which makes them cheaper to make.
# Twin of gaistream/core/pure/values.py.

from functools import partial

from cpython.object cimport PyTypeObject

cdef enum:
    LONGEST_BYTES_IN_REPR = 32


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
