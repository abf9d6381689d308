# Events in, bytes out, through one reused buffer: what stands under every stream.
#
# Text and reasoning go through the dialect's template straight into the buffer; everything else
# goes to `dialect.write(frames, item)`, which calls back. A write that raises leaves nothing
# behind: neither bytes nor a used id. After the end nothing can be written. Belongs to one task:
# each def holds the object, and a dialect that is asked may let another thread come between.
# Twin of gaistream/core/pure/encoder.py.


cdef struct Mark:
    Py_ssize_t length
    long long takes
    long long next_id
    bint id_written
    bint hint_open
    bint failed


cdef class BaseEncoder:
    """What both framings share.

    `ended`: the end was written, nothing may follow. `failed`: the last event was an Error.
    """

    cdef public bint ended
    cdef public bint failed
    cdef Buffer buffer
    cdef object dialect
    cdef FrameTemplate text
    cdef FrameTemplate reasoning
    cdef bint replace
    cdef bint id_written
    cdef long long takes    # how often the buffer was emptied
    cdef bint hint_open     # the last block is a retry without its blank line
    cdef long long next_id  # 0: frames are not numbered
    cdef bint joins
    cdef object half        # of a surrogate pair: it ended a delta, and waits for the next
    cdef object half_kind

    def __cinit__(self, *_, **__):
        self.buffer = Buffer.__new__(Buffer)  # there, even if a subclass forgets __init__

    def __init__(self, dialect, size, errors):
        cdef Buffer buffer = Buffer(size)
        cdef bint replace = check_errors(errors)
        cdef FrameTemplate text = dialect.text_template
        cdef FrameTemplate reasoning = dialect.reasoning_template
        with cython.critical_section(self):
            self.buffer = buffer
            self.ended = self.failed = self.id_written = self.hint_open = False
            self.takes = 0
            self.joins = False
            self.half = None
            self.half_kind = TextDelta
            self.replace = replace
            self.text = text
            self.reasoning = reasoning
            self.dialect = dialect

    @cython.critical_section
    def join_halves(self):
        """From now on join halves of surrogate pairs that come in two deltas.

        A half that ends a delta waits until something else is written, and is U+FFFD then if the
        other half is not there. Nothing changes with errors="strict".
        """
        self.joins = self.replace and getattr(self.dialect, "joins_text", False)

    @property
    def pending(self):
        """Bytes that wait to be taken."""
        with cython.critical_section(self):
            return self.buffer.length

    @cython.critical_section
    def take(self):
        """Give all that waits."""
        self.takes += 1
        return take(self.buffer)

    @cython.critical_section
    def take_into(self, buffer, offset=0):
        """Move all that waits into a writable buffer and give the offset behind it.

        Raises BufferTooSmall, and moves nothing, where it does not fit.
        """
        end = take_into(self.buffer, buffer, offset)
        self.takes += 1
        return end

    def write(self, item):
        """Write one event, or what the dialect takes for one.

        Raises ClosedError after the end, EventError for what is no event, FrameError, EncodeError
        or UnicodeError for one that cannot be written.
        """
        with cython.critical_section(self):
            write_item(self, item)

    def write_many(self, items):
        """Write many events; what follows Done is left out.

        Where one raises, those before it are written and those behind it are not.
        """
        check_open(self)
        for item in items:
            with cython.critical_section(self):
                write_item(self, item)
            if self.ended:
                break

    @cython.critical_section
    def write_ready(self, frame):
        """Write bytes as they are: frames that somebody else has made."""
        check_open(self)
        append(self.buffer, frame)

    @cython.critical_section
    def fail(self, error):
        """Write the dialect's error frame; nothing may follow."""
        write_end(self, True, error)

    @cython.critical_section
    def finish(self):
        """Write the dialect's end of a stream that succeeded; nothing may follow."""
        write_end(self, False, None)


cdef inline int check_open(BaseEncoder self) except -1:
    if self.ended:
        raise ClosedError("the stream has ended: nothing may follow")
    return 0


cdef inline int write_item(BaseEncoder self, object item) except -1:
    check_open(self)
    if self.joins and is_parted(self, item):
        return write_joined(self, item)
    if type(item) is TextDelta:
        if self.text is not None:
            return write_text(self, self.text, (<TextDelta> item).text)
    elif type(item) is str:
        if self.text is not None:
            return write_text(self, self.text, item)
    elif type(item) is ReasoningDelta:
        if self.reasoning is not None:
            return write_text(self, self.reasoning, (<ReasoningDelta> item).text)
    return ask_dialect(self, item)


