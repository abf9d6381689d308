"""What a source may yield to a dialect of events: `EventWriter`, the base of their writers."""

from __future__ import annotations

from typing import Any

from ..core import ServerSentEvent
from ..errors import EventError, name_of_kind
from ..events import Done, Error, Event, TextDelta
from .base import OWN_JSON, DialectWriter, check_error
from .gai.from_dict import event_from_dict


def event_of(item: Any) -> Any:
    """Return the event that a dict or a str stands for; any other item as it is."""
    if isinstance(item, dict):
        return event_from_dict(item)
    return TextDelta(item) if isinstance(item, str) else item


def no_event(item: object) -> EventError:
    """Return the error for an item that stands for no event."""
    return EventError(
        f"{name_of_kind(item)} is no event: a source yields events, str, dicts with a "
        f"known 'type', ServerSentEvent or bytes; {OWN_JSON}"
    )


class EventWriter(DialectWriter):
    """A writer whose source yields events, or values that stand for one."""

    joins_text = True

    def write(self, encoder: Any, item: Any) -> None:
        """Write an event, a str (a text delta), a dict with a known `type`, a ServerSentEvent,
        or bytes that are frames already; None is no event."""
        item = event_of(item)
        if isinstance(item, Event):
            kind = type(item)
            failed = kind is Error or (kind is Done and encoder.failed)  # Done adds nothing
            self.write_event(encoder, item)
            encoder.failed, encoder.ended = failed, kind is Done
        elif isinstance(item, bytes):
            encoder.write_ready(item)
        elif isinstance(item, ServerSentEvent):
            self.write_sse_event(encoder, item)
        elif item is not None:
            raise no_event(item)

    def write_event(self, encoder: Any, event: Event) -> None:
        """Write one event."""
        raise NotImplementedError

    def write_sse_event(self, encoder: Any, event: ServerSentEvent) -> None:
        """Write a ServerSentEvent that the source passes on."""
        encoder.write_sse_event(event)

    def fail(self, encoder: Any, error: Error) -> None:
        """Write the error event."""
        check_error(error)
        self.write_event(encoder, error)

    def finish(self, encoder: Any) -> None:
        """Write the done event."""
        self.write_event(encoder, Done())
