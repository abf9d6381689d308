"""The encoder of Server-Sent Events: frames by their fields, ids, comments, the first bytes.

Twin of src/sse_encoder.pxi.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .encoder import BaseEncoder
from .server_sent_event import ServerSentEvent, written_fields
from .sse import sse_frame


class BaseSSEEncoder(BaseEncoder):
    """Write Server-Sent Events.

    Args:
        dialect: the writer of events, a DialectWriter.
        size: bytes that the buffer starts with.
        errors: "replace" or "strict".
        include_id: number the frames from 1.
        dumps: encodes payloads as JSON without a line end; None: the installed library does.
    """

    __slots__ = ("_dumps", "_hint_open", "_id_written", "_next_id")

    def __init__(
        self,
        dialect: Any,
        size: int = 4096,
        errors: str = "replace",
        include_id: bool = False,
        dumps: Callable[[Any], bytes] | None = None,
    ) -> None:
        super().__init__(dialect, size, errors)
        self._dumps = dumps
        self._next_id = 1 if include_id else 0
        self._id_written = False
        self._hint_open = False  # the last block is a retry without its blank line

    @property
    def last_id(self) -> int:
        """The number of the last numbered frame; 0 before the first."""
        return max(self._next_id - 1, 0)

    def write_event(self, event: str | None, data: Any) -> None:
        """Write a frame with this name; `data` is text, or a payload that is encoded as JSON."""
        if data is None or isinstance(data, str | bytes | bytearray | memoryview):
            self.write_frame(data, event)
        else:
            self.write_frame(None, event, json=data)

    def write_frame(
        self,
        data: str | bytes | bytearray | memoryview | None = None,
        event: str | None = None,
        *,
        id: str | int | None = None,
        retry: int | None = None,
        comment: str | None = None,
        json: Any = ...,
    ) -> None:
        """Write a frame by its fields, as encode_sse does.

        With include_id a frame that has content, and no id in `id`, gets the next number.
        """
        self._check_open()
        content = data is not None or event is not None or json is not ...
        if json is not ... and self._dumps is not None and data is None:
            data, json = self._dumps(json), ...
        if id is None and self._next_id and content:
            frame = sse_frame(data, event, self._next_id, retry, comment, json, self._replace)
            self._next_id += 1
            self._id_written = True
        else:
            frame = sse_frame(data, event, id, retry, comment, json, self._replace)
            self._id_written = self._id_written or id is not None
        if content or id is not None:
            self._hint_open = False
            self.failed = False
        elif retry is not None:
            self._hint_open = True
        else:
            frame = self._quiet(frame)
        self._buffer.append(frame)

    def _quiet(self, comment: bytes) -> bytes:
        """Return a comment block with or without its blank line, see write_comment."""
        return comment[:-1] if self._id_written or self._hint_open else comment

    def write_sse_event(self, event: ServerSentEvent) -> None:
        """Write a ServerSentEvent."""
        data, name, id = written_fields(event)
        self.write_frame(data, name, id=id, retry=event.retry, comment=event.comment)

    def write_ready(self, frame: bytes | bytearray | memoryview) -> None:
        """Write a whole frame as it is."""
        super().write_ready(frame)
        written = bytes(frame)
        if written.startswith(b"id:") or b"\nid:" in written:
            self._id_written = True
        if written:
            self._hint_open = not written.endswith(b"\n\n")

    def write_comment(self, text: str = "") -> None:
        """Write a comment block.

        Readers that split on blank lines need the blank line at its end. After an id, or after a
        block of only a retry, it is left out, because some decoders emit an empty event at it.
        """
        self.write_frame(comment=text)

    def write_heartbeat(self) -> None:
        """Write a keep-alive comment."""
        self.write_frame(comment="keep-alive")

    def write_prelude(self, retry: int | None = None) -> None:
        """Write the first bytes of a stream, and a reconnection time in milliseconds if given."""
        self._check_open()
        hint = b"" if retry is None else sse_frame(None, None, None, retry, None, ..., False)
        self._buffer.append(self._quiet(b":\n\n") + hint)
        self._hint_open = retry is not None

    def _mark(self) -> tuple[Any, ...]:
        return (*super()._mark(), self._next_id, self._id_written, self._hint_open)

    def _restore(self, mark: tuple[Any, ...]) -> None:
        super()._restore(mark)
        self._next_id, self._id_written, self._hint_open = mark[5:]

    def _append(self, frame: bytes) -> None:
        self._hint_open = False
        if self._next_id:
            self._buffer.append(b"id: %d\n" % self._next_id)
            self._next_id += 1
            self._id_written = True
        self._buffer.append(frame)
