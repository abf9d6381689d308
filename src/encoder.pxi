# The base of the encoders: events are written as frames into one reused buffer.
#
# A dialect decides how an event is written. For deltas it may have templates, which are rendered
# here and which it may change; for any other item `dialect.write(encoder, item)` calls back. A
# write that raises leaves nothing behind: no bytes, no used id, no template. Nothing can be
# written after the end.
#
# An encoder belongs to one task. Each def holds the object, and a dialect may let another thread
# come between. Twin of gaistream/core/pure/encoder.py.


cdef struct Mark:
    Py_ssize_t length
    long long takes
    long long next_id
    long long sequence
    Py_ssize_t pieces
    bint id_written
    bint hint_open
    bint failed


cdef class BaseEncoder:
    """The part that all formats share.

    `ended`: the end was written, nothing may follow. `failed`: the last event was an Error.
    """

    cdef public bint ended, failed
    cdef Buffer buffer
    cdef object dialect
    cdef FrameTemplate text         # of `templates`
    cdef FrameTemplate reasoning    # likewise
    cdef list pieces                # likewise
    cdef bint plain                 # there are no pieces, and no template has a number
    cdef bint skips_empty           # an empty delta is not written
    cdef tuple fixed                # the templates with which the encoder begins
    cdef tuple templates            # all: of text, reasoning, the call with an id; this id; pieces
    cdef long long number           # of the next numbered frame
    cdef bint replace, id_written
    cdef long long takes    # how often the buffer was emptied
    cdef bint hint_open     # the last block is a retry without its blank line
    cdef long long next_id  # 0: frames are not numbered
    cdef bint joins
    cdef object half        # of a surrogate pair: the last delta ended in it
    cdef object half_kind

    def __cinit__(self, *_, **__):
        self.buffer = Buffer.__new__(Buffer)  # there, even if a subclass forgets __init__

    def __init__(self, dialect, size, errors):
        cdef Buffer buffer = Buffer(size)
        cdef bint replace = check_errors(errors)
        templates = checked_templates(dialect.text_template, dialect.reasoning_template)
        with cython.critical_section(self):
            self.buffer = buffer
            self.ended = self.failed = self.id_written = self.hint_open = False
            self.takes = 0
            self.joins = False
            self.half = None
            self.half_kind = TextDelta
            self.replace = replace
            self.number = 0
            self.fixed = templates
            self.use_templates(templates)
            self.dialect = dialect

    @cython.critical_section
    def join_halves(self):
        """From now on join the halves of a surrogate pair that is split over two deltas.

        The half at the end of a delta waits for the next item, and becomes U+FFFD unless that
        begins with the other half. With errors="strict" nothing changes.
        """
        self.joins = self.replace and getattr(self.dialect, "joins_text", False)

    @cython.critical_section
    def set_templates(
        self, *, text=None, reasoning=None, tool_call=None, tool_call_id=None, pieces=None
    ):
        """Replace the templates of the deltas that follow; called by a dialect's `write`.

        Without a template the dialect is asked. `tool_call` is for the call with `tool_call_id`.
        An empty delta that has one of these templates is not written, any other is added to the
        list `pieces`. Raises FrameTypeError, and FrameError for one of `tool_call` alone.
        """
        self.use_templates(checked_templates(text, reasoning, tool_call, tool_call_id, pieces))

    @property
    def sequence(self):
        """The number of the next frame whose template has a slot for one; a dialect may set it."""
        with cython.critical_section(self):
            return self.number

    @sequence.setter
    def sequence(self, value):
        number = checked_int("sequence", value, 0, LARGEST_NUMBER, "")
        with cython.critical_section(self):
            self.number = number

    @property
    def pending(self):
        """Bytes that were not taken yet."""
        with cython.critical_section(self):
            return self.buffer.length

    @cython.critical_section
    def take(self):
        """Return all pending bytes."""
        self.takes += 1
        return take(self.buffer)

    @cython.critical_section
    def take_into(self, buffer, offset=0):
        """Move all pending bytes into a writable buffer and return the offset after them.

        Raises BufferTooSmall, and moves nothing, if they do not fit.
        """
        end = take_into(self.buffer, buffer, offset)
        self.takes += 1
        return end

    def write(self, item):
        """Write one event, or another item that the dialect takes.

        Raises ClosedError after the end, EventError for an item that is not an event, FrameError,
        EncodeError or UnicodeError for one that cannot be written.
        """
        with cython.critical_section(self):
            self.write_item(item)

    def write_many(self, items):
        """Write many events, up to the first Done.

        If one of them raises, those before it are written and those after it are not.
        """
        self.write_items(items)

    def encode_many(self, items):
        """Return the frames of many events, up to the first Done, and restore the encoder.

        The dialect's own state is not restored: use it with a dialect that has none.
        """
        cdef Mark mark
        cdef Py_ssize_t start
        with cython.critical_section(self):
            self.check_open()
            mark = self.mark()
            half = self.half
            templates = self.templates
        try:
            self.write_items(items)
            with cython.critical_section(self):
                start = mark.length if mark.takes == self.takes else 0
                return take_after(self.buffer, min(start, self.buffer.length))
        finally:
            with cython.critical_section(self):
                self.restore(mark, templates)
                self.half = half

    @cython.critical_section
    def write_ready(self, frame):
        """Write a whole frame as it is."""
        self.check_open()
        append(self.buffer, frame)

    @cython.critical_section
    def fail(self, error):
        """Write the dialect's error frame; nothing may follow."""
        self.write_end(True, error)

    @cython.critical_section
    def finish(self):
        """Write the dialect's end of a stream that succeeded; nothing may follow."""
        self.write_end(False, None)

    @cython.final
    cdef inline int check_open(self) except -1:
        if self.ended:
            raise ClosedError("the stream has ended: nothing may follow")
        return 0

    @cython.final
    cdef inline int write_item(self, object item) except -1:
        self.check_open()
        if self.joins and self.needs_joining(item):
            return self.write_joined(item)
        if type(item) is TextDelta:
            if self.text is not None:
                return self.write_text(self.text, (<TextDelta> item).text)
        elif type(item) is str:
            if self.text is not None:
                return self.write_text(self.text, item)
        elif type(item) is ReasoningDelta:
            if self.reasoning is not None:
                return self.write_text(self.reasoning, (<ReasoningDelta> item).text)
        return self.write_other(item)

    @cython.final
    cdef int write_items(self, object items) except -1:
        cdef Py_ssize_t index = 0
        self.check_open()
        if type(items) is not list:
            for item in items:
                with cython.critical_section(self):
                    self.write_item(item)
                if self.ended:
                    break
            return 0
        while index < len(<list> items) and not self.ended:
            with cython.critical_section(self):
                index = self.write_run(items, index)
                if index < len(<list> items):
                    item = item_at(items, index)
                    if is_gone(item):
                        break
                    self.write_item(item)
                    index += 1
        return 0

    @cython.final
    cdef inline Py_ssize_t write_run(self, list items, Py_ssize_t index) except -1:
        """Write the text deltas from an index on, and return the index of the first other item."""
        cdef Py_ssize_t end
        cdef FrameTemplate text = self.text  # kept: getting an item may let another thread change it
        if text is None or not self.plain or self.joins or self.next_id:
            return index
        end = text.append_run(self.buffer, items, index, self.replace, True)
        if end > index:
            self.failed = self.hint_open = False
        return end

    @cython.final
    cdef inline int write_text(self, FrameTemplate template, object text) except -1:
        if self.skips_empty and not PyUnicode_GET_LENGTH(text):
            self.failed = False
            return 0
        template.append_to(self.buffer, text, self.replace, self.next_id)
        if not self.plain:
            if template.middle is not None:
                template.append_number(self.buffer, self.number)
                self.number += 1
            if self.pieces is not None:
                self.pieces.append(text)
        self.count_text()
        return 0

    @cython.final
    cdef int write_other(self, object item) except -1:
        """Write an item by the template of its tool call, or by the dialect."""
        if (
            self.templates[2] is not None and type(item) is ToolCallDelta
            and (<ToolCallDelta> item).id == <str> self.templates[3]
        ):
            return self.write_text(self.templates[2], (<ToolCallDelta> item).text)
        return self.ask_dialect(item)

    @cython.final
    cdef inline void count_text(self) noexcept:
        self.failed = False
        self.hint_open = False
        if self.next_id:
            self.next_id += 1
            self.id_written = True

    @cython.final
    cdef int ask_dialect(self, object item) except -1:
        cdef Mark mark = self.mark()
        templates = self.templates
        # only "json" writes None, and after an Error the dialect says whether a Done is a success
        if item is not None and type(item) is not Done and type(item) is not dict:
            self.failed = False
        try:
            self.dialect.write(self, item)
        except BaseException:
            self.restore(mark, templates)
            raise
        return 0

    @cython.final
    cdef int write_end(self, bint failed, object error) except -1:
        cdef Mark mark
        self.check_open()
        mark = self.mark()
        half = self.half
        templates = self.templates
        try:
            self.write_half()
            if failed:
                self.dialect.fail(self, error)
            else:
                self.dialect.finish(self)
        except BaseException:
            self.restore(mark, templates)
            self.half = half
            raise
        self.ended = True
        if failed:
            self.failed = True
        return 0

    # ---- halves of surrogate pairs ----

    @cython.final
    cdef bint needs_joining(self, object item) noexcept:
        """Return True if an item comes after half of a surrogate pair, or ends in one."""
        cdef str text = text_of(item)
        return self.half is not None or (text is not None and ends_in_half(text))

    @cython.final
    cdef int write_joined(self, object item) except -1:
        cdef Mark mark = self.mark()
        cdef str text = text_of(item)
        half = self.half
        templates = self.templates
        kind = TextDelta if type(item) is str else type(item)
        try:
            if text is None or kind is not self.half_kind:
                self.write_half()
            whole, self.half = self.half or "", None
            if text is None:
                return self.write_item(item)
            whole += text
            rest = None
            if whole and ends_in_half(whole):
                whole, rest = whole[:len(whole) - 1], whole[len(whole) - 1]
            if whole:
                whole = whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
                timestamp = None if type(item) is str else item.timestamp
                self.write_item(kind(whole, timestamp=timestamp))
            self.half = rest
            self.half_kind = kind
        except BaseException:
            self.restore(mark, templates)
            self.half = half
            raise
        return 0

    @cython.final
    cdef int write_half(self) except -1:
        """Write U+FFFD for a half whose other half did not come."""
        if self.half is not None:
            self.half = None
            self.write_item(self.half_kind("\ufffd"))
        return 0

    # ---- the state before a write, for when it raises ----

    @cython.final
    cdef inline Mark mark(self) noexcept:
        cdef Mark mark
        mark.length = self.buffer.length
        mark.takes = self.takes
        mark.next_id = self.next_id
        mark.sequence = self.number
        mark.pieces = 0 if self.pieces is None else len(self.pieces)
        mark.id_written = self.id_written
        mark.hint_open = self.hint_open
        mark.failed = self.failed
        return mark

    @cython.final
    cdef inline void restore(self, Mark mark, tuple templates) noexcept:
        # After a take, none of the bytes before the mark are left; after an enclosing write that
        # failed first, in another thread, fewer of them.
        cut(self.buffer, min(mark.length, self.buffer.length) if mark.takes == self.takes else 0)
        self.next_id = mark.next_id
        self.number = mark.sequence
        if self.templates is not templates:
            self.use_templates(templates)
        if self.pieces is not None:
            del self.pieces[mark.pieces:]
        self.id_written = mark.id_written
        self.hint_open = mark.hint_open
        self.failed = mark.failed
        self.ended = False

    @cython.final
    cdef void use_templates(self, tuple templates) noexcept:
        self.text, self.reasoning, tool_call, _, self.pieces = templates
        self.templates = templates
        self.skips_empty = templates is not self.fixed
        self.plain = self.pieces is None and not (
            has_number(self.text) or has_number(self.reasoning) or has_number(tool_call)
        )
