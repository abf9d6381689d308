"""A send that is started where there is something to send, as a step of the connection's task.

Waking a task costs ten times as much as framing an event, and the sends of many streams would all
come after the work of all their sources. So where a source suspends, or a timer strikes, the first
step of the connection's `send` is made right there: as a step of the connection's own task, which
waits meanwhile, and in its context, so that scopes and time-outs find the task that they expect.
Nearly always that step is the whole send; if it has to wait, the connection's task is woken and
finishes it.

It takes what asyncio itself does to start an eager task: another task is made the current one for a
moment. Trio has nothing like it: there, and wherever it cannot be done, there is no permit, and the
connection's task waits for a plain future and sends by itself.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Generator
from contextvars import Context
from typing import Any, NamedTuple

Send = Callable[[bytes], Awaitable[None]]  # returns an awaitable for a chunk

# A function that swaps the current task of a loop; on Python 3.11 the current tasks by their loops.
# Neither is a promised interface: without them there are no permits.
_NAME = "_swap_current_task" if sys.version_info >= (3, 12) else "_current_tasks"
_current_tasks: Any = getattr(asyncio.tasks, _NAME, None)


class SendPermit(NamedTuple):
    """Permission to start sends as steps of the connection's task while it waits: Outbox.grant."""

    send: Send
    loop: asyncio.AbstractEventLoop
    task: asyncio.Task[Any]
    context: Context
    current_tasks: Any
    shares_context: bool


def send_permit(start: TaskStart, send: Send) -> SendPermit | None:
    """Return a permit for the running task, if it started the source's task; else None.

    Args:
        start: the start of the source's task.
        send: of the connection.
    """
    task, context = start.starter, start.starter_context
    if _current_tasks is None or task is None or context is None:
        return None
    loop = start.get_loop()
    if asyncio.current_task(loop) is not task:
        return None
    return SendPermit(send, loop, task, context, _current_tasks, start.shares_context)


class TaskStart(asyncio.Future[None]):
    """The start of a task in the awaiting task's own context.

    A task that awaits a future passes its context, in which its callback is to be called.

    Attributes:
        task: the new task, once it was created.
        starter, starter_context: the awaiting task, and its context.
        shares_context: True if the new task runs in that context, not in a copy.
    """

    __slots__ = ("_main", "_name", "shares_context", "starter", "starter_context", "task")

    def __init__(self, loop: asyncio.AbstractEventLoop, main: Any, name: str) -> None:
        super().__init__(loop=loop)
        self._main = main
        self._name = name
        self.task: asyncio.Task[Any] | None = None
        self.starter: asyncio.Task[Any] | None = None
        self.starter_context: Context | None = None
        self.shares_context = True

    def add_done_callback(
        self, callback: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        """Start the task in this context, and have the callback called after its first step."""
        super().add_done_callback(callback, context=context)
        loop = self.get_loop()
        self.starter, self.starter_context = asyncio.current_task(loop), context
        if loop.get_task_factory() is None:
            self._start()
        else:  # an eager task enters the context at once, in which this task still runs
            loop.call_soon(self._start, context=Context())

    def _start(self) -> None:
        main, self._main = self._main, None
        if self.done():  # cancelled meanwhile
            main.close()
            return
        create = self.get_loop().create_task
        try:
            try:
                self.task = create(main, name=self._name, context=self.starter_context)
            except TypeError:  # a task factory without that argument
                if self.starter_context is None:
                    raise
                self.shares_context = False
                self.task = self.starter_context.run(create, main, name=self._name)
        except Exception as error:  # of the task factory
            main.close()
            self.set_exception(error)
        else:
            self.set_result(None)  # the awaiting task goes on after the new one's first step


class StartedSend:
    """A send whose first step was made elsewhere; the connection's task awaits the rest of it.

    Args:
        steps: the send, as an iterator; None if its first step raised.
        waits_for: what it waits for.
        error: what its first step raised, or what must be raised where it waits.
    """

    __slots__ = ("_error", "_steps", "_waits_for")

    def __init__(self, steps: Any, waits_for: Any, error: BaseException | None) -> None:
        self._steps = steps
        self._waits_for = waits_for
        self._error = error

    def __await__(self) -> Generator[Any, Any, None]:
        """Go on as if this task had awaited the send from the start (PEP 380)."""
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
            error = None  # its traceback holds this frame
