# Text to UTF-8: a lone surrogate, or bytes that are not UTF-8, raise or become U+FFFD.
#
# A compact ASCII str is read in place; any other goes through one UTF-8 bytes object, never through
# the cached UTF-8 of a str that is used once. Twin of gaistream/core/pure/text.py.

import re

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    int PyUnicode_KIND(object text)
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    bytes PyUnicode_AsUTF8String(object text)
    str PyUnicode_DecodeUTF8(const char* data, Py_ssize_t size, const char* errors)
    int PyBytes_CheckExact(object value)
    int PyUnicode_CheckExact(object value)
    str PyUnicode_FromObject(object value)  # itself, or an exact str of a subclass's text

cdef extern from "vector.h" nogil:
    Py_ssize_t copy_plain(char* out, const unsigned char* text, Py_ssize_t size)
    bint all_ascii(const char* text, Py_ssize_t size)
    bint copy_line(char* out, const char* text, Py_ssize_t size)

SURROGATE = re.compile("[\ud800-\udfff]")

cdef object STRICT = "strict"
cdef object REPLACE = "replace"


cdef inline bint check_errors(object errors) except -1:
    if errors is STRICT:
        return 0
    if errors == STRICT:
        return 0
    if errors == REPLACE:
        return 1
    raise FrameError(f"errors must be 'strict' or 'replace', not {errors!r}")


cdef bytes utf8(object text, bint replace):
    try:
        return PyUnicode_AsUTF8String(text)
    except UnicodeEncodeError:
        if not replace:
            raise
    return PyUnicode_AsUTF8String(SURROGATE.sub("\ufffd", PyUnicode_FromObject(text)))


cdef object hold_text(str field, object data, bint replace, Span* span):
    """Point `span` at the UTF-8 of str or bytes; it is valid while the returned object lives."""
    cdef object held
    if isinstance(data, str):
        if PyUnicode_IS_COMPACT_ASCII(data):
            span.data = <const char*> PyUnicode_DATA(data)
            span.size = PyUnicode_GET_LENGTH(data)
            return data
        held = utf8(data, replace)  # reads a subclass's own text too
        span[0] = span_of(held)
        return held
    held = readable(field, data, "str, bytes, bytearray or memoryview")
    span[0] = span_of(held)
    if not all_ascii(span.data, span.size):
        try:
            PyUnicode_DecodeUTF8(span.data, span.size, b"strict")
        except UnicodeDecodeError:
            if not replace:
                raise
            held = PyUnicode_AsUTF8String(PyUnicode_DecodeUTF8(span.data, span.size, b"replace"))
            span[0] = span_of(held)
    return held
