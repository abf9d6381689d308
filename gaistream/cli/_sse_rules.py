"""The rules of Server-Sent Events: bytes in, findings out. No input or output.

Guaranteed: what is said of a browser is what the decoder does that is tested against the HTML
standard, for it is fed every line. Memory is bounded by one event, whatever the chunks.
"""

from __future__ import annotations

import re

from ..core import ServerSentEvent, SSEDecoder, read_json
from ..errors import EventTooLarge
from ._event_rules import EventRules
from ._lines import SSE_END, Lines, TooLarge
from ._rules import Finding, bad_byte, excerpt

BOM = b"\xef\xbb\xbf"
HUGE = 2**20  # bytes of a line; the MCP client for Python takes no larger event
SEPARATORS = re.compile(rb"\xe2\x80[\xa8\xa9]|\xc2\x85")
_FIELDS = (b"data", b"event", b"id", b"retry")


class SSECheck:
    """Checks one stream. Belongs to one task.

    Attributes:
        events: its events, and how they end.
        stopped: nothing more is looked at, for the stream is beyond a limit.
        line: lines so far.
    """

    def __init__(self) -> None:
        self.events = EventRules()
        self.stopped = False
        self.line = 0
        self._lines = Lines(SSE_END)
        self._decoder = SSEDecoder()
        self._found: list[Finding] = []
        self._fields: dict[str, int] = {}  # of the open block, with the line of the first
        self._ends: set[bytes] = set()
        self._lone: list[int] = []  # lines that a CR alone ends, while no LF was seen
        self._said: set[str] = set()

    @property
    def last_event_id(self) -> str:
        """What a browser would send as Last-Event-ID."""
        return self._decoder.last_event_id

    @property
    def retry(self) -> int | None:
        """After how many milliseconds a browser would reconnect, if the stream says it."""
        return self._decoder.retry

    def feed(self, data: bytes) -> list[Finding]:
        """Take a chunk and give what is wrong with the lines that it completes."""
        if not self.stopped:
            try:
                for line, end in self._lines.feed(data):
                    self._line(line, end)
            except TooLarge:
                self._stop("a line is longer than 16 MiB")
            except EventTooLarge as error:
                self._stop(str(error))
        return self._given()

    def close(self) -> list[Finding]:
        """Say that the stream is over, and give what is wrong with its end."""
        if not self.stopped:
            for line, end in self._lines.close():
                self._line(line, end)
                if not end and "data" not in self._fields:
                    self._add("incomplete-line", f"{excerpt(line)} has no line end")
            if "data" in self._fields:
                self._found.append(
                    Finding(
                        "incomplete-event",
                        self._fields["data"],
                        "the stream ends without the blank line that completes this event",
                        "the event is lost",
                    )
                )
            self._found += self.events.close()
        return self._given()

    # ---- lines ----

    def _line(self, line: bytes, end: bytes) -> None:
        self.line += 1
        if self.line == 1 and line.startswith(BOM):
            effect = "it is stripped; SDKs for Python fail at it"
            self._add("bom", "the stream begins with a byte order mark", effect)
            whole, line = line, line[3:]
        else:
            whole = line
        self._end(line, end)
        if not line.isascii():
            self._text(line)
        if len(line) > HUGE:
            said = f"a line of {len(line)} bytes"
            self._add("huge-line", said, "it is taken; some clients have limits of 1 MiB")
        events = self._decoder.feed(whole + b"\n")
        if line:
            self._field(line)
        else:
            self._block(events)
            self._fields.clear()

    def _end(self, line: bytes, end: bytes) -> None:
        """Look at how a line ends, beside those before it."""
        if end == b"\r" and self._ends <= {b"\r"}:
            self._lone = [*self._lone, self.line][:10]
            if not line:
                self._once("cr-line-ends", "lines end in CR alone", "read as it should be")
        elif end == b"\r":
            self._cr(self.line)
        elif end:
            if "cr-line-ends" not in self._said:  # the first CRs stood inside of lines
                for number in self._lone:
                    self._cr(number)
                self._ends -= {b"\r"} if self._lone else set()
            self._lone = []
            if end == b"\r\n":
                effect = "read as it should be; clients that split on two LFs find no event"
                self._once("crlf-line-ends", "lines end in CRLF", effect)
            if self._ends - {end}:
                self._once("mixed-line-ends", "lines end in different ways", "read as it should be")
        if end and not (end == b"\r" and self._ends & {b"\n", b"\r\n"}):
            self._ends.add(end)

    def _cr(self, number: int) -> None:
        effect = "what follows the CR is a line of its own"
        self._found.append(Finding("cr-inside", number, "a CR alone ends the line", effect))

    def _text(self, line: bytes) -> None:
        if said := bad_byte(line):
            self._add("invalid-utf8", said, "U+FFFD stands in its place")
        if match := SEPARATORS.search(line):
            said = f"U+{ord(match[0].decode()):04X} stands in the line unescaped"
            self._add("line-separator", said, "read as it is; httpx and requests split lines there")

    def _field(self, line: bytes) -> None:
        name, colon, value = line.partition(b":")
        if not name and colon:
            self._fields.setdefault("comment", self.line)
            return
        if name not in _FIELDS:
            self._unknown(line, name)
            return
        self._fields.setdefault(name.decode(), self.line)
        if value and not value.startswith(b" "):
            effect = "read as it should be; Google's SDK for Python needs the space"
            self._add("missing-space", f"no space behind {name.decode()}:", effect)
        value = value.removeprefix(b" ")
        if name == b"id" and b"\0" in value:
            self._add("id-with-nul", "the id holds a NUL", "the id is ignored")
        if name == b"retry" and (not value or value.strip(b"0123456789")):
            said = f"retry is {excerpt(value)}, not ASCII digits"
            self._add("retry-not-digits", said, "the line is ignored")

    def _unknown(self, line: bytes, name: bytes) -> None:
        effect = "the line is ignored"
        if line.startswith(BOM):
            said = "a byte order mark stands inside of the stream and becomes part of the field"
            self._add("bom-inside", said, effect)
        elif line.lstrip()[:1] in (b"{", b"[", b'"'):
            self._add("bare-data", f"{excerpt(line)} has no field name: data: is missing", effect)
        else:
            said = f"{excerpt(name)} is no field"
            if name.strip().lower() in _FIELDS:
                said += f"; {name.strip().lower().decode()} is, in lower case and without spaces"
            self._add("unknown-field", said, effect)

    # ---- blocks ----

    def _block(self, events: list[ServerSentEvent]) -> None:
        fields = self._fields
        for event in events:
            data = str(event.data)
            line = fields.get("data", self.line)
            self._found += self.events.see(event.event or "message", data, value_of(data), line)
        if events or not fields:
            return
        if "event" in fields:
            said = "a block has an event name and no data"
            self._found.append(
                Finding("event-without-data", fields["event"], said, "no event is dispatched")
            )
        elif "id" in fields or "retry" in fields or ("comment" in fields and self.last_event_id):
            of = "comments" if set(fields) == {"comment"} else " and ".join(sorted(fields))
            said = f"a block of only {of}; httpx-sse and the SDKs built like it make an event of it"
            line = min(fields.values())
            self._found.append(Finding("phantom-event", line, said, "no event is dispatched"))

    # ---- findings ----

    def _add(self, rule: str, message: str, effect: str = "") -> None:
        self._found.append(Finding(rule, self.line, message, effect))

    def _once(self, rule: str, message: str, effect: str) -> None:
        if rule not in self._said:
            self._said.add(rule)
            self._add(rule, message, effect)

    def _stop(self, message: str) -> None:
        self.stopped = True
        self.line += 1
        self._add("too-large", message, "it is taken; here checking ends")

    def _given(self) -> list[Finding]:
        given, self._found = self._found, []
        return given


def value_of(data: str | bytes) -> object:
    """Give the value of JSON, None where it is none (or null)."""
    try:
        value: object = read_json(data, "replace")
    except ValueError:
        return None
    return value
