# The encoder of newline-delimited JSON: one payload a line.
#
# Twin of gaistream/core/pure/ndjson_encoder.py.


cdef class BaseNDJSONEncoder(BaseEncoder):
    """Write newline-delimited JSON.

    `dumps` encodes payloads if it is not None, else the installed JSON library does, compactly.
    """

    cdef object dumps

    def __init__(self, dialect, size=8192, errors="replace", dumps=None):
        BaseEncoder.__init__(self, dialect, size, errors)
        with cython.critical_section(self):
            self.dumps = dumps

    @cython.critical_section
    def write_line(self, payload):
        """Write one payload as one line."""
        self.write_payload(payload)

    @cython.critical_section
    def write_text_line(self, data):
        """Write a line of JSON text; FrameError if it has a CR or LF in it."""
        cdef Span span
        cdef Py_ssize_t index
        cdef char* out
        self.check_open()
        text = hold_text("data", data, self.replace, &span)
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
        self.write_payload({"type": "ping"})
        self.failed = failed

    @cython.final
    cdef int write_payload(self, object payload) except -1:
        self.check_open()
        if self.dumps is None:
            line = write_json(payload, True, self.replace)
        else:
            line = self.dumps(payload) + b"\n"
        append(self.buffer, line)
        self.failed = False
        return 0
