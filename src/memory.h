/* The memory of large results: large pages, and blocks that become bytes objects. */
#ifndef GAISTREAM_MEMORY_H
#define GAISTREAM_MEMORY_H

#include <Python.h>
#include <stddef.h>

/* The first write to each small page costs more than its bytes do. Whole pages are advised, for
   realloc moves a block without a copy only if all of it is of one kind. */
#if defined(__linux__)
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
static void __attribute__((cold, noinline)) advise_large_pages(char *data, Py_ssize_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = (uintptr_t)data & ~(page - 1);
    int before = errno;
    if (madvise((void *)start, (uintptr_t)data + (uintptr_t)size - start, MADV_HUGEPAGE))
        errno = before; /* a kernel without them */
}
#else
#define advise_large_pages(data, size) ((void)0)
#endif
enum { LARGE = 4194304 };
#define use_large_pages(data, size) \
    do { if ((size) >= LARGE) advise_large_pages(data, size); } while (0)

/* Blocks have room for the head of a bytes object before their data, and for its NUL after. */
#define BLOCK_HEAD ((Py_ssize_t)offsetof(PyBytesObject, ob_sval))

static char *resize_block(char *data, Py_ssize_t size)
{
    char *block = data == NULL ? NULL : data - BLOCK_HEAD;
    block = (char *)PyObject_Realloc(block, (size_t)(BLOCK_HEAD + size + 1));
    return block == NULL ? NULL : block + BLOCK_HEAD;
}

static PyObject *block_to_bytes(char *data, Py_ssize_t size)
{
    char *shrunk = resize_block(data, size);
    PyObject *bytes = (PyObject *)((shrunk == NULL ? data : shrunk) - BLOCK_HEAD);
    (void)PyObject_InitVar((PyVarObject *)bytes, &PyBytes_Type, size);
    _Py_COMP_DIAG_PUSH
    _Py_COMP_DIAG_IGNORE_DEPR_DECLS
    ((PyBytesObject *)bytes)->ob_shash = -1;
    _Py_COMP_DIAG_POP
    PyBytes_AS_STRING(bytes)[size] = 0;
    return bytes;
}

#define free_block(data) PyObject_Free((data) - BLOCK_HEAD)

#endif
