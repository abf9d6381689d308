# Halves of surrogate pairs at the end of a delta.
#
# Twin of the same tests in gaistream/core/pure/encoder.py.


cdef inline bint ends_in_half(object text) noexcept:
    cdef Py_ssize_t size
    cdef int kind = PyUnicode_KIND(text)
    if kind == 1:
        return False
    size = PyUnicode_GET_LENGTH(text)
    if kind == 2:
        return 0xD800 <= (<const uint16_t*> PyUnicode_DATA(text))[size - 1] < 0xDC00
    return 0xD800 <= (<const uint32_t*> PyUnicode_DATA(text))[size - 1] < 0xDC00


cdef str text_of(object item):
    """Return the text of an item that is a delta, else None."""
    if type(item) is TextDelta:
        return (<TextDelta> item).text
    if type(item) is str:
        return item
    if type(item) is ReasoningDelta:
        return (<ReasoningDelta> item).text
    return None
