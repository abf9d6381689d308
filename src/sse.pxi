# Server-Sent Events out: one frame in the byte profile that every client accepts.
#
# Plan: check every field in the wire's order and point a span at its bytes; measure; get exactly
# that much room (new bytes, the caller's buffer, or the stream's); write once. Lines of data are
# found by memchr, and their ends remembered from the measuring for the writing.
# Twin of gaistream/core/pure/sse.py.

import copyreg

from libc.limits cimport LLONG_MAX


cdef dict FORBIDDEN = {"\r": "CR", "\n": "LF", "\0": "NUL"}

cdef enum:
    REMEMBERED_ENDS = 64


cdef struct Lines:
    Py_ssize_t count            # line ends found
    Py_ssize_t end_bytes        # what they take in the input (CRLF takes two)
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


cdef inline int write_number(char* out, long long number) noexcept nogil:
    """Write a number in decimal and give how many characters it took."""
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


cdef object refuse_name(str field, object value):
    for index, character in enumerate(value):
        if character in FORBIDDEN:
            raise FrameError(
                f"{field} must not contain CR, LF or NUL: "
                f"found {FORBIDDEN[character]} at index {index} of {len(value)} characters"
            )


cdef object hold_name(str field, object value, bint replace, Span* span):
    """Point `span` at the text of an event or id, which a line end or NUL would break out of."""
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
    value = PyUnicode_FromObject(value)  # a subclass may say something else
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
    Lines lines
    char id_digits[24]
    char retry_digits[24]
    int retry_size
    Py_ssize_t size


cdef inline char* write_field(char* out, const char* name, int name_size, Span value) noexcept nogil:
    memcpy(out, name, name_size)
    memcpy(out + name_size, value.data, value.size)
    out[name_size + value.size] = 0x0A
    return out + name_size + value.size + 1


cdef Py_ssize_t measure_frame(Frame* frame) except -1:
    """Give the bytes that the frame takes; FrameError where it has none."""
    cdef Py_ssize_t size = frame.comment.size
    if frame.has_id:
        size += 5 + frame.id.size
    if frame.has_event:
        size += 8 + frame.event.size
    if frame.has_retry:
        size += 8 + frame.retry_size
    if frame.is_json:
        size += 6 + frame.data.size
    elif frame.has_data:
        count_lines(frame.data.data, frame.data.size, &frame.lines)
        size += frame.data.size - frame.lines.end_bytes + 7 * (frame.lines.count + 1)
    if not size:
        raise FrameError("a frame needs data, json, event, id, retry or comment")
    if frame.has_data or frame.has_event or frame.has_id or not frame.has_retry:
        size += 1
    return size


cdef void write_frame(char* out, Frame* frame) noexcept nogil:
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
    elif frame.has_data:
        out = write_lines(out, frame.data.data, frame.data.size, &frame.lines)
    if frame.has_data or frame.has_event or frame.has_id or not frame.has_retry:
        out[0] = 0x0A


cdef object frame_into(Frame* frame, object buffer, object offset, object held):
    """Write a measured frame into the caller's buffer and give the offset behind it."""
    cdef Py_buffer view
    cdef char* out
    cdef bytes copy
    writable(buffer, &view)
    try:
        if type(held) is memoryview:
            frame.size = measure_frame(frame)  # getting the buffer may have run code that wrote
        out = place(&view, offset, frame.size)
        if (
            type(held) is memoryview
            and frame.data.data < out + frame.size
            and out < frame.data.data + frame.data.size
        ):
            copy = bytes_of(frame.data)
            frame.data = span_of(copy)  # the data stands where the frame goes
        write_frame(out, frame)
    finally:
        PyBuffer_Release(&view)
    return offset + frame.size


cdef enum Target:
    TO_BYTES, TO_BUFFER, TO_STREAM


