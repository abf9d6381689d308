# The encoder of Server-Sent Events: frames by their fields, ids, comments, the first bytes.
#
# Twin of gaistream/core/pure/sse_encoder.py.


cdef class BaseSSEEncoder(BaseEncoder):
    """Write Server-Sent Events; with `include_id` frames are numbered from 1.

    `dumps` encodes payloads if it is not None, else the installed JSON library does.
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
        """Write a frame with this name; `data` is text, or a payload that is encoded as JSON."""
        if data is None or isinstance(data, (str, bytes, bytearray, memoryview)):
            self.write_fields(data, event, None, None, None, ...)
        else:
            self.write_fields(None, event, None, None, None, data)

    @cython.critical_section
    def write_frame(
        self, data=None, event=None, *, id=None, retry=None, comment=None, json=...
    ):
        """Write a frame by its fields, as encode_sse does.

        With include_id a frame that has content, and no id in `id`, gets the next number.
        """
        self.write_fields(data, event, id, retry, comment, json)

    def write_sse_event(self, ServerSentEvent event not None):
        """Write a ServerSentEvent."""
        data, name, id, retry, comment = event.written()
        with cython.critical_section(self):
            self.write_fields(data, name, id, retry, comment, ...)

    @cython.critical_section
    def write_ready(self, frame):
        """Write a whole frame as it is."""
        self.check_open()
        append(self.buffer, frame)
        written = bytes(frame)
        if written.startswith(b"id:") or b"\nid:" in written:
            self.id_written = True
        if written:
            self.hint_open = not written.endswith(b"\n\n")

    @cython.critical_section
    def write_comment(self, text=""):
        """Write a comment block.

        Readers that split on blank lines need the blank line at its end. After an id, or after a
        block of only a retry, it is left out, because some decoders emit an empty event at it.
        """
        self.write_fields(None, None, None, None, text, ...)

    @cython.critical_section
    def write_heartbeat(self):
        """Write a keep-alive comment."""
        self.write_fields(None, None, None, None, "keep-alive", ...)

    @cython.critical_section
    def write_prelude(self, retry=None):
        """Write the first bytes of a stream, and a reconnection time in milliseconds if given."""
        cdef Fields fields = no_fields(False)
        self.check_open()
        hint = b""
        if retry is not None:
            fields.retry = <PyObject*> retry
            hint = emit(&fields, TO_BYTES, None, None)
        quiet = self.id_written or self.hint_open
        append(self.buffer, (b":\n" if quiet else b":\n\n") + hint)
        self.hint_open = retry is not None

    @cython.final
    cdef int write_fields(
        self, object data, object event, object id, object retry, object comment, object json
    ) except -1:
        cdef bint content = data is not None or event is not None or json is not Ellipsis
        cdef bint numbered
        cdef Fields fields
        self.check_open()
        if json is not Ellipsis and self.dumps is not None and data is None:
            data = self.dumps(json)
            json = ...
        numbered = id is None and self.next_id and content
        if numbered:
            id = self.next_id
        fields = Fields(
            data=<PyObject*> data, event=<PyObject*> event, id=<PyObject*> id,
            retry=<PyObject*> retry, comment=<PyObject*> comment, json=<PyObject*> json,
            replace=self.replace,
        )
        emit(&fields, TO_STREAM, self.buffer, None)
        if numbered:
            self.next_id += 1
        if id is not None:
            self.id_written = True
        if content or id is not None:
            self.hint_open = False
            self.failed = False
        elif retry is not None:
            self.hint_open = True
        elif self.id_written or self.hint_open:
            self.buffer.length -= 1  # no blank line, see write_comment
        return 0
