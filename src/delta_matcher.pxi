# Frames that differ from a known one only in the text of a delta: they are read without parsing.
#
# The bytes around the text are compared, the text is found by its closing quote and unescaped into
# one scratch object, and only the event and its str are made. A surrogate pair is joined as it is
# unescaped; half of one becomes bytes that are not UTF-8, so that decoding refuses it.
# Twin of gaistream/core/pure/delta_matcher.py.

from cpython.bytes cimport PyBytes_CheckExact as is_bytes
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE


cdef inline int hex_digit(unsigned char code) noexcept nogil:
    if 0x30 <= code <= 0x39:
        return code - 0x30
    code |= 0x20
    return code - 0x57 if 0x61 <= code <= 0x66 else -1


cdef inline int code_unit(const unsigned char* at, const unsigned char* end) noexcept nogil:
    """Return the number of the four digits of an escape at the `u` of it; -1 if it is none."""
    cdef int unit = 0
    cdef int index
    cdef int digit
    if end - at < 5 or at[0] != c"u":
        return -1
    for index in range(1, 5):
        digit = hex_digit(at[index])
        if digit < 0:
            return -1
        unit = unit << 4 | digit
    return unit


cdef inline unsigned char letter_escape(unsigned char letter) noexcept nogil:
    """Return the character of an escape of one letter; 0 if there is none."""
    if letter == c'"' or letter == c"\\" or letter == c"/":
        return letter
    if letter == c"n":
        return 0x0A
    if letter == c"t":
        return 0x09
    if letter == c"r":
        return 0x0D
    if letter == c"b":
        return 0x08
    if letter == c"f":
        return 0x0C
    return 0


cdef inline unsigned char* write_code(unsigned char* out, uint32_t code) noexcept nogil:
    """Write a code point as UTF-8, a surrogate too, and return the end."""
    if code < 0x80:
        out[0] = <unsigned char> code
        return out + 1
    if code < 0x800:
        out[0] = <unsigned char> (0xC0 | (code >> 6))
        out[1] = <unsigned char> (0x80 | (code & 0x3F))
        return out + 2
    if code < 0x10000:
        out[0] = <unsigned char> (0xE0 | (code >> 12))
        out[1] = <unsigned char> (0x80 | ((code >> 6) & 0x3F))
        out[2] = <unsigned char> (0x80 | (code & 0x3F))
        return out + 3
    out[0] = <unsigned char> (0xF0 | (code >> 18))
    out[1] = <unsigned char> (0x80 | ((code >> 12) & 0x3F))
    out[2] = <unsigned char> (0x80 | ((code >> 6) & 0x3F))
    out[3] = <unsigned char> (0x80 | (code & 0x3F))
    return out + 4


cdef Py_ssize_t unescape(
    unsigned char* out, const unsigned char* at, const unsigned char* end
) noexcept nogil:
    """Write the text of a JSON string, which is never longer; return its size, -1 if it is bad."""
    cdef unsigned char* start = out
    cdef const unsigned char* slash
    cdef uint32_t code
    cdef int unit
    cdef int low
    while True:
        slash = <const unsigned char*> memchr(at, c"\\", end - at)
        if slash == NULL:
            memcpy(out, at, end - at)
            return out + (end - at) - start
        memcpy(out, at, slash - at)
        out += slash - at
        at = slash + 1  # the text has a character after each backslash
        if letter_escape(at[0]):
            out[0] = letter_escape(at[0])
            out += 1
            at += 1
            continue
        unit = code_unit(at, end)
        if unit < 0:
            return -1
        at += 5
        code = <uint32_t> unit
        if 0xD800 <= unit < 0xDC00 and at < end and at[0] == c"\\":
            low = code_unit(at + 1, end)
            if 0xDC00 <= low < 0xE000:
                code = 0x10000 + ((<uint32_t> unit - 0xD800) << 10) + (<uint32_t> low - 0xDC00)
                at += 6
        out = write_code(out, code)


cdef inline const char* after_text(const char* at, const char* end, bint* escaped) noexcept nogil:
    """Return the end of the text of a JSON string; NULL if it does not end, or is not one."""
    escaped[0] = False
    while True:
        at += plain_run(<const unsigned char*> at, end - at)
        if at == end:
            return NULL
        if at[0] == c'"':
            return at
        if at[0] != c"\\" or end - at < 2:
            return NULL
        escaped[0] = True
        at += 2


