# Payloads to JSON bytes and back, by the installed JSON library.
#
# The library is a gaistream.core.json.Library, loaded with the first payload. Deep payloads reach
# its `dumps` in parts, each written for itself and put into the one around it, or not at all; JSON
# with long integers never reaches its `loads`. Line separators are escaped in the output.
# Twin of gaistream/core/pure/payloads.py.

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.dict cimport PyDict_Next

from gaistream.core.separators import ESCAPES

cdef extern from "Python.h":
    int Py_EnterRecursiveCall(const char* where) except *
    void Py_LeaveRecursiveCall()
    Py_ssize_t PyList_GET_SIZE(object items)
    PyObject* PyList_GET_ITEM(object items, Py_ssize_t index)  # borrowed
    Py_ssize_t PySequence_Fast_GET_SIZE(object items)  # of a list or tuple
    PyObject* PySequence_Fast_GET_ITEM(object items, Py_ssize_t index)  # borrowed
    list PyList_GetSlice(object items, Py_ssize_t low, Py_ssize_t high)
    dict PyDict_Copy(object items)

cdef enum:
    DEEPEST_FAST = 48  # orjson 3.13 writes past its buffer where nesting is much deeper
    DEEPEST = 254  # beyond it the careful way refuses the payload
    LONG_DIGITS = 19  # an integer of fewer digits has 64 bits

cdef tuple SEPARATOR_ESCAPES = ESCAPES


cdef class JSONLibrary:
    """The functions of the installed library."""

    cdef object source
    cdef object dumps, default, option, line_option, careful_dumps, with_hook, spaced
    cdef object loads, careful_loads, fragment
    cdef bint only_plain

    def __cinit__(self, source):
        self.source = source
        self.dumps = source.dumps
        self.default = source.default
        self.option = source.option
        self.line_option = source.line_option
        self.careful_dumps = source.careful_dumps
        self.with_hook = source.with_hook
        self.spaced = source.spaced
        self.loads = source.loads
        self.careful_loads = source.careful_loads
        self.fragment = source.fragment
        self.only_plain = source.only_plain


def not_installed():
    raise RuntimeError("no JSON library is installed: import gaistream, not one of its twins alone")


cdef object json_loader = not_installed
cdef JSONLibrary json_library = None  # loaded, or None
cdef dict kept = {}  # by id, for ever: without the GIL another thread may be about to use them


def install_json(load):
    """Set the function that returns the JSON library; it is called with the first payload."""
    global json_loader, json_library
    kept[id(load)] = json_loader = load
    json_library = None


cdef inline JSONLibrary installed_library():
    cdef JSONLibrary library = json_library
    return load_json() if library is None else library


cdef JSONLibrary load_json():
    global json_library
    source = json_loader()
    cdef JSONLibrary library = kept.get(id(source))
    if library is None:
        library = kept[id(source)] = JSONLibrary(source)
    json_library = library
    return library


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
    elif GAISTREAM_GIL and type(payload) is list:
        for each in <list> payload:
            if nests(each) and deeper(each, levels - 1):
                return True
    else:
        for each in to_loop(payload):
            if nests(each) and deeper(each, levels - 1):
                return True
    return False


cdef bint deeper_in_python(object payload, Py_ssize_t levels) except -1:
    """Do the same within the interpreter's recursion limit."""
    Py_EnterRecursiveCall(b" while measuring the depth of a payload")
    try:
        for each in list(dict.values(payload)) if isinstance(payload, dict) else to_loop(payload):
            if nests(each) and deeper(each, levels - 1):
                return True
        return False
    finally:
        Py_LeaveRecursiveCall()


def nests_deeper(payload, levels=48):
    """Return whether dicts, lists and tuples are nested more than `levels` deep.

    Raises RecursionError if the interpreter's stack ends first.
    """
    return deeper(payload, max(0, min(int.__pos__(levels), 2**62)))


cdef bint is_plain(object payload, Py_ssize_t levels) except -1:
    """Return True for exact types of JSON, nested at most `levels` deep."""
    cdef PyObject* key
    cdef PyObject* value
    cdef Py_ssize_t position = 0
    if (
        type(payload) is str or type(payload) is int or type(payload) is float
        or payload is None or type(payload) is bool
    ):
        return True
    if levels <= 0:
        return False
    if type(payload) is dict:
        with cython.critical_section(payload):
            while PyDict_Next(payload, &position, &key, &value):
                if type(<object> key) is not str or not is_plain(<object> value, levels - 1):
                    return False
        return True
    if type(payload) is list:
        with cython.critical_section(payload):
            while position < PyList_GET_SIZE(payload):
                if not is_plain(<object> PyList_GET_ITEM(payload, position), levels - 1):
                    return False
                position += 1
        return True
    if type(payload) is tuple:
        for each in <tuple> payload:
            if not is_plain(each, levels - 1):
                return False
        return True
    return False


