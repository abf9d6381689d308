"""The deltas of a message that is collected: once a token, so this part of it is in the core.

Twin of src/deltas.pxi.
"""

from __future__ import annotations

from .events import Event, ReasoningDelta, TextDelta


class DeltaCollector:
    """Base of `gaistream.Message`: appends each delta to the pieces of the block that is open.

    A subclass sets `text_pieces` or `reasoning_pieces` while such a block is open, and handles
    all other events in `add_other`.
    """

    text_pieces: list[str] | None = None
    reasoning_pieces: list[str] | None = None

    def add(self, event: Event | str | None, /) -> None:
        """Add the next event; a `str` is a text delta, and None is skipped.

        Raises:
            EventError: `event` is anything else.
        """
        kind = type(event)
        pieces = None
        if kind is TextDelta:
            pieces = self.text_pieces
        elif kind is ReasoningDelta:
            pieces = self.reasoning_pieces
        if pieces is None:
            self.add_other(event)
        else:
            pieces.append(event.text)  # type: ignore[union-attr]

    def add_other(self, event: Event | str | None, /) -> None:
        """Add an event that does not continue the open block."""
        raise NotImplementedError
