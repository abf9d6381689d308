# Newline-delimited JSON in: bytes to values, one a line, whatever the chunking.
#
# memchr finds LF. A line is copied once: into bytes for the caller's `loads`, or for the installed
# JSON library into one bytearray that all lines of usual size share. An unfinished line is appended
# to a buffer and never rescanned. The state is consistent whenever foreign code (`loads`,
# `on_error`) runs, and while it runs `busy` refuses every other use.
# Twin of gaistream/core/pure/ndjson_decoder.py.

from cpython.bytearray cimport PyByteArray_Resize


cdef enum:
    SCRATCH = 65536  # a longer line gets its own bytes


cdef inline bint is_blank(Span line) noexcept nogil:
    cdef Py_ssize_t index
    for index in range(line.size):
        if line.data[index] != 0x20 and line.data[index] != 0x09 and line.data[index] != 0x0D:
            return False
    return True


cdef class NDJSONDecoder:
    """An incremental decoder of newline-delimited JSON. Belongs to one task.

    A line longer than `max_line_bytes` raises EventTooLarge and closes the decoder. `loads` reads
    the bytes of a line; None returns lines as bytes. A line that is no JSON value raises
    NDJSONError (`feed(b"")` continues after it), is skipped, or is passed to the callable
    `on_error`. With `strict`, a blank line and a byte order mark are errors too.
    """

    cdef Buffer pending
    cdef Py_ssize_t limit
    cdef Py_ssize_t line_number  # lines begun and ended so far
    cdef Py_ssize_t at           # offset in the first chunk of the bytes not read yet
    cdef list chunks
    cdef list values             # decoded, but not returned yet
    cdef object loads, on_error
    cdef object line             # being decoded, or None
    cdef bytearray scratch       # the line, for a `loads` that keeps no reference to it
    cdef bint own_loads, strict, closed, busy

    def __cinit__(self, *_, **__):
        self.pending = Buffer.__new__(Buffer)  # exists even if a subclass forgets __init__
        self.chunks = []
        self.values = []
        self.closed = True

    def __init__(self, *, max_line_bytes=16777216, strict=False, loads=..., on_error="raise"):
        cdef Py_ssize_t limit
        self.enter()
        limit = checked_int("max_line_bytes", max_line_bytes, 1, 2**62, "bytes")
        if not (loads is Ellipsis or loads is None or callable(loads)):
            raise FrameTypeError(f"loads must be callable or None, not {type(loads).__name__}")
        if not (on_error == "raise" or on_error == "skip" or callable(on_error)):
            raise FrameError(f"on_error must be 'raise', 'skip' or callable, not {on_error!r}")
        cdef bint is_strict = bool(strict)
        with cython.critical_section(self):
            self.enter()  # again: the checks may have run code
            self.limit = limit
            self.pending.most = limit
            self.own_loads = loads is Ellipsis
            self.strict = is_strict
            cut(self.pending, 0)
            self.line_number = 0
            self.at = 0
            self.closed = False
            self.line = None
            self.chunks = []
            self.scratch = bytearray()
            self.values = []
            self.loads = loads
            self.on_error = on_error

    @cython.critical_section
    def feed(self, data):
        """Read a chunk and return the values of the lines that it completes.

        Raises NDJSONError for a line that is no JSON value; `feed(b"")` continues after it. Raises
        EventTooLarge for a line beyond the limit, ClosedError after that, after close(), or from
        within.
        """
        if self.closed:
            raise ClosedError("the decoder is closed")
        self.enter()
        held = readable("data", data)
        if type(held) is not bytes:
            held = bytes_of(span_of(held))
        self.enter()  # again: getting the bytes may have run code
        self.chunks.append(held)
        return self.work(False)

    @cython.critical_section
    def close(self):
        """End the input and return the value of a last line that had no end, in a list.

        Raises as `feed`; call it again for the lines after a bad one.
        """
        self.enter()
        self.closed = True
        return self.work(True)

    cdef int enter(self) except -1:
        if self.busy:
            raise ClosedError("the decoder is at work: it cannot be used from within itself")
        return 0

    cdef list work(self, bint last):
        cdef list values
        self.busy = True
        try:
            while True:
                try:
                    self.read_all(last)
                    break
                except Exception as error:
                    if self.line is None:
                        raise
                    line = bytes(self.line)
                    self.line = None
                    self.refuse(error, line)
        finally:
            self.line = None
            self.busy = False
        values = self.values
        self.values = []
        return values

    cdef int read_all(self, bint last) except -1:
        """Read all chunks; if decoding a line raises, call it again for the lines after it."""
        cdef bytes line
        while self.chunks:
            self.read(self.chunks[0])
            self.at = 0
            del self.chunks[0]
        if last and self.pending.length:
            line = take(self.pending)
            self.take_line(span_of(line), line)
        return 0

    cdef int read(self, bytes chunk) except -1:
        cdef const char* start = PyBytes_AS_STRING(chunk)
        cdef const char* end = start + PyBytes_GET_SIZE(chunk)
        cdef const char* lf
        cdef bytes whole
        cdef Span line
        while True:
            line.data = start + self.at
            lf = <const char*> memchr(line.data, 0x0A, end - line.data)
            if lf == NULL:
                break
            line.size = lf - line.data
            self.at = lf + 1 - start
            self.check(line)
            if self.pending.length:
                append_span(self.pending, line)
                whole = take(self.pending)
                self.take_line(span_of(whole), whole)
            else:
                self.take_line(line, None)
        line.size = end - line.data
        if line.size:
            self.check(line)
            append_span(self.pending, line)
            self.at = end - start
        return 0

    cdef inline int check(self, Span piece) except -1:
        if self.pending.length + piece.size > self.limit:
            self.check_long(piece)
        return 0

    cdef int check_long(self, Span piece) except -1:
        """Refuse a piece that makes the pending line too long; a CR at its end does not count."""
        cdef Py_ssize_t size = self.pending.length + piece.size
        cdef char last = (
            piece.data[piece.size - 1] if piece.size else self.pending.data[size - 1]
        )
        size -= last == 0x0D
        if size > self.limit:
            self.closed = True
            cut(self.pending, 0)
            self.chunks.clear()
            values = self.values
            self.values = []
            name = f"line {self.line_number + 1}"
            raise EventTooLarge(name, "max_line_bytes", self.limit, size, values)
        return 0

    cdef inline int take_line(self, Span line, bytes whole) except -1:
        """Read a line without its LF; `whole` is a bytes object of it, or None."""
        self.line_number += 1
        if line.size and line.data[line.size - 1] == 0x0D:
            line.size -= 1
        if self.line_number == 1 and line.size >= 3 and memcmp(line.data, b"\xef\xbb\xbf", 3) == 0:
            if self.strict:
                return self.refuse("a byte order mark", bytes_of(line))
            line.data += 3
            line.size -= 3
        if is_blank(line):
            return self.refuse("a blank line", bytes_of(line)) if self.strict else 0
        if self.own_loads and line.size <= SCRATCH:
            PyByteArray_Resize(self.scratch, line.size)
            memcpy(PyByteArray_AS_STRING(self.scratch), line.data, line.size)
            self.line = self.scratch
        else:
            if whole is None or PyBytes_GET_SIZE(whole) != line.size:
                whole = bytes_of(line)
            if self.loads is None:
                self.values.append(whole)
                return 0
            self.line = whole
        value = json_value(self.line, True) if self.own_loads else self.loads(self.line)
        self.line = None
        self.values.append(value)
        return 0

    cdef int refuse(self, why, bytes line) except -1:
        if self.on_error == "skip":
            return 0
        error = NDJSONError.of(why, self.line_number, line, [])
        if callable(self.on_error):
            self.on_error(error)
            return 0
        error.values = self.values
        self.values = []
        raise error from (why if isinstance(why, Exception) else None)
