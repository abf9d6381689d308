"""A server's signals drain its streams with nothing configured."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from loops import Run, turns
from real_servers import SECONDS
from signal_handlers import INT, TERM, Server, Talking, recording_server


@pytest.fixture
def server(gs: ModuleType) -> Iterator[Server]:
    with recording_server(gs) as server:
        yield server


def test_the_handler_is_set_while_streams_are_open(
    gs: ModuleType, run: Run, server: Server
) -> None:
    async def main() -> None:
        first, second = await Talking(gs).open(), await Talking(gs).open()
        ours = signal.getsignal(TERM)
        assert ours == signal.getsignal(INT) != server.handle
        for each in (first, second):
            assert signal.getsignal(TERM) == ours
            each.go_on.set()
            assert await each.kind() == "completed"
        assert server.handles()

    run(main())


def test_at_sigterm_an_answer_is_finished_and_the_server_gets_the_signal(
    gs: ModuleType, run: Run, server: Server
) -> None:
    async def main() -> None:
        talking = await Talking(gs).open()
        signal.raise_signal(TERM)
        assert server.heard == [TERM]
        await turns(5)
        assert gs.draining()
        talking.go_on.set()
        assert await talking.kind() == "completed"

    run(main())


@pytest.mark.parametrize("signals", [[INT], [TERM, TERM], [TERM, INT]])
def test_sigint_or_a_second_signal_ends_all_streams_at_once(
    gs: ModuleType, run: Run, server: Server, signals: list[int]
) -> None:
    async def main() -> None:
        talking = await Talking(gs).open()
        for number in signals[:-1]:
            signal.raise_signal(number)
            await turns(5)
            assert not talking.serving.done()
        signal.raise_signal(signals[-1])
        await turns(50)
        assert talking.serving.done()
        assert await talking.kind() == "drained"
        assert talking.connection.log[-1] == "finish"
        assert server.heard == signals

    run(main())


def test_automatic_drain_sets_the_grace_time_of_the_process(
    gs: ModuleType, run: Run, server: Server
) -> None:
    async def main() -> None:
        talking = await Talking(gs).open()
        gs.automatic_drain(0.01)
        signal.raise_signal(TERM)
        assert await talking.kind() == "drained"

    run(main())


def test_the_automatic_drain_may_be_turned_off_and_on_again(
    gs: ModuleType, run: Run, server: Server
) -> None:
    async def main() -> None:
        talking = await Talking(gs).open()
        for _ in range(2):
            gs.automatic_drain(None)
            assert server.handles()
            signal.raise_signal(TERM)
            await turns(5)
            assert not gs.draining()
            gs.automatic_drain()
            assert not server.handles()
        signal.raise_signal(INT)
        assert await talking.kind() == "drained"
        gs.automatic_drain(None)
        gs.automatic_drain(2)

    run(main())


@pytest.mark.parametrize("grace", [-1, float("nan"), float("inf"), "5", True])
def test_a_wrong_grace_is_refused(gs: ModuleType, grace: Any) -> None:
    with pytest.raises(gs.errors.FrameError, match="grace"):
        gs.automatic_drain(grace)


@pytest.mark.parametrize("first", ["stream", "block"])
def test_drain_on_signals_replaces_the_automatic_drain_for_its_block(
    gs: ModuleType, run: Run, server: Server, first: str
) -> None:
    async def main() -> None:
        talking = Talking(gs)
        if first == "stream":
            await talking.open()
        with gs.drain_on_signals(SECONDS, retry_ms=7):
            if first == "block":
                await talking.open()
            signal.raise_signal(INT)  # drained with the grace of the block
            await turns(5)
            assert not talking.serving.done()
            gs.streaming.open_streams.open_streams().draining.cancel()
        assert not server.handles()
        signal.raise_signal(INT)
        assert await talking.kind() == "drained"
        assert not talking.connection.body.endswith(b"retry: 7\n")
        assert server.heard == [INT, INT]

    run(main())


def test_one_signal_that_passes_two_handlers_counts_once(
    gs: ModuleType, run: Run, server: Server
) -> None:
    async def main() -> None:
        with gs.drain_on_signals(60), gs.drain_on_signals(60):
            talking = await Talking(gs).open()
            signal.raise_signal(TERM)
            assert server.heard == [TERM]
            await turns(5)
            assert gs.draining()
            talking.go_on.set()
            assert await talking.kind() == "completed"

    run(main())


def test_after_a_cancelled_drain_the_next_signal_has_its_grace_time(
    gs: ModuleType, run: Run, server: Server
) -> None:
    async def main() -> None:
        talking = await Talking(gs).open()
        for _ in range(2):
            signal.raise_signal(TERM)
            await turns(5)
            assert gs.draining()
            assert not talking.serving.done()
            gs.streaming.open_streams.open_streams().draining.cancel()
        talking.go_on.set()
        assert await talking.kind() == "completed"

    run(main())


def test_loops_of_other_threads_set_no_handler(
    gs: ModuleType, run: Run, server: Server
) -> None:
    def elsewhere() -> None:
        async def main() -> None:
            talking = await Talking(gs).open()
            assert server.handles()
            talking.go_on.set()
            await talking.kind()

        run(main())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join(SECONDS)
    assert not thread.is_alive()


def test_two_loops_of_the_main_thread_are_both_drained(gs: ModuleType, server: Server) -> None:
    with asyncio.Runner() as one, asyncio.Runner() as other:
        streams = [each.run(Talking(gs).open()) for each in (one, other)]
        signal.raise_signal(INT)
        assert one.run(streams[0].kind()) == "drained"
        assert not server.handles()
        assert other.run(streams[1].kind()) == "drained"
    assert server.heard == [INT]


def test_a_closed_loop_with_open_streams_swallows_no_signal(
    gs: ModuleType, server: Server
) -> None:
    async def begin() -> Any:
        stream = gs.streaming.stream.Stream(iter("a"), gs.SSEEncoder())
        gs.streaming.open_streams.open_streams().enter(stream)
        return stream

    with asyncio.Runner() as runner:
        runner.run(begin())
    assert not server.handles()
    signal.raise_signal(TERM)
    assert server.heard == [TERM]
    with asyncio.Runner() as runner:  # its streams are forgotten then
        runner.run(asyncio.wait_for(_one(gs), SECONDS))
    assert server.handles()


async def _one(gs: ModuleType) -> None:
    talking = await Talking(gs).open()
    talking.go_on.set()
    await talking.kind()
