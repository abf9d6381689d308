# The way into an outbox for those who put into its stream.
#
# Twin of gaistream/core/pure/inlet.py.

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident()

cdef enum:
    PUT_DONE = 0
    PUT_LOOK = 1
    PUT_HOLD = 2
    PUT_CLOSED = 4


cdef class Turns:
    """The turns of an event loop in which something is put."""

    cdef object call_soon, flush_all
    cdef list late
    cdef bint begun
    cdef long long number

    def __cinit__(self, call_soon, flush_all):  # so that another __init__ changes nothing
        self.call_soon = call_soon
        self.flush_all = flush_all
        self.late = []

    cdef int begin(self) except -1:
        if not self.begun:
            self.call_soon(self.end)
            self.begun = True
        return 0

    def end(self):
        """End the turn: flush the inlets into which more than one item was put."""
        cdef list late
        with cython.critical_section(self):
            self.number += 1
            self.begun = False
            if not self.late:
                return
            late = self.late
            self.late = []
        self.flush_all(late)


cdef class Inlet:
    """The way into an outbox for those who put into its stream."""

    cdef public bint is_open
    cdef Outbox outbox
    cdef Turns turns
    cdef object running_loop, loop
    cdef bint at_once, is_late
    cdef long long turn
    cdef unsigned long thread

    def __cinit__(
        self, Outbox outbox not None, Turns turns not None, at_once, running_loop, loop
    ):
        self.outbox = outbox
        self.turns = turns
        self.at_once = at_once
        self.running_loop = running_loop
        self.loop = loop
        self.thread = PyThread_get_thread_ident()
        self.turn = -1
        self.is_late = self.is_open = False

    def put(self, item):
        """Write an item into the outbox, and send it if it is the first of the turn."""
        cdef Turns turns = self.turns
        cdef Outbox outbox = self.outbox
        cdef int must_look
        if not self.is_open or PyThread_get_thread_ident() != self.thread:
            return PUT_CLOSED
        if not turns.begun and self.running_loop() is not self.loop:  # not for each put
            return PUT_CLOSED
        with cython.critical_section(outbox):
            must_look = PUT_LOOK if outbox.accept_item(item) else PUT_DONE
        if not self.at_once:
            return must_look | PUT_HOLD
        if self.turn != turns.number:
            turns.begin()
            self.turn = turns.number
            with cython.critical_section(outbox):
                outbox.flush_all()
        elif not self.is_late:
            with cython.critical_section(turns):
                turns.late.append(self)
            self.is_late = True
        return must_look

    def flush(self):
        """Send what was put."""
        self.is_late = False
        with cython.critical_section(self.outbox):
            self.outbox.flush_all()
