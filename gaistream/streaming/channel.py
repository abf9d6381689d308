"""A source that is pushed to: `Channel`.

A channel is a bounded queue with one reader, its stream. While the queue is empty a put goes around
it: it writes into the stream's outbox and starts the send (see loops/handover.py), so no task is
woken for an item. Of the puts of one turn of the loop the first is sent at once and the others
together. Where the client takes less than comes, puts are queued, then wait.

Guarantees: the items of each putter keep their order; at most 256 KiB are queued, beside the
stream's own buffer; once the stream is over every put raises ChannelClosed, those that wait too.
"""

from __future__ import annotations

import contextlib
from asyncio import _get_running_loop
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Final, Generic

from ..core import Inlet
from ..errors import ChannelClosed, ChannelError, ChannelFull, FrameTypeError
from ..loops import event_loop
from ..loops.protocols import EventLoop, Future
from ..loops.sources import Owned
from .byte_queue import MOST_QUEUED, ByteQueue
from .clock import clock
from .outcome import Outcome

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Item = TypeVar("Item", default=Any)
else:
    from typing import TypeVar

    Item = TypeVar("Item")

PUT_LOOKS, PUT_HELD, PUT_CLOSED = 1, 2, 4  # see Inlet.put
_PATIENCE: Final = 1.0  # seconds that a thread waits for room before it checks the loop