cdef inline int write_text(BaseEncoder self, FrameTemplate template, object text) except -1:
    append_template(self.buffer, template, text, self.replace, self.next_id)
    self.failed = False
    self.hint_open = False
    if self.next_id:
        self.next_id += 1
        self.id_written = True
    return 0


cdef inline bint ends_in_half(object text) noexcept:
    cdef Py_ssize_t size
    cdef int kind = PyUnicode_KIND(text)
    if kind == 1:
        return False
    size = PyUnicode_GET_LENGTH(text)
    if kind == 2:
        return 0xD800 <= (<const uint16_t*> PyUnicode_DATA(text))[size - 1] < 0xDC00
    return 0xD800 <= (<const uint32_t*> PyUnicode_DATA(text))[size - 1] < 0xDC00


cdef str text_in(object item):
    """Give the text of an item that is a delta; else None."""
    if type(item) is TextDelta:
        return (<TextDelta> item).text
    if type(item) is str:
        return item
    if type(item) is ReasoningDelta:
        return (<ReasoningDelta> item).text
    return None


cdef bint is_parted(BaseEncoder self, object item) noexcept:
    """Tell whether an item comes after half of a surrogate pair, or ends in one."""
    cdef str text
    if self.half is not None:
        return True
    text = text_in(item)
    return text is not None and ends_in_half(text)


cdef int write_joined(BaseEncoder self, object item) except -1:
    cdef Mark mark = mark_of(self)
    cdef str text = text_in(item)
    held = self.half
    kind = TextDelta if type(item) is str else type(item)
    try:
        if text is None or kind is not self.half_kind:
            write_half(self)
        whole, self.half = self.half or "", None
        if text is None:
            return write_item(self, item)
        whole += text
        left = None
        if whole and ends_in_half(whole):
            whole, left = whole[:len(whole) - 1], whole[len(whole) - 1]
        if whole:
            whole = whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            when = None if type(item) is str else item.timestamp
            write_item(self, kind(whole, timestamp=when))
        self.half = left
        self.half_kind = kind
    except BaseException:
        restore(self, mark)
        self.half = held
        raise
    return 0


cdef int write_half(BaseEncoder self) except -1:
    """Write a half of which the other half did not come."""
    if self.half is not None:
        self.half = None
        write_item(self, self.half_kind("\ufffd"))
    return 0


cdef int ask_dialect(BaseEncoder self, object item) except -1:
    cdef Mark mark = mark_of(self)
    if item is not None:  # which no dialect but "json" writes
        self.failed = False
    try:
        self.dialect.write(self, item)
    except BaseException:
        restore(self, mark)
        raise
    return 0


cdef int write_end(BaseEncoder self, bint failed, object error) except -1:
    cdef Mark mark
    check_open(self)
    mark = mark_of(self)
    half = self.half
    try:
        write_half(self)
        if failed:
            self.dialect.fail(self, error)
        else:
            self.dialect.finish(self)
    except BaseException:
        restore(self, mark)
        self.half = half
        raise
    self.ended = True
    if failed:
        self.failed = True
    return 0


cdef inline Mark mark_of(BaseEncoder self) noexcept:
    cdef Mark mark
    mark.length = self.buffer.length
    mark.takes = self.takes
    mark.next_id = self.next_id
    mark.id_written = self.id_written
    mark.hint_open = self.hint_open
    mark.failed = self.failed
    return mark


cdef void restore(BaseEncoder self, Mark mark) noexcept:
    # what was there at the mark is gone where a take came between; a write around this one that
    # failed first, in another thread, has left less
    cut(self.buffer, min(mark.length, self.buffer.length) if mark.takes == self.takes else 0)
    self.next_id = mark.next_id
    self.id_written = mark.id_written
    self.hint_open = mark.hint_open
    self.failed = mark.failed
    self.ended = False