cdef inline const char* after_integer(const char* at, const char* end) noexcept nogil:
    """Return the end of a JSON integer of at most 18 digits; NULL if it is not one."""
    cdef const char* start
    if at < end and at[0] == c"-":
        at += 1
    start = at
    while at < end and c"0" <= at[0] <= c"9":
        at += 1
    if at == start or at - start > 18 or (start[0] == c"0" and at - start > 1):
        return NULL
    return at


cdef inline object unescaped(Span text, bint escaped):
    """Return the str of a JSON string's text; None if it is not one."""
    cdef bytes scratch
    if escaped:
        scratch = new_bytes(text.size)
        text.size = unescape(
            <unsigned char*> PyBytes_AS_STRING(scratch),
            <const unsigned char*> text.data,
            <const unsigned char*> text.data + text.size,
        )
        if text.size < 0:
            return None
        text.data = PyBytes_AS_STRING(scratch)
    try:
        return PyUnicode_DecodeUTF8(text.data, text.size, b"strict")
    except UnicodeDecodeError:
        return None


cdef class DeltaMatcher:
    """Recognises frames whose data is known but for the text of a delta."""

    cdef object kind
    cdef str name
    cdef tuple pieces
    cdef Py_ssize_t text_at
    cdef public Py_ssize_t count

    def __cinit__(self, kind, name, pieces, text_at=0):
        if kind is not TextDelta and kind is not ReasoningDelta:
            raise FrameTypeError("kind must be TextDelta or ReasoningDelta")
        if type(name) is not str:
            raise FrameTypeError(f"name must be str, not {type(name).__name__}")
        if type(pieces) is not tuple or not all([type(piece) is bytes for piece in pieces]):
            raise FrameTypeError("pieces must be a tuple of bytes")
        if type(text_at) is not int:
            raise FrameTypeError(f"text_at must be int, not {type(text_at).__name__}")
        if not 0 <= text_at < len(pieces) - 1:
            raise FrameError(f"pieces must have a slot {text_at}")
        quoted = [slot for slot in range(len(pieces) - 1) if pieces[slot].endswith(b'"')]
        if text_at not in quoted or not all([
            pieces[slot + 1].startswith(b'"') for slot in quoted
        ]):
            raise FrameError("the text, and each slot after a quote, must be between quotes")
        self.kind = kind
        self.name = name
        self.pieces = pieces
        self.text_at = text_at
        self.count = 0

    def match(self, name, data):
        """Return the delta of a frame, None if it differs in more than its text or its text is ""."""
        if not is_bytes(data):
            return None
        return self.delta_of(name, <bytes> data)

    def read(self, list frames not None, Py_ssize_t start, list events not None):
        """Append the deltas of frames that match to `events`, up to the first that does not."""
        cdef Py_ssize_t index = start
        cdef bytes raw
        while index < len(frames):
            frame = frames[index]
            if type(frame) is not ServerSentEvent:
                break
            with cython.critical_section(frame):
                raw = (<ServerSentEvent> frame).raw
                name = (<ServerSentEvent> frame).event
            event = None if raw is None else self.delta_of(name, raw)
            if event is None:
                break
            events.append(event)
            index += 1
        return index

    cdef object delta_of(self, object name, bytes data):
        cdef Span text
        cdef bint escaped = False
        cdef TextDelta delta
        cdef ReasoningDelta reasoning
        if name is not self.name and name != self.name:
            return None
        if not self.find(span_of(data), &text, &escaped):
            return None
        value = unescaped(text, escaped)
        if value is None:
            return None
        self.count += 1
        return self.kind(value)

    cdef bint find(self, Span data, Span* text, bint* escaped) noexcept:
        """Find the text in the data. Return False if it does not match, or the text is empty."""
        cdef const char* at = data.data
        cdef const char* end = data.data + data.size
        cdef const char* after
        cdef Py_ssize_t slots = PyTuple_GET_SIZE(self.pieces) - 1
        cdef Py_ssize_t slot
        cdef Span piece
        for slot in range(slots + 1):
            piece = span_of(<object> PyTuple_GET_ITEM(self.pieces, slot))
            if end - at < piece.size or memcmp(at, piece.data, piece.size) != 0:
                return False
            at += piece.size
            if slot == slots:
                break
            if slot == self.text_at:
                after = after_text(at, end, escaped)
                text.data = at
                text.size = after - at if after != NULL else 0
                if text.size == 0:
                    return False
            elif piece.size and piece.data[piece.size - 1] == c'"':
                after = at + plain_run(<const unsigned char*> at, end - at)
                if not all_ascii(at, after - at):
                    return False
            else:
                after = after_integer(at, end)
                if after == NULL:
                    return False
            at = after
        return at == end
