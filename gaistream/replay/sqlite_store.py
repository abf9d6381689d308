"""The file of an `SQLiteLog`, as one thread with one connection sees it.

A stream is a row, and its records are rows of batches, so an append costs two statements. Each call
runs in a transaction of its caller, checks before it writes, and notes the streams that it changed.
A stream that is dropped leaves its batches as garbage, which is deleted in slices.

Leases are counted by the monotonic clock, which all processes of a machine share, and ages by the
wall clock. A lease that ends later than it could is from before a reboot: it has run out.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from ..errors import Fenced, LogError, StreamInUse
from .log import (
    STOP_SECONDS,
    End,
    Page,
    Position,
    Record,
    StopResult,
    new_records,
    next_epoch,
    resume,
)
from .packing import batches, pack, take
from .sqlite_file import open_file

_SLICE: Final = 200  # batches, or streams, that one transaction drops


class Bounds(NamedTuple):
    """What a stream keeps, and for how long."""

    events: int
    bytes: int
    age: float


class NeedsWrite(Exception):
    """A read has found a stream that must be ended or dropped first."""


class _Row(NamedTuple):
    id: int
    epoch: int
    oldest: int
    newest: int
    bytes: int
    lease: float
    lease_ends: float
    changed: float
    stopping: int
    end_kind: Any
    end_message: str
    version: int

    @property
    def end(self) -> End | None:
        return End(self.end_kind, self.end_message) if self.end_kind is not None else None

    def lease_left(self) -> float:
        """Return the seconds that the producer has left, at most 0 if it is lost."""
        left = self.lease_ends - time.monotonic()
        return left if left <= self.lease + 1 else 0.0  # 1: for rounding


_SELECT: Final = f"SELECT {', '.join(_Row._fields)} FROM streams WHERE name = ?"  # noqa: S608


class Store:
    """An open file. Belongs to one thread.

    Attributes:
        changed: streams with new records, since the caller has cleared it.
        ended: streams whose producer has something to notice.
        connection: of SQLite, in autocommit mode.
    """

    def __init__(self, path: str, bounds: Bounds, *, durable: bool, lock_timeout: float) -> None:
        self._path = path
        self._bounds = bounds
        self.changed: set[str] = set()
        self.ended: set[str] = set()
        self.version = 0  # of the running transaction
        self.connection = open_file(path, durable=durable, lock_timeout=lock_timeout)

    # ---- in a transaction that writes ----

    def start_writing(self) -> None:
        """Count the version of a transaction, which has begun."""
        [[self.version]] = self.connection.execute(
            "UPDATE meta SET version = version + 1 RETURNING version"
        )

    def begin(self, name: str, lease: float, replace: bool) -> int:
        execute = self.connection.execute
        row = self._row(name)
        if row is None:
            [last] = execute("SELECT last_epoch FROM meta").fetchone()
        else:
            if not replace and row.end_kind is None and row.lease_left() > 0:
                raise StreamInUse(f"the stream {name!r} has a producer that is alive")
            last = row.epoch
            self._drop(name, row, counts=False)
        now = time.time()
        [stops] = execute(
            "SELECT count(*) FROM stops WHERE name = ? AND until > ?", (name, now)
        ).fetchone()
        if stops:
            execute("DELETE FROM stops WHERE name = ? OR until <= ?", (name, now))
        epoch = next_epoch(last)
        execute(
            "INSERT INTO streams VALUES (NULL, ?, ?, 1, 0, 0, ?, ?, ?, ?, NULL, NULL, ?)",
            (name, epoch, lease, time.monotonic() + lease, now, stops, self.version),
        )
        self.changed.add(name)
        return epoch

    def append(
        self, name: str, epoch: int, first_seq: int, records: Sequence[Record], sizes: list[int]
    ) -> bool:
        row = self._alive(name, epoch)
        oldest, newest, total = row.oldest, row.newest, row.bytes
        new = new_records(first_seq, newest, records)
        if new:
            for batch, size in batches(
                new, sizes[len(records) - len(new) :], self._bounds.events, self._bounds.bytes
            ):
                self.connection.execute(
                    "INSERT INTO batches VALUES (?, ?, ?, ?, ?)",
                    (row.id, newest + 1, len(batch), size, pack(batch)),
                )
                newest += len(batch)
                total += size
            if total > self._bounds.bytes or newest - oldest >= self._bounds.events:
                oldest, total = self._trim(row.id, oldest, newest, total)
            self.changed.add(name)
        self.connection.execute(
            "UPDATE streams SET oldest = ?, newest = ?, bytes = ?, lease_ends = ?, changed = ?, "
            "version = ? WHERE id = ?",
            (
                oldest,
                newest,
                total,
                time.monotonic() + row.lease,
                time.time(),
                self.version,
                row.id,
            ),
        )
        return bool(row.stopping)

    def close(self, name: str, epoch: int, end: End) -> None:
        row = self._row(name)
        known = row is not None and row.epoch == epoch and row.end_kind
        if not known or known == "producer_lost":
            self._end(name, self._alive(name, epoch), end)

    def stop(self, name: str, epoch: int | None) -> StopResult:
        row = self._current(name, writes=True)
        if epoch is None and (row is None or row.end_kind is not None):
            self.connection.execute(
                "REPLACE INTO stops VALUES (?, ?)", (name, time.time() + STOP_SECONDS)
            )
            return "pending"
        if row is None or (epoch is not None and epoch > row.epoch):
            return "unknown"
        if row.end_kind is not None or epoch not in (None, row.epoch):
            return "ended"
        self.connection.execute(
            "UPDATE streams SET stopping = 1, version = ? WHERE id = ?", (self.version, row.id)
        )
        self.changed.add(name)
        self.ended.add(name)
        return "stopping"

    def expire(self, name: str | None) -> int:
        """Drop a stream, or a slice of those that are old. Return how many were dropped."""
        if name is not None:
            row = self._row(name)
            if row is not None:
                self._drop(name, row)
            return int(row is not None)
        self.connection.execute("DELETE FROM stops WHERE until <= ?", (time.time(),))
        names = self.connection.execute(
            "SELECT name FROM streams WHERE (end_kind IS NOT NULL AND changed <= ?1) OR (end_kind "
            "IS NULL AND (lease_ends <= ?2 OR lease_ends > ?2 + lease + 1)) LIMIT ?3",
            (time.time() - self._bounds.age, time.monotonic(), _SLICE),
        ).fetchall()
        return sum(self._current(each, writes=True) is None for [each] in names)

    def clean(self) -> bool:
        """Delete a slice of garbage. Return True if there is more."""
        execute = self.connection.execute
        found = execute("SELECT stream FROM garbage LIMIT 1").fetchone()
        if found is None:
            return False
        deleted = execute(
            "DELETE FROM batches WHERE stream = ?1 AND first IN "
            "(SELECT first FROM batches WHERE stream = ?1 ORDER BY first LIMIT ?2)",
            (found[0], _SLICE),
        ).rowcount
        if deleted < _SLICE:
            execute("DELETE FROM garbage WHERE stream = ?", found)
        return True

    # ---- in any transaction ----

    def read(self, name: str, after: Position | str | None, limit: int, *, writes: bool) -> Page:
        row = self._current(name, writes=writes)
        if row is None:
            return Page("expired", "", 0, 1, (), 1, 0, None, False, None, 0)
        end = row.end
        outcome, reason, seq = resume(after, row.epoch, row.oldest, row.newest, end is not None)
        records = self._records(row.id, seq, limit) if seq <= row.newest else []
        whole = seq + len(records) > row.newest
        return Page(
            outcome,
            reason,
            row.epoch,
            seq,
            records,
            row.oldest,
            row.newest,
            end if whole else None,
            bool(row.stopping),
            row.lease_left() if end is None else None,
            row.version,
        )

    def version_of(self, name: str) -> int:
        row = self._row(name)
        return row.version if row is not None else 0

    def is_over(self, name: str, epoch: int) -> bool:
        """Return True if the producer of a generation has to stop."""
        row = self._row(name)
        return row is None or row.epoch != epoch or bool(row.end_kind or row.stopping)

    # ---- helpers ----

    def _row(self, name: str) -> _Row | None:
        found = self.connection.execute(_SELECT, (name,)).fetchone()
        return found and _Row._make(found)

    def _current(self, name: str, *, writes: bool) -> _Row | None:
        """Return a stream, once it was ended if its producer is lost, and dropped if it is old."""
        row = self._row(name)
        if row is None:
            return None
        if row.end_kind is None and row.lease_left() <= 0:
            if not writes:
                raise NeedsWrite
            self._end(name, row, End("producer_lost"))
            row = self._row(name)
            assert row is not None
        if row.end_kind is not None and row.changed + self._bounds.age <= time.time():
            if not writes:
                raise NeedsWrite
            self._drop(name, row)
            return None
        return row

    def _alive(self, name: str, epoch: int) -> _Row:
        row = self._row(name)
        if row is None or row.epoch != epoch:
            reason = "has expired" if row is None else f"was begun anew as {row.epoch}"
            raise Fenced(f"the stream {name!r} of {epoch} {reason}")
        if row.end_kind is None and row.lease_left() <= 0:
            self._end(name, row, End("producer_lost"))
            raise Fenced(f"the stream {name!r} of {epoch} has ended: producer_lost")
        if row.end_kind is not None:
            raise Fenced(f"the stream {name!r} of {epoch} has ended: {row.end_kind}")
        return row

    def _end(self, name: str, row: _Row, end: End) -> None:
        self.connection.execute(
            "UPDATE streams SET end_kind = ?, end_message = ?, changed = ?, version = ? "
            "WHERE id = ?",
            (*end, time.time(), self.version, row.id),
        )
        self.changed.add(name)
        self.ended.add(name)

    def _drop(self, name: str, row: _Row, *, counts: bool = True) -> None:
        execute = self.connection.execute
        execute("DELETE FROM streams WHERE id = ?", (row.id,))
        execute("INSERT INTO garbage VALUES (?)", (row.id,))
        if counts:
            execute(
                "UPDATE meta SET drops = drops + 1, last_epoch = max(last_epoch, ?)", (row.epoch,)
            )
        self.changed.add(name)
        self.ended.add(name)

    def _trim(self, id: int, oldest: int, newest: int, total: int) -> tuple[int, int]:
        """Delete the oldest batches beyond the bounds. Return the oldest record, and the bytes."""
        kept = self.connection.execute(
            "SELECT count, size FROM batches WHERE stream = ? ORDER BY first", (id,)
        )
        for count, size in kept:
            if total <= self._bounds.bytes and newest - oldest < self._bounds.events:
                break
            oldest += count
            total -= size
        kept.close()
        self.connection.execute("DELETE FROM batches WHERE stream = ? AND first < ?", (id, oldest))
        return oldest, total

    def _records(self, id: int, seq: int, limit: int) -> list[Record]:
        found = self.connection.execute(
            "SELECT first, size, records FROM batches WHERE stream = ?1 AND first >= "
            "(SELECT max(first) FROM batches WHERE stream = ?1 AND first <= ?2) ORDER BY first",
            (id, seq),
        )
        try:
            return take(found, seq, limit)
        except ValueError as error:
            raise LogError(f"the log {self._path}: {error}", "corrupt") from None
