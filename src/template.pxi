# Frames that differ in one string, and in one number if wanted; the rest is constant.
#
# This is the hot path of a token stream: measure once, copy once, allocate only the result.
# Twin of gaistream/core/pure/template.py.

cdef enum:
    BLOCK = 16
    # Up to this length, room for the worst case (six bytes a character) is got without measuring.
    UNMEASURED = 256

cdef enum:
    DIGITS = 20  # of the largest number

# The largest integer that every JSON reader reads exactly.
cdef long long LARGEST_NUMBER = 2**53 - 1

STRING = re.compile(rb'"((?:[^"\\]|\\.)*)"')
STRING_OR_NUMBER = re.compile(STRING.pattern + rb"|[-+.0-9eE]+")


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


cdef tuple place_of_number(object number, bytes json, Py_ssize_t start, tuple slot):
    """Return the span of a number that stands once in JSON, after the slot."""
    cdef bytes digits = b"%d" % number
    found = [each.span() for each in STRING_OR_NUMBER.finditer(json, start) if each[0] == digits]
    if len(found) != 1:
        raise FrameError(f"number must stand in the payload once, not {len(found)} times")
    if found[0] < slot:
        raise FrameError("number must stand after the slot in the payload")
    return found[0]


cdef inline Py_ssize_t whole_blocks(Py_ssize_t size) noexcept nogil:
    return (size + BLOCK - 1) & -BLOCK


cdef inline char* copy_blocks(char* out, const char* blocks, Py_ssize_t size) noexcept nogil:
    """Copy whole blocks, which needs no call; up to a block more than `size` is written."""
    cdef Py_ssize_t index = 0
    while index < size:
        memcpy(out + index, blocks + index, BLOCK)
        index += BLOCK
    return out + size


cdef inline char* write_slot(char* out, long long number) noexcept nogil:
    """Write a number of at most 16 digits, and up to a block; return its end."""
    cdef char digits[2 * BLOCK]
    cdef int begin = BLOCK
    cdef unsigned long long rest = <unsigned long long> number
    while True:
        begin -= 1
        digits[begin] = <char> (c"0" + rest % 10)
        rest //= 10
        if not rest:
            break
    memcpy(out, digits + begin, BLOCK)
    return out + BLOCK - begin


