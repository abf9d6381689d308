# The reusable buffer that a stream is built in, and the two places where the memory of frames is
# got: `new_bytes` and `grow`.
#
# Guarantees: bytes are written once, at the end; memory is held only while there is something in
# the buffer (blocks of the usual size wait in a small pool, so that a steady stream allocates
# nothing); while a view that was handed out lives, every change raises BufferError.
#
# Threads, here and in all parts: what has a state belongs to one task, but misuse by many threads
# must not corrupt memory. Without the GIL a critical section holds a public object while its
# pointers and references are used. It lasts, as the GIL does, until something is called that may
# run Python code; so whoever does that looks anew at what it goes on with. The functions of cdef
# lock nothing: their caller holds the object, and a buffer that nobody else sees is held with it.
# Twin of gaistream/core/pure/buffer.py.

cimport cython
from cpython.buffer cimport (
    PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_FillInfo, PyBuffer_IsContiguous, PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Realloc
from cpython.memoryview cimport PyMemoryView_FromObject, PyMemoryView_GET_BUFFER
from cpython.object cimport PyObject
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memmove

from gaistream.errors import (
    BufferTooSmall, ClosedError, EventError, EventTooLarge, FrameError, FrameTypeError,
    NDJSONError, SinkError,
)

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX

cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    #define GAISTREAM_GIL 0
    #else
    #define GAISTREAM_GIL 1
    #endif
    """
    bint GAISTREAM_GIL

cdef enum:
    POOL = 16  # blocks at most
    POOL_BLOCK = 8192
    QUICK_GROWTH = 262144

MAX_INT = 2**63 - 1

# Shared by all threads without a lock: used only where there is a GIL.
cdef char* pool_blocks[POOL]
cdef int pool_count = 0
cdef long long memory_calls = 0
cdef long long bytes_calls = 0


def allocations():
    """Count the calls of the core's allocator so far: (memory blocks, bytes objects).

    Without a GIL nothing is counted.
    """
    return memory_calls, bytes_calls


cdef inline bytes new_bytes(Py_ssize_t size):
    """Get bytes of exactly this size, to be filled before anybody sees them."""
    global bytes_calls
    if GAISTREAM_GIL:
        bytes_calls += 1
    return PyBytes_FromStringAndSize(NULL, size)


cdef object shown(object number):
    return str(number) if number.bit_length() <= 64 else f"an int of {number.bit_length()} bits"


cdef object readable(str field, object data, str expected="bytes, bytearray or memoryview"):
    """Give an object that keeps the bytes of a bytes-like object in place while it lives."""
    if type(data) is bytes:
        return data
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise FrameTypeError(f"{field} must be {expected}, not {type(data).__name__}")
    view = PyMemoryView_FromObject(data)
    if not PyBuffer_IsContiguous(PyMemoryView_GET_BUFFER(view), b"C"):
        raise FrameError(f"{field} must be contiguous, not a memoryview with gaps")
    if not GAISTREAM_GIL:
        # another thread may write to it meanwhile: what was measured must be what is written
        return bytes_of(span_of(view))
    return view


cdef struct Span:
    const char* data
    Py_ssize_t size


cdef inline Span span_of(object held) noexcept:
    """Give the bytes of what `readable` or an encoder gave; valid while `held` lives."""
    cdef Span span
    if type(held) is bytes:
        span.data = PyBytes_AS_STRING(held)
        span.size = PyBytes_GET_SIZE(held)
    else:
        span.data = <const char*> PyMemoryView_GET_BUFFER(held).buf
        span.size = PyMemoryView_GET_BUFFER(held).len
    return span


cdef bint released(object view):
    try:
        memoryview(view)
    except ValueError:
        return True
    return False


cdef inline bytes bytes_of(Span span):
    """Copy bytes into an object of their own."""
    cdef bytes copy = new_bytes(span.size)
    memcpy(PyBytes_AS_STRING(copy), span.data, span.size)
    return copy


cdef int writable(object buffer, Py_buffer* view) except -1:
    """Hold a writable buffer; the caller releases it."""
    try:
        PyObject_GetBuffer(buffer, view, PyBUF_WRITABLE)
    except (TypeError, BufferError, ValueError):
        if isinstance(buffer, memoryview) and released(buffer):
            raise
        raise FrameTypeError(
            "buffer must be a writable, contiguous bytes-like object, "
            f"not {type(buffer).__name__}"
        ) from None
    return 0


cdef char* place(Py_buffer* view, object offset, Py_ssize_t needed) except NULL:
    """Give where `needed` bytes go, or say why they do not fit."""
    cdef Py_ssize_t start = checked_int("offset", offset, 0, view.len, "")
    if needed > view.len - start:
        raise BufferTooSmall(needed, view.len - start)
    return <char*> view.buf + start


cdef class Buffer:
    """A growable byte buffer; `size` is what it starts with once something is appended."""

    cdef char* data
    cdef Py_ssize_t length
    cdef Py_ssize_t capacity
    cdef Py_ssize_t size
    cdef Py_ssize_t most  # bytes that it does not grow beyond unless they are needed
    cdef Py_ssize_t exports

    def __cinit__(self, *_, **__):
        self.size = 4096
        self.most = PY_SSIZE_T_MAX

    def __init__(self, size=4096):
        cdef Py_ssize_t number = checked_int("size", size, 1, 2**30, "bytes")
        with cython.critical_section(self):
            check_exports(self)
            cut(self, 0)
            self.size = number

    def __dealloc__(self):
        give_back(self)

    def __len__(self):
        return self.length

    def __getbuffer__(self, Py_buffer* view, int flags):
        with cython.critical_section(self):
            PyBuffer_FillInfo(
                view, self, self.data if self.data != NULL else <char*> b"", self.length, 1, flags
            )
            self.exports += 1

    def __releasebuffer__(self, Py_buffer* view):
        with cython.critical_section(self):
            self.exports -= 1

    def append(self, data):
        """Add bytes at the end; BufferError while a view lives."""
        held = readable("data", data)
        with cython.critical_section(self):
            append_span(self, span_of(held))

    @cython.critical_section
    def truncate(self, length):
        """Keep the first `length` bytes (from 0 to the length now)."""
        cdef Py_ssize_t kept = checked_int("offset", length, 0, self.length, "")
        if kept < self.length:
            check_exports(self)
            cut(self, kept)

    def view(self):
        """Give a read-only view; while it lives every change raises BufferError."""
        return PyMemoryView_FromObject(self)

    @cython.critical_section
    def take(self):
        """Give everything as bytes and become empty; BufferError while a view lives."""
        return take(self)

    @cython.critical_section
    def take_into(self, buffer, offset=0):
        """Move everything into a writable buffer and give the offset behind it.

        Raises BufferTooSmall, and moves nothing, where it does not fit.
        """
        return take_into(self, buffer, offset)


cdef int check_exports(Buffer self) except -1:
    if self.exports:
        raise BufferError("a view of the buffer lives: it cannot be changed")
    return 0


cdef inline char* reserve(Buffer self, Py_ssize_t extra) except NULL:
    """Give room for `extra` bytes behind what is there."""
    if extra <= self.capacity - self.length and not self.exports:
        return self.data + self.length
    return grow(self, extra)


cdef char* grow(Buffer self, Py_ssize_t extra) except NULL:
    """Make room: the only place where memory is got."""
    global memory_calls, pool_count
    cdef Py_ssize_t capacity
    cdef char* data
    check_exports(self)
    if extra > PY_SSIZE_T_MAX // 4 - self.length:
        raise MemoryError
    if self.data == NULL and self.size <= POOL_BLOCK and extra <= POOL_BLOCK:
        capacity = POOL_BLOCK
        if GAISTREAM_GIL and pool_count:
            pool_count -= 1
            self.data = pool_blocks[pool_count]
            self.capacity = capacity
            return self.data
    else:
        # by four while that is cheap: growing copies what is there
        capacity = self.capacity * (4 if self.capacity < QUICK_GROWTH else 2)
        capacity = max(min(capacity, self.most), self.size, self.length + extra)
    data = <char*> PyMem_Realloc(self.data, capacity)
    if data == NULL:
        raise MemoryError
    if GAISTREAM_GIL:
        memory_calls += 1
    self.data = data
    self.capacity = capacity
    return data + self.length


cdef void give_back(Buffer self) noexcept:
    """Let go of the memory of an empty buffer."""
    global pool_count
    if self.data == NULL:
        return
    if GAISTREAM_GIL and self.capacity == POOL_BLOCK and pool_count < POOL:
        pool_blocks[pool_count] = self.data
        pool_count += 1
    else:
        PyMem_Free(self.data)
    self.data = NULL
    self.capacity = 0


cdef void cut(Buffer self, Py_ssize_t length) noexcept:
    """Forget what was written behind `length`, where no view can have been handed out since."""
    self.length = length
    if not length:
        give_back(self)


cdef inline int append_span(Buffer buffer, Span span) except -1:
    if span.size:
        memcpy(reserve(buffer, span.size), span.data, span.size)
        buffer.length += span.size
    return 0


cdef int append(Buffer buffer, object data) except -1:
    held = readable("data", data)
    return append_span(buffer, span_of(held))


cdef bytes take(Buffer self):
    cdef bytes taken
    if not self.length:
        return b""
    check_exports(self)
    taken = new_bytes(self.length)
    memcpy(PyBytes_AS_STRING(taken), self.data, self.length)
    cut(self, 0)
    return taken


cdef object take_into(Buffer self, object buffer, object offset):
    cdef Py_buffer view
    cdef Py_ssize_t taken
    cdef char* target
    writable(buffer, &view)  # may run code that writes or takes
    try:
        taken = self.length
        target = place(&view, offset, taken)
        if taken:
            check_exports(self)
            memcpy(target, self.data, taken)
            cut(self, 0)
    finally:
        PyBuffer_Release(&view)
    return offset + taken
