"""Newline-delimited JSON in: bytes to values, one a line, whatever the chunking.

LF or CRLF ends a line, and a last line without an end counts; blank lines and one leading byte
order mark are skipped. No byte is searched twice, and an unfinished line is kept until its end
comes. A line that is no JSON value is reported with its number, and reading continues after it.
The caller's `loads`, or the installed JSON library, reads the values. Twin of
src/ndjson_decoder.pxi.
"""

from __future__ import annotations

from collections.abc import Callable
from types import EllipsisType
from typing import Any

from gaistream.errors import (
    ClosedError,
    EventTooLarge,
    FrameError,
    FrameTypeError,
    NDJSONError,
)

from .buffer import NotCopyable, readable
from .checks import checked_int
from .lines import MAX_LINE_BYTES
from .payloads import json_value

_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r"


class NDJSONDecoder(NotCopyable):
    """An incremental decoder of newline-delimited JSON. Belongs to one task.

    Args:
        max_line_bytes: a longer line raises EventTooLarge and closes the decoder.
        strict: True: a blank line and a byte order mark are errors, as jsonlines.org demands.
        loads: reads the bytes of a line; a line for which it raises is a bad one. The default is
            gaistream's JSON library, which refuses NaN, Infinity and bytes that are not UTF-8,
            and reads half a surrogate pair as U+FFFD. None: lines are returned as bytes.
        on_error: "raise": a bad line raises NDJSONError, which has the values before it; call
            `feed(b"")` to continue after it. "skip": bad lines are skipped. A callable is called
            with the NDJSONError, and reading continues.
    """

    __slots__ = (
        "_at",
        "_busy",
        "_chunks",
        "_closed",
        "_limit",
        "_line_number",
        "_loads",
        "_on_error",
        "_pending",
        "_strict",
        "_values",
    )

    def __init__(
        self,
        *,
        max_line_bytes: int = MAX_LINE_BYTES,
        strict: bool = False,
        loads: Callable[[bytes], Any] | EllipsisType | None = ...,
        on_error: str | Callable[[NDJSONError], object] = "raise",
    ) -> None:
        self._enter()
        limit = checked_int("max_line_bytes", max_line_bytes, 1, 2**62, "bytes")
        if not (loads is ... or loads is None or callable(loads)):
            raise FrameTypeError(f"loads must be callable or None, not {type(loads).__name__}")
        if not (on_error == "raise" or on_error == "skip" or callable(on_error)):
            raise FrameError(f"on_error must be 'raise', 'skip' or callable, not {on_error!r}")
        is_strict = bool(strict)
        self._limit = limit
        self._loads = json_value if isinstance(loads, EllipsisType) else loads
        self._on_error = on_error
        self._strict = is_strict
        self._pending = bytearray()
        self._line_number = 0  # lines begun and ended so far
        self._chunks: list[bytes] = []  # not read yet: the first from `_at` on
        self._at = 0
        self._values: list[Any] = []  # decoded, but not returned yet
        self._closed = False
        self._busy = False

    def feed(self, data: bytes | bytearray | memoryview) -> list[Any]:
        """Read a chunk and return the values of the lines that it completes.

        Raises:
            NDJSONError: a line that is no JSON value, with on_error="raise". The rest of the
                chunk is kept: `feed(b"")` continues after the line.
            EventTooLarge: a line beyond the limit; its `values` are those before it.
            ClosedError: after close(), after a line beyond the limit, or from within.
        """
        if self._closed:
            raise ClosedError("the decoder is closed")
        self._enter()
        self._chunks.append(data if type(data) is bytes else bytes(readable("data", data)))
        return self._work(False)

    def close(self) -> list[Any]:
        """End the input and return the value of a last line that had no end, in a list.

        Raises as `feed`; call it again for the lines after a bad one.
        """
        self._enter()
        self._closed = True
        return self._work(True)

    def _enter(self) -> None:
        if getattr(self, "_busy", False):  # unset before __init__
            raise ClosedError("the decoder is at work: it cannot be used from within itself")

    def _work(self, last: bool) -> list[Any]:
        self._busy = True
        try:
            while self._chunks:
                self._read(self._chunks[0])
                self._at = 0
                del self._chunks[0]
            if last and self._pending:
                line = bytes(self._pending)
                self._pending.clear()
                self._line(line)
        finally:
            self._busy = False
        values, self._values = self._values, []
        return values

    def _read(self, chunk: bytes) -> None:
        find = chunk.find
        while (end := find(b"\n", self._at)) >= 0:
            line = chunk[self._at : end]
            self._at = end + 1
            if self._pending or len(line) > self._limit:
                self._check(line)
                line = bytes(self._pending) + line
                self._pending.clear()
            self._line(line)
        rest = chunk[self._at :]
        if rest:
            self._check(rest)
            self._pending += rest

    def _check(self, piece: bytes) -> None:
        """Refuse a piece that makes the pending line too long; a CR at its end does not count."""
        size = len(self._pending) + len(piece)
        if size > self._limit:
            size -= (piece or self._pending).endswith(b"\r")
            if size > self._limit:
                self._closed = True
                self._pending.clear()
                self._chunks.clear()
                values, self._values = self._values, []
                name = f"line {self._line_number + 1}"
                raise EventTooLarge(name, "max_line_bytes", self._limit, size, values)

    def _line(self, line: bytes) -> None:
        """Read a line without its LF."""
        self._line_number += 1
        line = line.removesuffix(b"\r")
        if self._line_number == 1 and line.startswith(_BOM):
            if self._strict:
                self._refuse("a byte order mark", line)
                return
            line = line.removeprefix(_BOM)
        if not line.strip(_BLANK):
            if self._strict:
                self._refuse("a blank line", line)
            return
        if self._loads is None:
            self._values.append(line)
            return
        try:
            value = self._loads(line)
        except Exception as error:
            self._refuse(error, line)
        else:
            self._values.append(value)

    def _refuse(self, why: Exception | str, line: bytes) -> None:
        if self._on_error == "skip":
            return
        error = NDJSONError.of(why, self._line_number, line, [])
        if callable(self._on_error):
            self._on_error(error)
            return
        error.values, self._values = self._values, []
        raise error from (why if isinstance(why, Exception) else None)
