"""The handlers that the automatic drain stands before, and those that it leaves alone."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

import pytest
from loops import Run, turns
from signal_handlers import INT, TERM, Server, Talking, handlers, recording_server


@pytest.fixture
def server(gs: ModuleType) -> Iterator[Server]:
    with recording_server(gs) as server:
        yield server


def notebook_handler(number: int, frame: object) -> None:
    """The handler of a notebook while a cell awaits."""


notebook_handler.__module__ = "ipykernel.kernelbase"


@pytest.mark.parametrize(
    "theirs", [signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler, notebook_handler]
)
def test_a_script_and_a_notebook_keep_their_handlers(
    gs: ModuleType, run: Run, theirs: Any
) -> None:
    async def main() -> None:
        before = [signal.getsignal(each) for each in (TERM, INT)]
        if theirs is signal.default_int_handler:
            assert before[1] is not theirs  # a Runner sets its own, which is Python's too
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


def test_a_handler_set_since_stays_and_its_signals_are_passed_on(
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
        signal.raise_signal(TERM)  # with no open stream it is only passed on
        await turns(5)
        assert not gs.draining()
        second = await Talking(gs).open()
        signal.raise_signal(TERM)
        await turns(5)
        assert gs.draining()
        assert not second.serving.done()  # the one signal was not counted twice
        signal.raise_signal(TERM)
        assert await second.kind() == "drained"
        assert signal.getsignal(TERM) is theirs
        signal.signal(TERM, server.handle)
        assert server.heard == passed == [TERM] * 3

    run(main())


def test_handlers_of_add_signal_handler_are_called_too(gs: ModuleType, run: Run) -> None:
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
        signal.raise_signal(TERM)  # its handler was restored
        await told.wait()
        assert heard == [INT, TERM]
        for number in (TERM, INT):
            loop.remove_signal_handler(number)

    with handlers(signal.SIG_DFL, signal.default_int_handler):
        run(main())


def test_on_trio_the_handler_is_set_too(gs: ModuleType) -> None:
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
                await trio.lowlevel.checkpoint()  # not in a connection that is running

    with handlers(signal.SIG_DFL, signal.default_int_handler):
        on_trio(main)
        assert signal.getsignal(INT) is signal.default_int_handler
    assert exchange.kind == "drained"


def test_sigterm_is_repeated_after_the_drain_if_the_server_leaves_it_to_the_system(
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
