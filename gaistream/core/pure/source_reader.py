"""The coroutine that reads a source, and has its outbox send what is due whenever it suspends.

Belongs to one task. Twin of src/source_reader.pxi.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Self

from .buffer import NotCopyable
from .outbox import Outbox


class SourceReader(NotCopyable):
    """A coroutine that reads a source; whenever it suspends, its outbox sends what is due.

    Args:
        outbox: takes the items.
        coroutine: reads them.
    """

    __slots__ = ("_coroutine", "_outbox")

    def __init__(self, outbox: Outbox, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._outbox: Outbox | None = outbox
        self._coroutine = coroutine

    def __await__(self) -> Self:
        """Return the iterator of its steps."""
        return self

    __iter__ = __await__

    def __next__(self) -> Any:
        """Make a step."""
        return self._step(self._coroutine.send, None)

    def send(self, value: Any) -> Any:
        """Make a step, with the answer to the one before."""
        try:
            return self._step(self._coroutine.send, value)
        finally:
            del value  # trio sends errors too, whose tracebacks hold this frame

    def throw(self, *error: Any) -> Any:
        """Make a step by raising an error where the coroutine waits."""
        try:
            return self._step(self._coroutine.throw, *error)
        finally:
            del error  # its traceback holds this frame

    def close(self) -> None:
        """End the coroutine where it waits."""
        self._outbox = None
        self._coroutine.close()

    def _step(self, step: Callable[..., Any], *arguments: Any) -> Any:
        try:
            waits_for = step(*arguments)
        except BaseException:
            self._outbox = None  # the coroutine has ended: leave no cycle
            del arguments
            raise
        outbox = self._outbox
        if outbox is not None:
            try:
                outbox._source_suspends()
            except BaseException as error:
                return self.throw(error)
            if outbox.after_step is not None:
                outbox.after_step()
        return waits_for

    def __getattr__(self, name: str) -> Any:
        """Return other attributes of the coroutine, such as its frame."""
        if name in SourceReader.__slots__:  # it was made without its __init__
            raise AttributeError(name)
        return getattr(self._coroutine, name)
