"""What a dialect is, and what all dialects of events share: the things that a source may yield."""

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
