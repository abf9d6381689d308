"""AppStatus: it ends the streams of the stand-in for sse-starlette's response, and serves again."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any
from unittest import mock

import pytest
from scripted_asgi import END, Connection, Source, asynchronous, run

import gaistream
from gaistream.streaming.open_streams import open_streams

pytest.importorskip("starlette", reason="Starlette is not installed")

from gaistream.frameworks.sse_starlette.sse import AppStatus
from gaistream.frameworks.starlette import EventSourceResponse, SSEResponse

A = b"data: a\r\n\r\n"


@pytest.fixture(autouse=True)
def serving_again() -> Iterator[None]:
    yield
    AppStatus.should_exit = False
    AppStatus.enable_automatic_graceful_drain_mode()


async def begun(response: Any, source: Source) -> tuple[Connection, asyncio.Task[None]]:
    connection = Connection()
    serving = connection.begin(response)
    await source.waiting.wait()
    return connection, serving


def test_should_exit_ends_all_streams_whole_and_set_back_serves_again() -> None:
    async def test() -> None:
        sources = [Source("a") for _ in range(3)]
        begins = [await begun(EventSourceResponse(each), each) for each in sources]
        assert not AppStatus.should_exit
        AppStatus.should_exit = True
        for source, (connection, serving) in zip(sources, begins, strict=True):
            await serving
            assert connection.body == A
            assert connection.is_complete
            assert source.closed == 1
        late = Source("a")  # it has no item more than those that do not wait
        assert (await Connection().serve(EventSourceResponse(late))).sent[-1] == END
        assert late.closed == 1
        AppStatus.should_exit = False
        assert (await Connection().serve(EventSourceResponse(asynchronous("a")))).body == A

    run(test())


def test_should_exit_is_heard_in_every_loop_and_from_any_thread() -> None:
    loops, ended = [threading.Barrier(3), threading.Barrier(3)], []

    def serve() -> None:
        async def main() -> None:
            source = Source("a")
            _, serving = await begun(EventSourceResponse(source), source)
            await asyncio.to_thread(loops[0].wait, 10)
            await serving
            ended.append(source.closed)

        asyncio.run(main())

    threads = [threading.Thread(target=serve) for _ in range(2)]
    for thread in threads:
        thread.start()
    loops[0].wait(10)
    AppStatus.should_exit = True
    for thread in threads:
        thread.join(10)
    assert ended == [1, 1]


def test_the_source_is_told_and_has_its_grace_time() -> None:
    async def test() -> None:
        event, connection, waits = asyncio.Event(), Connection(), asyncio.Event()

        async def source() -> AsyncIterator[str]:
            yield "a"
            waits.set()
            await event.wait()
            yield "bye"

        response = EventSourceResponse(source(), shutdown_event=event, shutdown_grace_period=60)
        serving = connection.begin(response)
        await waits.wait()
        AppStatus.should_exit = True
        await serving
        assert connection.body == A + b"data: bye\r\n\r\n"
        deaf = Source("a")
        response = EventSourceResponse(deaf, shutdown_grace_period=0.01)
        connection, serving = await begun(response, deaf)  # which begins with its grace time
        await serving
        assert connection.body == A
        assert connection.is_complete

    run(test())


def test_changes_are_undone_by_monkeypatch_and_mock(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(AppStatus, "should_exit", True)
        assert AppStatus.should_exit
    assert not AppStatus.should_exit
    with mock.patch.object(AppStatus, "should_exit", True):
        assert AppStatus.should_exit
    assert not AppStatus.should_exit


def test_handle_exit_sets_it_and_calls_the_original_handler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls, event = [], threading.Event()
    monkeypatch.setattr(AppStatus, "original_handler", lambda *args: calls.append(args))
    monkeypatch.setattr(AppStatus, "should_exit_event", event)
    AppStatus.disable_automatic_graceful_drain()
    AppStatus.handle_exit(15, None)
    assert (AppStatus.should_exit, event.is_set(), calls) == (False, False, [(15, None)])
    AppStatus.enable_automatic_graceful_drain_mode()
    AppStatus.handle_exit(15, None)
    assert (AppStatus.should_exit, event.is_set(), len(calls)) == (True, True, 2)


@pytest.fixture
def handled() -> Iterator[None]:
    """A server's handler, which does nothing."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("handled")
def test_a_busy_stream_ends_at_once_at_a_signal_and_its_source_may_see_it() -> None:
    async def test() -> None:
        seen, began = [], asyncio.Event()

        async def busy() -> AsyncIterator[str]:
            try:
                while True:
                    yield "a"
                    await asyncio.sleep(0)
                    began.set()
            finally:
                seen.append(AppStatus.should_exit)

        connection = Connection()
        serving = connection.begin(EventSourceResponse(busy()))
        await began.wait()
        signal.raise_signal(signal.SIGTERM)
        async with asyncio.timeout(1):  # answers of gaistream's own have five seconds
            await serving
        assert connection.is_complete
        assert seen == [True]
        open_streams().draining.cancel()
        assert not AppStatus.should_exit

    run(test())


@pytest.mark.usefixtures("handled")
def test_disabled_a_signal_ends_no_stream_until_should_exit_is_set() -> None:
    async def test() -> None:
        AppStatus.disable_automatic_graceful_drain()
        source, other = Source("a"), Source("a")
        connection, serving = await begun(EventSourceResponse(source), source)
        _, ended = await begun(SSEResponse(other), other)
        gaistream.automatic_drain(0.01)
        signal.raise_signal(signal.SIGTERM)
        await ended  # which is not sse-starlette's
        await asyncio.sleep(0.05)
        assert not serving.done()
        assert (await Connection().serve(EventSourceResponse(asynchronous("a")))).body == A
        AppStatus.should_exit = True
        await serving
        assert connection.is_complete

    try:
        run(test())
    finally:
        gaistream.automatic_drain()


def test_disabled_a_drain_of_the_programs_own_ends_it_all_the_same() -> None:
    async def test() -> None:
        AppStatus.disable_automatic_graceful_drain()
        source = Source("a")
        connection, serving = await begun(EventSourceResponse(source), source)
        await gaistream.drain(0)
        await serving
        assert connection.is_complete

    run(test())


async def stopped_without_a_signal(disabled: bool) -> bytes:
    """Serve an endless stream by uvicorn, stop the server, and return what was read."""
    uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not installed")
    source, read = Source("a"), b""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await EventSourceResponse(source)(scope, receive, send)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(app, lifespan="off", log_level="critical")
        config.timeout_graceful_shutdown = 1
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listening]))
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await source.waiting.wait()
        if disabled:
            AppStatus.disable_automatic_graceful_drain()
        server.should_exit = True
        async with asyncio.timeout(10):
            await serving
            read = await reader.read()
        writer.close()
    return read


def test_a_uvicorn_that_stops_without_a_signal_ends_its_streams_whole() -> None:
    assert asyncio.run(stopped_without_a_signal(False)).endswith(b"\r\n0\r\n\r\n")
    assert not AppStatus.should_exit  # for the next server of the process


def test_disabled_such_a_uvicorn_has_to_cut_them() -> None:
    assert not asyncio.run(stopped_without_a_signal(True)).endswith(b"0\r\n\r\n")
