"""The rules of NDJSON: bytes in, findings out. No input or output."""

from __future__ import annotations

from ..core import read_json
from ..errors import NDJSONError
from ._event_rules import EventRules
from ._lines import NDJSON_END, Lines, TooLarge
from ._rules import Finding, bad_byte
from ._sse_rules import BOM, HUGE, SEPARATORS


class NDJSONCheck:
    """Checks one stream, with the face of `SSECheck`. Belongs to one task."""

    last_event_id = ""
    retry: int | None = None

    def __init__(self) -> None:
        self.events = EventRules()
        self.stopped = False
        self.line = 0
        self._lines = Lines(NDJSON_END)
        self._found: list[Finding] = []
        self._objects = 0
        self._has_crlf = False

    def feed(self, data: bytes) -> list[Finding]:
        """Take a chunk and give what is wrong with the lines that it completes."""
        if not self.stopped:
            try:
                for line, _ in self._lines.feed(data):
                    self._line(line)
            except TooLarge:
                self.stopped = True
                self.line += 1
                self._add("too-large", "a line is longer than 16 MiB", "here checking ends")
        return self._given()

    def close(self) -> list[Finding]:
        """Say that the stream is over, and give what is wrong with its end."""
        if not self.stopped:
            for line, _ in self._lines.close():
                self._line(line)
                effect = "most readers take it; it may be the rest of a stream that was cut"
                self._add("no-final-newline", "the last line has no end", effect)
            self._found += self.events.close()
        return self._given()

    def _line(self, line: bytes) -> None:
        self.line += 1
        if self.line == 1 and line.startswith(BOM):
            line = line[3:]
            self._add("bom", "the stream begins with a byte order mark", "many readers fail at it")
        if line.endswith(b"\r"):
            line = line[:-1]
            if not self._has_crlf:
                self._has_crlf = True
                self._add("crlf-line-ends", "lines end in CRLF", "most readers strip the CR")
        if not line.strip(b" \t\r"):
            self._add("blank-line", "a blank line", "some readers fail at it, such as ollama's")
            return
        if len(line) > HUGE:
            self._add("huge-line", f"a line of {len(line)} bytes", "some readers have limits")
        if said := bad_byte(line):
            self._add("invalid-utf8", said, "a reader fails here")
            return
        if match := SEPARATORS.search(line):
            said = f"U+{ord(match[0].decode()):04X} stands in the line unescaped"
            self._add("line-separator", said, "httpx and requests split the line there")
        self._value(line)

    def _value(self, line: bytes) -> None:
        try:
            value = read_json(line)
        except ValueError as error:
            self._add("not-json", str(NDJSONError.of(error, self.line, line, [])), "a reader fails")
            return
        kind = value.get("type") if isinstance(value, dict) else None
        if isinstance(value, dict):
            self._objects += 1
        elif self._objects:
            self._add("not-object", f"the value is no object: {type(value).__name__}")
        name = kind if isinstance(kind, str) else "message"
        self._found += self.events.see(name, line.decode(), value, self.line)

    def _add(self, rule: str, message: str, effect: str = "") -> None:
        self._found.append(Finding(rule, self.line, message, effect))

    def _given(self) -> list[Finding]:
        given, self._found = self._found, []
        return given
