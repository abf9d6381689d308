# Server-Sent Events out: one frame in the byte profile that every client accepts.
#
# How: check every field in the order of the wire and point a span at its bytes; measure; get
# exactly that much room (new bytes, the caller's buffer, or the stream's); write once. Lines of
# data are found by memchr, and their ends remembered from measuring for writing. Very long data is
# first taken for one line, and searched while it is copied.
# Twin of gaistream/core/pure/sse.py, with sse_fast.pxi.

from libc.limits cimport LLONG_MAX


cdef dict FORBIDDEN = {"\r": "CR", "\n": "LF", "\0": "NUL"}

cdef enum:
    REMEMBERED_ENDS = 64
    LONG_LINE = 65536
    SEARCHED_BLOCK = 8192  # fits into the nearest cache twice


cdef struct Lines:
    Py_ssize_t count            # line ends found
    Py_ssize_t end_bytes        # their size in the input; CRLF has two
    bint has_cr
    Py_ssize_t ends[REMEMBERED_ENDS]  # of the first LFs, where there is no CR


cdef void count_lines(const char* data, Py_ssize_t size, Lines* lines) noexcept nogil:
    cdef const char* end = data + size
    cdef const char* at = data
    lines.count = 0
    lines.end_bytes = 0
    lines.has_cr = memchr(data, 0x0D, size) != NULL
    if not lines.has_cr:
        while True:
            at = <const char*> memchr(at, 0x0A, end - at)
            if at == NULL:
                break
            if lines.count < REMEMBERED_ENDS:
                lines.ends[lines.count] = at - data
            lines.count += 1
            at += 1
        lines.end_bytes = lines.count
        return
    while at < end:
        if at[0] == 0x0A or at[0] == 0x0D:
            if at[0] == 0x0D and at + 1 < end and at[1] == 0x0A:
                lines.end_bytes += 1
                at += 1
            lines.end_bytes += 1
            lines.count += 1
        at += 1


cdef inline char* write_line(char* out, const char* data, Py_ssize_t size) noexcept nogil:
    memcpy(out, b"data: ", 6)
    memcpy(out + 6, data, size)
    out[6 + size] = 0x0A
    return out + size + 7


cdef char* write_lines(char* out, const char* data, Py_ssize_t size, Lines* lines) noexcept nogil:
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t index
    cdef const char* found
    if not lines.has_cr:
        for index in range(lines.count):
            if index < REMEMBERED_ENDS:
                at = lines.ends[index]
            else:
                found = <const char*> memchr(data + start, 0x0A, size - start)
                at = found - data
            out = write_line(out, data + start, at - start)
            start = at + 1
        return write_line(out, data + start, size - start)
    while at < size:
        if data[at] == 0x0A or data[at] == 0x0D:
            out = write_line(out, data + start, at - start)
            if data[at] == 0x0D and at + 1 < size and data[at + 1] == 0x0A:
                at += 1
            start = at + 1
        at += 1
    return write_line(out, data + start, size - start)


cdef char* copy_long_line(char* out, const char* data, Py_ssize_t size) noexcept nogil:
    """Write long data as one line and return its end; NULL if it has several lines."""
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t length
    memcpy(out, b"data: ", 6)
    out += 6
    while at < size:
        length = min(size - at, SEARCHED_BLOCK)
        if copy_line(out + at, data + at, length) and holds_line_end(data + at, length):
            return NULL
        at += length
    out[size] = 0x0A
    return out + size + 1


cdef inline bint holds_line_end(const char* data, Py_ssize_t size) noexcept nogil:
    return memchr(data, 0x0A, size) != NULL or memchr(data, 0x0D, size) != NULL


cdef inline int write_number(char* out, long long number) noexcept nogil:
    """Write a number in decimal and return its size."""
    cdef char digits[24]
    cdef int count = 0
    cdef int length = 0
    cdef unsigned long long rest = <unsigned long long> number
    if number < 0:
        out[0] = c"-"
        length = 1
        rest = 0 - rest
    while True:
        digits[count] = <char> (c"0" + rest % 10)
        rest //= 10
        count += 1
        if not rest:
            break
    while count:
        count -= 1
        out[length] = digits[count]
        length += 1
    return length


