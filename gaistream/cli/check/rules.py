"""The rules of `gaistream check`, their levels, and `Finding`.

A rule's name is stable: scripts may rely on it. At an error, a browser or another reader by the
standard loses or misreads a part of the stream. At a warning, some known client, proxy or
middleware fails. A note is worth knowing. No input or output.
"""

from __future__ import annotations

from dataclasses import dataclass

LEVELS = ("error", "warning", "note")

# name: (level, what it is about, for the handbook and `check --rules`)
RULES = {
    # bytes
    "invalid-utf8": ("error", "bytes that are not UTF-8"),
    "bom": ("warning", "a byte order mark at the start"),
    "bom-inside": ("error", "a byte order mark at the start of a later line"),
    "line-separator": ("warning", "U+2028, U+2029 or U+0085, where some readers split lines"),
    "huge-line": ("warning", "a line of more than 1 MiB"),
    "too-large": ("error", "a line or an event beyond the limit of 16 MiB; checking ends"),
    # lines of Server-Sent Events
    "cr-inside": ("error", "only a CR ends a line where others end in LF"),
    "cr-line-ends": ("warning", "lines end in CR"),
    "crlf-line-ends": ("warning", "lines end in CRLF"),
    "mixed-line-ends": ("warning", "lines end in different ways"),
    "bare-data": ("error", "data without a field name before it"),
    "unknown-field": ("error", "a field other than data, event, id, retry"),
    "missing-space": ("warning", "no space after the colon"),
    "id-with-nul": ("error", "an id with a NUL"),
    "retry-not-digits": ("error", "a retry that is not ASCII digits"),
    "event-without-data": ("error", "a block with an event name and no data"),
    "phantom-event": ("note", "a block that some decoders take for an event"),
    "incomplete-event": ("error", "the last event has no blank line after it"),
    "incomplete-line": ("warning", "the last line has no end"),
    # lines of NDJSON
    "blank-line": ("warning", "a blank line"),
    "no-final-newline": ("warning", "the last line of NDJSON has no end"),
    "not-object": ("warning", "a value that is not an object, where others are"),
    # events
    "not-json": ("error", "data that is not JSON, where that of other events is"),
    "after-end": ("error", "an event after the last one of its protocol"),
    "server-error": ("error", "the last event is an error of the server"),
    "truncated": ("error", "the last event of the protocol is missing"),
    "no-events": ("warning", "there is no event at all"),
    # a URL
    "content-type": ("error", "the content type is not that of a stream"),
    "charset": ("warning", "a charset that is not utf-8"),
    "cacheable": ("warning", "Cache-Control lets caches keep the stream"),
    "transformable": ("note", "Cache-Control lets proxies transform the stream"),
    "buffering": ("warning", "X-Accel-Buffering does not keep nginx from buffering"),
    "compressed": ("warning", "the body is compressed, which may hold events back"),
    "content-length": ("warning", "the length was known before: the body is no stream"),
    "connection-cut": ("error", "the connection was cut within the body"),
    "silent-gap": ("warning", "nothing came for longer than --max-gap, not even a heartbeat"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault of a stream.

    Attributes:
        rule: the name of the rule, a key of RULES.
        line: the number of the line, from 1; None for a fault of the whole, such as a header.
        message: the fault.
        effect: its effect on a browser (for NDJSON: on a reader); "" if none.
    """

    rule: str
    line: int | None
    message: str
    effect: str = ""

    @property
    def level(self) -> str:
        """The level of the rule: "error", "warning" or "note"."""
        return RULES[self.rule][0]


def excerpt(data: bytes, most: int = 40) -> str:
    """Return the beginning of some bytes, for a message."""
    text = data[: most * 4].decode(errors="replace")
    return repr(text[:most]) + "…" * (len(text) > most or len(data) > most * 4)


def bad_byte(data: bytes) -> str:
    """Return where bytes stop being UTF-8, for a message; "" if they are UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return f"byte {error.start + 1} of the line, 0x{data[error.start]:02x}, is not UTF-8"
    return ""
