"""What may be streamed, as an async iterator that can be closed.

Async iterables are taken as they are. Lists and tuples cannot block and are read in place. Any
other iterable may block, so it runs in one helper thread, in a copy of the caller's context: it
is read ahead by a bounded number of bytes (one wake-up a batch), waits until all of them were
taken, and is closed in its own thread at its next yield.
"""

from __future__ import annotations

import contextlib
import contextvars
import inspect
import threading
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any, Final

from .._log import log
from ..core import estimate_size
from ..errors import EventError
from .event_loop import EventLoop, Future, event_loop
from .helper_threads import LONGEST_END, helper_threads

_MOST_AHEAD: Final = 256 * 1024  # bytes that a helper thread reads ahead, beside its last item
_PATIENCE: Final = 1.0  # seconds that it waits for room before it looks whether the loop lives


def open_source(stream: Any) -> AsyncIterator[Any]:
    """Give an async iterator over a source; EventError for what is none."""
    if isinstance(stream, AsyncIterable):
        iterator = stream.__aiter__()
        return iterator if iterator is stream else Owned(iterator, stream)
    check_iterable(stream)
    if isinstance(stream, list | tuple):
        return _InPlace(stream)
    return _InThread(stream)


def check_iterable(stream: Any) -> None:
    """Refuse what is no source, and what iterates over something else than events."""
    if isinstance(stream, str | bytes | bytearray | memoryview | dict) or not isinstance(
        stream, Iterable
    ):
        raise EventError(
            f"a source is an iterable or async iterable of events, not {type(stream).__name__}"
        )


async def close_source(source: Any) -> None:
    """Close an async iterator or what it came from, by whichever name it has for that.

    What its cleanup raises is logged: the stream is over by then, and has ended as it has.
    """
    try:
        close = getattr(source, "aclose", None) or getattr(source, "close", None)
        answer = close() if close is not None else None
        if inspect.isawaitable(answer):
            await answer
    except BaseExceptionGroup as group:  # task groups wrap the GeneratorExit of aclose()
        failure = group.split((GeneratorExit, event_loop().cancelled))[1]
        if failure is not None:
            log.error("a stream's source raised while it was being closed", exc_info=failure)
    except Exception:
        log.exception("a stream's source raised while it was being closed")


def is_left_running(source: Any) -> bool:
    """Return True for a blocking source whose thread has not closed it yet."""
    iterator = source.iterator if isinstance(source, Owned) else source
    return isinstance(iterator, _InThread) and not iterator.closed


def source_name(source: Any) -> str:
    """Return what a message calls a source: its generator's name and place, or its type's name."""
    owner = getattr(source, "owner", source)  # of an iterator of ours
    code = getattr(owner, "ag_code", None) or getattr(owner, "gi_code", None)
    if code is None:
        return f"the source {type(owner).__qualname__}"
    return f"the source {owner.__qualname__} ({code.co_filename}:{code.co_firstlineno})"


def close_blocking(iterator: Any, owner: Any) -> None:
    """Close a blocking iterator, and what it came from, if they can be; else as close_source."""
    for each in (iterator,) if owner is iterator else (iterator, owner):
        try:
            close = getattr(each, "close", None)
            if close is not None:
                close()
        except Exception:
            log.exception("a stream's source raised while it was being closed")


class Owned(AsyncIterator[Any]):
    """An iterator of something else that is to be closed too, as the SDKs' stream objects are."""

    def __init__(self, iterator: AsyncIterator[Any], owner: Any) -> None:
        self.iterator = iterator
        self.owner = owner

    async def __anext__(self) -> Any:
        return await self.iterator.__anext__()

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
    """A blocking iterator in its own thread, which starts with the first item asked for.

    There is no lock for each item: one side appends and the other takes, and each tells the other
    what it did before it looks at what the other told. So an item that is there is always seen, by
    the loop that looks once more before it waits, or by the thread that sees nobody was told.

    Attributes:
        closed: the source has been closed.
    """

    def __init__(self, source: Iterable[Any]) -> None:
        self.closed = False
        self.owner = source
        self._source = iter(source)
        self._loop: EventLoop | None = None
        self._items: deque[Any] = deque()
        self._room = threading.Event()  # for the thread, while too much is read ahead
        self._full = False
        self._waiting: Future | None = None  # the next item
        self._closing: Future | None = None  # the source's end
        self._told = False  # the loop, since it last found nothing: one wake-up a batch
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
            self._told = False
            finished = self._finished  # looked at first: the last items come before it
            if self._items:
                return
            if finished:
                if self._error is not None:
                    error, self._error = self._error, None
                    try:
                        raise error
                    finally:
                        del error  # its traceback holds this frame
                raise StopAsyncIteration
            self._waiting = self._loop.create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None

    def stop(self) -> None:
        """Ask the source to end at its next yield; may be called from any thread."""
        self._stopping = True
        self._room.set()

    async def aclose(self) -> None:
        """Close the source: here if it never ran, else in its thread at its next yield.

        Waits for that, but not for longer than LONGEST_END seconds: a thread that blocks is left.
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
            return  # the thread cannot wake this one
        closing = self._closing = loop.create_future()
        timer = loop.call_at(loop.time() + LONGEST_END, _settle, closing)
        try:
            if not self._finished:  # looked at last: the thread wakes the future that it finds
                await closing
        finally:
            self._closing = None
            timer.cancel()

    def _start(self) -> None:
        loop = event_loop()
        context = contextvars.copy_context()
        self._loop = loop
        try:
            helper_threads.start(self, context.run, self._run)
        except Exception:  # no thread runs
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
            if self._stopping:  # nobody will be told any more
                log.error("a stream's source failed", exc_info=error)
            else:
                self._error = error
        finally:
            helper_threads.ended(self)  # before its stream ends: another may take its place
            self._finished = True
            self._tell()
            del self  # the error's traceback holds this frame

    def _read(self) -> None:
        """Read items until the source ends, or until nobody will take any more."""
        assert self._loop is not None
        items, is_closed = self._items, self._loop.is_closed
        ahead = 0  # bytes, since all items were taken
        for item in self._source:
            if self._stopping or is_closed():
                return
            items.append(item)
            if not self._told:
                self._tell()
            ahead += estimate_size(item, _MOST_AHEAD)
            if ahead >= _MOST_AHEAD:
                del item  # a big one must not live until the next
                if not self._wait_until_taken():
                    return
                ahead = 0

    def _wait_until_taken(self) -> bool:
        """Wait until all items were taken; return False if nobody will take any more."""
        assert self._loop is not None
        while not (
            self._stopping
            or self._loop.is_closed()
            or not threading.main_thread().is_alive()  # the interpreter is at its end
        ):
            if not self._items:
                return True
            self._room.clear()
            self._full = True
            if self._items and not self._stopping:
                self._room.wait(_PATIENCE)
        return False

    def _tell(self) -> None:
        """Wake the loop, which then takes all that is there."""
        self._told = True
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is to be told
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        _settle(self._waiting)
        if self._finished:
            _settle(self._closing)


def _settle(future: Future | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
