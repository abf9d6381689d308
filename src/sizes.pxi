# An estimate of the memory that an item of a source takes, to bound reading ahead.
#
# No code of the item's class is run. Twin of gaistream/core/pure/sizes.py.

from cpython.object cimport Py_TPFLAGS_HEAPTYPE, PyTypeObject

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    bint PyType_HasFeature(PyTypeObject* kind, unsigned long feature)

cdef enum:
    OBJECT_SIZE = 64
    OPAQUE_SIZE = 16 * 1024

cdef object state_of = object.__getstate__


cdef inline Py_ssize_t text_size(object text) noexcept:
    return PyUnicode_GET_LENGTH(text) * (1 if PyUnicode_IS_ASCII(text) else 4)


cdef int count(object value, Py_ssize_t* size, list containers) except -1:
    """Count a value; one that may hold others is appended to the containers."""
    size[0] += OBJECT_SIZE
    if isinstance(value, str):
        size[0] += text_size(value)
    elif isinstance(value, bytes):
        size[0] += PyBytes_GET_SIZE(value)
    elif (value is None or type(value) is int or type(value) is float or type(value) is bool
          or isinstance(value, type)):
        pass
    elif isinstance(value, bytearray):
        size[0] += len(<bytearray> value)
    elif isinstance(value, memoryview):
        size[0] += value.nbytes
    else:
        containers.append(value)
    return 0


cdef int count_dict(object value, Py_ssize_t* size, Py_ssize_t most, list containers) except -1:
    cdef PyObject* key
    cdef PyObject* held
    cdef Py_ssize_t position = 0
    with cython.critical_section(value):
        while size[0] < most and PyDict_Next(value, &position, &key, &held):
            count(<object> key, size, containers)
            count(<object> held, size, containers)
    return 0


cdef int count_parts(object value, Py_ssize_t* size, Py_ssize_t most, list containers) except -1:
    """Count the values that a container or an object holds."""
    cdef object state
    if isinstance(value, dict):
        count_dict(value, size, most, containers)
    elif (parts := parts_of(value)) is not None:
        for each in parts:
            count(each, size, containers)
            if size[0] >= most:
                break
    elif (state := state_or_none(value)) is None:
        size[0] += OPAQUE_SIZE
    else:
        for each in state if type(state) is tuple else (state,):
            if each is not None:
                count_dict(each, size, most, containers)
    return 0


cdef object parts_of(object value):
    """Return the values in a sequence, a set or an event; None for another type."""
    cdef ServerSentEvent event
    if isinstance(value, list):
        return value if GAISTREAM_GIL and type(value) is list else list.__iter__(value)
    if isinstance(value, tuple):
        return value if type(value) is tuple else tuple.__iter__(value)
    if isinstance(value, Value):
        return value._values()
    if isinstance(value, ServerSentEvent):
        event = value
        with cython.critical_section(event):
            return (event.set_data, event.raw, event.event, event.own_or_inherited_id,
                    event.comment)
    if isinstance(value, set):
        return set.__iter__(value)
    return frozenset.__iter__(value) if isinstance(value, frozenset) else None


cdef object state_or_none(object value):
    """Return an object's attributes as a dict, or as a pair with its slots' dict, or None."""
    cdef object kind = type(value)
    if not PyType_HasFeature(<PyTypeObject*> kind, Py_TPFLAGS_HEAPTYPE):
        return None
    try:
        return state_of(value)
    except Exception:
        return None


def estimate_size(value, Py_ssize_t most):
    """Return roughly how many bytes of memory a value takes, at most `most`."""
    cdef Py_ssize_t size = 0, index = 0
    cdef list containers = None
    if type(value) is TextDelta:
        return min(2 * OBJECT_SIZE + text_size((<TextDelta> value).text), most)
    if type(value) is str:
        return min(OBJECT_SIZE + text_size(value), most)
    containers = []
    count(value, &size, containers)
    while size < most and index < len(containers):
        count_parts(containers[index], &size, most, containers)
        index += 1
    return min(size, most)