class Channel(AsyncIterable[Item], Generic[Item]):
    """A source that is pushed to: pass it to a response, `sse()` or `ndjson()`, and put items.

    It serves one response. `put` and `put_nowait` belong to the event loop on which the channel was
    made or, if it was made in a thread without a loop, to the first that uses it. `put_threadsafe`,
    `close` and `fail` may be called from any thread. Close the channel when all was put: until then
    its stream stays open. At most 256 KiB are queued (one item may be larger).
    """

    __slots__ = (
        "__weakref__",
        "_closed",
        "_encoder",
        "_error",
        "_inlet",
        "_loop",
        "_next",
        "_outbox",
        "_outcome",
        "_pauses",
        "_queue",
        "_running",
        "_stream",
        "_taken",
        "_wakes",
    )

    def __init__(self) -> None:
        self._queue: ByteQueue[Item] = ByteQueue()
        self._next: Future | None = None  # the reader's, while it waits
        self._taken = self._closed = False
        self._error: Exception | None = None  # of `fail`
        self._stream: Any = None  # a Stream, from its beginning to its end
        self._outbox: Any = None  # likewise
        self._encoder: Any = None  # likewise
        self._outcome: Outcome | None = None  # once the stream is over
        self._inlet: Inlet | None = None  # likewise; open while the reader waits
        self._wakes = False  # the reader, because of what a thread has put
        self._pauses = False  # the loop is due a turn
        self._loop: EventLoop | None = None
        self._running: object = self  # what _get_running_loop returns where puts are legal
        here = _loop_here()
        if here is not None:
            self._bind(here)

    # ---- for those who put ----

    async def put(self, item: Item) -> None:
        """Put an item; wait while the client takes less than comes.

        Raises:
            ChannelClosed: the channel was closed, or its stream is over.
            ChannelError: it belongs to another event loop.
        """
        while True:
            try:
                self.put_nowait(item)
                break
            except ChannelFull:
                assert self._loop is not None
                await self._queue.wait_for_room(self._loop.create_future)
        if self._pauses:
            self._pauses = False
            assert self._loop is not None
            await self._loop.sleep(0)

    def put_nowait(self, item: Item) -> None:
        """Put an item without waiting.

        Raises:
            ChannelFull: there is no room, because the client takes less than comes.
            ChannelClosed: the channel was closed, or its stream is over.
            ChannelError: it belongs to another event loop, or the caller is in a thread.
        """
        inlet = self._inlet
        if inlet is None:
            self._enqueue(item)
            return
        try:
            left = inlet.put(item)
        except Exception as error:
            self._end(error)
            raise
        if left:
            self._finish_put(item, left)

    def put_threadsafe(self, item: Item) -> None:
        """Put an item from a thread; block while the client takes less than comes.

        Raises:
            ChannelClosed: the channel was closed, or its stream is over.
            ChannelError: the channel's event loop runs in this thread, which it would block.
        """
        here = _loop_here()
        if here is not None and here.identity is self._running:
            raise ChannelError(
                "put_threadsafe() would block the channel's own event loop: use put() here"
            )
        with self._queue.lock:
            while not self._append(item):
                if here is not None and self._loop is None:
                    raise ChannelError("put_threadsafe() would block an event loop: use put() here")
                self._queue.lock.wait(_PATIENCE)
                if self._loop is not None and self._loop.is_closed():
                    raise self._closed_error()
            wakes, self._wakes = not self._wakes, True  # once a batch
        if wakes:
            self._on_loop(self._wake_reader)

    def close(self) -> None:
        """End the stream, whole, after what was put. May be called from any thread, and again."""
        self._end(None)

    def fail(self, error: Exception) -> None:
        """End the stream after what was put, as if its source had raised `error`.

        May be called from any thread; does nothing if the channel was closed or its stream is over.

        Args:
            error: sent to the client if it is a StreamError; any other is an internal error, and
                logged.

        Raises:
            FrameTypeError: `error` is not an Exception.
        """
        if not isinstance(error, Exception):
            raise FrameTypeError(f"error must be an Exception, not {type(error).__name__}")
        self._end(error)

    # ---- what puts do ----

    def _finish_put(self, item: Item, left: int) -> None:
        """Do what the inlet has left to do."""
        if left & PUT_CLOSED:
            self._enqueue(item)
            return
        if left & PUT_HELD:
            self._hold()
        if left & PUT_LOOKS:
            self._look()

    def _enqueue(self, item: Item) -> None:
        self._check_loop()
        with self._queue.lock:
            if not self._append(item):
                raise ChannelFull(
                    f"the channel is full: the client takes less than comes, and "
                    f"{MOST_QUEUED >> 10} KiB are queued; `await put()` waits for room"
                )
        self._wake_reader()

    def _append(self, item: Item) -> bool:
        """Append an item to the queue, under its lock; return False if there is no room."""
        if self._closed or (self._stream is not None and not self._stream.is_open):
            raise self._closed_error()
        if not self._queue.append(item):
            return False
        self._close_inlet()  # what is put next comes after it
        return True

    def _close_inlet(self) -> None:
        if self._inlet is not None:
            self._inlet.is_open = False

    def _hold(self) -> None:
        """Send what is due, and schedule a flush for what is not."""
        outbox, options = self._outbox, self._encoder.options
        if outbox.hold():
            clock().flush(outbox, options.flush_interval)
        elif outbox.events == 1 or outbox.pending >= options.buffer_size:
            outbox.flush()

    def _look(self) -> None:
        """Do what the outbox wants done before the next item; raise if the stream is over."""
        outbox = self._outbox
        if not self._stream.is_open:  # and the item was not written
            raise self._closed_error()
        if self._encoder.ended:  # the item was the end
            self._end(None)
        elif outbox.pending < MOST_QUEUED:
            self._pauses = True
        else:
            outbox.flush()
            if outbox.pending >= MOST_QUEUED:  # the reader waits until the client takes more
                self._close_inlet()
                self._wake_reader()

    def _end(self, error: Exception | None) -> None:
        with self._queue.lock:
            if self._closed:
                return
            self._closed = True
            self._error = error
            self._close_inlet()
            self._queue.lock.notify_all()
        self._on_loop(self._wake_all)

    def _closed_error(self) -> ChannelClosed:
        stream = self._stream
        outcome: Outcome | None = self._outcome if stream is None else stream.outcome_so_far()
        if outcome is None or (stream is not None and stream.is_open):
            return ChannelClosed("the channel was closed", outcome)
        return ChannelClosed(f"the channel's stream is over: {outcome.kind}", outcome)

    # ---- the loop ----

    def _bind(self, loop: EventLoop) -> None:
        self._loop = loop
        self._running = loop.identity

    def _check_loop(self) -> None:
        here = _loop_here()
        if here is None:
            raise ChannelError(
                "put() and put_nowait() belong to an event loop: use put_threadsafe() in a thread"
            )
        if self._loop is None:
            self._bind(here)
        elif here.identity is not self._running:
            raise ChannelError(
                "the channel belongs to another event loop: in this one use "
                "`await asyncio.to_thread(channel.put_threadsafe, item)`"
            )

    def _on_loop(self, wake: Callable[[], None]) -> None:
        """Call a function in the channel's loop."""
        if self._loop is None:  # nothing waits yet
            return
        here = _loop_here()
        if here is not None and here.identity is self._running:
            wake()
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(wake)

    def _wake_reader(self) -> None:
        self._wakes = False
        if self._next is not None and not self._next.done():
            self._next.set_result(None)

    def _wake_all(self) -> None:
        self._wake_reader()
        self._queue.wake_tasks()

    # ---- for the stream ----

    def __aiter__(self) -> AsyncIterator[Item]:
        """Return the reader.

        Raises:
            ChannelError: there is one already.
        """
        if self._taken:
            raise ChannelError("a channel serves one response: make one for each")
        self._taken = True
        return _Reader(self)

    def begin(self, stream: Any, outbox: Any, encoder: Any, goes_around: bool) -> None:
        """Take the stream that reads the channel, as it begins; puts may go around the queue."""
        self._stream = stream
        self._outbox = outbox
        self._encoder = encoder
        here = _loop_here()
        assert here is not None
        if self._loop is None:
            self._bind(here)
        if not goes_around or here.identity is not self._running:  # as the reader then says
            return
        on_asyncio = _get_running_loop() is self._running
        self._inlet = Inlet(
            outbox,
            clock().turns,
            encoder.options.flush_after_write,
            _get_running_loop if on_asyncio else _identity_here,
            self._running,
        )

    def release(self, outcome: Outcome) -> None:
        """Drop the stream, which is over."""
        self._outcome = outcome
        self._stream = self._outbox = self._encoder = self._inlet = None

    async def wait_for_items(self) -> None:
        """Wait until something is queued, or the end; meanwhile puts go around the queue."""
        self._check_loop()
        assert self._loop is not None
        outbox, inlet = self._outbox, self._inlet
        if inlet is not None:
            while (room := outbox.wait_for_room()) is not None:
                await room
        with self._queue.lock:
            if self._queue or self._closed:
                return
            waiting = self._next = self._loop.create_future()
            self._wakes = False
            if inlet is not None:
                inlet.is_open = True
        try:
            await waiting
        finally:
            self._next = None
            self._close_inlet()


class _Reader(AsyncIterator[Item]):
    """The reader of a channel."""

    __slots__ = ("_channel",)

    def __init__(self, channel: Channel[Item]) -> None:
        self._channel = channel

    async def __anext__(self) -> Item:
        channel = self._channel
        while not channel._queue:
            if channel._closed:
                error, channel._error = channel._error, None
                if error is None:
                    raise StopAsyncIteration
                try:
                    raise error
                finally:
                    del self, channel, error  # which the traceback holds
            await channel.wait_for_items()
        return channel._queue.popleft()

    def __del__(self) -> None:
        """End the channel of a response that was never served."""
        self._channel.close()

    async def aclose(self) -> None:
        """End the channel, and drop what is queued."""
        self._channel.close()
        self._channel._queue.clear()


def channel_of(source: Any) -> Channel[Any] | None:
    """Return the channel that an opened source reads; None for any other source."""
    owner = source.owner if type(source) is Owned else None
    return owner if isinstance(owner, Channel) else None


def _identity_here() -> object:
    here = _loop_here()
    return None if here is None else here.identity


def _loop_here() -> EventLoop | None:
    """Return the event loop that runs in this thread, or None."""
    try:
        return event_loop()
    except RuntimeError:
        return None
