# Frames that differ in one string only: a constant prefix, the escaped text, a constant suffix.
#
# This is the hot path of a token stream: measure once, copy once, allocate only the result.
# Twin of gaistream/core/pure/template.py.

cdef enum:
    BLOCK = 16
    # Up to this length, room for the worst case (six bytes a character) is got without measuring.
    UNMEASURED = 256


STRING = re.compile(rb'"((?:[^"\\]|\\.)*)"')


cdef list places_of(bytes mark, bytes json, Py_ssize_t start):
    """Return the spans of escaped text in the strings of JSON, from `start` on."""
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
    """Copy whole blocks, which needs no call; up to a block more than `size` is written."""
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
    cdef char* blocks               # copies of both, each padded to whole blocks
    cdef Py_ssize_t suffix_at       # the offset of the suffix in `blocks`

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
        """Return a template made from a payload that holds the string `slot` exactly once.

        Raises FrameError if it does not, or for a bad field, EncodeError for a bad payload.
        """
        cdef Fields fields
        if not isinstance(slot, str):
            raise FrameTypeError(f"slot must be str, not {type(slot).__name__}")
        if format == "sse":
            fields = no_fields(False)
            fields.event = <PyObject*> event
            fields.json = <PyObject*> payload
            frame = emit(&fields, TO_BYTES, None, None)
            start = frame.rfind(b"\n", 0, -2) + 1  # of the data line, after the event's
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
        """Return the frame with this text; a lone surrogate raises UnicodeEncodeError if strict."""
        cdef bint replace = check_errors(errors)
        check_text(text)
        cdef bytes out = new_bytes(self.size_with(text, replace))
        self.write_to(PyBytes_AS_STRING(out), text)
        return out

    def render_many(self, texts, errors="strict"):
        """Return the frames of many texts, one after the other."""
        cdef bint replace = check_errors(errors)
        cdef Buffer buffer = Buffer.__new__(Buffer)
        cdef Py_ssize_t index = 0
        if type(texts) is not list:
            for text in texts:
                self.append_checked(buffer, text, replace)
            return take(buffer)
        while index < len(<list> texts):
            index = self.append_run(buffer, texts, index, replace, False)
            if index < len(<list> texts):
                self.append_checked(buffer, (<list> texts)[index], replace)
                index += 1
        return take(buffer)

    def render_into(self, buffer, offset, text, errors="strict"):
        """Write the frame into a writable buffer and return the offset after it.

        Raises BufferTooSmall if it does not fit; nothing is written then.
        """
        cdef bint replace = check_errors(errors)
        cdef Py_buffer view
        cdef Py_ssize_t size
        check_text(text)
        size = self.size_with(text, replace)
        writable(buffer, &view)
        try:
            self.write_to(place(&view, offset, size), text)
        finally:
            PyBuffer_Release(&view)
        return offset + size

    @cython.final
    cdef inline Py_ssize_t size_with(self, object text, bint replace) except -1:
        return self.prefix_size + escaped_size(text, replace) + self.suffix_size

    @cython.final
    cdef inline char* write_to(self, char* out, object text) noexcept:
        """Write a frame of the size that size_with has returned, and return its end."""
        memcpy(out, self.blocks, self.prefix_size)
        out = write_escaped(out + self.prefix_size, text)
        memcpy(out, self.blocks + self.suffix_at, self.suffix_size)
        return out + self.suffix_size

    @cython.final
    cdef Py_ssize_t append_run(
        self, Buffer buffer, list items, Py_ssize_t index, bint replace, bint deltas
    ) except -1:
        """Append the frames of short texts from an index on; return the index of the first other.

        A text is a str; with `deltas` it may be in a TextDelta.
        """
        cdef Py_ssize_t length
        cdef Py_ssize_t room = self.prefix_size + self.suffix_size + BLOCK
        cdef char* out = buffer.data + buffer.length
        cdef char* end = buffer.data + buffer.capacity
        while index < len(items):
            text = items[index]
            if deltas and type(text) is TextDelta:
                text = (<TextDelta> text).text
            if not PyUnicode_CheckExact(text):
                break
            length = PyUnicode_GET_LENGTH(text)
            if length > UNMEASURED or not (replace or PyUnicode_IS_COMPACT_ASCII(text)):
                break
            if end - out < room + 6 * length:
                buffer.length = out - buffer.data
                out = reserve(buffer, room + 6 * length)
                end = buffer.data + buffer.capacity
            out = copy_blocks(out, self.blocks, self.prefix_size)
            out = write_escaped(out, text)
            out = copy_blocks(out, self.blocks + self.suffix_at, self.suffix_size)
            index += 1
        if out != NULL:
            buffer.length = out - buffer.data
        return index

    @cython.final
    cdef int append_checked(self, Buffer buffer, object text, bint replace) except -1:
        check_text(text)
        return self.append_to(buffer, text, replace, 0)

    @cython.final
    cdef inline int append_to(
        self, Buffer buffer, object text, bint replace, long long number
    ) except -1:
        """Append a frame to a stream, after an id line unless `number` is 0."""
        cdef Py_ssize_t length = PyUnicode_GET_LENGTH(text)
        # 26 for the id line, and a block because copy_blocks writes whole ones
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


name_type(FrameTemplate, b"gaistream.FrameTemplate")
