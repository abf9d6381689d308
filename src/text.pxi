# Text to bytes: UTF-8 with surrogates refused or repaired, JSON string escaping, payloads.
#
# A compact ASCII str is read in place; any other is transcoded straight from its own storage into
# the frame (JSON strings) or through one UTF-8 bytes object (data, names), never through the
# cached UTF-8 of a str that is used once. Twin of gaistream/core/pure/text.py.

import re

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.dict cimport PyDict_Next

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
    int Py_EnterRecursiveCall(const char* where) except *
    void Py_LeaveRecursiveCall()

SURROGATE = re.compile("[\ud800-\udfff]")

# For each ASCII character: 0 as it is, 1 as \u00xx, else the letter behind a backslash.
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


cdef inline bint is_ascii(const char* data, Py_ssize_t size) noexcept nogil:
    cdef uint64_t word
    cdef Py_ssize_t index = 0
    while index + 8 <= size:
        memcpy(&word, data + index, 8)
        if word & 0x8080808080808080ULL:
            return False
        index += 8
    while index < size:
        if <unsigned char> data[index] & 0x80:
            return False
        index += 1
    return True


cdef inline bint may_separate(const char* data, Py_ssize_t size) noexcept nogil:
    """Tell whether UTF-8 may hold U+0085 (which begins with C2), U+2028 or U+2029 (with E2)."""
    if size < 128:  # where two calls cost more
        return not is_ascii(data, size)
    return memchr(data, 0xE2, size) != NULL or memchr(data, 0xC2, size) != NULL


cdef object hold_text(str field, object data, bint replace, Span* span):
    """Point `span` at the UTF-8 of str or bytes; valid while what is returned lives."""
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
    if not is_ascii(span.data, span.size):
        try:
            PyUnicode_DecodeUTF8(span.data, span.size, b"strict")
        except UnicodeDecodeError:
            if not replace:
                raise
            held = PyUnicode_AsUTF8String(PyUnicode_DecodeUTF8(span.data, span.size, b"replace"))
            span[0] = span_of(held)
    return held


# ---- JSON strings ----

cdef inline bint holds_escape(uint64_t word) noexcept nogil:
    """Tell whether one of eight ASCII characters cannot stand in a JSON string as it is."""
    cdef uint64_t quote = word ^ 0x2222222222222222ULL
    cdef uint64_t slash = word ^ 0x5C5C5C5C5C5C5C5CULL
    # the classic "has a byte below n" of each word; exact, for no byte is above 0x7F
    return (
        (word - 0x2020202020202020ULL)
        | (quote - 0x0101010101010101ULL)
        | (slash - 0x0101010101010101ULL)
    ) & 0x8080808080808080ULL != 0


cdef inline Py_ssize_t plain_run(const unsigned char* text, Py_ssize_t size) noexcept nogil:
    """Count the leading ASCII characters that stand in a JSON string as they are."""
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
        while end - text >= 8:  # so there is room for eight in the output too
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
    """Give the size of the escaped UTF-8; -1 for a surrogate that is not to be replaced."""
    cdef Py_ssize_t total = 0
    cdef Py_ssize_t index
    cdef uint32_t code
    for index in range(size):
        code = text[index]
        if code < 0x80:
            total += 1 if not escapes[code] else (2 if escapes[code] > 1 else 6)
        elif code < 0x800:
            total += 6 if code == 0x85 else 2
        elif code < 0x10000:
            if 0xD800 <= code <= 0xDFFF and not replace:
                return -1
            total += 6 if code == 0x2028 or code == 0x2029 else 3
        else:
            total += 4
    return total


cdef char* write_wide(char* out, const wide* text, Py_ssize_t size) noexcept nogil:
    """Write the escaped UTF-8, surrogates as U+FFFD."""
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
            if code == 0x85:
                out = write_escape(out, 0x85)
            else:
                out[0] = <char> (0xC0 | (code >> 6))
                out[1] = <char> (0x80 | (code & 0x3F))
                out += 2
        elif code == 0x2028 or code == 0x2029:
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
    """Give the size of a str as the inside of a JSON string; raises for a lone surrogate."""
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
        PyUnicode_AsUTF8String(text)  # raises the UnicodeEncodeError, with all that it tells
    return total


cdef inline char* write_escaped(char* out, object text) noexcept:
    """Write what escaped_size has measured."""
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


# ---- JSON payloads: gaistream/core/json.py installs what encodes them ----

def not_installed(*_):
    raise RuntimeError("no JSON library is installed: import gaistream, not one of its twins alone")


cdef object json_dumps = not_installed
cdef object json_default = None
cdef object json_option = None
cdef object json_line_option = None
cdef object json_careful = not_installed
cdef object json_loads = not_installed
cdef object json_careful_loads = None


cdef list installed = []  # for ever: without the GIL another thread may be about to use them


def install_json(dumps, default, option, line_option, careful, loads, careful_loads=None):
    """Install the JSON library: `dumps(obj, default, option)`, and `careful` where that fails.

    `loads(data)` reads; `careful_loads(data, errors)`, if there is one, reads integers beyond 64
    bits, and lone surrogates.
    """
    global json_dumps, json_default, json_option, json_line_option, json_careful, json_loads
    global json_careful_loads
    library = (dumps, default, option, line_option, careful, loads, careful_loads)
    if library not in installed:
        installed.append(library)
    json_dumps = dumps
    json_default = default
    json_option = option
    json_line_option = line_option
    json_careful = careful
    json_loads = loads
    json_careful_loads = careful_loads


cdef enum:
    # orjson (3.13 and before) writes beyond its buffer where nesting is much deeper than this.
    DEEPEST_FAST = 48


