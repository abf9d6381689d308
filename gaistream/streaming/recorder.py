"""A source whose items are kept in a log: `Recorder` takes them, `KeptProducer` reads it.

The producer is the one of `on_disconnect="continue"`. One task appends what has come whenever the
last batch was acknowledged, and renews the lease; another waits for a stop. Guarantees: items are
kept in order, and the generation ends with the source, with its error if it failed. If the log
cannot be used for as long as the lease lasts, or another producer took over, the source is closed.
"""

from __future__ import annotations

from typing import Any, Final

from .._log import log as logger
from ..core import estimate_size
from ..dialects.base import error_event
from ..errors import Fenced, FrameError, LogError, StreamError
from ..events import Done, Error
from ..loops.protocols import EventLoop, Task
from ..loops.sources import source_name
from ..loops.waiting import Waiter
from ..replay import End as LogEnd
from ..replay import EventLog, Record
from ..replay.log import EndKind
from .collector import Collector
from .outcome import OutcomeKind, log_failure
from .phases import ENDED, OPEN
from .producer import Producer
from .receiver import MOST_AHEAD, Receiver, interrupted
from .records import Encode, End, encode_json, to_record

_RENEWALS: Final = 3  # of a lease, while it lasts
_FIRST_DELAY: Final = 0.05  # seconds before an append is repeated; then twice as many, and so on
_LONGEST_DELAY: Final = 1.0


class Recorder(Receiver):
    """Takes the items of a producer, for the message and as records for its log.

    Args:
        collector: of the message; None: the items are no events.
        most_bytes: bytes that may come without the request that began the stream.
        takes_none: True if None is an item.
        encode: encodes payloads as JSON.
    """

    __slots__ = ("_encode", "_records", "_takes_none", "_waiter")

    def __init__(
        self,
        collector: Collector | None,
        most_bytes: int,
        takes_none: bool,
        encode: Encode = encode_json,
    ) -> None:
        super().__init__(collector, most_bytes)
        self._takes_none = takes_none
        self._encode = encode
        self._records: list[Record] = []
        self._waiter: Waiter | None = None  # of the task that appends

    def accept(self, item: Any) -> bool:
        if self.closed:
            return True
        if self._take is not None:
            item = self._take(item)
        if item is None and not self._takes_none:  # no event
            return self._turn_is_over()
        record = to_record(item, self._encode, has_events=self._take is not None)
        if self._take is not None:
            kind = type(item)
            self.failed, self.ended = kind is Error, kind is Done
        self.events += 1
        self.last = self._loop.time()
        self._records.append(record)
        self._ahead += len(record.data)
        self._wake()
        if not self.attached:
            self._left -= estimate_size(item, self._left + 1)
            self.over = self._left < 0
            self.ended = self.ended or self.over
        return self.ended or self._ahead >= MOST_AHEAD or self._turn_is_over()

    def wait_for_room(self) -> Any:
        """Return a future for when the log has the items; None if there is room."""
        if self.closed or self._ahead < MOST_AHEAD:
            return None
        self._room = self._loop.create_future()
        return self._room

    def end(self, failure: BaseException | None) -> None:
        self.failed = self.failed or failure is not None

    def close(self, kind: object = None) -> None:  # noqa: ARG002
        super().close()
        self._wake()

    def detach(self) -> None:
        self.attached = False

    def take(self) -> list[Record]:
        """Return the records that came since the last call."""
        records, self._records = self._records, []
        return records

    def appended(self) -> None:
        """Note that all records that were taken are kept, so the source may go on."""
        self._ahead = sum(len(record.data) for record in self._records)
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    async def wait(self, timeout: float) -> None:
        """Wait for a record or the end, at most so many seconds."""
        self._waiter = Waiter()
        try:
            await self._waiter.wait(timeout)
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None:
            self._waiter.wake()


