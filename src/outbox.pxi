# The frames of one stream on their way from its source to its connection.
#
# Fields of C where nobody else needs them, so that an event costs no lookup, and no frame of Python
# between a task and its source. Each def holds the object, so that misuse by several threads does
# not harm memory. Twin of gaistream/core/pure/outbox.py.

import time

from cpython.contextvars cimport PyContext_Enter, PyContext_Exit
from cpython.ref cimport Py_XDECREF

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    PySendResult PyIter_Send(object steps, object value, PyObject** given) except PYGEN_ERROR
    bint PyCoro_CheckExact(object value)

cdef object perf_counter = time.perf_counter
cdef object monotonic = time.monotonic

cdef enum:
    TURN_EVENTS = 8  # events of a turn between two looks at the clock

cdef enum Closed:
    OUTBOX_OPEN
    OUTBOX_ENDED
    OUTBOX_CUT


cdef class Outbox:
    """The pending frames of one stream, and the sends that were started for its connection."""

    cdef readonly Py_ssize_t events, bytes
    cdef readonly object idle_since, sending_since
    cdef public object after_step
    cdef BaseEncoder encoder
    cdef Closed closed
    cdef bint due, held, at_once, one_by_one, shares_context
    cdef object create_future, time, started, waiter, room
    cdef object send, loop, task, context, current_tasks  # of the permit
    cdef Py_ssize_t flush_size, most_pending, turn_bytes, turn_size, turn_events
    cdef double turn, turn_seconds

    def __cinit__(self, *_, **__):
        self.encoder = BaseEncoder.__new__(BaseEncoder)  # there, even if a subclass forgets __init__

    def __init__(
        self, BaseEncoder encoder not None, at_once, flush_size, turn_bytes, turn_seconds,
        most_pending, one_by_one=False,
    ):
        with cython.critical_section(self):
            self.encoder = encoder
            self.at_once, self.flush_size = at_once, flush_size
            self.turn_bytes, self.turn_seconds = turn_bytes, turn_seconds
            self.most_pending = most_pending
            self.one_by_one = one_by_one
            self.turn_size = self.turn_events = self.events = self.bytes = 0
            self.turn = 0
            self.due, self.held, self.closed = True, False, OUTBOX_OPEN
            self.time = monotonic
            self.idle_since = 0.0
            self.create_future = self.sending_since = self.after_step = None
            self.started = self.waiter = self.room = None
            self.drop_permit()

    @cython.critical_section
    def open(self, create_future, time):
        """Take the event loop's futures and clock."""
        self.create_future = create_future
        self.time = time
        self.idle_since = time()

    @property
    def pending(self):
        """Bytes that were not taken yet."""
        with cython.critical_section(self):
            return self.encoder.buffer.length

    @property
    def waiting(self):
        """True if the connection's task waits."""
        with cython.critical_section(self):
            return self.waiter is not None

    # ---- the source's side ----

    @cython.critical_section
    def accept(self, item):
        """Write one item. Return True if the source's task must look up before the next."""
        return self.accept_item(item)

    cdef bint accept_item(self, item) except -1:
        cdef BaseEncoder encoder = self.encoder
        cdef Py_ssize_t before, pending
        if self.closed:
            return True
        with cython.critical_section(encoder):
            before = encoder.buffer.length
            encoder.write_item(item)
            pending = encoder.buffer.length
        self.turn_events += 1
        if item is None and pending == before:  # no event
            return self.turn_is_over()
        self.events += 1
        self.turn_size += pending - before
        if not self.due:
            if pending >= self.flush_size:
                self.due = True
            elif not self.held:
                return True
        if self.one_by_one and pending:
            if not self.start_send(True) or self.sending_since is not None:
                return True
            pending = 0
        return encoder.ended or pending >= self.most_pending or self.turn_is_over()

    cdef bint turn_is_over(self) except -1:
        cdef double now
        if self.turn_size >= self.turn_bytes:
            return True
        if self.turn_events % TURN_EVENTS:
            return False
        now = perf_counter()
        if self.turn_events == TURN_EVENTS:
            self.turn = now
        return now - self.turn > self.turn_seconds

    @cython.critical_section
    def hold(self):
        """Return True if the caller must schedule a `flush` for the pending bytes."""
        if self.due or self.held:
            return False
        self.held = True
        return True

    @cython.critical_section
    def wait_for_room(self):
        """Return a future for when the pending bytes are taken; None if there is room.

        With `one_by_one` it is for when they are sent.
        """
        if self.closed or not self.is_full():
            return None
        self.room = self.create_future()
        return self.room

    cdef bint is_full(self) except -1:
        if self.one_by_one:
            return self.encoder.buffer.length > 0 or self.sending_since is not None
        return self.encoder.buffer.length >= self.most_pending

    @cython.critical_section
    def flush(self):
        """Send all pending bytes now."""
        self.flush_all()

    cdef int flush_all(self) except -1:
        self.held = False
        if self.encoder.buffer.length:
            self.due = True
            self.send_due(False)
        return 0

    @cython.critical_section
    def close(self, reason=None):
        """Accept no more items. Without a reason the pending bytes are sent, else they are not."""
        if self.closed == OUTBOX_CUT:
            return
        self.closed = OUTBOX_ENDED if reason is None else OUTBOX_CUT
        self.due = True
        settle(self.room)
        self.wake()

    # ---- the connection's side ----

    def grant(self, permit):
        """Start sends as steps of the connection's task from now on, while it waits."""
        send, loop, task, context = permit.send, permit.loop, permit.task, permit.context
        current_tasks, shares_context = permit.current_tasks, permit.shares_context
        with cython.critical_section(self):
            self.send = send
            self.loop = loop
            self.task = task
            self.context = context
            self.current_tasks = current_tasks
            self.shares_context = shares_context

    @cython.critical_section
    def take(self, bint sending=False):
        """Return the bytes that are due, b"" if there are none, or if the stream was cut."""
        cdef bytes chunk = self.take_due()
        if sending:
            self.sending_since = self.idle_since if chunk else None
            if self.one_by_one and not chunk:
                settle(self.room)
        return chunk

    @cython.critical_section
    def wait(self):
        """Return a future for when bytes are due, a send was started, or the outbox is closed."""
        self.waiter = self.create_future()
        return self.waiter

    @cython.critical_section
    def take_started(self):
        """Return a send whose first step was made: its steps, what it waits for, or its error."""
        started = self.started
        self.started = None
        return started

    @cython.critical_section
    def begin_send(self):
        """Note that something other than a chunk is being sent."""
        self.sending_since = self.time()

    @cython.critical_section
    def end_send(self):
        """Note that nothing is being sent."""
        self.sending_since = None

    @cython.critical_section
    def release(self):
        """Drop the permit, whose send and task may refer to the stream."""
        self.drop_permit()
        self.after_step = None

    cdef int drop_permit(self) except -1:
        self.send = self.loop = self.task = self.context = self.current_tasks = None
        self.shares_context = False
        return 0

    cdef bytes take_due(self):
        cdef BaseEncoder encoder = self.encoder
        cdef bytes chunk
        if self.closed == OUTBOX_CUT or not self.due:
            return b""
        with cython.critical_section(encoder):
            encoder.takes += 1
            chunk = take(encoder.buffer)
        if chunk:
            self.due = self.at_once or not self.events
            self.bytes += len(chunk)
            self.idle_since = self.time()
            if not self.one_by_one:
                settle(self.room)
        return chunk

    cdef int send_due(self, bint in_source) except -1:
        if self.due and self.encoder.buffer.length and not self.start_send(in_source):
            self.wake()
        self.turn_events = self.turn_size = 0
        return 0

    cdef int start_send(self, bint in_source) except -1:
        """Start a send for the connection's task; return False if that cannot be done here."""
        cdef object current_tasks = self.current_tasks
        cdef object loop = self.loop
        cdef object context = self.context
        if self.task is None or self.waiter is None:
            return False
        try:
            running = swap(current_tasks, loop, self.task)
        except Exception:  # the task sends itself, then
            return False
        try:
            if in_source and self.shares_context:  # entered already, and cannot be once more
                self.send_in_context()
                return True
            try:
                PyContext_Enter(context)
            except RuntimeError:  # the running task shares the context
                return False
            try:
                self.send_in_context()
            finally:
                PyContext_Exit(context)
        finally:
            swap(current_tasks, loop, running)
        return True

    cdef int send_in_context(self) except -1:
        """Make the first step of a send, and wake the connection's task if there are more."""
        cdef object waiter = self.waiter
        cdef bytes chunk = self.take_due()
        if not chunk:
            return 0
        self.waiter = None  # no other send is started meanwhile
        self.sending_since = self.idle_since
        try:
            self.started = first_step(self.send(chunk))
        except BaseException as error:
            self.started = None, None, error
        if self.started is None:
            self.sending_since = None
        self.waiter = waiter
        if self.started is not None or self.closed:
            self.wake()
        return 0

    cdef int wake(self) except -1:
        cdef object waiter = self.waiter
        self.waiter = None
        return settle(waiter)


cdef object swap(object current_tasks, object loop, object task):
    """Make a task, or None, the loop's current one, and return the one before."""
    cdef dict tasks
    if type(current_tasks) is not dict:
        return current_tasks(loop, task)
    tasks = current_tasks
    before = tasks.get(loop)
    if task is not None:
        tasks[loop] = task
    elif before is not None:
        del tasks[loop]
    return before


cdef object first_step(object send):
    cdef PyObject* given = NULL
    cdef PySendResult how
    cdef bint is_coroutine = PyCoro_CheckExact(send)  # and is stepped as it is, without its wrapper
    if not is_coroutine:
        send = send.__await__()
    how = PyIter_Send(send, None, &given)
    waits_for = <object> given
    Py_XDECREF(given)
    if how == PYGEN_RETURN:
        return None
    return send.__await__() if is_coroutine else send, waits_for, None


cdef int settle(object future) except -1:
    if future is not None and not future.done():
        future.set_result(None)
    return 0
