"""Server-Sent Events in: bytes to events by the WHATWG rules, whatever the chunking.

An event is returned as soon as its blank line is complete; a CR completes it at once. An id stays
in force and is committed at the blank line; an unfinished event is discarded at the end of the
stream. (HTML standard, 9.2.6.) Twin of src/decoder.pxi.
"""

from __future__ import annotations

from gaistream.errors import ClosedError, EventTooLarge, FrameTypeError

from .buffer import MAX_INT, NotCopyable
from .checks import checked_int
from .lines import LineSplitter
from .server_sent_event import ServerSentEvent, received_event

MAX_EVENT_BYTES = 16 * 2**20
_MESSAGE = "message"
_BOM = b"\xef\xbb\xbf"


def checked_id(value: object) -> str:
    """Return a last event id as an exact str."""
    if not isinstance(value, str):
        raise FrameTypeError(f"last_event_id must be str, not {type(value).__name__}")
    return str.__str__(value)


class SSEDecoder(NotCopyable):
    """An incremental decoder of Server-Sent Events. Belongs to one task.

    Args:
        max_event_bytes: the limit of a pending line and the data of its event together; a larger
            event raises EventTooLarge and closes the decoder.
        last_event_id: the id in force from the start, as after a reconnect.

    Attributes:
        last_event_id: the id that a client would send back as Last-Event-ID.
        retry: the last reconnection time in milliseconds, or None.
    """

    __slots__ = (
        "_alone",
        "_closed",
        "_data",
        "_event",
        "_event_retry",
        "_first",
        "_id",
        "_limit",
        "_own_id",
        "_room",
        "_splitter",
        "last_event_id",
        "retry",
    )

    def __init__(
        self, *, max_event_bytes: int = MAX_EVENT_BYTES, last_event_id: str = ""
    ) -> None:
        limit = checked_int("max_event_bytes", max_event_bytes, 1, 2**62, "bytes")
        own_id = checked_id(last_event_id)
        self._limit = limit
        self._splitter = LineSplitter(max_line_bytes=2**62)  # the limit is checked here
        self._first = True
        self._closed = False
        self._id = own_id
        self.last_event_id = self._id
        self.retry: int | None = None
        self._own_id = False  # set since the last event that was returned
        self._data = bytearray()
        self._reset()

    def _reset(self) -> None:
        self._alone: bytes | None = None  # the first line of data while it is the only one
        if self._data:
            self._data.clear()
        self._room = self._limit  # bytes that the data of the event leaves of it
        self._event = _MESSAGE
        self._event_retry: int | None = None

    def feed(self, data: bytes | bytearray | memoryview) -> list[ServerSentEvent]:
        """Read a chunk and return the events that it completes.

        Raises:
            EventTooLarge: an event beyond the limit; its `values` are the events before it.
            ClosedError: after close(), or after an event beyond the limit.
        """
        if self._closed:
            raise ClosedError("the decoder is closed")
        events: list[ServerSentEvent] = []
        lines = self._splitter.feed(data)
        if self._first and lines:
            self._first = False
            if lines[0].startswith(_BOM):
                if len(lines[0]) > self._room:
                    self._refuse(len(lines[0]), events)
                lines[0] = lines[0].removeprefix(_BOM)
        for line in lines:
            if len(line) > self._room:
                self._refuse(len(line), events)
            if not line:
                self._dispatch(events)
            elif not line.startswith(b"data:"):
                self._field(line)
            else:
                value = line[6:] if line.startswith(b" ", 5) else line[5:]
                if self._alone is None:
                    self._alone = value
                    self._room -= len(value)
                else:
                    self._add(value)
        pending = self._splitter._pending
        if pending and len(pending) > self._room:
            self._refuse(len(pending), events)
        return events

    def close(self) -> list[ServerSentEvent]:
        """End the input and return an empty list.

        An event without its blank line is discarded, as the standard demands.
        """
        self._closed = True
        self._splitter._pending.clear()
        self._reset()
        return []

    def _refuse(self, size: int, events: list[ServerSentEvent]) -> None:
        size += self._limit - self._room
        self.close()
        raise EventTooLarge("an event", "max_event_bytes", self._limit, size, events)

    def _add(self, value: bytes) -> None:
        """Add a line of data."""
        if self._alone is None:
            self._alone = value
            self._room -= len(value)
            return
        if not self._data:
            self._data += self._alone
        self._data += b"\n" + value
        self._room -= len(value) + 1

    def _field(self, line: bytes) -> None:
        """Read a line that does not begin with `data:`."""
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._event = value.decode(errors="replace") or _MESSAGE
        elif name == b"id":
            if b"\0" not in value:
                self._id = value.decode(errors="replace")
                self._own_id = True
        elif name == b"data":
            self._add(value)
        elif name == b"retry" and value and not value.strip(b"0123456789"):
            digits = value.lstrip(b"0") or b"0"
            self.retry = min(int(digits), MAX_INT) if len(digits) <= 19 else MAX_INT
            self._event_retry = self.retry

    def _dispatch(self, events: list[ServerSentEvent]) -> None:
        self.last_event_id = self._id
        if self._alone is not None:
            data = bytes(self._data) if self._data else self._alone
            events.append(
                received_event(data, self._event, self._id, self._event_retry, self._own_id)
            )
            self._own_id = False
            self._reset()
        elif self._event_retry is not None or self._event is not _MESSAGE:
            self._reset()
