# The hot path of every writer: an encoder's frames to a sink, from any thread.
#
# A write holds the lock until the sink has its frames. The lock is the field `owner`, which the GIL
# guards, and a gate (a lock of the interpreter, normally closed) at which threads wait for it: a
# thread that releases while others wait opens the gate for one of them. Without the GIL only the
# gate is the lock. If the threading module is patched for greenlets, the lock is one of threading,
# for which greenlets can wait. The owner holds the encoder too, which nothing else uses. In a
# forked child the lock of a thread of the parent is made anew, and the parent sends its frames.
# The rest of a writer (its end, a sink's answers) is in gaistream/writing/writer.py, for both twins.
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
    #define GAISTREAM_HANDED_ON (~0UL)  /* an owner that is not a thread: the gate is open */
    """
    unsigned long GAISTREAM_HANDED_ON


cdef long long forks = 0  # since the module was imported


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
    cdef Py_ssize_t waiting    # threads at the gate
    cdef long long forks       # when the lock was made
    cdef object green_lock     # of threading, if that is patched for greenlets
    cdef unsigned long long green_owner  # 0, or the greenlet that holds it

    def __cinit__(self, *_, **__):
        self._closed = True  # even if a subclass forgets __init__
        self.make_gate()
        lock = threading.Lock()
        if type(lock).__module__ != "_thread":
            self.green_lock = lock

    def __init__(self, sink, BaseEncoder encoder not None, flush_each, most, none_is_refusal):
        self.acquire()
        try:
            self._encoder = encoder
            self.sink = sink
            self.flush_each = flush_each
            self.most = most
            self.none_is_refusal = none_is_refusal
            self._closed = False
        finally:
            self.release()

    def __dealloc__(self):
        if self.gate != NULL:
            PyThread_free_lock(self.gate)

    def write(self, event):
        """Write an event, or another item that a source may yield.

        Raises ClosedError after close(), after Done, or after the sink failed; EventError,
        FrameError, EncodeError or UnicodeError if nothing was written; SinkError, or the sink's own
        exception, if the sink failed, which ends the writer.
        """
        self.enter()
        try:
            try:
                self._encoder.write_item(event)
            finally:
                self.after_write()
        finally:
            self.release()

    def write_many(self, events):
        """Write many events as one block, without frames of other threads between them."""
        self.enter()
        try:
            try:
                self._encoder.write_many(events)
            finally:  # events before the one that failed are written
                self.after_write()
        finally:
            self.release()

    def write_event(self, event, data):
        """Write a frame with this name; `data` is text, or a payload that is encoded as JSON."""
        cdef BaseEncoder encoder
        self.enter()
        try:
            encoder = self._encoder
            if self.flush_each and writes_plainly(encoder, event, data):
                encoder.hint_open = False
                encoder.failed = False
                self.give(plain_frame(data, event))
                return
            try:
                encoder.write_event(event, data)
            finally:
                self.after_write()
        finally:
            self.release()

    def write_frame(self, data=None, event=None, **fields):
        """Write a frame by its fields, as the encoder's write_frame."""
        self.enter()
        try:
            try:
                self._encoder.write_frame(data, event, **fields)
            finally:
                self.after_write()
        finally:
            self.release()

    def write_comment(self, text=""):
        """Write a comment (SSE only)."""
        self.enter()
        try:
            try:
                self._encoder.write_comment(text)
            finally:
                self.after_write()
        finally:
            self.release()

    def flush(self):
        """Send the pending bytes to the sink, which may have a buffer of its own."""
        self.enter()
        try:
            self.send()
        finally:
            self.release()

    # ---- for gaistream/writing/writer.py ----

    def _locked(self, call, *args):
        """Call a function while the lock is held."""
        self.acquire()
        try:
            call(*args)
        finally:
            self.release()

    def _try_acquire(self):
        """Acquire the lock if it is free; return True if so."""
        if self.green_lock is not None:
            if not self.green_lock.acquire(blocking=False):
                return False
            self.green_owner = threading.get_ident()
            return True
        if self.forks != forks:
            self.after_fork()
        if self.owner if GAISTREAM_GIL else not PyThread_acquire_lock(self.gate, 0):
            return False
        self.owner = PyThread_get_thread_ident()
        return True

    def _release(self):
        self.release()

    def _report(self):
        """Raise the error of a flush that had no caller, once."""
        self.report()

    def _send(self):
        """Send the pending bytes; an error ends the writer."""
        self.send()

    # ---- the lock, and the way to the sink ----

    @cython.final
    cdef inline int enter(self) except -1:
        self.acquire()
        if self._closed or self._unreported is not None:
            try:
                self.report()
                raise ClosedError("the writer is closed") from self._broken
            finally:
                self.release()
        return 0

    @cython.final
    cdef inline int acquire(self) except -1:
        cdef unsigned long me
        if self.green_lock is not None:
            return self.acquire_green()
        if self.forks != forks:
            self.after_fork()
        me = PyThread_get_thread_ident()
        if self.owner == me:
            raise SinkError("the sink used the writer that was calling it")
        if not GAISTREAM_GIL or self.owner:
            self.wait_for()
        self.owner = me
        return 0

    @cython.final
    cdef int make_gate(self) except -1:
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

    @cython.final
    cdef int after_fork(self) except -1:
        """In a forked child, release the lock of a thread that runs only in the parent."""
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
            self.make_gate()
            self.owner = 0
        return 0

    @cython.final
    cdef int wait_for(self) except -1:
        """Wait for the lock; an exception of a signal's handler ends the wait."""
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
                PyThread_acquire_lock(self.gate, 0)  # it was opened for this thread
                self.owner = 0
            raise
        finally:
            self.waiting -= GAISTREAM_GIL

    @cython.final
    cdef int acquire_green(self) except -1:
        cdef unsigned long long me = threading.get_ident()
        if self.green_owner == me:
            raise SinkError("the sink used the writer that was calling it")
        self.green_lock.acquire()
        self.green_owner = me
        return 0

    @cython.final
    cdef inline int release(self) except -1:
        if self.green_lock is not None:
            self.green_owner = 0
            self.green_lock.release()
            return 0
        if GAISTREAM_GIL and not self.waiting:
            self.owner = 0
            return 0
        self.owner = GAISTREAM_HANDED_ON if GAISTREAM_GIL else 0
        PyThread_release_lock(self.gate)
        return 0

    @cython.final
    cdef int report(self) except -1:
        if self._unreported is not None:
            error, self._unreported = self._unreported, None
            raise error
        return 0

    @cython.final
    cdef inline int after_write(self) except -1:
        cdef BaseEncoder encoder = self._encoder
        if (
            self.flush_each or not self.sent_first or encoder.ended
            or encoder.buffer.length >= self.most
        ):
            return self.send()
        if encoder.buffer.length:
            self._flush_soon()
        return 0

    @cython.final
    cdef inline int send(self) except -1:
        cdef bytes data
        self._encoder.takes += 1
        data = take(self._encoder.buffer)
        if PyBytes_GET_SIZE(data):
            self.give(data)
        return 0

    @cython.final
    cdef int give(self, bytes data) except -1:
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


cdef inline bint writes_plainly(BaseEncoder encoder, object event, object data) noexcept:
    """Return True for a small frame that can be sent without the buffer."""
    return (
        isinstance(encoder, BaseSSEEncoder) and not encoder.ended and not encoder.next_id
        and not encoder.buffer.length and plain(data, False) and event is not None
        and plain(event, True)
    )
