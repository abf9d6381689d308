"""Events in, bytes out, through one reused buffer: what stands under every stream.

A dialect says how an event is written; for text and reasoning it gives a template, which is
rendered here without asking it. Everything else goes to `dialect.write(frames, item)`, which
calls back. A write that raises leaves nothing behind: neither bytes nor a used id. After `Done`
nothing can be written. Belongs to one task. Twin of src/encoder.pxi.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from gaistream.errors import ClosedError, FrameError

from .buffer import Buffer, NotCopyable
from .events import ReasoningDelta, TextDelta
from .sse import ServerSentEvent, sse_frame, written_fields
from .template import FrameTemplate, rendered
from .text import check_errors, json_bytes, text_bytes


class BaseEncoder(NotCopyable):
    """What both framings share.

    Attributes:
        ended: Done was written; nothing may follow.
        failed: the last event written was an Error.
    """

    __slots__ = (
        "_buffer",
        "_dialect",
        "_half",
        "_half_kind",
        "_joins",
        "_reasoning",
        "_replace",
        "_takes",
        "_text",
        "ended",
        "failed",
    )

    def __init__(self, dialect: Any, size: int, errors: str) -> None:
        buffer, replace = Buffer(size), check_errors(errors)
        text, reasoning = dialect.text_template, dialect.reasoning_template
        self._buffer = buffer
        self._replace = replace
        self._dialect = dialect
        self._takes = 0
        self._text: FrameTemplate | None = text
        self._reasoning: FrameTemplate | None = reasoning
        self._joins = False
        self._half = ""  # of a surrogate pair: it ended a delta, and waits for the next
        self._half_kind: type[Any] = TextDelta
        self.ended = False
        self.failed = False

    def join_halves(self) -> None:
        """From now on join halves of surrogate pairs that come in two deltas.

        A half that ends a delta waits until something else is written, and is U+FFFD then if the
        other half is not there. Nothing changes with errors="strict".
        """
        self._joins = self._replace and getattr(self._dialect, "joins_text", False)

    @property
    def pending(self) -> int:
        """Bytes that wait to be taken."""
        return len(self._buffer)

    def take(self) -> bytes:
        """Give all that waits."""
        self._takes += 1
        return self._buffer.take()

    def take_into(self, buffer: bytearray | memoryview, offset: int = 0) -> int:
        """Move all that waits into a writable buffer and give the offset behind it.

        Raises BufferTooSmall, and moves nothing, where it does not fit.
        """
        end = self._buffer.take_into(buffer, offset)
        self._takes += 1
        return end

    def write(self, item: Any) -> None:
        """Write one event, or what the dialect takes for one.

        Raises:
            ClosedError: after Done.
            EventError: an item that is no event.
            FrameError, EncodeError, UnicodeError: one that cannot be written.
        """
        self._open()
        kind = type(item)
        if kind is TextDelta:
            text, template = item.text, self._text
        elif kind is str:
            text, template = item, self._text
        elif kind is ReasoningDelta:
            text, template = item.text, self._reasoning
        else:
            text, template = None, None
        if self._joins and (self._half or (text and "\ud800" <= text[-1] < "\udc00")):
            self._write_joined(item, text)
            return
        mark = self._mark()
        if item is not None:  # which no dialect but "json" writes
            self.failed = False
        try:
            if template is None:
                self._dialect.write(self, item)
            else:
                self._numbered(rendered(template, text, self._replace))
        except BaseException:
            self._restore(mark)
            raise

    def _write_joined(self, item: Any, text: str | None) -> None:
        """Write an item after a half, or one that ends in a half."""
        mark, held = self._mark(), self._half
        kind = TextDelta if type(item) is str else type(item)
        try:
            if text is None or kind is not self._half_kind:
                self._write_half()
            whole, self._half = self._half, ""
            if text is None:
                self.write(item)
                return
            whole += text
            left = whole[-1:] if "\ud800" <= whole[-1:] < "\udc00" else ""
            if whole := whole[: len(whole) - len(left)]:
                whole = whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
                when = None if type(item) is str else item.timestamp
                self.write(kind(whole, timestamp=when))
            self._half, self._half_kind = left, kind
        except BaseException:
            self._restore(mark)
            self._half = held
            raise

    def _write_half(self) -> None:
        """Write a half of which the other half did not come."""
        if self._half:
            self._half = ""
            self.write(self._half_kind("\ufffd"))

    def write_many(self, items: Iterable[Any]) -> None:
        """Write many events; what follows Done is left out.

        Where one raises, those before it are written and those behind it are not.
        """
        self._open()
        for item in items:
            self.write(item)
            if self.ended:
                break

    def write_ready(self, frame: bytes | bytearray | memoryview) -> None:
        """Write bytes as they are: frames that somebody else has made."""
        self._open()
        self._buffer.append(frame)

    def fail(self, error: Any) -> None:
        """Write the dialect's error frame; nothing may follow."""
        self._end(self._dialect.fail, error)
        self.failed = True

    def finish(self) -> None:
        """Write the dialect's end of a stream that succeeded; nothing may follow."""
        self._end(self._dialect.finish)

    def _end(self, say: Callable[..., None], *what: Any) -> None:
        self._open()
        mark, half = self._mark(), self._half
        try:
            self._write_half()
            say(self, *what)
        except BaseException:
            self._restore(mark)
            self._half = half
            raise
        self.ended = True

    def _open(self) -> None:
        if self.ended:
            raise ClosedError("the stream has ended: nothing may follow")

    def _mark(self) -> tuple[Any, ...]:
        return (len(self._buffer), self._takes, self.failed)

    def _restore(self, mark: tuple[Any, ...]) -> None:
        # a write around this one that failed first, in another thread, has left less
        kept = min(mark[0], len(self._buffer))
        self._buffer.truncate(kept if mark[1] == self._takes else 0)
        self.failed = mark[2]
        self.ended = False

    def _numbered(self, frame: bytes) -> None:
        self._buffer.append(frame)