cdef object emit(
    object data, object event, object id, object retry, object comment, object json,
    bint replace, Target target, object buffer, object offset,
):
    """Write one frame to where `target` says; `held…` keep its fields in place meanwhile."""
    cdef Frame frame
    cdef object held_comment, held_id, held_event, held_data = None
    cdef bytes result
    frame.comment.size = 0
    if comment is not None:
        held_comment = comment_block(comment, replace)
        frame.comment = span_of(held_comment)
    frame.has_id = id is not None
    if frame.has_id:
        if isinstance(id, int) and not isinstance(id, bool):
            frame.id.size = write_number(
                frame.id_digits, checked_int("id", id, -LLONG_MAX, LLONG_MAX, "")
            )
            frame.id.data = frame.id_digits
        else:
            held_id = hold_name("id", id, replace, &frame.id)
    frame.has_event = event is not None
    if frame.has_event:
        held_event = hold_name("event", event, replace, &frame.event)
    frame.has_retry = retry is not None
    frame.retry_size = 0
    if frame.has_retry:
        frame.retry_size = write_number(
            frame.retry_digits, checked_int("retry", retry, 0, LLONG_MAX, "milliseconds")
        )
    frame.is_json = json is not Ellipsis
    frame.has_data = frame.is_json or data is not None
    if frame.is_json:
        if data is not None:
            raise FrameError("data and json exclude each other")
        held_data = write_json(json, True, replace)
        frame.data = span_of(held_data)
    elif frame.has_data:
        held_data = hold_text("data", data, replace, &frame.data)
    frame.size = measure_frame(&frame)
    if target == TO_BYTES:
        result = new_bytes(frame.size)
        write_frame(PyBytes_AS_STRING(result), &frame)
        return result
    if target == TO_STREAM:
        write_frame(reserve(<Buffer> buffer, frame.size), &frame)
        (<Buffer> buffer).length += frame.size
        return None
    return frame_into(&frame, buffer, offset, held_data)


cdef inline bint holds_break(const char* text, Py_ssize_t size, bint name) noexcept nogil:
    """Tell whether ASCII text holds CR or LF, or NUL in a name."""
    cdef uint64_t word, line_feed, carriage_return, found
    cdef Py_ssize_t index = 0
    cdef unsigned char code
    if size >= 128:  # where calls cost less than they save
        return (
            memchr(text, 0x0A, size) != NULL or memchr(text, 0x0D, size) != NULL
            or (name and memchr(text, 0, size) != NULL)
        )
    while index + 8 <= size:
        memcpy(&word, text + index, 8)
        line_feed = word ^ 0x0A0A0A0A0A0A0A0AULL
        carriage_return = word ^ 0x0D0D0D0D0D0D0D0DULL
        # "has a zero byte"; exact, for no byte is above 0x7F
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


cdef inline bint plain(object text, bint name) noexcept:
    """Tell whether this is an ASCII str of one line."""
    return (
        PyUnicode_CheckExact(text)
        and PyUnicode_IS_COMPACT_ASCII(text)
        and not holds_break(<const char*> PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text), name)
    )


cdef enum:
    SEARCHED_BLOCK = 8192
    LONG = 65536


cdef inline bint is_long(object text) noexcept:
    """Tell whether this is an ASCII str that is not searched before it is copied."""
    return (
        PyUnicode_CheckExact(text) and PyUnicode_GET_LENGTH(text) >= LONG
        and PyUnicode_IS_COMPACT_ASCII(text)
    )


cdef inline char* write_name(char* out, object event, Py_ssize_t name_size) noexcept:
    """Write the line of a plain event, of `name_size` bytes; nothing where that is 0."""
    if not name_size:
        return out
    memcpy(out, b"event: ", 7)
    memcpy(out + 7, PyUnicode_DATA(event), name_size - 8)
    out[name_size - 1] = 0x0A
    return out + name_size


cdef inline bytes plain_frame(object data, object event):
    """Give the frame of two plain strings: the usual small frame, without the general way."""
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(data)
    cdef Py_ssize_t name_size = 0 if event is None else PyUnicode_GET_LENGTH(event) + 8
    cdef bytes result = new_bytes(name_size + size + 8)
    cdef char* out = write_name(PyBytes_AS_STRING(result), event, name_size)
    write_line(out, <const char*> PyUnicode_DATA(data), size)
    out[size + 7] = 0x0A
    return result


