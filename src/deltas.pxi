# The deltas of a message that is collected: once a token, so this part of it is in the core.
#
# Twin of gaistream/core/pure/deltas.py.


cdef class DeltaCollector:
    """Base of `gaistream.Message`: appends each delta to the pieces of the block that is open."""

    cdef public list text_pieces, reasoning_pieces

    def add(self, event, /):
        with cython.critical_section(self):
            if type(event) is TextDelta and self.text_pieces is not None:
                self.text_pieces.append((<TextDelta> event).text)
                return
            if type(event) is ReasoningDelta and self.reasoning_pieces is not None:
                self.reasoning_pieces.append((<ReasoningDelta> event).text)
                return
        self.add_other(event)

    def add_other(self, event, /):
        raise NotImplementedError


# A __cinit__ would make a message one that can't be pickled.
cdef newfunc new_base_collector = (<PyTypeObject*> DeltaCollector).tp_new


cdef object new_collector(type kind, PyObject* args, PyObject* named):
    if kind.__init__ is object.__init__:
        refuse_arguments(kind, args, named)
    return new_base_collector(kind, args, named)


make_by(<PyTypeObject*> DeltaCollector, <newfunc> new_collector)
