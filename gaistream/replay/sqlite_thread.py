"""The thread of an `SQLiteLog`: group commits, reads, wake-ups, and the clean-up in slices.

In each turn it commits all pending writes in one transaction, then makes the pending reads in
another, wakes those who follow a stream that has changed, and deletes a slice of garbage if nothing
is pending. An error of SQLite is the LogError of all calls of its transaction, none of which was
acknowledged; the next call opens the file anew.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final
from weakref import WeakSet

from ..errors import LogError
from ..loops.waiting import Waiter, wake_all
from .sqlite_file import log_error
from .sqlite_store import Bounds, NeedsWrite, Store

POLL: Final = 0.001  # seconds between looks, while other processes append
SLOW_POLL: Final = 0.004  # and once they have not for a second
IDLE: Final = 10.0  # seconds without calls and waits after which the thread ends
THREAD_NAME: Final = "gaistream-log"

_Key = tuple[str, bool]  # a stream, and whether only its stop is of interest


class Job:
    """One call of the store, and its result or error once its waiter is woken."""

    __slots__ = ("arguments", "call", "error", "result", "waiter", "writes")

    def __init__(self, call: Callable[..., Any], arguments: tuple[Any, ...], writes: bool) -> None:
        self.call = call
        self.arguments = arguments
        self.writes = writes
        self.waiter = Waiter()
        self.result: Any = None
        self.error: BaseException | None = None


class StoreThread:
    """Runs the calls of one log. Thread-safe.

    It has ended while the process forks, because SQLite's locks do not survive that. Parent and
    child then start it anew.
    """

    def __init__(self, path: str, bounds: Bounds, *, durable: bool, lock_timeout: float) -> None:
        self._path = path
        self._bounds = bounds
        self._durable = durable
        self._lock_timeout = lock_timeout
        self._closed = False
        self.reset()
        _all.add(self)

    def reset(self) -> None:
        """Forget all jobs and waits, as in a forked process."""
        self._forking = False
        self._ready = threading.Condition(threading.Lock())
        self._thread: threading.Thread | None = None
        self._jobs: list[Job] = []
        self._waiters: dict[_Key, set[Waiter]] = {}
        self._closing: list[Waiter] = []
        self._data_version = -1
        self._others_wrote = 0.0  # when that was seen
        self._seen = (0, 0)  # the file's version and number of drops
        self._file: os.stat_result | None = None
        self._expire_at = 0.0

    def submit(self, job: Job) -> None:
        """Run a job, in its turn."""
        with self._ready:
            if self._closed:
                raise LogError(f"the log {self._path} is closed", "closed")
            self._jobs.append(job)
            if self._thread is None:
                self._start()
            elif len(self._jobs) == 1:
                self._ready.notify()

    def _start(self) -> None:
        if self._forking:  # after_fork does it
            return
        self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def waiting(self, stream: str, stops: bool = False) -> Iterator[Waiter]:
        """Return a waiter that the next change of a stream wakes, as long as the block lasts."""
        waiter = Waiter()
        key = stream, stops
        with self._ready:
            self._waiters.setdefault(key, set()).add(waiter)
        try:
            yield waiter
        finally:
            with self._ready:
                waiters = self._waiters.get(key)
                if waiters is not None:
                    waiters.discard(waiter)
                    if not waiters:
                        del self._waiters[key]

    def close(self, waiter: Waiter) -> threading.Thread | None:
        """Refuse further jobs, and wake `waiter` once the pending ones are done.

        Return the thread, which then ends at once.
        """
        with self._ready:
            self._closed = True
            if self._thread is None:
                waiter.wake()
                return None
            self._closing.append(waiter)
            self._ready.notify()
            return self._thread

    def before_fork(self) -> None:
        """End the thread, after the turn in which it is."""
        with self._ready:
            self._forking = True
            thread = self._thread
            self._ready.notify()
        if thread is not None:
            thread.join()

    def after_fork(self) -> None:
        """Go on in the parent."""
        with self._ready:
            self._forking = False
            if self._thread is None and (self._jobs or self._waiters):
                self._start()

    # ---- in the thread ----

    def _run(self) -> None:
        store: Store | None = None
        more = True
        try:
            while True:
                jobs, ends = self._next(wait=not more)
                if ends:
                    break
                store = self._turn(store, jobs)
                more = store is not None and bool(jobs or more) and self._clean(store)
        finally:
            if store is not None:
                store.connection.close()
            self._wake_all()
            with self._ready:
                if self._thread is threading.current_thread():
                    self._thread = None
                closing, self._closing = self._closing, []
            for waiter in closing:
                waiter.wake()

    def _next(self, wait: bool) -> tuple[list[Job], bool]:
        """Return the pending jobs; True if the thread has to end."""
        with self._ready:
            idle_since = time.monotonic()
            while wait and not self._jobs and not self._closed and not self._forking:
                if self._waiters:
                    quiet = time.monotonic() - self._others_wrote > 1.0
                    self._ready.wait(SLOW_POLL if quiet else POLL)
                    break
                if not self._ready.wait(IDLE) and time.monotonic() - idle_since >= IDLE:
                    if self._jobs or self._waiters:
                        continue
                    self._thread = None
                    return [], True
            if self._forking:
                return [], True
            jobs, self._jobs = self._jobs, []
            return jobs, self._closed and not jobs

    def _turn(self, store: Store | None, jobs: list[Job]) -> Store | None:
        """Do what is pending. Return the store, or None if it has to be opened anew."""
        try:
            if store is not None and jobs:
                self._check_file()
            if store is None:
                if not jobs and not self._waiters:
                    return None
                store = self._open()
            again = self._read(store, [job for job in jobs if not job.writes])
            writes = [job for job in jobs if job.writes] + again
            if time.monotonic() >= self._expire_at:
                self._expire_at = time.monotonic() + min(max(self._bounds.age / 10, 1.0), 60.0)
                writes.append(Job(Store.expire, (None,), True))
            if writes:
                self._write(store, writes)
            if self._waiters:
                self._poll(store)
        except (sqlite3.Error, LogError) as error:
            failure = error if isinstance(error, LogError) else log_error(error, self._path)
            self._fail(jobs, failure)
            if store is not None and failure.reason not in ("locked", "full"):
                store.connection.close()
                store = None
        except BaseException as error:
            self._fail(jobs, error)
            raise
        return store

    def _open(self) -> Store:
        self._data_version = -1
        store = Store(
            self._path, self._bounds, durable=self._durable, lock_timeout=self._lock_timeout
        )
        self._file = os.stat(self._path)  # noqa: PTH116
        return store

    def _check_file(self) -> None:
        """Raise LogError if the file was deleted or replaced: others would not see what is kept."""
        try:
            now = os.stat(self._path)  # noqa: PTH116
        except OSError as error:
            raise LogError(f"the log {self._path} was removed: {error}") from None
        if self._file is None or not os.path.samestat(now, self._file):
            raise LogError(f"the log {self._path} was replaced by another file")

    def _write(self, store: Store, jobs: list[Job]) -> None:
        """Commit all writes together, then acknowledge them."""
        execute = store.connection.execute
        store.changed.clear()
        store.ended.clear()
        execute("BEGIN IMMEDIATE")
        try:
            store.start_writing()
            for job in jobs:
                self._call(store, job)
            execute("COMMIT")
        except BaseException:
            if store.connection.in_transaction:
                execute("ROLLBACK")
            raise
        if store.version == self._seen[0] + 1:  # no other process has written in between
            self._seen = store.version, self._seen[1]
        wake_all([job.waiter for job in jobs] + self._followers(store.changed, store.ended))

    def _read(self, store: Store, jobs: list[Job]) -> list[Job]:
        """Make reads of one state of the file. Return those that have to write first."""
        if not jobs:
            return []
        again = []
        store.connection.execute("BEGIN")
        try:
            for job in jobs:
                try:
                    self._call(store, job)
                except NeedsWrite:
                    job.writes = True
                    again.append(job)
        finally:
            if store.connection.in_transaction:
                store.connection.execute("COMMIT")
        wake_all(job.waiter for job in jobs if not job.writes)
        return again

    @staticmethod
    def _call(store: Store, job: Job) -> None:
        """Run a call. What is wrong with it alone is its own error."""
        more = {"writes": job.writes} if job.call is Store.read else {}
        try:
            job.result = job.call(store, *job.arguments, **more)
        except (sqlite3.Error, NeedsWrite):
            raise
        except Exception as error:
            job.error = error

    def _poll(self, store: Store) -> None:
        """Wake the followers of streams that other processes have changed."""
        execute = store.connection.execute
        [data_version] = execute("PRAGMA data_version").fetchone()
        if data_version == self._data_version:
            return
        self._data_version = data_version
        self._others_wrote = time.monotonic()
        version, drops = execute("SELECT version, drops FROM meta").fetchone()
        before, self._seen = self._seen, (version, drops)
        if drops != before[1]:
            self._wake_all()
        else:
            names = execute("SELECT name FROM streams WHERE version > ?", before[:1]).fetchall()
            changed = {name for [name] in names}
            wake_all(self._followers(changed, changed))

    def _clean(self, store: Store) -> bool:
        """Delete a slice of garbage. Return True if there is more."""
        execute = store.connection.execute
        try:
            if execute("SELECT 1 FROM garbage LIMIT 1").fetchone() is None:
                return False
            execute("BEGIN IMMEDIATE")
            more = store.clean()
            execute("COMMIT")
        except sqlite3.Error:  # it is tried again after the next call, which raises if it fails too
            if store.connection.in_transaction:
                execute("ROLLBACK")
            return False
        return more

    def _fail(self, jobs: list[Job], error: BaseException) -> None:
        failed = [job for job in jobs if not job.waiter.woken]
        for job in failed:
            job.error = error
        wake_all(job.waiter for job in failed)
        self._wake_all()  # a follower reads again, and then has the error too

    def _followers(self, changed: set[str], ended: set[str]) -> list[Waiter]:
        with self._ready:
            if not self._waiters:
                return []
            keys = [(name, False) for name in changed] + [(name, True) for name in ended]
            return [waiter for key in keys for waiter in self._waiters.pop(key, ())]

    def _wake_all(self) -> None:
        with self._ready:
            waiters, self._waiters = self._waiters, {}
        wake_all(waiter for waiting in waiters.values() for waiter in waiting)


_all: WeakSet[StoreThread] = WeakSet()


def _for_all(method: str) -> Callable[[], None]:
    def call() -> None:
        for each in list(_all):
            getattr(each, method)()

    return call


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_for_all("before_fork"),
        after_in_parent=_for_all("after_fork"),
        after_in_child=_for_all("reset"),
    )
