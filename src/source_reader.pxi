# The coroutine that reads a source, and has its outbox send what is due whenever it suspends.
#
# Twin of gaistream/core/pure/source_reader.py.

cdef class SourceReader:
    """A coroutine that reads a source; whenever it suspends, its outbox sends what is due."""

    cdef Outbox outbox
    cdef object coroutine

    def __cinit__(self, *_, **__):
        pass  # and so it is neither copied nor pickled

    def __init__(self, Outbox outbox not None, coroutine):
        with cython.critical_section(self):
            self.outbox = outbox
            self.coroutine = coroutine

    def __await__(self):
        """Return the iterator of its steps."""
        return self

    def __iter__(self):
        """Return the iterator of its steps."""
        return self

    def __next__(self):
        """Make a step."""
        with cython.critical_section(self):
            return self.step(None)

    def send(self, value):
        """Make a step, with the answer to the one before."""
        with cython.critical_section(self):
            return self.step(value)

    def throw(self, *error):
        """Make a step by raising an error where the coroutine waits."""
        with cython.critical_section(self):
            try:
                waits_for = self.coroutine.throw(*error)
            except BaseException:
                self.outbox = None
                raise
            return self.after_step(waits_for)

    def close(self):
        """End the coroutine where it waits."""
        with cython.critical_section(self):
            self.outbox = None
            self.coroutine.close()

    def __getattr__(self, name):
        """Return other attributes of the coroutine, such as its frame."""
        with cython.critical_section(self):
            coroutine = self.coroutine
        return getattr(coroutine, name)

    cdef object step(self, object value):
        cdef PyObject* given = NULL
        cdef PySendResult how
        try:
            how = PyIter_Send(self.coroutine, value, &given)
        except BaseException:
            self.outbox = None  # the coroutine has ended: leave no cycle
            raise
        waits_for = <object> given
        Py_XDECREF(given)
        if how == PYGEN_RETURN:
            self.outbox = None
            raise StopIteration(waits_for)
        return self.after_step(waits_for)

    cdef object after_step(self, object waits_for):
        cdef Outbox outbox = self.outbox
        if outbox is not None:
            try:
                with cython.critical_section(outbox):
                    outbox.send_due(True)
                    after_step = outbox.after_step
            except BaseException as error:
                return self.throw(error)
            if after_step is not None:
                after_step()
        return waits_for
