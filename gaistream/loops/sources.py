"""Sources of every kind as async iterators that can be closed.

Async iterables are used as they are. Lists and tuples cannot block and are read in place. Any other
iterable may block, so it runs in one helper thread, in a copy of the caller's context. It is read
ahead by a bounded number of bytes, with one wake-up a batch, then waits until all of them were
taken. It is closed in its own thread at its next yield.
"""

from __future__ import annotations

import contextlib
import contextvars
import inspect
import logging
import threading
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Final

from .._log import log
from ..errors import EventError
from . import event_loop
from .helper_threads import LONGEST_END, helper_threads
from .protocols import EventLoop, Future

_MOST_AHEAD: Final = 256 * 1024  # bytes that a helper thread reads ahead, beside its last item
_PATIENCE: Final = 1.0  # seconds that it waits for room before it checks that the loop is open

SizeOf = Callable[[Any, int], int]
"""Returns about how many bytes an item holds; it may stop counting at the second argument."""


def open_source(stream: Any, size_of: SizeOf, *, one_by_one: bool = False) -> AsyncIterator[Any]:
    """Return an async iterator over a source.

    Args:
        stream: an async or sync iterable.
        size_of: measures the items that are read ahead.
        one_by_one: read no item of a blocking source before it is awaited.

    Raises:
        EventError: `stream` is not iterable, or its items cannot be events.
    """
    if isinstance(stream, AsyncIterable):
        iterator = stream.__aiter__()
        return iterator if iterator is stream else Owned(iterator, stream)
    check_iterable(stream)
    if isinstance(stream, list | tuple):
        return _InPlace(stream)
    return _InThread(stream, size_of, one_by_one)


def check_iterable(stream: Any) -> None:
    """Raise EventError unless `stream` is an iterable whose items may be events."""
    if isinstance(stream, str | bytes | bytearray | memoryview | dict) or not isinstance(
        stream, Iterable
    ):
        raise EventError(
            f"a source is an iterable or async iterable of events, not {type(stream).__name__}"
        )


async def close_source(source: Any, logger: logging.Logger = log) -> None:
    """Close an async iterator or its owner, by `aclose` or `close`, if it has either.

    Errors of its clean-up are logged, because the stream has ended already.

    Args:
        source: the iterator.
        logger: of the errors.
    """
    try:
        close = getattr(source, "aclose", None) or getattr(source, "close", None)
        answer = close() if close is not None else None
        if inspect.isawaitable(answer):
            await answer
    except BaseExceptionGroup as group:  # task groups wrap the GeneratorExit of aclose()
        failure = group.split((GeneratorExit, event_loop().cancelled))[1]
        if failure is not None:
            logger.error("a stream's source raised while it was being closed", exc_info=failure)
    except Exception:
        logger.exception("a stream's source raised while it was being closed")


def is_left_running(source: Any) -> bool:
    """Return True for a blocking source whose thread has not closed it yet."""
    iterator = source
    while isinstance(iterator, Owned):
        iterator = iterator.iterator
    return isinstance(iterator, _InThread) and not iterator.closed


def source_name(source: Any) -> str:
    """Return the name of a source for messages: its generator's and its place, or its type's."""
    owner = getattr(source, "owner", source)  # the iterators of this file have one
    code = getattr(owner, "ag_code", None) or getattr(owner, "gi_code", None)
    if code is None:
        return f"the source {type(owner).__qualname__}"
    return f"the source {owner.__qualname__} ({code.co_filename}:{code.co_firstlineno})"


def close_blocking(iterator: Any, owner: Any) -> None:
    """Close a blocking iterator and its owner, if they have `close`; log errors of that."""
    for each in (iterator,) if owner is iterator else (iterator, owner):
        try:
            close = getattr(each, "close", None)
            if close is not None:
                close()
        except Exception:
            log.exception("a stream's source raised while it was being closed")


class Owned(AsyncIterator[Any]):
    """An iterator whose owner must be closed too, such as an SDK's stream object."""

    def __init__(self, iterator: AsyncIterator[Any], owner: Any) -> None:
        self.iterator = iterator
        self.owner = owner

    def __anext__(self) -> Awaitable[Any]:
        return self.iterator.__anext__()  # no coroutine of its own for each item

    async def aclose(self) -> None:
        """Close both."""
        await close_source(self.iterator)
        await close_source(self.owner)


class _InPlace(AsyncIterator[Any]):
    def __init__(self, items: list[Any] | tuple[Any, ...]) -> None:
        self.owner = items
        self._items = iter(items)

    async def __anext__(self) -> Any:
        for item in self._items:
            return item
        raise StopAsyncIteration


