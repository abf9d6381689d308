# From a source to a connection: what a stream does for each event and for each send.
#
# The reader of a source has every item accepted, and looks up only where it is told to. Whenever
# the source blocks (that is: whenever its reader's coroutine suspends), what is due is sent: begun
# right there while the sender waits, else the sender is woken. Fields of C where nobody else asks
# for them, so that an event costs no lookup, and no frame of Python between a task and the reader.
# The rest of a stream's life is in gaistream/streaming/stream.py, for both twins. Belongs to one event loop;
# each def holds the object, so that misuse by several threads does not harm memory.
# Twin of gaistream/core/pure/sender.py.

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
    TURN_EVENTS = 8  # after so many events of a turn it is looked how long it has lasted


cdef class FrameSender:
    """Frames on their way from a source to a connection. Belongs to one event loop."""

    cdef readonly BaseEncoder _frames
    cdef public bint _due, _held, _finished
    cdef public Py_ssize_t events, bytes
    cdef public object _interrupted, _time, _idle_since, _sending_since
    cdef public object _sender, _rest, _waiter, _room, _source_context
    cdef object send, loop, context, current
    cdef bint at_once, shares_context
    cdef Py_ssize_t flush_size, most_pending, turn_bytes, turn_size, turn_events
    cdef double turn, turn_seconds

    def __cinit__(self, *_, **__):
        # there, even if a subclass forgets __init__
        self._frames = BaseEncoder.__new__(BaseEncoder)

    def __init__(
        self, BaseEncoder frames not None, at_once, flush_size, turn_bytes, turn_seconds,
        most_pending
    ):
        self._frames = frames
        self.at_once = at_once
        self.flush_size = flush_size
        self.turn_bytes = turn_bytes
        self.turn_seconds = turn_seconds
        self.most_pending = most_pending
        self.turn_size = 0
        self.turn_events = 0
        self.turn = 0
        self.events = 0
        self.bytes = 0
        self._due = True
        self._held = False
        self._finished = False
        self._interrupted = None
        self._time = monotonic
        self._idle_since = 0.0
        self._sending_since = None
        self._sender = self._rest = self._waiter = self._room = self._source_context = None
        self.shares_context = False

    @cython.critical_section
    def _accept(self, item):
        """Write what the source yielded; tells whether its reader is to look up.

        That is where the stream is over (and nothing was written), its end was written, nobody
        has been asked yet to say when what waits is due, the loop is to be given a turn, or the
        source has to wait for room.
        """
        cdef BaseEncoder frames = self._frames
        cdef Py_ssize_t before, pending
        if self._finished or self._interrupted is not None:
            return True
        with cython.critical_section(frames):
            before = frames.buffer.length
            frames.write_item(item)
            pending = frames.buffer.length
        if item is None and pending == before:  # no event
            return False
        self.events += 1
        self.turn_events += 1
        self.turn_size += pending - before
        if not self._due:
            if pending >= self.flush_size:
                self._due = True
            elif not self._held:
                return True
        return frames.ended or pending >= self.most_pending or turn_is_over(self)

    @cython.critical_section
    def _take(self):
        """Take what is to be sent now; nothing where it may wait, or the stream was cut."""
        return take_due(self)

    @cython.critical_section
    def _send_now(self, bint in_source=False):
        """Send what is due: begun right here while the sender waits, else it is woken.

        With this another turn of the source begins. `in_source`: called by a step of the source's
        task, so in its context.
        """
        send_now(self, in_source)

    @cython.critical_section
    def _lend(self, send, loop, sender, context, current):
        """From now on begin sends in the name of the sender, while it waits.

        `send` gives an awaitable for a chunk; `loop` and `sender` are the event loop and the
        sender's task, `context` is the sender's; `current` is the current task of
        each loop, or what makes another, or None, the loop's current one and gives the one before.
        """
        self.send = send
        self.loop = loop
        self.context = context
        self.current = current
        self.shares_context = context is self._source_context
        self._sender = sender

    @cython.critical_section
    def release(self):
        """Drop the connection's send, task and context, which may refer to this object."""
        self.send = self.loop = self.context = self.current = None
        self._sender = self._source_context = None

    @cython.critical_section
    def _wake(self):
        """Wake the sender, if it waits."""
        wake(self)


cdef bint turn_is_over(FrameSender self) except -1:
    cdef double now
    if self.turn_size >= self.turn_bytes:
        return True
    if self.turn_events % TURN_EVENTS:
        return False
    now = perf_counter()
    if self.turn_events == TURN_EVENTS:
        self.turn = now
    return now - self.turn > self.turn_seconds


