"""Writers with a state: what the protocols of vendors have in common.

Guaranteed: an item that cannot be written leaves the writer as it was. The deltas of an open block
are written by the encoder, by the templates that the state has; the writer is asked for all else.
"""

from __future__ import annotations

from typing import Any, Final

from ..events import Done, Error, StepReset
from .base import check_error
from .event_writer import EventWriter, event_of

RESET: Final = Error(
    "a step was begun again after a part of it was sent, which the client cannot take back",
    "step_reset",
)


class StatefulWriter(EventWriter):
    """A writer whose fields are its state.

    A field is replaced and never changed in place, so that the fields from before an item can be
    restored.
    """

    def write(self, encoder: Any, item: Any) -> None:
        saved = vars(self).copy()
        try:
            self.advance(encoder, event_of(item))
        except BaseException:
            vars(self).update(saved)
            raise
        encoder.set_templates(**self.templates())

    def advance(self, encoder: Any, item: Any) -> None:
        """Write an item, in which an event is no dict or str, and move to the next state."""
        super().write(encoder, item)

    def templates(self) -> dict[str, Any]:
        """Return the arguments of `set_templates`: the templates of the deltas that may follow."""
        raise NotImplementedError


class ErrorHoldingWriter(StatefulWriter):
    """A writer of a protocol in which an error is the end.

    An `Error` is held until the next item. It is the stream's error if it was the last event, and
    passed to `drop_error` if the stream goes on. A `StepReset` after a part of the step fails the
    stream.

    Attributes:
        error: the Error that is held.
        in_step: True once a part of the current step was written or held.
    """

    drain_is_error = True

    def __init__(self) -> None:
        self.error: Error | None = None
        self.in_step = False

    def advance(self, encoder: Any, item: Any) -> None:
        if self.error is not None and item is not None and type(item) is not Done:
            error, self.error = self.error, None
            self.drop_error(encoder, error)
        super().advance(encoder, item)
        if type(item) is StepReset and self.error is not None:
            self.write_error(encoder, self.error)
            encoder.ended = True
        else:
            encoder.failed = encoder.ended and self.error is not None

    def reset_step(self) -> None:
        """Fail the stream, unless nothing of the step was written."""
        self.error = RESET if self.in_step else None

    def fail(self, encoder: Any, error: Error) -> None:
        check_error(error)
        self.write_error(encoder, self.error or error)

    def finish(self, encoder: Any) -> None:
        """Write the end: the error if the last event was one, else the success."""
        self.error = self.error or self.half_call()
        if self.error is None:
            self.write_success(encoder)
        else:
            self.write_error(encoder, self.error)

    def drop_error(self, encoder: Any, error: Error) -> None:
        """Write an Error that was not the end, if the protocol has a frame for it."""

    def half_call(self) -> Error | None:
        """Return the error of a tool call that is not complete, if there is one."""
        raise NotImplementedError

    def write_error(self, encoder: Any, error: Error) -> None:
        """Write the error frame, and set `encoder.failed`."""
        raise NotImplementedError

    def write_success(self, encoder: Any) -> None:
        """Write the end of a stream that succeeded."""
        raise NotImplementedError