cdef bytes long_frame(object data, object event):
    """Give the frame of a long ASCII str and a plain event; None where it has several lines.

    Read once: each block is searched, and copied while the caches hold it.
    """
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(data)
    cdef Py_ssize_t name_size = 0 if event is None else PyUnicode_GET_LENGTH(event) + 8
    cdef const char* text = <const char*> PyUnicode_DATA(data)
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t length
    cdef bytes result
    cdef char* out
    if holds_break(text, SEARCHED_BLOCK, False):
        return None  # lines are short as a rule: then nothing was got in vain
    result = new_bytes(name_size + size + 8)
    out = write_name(PyBytes_AS_STRING(result), event, name_size)
    memcpy(out, b"data: ", 6)
    out += 6
    while at < size:
        length = min(size - at, SEARCHED_BLOCK)
        if holds_break(text + at, length, False):
            return None
        memcpy(out + at, text + at, length)
        at += length
    out[size] = 0x0A
    out[size + 1] = 0x0A
    return result


cdef inline bytes json_frame(object payload, object event):
    """Give the frame of a payload and a plain name or None, without the general way."""
    cdef bytes line = write_json(payload, True, False)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(line)
    cdef Py_ssize_t name_size = 0 if event is None else PyUnicode_GET_LENGTH(event) + 8
    cdef bytes result = new_bytes(name_size + size + 7)
    cdef char* out = write_name(PyBytes_AS_STRING(result), event, name_size)
    memcpy(out, b"data: ", 6)
    memcpy(out + 6, PyBytes_AS_STRING(line), size)
    out[size + 6] = 0x0A
    return result


def encode_sse(
    data=None, event=None, *, id=None, retry=None, comment=None, json=..., errors="strict"
):
    """Encode one Server-Sent Event; gaistream.core.pure.encode_sse tells the whole.

    Raises FrameError (a ValueError) for a field that cannot be written, UnicodeEncodeError or
    UnicodeDecodeError for what is not text, EncodeError for a payload that JSON cannot say.
    """
    if (
        errors is STRICT and id is None and retry is None and comment is None
        and (event is None or plain(event, True))
    ):
        if json is not Ellipsis:
            if data is None:
                return json_frame(json, event)
        elif is_long(data):
            frame = long_frame(data, event)
            if frame is not None:
                return frame
        elif plain(data, False):
            return plain_frame(data, event)
    return emit(data, event, id, retry, comment, json, check_errors(errors), TO_BYTES, None, None)


def encode_sse_into(
    buffer, offset, data=None, event=None, *,
    id=None, retry=None, comment=None, json=..., errors="strict",
):
    """Encode one Server-Sent Event into a writable buffer and give the offset behind it.

    Raises BufferTooSmall, with the size `needed`, where it does not fit; nothing is written then.
    """
    return emit(
        data, event, id, retry, comment, json, check_errors(errors), TO_BUFFER, buffer, offset
    )


def encode_comment(text=""):
    """Encode a comment block, which clients ignore: a heartbeat, or the first bytes of a stream."""
    return emit(None, None, None, None, text, ..., False, TO_BYTES, None, None)


