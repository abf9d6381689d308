"""Between Server-Sent Events and NDJSON, chunk by chunk, in bounded memory. No input or output.

Three ways to say one in the other (`--dialect`), each with a pair of functions that are inverse as
far as the other format can say what the one does:

envelope: a line is `{"event","data","id","retry"}`, data as text; only comments are lost.
gai: the default protocol of gaistream, whose events have a shape in each format.
json: the data of each event is a line, as it is; names, ids and retry are lost.

What is lost is counted, never passed over.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

from ..core import (
    LineSplitter,
    NDJSONDecoder,
    ServerSentEvent,
    SSEDecoder,
    encode_sse,
    read_json,
)
from ..core import json as _json
from ..dialects import create_reader
from ..dialects.protocols import DONE
from ..errors import EventTooLarge, FrameError, NDJSONError
from ..events import Error, Event
from ..writing.writer import encode_events

_ENVELOPE = {"event": str, "data": str, "id": str, "retry": int}
_ESCAPES = tuple((code.encode(), b"\\u%04x" % ord(code)) for code in "\x85\u2028\u2029")
_KEPT = {"envelope": ("ids", "event names"), "gai": ("event names",), "json": ()}


class _WrongError(ValueError):
    """An item is not what the dialect takes."""


class Conversion:
    """One conversion. Belongs to one task.

    Args:
        source: "sse" or "ndjson"; the other one is written.
        dialect: "envelope", "gai" or "json", as above.

    Attributes:
        count: events that were written.
        lost: what could not be said in the other format, and how often; whole after `close`.
        failure: why the input cannot be converted from here on; "" while it can.
        wrong: what is wrong with input that could be read to its end; "" where nothing.
    """

    def __init__(self, source: str, dialect: str) -> None:
        self.count = 0
        self.lost: Counter[str] = Counter()
        self.failure = ""
        self.wrong = ""
        self._dialect = dialect
        self._target = "ndjson" if source == "sse" else "sse"
        self._watch = Watch() if source == "sse" else None
        self._sse = SSEDecoder()
        self._reader = create_reader("gai", source)
        loads: dict[str, Any] = {"json": _checked, "gai": self._reader.read, "envelope": read_json}
        self._lines = NDJSONDecoder(loads=loads[dialect])
        self._last_id = ""
        self._retries = 0  # that were written
        self._number = 0  # of the item
        ways: dict[tuple[str, str], Callable[[Any], bytes]] = {
            ("sse", "envelope"): self._enveloped,
            ("sse", "gai"): self._event_of_frame,
            ("sse", "json"): self._payload,
            ("ndjson", "envelope"): self._opened,
            ("ndjson", "gai"): self._event_of_value,
            ("ndjson", "json"): self._framed,
        }
        self._say = ways[source, dialect]

    def feed(self, data: bytes) -> bytes:
        """Take a chunk and give what it becomes; what comes before a failure is given."""
        if self._watch is None:
            return self._said(lambda: self._lines.feed(data))
        self._watch.feed(data)
        return self._said(lambda: self._sse.feed(data))

    def close(self) -> bytes:
        """End the input, and give what was waiting for that."""
        rest = b""
        if self._watch is None:
            rest = self._said(self._lines.close)
        else:
            self._watch.close()
            if self._watch.incomplete:
                self.wrong = "the last event has no blank line behind it and was left out"
            self.lost += self._watch.counts
            self.lost["retry hints"] -= self._retries
            for kept in _KEPT[self._dialect]:
                del self.lost[kept]
        self.lost = +self.lost  # without what is zero
        if self._dialect == "gai" and not self.failure and not self.wrong and self._reader.close():
            self.wrong = "the stream ends without its done: it was cut"
        return rest

    def _said(self, read: Callable[[], list[Any]]) -> bytes:
        said: list[bytes] = []
        items: list[Any] = []
        if self.failure:
            return b""
        try:
            items = read()
        except (EventTooLarge, NDJSONError) as error:
            items, self.failure = error.values, str(error)
        try:
            for item in items:
                self._number += 1
                said.append(self._say(item))
                self.count += bool(said[-1])
        except (_WrongError, UnicodeEncodeError) as error:
            self.failure = str(error)
        return b"".join(said)

    # ---- envelope ----

    def _enveloped(self, event: ServerSentEvent) -> bytes:
        line: dict[str, Any] = {}
        if event.event not in (None, "message"):
            line["event"] = event.event
        line["data"] = event.data
        current = str(event.id or "")
        if current != self._last_id:
            self._last_id = current
            line["id"] = current
        if event.retry is not None:
            line["retry"] = event.retry
            self._retries += 1
        return _json.dumps(line, newline=True)

    def _opened(self, line: Any) -> bytes:
        if not isinstance(line, dict) or not line or line.keys() - _ENVELOPE.keys():
            raise _WrongError(
                f"value {self._number} is no envelope, which has event, data, id and retry alone; "
                "--dialect gai and --dialect json take other lines"
            )
        for name, value in line.items():
            if type(value) is not (kind := _ENVELOPE[name]):
                raise _WrongError(f"value {self._number}: {name} must be {kind.__name__}")
        try:
            return encode_sse(**line)
        except FrameError as error:
            raise _WrongError(f"value {self._number}: {error}") from None

    # ---- gai ----

    def _event_of_frame(self, frame: ServerSentEvent) -> bytes:
        return self._event(self._reader.feed, frame)

    def _event_of_value(self, value: Any) -> bytes:
        return self._event(self._reader.feed_value, value)

    def _event(self, feed: Callable[[Any], list[Any]], item: Any) -> bytes:
        if self._reader.ended:
            self.wrong = "there are events behind the end of the stream, which were left out"
            return b""
        events = self._reader.mended(feed(item))
        if self._reader.ended and type(events[-1]) is Error:
            raise _WrongError(f"event {self._number}: {events[-1].message}")
        if self._reader.was_lenient:
            self.lost["halves of characters"] = self._reader.halves_replaced
            for event in events:
                self._check_numbers(event)
        if self._target == "sse":
            self.lost["timestamps"] += sum(event.timestamp is not None for event in events)
        return encode_events(events, self._target) if events else b""

    def _check_numbers(self, event: Event) -> None:
        """Refuse NaN and infinities: a lenient reader takes them, and they would become null."""
        fields = [getattr(event, name) for name in event.__match_args__]
        try:
            json.dumps(fields, allow_nan=False, default=repr)
        except ValueError:
            raise _WrongError(
                f"event {self._number} holds NaN or an infinity, which JSON cannot say"
            ) from None

    # ---- json ----

    def _payload(self, event: ServerSentEvent) -> bytes:
        text = str(event.data)
        try:
            value = read_json(text, "replace")
        except ValueError:
            if text.strip() == DONE:
                self.lost[DONE] += 1
                return b""
            raise _WrongError(
                f"the data of event {self._number} is not JSON; --dialect envelope takes any"
            ) from None
        if "\n" in text:  # JSON on several lines
            return _json.dumps(value, newline=True, errors="replace")
        return _escaped(text.encode()) + b"\n"

    def _framed(self, line: bytes) -> bytes:
        return encode_sse(_escaped(line.strip(b" \t")))


class Watch:
    """Counts the lines of SSE of which a decoder tells nothing, and sees how they end."""

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
        for line in self._splitter.feed(data):
            self._line(line)

    def close(self) -> None:
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


def _checked(line: bytes) -> bytes:
    read_json(line, "replace")
    return line


def _escaped(line: bytes) -> bytes:
    """Escape what some readers take for line ends; JSON has it in strings alone."""
    if not line.isascii():
        for raw, escape in _ESCAPES:
            line = line.replace(raw, escape)
    return line