cdef object in_parts(
    JSONLibrary library, object convert, object payload, int left, int* height
):
    """Return a container, or a copy in which what makes it higher than 48 levels are fragments.

    Raises ValueError if more than `left` levels are nested, or for a container that the careful
    way must see.
    """
    cdef PyObject* key
    cdef PyObject* value
    cdef Py_ssize_t at = 0
    if left <= 0:
        raise ValueError("too deep")
    height[0] = 1
    written = payload
    if isinstance(payload, dict):
        with cython.critical_section(payload):
            while PyDict_Next(written, &at, &key, &value):
                if nests(<object> value):
                    name, item = <object> key, <object> value
                    part = part_of(library, convert, item, left, height)
                    if part is not item:  # code may have run: go on with a copy, from its start
                        if written is payload:
                            written = PyDict_Copy(payload)
                            at = 0
                        written[name] = part
        return written
    if not (isinstance(payload, list) or type(payload) is tuple):
        raise ValueError("a subclass of tuple")
    with cython.critical_section(payload):
        while at < PySequence_Fast_GET_SIZE(written):
            item = <object> PySequence_Fast_GET_ITEM(written, at)
            if nests(item):
                part = part_of(library, convert, item, left, height)
                if part is not item:
                    if written is payload:
                        written = list_of(payload)
                    if at < len(<list> written):
                        (<list> written)[at] = part
            at += 1
    return written


cdef inline list list_of(object items):
    """Return a list of the items of a list or tuple, whatever its class overrides."""
    if isinstance(items, list):
        return PyList_GetSlice(items, 0, PY_SSIZE_T_MAX)
    return list(<tuple> items)


cdef object part_of(JSONLibrary library, object convert, object item, int left, int* height):
    """Return what stands for a container inside of one, which becomes at least as high."""
    cdef int inside
    part = in_parts(library, convert, item, left - 1, &inside)
    if inside >= DEEPEST_FAST:
        return library.fragment(library.dumps(part, convert, library.option))
    height[0] = max(height[0], inside + 1)
    return part


cdef inline bint may_separate(const char* data, Py_ssize_t size) noexcept nogil:
    """True if UTF-8 may hold U+0085 (it begins with C2), U+2028 or U+2029 (with E2)."""
    if all_ascii(data, size):
        return False
    return memchr(data, 0xE2, size) != NULL or memchr(data, 0xC2, size) != NULL


cdef inline bytes write_json_with(object hook, object payload, bint newline, bint replace):
    """Return a payload as JSON, with an LF if `newline`; `hook` may convert unknown values."""
    cdef JSONLibrary library = installed_library()
    cdef bytes encoded
    cdef int height
    cdef bint is_deep = not library.only_plain and deeper(payload, DEEPEST_FAST)
    if (
        library.fragment is None if is_deep
        else library.only_plain and not is_plain(payload, DEEPEST)
    ):
        encoded = library.careful_dumps(payload, newline, REPLACE if replace else STRICT, hook)
    else:
        try:
            option = library.line_option if newline else library.option
            convert = library.default if hook is None else library.with_hook(library.default, hook)
            if is_deep:
                parts = in_parts(library, convert, payload, DEEPEST, &height)
                encoded = library.dumps(parts, convert, option)
            else:
                encoded = library.dumps(payload, convert, option)
        except Exception:
            encoded = library.careful_dumps(
                payload, newline, REPLACE if replace else STRICT, hook
            )
    if may_separate(PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded)):
        for separator, escape in SEPARATOR_ESCAPES:  # JSON has non-ASCII only inside strings
            if separator in encoded:
                encoded = encoded.replace(separator, escape)
    return encoded


cdef bytes write_json(object payload, bint newline, bint replace):
    return write_json_with(None, payload, newline, replace)


def json_bytes(payload, *, newline=False, errors="strict", compact=True, default=None):
    """Return a payload as JSON in UTF-8, on one line, with U+0085, U+2028 and U+2029 escaped.

    Raises EncodeError, which names the type and the path, or UnicodeEncodeError.
    """
    cdef bytes encoded = write_json_with(default, payload, newline, check_errors(errors))
    return encoded if compact else installed_library().spaced(encoded)


cdef inline bint is_digit(uint32_t code) noexcept nogil:
    return 0x30 <= code <= 0x39


cdef inline bint may_precede(uint32_t code) noexcept nogil:
    """True if a number may begin after this character of JSON."""
    return code in (0x20, 0x09, 0x0A, 0x0D, 0x5B, 0x2C, 0x3A)  # blanks, [ , :


cdef bint long_integer_in(const wide* text, Py_ssize_t size) noexcept nogil:
    """True for 20 digits, or a minus and 19, without a fraction; reads every 19th character."""
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
    """True if JSON holds an integer beyond 64 bits, or text that looks like one."""
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
    """Return the value of JSON."""
    cdef JSONLibrary library = installed_library()
    if holds_long_integer(data):
        return library.careful_loads(data, REPLACE if replace else STRICT)
    try:
        return library.loads(data)
    except ValueError:
        if replace:
            try:
                return library.careful_loads(data, REPLACE)
            except ValueError:
                pass
        raise


def read_json(data, errors="strict"):
    """Return the value of strict JSON; an integer may have any size.

    Half a surrogate pair raises with errors="strict" and is U+FFFD with "replace". Raises
    ValueError if the data is not JSON.
    """
    return json_value(data, check_errors(errors))