@cython.trashcan(True)
cdef class ServerSentEvent:
    """One Server-Sent Event, to be written or as it was read. `bytes(event)` encodes it.

    An event that was read has the name "message" where none was given, and the id that was in
    force; `bytes()` writes neither. Its data is decoded when `data` is asked for.
    """

    cdef public object event, retry, comment
    cdef object set_data  # what was set, or what `raw` was decoded to
    cdef bytes raw        # the data as it came, or None
    cdef object own_or_inherited_id
    cdef bint own_id
    cdef readonly bint _is_json  # what `data` says was given as `json`

    def __init__(
        self, data=None, event=None, *, id=None, retry=None, comment=None, json=...
    ):
        cdef bytes raw = None
        checked = "" if isinstance(data, (str, bytes)) else data  # which can always be written
        if (
            checked is not None or event is not None or id is not None
            or retry is not None or comment is not None
        ):
            emit(checked, event, id, retry, comment, ..., True, TO_BYTES, None, None)
        if json is not Ellipsis:
            if data is not None:
                raise FrameError("data and json exclude each other")
            raw = write_json(json, False, True)
        self.data = data
        with cython.critical_section(self):
            self.raw = raw
            self._is_json = raw is not None
        self.event = event
        self.id = id
        self.retry = retry
        self.comment = comment

    @property
    @cython.critical_section
    def data(self):
        """The text, or what was given for it, or None."""
        if self.set_data is None and self.raw is not None:
            self.set_data = PyUnicode_DecodeUTF8(
                PyBytes_AS_STRING(self.raw), PyBytes_GET_SIZE(self.raw), b"replace"
            )
        return self.set_data

    @data.setter
    @cython.critical_section
    def data(self, data):
        self.set_data = data
        self.raw = None
        self._is_json = False

    @property
    def data_bytes(self):
        """The data as it came over the wire, no str made of it; else the UTF-8 of `data`."""
        cdef bytes raw
        with cython.critical_section(self):
            raw = self.raw
            data = self.set_data
        if raw is not None or data is None:
            return raw
        if isinstance(data, str):
            return utf8(data, False)
        held = readable("data", data)
        return bytes_of(span_of(held))

    @property
    @cython.critical_section
    def id(self):
        """The id; one that is set here is written, one that was inherited is not."""
        return self.own_or_inherited_id

    @id.setter
    @cython.critical_section
    def id(self, id):
        self.own_or_inherited_id = id
        self.own_id = True

    def json(self):
        """Read `data` as JSON, half a surrogate pair as U+FFFD; ValueError if it is none."""
        cdef bytes raw
        with cython.critical_section(self):
            raw = self.raw
        if raw is not None:
            try:
                return json_value(raw, True)
            except ValueError:
                pass  # not UTF-8, perhaps: let the text tell
        data = self.data
        if data is None:
            raise ValueError("the event has no data")
        return json_value(data, True)

    def __bytes__(self):
        data, name, id, retry, comment = written_fields(self)
        return emit(data, name, id, retry, comment, ..., False, TO_BYTES, None, None)

    def __reduce__(self):
        with cython.critical_section(self):
            held = (
                self.set_data, self.raw, self.event, self.own_or_inherited_id, self.retry,
                self.comment, self.own_id, self._is_json,
            )
        more = object.__getstate__(self)  # of a subclass
        if isinstance(more, tuple):
            more = {**(more[0] or {}), **more[1]}
        return copyreg.__newobj__, (type(self),), (held, more)

    def __setstate__(self, state):
        held, more = state
        with cython.critical_section(self):
            self.set_data, self.raw, self.event, self.own_or_inherited_id, self.retry = held[:5]
            self.comment, self.own_id, self._is_json = held[5:]
        for name, value in (more or {}).items():
            setattr(self, name, value)

    def __eq__(self, other):
        if type(other) is not ServerSentEvent:
            return NotImplemented
        return fields_of(self) == fields_of(other)

    __hash__ = None

    def __repr__(self):
        names = ("data", "event", "id", "retry", "comment")
        said = [
            f"{name}={value!r}"
            for name, value in zip(names, fields_of(self)) if value is not None
        ]
        return f"ServerSentEvent({', '.join(said)})"


name_type(ServerSentEvent, b"gaistream.ServerSentEvent")


cdef tuple fields_of(ServerSentEvent event):
    data = event.data
    with cython.critical_section(event):
        return (data, event.event, event.own_or_inherited_id, event.retry, event.comment)


cdef tuple written_fields(ServerSentEvent event):
    """Give what is written of an event: neither the usual name nor an inherited id."""
    data = event.data
    with cython.critical_section(event):
        if event._is_json:
            data = event.raw
        name, retry, comment = event.event, event.retry, event.comment
        id = event.own_or_inherited_id if event.own_id else None
    return data, None if name == "message" else name, id, retry, comment


cdef inline ServerSentEvent read_event(bytes data, object event, object id, object retry, bint own_id):
    """Make the event that a decoder has read."""
    cdef ServerSentEvent made = ServerSentEvent.__new__(ServerSentEvent)
    made.raw = data
    made.event = event
    made.own_or_inherited_id = id
    made.retry = retry
    made.own_id = own_id
    return made
