# JSON string escaping: a str measured and written in one pass each, straight from its own storage.
#
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

cdef inline bint holds_escape(uint64_t word) noexcept nogil:
    """True if one of eight ASCII characters must be escaped in a JSON string."""
    cdef uint64_t quote = word ^ 0x2222222222222222ULL
    cdef uint64_t slash = word ^ 0x5C5C5C5C5C5C5C5CULL
    # "has a byte below n" of each word; exact, since no byte is above 0x7F
    return (
        (word - 0x2020202020202020ULL)
        | (quote - 0x0101010101010101ULL)
        | (slash - 0x0101010101010101ULL)
    ) & 0x8080808080808080ULL != 0


cdef inline Py_ssize_t plain_run(const unsigned char* text, Py_ssize_t size) noexcept nogil:
    """Count the leading ASCII characters that need no escape in a JSON string."""
    cdef uint64_t word
    cdef Py_ssize_t index = 0
    while index + 8 <= size:
        memcpy(&word, text + index, 8)
        if holds_escape(word):
            break
        index += 8
    while index < size and not escapes[text[index]]:
        index += 1
    return index


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


cdef inline char* write_ascii_escaped(
    char* out, const unsigned char* text, Py_ssize_t size
) noexcept nogil:
    cdef const unsigned char* end = text + size
    cdef uint64_t word
    while True:
        while end - text >= 8:  # the output has room for eight, too
            memcpy(&word, text, 8)
            if holds_escape(word):
                break
            memcpy(out, &word, 8)
            out += 8
            text += 8
        while text < end:
            if escapes[text[0]]:
                out = write_escape(out, text[0])
                text += 1
                break
            out[0] = <char> text[0]
            out += 1
            text += 1
        if text == end:
            return out


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
        if PyUnicode_IS_COMPACT_ASCII(text) and plain_run(<unsigned char*> data, size) == size:
            return size
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


cdef inline int check_text(object text) except -1:
    if not isinstance(text, str):
        raise FrameTypeError(f"text must be str, not {type(text).__name__}")
    return 0


def escape_json(text, errors="strict"):
    """Escape a str for the inside of a JSON string, without the quotes, in UTF-8.

    The output equals orjson's, except that U+0085, U+2028 and U+2029 are always escaped.
    """
    cdef bint replace = check_errors(errors)
    check_text(text)
    cdef bytes out = new_bytes(escaped_size(text, replace))
    write_escaped(PyBytes_AS_STRING(out), text)
    return out
