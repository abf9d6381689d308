"""A server's signals end its streams with nothing configured; a script keeps its handlers."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

import pytest
from loops import Connection, Run, turns
from real_servers import SECONDS

TERM, INT = signal.SIGTERM, signal.SIGINT


class Server:
    """A server's handlers, which only take note."""

    def __init__(self) -> None:
        self.heard: list[int] = []

    def handle(self, number: int, frame: object) -> None:
        self.heard.append(number)

    def stands(self) -> bool:
        """Return whether nobody stands in front of it."""
        return [signal.getsignal(each) for each in (TERM, INT)] == [self.handle] * 2


@contextlib.contextmanager
def handlers(term: Any, int_: Any) -> Iterator[None]:
    before = [(each, signal.signal(each, new)) for each, new in ((TERM, term), (INT, int_))]
    try:
        yield
    finally:
        for each, handler in before:
            signal.signal(each, handler)


@pytest.fixture
def server(gs: ModuleType) -> Iterator[Server]:
    server = Server()
    with handlers(server.handle, server.handle):
        yield server
        assert server.stands()
    gs.automatic_drain()


class Talking:
    """A stream whose source has just spoken, so that it is an answer, and is told to go on."""

    def __init__(self, gs: ModuleType) -> None:
        self.connection, self.go_on, self._waits = Connection(), asyncio.Event(), asyncio.Event()
        self._stream = gs.streaming.stream.Stream(self._source(), gs.SSEEncoder())
        self.serving: asyncio.Task[Any]

    async def _source(self) -> AsyncIterator[str]:
        yield "a"
        self._waits.set()
        await self.go_on.wait()
        yield "b"

    async def open(self) -> Talking:
        self.serving = asyncio.create_task(self.connection.serve(self._stream))
        await self._waits.wait()
        await turns(3)
        return self

    async def kind(self) -> str:
        return str((await self.serving).kind)


