"""The life of a stream in a thread that may block: for sync sources, and for WSGI.

`BlockingStream` runs a sync source in the caller's own thread: a chunk an item, no heartbeats.
`LoopStream` runs the engine on an event loop of its own in the caller's thread, for async sources
and for sync ones that are to have heartbeats and coalescing. Both give their bytes as an
iterator and close the source in every outcome.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from .engine import Outcome, OutcomeKind, Stream, write_end, write_prelude
from .greenlets import Runner
from .sources import check_iterable, close_blocking


class BlockingStream:
    """A sync source in the caller's thread. Belongs to one thread.

    Attributes:
        failure: what the source raised, or None.
    """

    def __init__(self, source: Any, encoder: Any) -> None:
        check_iterable(source)
        self._owner = source
        self._source: Iterator[Any] = iter(source)
        self._frames = encoder
        self._events = 0
        self._bytes = 0
        self._kind: OutcomeKind = "cancelled"  # as long as nothing else is known
        self._started = time.monotonic()
        self.failure: BaseException | None = None

    @property
    def failed_unsaid(self) -> bool:
        """Whether the source raised before it yielded anything."""
        return self.failure is not None and not self._events

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes: a chunk for each item, then the end."""
        frames = self._frames
        write_prelude(frames)
        try:
            try:
                for item in self._source:
                    frames.write(item)
                    self._events += 1
                    if frames.ended:
                        break
                    if frames.pending:
                        yield self._take()
            except Exception as error:
                self.failure = error
            finally:
                self.close()
            write_end(frames, self.failure)
            if frames.pending:
                yield self._take()
        except GeneratorExit:
            self._kind = "client_gone"
            raise
        self._kind = "failed" if frames.failed else "completed"

    def _take(self) -> bytes:
        chunk: bytes = self._frames.take()
        self._bytes += len(chunk)
        return chunk

    def close(self) -> None:
        """Close the source, also where the iterator was never begun."""
        source, self._source = self._source, iter(())  # once
        owner, self._owner = self._owner, self._source
        close_blocking(source, owner)

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
        source: an async or sync iterable of what the encoder's dialect takes.
        encoder: an SSEEncoder or NDJSONEncoder, unused so far.
        runner: has the loop, and is closed by who made it, after the stream.
        hold_headers: wait for the first event with the first chunk.
    """

    def __init__(
        self, source: Any, encoder: Any, runner: Runner, *, hold_headers: bool
    ) -> None:
        self._life = Stream(source, encoder)
        self._runner = runner
        self._hold = hold_headers
        self._begun = False
        self._outcome: Outcome | None = None

    @property
    def failure(self) -> BaseException | None:
        """What the source raised, or None."""
        return self._life.failure

    @property
    def failed_unsaid(self) -> bool:
        """Whether the source raised before it yielded anything."""
        return self._life.failed_unsaid

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes: whatever is there whenever the source waits, and heartbeats."""
        self._begun = True
        life, run = self._life, self._runner.run
        try:
            run(self._start())
            while (chunk := run(life.next_chunk())) is not None:
                yield chunk
        except GeneratorExit:
            life.interrupt("client_gone")
            raise
        finally:
            run(life.close())
            self._outcome = life.outcome

    async def _start(self) -> None:
        await self._life.start()
        if self._hold:
            await self._life.wait_for_event()

    def close(self) -> None:
        """Close the source, where the iterator was never begun."""
        if not self._begun:
            self._runner.run(self._life.close())

    @property
    def outcome(self) -> Outcome:
        """How the stream ended, once its iterator ended or was closed."""
        return self._outcome or self._life.outcome
