# cython: language_level=3, binding=False
"""The floor of encode_sse: its signature and its bytes, but nothing is checked, only copied."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy

cdef extern from "Python.h":
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)


def copy(data=None, event=None, *, id=None, retry=None, comment=None, json=..., errors="strict"):
    """Give the frame of two ASCII strings."""
    cdef Py_ssize_t name = PyUnicode_GET_LENGTH(event)
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(data)
    cdef bytes frame = PyBytes_FromStringAndSize(NULL, name + size + 16)
    cdef char* out = PyBytes_AS_STRING(frame)
    memcpy(out, b"event: ", 7)
    memcpy(out + 7, PyUnicode_DATA(event), name)
    memcpy(out + 7 + name, b"\ndata: ", 7)
    memcpy(out + 14 + name, PyUnicode_DATA(data), size)
    memcpy(out + 14 + name + size, b"\n\n", 2)
    return frame
