# Frames that differ in one string only: a constant prefix, the escaped text, a constant suffix.
#
# This is the hot path of a token stream: one measuring, one copy, no object but the result.
# Twin of gaistream/core/pure/template.py.

cdef enum:
    BLOCK = 16
    # Below this, room for the worst case (six bytes a character) is taken without measuring.
    UNMEASURED = 256


STRING = re.compile(rb'"((?:[^"\\]|\\.)*)"')


cdef list places_of(bytes mark, bytes json, Py_ssize_t start):
    """Find where escaped text stands in the strings of JSON: not in numbers, words or escapes."""
    if not mark:
        return []
    unit = re.compile(b"(" + re.escape(mark) + rb")|\\u.{4}|\\.|[^\\]", re.DOTALL)
    return [
        found.span(1)
        for string in STRING.finditer(json, start)
        for found in unit.finditer(json, *string.span(1))
        if found[1] is not None
    ]


cdef inline Py_ssize_t whole_blocks(Py_ssize_t size) noexcept nogil:
    return (size + BLOCK - 1) & -BLOCK


cdef inline char* copy_blocks(char* out, const char* blocks, Py_ssize_t size) noexcept nogil:
    """Copy by whole blocks, which needs no call; writes up to a block too much behind."""
    cdef Py_ssize_t index = 0
    while index < size:
        memcpy(out + index, blocks + index, BLOCK)
        index += BLOCK
    return out + size


cdef class FrameTemplate:
    """A frame with one slot for text: `prefix`, the JSON-escaped text, `suffix`."""

    cdef readonly bytes prefix
    cdef readonly bytes suffix
    cdef Py_ssize_t prefix_size
    cdef Py_ssize_t suffix_size
    cdef char* blocks               # both again, each filled up to whole blocks
    cdef Py_ssize_t suffix_at       # where the second begins

    def __cinit__(self, prefix, suffix):
        for field, value in (("prefix", prefix), ("suffix", suffix)):
            if type(value) is not bytes:
                raise FrameTypeError(f"{field} must be bytes, not {type(value).__name__}")
        self.prefix = prefix
        self.suffix = suffix
        self.prefix_size = PyBytes_GET_SIZE(prefix)
        self.suffix_size = PyBytes_GET_SIZE(suffix)
        self.suffix_at = whole_blocks(self.prefix_size)
        self.blocks = <char*> PyMem_Calloc(self.suffix_at + whole_blocks(self.suffix_size) + 1, 1)
        if self.blocks == NULL:
            raise MemoryError
        memcpy(self.blocks, PyBytes_AS_STRING(prefix), self.prefix_size)
        memcpy(self.blocks + self.suffix_at, PyBytes_AS_STRING(suffix), self.suffix_size)

    def __dealloc__(self):
        PyMem_Free(self.blocks)

    def __setattr__(self, name, value):
        raise AttributeError(f"FrameTemplate is immutable: cannot set {name!r}")

    def __delattr__(self, name):
        raise AttributeError(f"FrameTemplate is immutable: cannot delete {name!r}")

    def __repr__(self):
        return f"FrameTemplate({self.prefix!r}, {self.suffix!r})"

    def __reduce__(self):
        return FrameTemplate, (self.prefix, self.suffix)

    @classmethod
    def of(cls, payload, slot, *, event=None, format="sse"):
        """Make a template from a payload in which the string `slot` stands exactly once.

        Raises FrameError where it does not, or for a bad field, EncodeError for a bad payload.
        """
        if not isinstance(slot, str):
            raise FrameTypeError(f"slot must be str, not {type(slot).__name__}")
        if format == "sse":
            frame = emit(None, event, None, None, None, payload, False, TO_BYTES, None, None)
            start = frame.rfind(b"\n", 0, -2) + 1  # of the data line, behind the event's
        elif format == "ndjson":
            if event is not None:
                raise FrameError("event must be None: an NDJSON line has no event field")
            frame = write_json(payload, True, False)
            start = 0
        else:
            raise FrameError(f"format must be 'sse' or 'ndjson', not {format!r}")
        found = places_of(escape_json(slot), frame, start)
        if len(found) != 1:
            raise FrameError(f"slot must stand in the payload once, not {len(found)} times")
        return cls(frame[:found[0][0]], frame[found[0][1]:])

    def render(self, text, errors="strict"):
        """Give the frame with this text; UnicodeEncodeError for a lone surrogate if strict."""
        cdef bint replace = check_errors(errors)
        check_text(text)
        cdef bytes out = new_bytes(template_size(self, text, replace))
        write_template(PyBytes_AS_STRING(out), self, text)
        return out

    def render_many(self, texts, errors="strict"):
        """Give the frames of many texts, one behind the other."""
        cdef bint replace = check_errors(errors)
        cdef Buffer buffer = Buffer.__new__(Buffer)
        for text in texts:
            check_text(text)
            append_template(buffer, self, text, replace, 0)
        return take(buffer)

    def render_into(self, buffer, offset, text, errors="strict"):
        """Write the frame into a writable buffer and give the offset behind it.

        Raises BufferTooSmall where it does not fit; nothing is written then.
        """
        cdef bint replace = check_errors(errors)
        cdef Py_buffer view
        cdef Py_ssize_t size
        check_text(text)
        size = template_size(self, text, replace)
        writable(buffer, &view)
        try:
            write_template(place(&view, offset, size), self, text)
        finally:
            PyBuffer_Release(&view)
        return offset + size


name_type(FrameTemplate, b"gaistream.FrameTemplate")


cdef inline Py_ssize_t template_size(FrameTemplate self, object text, bint replace) except -1:
    return self.prefix_size + escaped_size(text, replace) + self.suffix_size


cdef inline char* write_template(char* out, FrameTemplate self, object text) noexcept:
    """Write exactly what template_size has measured."""
    memcpy(out, self.blocks, self.prefix_size)
    out = write_escaped(out + self.prefix_size, text)
    memcpy(out, self.blocks + self.suffix_at, self.suffix_size)
    return out + self.suffix_size


cdef inline int append_template(
    Buffer buffer, FrameTemplate self, object text, bint replace, long long number
) except -1:
    """Append a frame to a stream, with an id line before it where `number` is not 0."""
    cdef Py_ssize_t length = PyUnicode_GET_LENGTH(text)
    # 24 for the id line, and a block for what copy_blocks writes too much
    cdef Py_ssize_t size = self.prefix_size + self.suffix_size + 26 + BLOCK
    cdef char* start
    cdef char* out
    if length <= UNMEASURED and (replace or PyUnicode_IS_COMPACT_ASCII(text)):
        size += 6 * length
    else:
        size += escaped_size(text, replace)
    start = out = reserve(buffer, size)
    if number:
        memcpy(out, b"id: ", 4)
        out += 4 + write_number(out + 4, number)
        out[0] = 0x0A
        out += 1
    out = copy_blocks(out, self.blocks, self.prefix_size)
    out = write_escaped(out, text)
    out = copy_blocks(out, self.blocks + self.suffix_at, self.suffix_size)
    buffer.length += out - start
    return 0
