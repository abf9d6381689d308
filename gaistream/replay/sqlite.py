"""Streams kept in a file, by several processes of one machine: `SQLiteLog`.

All work on the file is done by one thread for each log and process, never on an event loop. It
takes every pending call and commits their writes as one transaction, so many producers share the
cost of a commit; a call returns after the commit. Followers in the same process are woken by the
commit. For those of other processes the thread asks SQLite each millisecond whether the file has
changed, while there are waits, and every 4 ms once it has not for a second. The thread starts with
the first call. It ends when the log is closed, and after ten seconds without calls and waits.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import FrameError, FrameTypeError
from ..loops.waiting import Waiter
from .log import (
    LEASE,
    PAGE_RECORDS,
    RECORD_OVERHEAD,
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
)
from .sqlite_store import Bounds, Store
from .sqlite_thread import Job, StoreThread


class SQLiteLog(EventLog):
    """A log in a file, for all processes of one machine. It may be created before a fork.

    What was acknowledged survives the end of any process, by SIGKILL too. After a power loss the
    newest records may be missing unless `durable` is set; the file is never corrupt.

    Args:
        path: of the file, on a local disk; `-wal` and `-shm` files appear beside it.
        max_events: records that a stream keeps; the oldest are trimmed, in batches.
        max_bytes: bytes that a stream keeps, with 160 bytes a record beside its texts.
        max_age: seconds that a stream is kept after its last change, once it has ended.
        durable: True to have each commit wait for the disk (`synchronous=FULL`).
        lock_timeout: seconds to wait for another process that writes.

    Raises:
        FrameError: a bound is not positive, or the path is no file's.
        LogError: (by every call) the file cannot be used: `reason` says why.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_events: int = 1_000_000,
        max_bytes: int = 64 * 2**20,
        max_age: float = 86_400.0,
        durable: bool = False,
        lock_timeout: float = 5.0,
    ) -> None:
        name = os.fspath(path)
        if not isinstance(name, str):
            raise FrameTypeError(f"path must be str or a path, not {type(name).__name__}")
        if name in ("", ":memory:") or "\0" in name:
            raise FrameError(f"path must name a file, not {name!r}; MemoryLog needs none")
        bounds = Bounds(
            checked_limit(max_events, 1, "max_events"),
            checked_limit(max_bytes, RECORD_OVERHEAD, "max_bytes"),
            checked_seconds("max_age", max_age),
        )
        lock_timeout = checked_seconds("lock_timeout", lock_timeout)
        self._max_bytes = max_bytes
        self._thread = StoreThread(
            str(Path(name).absolute()), bounds, durable=durable, lock_timeout=lock_timeout
        )

    async def begin(self, stream: str, *, lease: float = LEASE, replace: bool = False) -> int:
        checked_stream(stream)
        lease = checked_seconds("lease", lease)
        return int(await self._write(Store.begin, stream, lease, replace))

    async def append(
        self, stream: str, epoch: int, first_seq: int, records: Sequence[Record]
    ) -> bool:
        sizes = checked_sizes(records, self._max_bytes)
        return bool(await self._write(Store.append, stream, epoch, first_seq, records, sizes))

    async def close(self, stream: str, epoch: int, end: End) -> None:
        await self._write(Store.close, stream, epoch, checked_end(end))

    async def stop(self, stream: str, epoch: int | None = None) -> StopResult:
        checked_stream(stream)
        result: StopResult = await self._write(Store.stop, stream, epoch)
        return result

    async def wait_for_stop(self, stream: str, epoch: int, timeout: float | None = None) -> bool:
        ends_at = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._thread.waiting(stream, stops=True) as waiter:
                if await self._read(Store.is_over, stream, epoch):
                    return True
                left = None if ends_at is None else ends_at - time.monotonic()
                if not await waiter.wait(left):
                    return False

    async def read(
        self, stream: str, after: Position | str | None = None, limit: int = PAGE_RECORDS
    ) -> Page:
        page: Page = await self._read(Store.read, stream, after, checked_limit(limit))
        return page

    async def wait(self, stream: str, page: Page, timeout: float | None = None) -> bool:
        with self._thread.waiting(stream) as waiter:
            if await self._read(Store.version_of, stream) != page.version:
                return True
            return await waiter.wait(timeout)

    async def expire(self, stream: str | None = None) -> int:
        count = dropped = int(await self._write(Store.expire, stream))
        while stream is None and count:
            count = await self._write(Store.expire, None)
            dropped += count
        return dropped

    async def aclose(self) -> None:
        waiter = Waiter()
        thread = self._thread.close(waiter)
        await waiter.wait()
        if thread is not None:
            thread.join()

    async def _write(self, call: Any, *arguments: Any) -> Any:
        return await self._run(Job(call, arguments, True))

    async def _read(self, call: Any, *arguments: Any) -> Any:
        return await self._run(Job(call, arguments, False))

    async def _run(self, job: Job) -> Any:
        self._thread.submit(job)
        await job.waiter.wait()
        if job.error is not None:
            raise job.error
        return job.result
