"""An SQLiteLog whose file cannot be used raises LogError with the reason, and goes on later."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gaistream.errors import FrameError, LogError
from gaistream.replay import End, Position, Record, SQLiteLog, run_in_thread
from gaistream.replay import sqlite_thread as thread_module

THREAD = thread_module.THREAD_NAME


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Any:
    yield
    assert [each for each in threading.enumerate() if each.name == THREAD] == []


def with_log(path: Path, main: Callable[[SQLiteLog], Any], **settings: Any) -> None:
    async def run() -> None:
        log = SQLiteLog(path, **settings)
        try:
            async with asyncio.timeout(20):
                await main(log)
        finally:
            await log.aclose()

    asyncio.run(run())


def reason_of(call: Any) -> Any:
    async def run() -> str:
        with pytest.raises(LogError) as raised:
            await call
        return raised.value.reason

    return run()


def delete_all(folder: Path) -> None:
    for each in folder.iterdir():
        each.unlink()


async def something_waits(log: SQLiteLog) -> None:
    while not log._thread._waiters:  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def test_a_file_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    database, text = tmp_path / "other.db", tmp_path / "text.db"
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    text.write_bytes(b"some text, no database" * 300)
    for path in (database, text):
        before = path.read_bytes()

        async def main(log: SQLiteLog) -> None:
            assert await reason_of(log.begin("s")) == "corrupt"
            assert await reason_of(log.read("s")) == "corrupt"

        with_log(path, main)
        assert path.read_bytes() == before


def test_a_newer_schema_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    async def make(log: SQLiteLog) -> None:
        await log.begin("s")

    async def main(log: SQLiteLog) -> None:
        with pytest.raises(LogError, match="has schema 2, written by a newer gaistream") as raised:
            await log.read("s")
        assert raised.value.reason == "newer_schema"

    with_log(path, make)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with_log(path, main)


def test_a_corrupt_page_is_an_error_and_no_gap(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    position = Position(0, 0)

    async def make(log: SQLiteLog) -> None:
        nonlocal position
        position = Position(await log.begin("s"), 0)
        for first in range(1, 3001, 10):
            await log.append("s", position.epoch, first, [Record(b"x" * 200)] * 10)

    async def main(log: SQLiteLog) -> None:
        assert await reason_of(log.read("s", position)) == "corrupt"

    with_log(path, make)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(8 * 4096)
        file.write(os.urandom(size - 12 * 4096))
    with_log(path, main)


def test_another_process_that_holds_the_lock_is_waited_for_and_then_an_error(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log.db"

    async def main(log: SQLiteLog) -> None:
        epoch = await log.begin("s")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert await reason_of(log.append("s", epoch, 1, [Record(b"1")])) == "locked"
        assert (await log.read("s")).newest == 0  # readers go on
        other.execute("COMMIT")
        other.close()
        await log.append("s", epoch, 1, [Record(b"1")])
        assert (await log.read("s")).newest == 1

    with_log(path, main, lock_timeout=0.1)


def test_a_full_disk_fails_the_append_and_keeps_what_was_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []
    plain = thread_module.StoreThread._open

    def open_and_note(self: Any) -> Any:
        store = plain(self)
        store.connection.execute("PRAGMA max_page_count = 40")  # SQLITE_FULL, as of a full disk
        opened.append(store)
        return store

    monkeypatch.setattr(thread_module.StoreThread, "_open", open_and_note)

    async def main(log: SQLiteLog) -> None:
        epoch = await log.begin("s")
        acknowledged = 0
        with pytest.raises(LogError, match="full") as raised:
            for seq in range(1, 500):
                await log.append("s", epoch, seq, [Record(b"x" * 1000)])
                acknowledged = seq
        assert raised.value.reason == "full"
        page = await log.read("s")
        assert (page.outcome, page.newest) == ("complete", acknowledged)
        assert len(page.records) == acknowledged > 10
        await log.close("s", epoch, End("failed", "the disk is full"))
        assert len(opened) == 1

    with_log(tmp_path / "log.db", main)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write anything")
def test_a_read_only_file_is_an_error_by_permission(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    async def make(log: SQLiteLog) -> None:
        await log.begin("s")

    async def main(log: SQLiteLog) -> None:
        assert await reason_of(log.begin("t")) in ("read_only", "unavailable")

    with_log(path, make)
    path.chmod(0o400)
    with_log(path, main)


def test_a_write_that_is_refused_as_read_only_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = thread_module.StoreThread._open

    def read_only(self: Any) -> Any:
        store = plain(self)
        store.connection.execute("PRAGMA query_only = on")  # raises SQLITE_READONLY
        return store

    async def main(log: SQLiteLog) -> None:
        monkeypatch.setattr(thread_module.StoreThread, "_open", read_only)
        assert await reason_of(log.begin("s")) == "read_only"
        monkeypatch.setattr(thread_module.StoreThread, "_open", plain)
        await log.begin("s")  # it is writable again

    with_log(tmp_path / "log.db", main)


def test_a_folder_that_is_missing_or_a_folder_as_file_is_unavailable(tmp_path: Path) -> None:
    for path in (tmp_path / "missing" / "log.db", tmp_path):

        async def main(log: SQLiteLog) -> None:
            assert await reason_of(log.begin("s")) == "unavailable"

        with_log(path, main)


def test_a_file_that_was_deleted_is_not_written_to_unseen(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    async def main(log: SQLiteLog) -> None:
        epoch = await log.begin("s")
        delete_all(tmp_path)
        assert await reason_of(log.append("s", epoch, 1, [Record(b"1")])) == "unavailable"
        assert (await log.read("s")).outcome == "expired"  # of the new file
        await log.begin("s")

    with_log(path, main)


def test_a_follower_of_a_file_that_breaks_has_the_error(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    async def main(log: SQLiteLog) -> None:
        epoch = await log.begin("s", lease=600)
        pages = log.follow("s")
        assert (await anext(pages)).outcome == "complete"
        waiting = asyncio.ensure_future(anext(pages))
        await something_waits(log)
        delete_all(tmp_path)
        assert await reason_of(log.append("s", epoch, 1, [Record(b"1")])) == "unavailable"
        assert (await waiting).outcome == "expired"

    with_log(path, main)


def test_a_cancelled_wait_leaves_nothing_behind(tmp_path: Path) -> None:
    async def main(log: SQLiteLog) -> None:
        epoch = await log.begin("s")
        page = await log.read("s")
        for call in (log.wait("s", page), log.wait_for_stop("s", epoch)):
            task = asyncio.ensure_future(call)
            await something_waits(log)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert log._thread._waiters == {}

    with_log(tmp_path / "log.db", main)


def test_a_log_that_is_not_used_keeps_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_module, "IDLE", 0.01)
    log = SQLiteLog(tmp_path / "log.db")
    epoch = run_in_thread(log.begin("s"))
    thread = log._thread._thread
    if thread is not None:
        thread.join(10)
    assert log._thread._thread is None
    assert run_in_thread(log.read("s")).epoch == epoch
    run_in_thread(log.aclose())


def test_a_path_that_names_no_file_is_refused() -> None:
    for path in ("", ":memory:", "a\0b", b"log.db"):
        with pytest.raises(FrameError):
            SQLiteLog(path)  # type: ignore[arg-type]


def test_a_dropped_stream_leaves_no_batches_and_the_file_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    async def main(log: SQLiteLog) -> None:
        for _ in range(3):
            epoch = await log.begin("s", replace=True)
            for first in range(1, 600):
                await log.append("s", epoch, first, [Record(b"x" * 100)])
            assert await log.expire("s") == 1

    async def see(log: SQLiteLog) -> None:
        await log.read("s")
        other = sqlite3.connect(path)
        for _ in range(500):
            if other.execute("SELECT count(*) FROM garbage").fetchone() == (0,):
                break
            await asyncio.sleep(0.01)
        assert other.execute("SELECT count(*) FROM batches").fetchone() == (0,)
        other.close()

    with_log(path, main)
    with_log(path, see)


def test_a_producer_is_not_stopped_because_other_processes_write_beside_it(tmp_path: Path) -> None:
    async def main(log: SQLiteLog) -> None:
        other = SQLiteLog(tmp_path / "log.db")
        mine, its = await log.begin("mine"), await other.begin("its")
        waiting = asyncio.ensure_future(log.wait_for_stop("mine", mine))
        await something_waits(log)
        for seq in range(1, 51):  # at some of them the log's thread sees both changes at once
            await other.append("its", its, seq, [Record(b"x")])
            await log.append("mine", mine, seq, [Record(b"y")])
        await other.begin("dropped")
        await other.expire("dropped")
        await asyncio.sleep(0.01)
        assert not waiting.done()
        assert not await log.wait_for_stop("mine", mine, 0.01)
        await other.stop("mine")
        assert await waiting
        await other.aclose()

    with_log(tmp_path / "log.db", main)
