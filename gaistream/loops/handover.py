"""A send that is begun where there is something to send, in the name of the task that sends.

Waking a task costs as much as framing an event ten times, and the sends of many streams would
all come after the work of all their sources. So where a source blocks, or a timer strikes, the
first step of the connection's `send` is made right there: as a step of the connection's own task,
which waits meanwhile, and in its context variables, so that scopes, time-outs and whatever else
asks which task it is in find what they would find otherwise. Nearly always that step is the whole
send; where it has to wait, the connection's task is woken and goes on with the rest.

It takes what asyncio itself does to begin an eager task: to make another task the current one for
a moment. Trio has nothing alike: there, and wherever this cannot be, the connection's task is woken
and sends itself.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Generator
from contextvars import Context
from typing import Any

from ..core import FrameSender

Send = Callable[[bytes], Awaitable[None]]  # gives an awaitable for a chunk

# What swaps the current task of a loop; on Python 3.11 the current tasks by their loops. Neither is
# promised: where it is not there, the connection's task is woken.
_CURRENT = "_swap_current_task" if sys.version_info >= (3, 12) else "_current_tasks"
_current: Any = getattr(asyncio.tasks, _CURRENT, None)


class Rest:
    """What is left of a send whose first step was made: to be awaited by the task of its name.

    Args:
        steps: the send, as an iterator; None where its first step raised.
        waits_for: what it waits for.
        error: what is to be raised where it waits, or what its first step raised.
    """

    __slots__ = ("_error", "_steps", "_waits_for")

    def __init__(self, steps: Any, waits_for: Any, error: BaseException | None) -> None:
        self._steps = steps
        self._waits_for = waits_for
        self._error = error

    def __await__(self) -> Generator[Any, Any, None]:
        """Go on, as if the send had been awaited by this task from the start (PEP 380)."""
        steps, waits_for, error = self._steps, self._waits_for, self._error
        self._error = None
        if isinstance(error, asyncio.CancelledError) and asyncio.isfuture(waits_for):
            # a task that is cancelled cancels what it waits for, which then raises in it
            error = None if waits_for.cancel(*error.args) else error
        try:
            while True:
                if error is not None:
                    throw = getattr(steps, "throw", None)
                    if throw is None:
                        raise error
                    try:
                        waits_for = throw(error)
                    except StopIteration:
                        return
                try:
                    yield waits_for
                except BaseException as raised:
                    error = raised
                else:
                    yield from steps
                    return
        finally:
            error = None  # whose traceback holds this frame


class Lending(asyncio.Future[None]):
    """What the connection's task waits for first: it lends the stream that task's name.

    Who waits for a future says in which context it is to be called, and a task says its own.

    Args:
        sender: what is to begin the sends.
        send: of the connection.
        loop: the running event loop.
    """

    __slots__ = ("_send", "_sender")

    def __init__(
        self,
        sender: FrameSender,
        send: Send,
        *,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(loop=loop)
        self._sender = sender
        self._send = send

    def add_done_callback(
        self, callback: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        """Lend the name of the task that waits, and have it called as soon as this is done."""
        super().add_done_callback(callback, context=context)
        loop = self.get_loop()
        task = asyncio.current_task(loop)
        if _current is not None and context is not None and task is not None:
            self._sender._lend(self._send, loop, task, context, _current)
