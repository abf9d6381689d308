"""The deltas of a message that is collected: once a token, so this part of it is in the core.

Twin of src/deltas.pxi.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Self

from .events import Event, ReasoningDelta, TextDelta


def _pieces(slot: str) -> Any:
    """Return a property that is a list or None."""

    def write(self: object, pieces: list[str] | None) -> None:
        if pieces is not None and type(pieces) is not list:
            raise TypeError(f"Expected list, got {type(pieces).__name__}")
        setattr(self, slot, pieces)

    return property(attrgetter(slot), write, lambda self: setattr(self, slot, None))


class DeltaCollector:
    """Base of `gaistream.Message`: appends each delta to the pieces of the block that is open.

    A subclass sets `text_pieces` or `reasoning_pieces` while such a block is open, and handles
    all other events in `add_other`.
    """

    __slots__ = ("_reasoning_pieces", "_text_pieces")
    _text_pieces: list[str] | None
    _reasoning_pieces: list[str] | None

    text_pieces = _pieces("_text_pieces")
    reasoning_pieces = _pieces("_reasoning_pieces")

    def __new__(cls, *args: object, **named: object) -> Self:
        if (args or named) and cls.__init__ is object.__init__:
            raise TypeError(f"{cls.__name__}() takes no arguments")
        self = super().__new__(cls)
        self._text_pieces = self._reasoning_pieces = None
        return self

    def add(self, event: Event | str | None, /) -> None:
        """Add the next event; a `str` is a text delta, and None is skipped.

        Raises:
            EventError: `event` is anything else.
        """
        kind = type(event)
        pieces = None
        if kind is TextDelta:
            pieces = self._text_pieces
        elif kind is ReasoningDelta:
            pieces = self._reasoning_pieces
        if pieces is None:
            self.add_other(event)
        else:
            pieces.append(event.text)  # type: ignore[union-attr]

    def add_other(self, event: Event | str | None, /) -> None:
        """Add an event that does not continue the open block."""
        raise NotImplementedError
