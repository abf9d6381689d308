# The reusable buffer of a stream, and the two functions that allocate the memory of frames:
# `new_bytes` and `grow`.
#
# Bytes are written once, at the end. An empty buffer holds no memory: blocks of the usual size go
# back to a small pool, so that a steady stream allocates nothing, and a very large block becomes
# the bytes object that is taken. While a view of the buffer exists, every change raises
# BufferError.
#
# Threads, here and in all parts: an object with a state belongs to one task, but its use by many
# threads must not corrupt memory. Without the GIL a critical section holds a public object while
# its pointers and references are used. Like the GIL it may be released by any call that can run
# Python code, so state is read again after such a call. cdef functions lock nothing: their caller
# holds the object, and with it the buffers that only the object refers to.
# Twin of gaistream/core/pure/buffer.py.

cimport cython
from cpython.buffer cimport (
    PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_FillInfo, PyBuffer_IsContiguous, PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free
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

    /* The item at an index; one that is gone if another thread has shortened the list. */
    #ifdef Py_GIL_DISABLED
    #define GAISTREAM_GONE ((PyObject *) &PyEllipsis_Type)
    #define gaistream_is_gone(item) ((item) == GAISTREAM_GONE)
    static PyObject *gaistream_item(PyObject *list, Py_ssize_t index) {
        PyObject *item = PyList_GetItemRef(list, index);
        if (item == NULL) {
            PyErr_Clear();
            item = Py_NewRef(GAISTREAM_GONE);
        }
        return item;
    }
    #else
    #define gaistream_is_gone(item) 0
    #define gaistream_item(list, index) Py_NewRef(PyList_GET_ITEM(list, index))
    #endif
    """
    bint GAISTREAM_GIL
    object item_at "gaistream_item"(list items, Py_ssize_t index)
    bint is_gone "gaistream_is_gone"(object item)

cdef extern from "memory.h":
    void use_large_pages(char* data, Py_ssize_t size)
    char* resize_block(char* data, Py_ssize_t size)
    bytes block_to_bytes(char* data, Py_ssize_t size)  # and the block is theirs
    void free_block(char* data)

cdef enum:
    POOL = 16  # blocks at most
    POOL_BLOCK = 8192
    QUICK_GROWTH = 262144
    NEVER_REUSED = 33554432  # malloc's limit: smaller memory that was freed is had again, touched

MAX_INT = 2**63 - 1

# Shared by all threads without a lock, so used only with the GIL.
cdef char* pool_blocks[POOL]
cdef int pool_count = 0
cdef long long memory_calls = 0
cdef long long bytes_calls = 0


cdef inline object to_loop(object items):
    """Return what a `for` loops over.

    A loop of Cython reads a list's size, then an item, which another thread may have removed.
    """
    return items if GAISTREAM_GIL else iter(items)


def allocations():
    """Return how often the core has allocated so far: (memory blocks, bytes objects).

    Without the GIL nothing is counted.
    """
    return memory_calls, bytes_calls


cdef inline bytes new_bytes(Py_ssize_t size):
    """Return uninitialised bytes of this size, which the caller must fill."""
    global bytes_calls
    if GAISTREAM_GIL:
        bytes_calls += 1
    return PyBytes_FromStringAndSize(NULL, size)


cdef object readable(str field, object data, str expected="bytes, bytearray or memoryview"):
    """Return an object whose bytes `span_of` gives; it keeps them in place while it exists."""
    if type(data) is bytes:
        return data
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise FrameTypeError(f"{field} must be {expected}, not {type(data).__name__}")
    view = PyMemoryView_FromObject(data)
    if not PyBuffer_IsContiguous(PyMemoryView_GET_BUFFER(view), b"C"):
        raise FrameError(f"{field} must be contiguous, not a memoryview with gaps")
    if not GAISTREAM_GIL:
        # Another thread may change the bytes between measuring and writing.
        return bytes_of(span_of(view))
    return view


cdef struct Span:
    const char* data
    Py_ssize_t size


cdef inline Span span_of(object held) noexcept:
    """Return the bytes of an object of `readable` or `hold_text`, valid while it exists."""
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
    """Return a copy of the bytes."""
    cdef bytes copy = new_bytes(span.size)
    memcpy(PyBytes_AS_STRING(copy), span.data, span.size)
    return copy


cdef int writable(object buffer, Py_buffer* view) except -1:
    """Get the Py_buffer of a writable buffer, which the caller must release."""
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
    """Return a pointer to `needed` bytes from `offset` on; raise if they do not fit."""
    cdef Py_ssize_t start = checked_int("offset", offset, 0, view.len, "")
    if needed > view.len - start:
        raise BufferTooSmall(needed, view.len - start)
    return <char*> view.buf + start


cdef class Buffer:
    """A growable byte buffer; `size` is its first allocation in bytes."""

    cdef char* data
    cdef Py_ssize_t length
    cdef Py_ssize_t capacity
    cdef Py_ssize_t size
    cdef Py_ssize_t most  # bytes that it grows beyond only if they are needed
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
        """Append bytes; BufferError while a view exists."""
        held = readable("data", data)
        with cython.critical_section(self):
            append_span(self, span_of(held))

    @cython.critical_section
    def truncate(self, length):
        """Keep the first `length` bytes, from 0 to the present length."""
        cdef Py_ssize_t kept = checked_int("offset", length, 0, self.length, "")
        if kept < self.length:
            check_exports(self)
            cut(self, kept)

    def view(self):
        """Return a read-only view; while it exists every change raises BufferError."""
        return PyMemoryView_FromObject(self)

    @cython.critical_section
    def take(self):
        """Return all bytes and empty the buffer; BufferError while a view exists."""
        return take(self)

    @cython.critical_section
    def take_into(self, buffer, offset=0):
        """Move all bytes into a writable buffer and return the offset after them.

        Raises BufferTooSmall, and moves nothing, if they do not fit.
        """
        return take_into(self, buffer, offset)


cdef int check_exports(Buffer self) except -1:
    if self.exports:
        raise BufferError("the buffer cannot be changed while a view of it exists")
    return 0


cdef inline char* reserve(Buffer self, Py_ssize_t extra) except NULL:
    """Return a pointer to room for `extra` bytes at the end."""
    if extra <= self.capacity - self.length and not self.exports:
        return self.data + self.length
    return grow(self, extra)


cdef char* grow(Buffer self, Py_ssize_t extra) except NULL:
    """Make room for `extra` bytes and return a pointer to it."""
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
        # Growing copies the bytes; while there are few of them it is by four.
        capacity = self.capacity * (4 if self.capacity < QUICK_GROWTH else 2)
        capacity = max(min(capacity, self.most), self.size, self.length + extra)
    data = resize_block(self.data, capacity)
    if data == NULL:
        raise MemoryError
    if GAISTREAM_GIL:
        memory_calls += 1
    self.data = data
    self.capacity = capacity
    use_large_pages(data, capacity)
    return data + self.length


cdef void give_back(Buffer self) noexcept:
    """Return the memory of an empty buffer to the pool, or free it."""
    global pool_count
    if self.data == NULL:
        return
    if GAISTREAM_GIL and self.capacity == POOL_BLOCK and pool_count < POOL:
        pool_blocks[pool_count] = self.data
        pool_count += 1
    else:
        free_block(self.data)
    self.data = NULL
    self.capacity = 0


cdef void cut(Buffer self, Py_ssize_t length) noexcept:
    """Drop the bytes after `length`; the caller knows that there is no view of them."""
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
    global bytes_calls
    cdef bytes taken
    if not self.length:
        return b""
    check_exports(self)
    if self.length >= NEVER_REUSED:
        if GAISTREAM_GIL:
            bytes_calls += 1
        taken = block_to_bytes(self.data, self.length)
        self.data = NULL
        self.length = self.capacity = 0
        return taken
    taken = new_bytes(self.length)
    use_large_pages(PyBytes_AS_STRING(taken), self.length)
    memcpy(PyBytes_AS_STRING(taken), self.data, self.length)
    cut(self, 0)
    return taken


cdef bytes take_after(Buffer self, Py_ssize_t start):
    """Return the bytes from `start` on, and remove at least those that the bytes object needs."""
    cdef Span span
    if not start:
        return take(self)
    span.data = self.data + start
    span.size = self.length - start
    return bytes_of(span)


cdef object take_into(Buffer self, object buffer, object offset):
    cdef Py_buffer view
    cdef Py_ssize_t taken
    cdef char* target
    writable(buffer, &view)  # may run code that writes to or takes from this buffer
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
