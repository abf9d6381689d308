"""The base of the encoders: events are written as frames into one reused buffer.

A dialect decides how an event is written. For deltas it may have templates, which are rendered
here and which it may change; for any other item `dialect.write(encoder, item)` calls back. A
write that raises leaves nothing behind: no bytes, no used id, no template. Nothing can be written
after the end.

An encoder belongs to one task. Twin of src/encoder.pxi.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from gaistream.errors import ClosedError

from .buffer import Buffer, NotCopyable
from .checks import checked_int
from .events import ReasoningDelta, TextDelta
from .step_events import Done
from .template import (
    LARGEST_NUMBER,
    FrameTemplate,
    Templates,
    checked_templates,
    has_number,
    numbered,
    rendered,
)
from .text import check_errors
from .tool_events import ToolCallDelta


class BaseEncoder(NotCopyable):
    """The part that all formats share.

    Attributes:
        ended: the end was written; nothing may follow.
        failed: the last event written was an Error.
    """

    __slots__ = (
        "_buffer",
        "_dialect",
        "_fixed",
        "_half",
        "_half_kind",
        "_has_others",
        "_joins",
        "_reasoning",
        "_replace",
        "_sequence",
        "_takes",
        "_templates",
        "_text",
        "ended",
        "failed",
    )

    def __init__(self, dialect: Any, size: int, errors: str) -> None:
        buffer, replace = Buffer(size), check_errors(errors)
        templates = checked_templates(dialect.text_template, dialect.reasoning_template)
        self._buffer = buffer
        self._replace = replace
        self._dialect = dialect
        self._takes = 0
        self._fixed = templates
        self._use_templates(templates)
        self._sequence = 0
        self._joins = False
        self._half = ""  # of a surrogate pair: the last delta ended in it
        self._half_kind: type[Any] = TextDelta
        self.ended = False
        self.failed = False

    def join_halves(self) -> None:
        """From now on join the halves of a surrogate pair that is split over two deltas.

        The half at the end of a delta waits for the next item, and becomes U+FFFD unless that
        begins with the other half. With errors="strict" nothing changes.
        """
        self._joins = self._replace and getattr(self._dialect, "joins_text", False)

    def set_templates(
        self, *, text: FrameTemplate | None = None, reasoning: FrameTemplate | None = None,
        tool_call: FrameTemplate | None = None, tool_call_id: str | None = None,
        pieces: list[str] | None = None,
    ) -> None:  # fmt: skip
        """Replace all templates from the next item on; called by a dialect's `write`.

        An empty delta that has one of these templates is not written.

        Args:
            text: the frame of a TextDelta or a str. None, here as below: the dialect is asked.
            reasoning: the frame of a ReasoningDelta.
            tool_call: the frame of a ToolCallDelta with the id `tool_call_id`; the dialect is
                asked for those of other calls.
            tool_call_id: the id of that call.
            pieces: the text of each delta that one of these templates writes is appended to it.

        Raises:
            FrameTypeError: an argument of another type.
            FrameError: `tool_call` without `tool_call_id`, or the reverse.
        """
        self._use_templates(checked_templates(text, reasoning, tool_call, tool_call_id, pieces))

    def _use_templates(self, templates: Templates) -> None:
        text, reasoning, tool_call, _, _ = self._templates = templates
        fixed = templates is self._fixed
        self._text = text if fixed and not has_number(text) else None
        self._reasoning = reasoning if fixed and not has_number(reasoning) else None
        self._has_others = (
            tool_call is not None or text is not self._text or reasoning is not self._reasoning
        )

    @property
    def sequence(self) -> int:
        """The number of the next frame whose template has a slot for one; a dialect may set it.

        It begins with 0, and each such frame adds 1. It can be set to 0 to 2**53 - 1.
        """
        return self._sequence

    @sequence.setter
    def sequence(self, value: int) -> None:
        self._sequence = checked_int("sequence", value, 0, LARGEST_NUMBER, "")

    @property
    def pending(self) -> int:
        """Bytes that were not taken yet."""
        return len(self._buffer)

    def take(self) -> bytes:
        """Return all pending bytes."""
        self._takes += 1
        return self._buffer.take()

    def take_into(self, buffer: bytearray | memoryview, offset: int = 0) -> int:
        """Move all pending bytes into a writable buffer and return the offset after them.

        Raises BufferTooSmall, and moves nothing, if they do not fit.
        """
        end = self._buffer.take_into(buffer, offset)
        self._takes += 1
        return end

    def write(self, item: Any) -> None:
        """Write one event, or another item that the dialect takes.

        Raises:
            ClosedError: the end was written.
            EventError: an item that is not an event.
            FrameError, EncodeError, UnicodeError: an item that cannot be written.
        """
        self._check_open()
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
        # only "json" writes None, and after an Error the dialect says whether a Done is a success
        if item is not None and kind is not Done and kind is not dict:
            self.failed = False
        try:
            if template is not None:
                self._append(rendered(template, text, self._replace))
            elif self._has_others:
                self._write_other(item, text)
            else:
                self._dialect.write(self, item)
        except BaseException:
            self._restore(mark)
            raise

    def _write_other(self, item: Any, text: str | None) -> None:
        """Write an item by a template that is in `_templates` only, or by the dialect."""
        of_text, of_reasoning, template, tool_call_id, pieces = self._templates
        if text is not None:
            template = of_reasoning if type(item) is ReasoningDelta else of_text
        elif type(item) is ToolCallDelta and item.id == tool_call_id:
            text = item.text
        else:
            template = None
        if template is None:
            self._dialect.write(self, item)
            return
        if not text and self._templates is not self._fixed:
            return  # an empty delta of an open block
        if template.middle is None:
            self._append(rendered(template, text, self._replace))
        else:
            self._append(numbered(template, text, self._replace, self._sequence))
            self._sequence += 1
        if pieces is not None:
            pieces.append(text)  # type: ignore[arg-type]

    def _write_joined(self, item: Any, text: str | None) -> None:
        """Write an item after a half, or one that ends in a half."""
        mark = self._mark_with_half()
        kind = TextDelta if type(item) is str else type(item)
        try:
            if text is None or kind is not self._half_kind:
                self._write_half()
            whole, self._half = self._half, ""
            if text is None:
                self.write(item)
                return
            whole += text
            rest = whole[-1:] if "\ud800" <= whole[-1:] < "\udc00" else ""
            if whole := whole[: len(whole) - len(rest)]:
                whole = whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
                timestamp = None if type(item) is str else item.timestamp
                self.write(kind(whole, timestamp=timestamp))
            self._half, self._half_kind = rest, kind
        except BaseException:
            self._restore_with_half(*mark)
            raise

    def _write_half(self) -> None:
        """Write U+FFFD for a half whose other half did not come."""
        if self._half:
            self._half = ""
            self.write(self._half_kind("\ufffd"))

    def write_many(self, items: Iterable[Any]) -> None:
        """Write many events, up to the first Done.

        If one of them raises, those before it are written and those after it are not.
        """
        self._check_open()
        for item in items:
            self.write(item)
            if self.ended:
                break

    def encode_many(self, items: Iterable[Any]) -> bytes:
        """Return the frames of many events, up to the first Done, and restore the encoder.

        The dialect's own state is not restored: use it with a dialect that has none.
        """
        self._check_open()
        mark, half, pieces = self._mark(), self._half, self._templates[4]
        count = 0 if pieces is None else len(pieces)
        try:
            self.write_many(items)
            start = mark[0] if mark[1] == self._takes else 0
            return bytes(self._buffer._data[start:])
        finally:
            self._restore(mark)
            self._half = half
            if pieces is not None:
                del pieces[count:]

    def write_ready(self, frame: bytes | bytearray | memoryview) -> None:
        """Write a whole frame as it is."""
        self._check_open()
        self._buffer.append(frame)

    def fail(self, error: Any) -> None:
        """Write the dialect's error frame; nothing may follow."""
        self._end(self._dialect.fail, error)
        self.failed = True

    def finish(self) -> None:
        """Write the dialect's end of a stream that succeeded; nothing may follow."""
        self._end(self._dialect.finish)

    def _end(self, write: Callable[..., None], *error: Any) -> None:
        self._check_open()
        mark = self._mark_with_half()
        try:
            self._write_half()
            write(self, *error)
        except BaseException:
            self._restore_with_half(*mark)
            raise
        self.ended = True

    def _check_open(self) -> None:
        if self.ended:
            raise ClosedError("the stream has ended: nothing may follow")

    def _mark(self) -> tuple[Any, ...]:
        return (len(self._buffer), self._takes, self.failed, self._templates, self._sequence)

    def _restore(self, mark: tuple[Any, ...]) -> None:
        # An enclosing write that failed first, in another thread, has left fewer bytes.
        kept = min(mark[0], len(self._buffer))
        self._buffer.truncate(kept if mark[1] == self._takes else 0)
        self.failed, templates, self._sequence = mark[2:5]
        if templates is not self._templates:
            self._use_templates(templates)
        self.ended = False

    def _mark_with_half(self) -> tuple[Any, ...]:
        """Return the state before a write of several items, the first of which is the half."""
        return self._mark(), self._half, len(self._templates[4] or ())

    def _restore_with_half(self, mark: tuple[Any, ...], half: str, pieces: int) -> None:
        self._restore(mark)
        self._half = half
        if self._templates[4] is not None:
            del self._templates[4][pieces:]

    def _append(self, frame: bytes) -> None:
        self._buffer.append(frame)