class _InThread(AsyncIterator[Any]):
    """A blocking iterator in its own thread, which starts when the first item is awaited.

    There is no lock for each item. The thread appends an item and then reads `_awake`; the loop
    clears `_awake` and then looks for items. So no item is missed: either the loop finds it before
    it waits, or the thread finds `_awake` cleared and wakes the loop.

    Attributes:
        closed: True once the source has been closed.
    """

    def __init__(self, source: Iterable[Any], size_of: SizeOf, one_by_one: bool = False) -> None:
        self.closed = False
        self.owner = source
        self._source = iter(source)
        self._size_of = size_of
        self._one_by_one = one_by_one
        self._loop: EventLoop | None = None
        self._items: deque[Any] = deque()
        self._room = threading.Event()  # set when all items were taken, if the thread waits
        self._full = False  # the thread waits for room
        self._next_item: Future | None = None  # awaited by __anext__
        self._end: Future | None = None  # awaited by aclose
        self._awake = False  # the loop was woken since it last found no item: one wake-up a batch
        self._stopping = False
        self._finished = False
        self._error: BaseException | None = None

    async def __anext__(self) -> Any:
        if not self._items:
            await self._wait_for_items()
        return self._items.popleft()

    async def _wait_for_items(self) -> None:
        if self._loop is None:
            self._start()
        assert self._loop is not None
        while not self._items:
            if self._full:
                self._full = False
                self._room.set()
            self._awake = False
            finished = self._finished  # read first: no item is appended after it is set
            if self._items:
                return
            if finished:
                if self._error is not None:
                    error, self._error = self._error, None
                    try:
                        raise error
                    finally:
                        del error  # a cycle: its traceback holds this frame
                raise StopAsyncIteration
            self._next_item = self._loop.create_future()
            try:
                await self._next_item
            finally:
                self._next_item = None

    def stop(self) -> None:
        """Ask the source to end at its next yield; may be called from any thread."""
        self._stopping = True
        self._room.set()

    async def aclose(self) -> None:
        """Close the source: here if it never ran, else in its thread at its next yield.

        This waits for the thread for at most LONGEST_END seconds. A thread that still blocks then
        is left to itself.
        """
        self.stop()
        self._items.clear()
        if self._loop is None:
            self._finished = self.closed = True
            close_blocking(self._source, self.owner)
        elif not self._finished:
            helper_threads.abandon(self)
            await self._wait_for_end()

    async def _wait_for_end(self) -> None:
        loop = event_loop()
        assert self._loop is not None
        if loop.identity is not self._loop.identity:
            return  # the thread can wake only its own loop
        end = self._end = loop.create_future()
        timer = loop.call_at(loop.time() + LONGEST_END, _settle, end)
        try:
            if not self._finished:  # read last: the thread sets it before it looks for `_end`
                await end
        finally:
            self._end = None
            timer.cancel()

    def _start(self) -> None:
        loop = event_loop()
        context = contextvars.copy_context()
        self._loop = loop
        try:
            helper_threads.start(self, context.run, self._run)
        except Exception:  # no thread was started
            self._loop = None
            raise

    def _run(self) -> None:
        try:
            try:
                self._read()
            finally:
                close_blocking(self._source, self.owner)
                self.closed = True
        except BaseException as error:
            if self._stopping:  # no task will await it
                log.error("a stream's source failed", exc_info=error)
            else:
                self._error = error
        finally:
            helper_threads.ended(self)  # before its stream ends, to make room for another source
            self._finished = True
            self._wake_loop()
            del self  # a cycle: the error's traceback holds this frame

    def _read(self) -> None:
        """Read items until the source ends, or until no task will take more of them."""
        assert self._loop is not None
        items, is_closed, size_of = self._items, self._loop.is_closed, self._size_of
        ahead = 0  # bytes read since all items were taken
        for item in self._source:
            if self._one_by_one:
                self._room.clear()
                self._full = True  # set before the loop can take the item, and ask for the next
            if self._stopping or is_closed():
                return
            items.append(item)
            if not self._awake:
                self._wake_loop()
            if self._one_by_one:
                del item
                if not self._wait_until_asked():
                    return
                continue
            ahead += size_of(item, _MOST_AHEAD)
            if ahead >= _MOST_AHEAD:
                del item  # a large item must not live until the next one
                if not self._wait_until_taken():
                    return
                ahead = 0

    def _is_abandoned(self) -> bool:
        assert self._loop is not None
        return (
            self._stopping
            or self._loop.is_closed()
            or not threading.main_thread().is_alive()  # the interpreter is exiting
        )

    def _wait_until_asked(self) -> bool:
        """Wait until the next item is awaited. Return False if no task will await it."""
        while not self._is_abandoned():
            if self._room.wait(_PATIENCE):
                return not self._stopping
        return False

    def _wait_until_taken(self) -> bool:
        """Wait until all items were taken. Return False if no task will take them."""
        while not self._is_abandoned():
            if not self._items:
                return True
            self._room.clear()
            self._full = True
            if self._items and not self._stopping:
                self._room.wait(_PATIENCE)
        return False

    def _wake_loop(self) -> None:
        """Wake the task on the loop, which then takes all items."""
        self._awake = True
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._wake_task)

    def _wake_task(self) -> None:
        _settle(self._next_item)
        if self._finished:
            _settle(self._end)


def _settle(future: Future | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
