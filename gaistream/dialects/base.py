"""What a dialect is, writing and reading, and what those that write events share: the things that
a source may yield."""

from __future__ import annotations

from typing import Any

from .._backend import FrameTemplate, ServerSentEvent
from ..errors import EventError
from ..events import Done, Error, Event, TextDelta
from .items import event_of


class Dialect:
    """How one stream says its events. `frames` is the stream's SSEFrames or NDJSONFrames.

    Attributes:
        text_template: the frame of a TextDelta or a str, or None: `write` is asked.
        reasoning_template: the frame of a ReasoningDelta, or None: `write` is asked.
    """

    text_template: FrameTemplate | None = None
    reasoning_template: FrameTemplate | None = None

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

    def feed(self, event: ServerSentEvent) -> list[Event]:
        """Take a frame of SSE, as `SSEDecoder` gives it, and give the events that it completes."""
        raise NotImplementedError

    def feed_value(self, value: Any) -> list[Event]:
        """Take the value of a line of NDJSON, and give the events that it completes."""
        raise NotImplementedError

    def close(self) -> list[Event]:
        """Say that the stream has ended, and give what was waiting for that."""
        raise NotImplementedError


def check_error(error: object) -> None:
    """Refuse to end a stream as failed with anything but an Error."""
    if type(error) is not Error:
        raise EventError(f"a stream fails with an Error, not {type(error).__name__}")


class EventDialect(Dialect):
    """A dialect whose sources yield events, or what stands for one."""

    def write(self, frames: Any, item: Any) -> None:
        """Write an event, a str (a text delta), a dict with a known `type`, a ServerSentEvent,
        or bytes that are frames already."""
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
        else:
            raise EventError(
                f"{type(item).__name__} is no event: a source yields events, str, dicts with a "
                "known 'type', ServerSentEvent or bytes"
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
