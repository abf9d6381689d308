# JSON string escaping: a str measured and written in one pass each, straight from its own storage.
#
# A long ASCII str is written without measuring until a character must be escaped.
# The output equals orjson's, except that the line separators of gaistream/core/separators.py are
# always escaped. Twin of gaistream/core/pure/escapes.py.

cdef enum:
    NEXT_LINE = 0x85
    LINE_SEPARATOR = 0x2028
    PARAGRAPH_SEPARATOR = 0x2029

# For each ASCII character: 0 unescaped, 1 as \u00xx, else the letter after the backslash.
cdef unsigned char escapes[256]
cdef const char* HEX = b"0123456789abcdef"


cdef void fill_escapes() noexcept:
    cdef int code
    for code in range(0x20):
        escapes[code] = 1
    escapes[0x08] = c"b"
    escapes[0x09] = c"t"
    escapes[0x0A] = c"n"
    escapes[0x0C] = c"f"
    escapes[0x0D] = c"r"
    escapes[0x22] = c'"'
    escapes[0x5C] = c"\\"


fill_escapes()

cdef inline Py_ssize_t plain_run(const unsigned char* text, Py_ssize_t size) noexcept nogil:
    """Count the leading bytes of UTF-8 that need no escape in a JSON string."""
    cdef Py_ssize_t at = copy_plain(NULL, text, size)
    while at < size and text[at] >= 0x80:
        at += 1
        if at < size and text[at] < 0x80:
            at += copy_plain(NULL, text + at, size - at)
    return at


cdef inline char* write_escape(char* out, unsigned char code) noexcept nogil:
    out[0] = c"\\"
    if escapes[code] > 1:
        out[1] = <char> escapes[code]
        return out + 2
    out[1] = c"u"
    out[2] = c"0"
    out[3] = c"0"
    out[4] = HEX[code >> 4]
    out[5] = HEX[code & 15]
    return out + 6


cdef inline Py_ssize_t ascii_size(const unsigned char* text, Py_ssize_t size) noexcept nogil:
    """Return the size of escaped ASCII."""
    cdef const unsigned char* end = text + size
    while True:
        text += copy_plain(NULL, text, end - text)
        if text == end:
            return size
        size += 1 if escapes[text[0]] > 1 else 5
        text += 1


cdef inline char* write_ascii_escaped(
    char* out, const unsigned char* text, Py_ssize_t size
) noexcept nogil:
    cdef const unsigned char* end = text + size
    cdef Py_ssize_t count
    while True:
        count = copy_plain(out, text, end - text)
        out += count
        text += count
        if text == end:
            return out
        out = write_escape(out, text[0])
        text += 1


ctypedef fused wide:
    unsigned char
    uint16_t
    uint32_t


cdef Py_ssize_t wide_size(const wide* text, Py_ssize_t size, bint replace) noexcept nogil:
    """Return the size of the escaped UTF-8; -1 for a surrogate unless `replace`."""
    cdef Py_ssize_t total = 0
    cdef Py_ssize_t index
    cdef uint32_t code
    for index in range(size):
        code = text[index]
        if code < 0x80:
            total += 1 if not escapes[code] else (2 if escapes[code] > 1 else 6)
        elif code < 0x800:
            total += 6 if code == NEXT_LINE else 2
        elif code < 0x10000:
            if 0xD800 <= code <= 0xDFFF and not replace:
                return -1
            total += 6 if code == LINE_SEPARATOR or code == PARAGRAPH_SEPARATOR else 3
        else:
            total += 4
    return total


