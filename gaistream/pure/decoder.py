"""Server-Sent Events in: bytes to events by the WHATWG rules, whatever the chunking.

An event is given as soon as its blank line is complete; a CR completes it at once. Ids are sticky
and committed at the blank line; nothing is dispatched at the end of the stream. Twin of
src/decoder.pxi. (HTML standard, 9.2.6.)
"""

from __future__ import annotations

from gaistream.errors import ClosedError, EventTooLarge, FrameTypeError

from .buffer import MAX_INT, Stateful
from .lines import LineSplitter, check_limit
from .sse import ServerSentEvent, read_event

MAX_EVENT_BYTES = 16 * 2**20
_BOM = b"\xef\xbb\xbf"


def checked_id(value: object) -> str:
    """Give a last event id as an exact str."""
    if not isinstance(value, str):
        raise FrameTypeError(f"last_event_id must be str, not {type(value).__name__}")
    return str.__str__(value)


class SSEDecoder(Stateful):
    """An incremental decoder of Server-Sent Events. Belongs to one task.

    Args:
        max_event_bytes: the limit of a pending line and the data of its event together; beyond
            it EventTooLarge is raised and the decoder is closed.
        last_event_id: the id in force from the start, as after a reconnect.

    Attributes:
        last_event_id: what a client would send back as Last-Event-ID.
        retry: the last reconnection time in milliseconds, or None.
    """

    __slots__ = (
        "_closed",
        "_data",
        "_event",
        "_event_retry",
        "_first",
        "_has_data",
        "_id",
        "_limit",
        "_own_id",
        "_splitter",
        "last_event_id",
        "retry",
    )

    def __init__(
        self, *, max_event_bytes: int = MAX_EVENT_BYTES, last_event_id: str = ""
    ) -> None:
        self._limit = check_limit("max_event_bytes", max_event_bytes)
        self._splitter = LineSplitter(max_line_bytes=2**62)  # the limit is checked here
        self._first = True
        self._closed = False
        self._id = checked_id(last_event_id)
        self.last_event_id = self._id
        self.retry: int | None = None
        self._own_id = False  # set since the last event that was given
        self._reset()

    def _reset(self) -> None:
        self._data = bytearray()
        self._has_data = False
        self._event = ""
        self._event_retry: int | None = None

    def feed(self, data: bytes | bytearray | memoryview) -> list[ServerSentEvent]:
        """Take a chunk and give the events that it completes.

        Raises:
            EventTooLarge: an event beyond the limit; its `values` are the events before it.
            ClosedError: after close(), or after an event beyond the limit.
        """
        if self._closed:
            raise ClosedError("the decoder is closed")
        events: list[ServerSentEvent] = []
        for line in self._splitter.feed(data):
            self._check(len(line), events)
            if self._first:
                self._first = False
                line = line.removeprefix(_BOM)
            if line:
                self._field(line)
            else:
                self._dispatch(events)
        self._check(len(self._splitter._pending), events)
        return events

    def close(self) -> None:
        """End the input. An event without its blank line is not given, as the standard demands."""
        self._closed = True
        self._splitter.close()
        self._reset()

    def _check(self, size: int, events: list[ServerSentEvent]) -> None:
        size += len(self._data)
        if size > self._limit:
            self.close()
            raise EventTooLarge("an event", "max_event_bytes", self._limit, size, events)

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            if self._has_data:
                self._data += b"\n"
            self._data += value
            self._has_data = True
        elif name == b"event":
            self._event = value.decode(errors="replace")
        elif name == b"id":
            if b"\0" not in value:
                self._id = value.decode(errors="replace")
                self._own_id = True
        elif name == b"retry" and value and not value.strip(b"0123456789"):
            digits = value.lstrip(b"0") or b"0"
            self.retry = min(int(digits), MAX_INT) if len(digits) <= 19 else MAX_INT
            self._event_retry = self.retry

    def _dispatch(self, events: list[ServerSentEvent]) -> None:
        self.last_event_id = self._id
        if self._has_data:
            events.append(
                read_event(
                    self._data.decode(errors="replace"),
                    self._event or "message",
                    self._id,
                    self._event_retry,
                    self._own_id,
                )
            )
            self._own_id = False
        self._reset()