cdef inline bint holds_break(const char* text, Py_ssize_t size, bint name) noexcept nogil:
    """True if ASCII text holds CR or LF, or in a name NUL."""
    cdef uint64_t word, line_feed, carriage_return, found
    cdef Py_ssize_t index = 0
    cdef unsigned char code
    if size >= 128:  # calls of memchr cost less here
        return holds_line_end(text, size) or (name and memchr(text, 0, size) != NULL)
    while index + 8 <= size:
        memcpy(&word, text + index, 8)
        line_feed = word ^ 0x0A0A0A0A0A0A0A0AULL
        carriage_return = word ^ 0x0D0D0D0D0D0D0D0DULL
        # "has a zero byte"; exact, since no byte is above 0x7F
        found = (line_feed - 0x0101010101010101ULL) | (carriage_return - 0x0101010101010101ULL)
        if name:
            found |= word - 0x0101010101010101ULL
        if found & 0x8080808080808080ULL:
            return True
        index += 8
    while index < size:
        code = <unsigned char> text[index]
        if code == 0x0A or code == 0x0D or (name and code == 0):
            return True
        index += 1
    return False


cdef object refuse_name(str field, object value):
    for index, character in enumerate(value):
        if character in FORBIDDEN:
            raise FrameError(
                f"{field} must not contain CR, LF or NUL: "
                f"found {FORBIDDEN[character]} at index {index} of {len(value)} characters"
            )


cdef object hold_name(str field, object value, bint replace, Span* span):
    """Point `span` at the text of an event or id, without line ends and NUL.

    It is valid while the returned object lives.
    """
    cdef object held
    if not isinstance(value, str):
        expected = "str or int" if field == "id" else "str"
        raise FrameTypeError(f"{field} must be {expected}, not {type(value).__name__}")
    if PyUnicode_IS_COMPACT_ASCII(value):
        span.data = <const char*> PyUnicode_DATA(value)
        span.size = PyUnicode_GET_LENGTH(value)
        if holds_break(span.data, span.size, True):
            refuse_name(field, value)
        return value
    value = PyUnicode_FromObject(value)  # a subclass may return other text
    refuse_name(field, value)
    held = utf8(value, replace)
    span[0] = span_of(held)
    return held


cdef bytes comment_block(object comment, bint replace):
    if not isinstance(comment, str):
        raise FrameTypeError(f"comment must be str, not {type(comment).__name__}")
    lines = utf8(comment, replace).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return b"".join([b": " + line + b"\n" if line else b":\n" for line in lines])


cdef struct Frame:
    Span comment, id, event, data
    bint has_id, has_event, has_data, has_retry, is_json
    bint is_one_line  # it is not known yet whether the data is
    Lines lines
    char id_digits[24]
    char retry_digits[24]
    int retry_size
    Py_ssize_t size


cdef inline char* write_field(
    char* out, const char* name, int name_size, Span value
) noexcept nogil:
    memcpy(out, name, name_size)
    memcpy(out + name_size, value.data, value.size)
    out[name_size + value.size] = 0x0A
    return out + name_size + value.size + 1


cdef Py_ssize_t measure_frame(Frame* frame) except -1:
    """Return the size of the frame; FrameError if it has no field."""
    cdef Py_ssize_t size = frame.comment.size
    if frame.has_id:
        size += 5 + frame.id.size
    if frame.has_event:
        size += 8 + frame.event.size
    if frame.has_retry:
        size += 8 + frame.retry_size
    if frame.is_json:
        size += 6 + frame.data.size
    elif frame.is_one_line:
        size += 7 + frame.data.size
    elif frame.has_data:
        count_lines(frame.data.data, frame.data.size, &frame.lines)
        size += frame.data.size - frame.lines.end_bytes + 7 * (frame.lines.count + 1)
    if not size:
        raise FrameError("a frame needs data, json, event, id, retry or comment")
    if frame.has_data or frame.has_event or frame.has_id or not frame.has_retry:
        size += 1
    return size


cdef bint write_frame(char* out, Frame* frame) noexcept nogil:
    """Write a measured frame; False if its data was taken for one line and has several."""
    if frame.comment.size:
        memcpy(out, frame.comment.data, frame.comment.size)
        out += frame.comment.size
    if frame.has_id:
        out = write_field(out, b"id: ", 4, frame.id)
    if frame.has_event:
        out = write_field(out, b"event: ", 7, frame.event)
    if frame.has_retry:
        memcpy(out, b"retry: ", 7)
        memcpy(out + 7, frame.retry_digits, frame.retry_size)
        out[7 + frame.retry_size] = 0x0A
        out += 8 + frame.retry_size
    if frame.is_json:
        memcpy(out, b"data: ", 6)
        memcpy(out + 6, frame.data.data, frame.data.size)
        out += 6 + frame.data.size
    elif frame.is_one_line:
        out = copy_long_line(out, frame.data.data, frame.data.size)
        if out == NULL:
            return False
    elif frame.has_data:
        out = write_lines(out, frame.data.data, frame.data.size, &frame.lines)
    if frame.has_data or frame.has_event or frame.has_id or not frame.has_retry:
        out[0] = 0x0A
    return True


