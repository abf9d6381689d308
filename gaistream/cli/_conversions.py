"""Conversions between Server-Sent Events and NDJSON, chunk by chunk, in bounded memory.

Each `--dialect` has a pair of functions that are inverse as far as both formats allow:

envelope: a line is `{"event","data","id","retry"}`, data as text; only comments are lost.
gai: the default protocol of gaistream, whose events have a shape in each format.
json: the data of each event is a line, unchanged; names, ids and retry hints are lost.

Losses are counted, never hidden. No input or output.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from ..core import NDJSONDecoder, ServerSentEvent, SSEDecoder, encode_sse, json_bytes, read_json
from ..core.separators import escape_separators
from ..dialects import create_reader
from ..dialects.detect import END_MARKS
from ..errors import EventTooLarge, FrameError, NDJSONError
from ..events import Error, Event
from ..writing.formats import encode_events
from ._watch import Watch

_ENVELOPE = {"event": str, "data": str, "id": str, "retry": int}
_KEPT = {"envelope": ("ids", "event names"), "gai": ("event names",), "json": ()}


class _WrongError(ValueError):
    """The dialect cannot convert an item."""


class Conversion:
    """One conversion. Belongs to one task.

    Args:
        source: "sse" or "ndjson", the input; the output is the other one.
        dialect: "envelope", "gai" or "json".

    Attributes:
        count: events that were written.
        lost: the parts that the other format does not have, counted by name; complete after
            `close`.
        failure: the reason why the rest of the input cannot be converted; "" if it can.
        wrong: the fault of input that was read to its end; "" if none.
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
        self._retries = 0  # retry hints that were written
        self._number = 0  # of the present item
        converters: dict[tuple[str, str], Callable[[Any], bytes]] = {
            ("sse", "envelope"): self._envelope_of_frame,
            ("sse", "gai"): self._event_of_frame,
            ("sse", "json"): self._line_of_frame,
            ("ndjson", "envelope"): self._frame_of_envelope,
            ("ndjson", "gai"): self._event_of_value,
            ("ndjson", "json"): self._frame_of_line,
        }
        self._convert = converters[source, dialect]

    def feed(self, data: bytes) -> bytes:
        """Convert a chunk. Return the output, up to a failure if there is one."""
        if self._watch is None:
            return self._output(lambda: self._lines.feed(data))
        self._watch.feed(data)
        return self._output(lambda: self._sse.feed(data))

    def close(self) -> bytes:
        """Convert the end of the input. Return the rest of the output."""
        rest = b""
        if self._watch is None:
            rest = self._output(self._lines.close)
        else:
            self._watch.close()
            if self._watch.incomplete:
                self.wrong = "the last event has no blank line after it and was left out"
            self.lost += self._watch.counts
            self.lost["retry hints"] -= self._retries
            for kept in _KEPT[self._dialect]:
                del self.lost[kept]
        self.lost = +self.lost  # without zeros
        if self._dialect == "gai" and not self.failure and not self.wrong and self._reader.close():
            self.wrong = "the stream ends without its done: it was cut"
        return rest

    def _output(self, read: Callable[[], list[Any]]) -> bytes:
        output: list[bytes] = []
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
                output.append(self._convert(item))
                self.count += bool(output[-1])
        except (_WrongError, UnicodeEncodeError) as error:
            self.failure = str(error)
        return b"".join(output)

    # ---- envelope ----

    def _envelope_of_frame(self, event: ServerSentEvent) -> bytes:
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
        return json_bytes(line, newline=True)

    def _frame_of_envelope(self, line: Any) -> bytes:
        if not isinstance(line, dict) or not line or line.keys() - _ENVELOPE.keys():
            raise _WrongError(
                f"value {self._number} is not an envelope, which has only event, data, id, retry; "
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
            self.wrong = "there are events after the end of the stream, which were left out"
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
        """Refuse NaN and infinities, which the reader accepts, and which would become null."""
        fields = [getattr(event, name) for name in event.__match_args__]
        try:
            json.dumps(fields, allow_nan=False, default=repr)
        except ValueError:
            raise _WrongError(
                f"event {self._number} holds NaN or an infinity, which JSON cannot say"
            ) from None

    # ---- json ----

    def _line_of_frame(self, event: ServerSentEvent) -> bytes:
        text = str(event.data)
        try:
            value = read_json(text, "replace")
        except ValueError:
            if (mark := text.strip()) in END_MARKS:
                self.lost[mark] += 1
                return b""
            raise _WrongError(
                f"the data of event {self._number} is not JSON; --dialect envelope takes any"
            ) from None
        if "\n" in text:  # JSON on several lines
            return json_bytes(value, newline=True, errors="replace")
        return escape_separators(text.encode()) + b"\n"

    def _frame_of_line(self, line: bytes) -> bytes:
        return encode_sse(escape_separators(line.strip(b" \t")))


def _checked(line: bytes) -> bytes:
    read_json(line, "replace")
    return line
