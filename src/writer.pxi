# Frames to a sink, from any thread: what every writer does for each event.
#
# A write holds the lock until its frames are with the sink. The lock is a field, `owner`, that the
# GIL guards, and a gate of the interpreter's, closed, at which threads wait for it: whoever lets
# go while somebody waits opens the gate for one of them. Without the GIL the gate alone is the
# lock. Where greenlets stand for threads (the threading module is patched then), it is
# threading's, by which they wait for each other. Whoever holds it holds the encoder too, which
# nobody else uses. In a forked child the lock of a thread that has stayed in the parent is made anew:
# what that thread was writing is the parent's to send. What is seldom asked is in gaistream/writing/writer.py, for both twins.
# Twin of gaistream/core/pure/writer.py.

import os
import threading

cdef extern from "pythread.h":
    ctypedef void* PyThread_type_lock
    ctypedef enum PyLockStatus:
        PY_LOCK_FAILURE
        PY_LOCK_ACQUIRED
        PY_LOCK_INTR
    PyThread_type_lock PyThread_allocate_lock()
    void PyThread_free_lock(PyThread_type_lock lock)
    int PyThread_acquire_lock(PyThread_type_lock lock, int wait) nogil
    PyLockStatus PyThread_acquire_lock_timed(
        PyThread_type_lock lock, long long microseconds, int interruptible) nogil
    void PyThread_release_lock(PyThread_type_lock lock)
    unsigned long PyThread_get_thread_ident()

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef extern from *:
    """
    #define GAISTREAM_HANDED_ON (~0UL)  /* an owner that no thread is: the gate is open */
    """
    unsigned long GAISTREAM_HANDED_ON


cdef long long forks = 0  # between this process and the one in which the module was imported


def count_fork():
    global forks
    forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=count_fork)


cdef class FrameWriter:
    """An encoder, its sink and a lock. Thread-safe."""

    cdef public bint _closed
    cdef public object _broken, _unreported
    cdef public BaseEncoder _encoder
    cdef object sink
    cdef bint flush_each, none_is_refusal, sent_first
    cdef Py_ssize_t most
    cdef PyThread_type_lock gate
    cdef unsigned long owner   # 0, or the thread that holds the lock
    cdef Py_ssize_t waiting    # threads that are at the gate
    cdef long long forks       # when the lock was made
    cdef object green_lock     # threading's, where greenlets stand for threads
    cdef object green_owner

    def __cinit__(self, *_, **__):
        self._closed = True  # until it is made, even if a subclass forgets __init__
        make_gate(self)
        lock = threading.Lock()
        if type(lock).__module__ != "_thread":
            self.green_lock = lock

    def __init__(self, sink, BaseEncoder encoder not None, flush_each, most, none_is_refusal):
        acquire(self)
        try:
            self._encoder = encoder
            self.sink = sink
            self.flush_each = flush_each
            self.most = most
            self.none_is_refusal = none_is_refusal
            self._closed = False
        finally:
            release(self)

    def __dealloc__(self):
        if self.gate != NULL:
            PyThread_free_lock(self.gate)

    def write(self, event):
        """Write an event, or what a source may yield in its place.

        Raises ClosedError after close(), after Done, or after the sink failed; EventError,
        FrameError, EncodeError or UnicodeError, where nothing was written; SinkError, or what the
        sink raised: the writer has ended.
        """
        enter(self)
        try:
            try:
                self._encoder.write_item(event)
            finally:
                after_write(self)
        finally:
            release(self)

    def write_many(self, events):
        """Write many events as one block that no other thread's frames come into."""
        enter(self)
        try:
            try:
                self._encoder.write_many(events)
            finally:  # events before the one that failed are written
                after_write(self)
        finally:
            release(self)

    def write_event(self, event, data):
        """Write a frame with this name; `data` is text, or any payload, which becomes JSON."""
        cdef BaseEncoder encoder
        enter(self)
        try:
            encoder = self._encoder
            if self.flush_each and writes_plainly(encoder, event, data):
                encoder.hint_open = False
                encoder.failed = False
                give(self, plain_frame(data, event))
                return
            try:
                encoder.write_event(event, data)
            finally:
                after_write(self)
        finally:
            release(self)

    def write_frame(self, data=None, event=None, **fields):
        """Write a frame by its fields, as the encoder's write_frame."""
        enter(self)
        try:
            try:
                self._encoder.write_frame(data, event, **fields)
            finally:
                after_write(self)
        finally:
            release(self)

    def write_comment(self, text=""):
        """Write a comment (SSE only)."""
        enter(self)
        try:
            try:
                self._encoder.write_comment(text)
            finally:
                after_write(self)
        finally:
            release(self)

    def flush(self):
        """Send what waits to the sink (whose own buffer, if any, is its own business)."""
        enter(self)
        try:
            send(self)
        finally:
            release(self)

    # what gaistream/writing/writer.py builds on

    def _locked(self, call, *args):
        """Call under the lock."""
        acquire(self)
        try:
            call(*args)
        finally:
            release(self)

    def _try_acquire(self):
        """Acquire if nobody else has; True if so."""
        if self.green_lock is not None:
            if not self.green_lock.acquire(blocking=False):
                return False
            self.green_owner = threading.get_ident()
            return True
        if self.forks != forks:
            after_fork(self)
        if self.owner if GAISTREAM_GIL else not PyThread_acquire_lock(self.gate, 0):
            return False
        self.owner = PyThread_get_thread_ident()
        return True

    def _release(self):
        release(self)

    def _report(self):
        """Raise, once, what the sink raised while nobody was there to be told."""
        report(self)

    def _send(self):
        """Send what waits; whatever goes wrong ends the writer."""
        send(self)


