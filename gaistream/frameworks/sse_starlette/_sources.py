"""What a stream reads: the response's content, and a feeder that runs beside it.

Each item is read once it is awaited, also from a blocking iterable. Runs on asyncio and trio.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any

from ...core import estimate_size
from ...errors import EventError
from ...loops import event_loop
from ...loops.protocols import Breakable, Task
from ...loops.sources import Owned, close_source, open_source
from ._encoder import logger


def body_iterator(content: Any) -> AsyncIterable[Any]:
    """Return a response's content as an async iterable; one that is not iterable fails later."""
    if isinstance(content, AsyncIterable):
        return content
    try:
        return open_source(content, estimate_size, one_by_one=True)
    except EventError as error:
        return _failing(error)


async def _failing(error: Exception) -> AsyncIterator[Any]:
    raise error
    yield


class Body(Owned):
    """The iterator over a response's content. Errors of its clean-up are logged as there.

    Args:
        content: an async or sync iterable.
    """

    def __init__(self, content: Any) -> None:
        iterator = open_source(content, estimate_size, one_by_one=True)
        super().__init__(iterator, getattr(iterator, "owner", iterator))

    async def aclose(self) -> None:
        await close_source(self.iterator, logger)


class WithFeeder(Owned):
    """A source beside which a feeder runs, in a task that ends with it.

    An exception of the feeder ends the source.

    Args:
        source: the iterator.
        feed: an async function, called once.
    """

    def __init__(self, source: Body, feed: Callable[[], Awaitable[Any]]) -> None:
        super().__init__(source, source.owner)
        self._source = source
        self._feed = feed
        self._task: Task | None = None
        self._block: Breakable | None = None
        self._failure: Exception | None = None

    def start(self) -> None:
        """Start the feeder."""
        self._task = event_loop().create_task(self._run(), name="gaistream feeder")

    async def __anext__(self) -> Any:
        if self._failure is None:
            with event_loop().breakable() as self._block:
                try:
                    return await self.iterator.__anext__()
                finally:
                    self._block = None
        failure, self._failure = self._failure, None
        assert failure is not None
        try:
            raise failure
        finally:
            del failure  # its traceback holds this frame

    async def _run(self) -> None:
        try:
            await self._feed()
        except Exception as error:
            self._failure = error
            if self._block is not None:
                self._block.break_off()

    async def aclose(self) -> None:
        """Cancel the feeder and close the source."""
        task = self._task
        try:
            if task is not None:
                task.cancel()
                await event_loop().ended(task)
        finally:
            if task is not None and not task.done():  # its time for a clean-up is over
                task.cancel()
            await self._source.aclose()
        if self._failure is not None:  # not raised by the source any more
            logger.error("data_sender_callable failed", exc_info=self._failure)
            self._failure = None  # whose traceback refers to this object
