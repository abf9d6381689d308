"""The life of a stream in a thread that may block: for sync sources, and for WSGI.

`BlockingStream` runs a sync source in the caller's own thread: a chunk an item, no heartbeats.
`LoopStream` runs the engine on an event loop of its own in the caller's thread, for async sources
and for sync ones that are to have heartbeats and coalescing. Both give their bytes as an
iterator and close the source in every outcome.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

from ..errors import ungrouped
from ..loops.event_loop import EventLoop, event_loop
from ..loops.greenlets import Runner
from ..loops.sources import check_iterable, close_blocking, source_name
from . import thread_streams
from .open_streams import open_streams
from .stream import Outcome, OutcomeKind, Route, Stream, log_failure, write_end, write_prelude


class BlockingStream:
    """A sync source in the caller's thread. Belongs to one thread.

    Attributes:
        failure: what the source raised, or None.
    """

    def __init__(self, source: Any, encoder: Any) -> None:
        check_iterable(source)
        self._owner = source
        self._source: Iterator[Any] = iter(source)
        encoder.join_halves()
        self._frames = encoder
        self._events = 0
        self._bytes = 0
        self._kind: OutcomeKind = "cancelled"  # as long as nothing else is known
        self._started = self._last = time.monotonic()
        self._ending = False  # a drain has come to it
        self._retry_ms: int | None = None
        self.failure: BaseException | None = None
        self.answerable = False  # a failure is answered, and logged, by who made the stream
        self.route: Route | None = None
        self._name = ""  # of the source, once it has failed

    @property
    def failed_unsaid(self) -> bool:
        """Whether the source raised before it yielded anything."""
        return self.failure is not None and not self._events

    def log_failure(self, failure: BaseException) -> None:
        """Log what the source raised, unless its text is for the client."""
        log_failure(failure, self._name, self.route)

    left_behind = False  # its source cannot outlive it

    def refuse(self) -> None:
        """Note that it will not be served, for the server is being drained."""
        self._kind = "drained"

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes: a chunk for each item, then the end."""
        frames = self._frames
        write_prelude(frames)
        open_ = thread_streams.in_threads
        open_.enter(self)
        try:
            drained = yield from self._items()
            self._write_end(drained)
            if frames.pending:
                yield self._take()
        except GeneratorExit:
            self._kind = "client_gone"
            raise
        finally:
            open_.leave(self)
        self._kind = "drained" if drained else "failed" if frames.failed else "completed"

    def _items(self) -> Generator[bytes, None, bool]:
        """Give a chunk for each item, and whether a drain ended them; then close the source."""
        frames = self._frames
        try:
            while self._write_next():
                if frames.pending:
                    yield self._take()
                if self._ending:
                    return True
        finally:
            self.close()
        return False

    def _write_next(self) -> bool:
        """Write the next item of the source; return False at its end, or if it has failed."""
        try:
            frames = self._frames
            for item in self._source:
                before = frames.pending
                frames.write(item)
                if item is None and frames.pending == before and not self._ending:  # no event
                    continue
                self._events += 1
                return not frames.ended
        except (Exception, GeneratorExit, asyncio.CancelledError) as error:
            self.failure = ungrouped(error)
            self._name = source_name(self._owner)
            if not (self.answerable and self.failed_unsaid):
                self.log_failure(self.failure)
        return False

    def _write_end(self, drained: bool) -> None:
        frames = self._frames
        if not drained:
            write_end(frames, self.failure)
        elif self._retry_ms is not None and hasattr(frames.options, "retry_ms"):
            frames.write_frame(retry=self._retry_ms)

    def _take(self) -> bytes:
        chunk: bytes = self._frames.take()
        self._bytes += len(chunk)
        self._last = time.monotonic()
        return chunk

    # ---- what a drain asks of a stream ----

    def silent_since(self) -> float:
        """Give the time of the last chunk, or of the stream's beginning."""
        return self._last

    def drain_begins(self, grace: float) -> None:
        """Note that a drain begins: `drain` follows."""

    def drain_is_cancelled(self) -> None:
        """Do nothing: a stream that was to end at its next item does."""

    def drain(self, retry_ms: int | None) -> None:
        """Have the stream end when its source has yielded the next time; from any thread."""
        self._retry_ms = retry_ms
        self._ending = True

    def interrupt(self, kind: OutcomeKind) -> None:
        """Have the stream end at once: nothing here could do that."""

    def close(self) -> None:
        """Close the source, also where the iterator was never begun."""
        source, self._source = self._source, iter(())  # once
        owner, self._owner = self._owner, self._source
        close_blocking(source, owner)

    def release(self) -> None:
        """Drop the failure, whose frames refer to this object: the outcome was told."""
        self.failure = None

    @property
    def outcome(self) -> Outcome:
        """How the stream ended, once its iterator ended or was closed."""
        return Outcome(
            self._kind,
            self._events,
            self._bytes,
            time.monotonic() - self._started,
            self.failure,
        )


