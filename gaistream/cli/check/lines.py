"""Lines with their ends, and `StreamCheck`, the base of the rules of both formats.

The core's splitter does not tell how a line ended, which the rules need. No input or output.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from ...core.separators import ESCAPES
from ...errors import EventTooLarge
from .events import EventRules
from .rules import Finding, bad_byte

SSE_END = re.compile(rb"\r\n|\r|\n")
NDJSON_END = re.compile(rb"\n")
MAX_BYTES = 16 * 2**20
BOM = b"\xef\xbb\xbf"
HUGE = 2**20  # bytes of a line; the MCP client for Python takes no larger event
_SEPARATORS = re.compile(b"|".join(raw for raw, _ in ESCAPES))


class TooLarge(Exception):
    """A line is longer than MAX_BYTES."""


class Lines:
    """Splits chunks into pairs of a line and its end. Belongs to one task.

    A CR at the end of a chunk waits for the next one, which may begin with its LF. No byte is
    searched twice.

    Args:
        end: SSE_END or NDJSON_END.
    """

    def __init__(self, end: re.Pattern[bytes]) -> None:
        self._end = end
        self._pending = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the lines that a chunk completes.

        Raises:
            TooLarge: a line is longer than MAX_BYTES; the lines before it were yielded.
        """
        had_cr = self._ends_in_cr
        self._pending += data
        text = bytes(self._pending) if had_cr or self._end.search(data) else b""
        start = 0
        for match in self._end.finditer(text, self._searched):
            if match[0] == b"\r" and match.end() == len(text):
                break
            yield text[start : match.start()], match[0]
            start = match.end()
        del self._pending[:start]
        self._searched = len(self._pending) - self._ends_in_cr
        if len(self._pending) > MAX_BYTES:
            raise TooLarge

    @property
    def _ends_in_cr(self) -> bool:
        return self._end is SSE_END and self._pending.endswith(b"\r")

    def close(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the last line, with the end b"" if it has none."""
        rest = bytes(self._pending)
        self._pending.clear()
        if self._end is SSE_END and rest.endswith(b"\r"):
            yield rest[:-1], b"\r"
        elif rest:
            yield rest, b""


class StreamCheck:
    """Checks one stream: bytes in, findings out. Belongs to one task.

    Attributes:
        events: the rules of its events, and how the stream ends.
        stopped: True if checking has ended at a limit.
        line: the number of lines so far.
        last_event_id: the Last-Event-ID that a browser would send; "" if none.
        retry: milliseconds after which a browser would reconnect; None if the stream has no hint.
    """

    END: ClassVar[re.Pattern[bytes]]
    EFFECTS: ClassVar[dict[str, str]]
    """What a browser or a reader makes of the faults that both formats have."""

    def __init__(self) -> None:
        self.events = EventRules()
        self.stopped = False
        self.line = 0
        self._lines = Lines(self.END)
        self._findings: list[Finding] = []

    @property
    def last_event_id(self) -> str:
        return ""

    @property
    def retry(self) -> int | None:
        return None

    def feed(self, data: bytes) -> list[Finding]:
        """Check the lines that a chunk completes."""
        if not self.stopped:
            self._check(self._lines.feed(data))
        return self._take()

    def close(self) -> list[Finding]:
        """Check the end of the stream."""
        if not self.stopped:
            self._check(self._lines.close())
        if not self.stopped:
            self._end()
            self._findings += self.events.close()
        return self._take()

    def _check(self, lines: Iterator[tuple[bytes, bytes]]) -> None:
        try:
            for line, end in lines:
                self.line += 1
                self._line(line, end)
        except TooLarge:
            self.line += 1
            self._stop("a line is longer than 16 MiB")
        except EventTooLarge as error:
            self._stop(str(error))

    def _line(self, line: bytes, end: bytes) -> None:
        """Check a line."""
        raise NotImplementedError

    def _end(self) -> None:
        """Check the end, after the last line."""

    def _without_bom(self, line: bytes) -> bytes:
        """Return the first line without its byte order mark."""
        if not line.startswith(BOM):
            return line
        self._add("bom", "the stream begins with a byte order mark")
        return line.removeprefix(BOM)

    def _is_text(self, line: bytes) -> bool:
        """Check the bytes of a line; return False if they are not UTF-8."""
        if len(line) > HUGE:
            self._add("huge-line", f"a line of {len(line)} bytes")
        if line.isascii():
            return True
        if problem := bad_byte(line):
            self._add("invalid-utf8", problem)
        if match := _SEPARATORS.search(line):
            code = ord(match[0].decode())
            self._add("line-separator", f"U+{code:04X} stands in the line unescaped")
        return not problem

    def _add(self, rule: str, message: str, effect: str = "", line: int | None = None) -> None:
        """Add a finding on a line: the present one, unless another is given."""
        effect = effect or self.EFFECTS.get(rule, "")
        self._findings.append(Finding(rule, line or self.line, message, effect))

    def _stop(self, message: str) -> None:
        self.stopped = True
        self._add("too-large", message)

    def _take(self) -> list[Finding]:
        findings, self._findings = self._findings, []
        return findings