def test_it_stands_in_front_while_there_are_streams(
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
        assert server.stands()

    run(main())


def test_at_sigterm_an_answer_is_finished_and_the_server_hears_the_signal(
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
def test_sigint_or_a_second_signal_ends_all_at_once(
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


def test_the_grace_time_is_the_process_s(gs: ModuleType, run: Run, server: Server) -> None:
    async def main() -> None:
        talking = await Talking(gs).open()
        gs.automatic_drain(0.01)
        signal.raise_signal(TERM)
        assert await talking.kind() == "drained"

    run(main())


def test_it_may_be_turned_off_and_on_again(gs: ModuleType, run: Run, server: Server) -> None:
    async def main() -> None:
        talking = await Talking(gs).open()
        for _ in range(2):
            gs.automatic_drain(None)
            assert server.stands()
            signal.raise_signal(TERM)
            await turns(5)
            assert not gs.draining()
            gs.automatic_drain()
            assert not server.stands()
        signal.raise_signal(INT)
        assert await talking.kind() == "drained"
        gs.automatic_drain(None)
        gs.automatic_drain(2)

    run(main())


@pytest.mark.parametrize("grace", [-1, float("nan"), float("inf"), "5", True])
def test_what_is_no_time_is_refused(gs: ModuleType, grace: Any) -> None:
    with pytest.raises(gs.errors.FrameError, match="grace"):
        gs.automatic_drain(grace)


def _ignored(number: int, frame: object) -> None:
    """Stand for the handler that a notebook has while a cell awaits."""


_ignored.__module__ = "ipykernel.kernelbase"


@pytest.mark.parametrize(
    "theirs", [signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler, _ignored]
)
def test_a_script_and_a_notebook_keep_their_handlers(
    gs: ModuleType, run: Run, theirs: Any
) -> None:
    async def main() -> None:
        before = [signal.getsignal(each) for each in (TERM, INT)]
        if theirs is signal.default_int_handler:
            assert before[1] is not theirs  # a Runner's own, which is Python's
        talking = await Talking(gs).open()
        assert [signal.getsignal(each) for each in (TERM, INT)] == before
        talking.go_on.set()
        await talking.kind()

    with handlers(theirs, theirs):
        run(main())


def test_a_handler_that_is_not_pythons_is_left_alone(
    gs: ModuleType, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gs.streaming.signals, "get_handler", lambda _: None)
    monkeypatch.setattr(gs.streaming.signals, "set_handler", pytest.fail)

    async def main() -> None:
        talking = await Talking(gs).open()
        talking.go_on.set()
        assert await talking.kind() == "completed"

    run(main())


def test_one_that_was_set_in_front_of_it_since_stays_and_is_passed_on_from(
    gs: ModuleType, run: Run, server: Server
) -> None:
    passed: list[int] = []

    async def main() -> None:
        first = await Talking(gs).open()
        ours = signal.getsignal(TERM)
        assert callable(ours)

        def theirs(number: int, frame: Any) -> None:
            passed.append(number)
            ours(number, frame)

        signal.signal(TERM, theirs)
        first.go_on.set()
        await first.kind()
        assert signal.getsignal(TERM) is theirs
        signal.raise_signal(TERM)  # with no stream open, it only passes on
        await turns(5)
        assert not gs.draining()
        second = await Talking(gs).open()
        signal.raise_signal(TERM)
        await turns(5)
        assert gs.draining()
        assert not second.serving.done()  # the one signal was not heard as two
        signal.raise_signal(TERM)
        assert await second.kind() == "drained"
        assert signal.getsignal(TERM) is theirs
        signal.signal(TERM, server.handle)
        assert server.heard == passed == [TERM] * 3

    run(main())


@pytest.mark.parametrize("first", ["stream", "block"])
def test_drain_on_signals_takes_its_place_and_gives_it_back(
    gs: ModuleType, run: Run, server: Server, first: str
) -> None:
    async def main() -> None:
        talking = Talking(gs)
        if first == "stream":
            await talking.open()
        with gs.drain_on_signals(SECONDS, retry_ms=7):
            if first == "block":
                await talking.open()
            signal.raise_signal(INT)  # which is not the end of all: it is theirs
            await turns(5)
            assert not talking.serving.done()
            gs.streaming.open_streams.open_streams().draining.cancel()
        assert not server.stands()
        signal.raise_signal(INT)
        assert await talking.kind() == "drained"
        assert not talking.connection.body.endswith(b"retry: 7\n")
        assert server.heard == [INT, INT]

    run(main())


def test_one_signal_that_passes_two_handlers_is_one(
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


def test_a_drain_that_was_cancelled_leaves_the_next_signal_its_grace_time(
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


def test_streams_in_other_threads_are_none_of_its_business(
    gs: ModuleType, run: Run, server: Server
) -> None:
    def elsewhere() -> None:
        async def main() -> None:
            talking = await Talking(gs).open()
            assert server.stands()
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
        assert not server.stands()
        assert other.run(streams[1].kind()) == "drained"
    assert server.heard == [INT]


def test_a_loop_that_is_over_with_its_streams_open_swallows_no_signal(
    gs: ModuleType, server: Server
) -> None:
    async def begin() -> Any:
        stream = gs.streaming.stream.Stream(iter("a"), gs.SSEEncoder())
        gs.streaming.open_streams.open_streams().enter(stream)
        return stream

    with asyncio.Runner() as runner:
        runner.run(begin())
    assert not server.stands()
    signal.raise_signal(TERM)
    assert server.heard == [TERM]
    with asyncio.Runner() as runner:  # the next one forgets it
        runner.run(asyncio.wait_for(_one(gs), SECONDS))
    assert server.stands()


async def _one(gs: ModuleType) -> None:
    talking = await Talking(gs).open()
    talking.go_on.set()
    await talking.kind()


def test_the_handlers_that_a_loop_keeps_itself_hear_too(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        heard: list[int] = []
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        for number in (TERM, INT):
            loop.add_signal_handler(number, lambda n=number: (heard.append(n), told.set()))
        talking = await Talking(gs).open()
        signal.raise_signal(INT)
        assert await talking.kind() == "drained"
        await told.wait()
        told.clear()
        signal.raise_signal(TERM)  # which it would not hear if its handler had not come back
        await told.wait()
        assert heard == [INT, TERM]
        for number in (TERM, INT):
            loop.remove_signal_handler(number)

    with handlers(signal.SIG_DFL, signal.default_int_handler):
        run(main())


def test_on_trio_it_stands_in_front_too(gs: ModuleType) -> None:
    trio = pytest.importorskip("trio")
    from trio_exchange import Exchange, on_trio

    exchange = Exchange()

    async def source() -> AsyncIterator[str]:
        yield "a"
        await trio.sleep_forever()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exchange.serve, gs, source())
            await exchange.got.wait()
            with pytest.raises(KeyboardInterrupt):  # trio's own handler is called
                signal.raise_signal(INT)
                await trio.lowlevel.checkpoint()  # it interrupts no connection that runs

    with handlers(signal.SIG_DFL, signal.default_int_handler):
        on_trio(main)
        assert signal.getsignal(INT) is signal.default_int_handler
    assert exchange.kind == "drained"


def test_where_a_server_leaves_sigterm_to_the_system_it_is_repeated_at_the_end(
    gs: ModuleType, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[tuple[int, Any]] = []
    monkeypatch.setitem(sys.modules, "hypercorn.trio.run", ModuleType("hypercorn.trio.run"))
    monkeypatch.setattr(
        gs.streaming.signals.os, "kill", lambda _, number: killed.append(signal.getsignal(number))
    )

    async def main() -> None:
        talking = await Talking(gs).open()
        signal.raise_signal(TERM)
        await turns(5)
        assert not killed
        talking.go_on.set()
        assert await talking.kind() == "completed"
        await turns(3)
        assert killed == [signal.SIG_DFL]

    with handlers(signal.SIG_DFL, signal.default_int_handler):
        run(main())
