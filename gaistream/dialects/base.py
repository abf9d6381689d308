"""What a dialect is, writing and reading, and what those that write events share: the things that
a source may yield."""

from __future__ import annotations

import json
from typing import Any

from ..core import FrameTemplate, ServerSentEvent, read_json
from ..core import json as _json
from ..errors import EventError
from ..events import Done, Error, Event, ReasoningDelta, TextDelta
from .items import OWN_JSON, event_of


class Dialect:
    """How one stream says its events. `frames` is the stream's SSEFrames or NDJSONFrames.

    Attributes:
        text_template: the frame of a TextDelta or a str, or None: `write` is asked.
        reasoning_template: the frame of a ReasoningDelta, or None: `write` is asked.
        joins_text: True if a str is a text delta, so that one may begin in half of a surrogate pair
            that ended the one before.
    """

    text_template: FrameTemplate | None = None
    reasoning_template: FrameTemplate | None = None
    joins_text: bool = False

    def write(self, frames: Any, item: Any) -> None:
        """Write what a source has yielded."""
        raise NotImplementedError

    def fail(self, frames: Any, error: Error) -> None:
        """Write the end of a stream that failed."""
        raise NotImplementedError

    def finish(self, frames: Any) -> None:
        """Write the end of a stream that succeeded."""
        raise NotImplementedError


class EventStream:
    """How the events of one stream are read: frame by frame, then its end.

    Attributes:
        ended: True once nothing can follow; what is fed from then on is dropped.
    """

    ended: bool = False
    _halves: _Halves | None = None  # once there was JSON that only a lenient reader reads

    def read(self, data: Any) -> Any:
        """Read the JSON of a frame; ValueError if it is none, even for a lenient reader."""
        try:
            return read_json(data)
        except ValueError:
            return self.read_leniently(data)

    def read_leniently(self, data: Any) -> Any:
        """Read JSON that `read_json` refuses: with NaN, an infinity, or half a surrogate pair.

        `mended` mends the events that are made of it. Raises ValueError.
        """
        value = _json.lenient_loads(data)
        self._halves = self._halves or _Halves()
        return value

    def mended(self, events: list[Event]) -> list[Event]:
        """Return the events of `feed` and `close` with whole text.

        A half at the end of a delta waits for the next delta, and is U+FFFD if the other half is
        not there; elsewhere halves are U+FFFD at once.
        """
        return events if self._halves is None else self._halves.join(events)

    @property
    def was_lenient(self) -> bool:
        """True if anything was read by `read_leniently`."""
        return self._halves is not None

    @property
    def halves_replaced(self) -> int:
        """How many halves of surrogate pairs became U+FFFD."""
        return 0 if self._halves is None else self._halves.replaced

    def feed(self, event: ServerSentEvent) -> list[Event]:
        """Take a frame of SSE, as `SSEDecoder` gives it, and give the events that it completes."""
        raise NotImplementedError

    def feed_value(self, value: Any) -> list[Event]:
        """Take the value of a line of NDJSON, and give the events that it completes."""
        raise NotImplementedError

    def close(self) -> list[Event]:
        """Say that the stream has ended, and give what was waiting for that."""
        raise NotImplementedError


class _Halves:
    """Joins the halves of surrogate pairs that came in two deltas."""

    def __init__(self) -> None:
        self.replaced = 0
        self._half = ""
        self._kind: type[Any] = TextDelta  # of the delta that it ended

    def join(self, events: list[Event]) -> list[Event]:
        joined: list[Event] = []
        for event in events:
            if isinstance(event, TextDelta | ReasoningDelta):
                if type(event) is not self._kind:
                    joined += self._left()
                self._kind = type(event)
                text = self._half + event.text
                self._half = text[-1:] if "\ud800" <= text[-1:] < "\udc00" else ""
                if text := text[: len(text) - len(self._half)]:
                    joined.append(self._kind(self._whole(text), timestamp=event.timestamp))
            else:
                joined += [*self._left(), self._whole(event)]
        return joined

    def _left(self) -> list[Event]:
        half, self._half = self._half, ""
        return [self._kind(self._whole(half))] if half else []

    def _whole(self, value: Any) -> Any:
        """Return a value or an event without halves of surrogate pairs."""
        if isinstance(value, str):
            whole = _json.whole_text(value)
            self.replaced += whole.count("\ufffd") - value.count("\ufffd")
            return whole
        if isinstance(value, dict | list):
            text = json.dumps(value)
            whole = _json.whole_json(text)
            self.replaced += whole.count("\\ufffd") - text.count("\\ufffd")
            return json.loads(whole)
        if isinstance(value, tuple):
            return tuple(map(self._whole, value))
        if hasattr(value, "__match_args__"):
            fields = {name: self._whole(getattr(value, name)) for name in value.__match_args__}
            if isinstance(value, Event):
                fields["timestamp"] = value.timestamp
            return type(value)(**fields)
        return value


def check_error(error: object) -> None:
    """Refuse to end a stream as failed with anything but an Error."""
    if type(error) is not Error:
        raise EventError(f"a stream fails with an Error, not {type(error).__name__}")


def write_event_line(frames: Any, event: ServerSentEvent, unnamed: str | None = None) -> None:
    """Write a ServerSentEvent to NDJSON, which has neither ids nor retries nor comments.

    Args:
        frames: the stream's NDJSONFrames.
        event: with a name it is a line of that type; without, its data is the line.
        unnamed: the type of a line without a name.
    """
    name = unnamed if event.event in (None, "", "message") else event.event
    if name is None:
        if event.data is not None:
            frames.write_text_line(event.data)
    elif event.data is not None or event.event is not None:
        frames.write_event(name, event.json() if event._is_json else event.data)


class EventDialect(Dialect):
    """A dialect whose sources yield events, or what stands for one."""

    joins_text = True

    def write(self, frames: Any, item: Any) -> None:
        """Write an event, a str (a text delta), a dict with a known `type`, a ServerSentEvent,
        or bytes that are frames already; None is no event."""
        if isinstance(item, dict):
            item = event_of(item)
        elif isinstance(item, str):
            item = TextDelta(item)
        if isinstance(item, Event):
            self.say(frames, item)
            frames.failed = type(item) is Error
            frames.ended = type(item) is Done
        elif isinstance(item, bytes):
            frames.write_ready(item)
        elif isinstance(item, ServerSentEvent):
            self.pass_on(frames, item)
        elif item is not None:
            raise EventError(
                f"{type(item).__name__} is no event: a source yields events, str, dicts with a "
                f"known 'type', ServerSentEvent or bytes; {OWN_JSON}"
            )

    def say(self, frames: Any, event: Event) -> None:
        """Write one event."""
        raise NotImplementedError

    def pass_on(self, frames: Any, event: ServerSentEvent) -> None:
        """Write a ServerSentEvent of somebody else."""
        raise NotImplementedError

    def fail(self, frames: Any, error: Error) -> None:
        """Write the error event."""
        check_error(error)
        self.say(frames, error)

    def finish(self, frames: Any) -> None:
        """Write the done event."""
        self.say(frames, Done())
