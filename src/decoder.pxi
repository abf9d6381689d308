# Server-Sent Events in: bytes to events by the WHATWG rules, whatever the chunking.
#
# Lines are read in place; an unfinished one and the data of an unfinished event are each kept in
# a buffer. An event is given as soon as its blank line is complete; a CR completes it at once.
# Twin of gaistream/pure/decoder.py.


cdef inline bint same(Span span, const char* name, Py_ssize_t size) noexcept nogil:
    return span.size == size and memcmp(span.data, name, size) == 0


cdef inline object decoded(Span span):
    return PyUnicode_DecodeUTF8(span.data, span.size, b"replace")


cdef str checked_id(value):
    if not isinstance(value, str):
        raise FrameTypeError(f"last_event_id must be str, not {type(value).__name__}")
    return str.__str__(value)


cdef class SSEDecoder:
    """An incremental decoder of Server-Sent Events. Belongs to one task.

    A pending line and the data of its event together may have `max_event_bytes`; beyond that
    EventTooLarge is raised and the decoder is closed.
    """

    cdef public str last_event_id
    cdef public object retry
    cdef Buffer pending
    cdef Buffer data
    cdef bint after_cr
    cdef Py_ssize_t limit
    cdef bint closed
    cdef bint first
    cdef bint has_data
    cdef bint own_id
    cdef object event
    cdef str id
    cdef object event_retry

    def __cinit__(self, *_, **__):
        self.pending = Buffer.__new__(Buffer)  # there, even if a subclass forgets __init__
        self.data = Buffer.__new__(Buffer)

    def __init__(self, *, max_event_bytes=16777216, last_event_id=""):
        self.limit = check_limit("max_event_bytes", max_event_bytes)
        self.after_cr = False
        self.closed = False
        self.first = True
        self.own_id = False
        self.id = checked_id(last_event_id)
        self.last_event_id = self.id
        self.retry = None
        cut(self.pending, 0)
        self.reset()

    def feed(self, data):
        """Take a chunk and give the events that it completes.

        Raises EventTooLarge for an event beyond the limit (its `values` are the events before
        it), ClosedError after that or close().
        """
        cdef Scanner scanner
        cdef Span line
        cdef list events = []
        if self.closed:
            raise ClosedError("the decoder is closed")
        held = readable("data", data)
        scanner = scan(span_of(held), &self.after_cr)
        while next_line(&scanner, &line):
            self.check(self.pending.length + line.size, events)
            if self.pending.length:
                append_span(self.pending, line)
                line.data = self.pending.data
                line.size = self.pending.length
            if self.first:
                self.first = False
                if line.size >= 3 and memcmp(line.data, b"\xef\xbb\xbf", 3) == 0:
                    line.data += 3
                    line.size -= 3
            if line.size:
                self.field(line)
            else:
                self.dispatch(events)
            cut(self.pending, 0)
        line.data = scanner.at
        line.size = scanner.end - scanner.at
        self.check(self.pending.length + line.size, events)
        append_span(self.pending, line)
        return events

    def close(self):
        """End the input. An event without its blank line is not given, as the standard demands."""
        self.closed = True
        cut(self.pending, 0)
        self.reset()

    cdef void reset(self) noexcept:
        cut(self.data, 0)
        self.has_data = False
        self.event = None
        self.event_retry = None

    cdef int check(self, Py_ssize_t size, list events) except -1:
        size += self.data.length
        if size > self.limit:
            self.close()
            raise EventTooLarge("an event", "max_event_bytes", self.limit, size, events)
        return 0

    cdef int field(self, Span line) except -1:
        cdef Span name = line
        cdef Span value
        cdef const char* colon = <const char*> memchr(line.data, 0x3A, line.size)
        value.data = line.data + line.size
        value.size = 0
        if colon != NULL:
            name.size = colon - line.data
            value.data = colon + 1
            value.size = line.size - name.size - 1
            if value.size and value.data[0] == 0x20:
                value.data += 1
                value.size -= 1
        if same(name, b"data", 4):
            if self.has_data:
                reserve(self.data, 1)[0] = 0x0A
                self.data.length += 1
            self.has_data = True
            append_span(self.data, value)
        elif same(name, b"event", 5):
            self.event = decoded(value)
        elif same(name, b"id", 2):
            if memchr(value.data, 0, value.size) == NULL:
                self.id = decoded(value)
                self.own_id = True
        elif same(name, b"retry", 5):
            self.set_retry(value)
        return 0

    cdef int set_retry(self, Span value) except -1:
        cdef unsigned long long number = 0
        cdef Py_ssize_t index
        cdef int digits = 0
        if not value.size:
            return 0
        for index in range(value.size):
            if not 0x30 <= value.data[index] <= 0x39:
                return 0
            if digits or value.data[index] != 0x30:
                digits += 1
                if digits <= 19:
                    number = number * 10 + (value.data[index] - 0x30)
        self.retry = number if digits <= 19 and number <= LLONG_MAX else MAX_INT
        self.event_retry = self.retry
        return 0

    cdef int dispatch(self, list events) except -1:
        cdef Span data
        self.last_event_id = self.id
        if self.has_data:
            data.data = self.data.data
            data.size = self.data.length
            events.append(
                read_event(
                    decoded(data) if data.size else "",
                    self.event or "message",
                    self.id,
                    self.event_retry,
                    self.own_id,
                )
            )
            self.own_id = False  # until an id comes again
        self.reset()
        return 0
