"""Lines out of chunks: CR, LF and CRLF each end one, wherever the chunks were cut.

A CR ends its line at once, and an LF directly after it is skipped, also in the next chunk. No byte
is searched twice, and an unfinished line is kept until its end comes, so the time is linear in the
bytes whatever the chunking. Twin of src/lines.pxi.
"""

from __future__ import annotations

from gaistream.errors import ClosedError, EventTooLarge

from .buffer import NotCopyable, readable
from .checks import checked_int
from .text import lines_of

MAX_LINE_BYTES = 16 * 2**20


class LineSplitter(NotCopyable):
    """An incremental line splitter over bytes. Belongs to one task.

    Args:
        max_line_bytes: a longer line raises EventTooLarge and closes the splitter.
    """

    __slots__ = ("_after_cr", "_closed", "_limit", "_pending")

    def __init__(self, *, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._limit = checked_int("max_line_bytes", max_line_bytes, 1, 2**62, "bytes")
        self._pending = bytearray()
        self._after_cr = False
        self._closed = False

    def feed(self, data: bytes | bytearray | memoryview) -> list[bytes]:
        """Read a chunk and return the lines that it completes, without their ends.

        Raises:
            EventTooLarge: a line beyond the limit; its `values` are the lines before it.
            ClosedError: after close(), or after a line beyond the limit.
        """
        if self._closed:
            raise ClosedError("the line splitter is closed")
        chunk = data if type(data) is bytes else bytes(readable("data", data))
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk[0] == 0x0A:
                chunk = chunk[1:]
        if not chunk:
            return []
        lines = lines_of(chunk)
        rest = lines.pop()
        self._after_cr = chunk.endswith(b"\r")
        if lines:
            if len(self._pending) + len(lines[0]) > self._limit:
                self._refuse(len(self._pending) + len(lines[0]), [])
            if self._pending:
                lines[0] = bytes(self._pending) + lines[0]
                self._pending.clear()
            if len(chunk) > self._limit:  # else no other line can be too long
                for index, line in enumerate(lines):
                    if len(line) > self._limit:
                        self._refuse(len(line), lines[:index])
        if rest:
            if len(self._pending) + len(rest) > self._limit:
                self._refuse(len(self._pending) + len(rest), lines)
            self._pending += rest
        return lines

    def close(self) -> list[bytes]:
        """End the input and return the last line in a list, if it had no end."""
        self._closed = True
        last = bytes(self._pending)
        self._pending.clear()
        return [last] if last else []

    def _refuse(self, size: int, lines: list[bytes]) -> None:
        self._closed = True
        self._pending.clear()
        raise EventTooLarge("a line", "max_line_bytes", self._limit, size, lines)
