"""A Redis that cannot be used, or has lost something: a documented error or outcome, no silence."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import redis
from log_runs import RUNS
from redis_servers import Server, free_port, server

from gaistream.errors import Fenced, FrameError, LogError, StreamInUse
from gaistream.replay import RedisLog, redis_thread, run_in_thread
from gaistream.testing.logs.tools import DONE, data_of, numbered, pause, read_all, together

KEYS = ("gaistream:{s}:s", "gaistream:{s}:m", "gaistream:{s}:o")


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    with server() as started:
        yield started


@pytest.fixture
def one(shared: Server) -> Server:
    shared.client.flushall()
    return shared


@contextlib.asynccontextmanager
async def opened(url: Any, **settings: Any) -> AsyncIterator[RedisLog]:
    log = RedisLog(url, **{"timeout": 0.5, **settings})
    try:
        yield log
    finally:
        await log.aclose()
    assert log._calls._thread is log._follows._thread is None


async def reason_of(call: Any) -> str:
    with pytest.raises(LogError) as caught:
        await call
    return caught.value.reason


async def started(log: RedisLog, count: int = 10) -> int:
    epoch = await log.begin("s", lease=30)
    for seq in range(1, count + 1):
        await log.append("s", epoch, seq, numbered(seq, 1))
    return epoch


def test_without_a_server_every_call_is_unavailable() -> None:
    async def main() -> None:
        async with opened(f"redis://127.0.0.1:{free_port()}") as log:
            for call in (log.begin, log.read, log.stop, log.expire):
                assert await reason_of(call("s")) == "unavailable"
            assert await reason_of(log.wait_for_stop("s", 1)) == "unavailable"

    run_in_thread(main())


@pytest.mark.parametrize("run", RUNS)
def test_a_server_that_is_started_again_empty_fences_and_expires(run: str) -> None:
    async def main() -> None:
        with server() as one:
            async with opened(one.url) as log:
                epoch = await started(log)
                pages = log.follow("s")
                assert data_of([await anext(pages)]) == list(range(1, 11))

                async def follow() -> str:
                    try:
                        return (await anext(pages)).outcome
                    except LogError as error:
                        return error.reason

                async def restart() -> None:
                    await pause(0.1)
                    one.kill()
                    assert await reason_of(log.append("s", epoch, 11, numbered(11, 1))) == (
                        "unavailable"
                    )
                    one.start()

                seen, _ = await together(follow(), restart())
                assert seen in ("unavailable", "expired")
                assert (await log.read("s")).outcome == "expired"
                with pytest.raises(Fenced, match="has expired"):
                    await log.append("s", epoch, 11, numbered(11, 1))

    RUNS[run](main())


def test_a_server_that_is_slow_is_unavailable_and_a_repeated_batch_is_kept_once(
    one: Server,
) -> None:
    async def main() -> None:
        async with opened(one.url) as log:
            epoch = await started(log)
            one.pause()
            try:
                assert await reason_of(log.append("s", epoch, 11, numbered(11, 2))) == "unavailable"
                assert await reason_of(log.read("s")) == "unavailable"
            finally:
                one.go_on()
            await log.append("s", epoch, 11, numbered(11, 5))
            assert data_of([await log.read("s")]) == list(range(1, 16))

    run_in_thread(main())


def test_a_server_without_memory_is_full_and_keeps_what_it_has(one: Server) -> None:
    async def main() -> None:
        async with opened(one.url) as log:
            epoch = await started(log)
            one.client.config_set("maxmemory", 1)
            try:
                assert await reason_of(log.append("s", epoch, 11, numbered(11, 1))) == "full"
                assert await reason_of(log.begin("t")) == "full"
                assert data_of([await log.read("s")]) == list(range(1, 11))
            finally:
                one.client.config_set("maxmemory", 0)
            await log.append("s", epoch, 11, numbered(11, 1))
            assert data_of([await log.read("s")]) == list(range(1, 12))

    run_in_thread(main())


def test_a_replica_is_read_only_and_can_be_read(one: Server) -> None:
    async def main() -> None:
        with server("--replicaof", "127.0.0.1", str(one.port)) as replica:
            async with opened(one.url) as log, opened(replica.url) as copy:
                epoch = await started(log)
                one.client.set("marker", 1)  # WAIT is for the writes of its own connection
                assert one.client.wait(1, 5000) == 1
                assert await reason_of(copy.begin("t")) == "read_only"
                assert await reason_of(copy.append("s", epoch, 11, numbered(11, 1))) == "read_only"
                assert data_of([await copy.read("s")]) == list(range(1, 11))

    run_in_thread(main())


def test_a_wrong_password_and_a_missing_right_are_denied() -> None:
    async def main() -> None:
        with server("--requirepass", "right") as one:
            for url in (one.url, f"redis://:wrong@127.0.0.1:{one.port}"):
                async with opened(url) as log:
                    assert await reason_of(log.begin("s")) == "denied"
            one.client.execute_command("ACL SETUSER app on >word ~* +@all resetchannels &no")
            async with opened(f"redis://app:word@127.0.0.1:{one.port}") as log:
                assert await reason_of(log.begin("s")) == "denied"
            one.client.flushall()
            one.client.execute_command("ACL SETUSER app allchannels -subscribe")
            async with opened(f"redis://app:word@127.0.0.1:{one.port}") as log:
                await started(log)
                page = await log.read("s")
                assert await reason_of(log.wait("s", page)) == "denied"
                assert await reason_of(log.wait_for_stop("s", page.epoch)) == "denied"

    run_in_thread(main())


@pytest.mark.parametrize("key", KEYS[:2])
def test_a_key_of_another_type_is_corrupt(one: Server, key: str) -> None:
    async def main() -> None:
        async with opened(one.url) as log:
            epoch = await started(log)
            one.client.set(key, "something else")
            assert await reason_of(log.read("s")) == "corrupt"
            assert await reason_of(log.append("s", epoch, 12, numbered(12, 1))) == "corrupt"

    run_in_thread(main())


@pytest.mark.parametrize("entry", [{"x": "y"}, {"12": "y"}, {"12": b"\x01\x05\0\0\0"}])
def test_an_entry_of_somebody_else_is_corrupt(one: Server, entry: dict[str, Any]) -> None:
    async def main() -> None:
        async with opened(one.url) as log:
            epoch = await started(log)
            one.client.xadd(KEYS[0], entry, id=f"{epoch}-15")
            assert await reason_of(log.read("s")) == "corrupt"

    run_in_thread(main())


@pytest.mark.parametrize("idle", [False, True])
def test_records_that_a_fail_over_has_lost_are_told_to_the_producer_and_to_readers(
    one: Server, idle: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with opened(one.url) as log:
            epoch = await started(log, 5)
            older = {key: one.client.dump(key) for key in KEYS[:2]}
            for seq in range(6, 11):
                await log.append("s", epoch, seq, numbered(seq, 1))
            for key, value in older.items():
                one.client.restore(key, 30_000, value, replace=True)
            one.client.client_kill_filter(_type="normal", skipme=True)
            if idle:  # the connection is looked at, and made anew without an error
                monkeypatch.setattr(redis_thread, "_CHECK", -1.0)
            else:
                again = log.append("s", epoch, 11, numbered(11, 1))
                assert await reason_of(again) == "unavailable"
            with pytest.raises(Fenced, match="has lost records after 5"):
                await log.append("s", epoch, 11, numbered(11, 1))
            page = await log.read("s", f"{epoch}-10")
            assert (page.outcome, page.reason) == ("gap", "future")

    run_in_thread(main())


def test_a_batch_that_somebody_has_deleted_is_a_gap(one: Server) -> None:
    async def main() -> None:
        async with opened(one.url) as log:
            epoch = await started(log)
            one.client.xdel(KEYS[0], f"{epoch}-4", f"{epoch}-5")
            pages = [await log.read("s"), await log.read("s", f"{epoch}-3")]
            assert data_of(pages) == [1, 2, 3, 6, 7, 8, 9, 10]
            assert [page.reason for page in pages] == ["", "trimmed"]
            one.client.delete(KEYS[0])
            assert (await log.read("s")).outcome == "expired"
            with pytest.raises(Fenced):
                await log.append("s", epoch, 11, numbered(11, 1))

    run_in_thread(main())


def test_a_server_that_forgot_its_scripts_gets_them_again(one: Server) -> None:
    async def main() -> None:
        async with opened(one.url) as log:
            epoch = await started(log)
            one.client.script_flush()
            with pytest.raises(StreamInUse):
                await log.begin("s")
            await log.append("s", epoch, 11, numbered(11, 300))
            assert (await log.read("s")).newest == 310

    run_in_thread(main())


def test_followers_lose_their_connection_and_miss_nothing(one: Server) -> None:
    async def main() -> None:
        async with opened(one.url) as log:
            epoch = await started(log, 1)

            async def produce() -> None:
                for seq in range(2, 60):
                    await log.append("s", epoch, seq, numbered(seq, 1))
                    if seq % 20 == 0:
                        one.client.client_kill_filter(_type="pubsub")
                    await pause(0.002)
                await log.close("s", epoch, DONE)

            pages, _ = await together(read_all(log, "s"), produce())
            assert data_of(pages) == list(range(1, 60))

    RUNS["asyncio"](main())


@pytest.mark.parametrize(
    "server", [5, "http://example.com", "127.0.0.1", redis.Redis(decode_responses=True)]
)
def test_what_is_no_server_is_refused(server: Any) -> None:
    with pytest.raises(FrameError):
        RedisLog(server)
    with pytest.raises(FrameError):
        RedisLog("redis://", prefix="{a}")


def test_a_redis_before_6_2_keeps_all_by_scripts(
    one: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = redis_thread._Producing.commands

    def unknown(*arguments: Any) -> tuple[bytes, ...]:
        head, *others = plain(*arguments)
        return head.replace(b"NOMKSTREAM", b"NOT_KNOWN_"), *others

    monkeypatch.setattr(redis_thread._Producing, "commands", unknown)

    async def main() -> None:
        async with opened(one.url) as log:
            await started(log)
            assert log._calls._scripts_only
            assert data_of([await log.read("s")]) == list(range(1, 11))

    run_in_thread(main())


PROGRAM = """
import os, sys, threading
from gaistream.replay import Record, RedisLog, run_in_thread

log = RedisLog(sys.argv[1])
epoch = run_in_thread(log.begin("s"))
run_in_thread(log.append("s", epoch, 1, [Record(b"parent")]))
page = run_in_thread(log.read("s"))
waits = threading.Thread(target=lambda: run_in_thread(log.wait("s", page)))
waits.start()
while not log._follows._waiters:
    pass
child = os.fork()
if child == 0:
    run_in_thread(log.append("s", epoch, 2, [Record(b"child")]))
    run_in_thread(log.aclose())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
waits.join()  # the child's record has woken it
run_in_thread(log.append("s", epoch, 3, [Record(b"parent")]))
print([record.data for record in run_in_thread(log.read("s")).records])
run_in_thread(log.aclose())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_parent_and_child_go_on_after_a_fork(one: Server) -> None:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, one.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.stdout.strip() == "[b'parent', b'child', b'parent']", done.stderr