class BaseSSEEncoder(BaseEncoder):
    """Server-Sent Events into a buffer.

    Args:
        dialect: what says how an event is written.
        size: bytes that the buffer starts with.
        errors: "replace" or "strict".
        include_id: number the frames from 1.
        dumps: payload to JSON without line end, if the installed library is not to do it.
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
        """Write a frame with this name; `data` is text, or any payload, which becomes JSON."""
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

        With include_id a frame that has content and no id of its own gets the next number.
        """
        self._open()
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
        """Leave out the blank line of a comment where some decoders would emit an event at it."""
        return comment[:-1] if self._id_written or self._hint_open else comment

    def write_sse_event(self, event: ServerSentEvent) -> None:
        """Write a ServerSentEvent."""
        data, name, own_id = written_fields(event)
        self.write_frame(data, name, id=own_id, retry=event.retry, comment=event.comment)

    def write_ready(self, frame: bytes | bytearray | memoryview) -> None:
        """Write bytes as they are: frames that somebody else has made."""
        super().write_ready(frame)
        held = bytes(frame)
        if held.startswith(b"id:") or b"\nid:" in held:
            self._id_written = True
        if held:
            self._hint_open = not held.endswith(b"\n\n")

    def write_comment(self, text: str = "") -> None:
        """Write a comment block.

        Its blank line is left out once an id was written, and behind a retry of its own: some
        decoders emit an empty event at it then. Before, it is there for readers that split on
        blank lines.
        """
        self.write_frame(comment=text)

    def write_heartbeat(self) -> None:
        """Write a keep-alive comment."""
        self.write_frame(comment="keep-alive")

    def write_prelude(self, retry: int | None = None) -> None:
        """Write the first bytes of a stream, and a reconnection time in milliseconds if given."""
        self._open()
        hint = b"" if retry is None else sse_frame(None, None, None, retry, None, ..., False)
        self._buffer.append(self._quiet(b":\n\n") + hint)
        self._hint_open = retry is not None

    def _mark(self) -> tuple[Any, ...]:
        return (*super()._mark(), self._next_id, self._id_written, self._hint_open)

    def _restore(self, mark: tuple[Any, ...]) -> None:
        super()._restore(mark)
        self._next_id, self._id_written, self._hint_open = mark[3:]

    def _numbered(self, frame: bytes) -> None:
        self._hint_open = False
        if self._next_id:
            self._buffer.append(b"id: %d\n" % self._next_id)
            self._next_id += 1
            self._id_written = True
        self._buffer.append(frame)


class BaseNDJSONEncoder(BaseEncoder):
    """Newline-delimited JSON into a buffer.

    Args:
        dialect: what says how an event is written.
        size: bytes that the buffer starts with.
        errors: "replace" or "strict".
        dumps: payload to JSON without line end, where it is not to be the compact form.
    """

    __slots__ = ("_dumps",)

    def __init__(
        self,
        dialect: Any,
        size: int = 8192,
        errors: str = "replace",
        dumps: Callable[[Any], bytes] | None = None,
    ) -> None:
        super().__init__(dialect, size, errors)
        self._dumps = dumps

    def write_line(self, payload: Any) -> None:
        """Write one payload as one line."""
        self._open()
        if self._dumps is None:
            line = json_bytes(payload, True, self._replace)
        else:
            line = self._dumps(payload) + b"\n"
        self._buffer.append(line)
        self.failed = False

    def write_text_line(self, data: str | bytes | bytearray | memoryview) -> None:
        """Write a line that is JSON already; CR and LF within it are refused."""
        self._open()
        line = text_bytes("data", data, self._replace)
        for index, byte in enumerate(line):
            if byte in b"\r\n":
                name = "CR" if byte == 0x0D else "LF"
                raise FrameError(
                    "data must be one line: "
                    f"found {name} at index {index} of {len(line)} bytes"
                )
        self._buffer.append(line + b"\n")
        self.failed = False

    def write_heartbeat(self) -> None:
        """Write a ping line."""
        failed = self.failed
        self.write_line({"type": "ping"})
        self.failed = failed
