"""The rules of Server-Sent Events. No input or output.

Guaranteed: an effect in a browser is that of the decoder that is tested against the HTML standard,
for it reads every line. Memory is bounded by one event, whatever the chunks.
"""

from __future__ import annotations

from typing import ClassVar

from ...core import ServerSentEvent, SSEDecoder
from ...dialects import Frame
from .lines import BOM, HUGE, SSE_END, StreamCheck
from .rules import excerpt

_FIELDS = (b"data", b"event", b"id", b"retry")


class SSECheck(StreamCheck):
    """Checks one stream of Server-Sent Events. Belongs to one task."""

    END = SSE_END
    EFFECTS: ClassVar = {
        "bom": "it is stripped; SDKs for Python fail at it",
        "cr-inside": "the rest after the CR is a separate line",
        "cr-line-ends": "read as it should be",
        "crlf-line-ends": "read as it should be; clients that split on two LFs find no event",
        "event-without-data": "no event is dispatched",
        "huge-line": "it is taken; some clients have limits of 1 MiB",
        "id-with-nul": "the id is ignored",
        "incomplete-event": "the event is lost",
        "invalid-utf8": "U+FFFD stands in its place",
        "line-separator": "read as it is; httpx and requests split lines there",
        "missing-space": "read as it should be; Google's SDK for Python needs the space",
        "mixed-line-ends": "read as it should be",
        "phantom-event": "no event is dispatched",
        "retry-not-digits": "the line is ignored",
        "too-large": "it is taken; here checking ends",
        "bare-data": "the line is ignored",
        "bom-inside": "the line is ignored",
        "unknown-field": "the line is ignored",
    }

    def __init__(self) -> None:
        super().__init__()
        self._decoder = SSEDecoder()
        self._fields: dict[str, int] = {}  # of the open block, with the line of the first
        self._ends: set[bytes] = set()
        self._lone: list[int] = []  # lines that end in CR, while no LF was seen
        self._reported: set[str] = set()  # rules that are reported once

    @property
    def last_event_id(self) -> str:
        return self._decoder.last_event_id

    @property
    def retry(self) -> int | None:
        return self._decoder.retry

    # ---- lines ----

    def _line(self, line: bytes, end: bytes) -> None:
        text = line if self.line > 1 else self._without_bom(line)
        self._line_end(text, end)
        if len(text) > HUGE or not text.isascii():
            self._is_text(text)
        events = self._decoder.feed(line + b"\n")
        if text:
            self._field(text)
        else:
            self._block(events)
            self._fields.clear()
        if not end and "data" not in self._fields:
            self._add("incomplete-line", f"{excerpt(line)} has no line end")

    def _line_end(self, line: bytes, end: bytes) -> None:
        """Compare the end of a line with those before it."""
        if end == b"\r" and self._ends <= {b"\r"}:
            self._lone = [*self._lone, self.line][:10]
            if not line:
                self._once("cr-line-ends", "lines end only in CR")
        elif end == b"\r":
            self._cr(self.line)
        elif end:
            if "cr-line-ends" not in self._reported:  # the first CRs were inside of lines
                for number in self._lone:
                    self._cr(number)
                self._ends -= {b"\r"} if self._lone else set()
            self._lone = []
            if end == b"\r\n":
                self._once("crlf-line-ends", "lines end in CRLF")
            if self._ends - {end}:
                self._once("mixed-line-ends", "lines end in different ways")
        if end and not (end == b"\r" and self._ends & {b"\n", b"\r\n"}):
            self._ends.add(end)

    def _cr(self, number: int) -> None:
        self._add("cr-inside", "only a CR ends the line", line=number)

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
            self._add("missing-space", f"no space after {name.decode()}:")
        value = value.removeprefix(b" ")
        if name == b"id" and b"\0" in value:
            self._add("id-with-nul", "the id holds a NUL")
        if name == b"retry" and (not value or value.strip(b"0123456789")):
            self._add("retry-not-digits", f"retry is {excerpt(value)}, not ASCII digits")

    def _unknown(self, line: bytes, name: bytes) -> None:
        known = name.strip().lower()
        if line.startswith(BOM):
            message = "a byte order mark inside the stream becomes part of the field's name"
            self._add("bom-inside", message)
        elif line.lstrip()[:1] in (b"{", b"[", b'"'):
            self._add("bare-data", f"{excerpt(line)} has no field name: data: is missing")
        else:
            message = f"{excerpt(name)} is not a field"
            if known in _FIELDS:
                message += f"; {known.decode()} is, in lower case and without spaces"
            self._add("unknown-field", message)

    # ---- blocks ----

    def _block(self, events: list[ServerSentEvent]) -> None:
        fields = self._fields
        line = fields.get("data", self.line)
        for event in events:
            self._findings += self.events.see(Frame.of_event(event), line)
        if events or not fields:
            return
        if "event" in fields:
            message = "a block has an event name and no data"
            self._add("event-without-data", message, line=fields["event"])
        elif "id" in fields or "retry" in fields or ("comment" in fields and self.last_event_id):
            names = "comments" if set(fields) == {"comment"} else " and ".join(sorted(fields))
            message = f"a block of only {names}; httpx-sse and SDKs like it make an event of it"
            self._add("phantom-event", message, line=min(fields.values()))

    def _end(self) -> None:
        if "data" in self._fields:
            message = "the stream ends without the blank line that completes this event"
            self._add("incomplete-event", message, line=self._fields["data"])

    def _once(self, rule: str, message: str) -> None:
        if rule not in self._reported:
            self._reported.add(rule)
            self._add(rule, message)