cdef class BaseSSEEncoder(BaseEncoder):
    """Server-Sent Events into a buffer; with `include_id` its frames are numbered from 1.

    `dumps` makes JSON of payloads, if the installed library is not to do it.
    """

    cdef object dumps

    def __init__(
        self, dialect, size=4096, errors="replace", include_id=False, dumps=None
    ):
        BaseEncoder.__init__(self, dialect, size, errors)
        with cython.critical_section(self):
            self.dumps = dumps
        self.next_id = 1 if include_id else 0

    @property
    def last_id(self):
        """The number of the last numbered frame; 0 before the first."""
        return max(self.next_id - 1, 0)

    @cython.critical_section
    def write_event(self, event, data):
        """Write a frame with this name; `data` is text, or any payload, which becomes JSON."""
        if data is None or isinstance(data, (str, bytes, bytearray, memoryview)):
            write_fields(self, data, event, None, None, None, ...)
        else:
            write_fields(self, None, event, None, None, None, data)

    @cython.critical_section
    def write_frame(
        self, data=None, event=None, *, id=None, retry=None, comment=None, json=...
    ):
        """Write a frame by its fields, as encode_sse does.

        With include_id a frame that has content and no id of its own gets the next number.
        """
        write_fields(self, data, event, id, retry, comment, json)

    def write_sse_event(self, ServerSentEvent event not None):
        """Write a ServerSentEvent."""
        data, name, id, retry, comment = written_fields(event)
        with cython.critical_section(self):
            write_fields(self, data, name, id, retry, comment, ...)

    @cython.critical_section
    def write_ready(self, frame):
        """Write bytes as they are: frames that somebody else has made."""
        check_open(self)
        append(self.buffer, frame)
        held = bytes(frame)
        if held.startswith(b"id:") or b"\nid:" in held:
            self.id_written = True
        if held:
            self.hint_open = not held.endswith(b"\n\n")

    @cython.critical_section
    def write_comment(self, text=""):
        """Write a comment block.

        Its blank line is left out once an id was written, and behind a retry of its own: some
        decoders emit an empty event at it then. Before, it is there for readers that split on
        blank lines.
        """
        write_fields(self, None, None, None, None, text, ...)

    @cython.critical_section
    def write_heartbeat(self):
        """Write a keep-alive comment."""
        write_fields(self, None, None, None, None, "keep-alive", ...)

    @cython.critical_section
    def write_prelude(self, retry=None):
        """Write the first bytes of a stream, and a reconnection time in milliseconds if given."""
        check_open(self)
        hint = b""
        if retry is not None:
            hint = emit(None, None, None, retry, None, ..., False, TO_BYTES, None, None)
        quiet = self.id_written or self.hint_open
        append(self.buffer, (b":\n" if quiet else b":\n\n") + hint)
        self.hint_open = retry is not None


cdef int write_fields(
    BaseSSEEncoder self,
    object data, object event, object id, object retry, object comment, object json,
) except -1:
    cdef bint content = data is not None or event is not None or json is not Ellipsis
    check_open(self)
    if json is not Ellipsis and self.dumps is not None and data is None:
        data = self.dumps(json)
        json = ...
    if id is None and self.next_id and content:
        emit(
            data, event, self.next_id, retry, comment, json, self.replace,
            TO_STREAM, self.buffer, None,
        )
        self.next_id += 1
        self.id_written = True
    else:
        emit(data, event, id, retry, comment, json, self.replace, TO_STREAM, self.buffer, None)
        if id is not None:
            self.id_written = True
    if content or id is not None:
        self.hint_open = False
        self.failed = False
    elif retry is not None:
        self.hint_open = True
    elif self.id_written or self.hint_open:
        self.buffer.length -= 1  # no blank line behind a comment: decoders emit an event at it
    return 0


cdef class BaseNDJSONEncoder(BaseEncoder):
    """Newline-delimited JSON into a buffer; `dumps` where it is not to be the compact form."""

    cdef object dumps

    def __init__(self, dialect, size=8192, errors="replace", dumps=None):
        BaseEncoder.__init__(self, dialect, size, errors)
        with cython.critical_section(self):
            self.dumps = dumps

    @cython.critical_section
    def write_line(self, payload):
        """Write one payload as one line."""
        write_payload(self, payload)

    @cython.critical_section
    def write_text_line(self, data):
        """Write a line that is JSON already; CR and LF within it are refused."""
        cdef Span span
        cdef Py_ssize_t index
        cdef char* out
        check_open(self)
        held = hold_text("data", data, self.replace, &span)
        for index in range(span.size):
            if span.data[index] == 0x0D or span.data[index] == 0x0A:
                name = "CR" if span.data[index] == 0x0D else "LF"
                raise FrameError(
                    "data must be one line: "
                    f"found {name} at index {index} of {span.size} bytes"
                )
        out = reserve(self.buffer, span.size + 1)
        memcpy(out, span.data, span.size)
        out[span.size] = 0x0A
        self.buffer.length += span.size + 1
        self.failed = False

    @cython.critical_section
    def write_heartbeat(self):
        """Write a ping line."""
        cdef bint failed = self.failed
        write_payload(self, {"type": "ping"})
        self.failed = failed


cdef int write_payload(BaseNDJSONEncoder self, object payload) except -1:
    check_open(self)
    if self.dumps is None:
        line = json_bytes(payload, True, self.replace)
    else:
        line = self.dumps(payload) + b"\n"
    append(self.buffer, line)
    self.failed = False
    return 0
