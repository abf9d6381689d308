"""A send that is begun where there is something to send, in the name of the task that sends.

Waking a task costs as much as framing an event ten times, and the sends of many streams would
all come after the work of all their sources. So where a source blocks, or a timer strikes, the
first step of the connection's `send` is made right there: as a step of the connection's own task,
which waits meanwhile, and in its context variables, so that scopes, time-outs and whatever else
asks which task it is in find what they would find otherwise. Nearly always that step is the whole
send; where it has to wait, the connection's task is woken and goes on with the rest.

This is what asyncio documents for those who extend it (_enter_task and _leave_task). Trio has
nothing alike: there the connection's task is woken.
"""

from __future__ import annotations

import asyncio
import contextvars
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Final

_SENT: Final = object()


class Rest:
    """What is left of a send whose first step was made: to be awaited by the task of its name."""

    __slots__ = ("_error", "_steps", "_waits_for")

    def __init__(self, steps: Any, waits_for: Any, error: BaseException | None = None) -> None:
        self._steps = steps
        self._waits_for = waits_for
        self._error = error

    def throw(self, error: BaseException) -> None:
        """Have this raised where the send waits, as soon as it is awaited."""
        self._error = error

    def __await__(self) -> Generator[Any, Any, None]:
        """Go on, as if the send had been awaited from the start (PEP 380)."""
        while True:
            if self._error is not None:
                throw = getattr(self._steps, "throw", None)
                if throw is None:
                    raise self._error
                try:
                    self._waits_for = throw(self._error)
                except StopIteration:
                    return
            try:
                yield self._waits_for
            except BaseException as error:
                self._error = error
            else:
                yield from self._steps
                return


class Sender:
    """Begins the sends of a connection for the task that makes this, while that waits.

    Args:
        loop: the running event loop of asyncio.
        send: what gives an awaitable for a chunk.
    """

    __slots__ = ("_loop", "_run", "_send", "_task")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, send: Callable[[bytes], Awaitable[None]]
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._loop = loop
        self._task = task
        self._run = contextvars.copy_context().run
        self._send = send

    def begin(self, chunk: bytes, running: Any) -> Rest | None:
        """Make the first step of a send; gives what is left of it, or None where it is done.

        It never raises: what the send raises is the Rest's.

        Args:
            chunk: what is to be sent.
            running: the task that runs at the moment; None in a callback of the loop.
        """
        loop, task = self._loop, self._task
        if running is not None:
            _leave_task(loop, running)
        _enter_task(loop, task)
        try:
            steps = self._send(chunk).__await__()
            waits_for = self._run(next, steps, _SENT)
            return None if waits_for is _SENT else Rest(steps, waits_for)
        except BaseException as error:
            return Rest(None, None, error)
        finally:
            _leave_task(loop, task)
            if running is not None:
                _enter_task(loop, running)