cdef bytes take_due(FrameSender self):
    cdef BaseEncoder frames = self._frames
    cdef bytes chunk
    if self._interrupted is not None or not self._due:
        return b""
    with cython.critical_section(frames):
        frames.takes += 1
        chunk = take(frames.buffer)
    if chunk:
        self._due = self.at_once or not self.events
        self.bytes += len(chunk)
        self._idle_since = self._time()
        settle(self._room)
    return chunk


cdef int send_now(FrameSender self, bint in_source) except -1:
    if self._due and self._frames.buffer.length and not begin(self, in_source):
        wake(self)
    self.turn_events = self.turn_size = 0
    return 0


cdef int begin(FrameSender self, bint in_source) except -1:
    """Begin a send in the sender's name; False, and nothing is done, where that cannot be."""
    cdef object current = self.current
    cdef object loop = self.loop
    cdef object context = self.context
    if self._sender is None or self._waiter is None:
        return False
    try:
        running = swap(current, loop, self._sender)
    except Exception:  # the sender does it itself, then
        return False
    try:
        if in_source and self.shares_context:  # it runs already, and cannot be entered twice
            send_in_context(self)
            return True
        try:
            PyContext_Enter(context)
        except RuntimeError:  # it is shared with the task that runs
            return False
        try:
            send_in_context(self)
        finally:
            PyContext_Exit(context)
    finally:
        swap(current, loop, running)
    return True


cdef int send_in_context(FrameSender self) except -1:
    cdef object waiter = self._waiter
    cdef bytes chunk = take_due(self)
    if not chunk:
        return 0
    self._waiter = None  # it sends
    self._sending_since = self._idle_since
    try:
        self._rest = first_step(self.send(chunk))
    except BaseException as error:
        self._rest = None, None, error
    if self._rest is None:
        self._sending_since = None
    self._waiter = waiter
    if self._rest is not None or self._finished or self._interrupted is not None:
        wake(self)
    return 0


cdef object swap(object current, object loop, object task):
    """Make a task, or None, the loop's current one, and give the one before."""
    cdef dict tasks
    if type(current) is not dict:
        return current(loop, task)
    tasks = current
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


cdef int wake(FrameSender self) except -1:
    cdef object waiter = self._waiter
    self._waiter = None
    return settle(waiter)


cdef int settle(object future) except -1:
    if future is not None and not future.done():
        future.set_result(None)
    return 0


cdef class SourceReader:
    """A coroutine that reads a source; whenever it suspends, its sender sends what is due."""

    cdef FrameSender sender
    cdef object coroutine

    def __cinit__(self, *_, **__):
        pass  # and so it is neither copied nor pickled

    def __init__(self, FrameSender sender not None, coroutine):
        with cython.critical_section(self):
            self.sender = sender
            self.coroutine = coroutine

    def __await__(self):
        """Give what is stepped."""
        return self

    def __iter__(self):
        """Give what is stepped."""
        return self

    def __next__(self):
        """Step."""
        with cython.critical_section(self):
            return read_on(self, None)

    def send(self, value):
        """Step, with what a suspended step is answered."""
        with cython.critical_section(self):
            return read_on(self, value)

    def throw(self, *error):
        """Step, by raising an error where the coroutine waits."""
        with cython.critical_section(self):
            try:
                waits_for = self.coroutine.throw(*error)
            except BaseException:
                self.sender = None
                raise
            return send_and_wait(self, waits_for)

    def close(self):
        """End the coroutine where it waits."""
        with cython.critical_section(self):
            self.sender = None
            self.coroutine.close()

    def __getattr__(self, name):
        """Give what else is asked of a coroutine, such as its frame."""
        return getattr(self.coroutine, name)


cdef object read_on(SourceReader self, object value):
    cdef PyObject* given = NULL
    cdef PySendResult how
    try:
        how = PyIter_Send(self.coroutine, value, &given)
    except BaseException:
        self.sender = None  # it has ended: no cycle is to be left
        raise
    waits_for = <object> given
    Py_XDECREF(given)
    if how == PYGEN_RETURN:
        self.sender = None
        raise StopIteration(waits_for)
    return send_and_wait(self, waits_for)


cdef object send_and_wait(SourceReader self, object waits_for):
    cdef FrameSender sender = self.sender
    if sender is not None:
        try:
            send_now(sender, True)
        except BaseException as error:
            return self.throw(error)
    return waits_for
