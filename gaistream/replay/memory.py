"""Streams kept in the memory of one process: `MemoryLog`.

A stream is a list of records whose head moves when the oldest ones are trimmed, so an append and a
page cost what they hold, whatever the length of the stream. Guarantees: no stream exceeds its
bounds of records and bytes, all streams together do not exceed theirs, and no task, thread or timer
is needed. Thread-safe.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from ..errors import Fenced, LogError, StreamInUse
from ..loops.waiting import Waiter
from .log import (
    LEASE,
    PAGE_BYTES,
    PAGE_RECORDS,
    RECORD_OVERHEAD,
    STOP_SECONDS,
    End,
    EventLog,
    Page,
    Position,
    Record,
    StopResult,
    checked_end,
    checked_limit,
    checked_seconds,
    checked_sizes,
    checked_stream,
    new_records,
    next_epoch,
    resume,
)

_MOST_STOPS: Final = 10_000  # that wait for their stream
_EXPIRED: Final = Page("expired", "", 0, 1, (), 1, 0, None, False, None, 0)
_LOST: Final = End("producer_lost")


class _Kept:
    """One generation of a stream."""

    __slots__ = (
        "bytes", "changed", "end", "epoch", "first", "head", "lease", "lease_ends",
        "records", "sizes", "stopping", "version",
    )  # fmt: skip

    def __init__(self, epoch: int, lease: float, now: float, version: int) -> None:
        self.epoch = epoch
        self.lease = lease
        self.lease_ends = now + lease
        self.changed = now
        self.version = version
        self.records: list[Any] = []
        self.sizes: list[int] = []
        self.head = 0  # index of the oldest record that is kept
        self.first = 1  # seq of the record at index 0
        self.bytes = 0
        self.stopping = False
        self.end: End | None = None

    @property
    def newest(self) -> int:
        return self.first + len(self.records) - 1

    def trim(self, most_records: int, most_bytes: int) -> None:
        """Drop the oldest records beyond the bounds."""
        records, sizes, head = self.records, self.sizes, self.head
        while len(records) - head > most_records or self.bytes > most_bytes:
            self.bytes -= sizes[head]
            records[head] = None
            head += 1
        self.head = head
        if head > 64 and head * 2 > len(records):
            del records[:head], sizes[:head]
            self.first += head
            self.head = 0


class MemoryLog(EventLog):
    """A log in the memory of this process, for one worker.

    Args:
        max_events: records that a stream keeps; the oldest are trimmed.
        max_bytes: bytes that a stream keeps, with 160 bytes a record beside its texts.
        max_age: seconds that a stream is kept after its last change, once it has ended.
        max_streams: streams that are kept; the one that was changed longest ago is dropped.
        max_total_bytes: bytes of all streams together; dropped in the same order.

    Raises:
        FrameError: a bound is not positive.
    """

    def __init__(
        self,
        *,
        max_events: int = 100_000,
        max_bytes: int = 16 * 2**20,
        max_age: float = 3600.0,
        max_streams: int = 10_000,
        max_total_bytes: int = 256 * 2**20,
    ) -> None:
        self._max_events = checked_limit(max_events, 1, "max_events")
        self._max_bytes = checked_limit(max_bytes, RECORD_OVERHEAD, "max_bytes")
        self._max_age = checked_seconds("max_age", max_age)
        self._max_streams = checked_limit(max_streams, 1, "max_streams")
        self._max_total = checked_limit(max_total_bytes, self._max_bytes, "max_total_bytes")
        self._lock = threading.Lock()
        self._streams: OrderedDict[str, _Kept] = OrderedDict()  # the last changed one last
        self._stops: OrderedDict[str, float] = OrderedDict()  # until when each waits
        self._waiters: dict[str, set[Waiter]] = {}
        self._stop_waiters: dict[str, set[Waiter]] = {}
        self._bytes = 0
        self._last_epoch = 0  # of the streams that were dropped
        self._version = 0
        self._closed = False

    async def begin(self, stream: str, *, lease: float = LEASE, replace: bool = False) -> int:
        checked_stream(stream)
        checked_seconds("lease", lease)
        now = time.monotonic()
        with self._lock:
            self._check_open()
            before = self._streams.get(stream)
            if before is not None:
                if not replace and before.end is None and before.lease_ends > now:
                    raise StreamInUse(f"the stream {stream!r} has a producer that is alive")
                self._drop(stream)
            self._drop_old(now)
            epoch = next_epoch(before.epoch if before is not None else self._last_epoch)
            self._version += 1
            kept = self._streams[stream] = _Kept(epoch, lease, now, self._version)
            kept.stopping = self._stops.pop(stream, 0.0) > now
            if len(self._streams) > self._max_streams:
                self._drop(next(iter(self._streams)))
            self._wake(stream)
        return epoch

    async def append(
        self, stream: str, epoch: int, first_seq: int, records: Sequence[Record]
    ) -> bool:
        sizes = checked_sizes(records, self._max_bytes)
        now = time.monotonic()
        with self._lock:
            kept = self._streams.get(stream)
            if kept is None or kept.epoch != epoch or kept.end or kept.lease_ends <= now:
                kept = self._alive(stream, epoch, now)  # which raises
            kept.lease_ends = now + kept.lease
            kept.changed = now
            self._streams.move_to_end(stream)
            stored = kept.records
            newest = kept.first + len(stored) - 1
            if first_seq != newest + 1:
                records = new_records(first_seq, newest, records)
                sizes = sizes[len(sizes) - len(records) :]
            if records:
                size = sum(sizes)
                stored += records
                kept.sizes += sizes
                kept.bytes += size
                before = kept.bytes
                if before > self._max_bytes or len(stored) - kept.head > self._max_events:
                    kept.trim(self._max_events, self._max_bytes)
                    size += kept.bytes - before
                self._bytes += size
                self._version = kept.version = self._version + 1
                if stream in self._waiters:
                    self._wake(stream)
                while self._bytes > self._max_total:
                    self._drop(next(iter(self._streams)))
            return kept.stopping

    async def close(self, stream: str, epoch: int, end: End) -> None:
        checked_end(end)
        now = time.monotonic()
        with self._lock:
            self._check_open()
            kept = self._streams.get(stream)
            if kept is not None and kept.epoch == epoch and kept.end not in (None, _LOST):
                return
            self._end(stream, self._alive(stream, epoch, now), end, now)

    async def stop(self, stream: str, epoch: int | None = None) -> StopResult:
        checked_stream(stream)
        now = time.monotonic()
        with self._lock:
            self._check_open()
            kept = self._current(stream, now)
            if epoch is None and (kept is None or kept.end is not None):
                self._stops[stream] = now + STOP_SECONDS
                self._stops.move_to_end(stream)
                while len(self._stops) > _MOST_STOPS or next(iter(self._stops.values())) < now:
                    self._stops.popitem(last=False)
                return "pending"
            if kept is None or (epoch is not None and epoch > kept.epoch):
                return "unknown"
            if kept.end is not None or epoch not in (None, kept.epoch):
                return "ended"
            kept.stopping = True
            self._changed(stream, kept, now)
            self._wake_stopped(stream)
            return "stopping"

    async def wait_for_stop(self, stream: str, epoch: int, timeout: float | None = None) -> bool:
        with self._lock:
            self._check_open()
            kept = self._current(stream, time.monotonic())
            if kept is None or kept.epoch != epoch or kept.end is not None or kept.stopping:
                return True
            waiter = _register(self._stop_waiters, stream)
        return await self._woken(self._stop_waiters, stream, waiter, timeout)

    async def read(
        self, stream: str, after: Position | str | None = None, limit: int = PAGE_RECORDS
    ) -> Page:
        checked_limit(limit)
        now = time.monotonic()
        with self._lock:
            self._check_open()
            kept = self._current(stream, now)
            if kept is None:
                return _EXPIRED
            newest = kept.newest
            oldest = kept.first + kept.head
            ended = kept.end is not None
            outcome, reason, seq = resume(after, kept.epoch, oldest, newest, ended)
            start = seq - kept.first
            count = _count(kept.sizes, start, limit)
            return Page(
                outcome,
                reason,
                kept.epoch,
                seq,
                kept.records[start : start + count],
                oldest,
                newest,
                kept.end if seq + count > newest else None,
                kept.stopping,
                None if ended else kept.lease_ends - now,
                kept.version,
            )

    async def wait(self, stream: str, page: Page, timeout: float | None = None) -> bool:
        with self._lock:
            self._check_open()
            kept = self._streams.get(stream)
            if (kept.version if kept is not None else 0) != page.version:
                return True
            waiter = _register(self._waiters, stream)
        return await self._woken(self._waiters, stream, waiter, timeout)

    async def expire(self, stream: str | None = None) -> int:
        with self._lock:
            self._check_open()
            if stream is None:
                return self._drop_old(time.monotonic())
            if stream not in self._streams:
                return 0
            self._drop(stream)
            return 1

    async def aclose(self) -> None:
        with self._lock:
            self._closed = True
            for name in list(self._waiters):
                self._wake(name)
            for name in list(self._stop_waiters):
                self._wake_stopped(name)
            self._streams.clear()
            self._stops.clear()
            self._bytes = 0

    # ---- with the lock ----

    def _check_open(self) -> None:
        if self._closed:
            raise LogError("the log is closed", "closed")

    def _current(self, stream: str, now: float) -> _Kept | None:
        """Return a stream, once it was ended if its producer is lost, and dropped if it is old."""
        kept = self._streams.get(stream)
        if kept is not None and kept.end is None and kept.lease_ends <= now:
            self._end(stream, kept, _LOST, kept.lease_ends)
        if kept is not None and kept.end is not None and kept.changed + self._max_age <= now:
            self._drop(stream)
            return None
        return kept

    def _alive(self, stream: str, epoch: int, now: float) -> _Kept:
        self._check_open()
        kept = self._streams.get(stream)
        if kept is None or kept.epoch != epoch:
            reason = "has expired" if kept is None else f"was begun anew as {kept.epoch}"
            raise Fenced(f"the stream {stream!r} of {epoch} {reason}")
        if kept.end is None and kept.lease_ends <= now:
            self._end(stream, kept, _LOST, now)
        if kept.end is not None:
            raise Fenced(f"the stream {stream!r} of {epoch} has ended: {kept.end.kind}")
        return kept

    def _end(self, stream: str, kept: _Kept, end: End, now: float) -> None:
        kept.end = end
        self._changed(stream, kept, now)
        self._wake_stopped(stream)

    def _changed(self, stream: str, kept: _Kept, now: float) -> None:
        self._version += 1
        kept.version = self._version
        kept.changed = now
        self._streams.move_to_end(stream)
        if stream in self._waiters:
            self._wake(stream)

    def _drop(self, stream: str) -> None:
        kept = self._streams.pop(stream)
        self._bytes -= kept.bytes
        self._last_epoch = max(self._last_epoch, kept.epoch)
        self._wake(stream)
        self._wake_stopped(stream)

    def _drop_old(self, now: float) -> int:
        """Drop the streams that are old enough, from the one changed longest ago."""
        dropped = 0
        for stream in list(self._oldest(now)):
            dropped += self._current(stream, now) is None
        return dropped

    def _oldest(self, now: float) -> Iterator[str]:
        for stream, kept in self._streams.items():
            if kept.changed + self._max_age > now:
                return
            yield stream

    def _wake(self, stream: str) -> None:
        for waiter in self._waiters.pop(stream, ()):
            waiter.wake()

    def _wake_stopped(self, stream: str) -> None:
        for waiter in self._stop_waiters.pop(stream, ()):
            waiter.wake()

    # ---- without the lock ----

    async def _woken(
        self, table: dict[str, set[Waiter]], stream: str, waiter: Waiter, timeout: float | None
    ) -> bool:
        try:
            return await waiter.wait(timeout)
        finally:
            with self._lock:
                waiting = table.get(stream)
                if waiting is not None:
                    waiting.discard(waiter)
                    if not waiting:
                        del table[stream]


def _register(table: dict[str, set[Waiter]], stream: str) -> Waiter:
    waiter = Waiter()
    table.setdefault(stream, set()).add(waiter)
    return waiter


def _count(sizes: list[int], start: int, limit: int) -> int:
    """Return how many records a page takes: at most `limit`, and about a mebibyte."""
    wanted = sizes[start : start + limit]
    if sum(wanted) <= PAGE_BYTES:
        return len(wanted)
    size = count = 0
    for each in wanted:
        size += each
        if size > PAGE_BYTES and count:
            break
        count += 1
    return count