cdef char* write_wide(char* out, const wide* text, Py_ssize_t size) noexcept nogil:
    """Write the escaped UTF-8, with U+FFFD for surrogates, and return its end."""
    cdef Py_ssize_t index
    cdef uint32_t code
    for index in range(size):
        code = text[index]
        if code < 0x80:
            if escapes[code]:
                out = write_escape(out, <unsigned char> code)
            else:
                out[0] = <char> code
                out += 1
        elif code < 0x800:
            if code == NEXT_LINE:
                out = write_escape(out, NEXT_LINE)
            else:
                out[0] = <char> (0xC0 | (code >> 6))
                out[1] = <char> (0x80 | (code & 0x3F))
                out += 2
        elif code == LINE_SEPARATOR or code == PARAGRAPH_SEPARATOR:
            memcpy(out, b"\\u2028", 6)
            out[5] = HEX[code & 15]
            out += 6
        elif code < 0x10000:
            if 0xD800 <= code <= 0xDFFF:
                code = 0xFFFD
            out[0] = <char> (0xE0 | (code >> 12))
            out[1] = <char> (0x80 | ((code >> 6) & 0x3F))
            out[2] = <char> (0x80 | (code & 0x3F))
            out += 3
        else:
            out[0] = <char> (0xF0 | (code >> 18))
            out[1] = <char> (0x80 | ((code >> 12) & 0x3F))
            out[2] = <char> (0x80 | ((code >> 6) & 0x3F))
            out[3] = <char> (0x80 | (code & 0x3F))
            out += 4
    return out


cdef Py_ssize_t escaped_size(object text, bint replace) except -1:
    """Return the size of a str in a JSON string; a lone surrogate raises unless `replace`."""
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(text)
    cdef Py_ssize_t total
    cdef void* data = PyUnicode_DATA(text)
    cdef int kind = PyUnicode_KIND(text)
    if kind == 1:
        if PyUnicode_IS_COMPACT_ASCII(text):
            return ascii_size(<const unsigned char*> data, size)
        return wide_size(<const unsigned char*> data, size, replace)
    if kind == 2:
        total = wide_size(<const uint16_t*> data, size, replace)
    else:
        total = wide_size(<const uint32_t*> data, size, replace)
    if total < 0:
        PyUnicode_AsUTF8String(text)  # raises UnicodeEncodeError in full
    return total


cdef inline char* write_escaped(char* out, object text) noexcept:
    """Write a str that escaped_size has measured, and return its end."""
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(text)
    cdef void* data = PyUnicode_DATA(text)
    cdef int kind
    if PyUnicode_IS_COMPACT_ASCII(text):
        return write_ascii_escaped(out, <const unsigned char*> data, size)
    kind = PyUnicode_KIND(text)
    if kind == 1:
        return write_wide(out, <const unsigned char*> data, size)
    if kind == 2:
        return write_wide(out, <const uint16_t*> data, size)
    return write_wide(out, <const uint32_t*> data, size)


cdef enum:
    LONG_TEXT = 1024  # a shorter one is measured in no time


cdef inline bint is_long_ascii(object text) noexcept:
    """True for a str that is worth the attempt to copy it as it is."""
    return PyUnicode_GET_LENGTH(text) >= LONG_TEXT and PyUnicode_IS_COMPACT_ASCII(text)


cdef inline bint write_plain(char* out, object text) noexcept:
    """Copy a long ASCII str; False if it has a character to escape."""
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(text)
    return copy_plain(out, <const unsigned char*> PyUnicode_DATA(text), size) == size


cdef inline int check_text(object text) except -1:
    if not isinstance(text, str):
        raise FrameTypeError(f"text must be str, not {type(text).__name__}")
    return 0


def escape_json(text, errors="strict"):
    """Escape a str for the inside of a JSON string, without the quotes, in UTF-8.

    The output equals orjson's, except that U+0085, U+2028 and U+2029 are always escaped.
    """
    cdef bint replace = check_errors(errors)
    cdef bytes out
    check_text(text)
    if is_long_ascii(text):
        out = new_bytes(PyUnicode_GET_LENGTH(text))
        if write_plain(PyBytes_AS_STRING(out), text):
            return out
    out = new_bytes(escaped_size(text, replace))
    write_escaped(PyBytes_AS_STRING(out), text)
    return out
