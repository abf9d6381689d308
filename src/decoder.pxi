# Server-Sent Events in: bytes to events by the WHATWG rules, whatever the chunking.
#
# Lines are read in place: data of one line is copied into the event from this chunk, or from the
# pending line that this chunk completes. An unfinished line and the data of an unfinished event
# each have a buffer. An event is returned as soon as its blank line is complete; a CR completes it
# at once.
# Twin of gaistream/core/pure/decoder.py.


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

    A pending line and the data of its event may have `max_event_bytes` together; a larger event
    raises EventTooLarge and closes the decoder.
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
    cdef str event  # name of the event being read, or None
    cdef str name   # the last name read
    cdef str id
    cdef object event_retry

    def __cinit__(self, *_, **__):
        self.pending = Buffer.__new__(Buffer)  # exists even if a subclass forgets __init__
        self.data = Buffer.__new__(Buffer)

    def __init__(self, *, max_event_bytes=16777216, last_event_id=""):
        cdef Py_ssize_t limit = checked_int("max_event_bytes", max_event_bytes, 1, 2**62, "bytes")
        cdef str id = checked_id(last_event_id)
        with cython.critical_section(self):
            self.limit = limit
            self.after_cr = False
            self.closed = False
            self.first = True
            self.own_id = False
            self.pending.most = limit
            self.data.most = limit
            self.name = ""
            self.id = id
            self.last_event_id = id
            self.retry = None
            cut(self.pending, 0)
            self.reset()

    @cython.critical_section
    def feed(self, data):
        """Read a chunk and return the events that it completes.

        Raises EventTooLarge for an event beyond the limit (its `values` are the events before
        it), ClosedError after that or close().
        """
        cdef Scanner scanner
        cdef Span line
        cdef Span alone  # the data so far if it is one line of this chunk, not copied yet
        cdef Py_ssize_t pending  # bytes of the first line that earlier chunks held
        cdef bint in_pending = False  # that line is whole, and `alone` may point to it
        cdef list events = []
        if self.closed:
            raise ClosedError("the decoder is closed")
        held = readable("data", data)
        scanner = scan(span_of(held), &self.after_cr)
        alone.data = NULL
        alone.size = 0
        while next_line(&scanner, &line):
            pending = 0 if in_pending else self.pending.length
            if pending + line.size > self.limit - self.data.length - alone.size:
                self.refuse(pending + line.size + alone.size, events)
            if pending:
                append_span(self.pending, line)
                line.data = self.pending.data
                line.size = self.pending.length
                in_pending = True  # until the chunk ends, so that its event is copied once
            self.take_line(line, &alone, events)
        if in_pending:
            self.keep(&alone)  # before the bytes that it points to go
            cut(self.pending, 0)
        line.data = scanner.at
        line.size = scanner.end - scanner.at
        if self.pending.length + line.size > self.limit - self.data.length - alone.size:
            self.refuse(self.pending.length + line.size + alone.size, events)
        append_span(self.pending, line)
        self.keep(&alone)
        return events

    @cython.critical_section
    def close(self):
        """End the input and return an empty list.

        An event without its blank line is discarded, as the standard demands.
        """
        self.closed = True
        cut(self.pending, 0)
        self.reset()
        return []

    cdef inline void reset(self) noexcept:
        if self.data.length:
            cut(self.data, 0)
        self.has_data = False
        self.event = None
        self.event_retry = None

    cdef int refuse(self, Py_ssize_t size, list events) except -1:
        size += self.data.length
        self.close()
        raise EventTooLarge("an event", "max_event_bytes", self.limit, size, events)

    cdef inline int take_line(self, Span line, Span* alone, list events) except -1:
        if self.first:
            self.first = False
            if line.size >= 3 and memcmp(line.data, b"\xef\xbb\xbf", 3) == 0:
                line.data += 3
                line.size -= 3
        if not line.size:
            return self.dispatch(events, alone)
        if line.size >= 5 and memcmp(line.data, b"data:", 5) == 0:
            line.data += 5
            line.size -= 5
            if line.size and line.data[0] == 0x20:
                line.data += 1
                line.size -= 1
            return self.add(line, alone)
        if line.size > 7 and memcmp(line.data, b"event: ", 7) == 0:
            line.data += 7
            line.size -= 7
            return self.set_event(line)
        return self.field(line, alone)

    cdef inline int keep(self, Span* alone) except -1:
        """Copy the data that is still in the chunk."""
        if alone.data != NULL:
            append_span(self.data, alone[0])
            alone.data = NULL
            alone.size = 0
        return 0

    cdef inline int add(self, Span value, Span* alone) except -1:
        """Add a line of data."""
        if not self.has_data:
            self.has_data = True
            alone[0] = value
            return 0
        self.keep(alone)
        reserve(self.data, value.size + 1)[0] = 0x0A
        self.data.length += 1
        return append_span(self.data, value)

    cdef int field(self, Span line, Span* alone) except -1:
        """Read a line that does not begin with `data:`."""
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
        if same(name, b"event", 5):
            self.set_event(value)
        elif same(name, b"id", 2):
            if memchr(value.data, 0, value.size) == NULL:
                self.id = decoded(value)
                self.own_id = True
        elif same(name, b"data", 4):
            self.add(value, alone)
        elif same(name, b"retry", 5):
            self.set_retry(value)
        return 0

    cdef inline int set_event(self, Span value) except -1:
        """Set the name; mostly it equals the last one, and no str is made."""
        if (
            PyUnicode_GET_LENGTH(self.name) != value.size
            or not PyUnicode_IS_COMPACT_ASCII(self.name)
            or memcmp(PyUnicode_DATA(self.name), value.data, value.size) != 0
        ):
            self.name = decoded(value)
        self.event = self.name if value.size else None
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

    cdef int dispatch(self, list events, Span* alone) except -1:
        cdef bytes data
        self.last_event_id = self.id
        if self.has_data:
            if alone.data != NULL:
                data = new_bytes(alone.size)
                use_large_pages(PyBytes_AS_STRING(data), alone.size)
                memcpy(PyBytes_AS_STRING(data), alone.data, alone.size)
                alone.data = NULL
                alone.size = 0
            else:
                data = take(self.data)
            events.append(
                received_event(
                    data,
                    "message" if self.event is None else self.event,
                    self.id,
                    self.event_retry,
                    self.own_id,
                )
            )
            self.own_id = False  # until an id comes again
        self.reset()
        return 0