cdef object frame_into(Frame* frame, object buffer, object offset, object held):
    """Write a measured frame into the caller's buffer and return the offset after it."""
    cdef Py_buffer view
    cdef char* out
    cdef bytes copy
    writable(buffer, &view)
    try:
        if type(held) is memoryview:
            frame.size = measure_frame(frame)  # getting the buffer may run code that writes
        out = place(&view, offset, frame.size)
        if (
            type(held) is memoryview
            and frame.data.data < out + frame.size
            and out < frame.data.data + frame.data.size
        ):
            copy = bytes_of(frame.data)
            frame.data = span_of(copy)  # the frame overwrites its own data
        write_frame(out, frame)
    finally:
        PyBuffer_Release(&view)
    return offset + frame.size


cdef struct Fields:
    # arguments of a call, borrowed from its caller; `json` is Ellipsis if not given
    PyObject* data
    PyObject* event
    PyObject* id
    PyObject* retry
    PyObject* comment
    PyObject* json
    bint replace


cdef inline Fields no_fields(bint replace) noexcept:
    cdef Fields fields
    fields.data = fields.event = fields.id = fields.retry = fields.comment = <PyObject*> None
    fields.json = <PyObject*> Ellipsis
    fields.replace = replace
    return fields


cdef enum Target:
    TO_BYTES, TO_BUFFER, TO_STREAM


cdef object emit(Fields* fields, Target target, object buffer, object offset):
    """Write one frame; the `held` objects keep the bytes of its fields in place meanwhile."""
    cdef Frame frame
    cdef object held_comment, held_id, held_event, held_data = None
    cdef bytes result
    frame.comment.size = 0
    if fields.comment != <PyObject*> None:
        held_comment = comment_block(<object> fields.comment, fields.replace)
        frame.comment = span_of(held_comment)
    frame.has_id = fields.id != <PyObject*> None
    if frame.has_id:
        held_id = hold_id(<object> fields.id, fields.replace, &frame)
    frame.has_event = fields.event != <PyObject*> None
    if frame.has_event:
        held_event = hold_name("event", <object> fields.event, fields.replace, &frame.event)
    frame.has_retry = fields.retry != <PyObject*> None
    frame.retry_size = 0
    if frame.has_retry:
        frame.retry_size = write_number(
            frame.retry_digits,
            checked_int("retry", <object> fields.retry, 0, LLONG_MAX, "milliseconds"),
        )
    frame.is_json = fields.json != <PyObject*> Ellipsis
    frame.is_one_line = False
    frame.has_data = frame.is_json or fields.data != <PyObject*> None
    if frame.is_json:
        if fields.data != <PyObject*> None:
            raise FrameError("data and json exclude each other")
        held_data = write_json(<object> fields.json, True, fields.replace)
        frame.data = span_of(held_data)
    elif frame.has_data:
        held_data = hold_text("data", <object> fields.data, fields.replace, &frame.data)
        # a caller's buffer must stay as it is if the frame does not fit: its lines are counted
        frame.is_one_line = (
            frame.data.size >= LONG_LINE and target != TO_BUFFER
            and not holds_line_end(frame.data.data, SEARCHED_BLOCK)  # most lines are short
        )
    while True:
        frame.size = measure_frame(&frame)
        if target == TO_BUFFER:
            return frame_into(&frame, buffer, offset, held_data)
        if target == TO_BYTES:
            result = new_bytes(frame.size)
            use_large_pages(PyBytes_AS_STRING(result), frame.size)
            if write_frame(PyBytes_AS_STRING(result), &frame):
                return result
        elif write_frame(reserve(<Buffer> buffer, frame.size), &frame):
            (<Buffer> buffer).length += frame.size
            return None
        frame.is_one_line = False


cdef inline object hold_id(object id, bint replace, Frame* frame):
    if isinstance(id, int) and not isinstance(id, bool):
        frame.id.size = write_number(
            frame.id_digits, checked_int("id", id, -LLONG_MAX, LLONG_MAX, "")
        )
        frame.id.data = frame.id_digits
        return None
    return hold_name("id", id, replace, &frame.id)
