# The encode functions, with a short way for the usual small frame: ASCII text or a payload, and a
# name or none. Twin, with sse.pxi, of gaistream/core/pure/sse.py.

cdef inline bint plain(object text, bint name) noexcept:
    """True for an ASCII str of one line that is not very long."""
    return (
        PyUnicode_CheckExact(text)
        and PyUnicode_IS_COMPACT_ASCII(text) and PyUnicode_GET_LENGTH(text) < LONG_LINE
        and not holds_break(<const char*> PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text), name)
    )


cdef inline char* write_name(char* out, object event, Py_ssize_t name_size) noexcept:
    """Write the line of a plain event, of `name_size` bytes; nothing if that is 0."""
    if not name_size:
        return out
    memcpy(out, b"event: ", 7)
    memcpy(out + 7, PyUnicode_DATA(event), name_size - 8)
    out[name_size - 1] = 0x0A
    return out + name_size


cdef inline bytes plain_frame(object data, object event):
    """Return the frame of a plain str and a plain name or None."""
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(data)
    cdef Py_ssize_t name_size = 0 if event is None else PyUnicode_GET_LENGTH(event) + 8
    cdef bytes result = new_bytes(name_size + size + 8)
    cdef char* out = write_name(PyBytes_AS_STRING(result), event, name_size)
    write_line(out, <const char*> PyUnicode_DATA(data), size)
    out[size + 7] = 0x0A
    return result


cdef inline bytes json_frame(object payload, object event):
    """Return the frame of a payload and a plain name or None."""
    cdef bytes line = write_json(payload, True, False)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(line)
    cdef Py_ssize_t name_size = 0 if event is None else PyUnicode_GET_LENGTH(event) + 8
    cdef bytes result = new_bytes(name_size + size + 7)
    cdef char* out = write_name(PyBytes_AS_STRING(result), event, name_size)
    memcpy(out, b"data: ", 6)
    memcpy(out + 6, PyBytes_AS_STRING(line), size)
    out[size + 6] = 0x0A
    return result


def encode_sse(
    data=None, event=None, *, id=None, retry=None, comment=None, json=..., errors="strict"
):
    """Encode one Server-Sent Event; gaistream.core.pure.encode_sse has the whole description.

    Raises FrameError (a ValueError) for a field that cannot be written, UnicodeEncodeError or
    UnicodeDecodeError for data that is not text, EncodeError for a payload that JSON cannot
    express.
    """
    cdef Fields fields
    if (
        errors is STRICT and id is None and retry is None and comment is None
        and (event is None or plain(event, True))
    ):
        if json is not Ellipsis:
            if data is None:
                return json_frame(json, event)
        elif plain(data, False):
            return plain_frame(data, event)
    fields = Fields(
        data=<PyObject*> data, event=<PyObject*> event, id=<PyObject*> id,
        retry=<PyObject*> retry, comment=<PyObject*> comment, json=<PyObject*> json,
        replace=check_errors(errors),
    )
    return emit(&fields, TO_BYTES, None, None)


def encode_sse_into(
    buffer, offset, data=None, event=None, *,
    id=None, retry=None, comment=None, json=..., errors="strict",
):
    """Encode one Server-Sent Event into a writable buffer and return the offset after it.

    Raises BufferTooSmall, with the size `needed`, if it does not fit; nothing is written then.
    """
    cdef Fields fields
    fields = Fields(
        data=<PyObject*> data, event=<PyObject*> event, id=<PyObject*> id,
        retry=<PyObject*> retry, comment=<PyObject*> comment, json=<PyObject*> json,
        replace=check_errors(errors),
    )
    return emit(&fields, TO_BUFFER, buffer, offset)


def encode_comment(text=""):
    """Encode a comment block, which clients ignore: a heartbeat, or the first bytes of a stream."""
    cdef Fields fields = no_fields(False)
    fields.comment = <PyObject*> text
    return emit(&fields, TO_BYTES, None, None)
