"""The way into an outbox for those who put into its stream.

Of the puts of one turn of the loop the first is sent at once and the others together, after the
turn. Belongs to one event loop. Twin of src/inlet.pxi.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import Any, Final

from .buffer import NotCopyable
from .outbox import Outbox

_DONE: Final = 0
_LOOK: Final = 1
_HOLD: Final = 2
_CLOSED: Final = 4


class Turns(NotCopyable):
    """The turns of an event loop in which something is put.

    Args:
        call_soon: calls a function in the loop's next turn.
        flush_all: calls `flush` of each inlet in a list.
    """

    __slots__ = ("_begun", "_call_soon", "_flush_all", "_late", "_number")

    def __init__(
        self,
        call_soon: Callable[[Callable[[], None]], object],
        flush_all: Callable[[list[Any]], object],
    ) -> None:
        self._call_soon = call_soon
        self._flush_all = flush_all
        self._number = 0
        self._begun = False
        self._late: list[Inlet] = []  # with puts after the first of the turn

    def _begin(self) -> None:
        if not self._begun:
            self._call_soon(self.end)
            self._begun = True

    def end(self) -> None:
        """End the turn: flush the inlets into which more than one item was put."""
        self._number += 1
        self._begun = False
        if self._late:
            late, self._late = self._late, []
            self._flush_all(late)


class Inlet(NotCopyable):
    """The way into an outbox for those who put into its stream.

    Args:
        outbox: takes the items.
        turns: of the loop.
        at_once: puts are sent at once and after their turn; else the caller sees to that.
        running_loop: returns the running event loop.
        loop: where `put` may be called; it runs in this thread.

    Attributes:
        is_open: False while no item may be put; False at first.
    """

    __slots__ = ("_at_once", "_is_late", "_loop", "_outbox", "_running_loop", "_thread", "_turn",
                 "_turns", "is_open")  # fmt: skip

    def __init__(
        self,
        outbox: Outbox,
        turns: Turns,
        at_once: bool,
        running_loop: Callable[[], object],
        loop: object,
    ) -> None:
        self._outbox = outbox
        self._turns = turns
        self._at_once = at_once
        self._running_loop = running_loop
        self._loop = loop
        self._thread = get_ident()
        self._turn = -1  # the last one in which an item was sent at once
        self._is_late = False  # this inlet is flushed after the turn
        self.is_open = False

    def put(self, item: Any) -> int:
        """Write an item into the outbox, and send it if it is the first of the turn.

        Returns:
            A sum of: 1: `accept` returned True. 2: the caller must see when the item is sent. 4:
            nothing was written, because the inlet is closed or another loop runs.
        """
        turns = self._turns
        if not self.is_open or get_ident() != self._thread:
            return _CLOSED
        if not turns._begun and self._running_loop() is not self._loop:  # not for each put
            return _CLOSED
        must_look = _LOOK if self._outbox.accept(item) else _DONE
        if not self._at_once:
            return must_look | _HOLD
        if self._turn != turns._number:
            turns._begin()
            self._turn = turns._number
            self._outbox.flush()
        elif not self._is_late:
            turns._late.append(self)
            self._is_late = True
        return must_look

    def flush(self) -> None:
        """Send what was put."""
        self._is_late = False
        self._outbox.flush()
