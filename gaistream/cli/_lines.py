"""Lines with their ends: what the rules of `check` need, and the core's splitter does not tell."""

from __future__ import annotations

import re
from collections.abc import Iterator

SSE_END = re.compile(rb"\r\n|\r|\n")
NDJSON_END = re.compile(rb"\n")
MAX_BYTES = 16 * 2**20


class TooLarge(Exception):
    """A line beyond MAX_BYTES."""


class Lines:
    """Splits chunks into pairs of a line and its end. Belongs to one task.

    A CR at the end of a chunk waits for what follows, which may be its LF. No byte is searched
    twice.

    Args:
        end: SSE_END or NDJSON_END.
    """

    def __init__(self, end: re.Pattern[bytes]) -> None:
        self._end = end
        self._pending = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Take a chunk and give the lines that it completes.

        Raises:
            TooLarge: a line is longer than MAX_BYTES; what came before it has been given.
        """
        held_cr = self._ends_in_cr
        self._pending += data
        text = bytes(self._pending) if held_cr or self._end.search(data) else b""
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
        """End the input: give a last line, with the end b"" where it has none."""
        rest = bytes(self._pending)
        self._pending.clear()
        if self._end is SSE_END and rest.endswith(b"\r"):
            yield rest[:-1], b"\r"
        elif rest:
            yield rest, b""
