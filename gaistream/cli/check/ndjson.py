"""The rules of NDJSON. No input or output."""

from __future__ import annotations

from typing import ClassVar

from ...core import read_json
from ...dialects import Frame
from ...errors import NDJSONError
from .lines import NDJSON_END, StreamCheck


class NDJSONCheck(StreamCheck):
    """Checks one stream of NDJSON. Belongs to one task."""

    END = NDJSON_END
    EFFECTS: ClassVar = {
        "blank-line": "some readers fail at it, such as ollama's",
        "bom": "many readers fail at it",
        "crlf-line-ends": "most readers strip the CR",
        "huge-line": "some readers have limits",
        "invalid-utf8": "a reader fails here",
        "line-separator": "httpx and requests split the line there",
        "no-final-newline": "most readers take it; it may be the rest of a stream that was cut",
        "not-json": "a reader fails",
        "too-large": "here checking ends",
    }

    def __init__(self) -> None:
        super().__init__()
        self._objects = 0
        self._has_crlf = False

    def _line(self, line: bytes, end: bytes) -> None:
        self._value(line if self.line > 1 else self._without_bom(line))
        if not end:
            self._add("no-final-newline", "the last line has no end")

    def _value(self, line: bytes) -> None:
        if line.endswith(b"\r"):
            line = line[:-1]
            if not self._has_crlf:
                self._has_crlf = True
                self._add("crlf-line-ends", "lines end in CRLF")
        if not line.strip(b" \t\r"):
            self._add("blank-line", "a blank line")
            return
        if not self._is_text(line):
            return
        try:
            value = read_json(line)
        except ValueError as error:
            self._add("not-json", str(NDJSONError.of(error, self.line, line, [])))
            return
        if isinstance(value, dict):
            self._objects += 1
        elif self._objects:
            self._add("not-object", f"the value is not an object but {type(value).__name__}")
        self._findings += self.events.see(Frame.of_line(line.decode(), value), self.line)
