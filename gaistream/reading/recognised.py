"""Decodes a stream whose protocol is not known beforehand: a header or the first frame tells.

A protocol that has no reader, or is not recognised, is read as `gai`: its frames are `Raw`, and no
last event is missed at its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from ..core import NDJSONDecoder, ServerSentEvent, SSEDecoder, json_bytes, read_json
from ..dialects import Detector, Dialect, Frame
from ..dialects.detect import DIALECTS
from ..errors import ContentTypeError, EventTooLarge, NDJSONError
from ..events import Event, Raw
from ..http.received import MEDIA_TYPES, media_type
from .events import EventDecoder
from .responses import type_mismatch

__all__ = ["ReadableDialect", "RecognisingDecoder", "stream_format"]

ReadableDialect: TypeAlias = str | Dialect
"""A dialect's name or object, to read with."""


def stream_format(status: int, content_type: str) -> str:
    """Return "sse" or "ndjson" for a response's Content-Type.

    Raises:
        ContentTypeError: it is that of neither.
    """
    kind = media_type(content_type)
    for format, kinds in MEDIA_TYPES.items():
        if kind in kinds:
            return format
    raise ContentTypeError(type_mismatch(content_type), status=status, content_type=content_type)


class RecognisingDecoder:
    """The events of a stream, from its chunks. Belongs to one task.

    Args:
        format: "sse" or "ndjson".
        headers: of the response: those that a dialect declares tell it before the first frame.
    """

    def __init__(self, format: str, headers: Mapping[str, str]) -> None:
        self._format = format
        self._first: SSEDecoder | NDJSONDecoder = (
            SSEDecoder() if format == "sse" else NDJSONDecoder(loads=read_json)
        )
        self._held: list[bytes] = []
        self._decoder: EventDecoder | None = None
        self._is_known = False
        for each in DIALECTS:
            declared = each.headers.items()
            if declared and all(headers.get(name) == value for name, value in declared):
                self._recognise(each)

    @property
    def ended(self) -> bool:
        """True after the stream's last event; further input is dropped."""
        return self._decoder is not None and self._decoder.ended

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that a chunk completes."""
        if self._decoder is not None:
            return self._noted(self._decoder.feed(data))
        self._held.append(data)
        try:
            items = self._first.feed(data)
        except (EventTooLarge, NDJSONError) as error:
            items = error.values
            self._begin("gai")
        frames = [self._frame(each) for each in items]
        frame = next((each for each in frames if each.kind != "ping"), None)
        if frame is not None:
            detector = Detector()
            detector.see(frame)
            self._recognise(detector.dialect)
        return self._feed_held()

    def close(self) -> list[Event]:
        """End the stream. Return its last events."""
        self._begin("gai")
        assert self._decoder is not None
        events = self._feed_held() + self._decoder.close()
        if not self._is_known:  # it may have no last event
            events = [each for each in events if getattr(each, "code", None) != "truncated"]
        return events

    def _frame(self, item: Any) -> Frame:
        if isinstance(item, ServerSentEvent):
            return Frame.of_event(item)
        return Frame.of_line(json_bytes(item).decode(), item)

    def _recognise(self, dialect: Dialect | None) -> None:
        if dialect is not None and self._format in dialect.reads:
            self._is_known = True
            self._begin(dialect)
        else:
            self._begin("gai")

    def _begin(self, dialect: str | Dialect) -> None:
        if self._decoder is None:
            self._decoder = EventDecoder(self._format, dialect)

    def _feed_held(self) -> list[Event]:
        if self._decoder is None:
            return []
        held, self._held = b"".join(self._held), []
        return self._noted(self._decoder.feed(held)) if held else []

    def _noted(self, events: list[Event]) -> list[Event]:
        """Note that the protocol is known if an event is."""
        self._is_known = self._is_known or any(type(each) is not Raw for each in events)
        return events
