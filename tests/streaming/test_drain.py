"""A drain: open streams end whole and in time, and new requests are refused."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

import pytest
from frames import DONE, PRELUDE, said
from loops import Connection, Run, turns
from real_servers import SECONDS


class Idle:
    """A source that yields one item and then waits for ever."""

    def __init__(self) -> None:
        self.closed = 0
        self.waits = asyncio.Event()

    async def __call__(self) -> AsyncIterator[str]:
        try:
            yield "a"
            self.waits.set()
            await asyncio.Event().wait()
        finally:
            self.closed += 1


async def open_streams(gs: ModuleType, count: int) -> tuple[list[Idle], list[Any], list[Any]]:
    idle = [Idle() for _ in range(count)]
    connections = [Connection() for _ in range(count)]
    serving = [
        asyncio.create_task(connection.serve(gs.streaming.stream.Stream(source(), gs.SSEEncoder())))
        for source, connection in zip(idle, connections, strict=True)
    ]
    for source in idle:
        await source.waits.wait()
    await turns(3)
    return idle, connections, serving


def test_idle_streams_end_whole_with_a_retry_hint_and_without_done(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        idle, connections, serving = await open_streams(gs, 20)
        assert not gs.draining()
        await gs.drain(0.05, retry_ms=700)
        assert gs.draining()
        outcomes = await asyncio.gather(*serving)
        assert {outcome.kind for outcome in outcomes} == {"drained"}
        assert [source.closed for source in idle] == [1] * 20
        for connection in connections:
            assert connection.body == PRELUDE + said("a") + b"retry: 700\n"
            assert connection.log[-1] == "finish"

    run(main())


def test_a_source_that_is_yielding_may_finish(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        go_on = asyncio.Event()

        async def source() -> AsyncIterator[str]:
            yield "a"
            await go_on.wait()
            yield "b"

        connection = Connection()
        stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder())
        serving = asyncio.create_task(connection.serve(stream))
        await turns(5)
        ended = gs.drain(SECONDS)
        await turns(5)
        assert not serving.done()
        go_on.set()
        await ended
        assert (await serving).kind == "completed"
        assert connection.body == PRELUDE + said("a") + said("b") + DONE

    run(main())


def test_a_grace_of_zero_ends_everything_and_a_second_call_shortens_the_first(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        _, _, serving = await open_streams(gs, 3)
        ended = gs.drain(SECONDS)
        assert gs.drain(0) is ended
        await ended
        assert {(await task).kind for task in serving} == {"drained"}

    run(main())


def test_held_items_are_sent_before_the_end(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        options = gs.SSEOptions(flush_after_write=False, flush_interval=60.0)
        more: asyncio.Queue[str] = asyncio.Queue()

        async def source() -> AsyncIterator[str]:
            while True:
                yield await more.get()

        connection = Connection()
        stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder(options))
        serving = asyncio.create_task(connection.serve(stream))
        for text in ("a", "b", "c"):
            more.put_nowait(text)
            await turns(4)
        assert connection.body == PRELUDE + said("a")
        await gs.drain(0)
        await serving
        assert connection.body == PRELUDE + said("a") + said("b") + said("c")

    run(main())


def test_a_send_that_hangs_is_broken_off_after_the_grace_time(gs: ModuleType, run: Run) -> None:
    class Stuck(Connection):
        async def send(self, chunk: bytes) -> None:
            await asyncio.Event().wait()

    async def main() -> None:
        source = Idle()
        stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder())
        serving = asyncio.create_task(Stuck().serve(stream))
        await source.waits.wait()
        await gs.drain(0)
        assert (await serving).kind == "drained"
        assert source.closed == 1

    run(main())


def test_items_yielded_after_the_cancellation_are_not_sent(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        waits = asyncio.Event()

        async def source() -> AsyncIterator[str]:
            waits.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                yield "late"

        connection = Connection()
        stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder())
        serving = asyncio.create_task(connection.serve(stream))
        await waits.wait()
        await gs.drain(0)
        assert (await serving).kind == "drained"
        assert connection.body == PRELUDE

    run(main())


def test_an_exception_in_the_clean_up_of_a_drained_source_is_logged(
    gs: ModuleType, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        waits = asyncio.Event()

        async def source() -> AsyncIterator[str]:
            try:
                waits.set()
                await asyncio.Event().wait()
            finally:
                raise ValueError("in cleanup")
            yield ""

        connection = Connection()
        stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder())
        serving = asyncio.create_task(connection.serve(stream))
        await waits.wait()
        await gs.drain(0)
        outcome = await serving
        assert (outcome.kind, str(outcome.error)) == ("drained", "in cleanup")
        assert connection.body == PRELUDE

    run(main())
    assert "in cleanup" in caplog.text


def test_a_source_may_call_draining_in_its_helper_thread(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        asked, go_on = threading.Event(), threading.Event()
        answers = []

        def source() -> Iterator[str]:
            answers.append(gs.draining())
            yield "a"
            asked.set()
            assert go_on.wait(SECONDS)
            answers.append(gs.draining())
            yield "last words"

        connection = Connection()
        stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder())
        serving = asyncio.create_task(connection.serve(stream))
        await asyncio.to_thread(asked.wait)
        ended = gs.drain(SECONDS)
        go_on.set()
        await ended
        assert (await serving).kind == "completed"
        assert answers == [False, True]
        assert connection.body.endswith(said("last words") + DONE)

    run(main())


def test_new_requests_get_503_and_retry_after(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        source, outcomes = Idle(), []
        response = gs.asgi.SSEResponse(source(), on_close=outcomes.append)
        gs.drain(3.0, retry_ms=1500)
        sent: list[Any] = []

        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        await response({"type": "http", "method": "GET", "headers": []}, receive, send)
        assert sent[0]["status"] == 503
        headers = dict(sent[0]["headers"])
        assert headers[b"retry-after"] == b"2"
        assert headers[b"access-control-allow-origin"] == b"*"
        assert b"shutting_down" in sent[1]["body"]
        assert [outcome.kind for outcome in outcomes] == ["drained"]

    run(main())


def test_an_iterator_begun_during_a_drain_ends_at_once(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        gs.drain(SECONDS, retry_ms=5)
        assert [chunk async for chunk in gs.sse(Idle()())] == [PRELUDE + b"retry: 5\n"]
        assert [chunk async for chunk in gs.ndjson(Idle()())] == []

    run(main())


def test_a_drain_concerns_one_loop_only(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        _, _, serving = await open_streams(gs, 1)

        async def elsewhere() -> bool:
            await gs.drain(0)
            return bool(gs.draining())

        assert await asyncio.to_thread(asyncio.run, elsewhere())
        assert not gs.draining()
        assert not serving[0].done()
        await gs.drain(0)
        await serving[0]

    run(main())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"grace": -1}, "grace"),
        ({"grace": None}, "grace"),
        ({"grace": "5"}, "grace"),
        ({"retry_ms": -1}, "retry_ms"),
        ({"retry_ms": 1.5}, "retry_ms"),
    ],
)
def test_wrong_times_are_refused(
    gs: ModuleType, run: Run, arguments: dict[str, Any], named: str
) -> None:
    async def main() -> None:
        with pytest.raises(gs.errors.FrameError, match=named):
            gs.drain(**arguments)
        with pytest.raises(gs.errors.FrameError, match=named):
            gs.asgi.DrainMiddleware(None, **arguments)
        assert not gs.draining()

    run(main())


def test_drain_without_a_running_loop_is_a_runtime_error(gs: ModuleType) -> None:
    assert not gs.draining()
    with pytest.raises(RuntimeError):
        gs.drain(0)


def test_the_former_handler_is_called_and_restored(gs: ModuleType, run: Run) -> None:
    heard = []

    def handler(number: int, _: Any) -> None:
        heard.append(number)

    before = signal.signal(signal.SIGTERM, handler)
    try:

        async def main() -> None:
            _, _, serving = await open_streams(gs, 2)
            with gs.drain_on_signals(0.01):
                os.kill(os.getpid(), signal.SIGTERM)
                assert {(await task).kind for task in serving} == {"drained"}
            assert signal.getsignal(signal.SIGTERM) is handler

        run(main())
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_second_signal_of_either_kind_ends_everything_at_once(gs: ModuleType, run: Run) -> None:
    before = {number: signal.signal(number, lambda *_: None) for number in (15, 2)}
    try:

        async def main() -> None:
            _, _, serving = await open_streams(gs, 2)
            with gs.drain_on_signals(SECONDS):
                signal.raise_signal(signal.SIGTERM)
                await turns(5)
                assert gs.draining()
                assert not any(task.done() for task in serving)
                signal.raise_signal(signal.SIGINT)
                assert {(await task).kind for task in serving} == {"drained"}

        run(main())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
