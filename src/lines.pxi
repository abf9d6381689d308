# Lines out of chunks: CR, LF and CRLF each end one, wherever the chunks were cut.
#
# Search is memchr for LF, and for CR only up to that LF, so no byte is looked at twice for the
# same end; an unfinished line is appended to a buffer and never rescanned.
# Twin of gaistream/pure/lines.py.

cdef struct Scanner:
    const char* at
    const char* end
    const char* lf      # the next LF (or the end), where it is known: not before `at`
    bint after_cr       # the last chunk ended in CR: an LF that comes next belongs to it


cdef inline void scan(Scanner* scanner, Span chunk) noexcept nogil:
    """Begin a chunk."""
    scanner.at = chunk.data
    scanner.end = chunk.data + chunk.size
    scanner.lf = NULL
    if scanner.after_cr and chunk.size:
        scanner.after_cr = False
        if chunk.data[0] == 0x0A:
            scanner.at += 1


cdef inline bint next_line(Scanner* scanner, Span* line) noexcept nogil:
    """Give the next line that ends in this chunk; where none does, the rest stays at `at`."""
    cdef const char* cr
    if scanner.at >= scanner.end:
        return False
    if scanner.lf == NULL or scanner.lf < scanner.at:
        scanner.lf = <const char*> memchr(scanner.at, 0x0A, scanner.end - scanner.at)
        if scanner.lf == NULL:
            scanner.lf = scanner.end
    line.data = scanner.at
    cr = <const char*> memchr(scanner.at, 0x0D, scanner.lf - scanner.at)
    if cr != NULL:
        line.size = cr - scanner.at
        scanner.at = cr + 1
        if scanner.at == scanner.end:
            scanner.after_cr = True
        elif scanner.at[0] == 0x0A:
            scanner.at += 1
        return True
    if scanner.lf == scanner.end:
        return False
    line.size = scanner.lf - scanner.at
    scanner.at = scanner.lf + 1
    return True


cdef Py_ssize_t check_limit(str name, object limit) except -1:
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise FrameTypeError(f"{name} must be int, not {type(limit).__name__}")
    if not 1 <= limit <= 2**62:
        raise FrameError(f"{name} must be from 1 to {2**62} bytes, not {shown(limit)}")
    return limit


cdef inline int append_span(Buffer buffer, Span span) except -1:
    if span.size:
        memcpy(reserve(buffer, span.size), span.data, span.size)
        buffer.length += span.size
    return 0


cdef class LineSplitter:
    """An incremental line splitter over bytes. Belongs to one task.

    A line longer than `max_line_bytes` raises EventTooLarge, upon which the splitter is closed.
    """

    cdef Buffer pending
    cdef Scanner scanner
    cdef Py_ssize_t limit
    cdef bint closed

    def __cinit__(self, *_, **__):
        self.pending = Buffer.__new__(Buffer)  # there, even if a subclass forgets __init__

    def __init__(self, *, max_line_bytes=16777216):
        self.limit = check_limit("max_line_bytes", max_line_bytes)
        self.scanner.after_cr = False
        self.closed = False
        cut(self.pending, 0)

    def feed(self, data):
        """Take a chunk and give the lines that it completes, without their ends.

        Raises EventTooLarge for a line beyond the limit, ClosedError after that or close().
        """
        cdef Span line
        cdef list lines = []
        if self.closed:
            raise ClosedError("the line splitter is closed")
        held = readable("data", data)
        scan(&self.scanner, span_of(held))
        while next_line(&self.scanner, &line):
            self.check(self.pending.length + line.size)
            if self.pending.length:
                append_span(self.pending, line)
                lines.append(take(self.pending))
            else:
                lines.append(PyBytes_FromStringAndSize(line.data, line.size))
        line.data = self.scanner.at
        line.size = self.scanner.end - self.scanner.at
        if line.size:
            self.check(self.pending.length + line.size)
            append_span(self.pending, line)
        return lines

    def close(self):
        """End the input and give the last line, if one was left without its end."""
        self.closed = True
        last = take(self.pending)
        return [last] if last else []

    cdef int check(self, Py_ssize_t size) except -1:
        if size > self.limit:
            self.closed = True
            cut(self.pending, 0)
            raise EventTooLarge(
                f"a line exceeds max_line_bytes={self.limit}: it has at least {size} bytes"
            )
        return 0