class KeptProducer(Producer):
    """A source that is read in its own task, into a log. Belongs to one event loop.

    Args:
        log: the log.
        stream: id of the stream.
        epoch: of the generation that was begun for this source.
        lease: of the generation.
        source, recorder, seconds, bytes, cleanup_timeout, source_timeout: see Producer. The limits
            begin when the request that began the stream has ended.
        is_stopped: True if the generation was stopped already, and the source is not to be read.
    """

    __slots__ = (
        "_appender", "_end_kind", "_is_stopped", "_lease", "_log", "_stopper", "epoch", "stream",
    )  # fmt: skip

    _receiver: Recorder

    def __init__(
        self,
        log: EventLog,
        stream: str,
        epoch: int,
        lease: float,
        source: Any,
        recorder: Recorder,
        collector: Collector | None,
        *,
        is_stopped: bool = False,
        **limits: Any,
    ) -> None:
        super().__init__(source, collector, receiver=recorder, **limits)
        self._log = log
        self.stream = stream
        self.epoch = epoch
        self._lease = lease
        self._is_stopped = is_stopped
        self._end_kind: EndKind | None = None
        self._appender: Task | None = None
        self._stopper: Task | None = None

    async def start(self) -> None:
        """Read the source until it first suspends, or ends; have its items appended."""
        self.answerable = True
        try:
            if self._is_stopped:
                self._open()
                self.stop()
            else:
                await super().start()
        finally:
            self.answerable = False
            loop = self._loop
            self._appender = loop.create_task(self._append_all(loop), name="gaistream log")
            self.close_after(self._appender, "the log of a stream")
            if self._phase is OPEN:
                assert self._streams is not None
                self._streams.enter(self)
                self._stopper = loop.create_task(self._wait_for_stop(), name="gaistream stop")
                if self._source_timeout is not None:
                    assert self._clock is not None
                    self._clock.call(self, self._delay(loop.time()))

    def stop(self) -> None:
        """End the source, because it was stopped."""
        if self._phase is OPEN:
            self._end_kind = "stopped"
            self.failure = StreamError("the answer was stopped", code="stopped")
            self._end("failed")
            self._stop_source()

    def goes_on_after(self, kind: OutcomeKind) -> bool:  # noqa: ARG002
        return self._phase is OPEN and self._task is not None

    async def close(self, kind: OutcomeKind) -> None:
        try:
            await super().close(kind)
        finally:
            if self._stopper is not None:
                self._stopper.cancel()
                await self._loop.ended(self._stopper)
            if self._appender is None:  # it was not started
                await self._close_log("cancelled", "")

    def log_failure(self, failure: BaseException) -> None:
        log_failure(failure, source_name(self._source), self.route)

    def _interrupt(self, reason: str) -> None:
        self._end_kind = self._end_kind or "drained"
        super()._interrupt(reason)

    def _cut(self, kind: OutcomeKind) -> None:
        self._end_kind = self._end_kind or "cancelled"
        super()._cut(kind)

    # ---- the tasks beside the source's ----

    async def _wait_for_stop(self) -> None:
        try:
            if await self._log.wait_for_stop(self.stream, self.epoch):
                self.stop()
        except LogError as error:  # the next append says the same
            logger.warning("a stop of the stream may be missed: %s", error)

    async def _append_all(self, loop: EventLoop) -> None:
        """Append what comes, in batches, then the end."""
        recorder, seq = self._receiver, 1
        last = loop.time()
        try:
            while not recorder.closed:
                batch = recorder.take()
                if not batch:
                    await recorder.wait(last + self._lease / _RENEWALS - loop.time())
                    if not recorder._records and loop.time() < last + self._lease / _RENEWALS:
                        continue
                    batch = recorder.take()
                if await self._append(loop, seq, batch, last):
                    self.stop()
                seq += len(batch)
                last = loop.time()
                recorder.appended()
            batch = recorder.take()
            error = None if self.failure is None else error_event(self.failure)
            await self._append(loop, seq, [*batch, to_record(End(error))], last)
            await self._close_log(self._kind_of_end(), "" if error is None else error.message)
        except (LogError, Fenced, FrameError) as error:
            self._log_is_lost(error)

    def _kind_of_end(self) -> EndKind:
        failed = self.failure is not None or self._receiver.failed
        return self._end_kind or ("failed" if failed else "completed")

    async def _append(self, loop: EventLoop, seq: int, batch: list[Record], last: float) -> bool:
        """Append a batch; repeat it while the log cannot be used and the lease lasts."""
        delay = _FIRST_DELAY
        while True:
            try:
                return await self._log.append(self.stream, self.epoch, seq, batch)
            except LogError as error:
                if error.reason == "closed" or loop.time() + delay > last + self._lease:
                    raise
                logger.warning("the log of a stream is tried again: %s", error)
            await loop.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY)

    async def _close_log(self, kind: EndKind, message: str) -> None:
        try:
            await self._log.close(self.stream, self.epoch, LogEnd(kind, message))
        except (LogError, Fenced) as error:
            logger.warning("the end of a stream could not be kept: %s", error)

    def _log_is_lost(self, error: Exception) -> None:
        """End the source, whose items cannot be kept any more."""
        if self._phase is OPEN or (self._phase is not ENDED and not isinstance(error, Fenced)):
            logger.error("a stream's source is closed, for its log cannot keep it: %s", error)
        if self._phase is OPEN:
            self.failure = interrupted("it could not be kept")
            self._end("failed")
            self._stop_source()
