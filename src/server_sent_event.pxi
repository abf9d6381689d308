# ServerSentEvent: one event, to be written or as it was read.
#
# Twin of gaistream/core/pure/server_sent_event.py.

import copyreg


@cython.trashcan(True)
cdef class ServerSentEvent:
    """One Server-Sent Event, to be written or as it was read. `bytes(event)` encodes it.

    An event that was read is named "message" unless it had a name, and has the id that was in
    force; `bytes()` writes neither. Its data is decoded when `data` is read.
    """

    cdef public object event, retry, comment
    cdef object set_data  # as set, or decoded from `raw`
    cdef bytes raw        # the data as received, or None
    cdef object own_or_inherited_id
    cdef bint own_id
    cdef readonly bint _is_json  # the data was given as `json`

    def __init__(
        self, data=None, event=None, *, id=None, retry=None, comment=None, json=...
    ):
        cdef bytes raw = None
        cdef Fields fields
        checked = "" if isinstance(data, (str, bytes)) else data  # these can always be written
        fields = Fields(
            data=<PyObject*> checked, event=<PyObject*> event, id=<PyObject*> id,
            retry=<PyObject*> retry, comment=<PyObject*> comment, json=<PyObject*> Ellipsis,
            replace=True,
        )
        if (
            data is not None or event is not None or id is not None
            or retry is not None or comment is not None
        ):
            emit(&fields, TO_BYTES, None, None)  # raises for a field that cannot be written
        if json is not Ellipsis:
            if data is not None:
                raise FrameError("data and json exclude each other")
            raw = write_json(json, False, True)
        self.data = data
        self.id = id
        with cython.critical_section(self):
            self.raw = raw
            self._is_json = raw is not None
            self.event = event
            self.retry = retry
            self.comment = comment

    @property
    @cython.critical_section
    def data(self):
        """The text, as set or as decoded, or None."""
        if self.set_data is None and self.raw is not None:
            self.set_data = PyUnicode_DecodeUTF8(
                PyBytes_AS_STRING(self.raw), PyBytes_GET_SIZE(self.raw), b"replace"
            )
        return self.set_data

    @data.setter
    @cython.critical_section
    def data(self, data):
        self.set_data = data
        self.raw = None
        self._is_json = False

    @property
    def data_bytes(self):
        """The data as received, without making a str of it; else the UTF-8 of `data`."""
        cdef bytes raw
        with cython.critical_section(self):
            raw = self.raw
            data = self.set_data
        if raw is not None or data is None:
            return raw
        if isinstance(data, str):
            return utf8(data, False)
        held = readable("data", data)
        return bytes_of(span_of(held))

    @property
    @cython.critical_section
    def id(self):
        """The id; one that is set here is written, one that was inherited is not."""
        return self.own_or_inherited_id

    @id.setter
    @cython.critical_section
    def id(self, id):
        self.own_or_inherited_id = id
        self.own_id = True

    def json(self):
        """Return the value of `data` as JSON, with U+FFFD for half a surrogate pair.

        Raises ValueError if it is not JSON.
        """
        cdef bytes raw
        with cython.critical_section(self):
            raw = self.raw
        if raw is not None:
            try:
                return json_value(raw, True)
            except ValueError:
                pass  # perhaps it is not UTF-8: read the text
        data = self.data
        if data is None:
            raise ValueError("the event has no data")
        return json_value(data, True)

    def __bytes__(self):
        cdef Fields fields
        data, name, id, retry, comment = self.written()
        fields = Fields(
            data=<PyObject*> data, event=<PyObject*> name, id=<PyObject*> id,
            retry=<PyObject*> retry, comment=<PyObject*> comment, json=<PyObject*> Ellipsis,
            replace=False,
        )
        return emit(&fields, TO_BYTES, None, None)

    def __reduce__(self):
        with cython.critical_section(self):
            own = (
                self.set_data, self.raw, self.event, self.own_or_inherited_id, self.retry,
                self.comment, self.own_id, self._is_json,
            )
        added = object.__getstate__(self)  # by a subclass
        if isinstance(added, tuple):
            added = {**(added[0] or {}), **added[1]}
        return copyreg.__newobj__, (type(self),), (own, added)

    def __setstate__(self, state):
        own, added = state
        with cython.critical_section(self):
            self.set_data, self.raw, self.event, self.own_or_inherited_id, self.retry = own[:5]
            self.comment, self.own_id, self._is_json = own[5:]
        for name, value in (added or {}).items():
            setattr(self, name, value)

    def __eq__(self, other):
        if type(other) is not ServerSentEvent:
            return NotImplemented
        return self.fields() == (<ServerSentEvent> other).fields()

    __hash__ = None

    def __repr__(self):
        names = ("data", "event", "id", "retry", "comment")
        given = [
            f"{name}={value!r}"
            for name, value in zip(names, self.fields()) if value is not None
        ]
        return f"ServerSentEvent({', '.join(given)})"

    cdef tuple fields(self):
        data = self.data
        with cython.critical_section(self):
            return data, self.event, self.own_or_inherited_id, self.retry, self.comment

    cdef tuple written(self):
        """Return the fields that are written: not the default name, not an inherited id."""
        data = self.data
        with cython.critical_section(self):
            if self._is_json:
                data = self.raw
            name, retry, comment = self.event, self.retry, self.comment
            id = self.own_or_inherited_id if self.own_id else None
        return data, None if name == "message" else name, id, retry, comment


name_type(ServerSentEvent, b"gaistream.ServerSentEvent")


cdef inline ServerSentEvent received_event(
    bytes data, object event, object id, object retry, bint own_id
):
    """Return an event as a decoder has read it."""
    cdef ServerSentEvent made = ServerSentEvent.__new__(ServerSentEvent)
    made.raw = data
    made.event = event
    made.own_or_inherited_id = id
    made.retry = retry
    made.own_id = own_id
    return made
