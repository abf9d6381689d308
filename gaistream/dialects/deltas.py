"""Frames that differ from the one before only in the text of a delta, read without parsing.

Guarantees: the events that the dialect's reader would return, in the same order; what is not
recognised goes to the reader.

How: most frames of an answer are deltas of one shape. A reader declares the deltas after which it
is as before, its `steady_deltas`. When it returns nothing but such a delta, `DeltaReader` looks for
the text in the bytes of the frame, has the reader read the same frame with another text, and, if it
returns that text, makes a `DeltaMatcher` of the bytes around it. The matcher reads the frames from
then on, until one does not match: that one, which may change the reader's state, goes to the
reader, and the matcher waits until the reader returns such a delta again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from ..core import DeltaMatcher, ServerSentEvent, read_json
from ..events import Event, ReasoningDelta, TextDelta
from .base import DialectReader
from .frame import Path

__all__ = ["DeltaReader", "SteadyDelta", "delta_reader_of"]

_LARGEST: Final = 16_384  # bytes of a frame that is examined
_TRIES: Final = 8  # frames that are examined in vain before no more are
_PLACES: Final = 4  # in a frame that may be the text's
_TEXT: Final = "\x7ftext\x7f"
_INTEGER: Final = 31_415_926_535
_VALUE: Final = rb'\s*:\s*(?:"((?:[^"\\]|\\.)*+)"|(-?[0-9]++))'
_Delta = type[TextDelta] | type[ReasoningDelta]


class SteadyDelta(NamedTuple):
    """A delta after which a reader is as before: the same frame with another text is read alike.

    Attributes:
        kind: TextDelta or ReasoningDelta.
        path: leads to the text in the JSON of the frame; its last step is a key.
        varying: keys of the outermost object whose value the reader does not look at: a str of
            ASCII, or an int.
    """

    kind: _Delta
    path: Path
    varying: tuple[str, ...] = ()


def delta_reader_of(reader: DialectReader) -> DeltaReader | None:
    """Return what reads the deltas of a reader, None if its class declares none.

    A subclass must declare them anew, for its `feed` may do more.
    """
    declared: tuple[SteadyDelta, ...] | None = vars(type(reader)).get("steady_deltas")
    return DeltaReader(reader, declared) if declared else None


class DeltaReader:
    """Reads the frames of one stream, each by a matcher or by the dialect's reader."""

    def __init__(self, reader: DialectReader, declared: tuple[SteadyDelta, ...]) -> None:
        self._reader = reader
        self._declared = declared
        self._kinds = frozenset(each.kind for each in declared)
        self._known: dict[_Delta, DeltaMatcher] = {}
        self._matcher: DeltaMatcher | None = None  # None: the reader's state may have changed
        self._tries = _TRIES
        self._line = b""  # that was read last, as JSON

    def read(self, frames: list[ServerSentEvent]) -> list[Event]:
        """Return the events of frames, as the reader's `feed` and `mended` return them."""
        events: list[Event] = []
        index, size = 0, len(frames)
        if self._matcher is not None:
            index = self._matcher.read(frames, 0, events)
            if index == size:  # the usual way is short
                return events
            self._matcher = None
        feed = self._reader.feed
        while index < size:
            if self._matcher is not None:
                index = self._matcher.read(frames, index, events)
                if index == size:
                    break
                self._matcher = None
            frame = frames[index]
            found = feed(frame)
            events += found
            if len(found) == 1 and type(found[0]) in self._kinds:
                self._note(frame.event or "", frame.data_bytes, found[0], feed)
            index += 1
        return self._reader.mended(events)

    def load(self, line: bytes) -> Any:
        """Return the delta of a line if it is known, else the value of its JSON."""
        if self._matcher is not None:
            delta = self._matcher.match("", line)
            if delta is not None:
                return delta
            self._matcher = None
        self._line = line
        return read_json(line)

    def read_values(self, values: list[Any]) -> list[Event]:
        """Return the events of what `load` returned, as the reader's own methods return them."""
        events: list[Event] = []
        found: list[Event] = []
        for value in values:
            known = type(value) is TextDelta or type(value) is ReasoningDelta
            found = [] if known else self._reader.feed_value(value)
            events += [value] if known else found
        if len(found) == 1 and type(found[0]) in self._kinds:  # of the last line
            self._note("", self._line, found[0], self._feed_line)
        return self._reader.mended(events)

    def _feed_line(self, event: ServerSentEvent) -> list[Event]:
        return self._reader.feed_value(event.json())

    def _note(
        self, name: str, data: bytes | None, delta: Any,
        feed: Callable[[ServerSentEvent], list[Event]],
    ) -> None:  # fmt: skip
        """Learn from a frame of which the reader returned only this delta."""
        if data is None or delta.timestamp is not None or len(data) > _LARGEST:
            return
        if self._reader.was_lenient:  # what a matcher reads is not mended
            return
        known = self._known.get(type(delta))
        if known is not None:
            if known.match(name, data) == delta:
                self._matcher = known
                return
            if known.count > 0:
                self._tries = _TRIES
        if not self._tries:
            return
        self._tries -= 1
        for declared in self._declared:
            if declared.kind is type(delta):
                matcher = _matcher_of(declared, name, data, delta, feed)
                if matcher is not None:
                    self._known[declared.kind] = self._matcher = matcher
                    return


def _matcher_of(
    declared: SteadyDelta, name: str, data: bytes, delta: Any,
    feed: Callable[[ServerSentEvent], list[Event]],
) -> DeltaMatcher | None:  # fmt: skip
    """Return a matcher of frames like this one, None if its text is not found in its bytes."""
    if _value_at(data, declared.path) != delta.text:
        return None
    text = _place_of(data, declared.path)
    if text is None:
        return None
    probe = ServerSentEvent(
        b"".join((data[: text[0]], _TEXT.encode(), data[text[1] :])).decode(errors="replace"), name
    )
    if feed(probe) != [declared.kind(_TEXT)]:
        return None
    places = [_place_of(data, (key,)) for key in declared.varying]
    slots = sorted([text, *(place for place in places if place is not None)])
    starts = (0, *(end for _, end in slots))
    ends = (*(start for start, _ in slots), len(data))
    pieces = tuple(data[start:end] for start, end in zip(starts, ends, strict=True))
    matcher = DeltaMatcher(declared.kind, name, pieces, slots.index(text))
    if matcher.match(name, data) != delta:
        return None
    matcher.count = 0
    return matcher


def _place_of(data: bytes, path: Path) -> tuple[int, int] | None:
    """Return the span of the str (without its quotes) or int to which a path leads in JSON.

    It is proven by another value in its place.
    """
    key = re.escape(str(path[-1]).encode())
    for found in list(re.finditer(b'"%b"%b' % (key, _VALUE), data, re.DOTALL))[:_PLACES]:
        is_text = found[1] is not None
        start, end = found.span(1 if is_text else 2)
        put = _TEXT.encode() if is_text else b"%d" % _INTEGER
        proven = _value_at(data[:start] + put + data[end:], path)
        if type(proven) is (str if is_text else int) and proven == (_TEXT if is_text else _INTEGER):
            return start, end
    return None


def _value_at(data: bytes, path: Path) -> Any:
    """Return the value to which a path leads in JSON, None if there is none."""
    try:
        value = read_json(data)
        for step in path:
            value = value[step]
    except (ValueError, LookupError, TypeError):
        return None
    return value
