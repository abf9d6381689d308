# Lines out of chunks: CR, LF and CRLF each end one, wherever the chunks were cut.
#
# memchr finds the next LF and the next CR; each is remembered until it is passed, so no byte is
# searched twice for the same end. An unfinished line is appended to a buffer and never rescanned.
# Twin of gaistream/core/pure/lines.py.

cdef struct Scanner:
    const char* at
    const char* end
    const char* lf      # the next LF, or the end; unknown if before `at`
    const char* cr      # the next CR, likewise


cdef inline Scanner scan(Span chunk, bint* after_cr) noexcept nogil:
    """Begin a chunk; with `after_cr`, the one before ended in CR, and an LF belongs to that."""
    cdef Scanner scanner
    scanner.at = chunk.data
    scanner.end = chunk.data + chunk.size
    scanner.lf = NULL
    scanner.cr = NULL
    if chunk.size:
        if after_cr[0] and chunk.data[0] == 0x0A:
            scanner.at += 1
        after_cr[0] = scanner.at != scanner.end and (scanner.end - 1)[0] == 0x0D
    return scanner


cdef inline bint next_line(Scanner* scanner, Span* line) noexcept nogil:
    """Find the next line that ends in this chunk; if there is none, the rest begins at `at`."""
    if scanner.at >= scanner.end:
        return False
    if scanner.lf < scanner.at:
        scanner.lf = <const char*> memchr(scanner.at, 0x0A, scanner.end - scanner.at)
        if scanner.lf == NULL:
            scanner.lf = scanner.end
    if scanner.cr < scanner.at:
        scanner.cr = <const char*> memchr(scanner.at, 0x0D, scanner.end - scanner.at)
        if scanner.cr == NULL:
            scanner.cr = scanner.end
    line.data = scanner.at
    if scanner.lf < scanner.cr:
        line.size = scanner.lf - scanner.at
        scanner.at = scanner.lf + 1
        return True
    if scanner.cr == scanner.end:
        return False
    line.size = scanner.cr - scanner.at
    scanner.at = scanner.cr + 1
    if scanner.at == scanner.lf and scanner.at != scanner.end:
        scanner.at += 1
    return True


cdef class LineSplitter:
    """An incremental line splitter over bytes. Belongs to one task.

    A line longer than `max_line_bytes` raises EventTooLarge and closes the splitter.
    """

    cdef Buffer pending
    cdef bint after_cr
    cdef Py_ssize_t limit
    cdef bint closed

    def __cinit__(self, *_, **__):
        self.pending = Buffer.__new__(Buffer)  # exists even if a subclass forgets __init__

    def __init__(self, *, max_line_bytes=16777216):
        cdef Py_ssize_t limit = checked_int("max_line_bytes", max_line_bytes, 1, 2**62, "bytes")
        with cython.critical_section(self):
            self.limit = limit
            self.pending.most = limit
            self.after_cr = False
            self.closed = False
            cut(self.pending, 0)

    @cython.critical_section
    def feed(self, data):
        """Read a chunk and return the lines that it completes, without their ends.

        Raises EventTooLarge for a line beyond the limit (its `values` are the lines before it),
        ClosedError after that or close().
        """
        cdef Scanner scanner
        cdef Span line
        cdef list lines = []
        if self.closed:
            raise ClosedError("the line splitter is closed")
        held = readable("data", data)
        scanner = scan(span_of(held), &self.after_cr)
        while next_line(&scanner, &line):
            self.check(self.pending.length + line.size, lines)
            if self.pending.length:
                append_span(self.pending, line)
                lines.append(take(self.pending))
            else:
                lines.append(bytes_of(line))
        line.data = scanner.at
        line.size = scanner.end - scanner.at
        if line.size:
            self.check(self.pending.length + line.size, lines)
            append_span(self.pending, line)
        return lines

    @cython.critical_section
    def close(self):
        """End the input and return the last line in a list, if it had no end."""
        self.closed = True
        last = take(self.pending)
        return [last] if last else []

    cdef int check(self, Py_ssize_t size, list lines) except -1:
        if size > self.limit:
            self.closed = True
            cut(self.pending, 0)
            raise EventTooLarge("a line", "max_line_bytes", self.limit, size, lines)
        return 0