cdef class FrameTemplate:
    """A frame with a slot for text: `prefix`, the JSON-escaped text, `suffix`.

    With `middle` it has a second slot: `prefix`, the text, `middle`, a number, `suffix`.
    """

    cdef readonly bytes prefix
    cdef readonly bytes suffix
    cdef readonly bytes middle
    cdef Py_ssize_t prefix_size
    cdef Py_ssize_t after_size      # of the bytes after the text: middle, else suffix
    cdef Py_ssize_t after_at        # their offset in `blocks`
    cdef Py_ssize_t suffix_size     # of the bytes after the number; 0 without a slot for one
    cdef Py_ssize_t suffix_at
    cdef Py_ssize_t room            # for all but the text, and what append_to adds
    cdef char* blocks               # copies of all, each padded to whole blocks

    def __cinit__(self, prefix, suffix, middle=None):
        for field, value in (("prefix", prefix), ("suffix", suffix)):
            if type(value) is not bytes:
                raise FrameTypeError(f"{field} must be bytes, not {type(value).__name__}")
        if middle is not None and type(middle) is not bytes:
            raise FrameTypeError(f"middle must be bytes or None, not {type(middle).__name__}")
        self.prefix = prefix
        self.suffix = suffix
        self.middle = middle
        cdef bytes after = suffix if middle is None else middle
        self.prefix_size = PyBytes_GET_SIZE(prefix)
        self.after_size = PyBytes_GET_SIZE(after)
        self.suffix_size = 0 if middle is None else PyBytes_GET_SIZE(suffix)
        # 26 for an id line, and a block because copy_blocks writes whole ones
        self.room = self.prefix_size + self.after_size + 26 + BLOCK
        if middle is not None:
            self.room += DIGITS + self.suffix_size + BLOCK
        self.after_at = whole_blocks(self.prefix_size)
        self.suffix_at = self.after_at + whole_blocks(self.after_size)
        self.blocks = <char*> PyMem_Calloc(self.suffix_at + whole_blocks(self.suffix_size) + 1, 1)
        if self.blocks == NULL:
            raise MemoryError
        memcpy(self.blocks, PyBytes_AS_STRING(prefix), self.prefix_size)
        memcpy(self.blocks + self.after_at, PyBytes_AS_STRING(after), self.after_size)
        memcpy(self.blocks + self.suffix_at, PyBytes_AS_STRING(suffix), self.suffix_size)

    def __dealloc__(self):
        PyMem_Free(self.blocks)

    def __setattr__(self, name, value):
        raise AttributeError(f"FrameTemplate is immutable: cannot set {name!r}")

    def __delattr__(self, name):
        raise AttributeError(f"FrameTemplate is immutable: cannot delete {name!r}")

    def __repr__(self):
        middle = "" if self.middle is None else f", middle={self.middle!r}"
        return f"FrameTemplate({self.prefix!r}, {self.suffix!r}{middle})"

    def __reduce__(self):
        middle = () if self.middle is None else (self.middle,)
        return FrameTemplate, (self.prefix, self.suffix, *middle)

    @classmethod
    def of(cls, payload, slot, *, event=None, format="sse", number=None):
        """Return a template made from a payload that holds the string `slot` exactly once.

        With `number`, an int that stands once in the payload, after the slot, each rendering
        replaces that too. Raises FrameError if it does not, or for a bad field, EncodeError for a bad payload.
        """
        cdef Fields fields
        if not isinstance(slot, str):
            raise FrameTypeError(f"slot must be str, not {type(slot).__name__}")
        if number is not None:
            number = checked_int("number", number, 0, LARGEST_NUMBER, "")
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
        start, end = found[0]
        if number is None:
            return cls(frame[:start], frame[end:])
        digits, rest = place_of_number(number, frame, frame.rfind(b"\n", 0, -2) + 1, found[0])
        return cls(frame[:start], frame[rest:], middle=frame[end:digits])

    def render(self, text, errors="strict", number=None):
        """Return the frame with this text; a lone surrogate raises UnicodeEncodeError if strict.

        `number`, from 0 to 2**53 - 1, is for a template with a slot for it.
        """
        cdef bint replace = check_errors(errors)
        if number is not None or self.middle is not None:
            return self.render_numbered(text, replace, self.check_number(number))
        check_text(text)
        cdef Py_ssize_t size = self.prefix_size + PyUnicode_GET_LENGTH(text)
        cdef bytes out
        if is_long_ascii(text):
            out = new_bytes(size + self.after_size)
            memcpy(PyBytes_AS_STRING(out), self.blocks, self.prefix_size)
            if write_plain(PyBytes_AS_STRING(out) + self.prefix_size, text):
                memcpy(PyBytes_AS_STRING(out) + size, self.blocks + self.after_at, self.after_size)
                return out
        out = new_bytes(self.size_with(text, replace))
        self.write_to(PyBytes_AS_STRING(out), text)
        return out

    @cython.final
    cdef bytes render_numbered(self, object text, bint replace, long long number):
        cdef Buffer buffer = Buffer.__new__(Buffer)
        self.append_numbered(buffer, text, replace, 0, number)
        return take(buffer)

    def render_many(self, texts, errors="strict", number=None):
        """Return the frames of many texts; `number` is the first one's, and one more for each."""
        cdef bint replace = check_errors(errors)
        cdef Buffer buffer = Buffer.__new__(Buffer)
        cdef Py_ssize_t index = 0
        cdef long long following
        if number is not None or self.middle is not None:
            following = self.check_number(number)
            for text in to_loop(texts):
                self.append_numbered(buffer, text, replace, 0, following)
                following += 1
            return take(buffer)
        if type(texts) is not list:
            for text in texts:
                self.append_checked(buffer, text, replace, 0)
            return take(buffer)
        while index < len(<list> texts):
            index = self.append_run(buffer, texts, index, replace, False)
            if index < len(<list> texts):
                text = item_at(texts, index)
                if is_gone(text):
                    break
                self.append_checked(buffer, text, replace, 0)
                index += 1
        return take(buffer)

    def render_into(self, buffer, offset, text, errors="strict", number=None):
        """Write the frame into a writable buffer and return the offset after it.

        Raises BufferTooSmall if it does not fit; nothing is written then.
        """
        cdef bint replace = check_errors(errors)
        cdef Py_buffer view
        cdef Py_ssize_t size
        cdef bytes frame = None
        if number is not None or self.middle is not None:
            frame = self.render(text, errors, number)
            size = PyBytes_GET_SIZE(frame)
        else:
            check_text(text)
            size = self.size_with(text, replace)
        writable(buffer, &view)
        try:
            if frame is not None:
                memcpy(place(&view, offset, size), PyBytes_AS_STRING(frame), size)
            else:
                self.write_to(place(&view, offset, size), text)
        finally:
            PyBuffer_Release(&view)
        return offset + size

    @cython.final
    cdef inline Py_ssize_t size_with(self, object text, bint replace) except -1:
        return self.prefix_size + escaped_size(text, replace) + self.after_size

    @cython.final
    cdef inline char* write_to(self, char* out, object text) noexcept:
        """Write a frame of the size that size_with has returned, and return its end."""
        memcpy(out, self.blocks, self.prefix_size)
        out = write_escaped(out + self.prefix_size, text)
        memcpy(out, self.blocks + self.after_at, self.after_size)
        return out + self.after_size

    @cython.final
    cdef Py_ssize_t append_run(
        self, Buffer buffer, list items, Py_ssize_t index, bint replace, bint deltas
    ) except -1:
        """Append the frames of short texts from an index on; return the index of the first other.

        A text is a str; with `deltas` it may be in a TextDelta.
        """
        cdef Py_ssize_t length
        cdef Py_ssize_t room = self.prefix_size + self.after_size + BLOCK
        cdef char* out = buffer.data + buffer.length
        cdef char* end = buffer.data + buffer.capacity
        while index < len(items):
            text = item_at(items, index)
            if deltas and type(text) is TextDelta:
                text = (<TextDelta> text).text
            if not PyUnicode_CheckExact(text):
                break
            length = PyUnicode_GET_LENGTH(text)
            # an empty one too is not of the run: <size_t> (0 - 1) is the largest number
            if <size_t> (length - 1) >= UNMEASURED or not (
                replace or PyUnicode_IS_COMPACT_ASCII(text)
            ):
                break
            # Without the GIL, item_at may have let another thread change the buffer.
            if not GAISTREAM_GIL or end - out < room + 6 * length:
                if GAISTREAM_GIL:
                    buffer.length = out - buffer.data
                out = reserve(buffer, room + 6 * length)
                end = buffer.data + buffer.capacity
            out = copy_blocks(out, self.blocks, self.prefix_size)
            out = write_escaped(out, text)
            out = copy_blocks(out, self.blocks + self.after_at, self.after_size)
            if not GAISTREAM_GIL:
                buffer.length = out - buffer.data
            index += 1
        if GAISTREAM_GIL and out != NULL:
            buffer.length = out - buffer.data
        return index

    @cython.final
    cdef int append_checked(
        self, Buffer buffer, object text, bint replace, long long number
    ) except -1:
        check_text(text)
        return self.append_to(buffer, text, replace, number)

    @cython.final
    cdef inline int append_to(
        self, Buffer buffer, object text, bint replace, long long number
    ) except -1:
        """Append a frame to a stream, after an id line unless `number` is 0."""
        cdef Py_ssize_t length = PyUnicode_GET_LENGTH(text)
        if length > UNMEASURED or not (replace or PyUnicode_IS_COMPACT_ASCII(text)):
            return self.append_measured(buffer, text, replace, number)
        return self.append_sized(buffer, text, 6 * length, number)

    @cython.final
    cdef int append_measured(
        self, Buffer buffer, object text, bint replace, long long number
    ) except -1:
        cdef char* start
        cdef char* out
        if is_long_ascii(text):
            start = reserve(buffer, self.room + PyUnicode_GET_LENGTH(text))
            out = self.write_head(start, number)
            if write_plain(out, text):
                out += PyUnicode_GET_LENGTH(text)
                out = copy_blocks(out, self.blocks + self.after_at, self.after_size)
                buffer.length += out - start
                return 0
        return self.append_sized(buffer, text, escaped_size(text, replace), number)

    @cython.final
    cdef inline int append_sized(
        self, Buffer buffer, object text, Py_ssize_t size, long long number
    ) except -1:
        """Append a frame whose escaped text has at most `size` bytes."""
        cdef char* start = reserve(buffer, self.room + size)
        cdef char* out = write_escaped(self.write_head(start, number), text)
        out = copy_blocks(out, self.blocks + self.after_at, self.after_size)
        buffer.length += out - start
        return 0

    @cython.final
    cdef inline char* write_head(self, char* out, long long number) noexcept:
        """Write an id line, unless `number` is 0, and the prefix."""
        if number:
            memcpy(out, b"id: ", 4)
            out += 4 + write_number(out + 4, number)
            out[0] = 0x0A
            out += 1
        return copy_blocks(out, self.blocks, self.prefix_size)

    @cython.final
    cdef long long check_number(self, object number) except -1:
        if self.middle is None:
            raise FrameError("number must be None: the template has no slot for it")
        if number is None:
            raise FrameError("number must be given: the template has a slot for it")
        return checked_int("number", number, 0, LARGEST_NUMBER, "")

    @cython.final
    cdef int append_numbered(
        self, Buffer buffer, object text, bint replace, long long id, long long number
    ) except -1:
        """Append a frame as append_to does, and the number if there is a slot for one."""
        self.append_checked(buffer, text, replace, id)
        if self.middle is not None:
            self.append_number(buffer, number)
        return 0

    @cython.final
    cdef inline void append_number(self, Buffer buffer, long long number) noexcept:
        """Append the number and what follows it to a frame, which has left room for them."""
        cdef char* out = write_slot(buffer.data + buffer.length, number)
        out = copy_blocks(out, self.blocks + self.suffix_at, self.suffix_size)
        buffer.length = out - buffer.data


name_type(FrameTemplate, b"gaistream.FrameTemplate")


cdef inline bint has_number(FrameTemplate template) noexcept:
    return template is not None and template.middle is not None


cdef tuple checked_templates(
    object text, object reasoning, object tool_call=None, object tool_call_id=None,
    object pieces=None
):
    named = (("text", text), ("reasoning", reasoning), ("tool_call", tool_call))
    for name, value in named:
        if value is not None and not isinstance(value, FrameTemplate):
            kind = type(value).__name__
            raise FrameTypeError(f"{name} must be a FrameTemplate or None, not {kind}")
    if tool_call_id is not None and type(tool_call_id) is not str:
        kind = type(tool_call_id).__name__
        raise FrameTypeError(f"tool_call_id must be str or None, not {kind}")
    if (tool_call is None) != (tool_call_id is None):
        raise FrameError("tool_call and tool_call_id must be given together")
    if pieces is not None and type(pieces) is not list:
        raise FrameTypeError(f"pieces must be list or None, not {type(pieces).__name__}")
    return text, reasoning, tool_call, tool_call_id, pieces
