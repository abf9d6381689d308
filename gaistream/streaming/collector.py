"""The message of a stream's items, for `Outcome.message`.

Events, str and dicts are added as the encoder writes them. Frames that the source passes on
(`ServerSentEvent`, bytes) are read by the dialect's own reader; those of a protocol that cannot be
read are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ..core import NDJSONDecoder, ServerSentEvent, SSEDecoder
from ..dialects import AnyDialect, create_reader, find
from ..dialects.base import DialectReader, error_event
from ..dialects.event_writer import no_event
from ..dialects.gai.from_dict import event_from_dict
from ..errors import EventError
from ..events import Done, Error, Event
from ..message import Message
from .outcome import OutcomeKind

INTERRUPTED: Final = "interrupted"  # the code of a message's error if its answer was cut
_CUTS: Final[dict[OutcomeKind, str]] = {
    "client_gone": "the client has left",
    "stalled": "a send to the client took too long",
    "drained": "the server was stopped",
    "cancelled": "the server cancelled it",
    "failed": "its protocol ended it",
}


class Collector:
    """The message of one stream. Belongs to one task.

    Args:
        dialect: of the stream.
        format: "sse" or "ndjson".

    Attributes:
        message: the message so far.
        is_open: False once its stream accepts no more items.
    """

    __slots__ = ("_decoder", "_dialect", "_format", "_reader", "is_open", "message")

    def __init__(self, dialect: AnyDialect, format: str) -> None:
        self._dialect = dialect
        self._format = format
        self._reader: DialectReader | None = None  # made for the first frame
        self._decoder: Any = None  # made for the first bytes
        self.message = Message()
        self.is_open = True

    def add(self, item: Any) -> Any:
        """Add an item. Return it as the encoder takes it: the event that a dict describes.

        Raises:
            EventError: the item is no event.
        """
        try:
            self.message.add(item)
        except EventError:
            if isinstance(item, dict):
                item = event_from_dict(item)
                self.message.add(item)
            elif isinstance(item, ServerSentEvent | bytes):
                for event in self._events_of(item):
                    self.message.add(event)
            else:
                raise no_event(item) from None
        return item

    def end(self, kind: OutcomeKind, failure: BaseException | None) -> Message:
        """Add the end of a stream, unless the message has one. Return the message."""
        message = self.message
        if kind == "completed":
            message.add(Done())
        elif message.error is None and (failure is not None or not message.complete):
            if failure is not None:
                message.add(error_event(failure))
            else:
                message.add(Error(f"the answer was interrupted: {_CUTS[kind]}", INTERRUPTED))
        return message

    def _events_of(self, frames: ServerSentEvent | bytes) -> Iterable[Event]:
        """Yield the events of frames that the source passes on."""
        format = self._format if isinstance(frames, bytes) else "sse"
        found = find(self._dialect)
        if found is None or format not in found.reads:
            return
        reader = self._reader = self._reader or create_reader(found, format)
        if not isinstance(frames, bytes):
            yield from reader.feed(frames)
            return
        if self._decoder is None:
            self._decoder = SSEDecoder() if format == "sse" else NDJSONDecoder()
        feed = reader.feed if format == "sse" else reader.feed_value
        for each in self._decoder.feed(frames):
            yield from feed(each)