cdef inline bint writes_plainly(BaseEncoder encoder, object event, object data) noexcept:
    """Tell whether this is a small frame that can go out without passing the buffer."""
    return (
        isinstance(encoder, BaseSSEEncoder) and not encoder.ended and not encoder.next_id
        and not encoder.buffer.length and plain(data, False) and event is not None
        and plain(event, True)
    )


cdef inline int enter(FrameWriter self) except -1:
    acquire(self)
    if self._closed or self._unreported is not None:
        try:
            report(self)
            raise ClosedError("the writer is closed") from self._broken
        finally:
            release(self)
    return 0


cdef inline int acquire(FrameWriter self) except -1:
    cdef unsigned long me
    if self.green_lock is not None:
        return acquire_green(self)
    if self.forks != forks:
        after_fork(self)
    me = PyThread_get_thread_ident()
    if self.owner == me:
        raise SinkError("the sink used the writer that was calling it")
    if not GAISTREAM_GIL or self.owner:
        wait_for(self)
    self.owner = me
    return 0


cdef int make_gate(FrameWriter self) except -1:
    cdef PyThread_type_lock gate = PyThread_allocate_lock()
    if gate == NULL:
        raise MemoryError
    if GAISTREAM_GIL:
        PyThread_acquire_lock(gate, 0)
    if self.gate != NULL:
        PyThread_free_lock(self.gate)
    self.gate = gate
    self.forks = forks
    return 0


cdef int after_fork(FrameWriter self) except -1:
    """In a forked child, let go of the lock of a thread that has stayed in the parent."""
    self.forks = forks
    self.waiting = 0
    if self.owner == PyThread_get_thread_ident():
        return 0
    if not GAISTREAM_GIL and PyThread_acquire_lock(self.gate, 0):
        PyThread_release_lock(self.gate)
        return 0
    if self.owner:
        if self.owner != GAISTREAM_HANDED_ON and self._encoder is not None:
            self._encoder.takes += 1
            take(self._encoder.buffer)
        make_gate(self)
        self.owner = 0
    return 0


cdef int wait_for(FrameWriter self) except -1:
    """Wait for the lock; an exception out of a signal's handler breaks it off."""
    cdef PyLockStatus status
    self.waiting += GAISTREAM_GIL
    try:
        while True:
            with nogil:
                status = PyThread_acquire_lock_timed(self.gate, -1, 1)
            if status == PY_LOCK_ACQUIRED:
                return 0
            PyErr_CheckSignals()
    except BaseException:
        if self.waiting == 1 and self.owner == GAISTREAM_HANDED_ON:
            PyThread_acquire_lock(self.gate, 0)  # it was opened for us alone
            self.owner = 0
        raise
    finally:
        self.waiting -= GAISTREAM_GIL


cdef int acquire_green(FrameWriter self) except -1:
    me = threading.get_ident()
    if self.green_owner == me:
        raise SinkError("the sink used the writer that was calling it")
    self.green_lock.acquire()
    self.green_owner = me
    return 0


cdef inline int release(FrameWriter self) except -1:
    if self.green_lock is not None:
        self.green_owner = None
        self.green_lock.release()
        return 0
    if GAISTREAM_GIL and not self.waiting:
        self.owner = 0
        return 0
    self.owner = GAISTREAM_HANDED_ON if GAISTREAM_GIL else 0
    PyThread_release_lock(self.gate)
    return 0


cdef int report(FrameWriter self) except -1:
    if self._unreported is not None:
        error, self._unreported = self._unreported, None
        raise error
    return 0


cdef inline int after_write(FrameWriter self) except -1:
    cdef BaseEncoder encoder = self._encoder
    if (
        self.flush_each or not self.sent_first or encoder.ended
        or encoder.buffer.length >= self.most
    ):
        return send(self)
    if encoder.buffer.length:
        self._flush_soon()
    return 0


cdef inline int send(FrameWriter self) except -1:
    cdef bytes data
    self._encoder.takes += 1
    data = take(self._encoder.buffer)
    if PyBytes_GET_SIZE(data):
        give(self, data)
    return 0


cdef int give(FrameWriter self, bytes data) except -1:
    self.sent_first = True
    try:
        while PyBytes_GET_SIZE(data):
            answer = self.sink(data)
            if answer is None and not self.none_is_refusal:
                return 0
            data = data[self._accepted(answer, len(data)):]
    except BaseException as error:
        self._closed = True
        self._broken = error
        raise
    return 0