cdef inline bint nests(object payload) noexcept:
    return isinstance(payload, (dict, list, tuple))


cdef bint deeper(object payload, Py_ssize_t levels) except -1:
    cdef PyObject* value
    cdef Py_ssize_t position = 0
    if not nests(payload):
        return False
    if levels <= 0:
        return True
    if levels > DEEPEST_FAST:  # the stack might not suffice
        return deeper_in_python(payload, levels)
    if isinstance(payload, dict):
        with cython.critical_section(payload):
            while PyDict_Next(payload, &position, NULL, &value):
                if nests(<object> value) and deeper(<object> value, levels - 1):
                    return True
    elif type(payload) is list:
        for each in <list> payload:
            if nests(each) and deeper(each, levels - 1):
                return True
    else:
        for each in payload:
            if nests(each) and deeper(each, levels - 1):
                return True
    return False


cdef bint deeper_in_python(object payload, Py_ssize_t levels) except -1:
    """Do the same one level further down, within the interpreter's recursion limit."""
    Py_EnterRecursiveCall(b" while looking how deep a payload nests")
    try:
        for each in list(dict.values(payload)) if isinstance(payload, dict) else payload:
            if nests(each) and deeper(each, levels - 1):
                return True
        return False
    finally:
        Py_LeaveRecursiveCall()


def nests_deeper(payload, levels=48):
    """Tell whether dicts, lists and tuples stand in each other more than so many levels deep.

    Raises RecursionError where neither that nor the interpreter's stack suffices.
    """
    return deeper(payload, max(0, min(int.__pos__(levels), 2**62)))


cdef bytes json_bytes(object payload, bint newline, bint replace):
    """Give a payload in JSON, its line separators escaped, with an LF behind it if asked."""
    cdef bytes encoded
    if deeper(payload, DEEPEST_FAST):
        encoded = json_careful(payload, newline, REPLACE if replace else STRICT)
    else:
        try:
            option = json_line_option if newline else json_option
            encoded = json_dumps(payload, json_default, option)
        except Exception:
            encoded = json_careful(payload, newline, REPLACE if replace else STRICT)
    if not may_separate(PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded)):
        return encoded
    # JSON has non-ASCII only inside strings
    for separator, escape in ((b"\xc2\x85", b"\\u0085"), (b"\xe2\x80\xa8", b"\\u2028"),
                              (b"\xe2\x80\xa9", b"\\u2029")):
        if separator in encoded:
            encoded = encoded.replace(separator, escape)
    return encoded


# ---- JSON that is read ----

cdef enum:
    LONG_DIGITS = 19  # an integer of fewer digits has 64 bits


cdef inline bint is_digit(uint32_t code) noexcept nogil:
    return 0x30 <= code <= 0x39


cdef inline bint may_precede(uint32_t code) noexcept nogil:
    """Tell whether a number may begin behind this character of JSON."""
    return code in (0x20, 0x09, 0x0A, 0x0D, 0x5B, 0x2C, 0x3A)  # blanks, [ , :


cdef bint long_integer_in(const wide* text, Py_ssize_t size) noexcept nogil:
    """Look for 20 digits, or a minus and 19, without a fraction: at every 19th character."""
    cdef Py_ssize_t first, last
    cdef Py_ssize_t at = LONG_DIGITS - 1
    cdef bint negative
    while at < size:
        if not is_digit(text[at]):
            at += LONG_DIGITS
            continue
        first = at
        while first and is_digit(text[first - 1]):
            first -= 1
        last = at + 1
        while last < size and is_digit(text[last]):
            last += 1
        negative = first and text[first - 1] == 0x2D
        if last - first >= (LONG_DIGITS if negative else LONG_DIGITS + 1):
            first -= negative
            if (not first or may_precede(text[first - 1])) and not (
                last < size and text[last] in (0x2E, 0x65, 0x45)  # . e E
            ):
                return True
        at = last + LONG_DIGITS
    return False


cdef bint holds_long_integer(object data) except -1:
    """Tell whether JSON holds an integer beyond 64 bits, or text that looks like one."""
    cdef Span span
    if isinstance(data, str):
        if PyUnicode_KIND(data) == 1:
            return long_integer_in(
                <const unsigned char*> PyUnicode_DATA(data), PyUnicode_GET_LENGTH(data)
            )
        if PyUnicode_KIND(data) == 2:
            return long_integer_in(
                <const uint16_t*> PyUnicode_DATA(data), PyUnicode_GET_LENGTH(data)
            )
        return long_integer_in(<const uint32_t*> PyUnicode_DATA(data), PyUnicode_GET_LENGTH(data))
    if type(data) is bytearray:
        with cython.critical_section(data):
            return long_integer_in(
                <const unsigned char*> PyByteArray_AS_STRING(data), PyByteArray_GET_SIZE(data)
            )
    if not isinstance(data, (bytes, bytearray, memoryview)):
        return False
    held = data if type(data) is bytes else bytes(data)
    span = span_of(held)
    return long_integer_in(<const unsigned char*> span.data, span.size)


cdef object json_value(object data, bint replace):
    """Read one JSON value."""
    if json_careful_loads is None:
        return json_loads(data)
    if holds_long_integer(data):
        return json_careful_loads(data, REPLACE if replace else STRICT)
    try:
        return json_loads(data)
    except ValueError:
        if replace:
            try:
                return json_careful_loads(data, REPLACE)
            except ValueError:
                pass
        raise


def read_json(data, errors="strict"):
    """Read one JSON value: strict JSON, integers of any size.

    Half a surrogate pair raises with errors="strict" and is U+FFFD with "replace". Raises
    ValueError for what is not JSON.
    """
    return json_value(data, check_errors(errors))
