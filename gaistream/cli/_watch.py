"""Counts the lines of SSE that a decoder drops, and sees whether the last event is complete."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

from ..core import LineSplitter


class Watch:
    """Watches the lines of one stream. Belongs to one task.

    Attributes:
        counts: how many comments, ids, retry hints and event names there were.
        incomplete: True while an event with data has no blank line after it.
    """

    _COUNTED: ClassVar = {
        b"": "comments",
        b"id": "ids",
        b"retry": "retry hints",
        b"event": "event names",
    }

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.incomplete = False
        self._splitter = LineSplitter(max_line_bytes=2**62)

    def feed(self, data: bytes) -> None:
        """Look at the lines that a chunk completes."""
        for line in self._splitter.feed(data):
            self._line(line)

    def close(self) -> None:
        """Look at the last line."""
        for line in self._splitter.close():
            self._line(line)

    def _line(self, line: bytes) -> None:
        if not line:
            self.incomplete = False
        elif line.startswith((b"data:", b"\xef\xbb\xbfdata:")) or line == b"data":
            self.incomplete = True
        else:
            name = self._COUNTED.get(line.partition(b":")[0])
            if name is not None:
                self.counts[name] += 1