class LoopStream:
    """Any source on an event loop of its own in the caller's thread. Belongs to one thread.

    Args:
        life: a stream that was not started yet.
        runner: has the loop, and is closed by who made it, after the stream.
        hold_headers: wait for the first event with the first chunk.
    """

    def __init__(self, life: Stream, runner: Runner, *, hold_headers: bool) -> None:
        self._life = life
        self._runner = runner
        self._hold = hold_headers
        self._begun = False
        self._outcome: Outcome | None = None
        self._loop: EventLoop | None = None  # once it runs there

    @property
    def failure(self) -> BaseException | None:
        """What the source raised, or None."""
        return self._life.failure

    @property
    def failed_unsaid(self) -> bool:
        """Whether the source raised before it yielded anything."""
        return self._life.failed_unsaid

    @property
    def left_behind(self) -> bool:
        """True if the source still runs after `close`."""
        return self._life.left_behind

    def refuse(self) -> None:
        """Note that it will not be served, for the server is being drained."""
        self._life.interrupt("drained")

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes: whatever is there whenever the source waits, and heartbeats."""
        self._begun = True
        life, run = self._life, self._runner.run
        open_ = thread_streams.in_threads
        try:
            run(self._start(open_))
            while (chunk := run(life.next_chunk())) is not None:
                yield chunk
        except GeneratorExit:
            life.interrupt("client_gone")
            raise
        finally:
            try:
                run(life.close())
            finally:
                open_.leave(self)
            self._outcome = life.outcome

    async def _start(self, open_: thread_streams.ThreadStreams) -> None:
        self._loop = event_loop()
        # wsgi.drain_on_signals ends it, if that is active
        open_streams().signal_hooks = open_.signal_hooks
        await self._life.start()
        open_.enter(self)
        if self._hold:
            await self._life.wait_for_event()

    # ---- what a drain asks of a stream; from any thread ----

    def silent_since(self) -> float:
        """Give the time of the last event, or of the stream's beginning."""
        return self._life.silent_since()

    def drain_begins(self, grace: float) -> None:
        """Note that a drain of `grace` seconds begins: `drain` follows."""
        self._tell(self._life.drain_begins, grace)

    def drain_is_cancelled(self) -> None:
        """Note that the drain does not end the stream any more, if it has not."""
        self._tell(self._life.drain_is_cancelled)

    def drain(self, retry_ms: int | None) -> None:
        """End the stream now, but whole."""
        self._tell(self._life.drain, retry_ms)

    def interrupt(self, kind: OutcomeKind) -> None:
        """End the stream at once."""
        self._tell(self._life.interrupt, kind)

    def _tell(self, call: Callable[..., None], *arguments: Any) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is over, and so is the stream
                self._loop.call_soon_threadsafe(call, *arguments)

    def close(self) -> None:
        """Close the source, where the iterator was never begun."""
        if not self._begun:
            self._runner.run(self._life.close())

    def release(self) -> None:
        """Drop the failure, whose frames refer to this object: the outcome was told."""
        self._life.release()
        self._outcome = None

    @property
    def outcome(self) -> Outcome:
        """How the stream ended, once its iterator ended or was closed."""
        return self._outcome or self._life.outcome
