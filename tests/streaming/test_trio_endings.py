"""On trio a source's scopes and failures stay its own, however its stream ends."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from types import ModuleType
from typing import Any

import pytest
import trio
import trio.lowlevel
from trio_exchange import Exchange, on_trio


def done_in_a_scope(gs: ModuleType) -> Any:
    async def source() -> AsyncIterator[Any]:
        with trio.move_on_after(60):
            yield "a"
            yield gs.events.Done()
            yield "more"

    return source()


def done_in_a_nursery(gs: ModuleType) -> Any:
    async def source() -> AsyncIterator[Any]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 100)
            yield "a"
            yield gs.events.Done()
            yield "more"

    return source()


def much_in_a_scope(_: ModuleType) -> Any:
    async def source() -> AsyncIterator[Any]:
        with trio.move_on_after(60):
            while True:
                yield "a" * 100_000

    return source()


class Stalled(Exchange):
    """A client that takes nothing of the body, and then goes."""

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message.get("body", b"").startswith(b"event: text_delta"):
            self.gone.set()
            await trio.sleep_forever()


@pytest.mark.parametrize("source", [done_in_a_scope, done_in_a_nursery, much_in_a_scope])
def test_a_source_is_closed_within_its_own_scopes(
    gs: ModuleType, source: Callable[[ModuleType], Any], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        exchange = Stalled() if source is much_in_a_scope else Exchange()
        await exchange.serve(gs, source(gs))
        assert exchange.kind == ("client_gone" if source is much_in_a_scope else "completed")

    with caplog.at_level(logging.WARNING):
        on_trio(main)
    assert not caplog.records


def test_a_time_out_that_strikes_while_the_client_is_slow_is_the_sources(gs: ModuleType) -> None:
    async def source() -> AsyncIterator[str]:
        with trio.move_on_after(0.05):
            while True:
                yield "b" * 100_000
                await trio.lowlevel.checkpoint()
        yield "a"

    class Slow(Exchange):
        async def send(self, message: Any) -> None:
            await super().send(message)
            await trio.sleep(0.05)

    async def main() -> None:
        exchange = Slow()
        await exchange.serve(gs, source())
        assert exchange.kind == "completed"
        assert b'"a"' in exchange.body

    on_trio(main)


@pytest.mark.parametrize("error", [GeneratorExit(), SystemExit(3)])
def test_a_source_that_raises_an_exit_does_not_break_trio(
    gs: ModuleType, error: BaseException
) -> None:
    async def source() -> AsyncIterator[str]:
        yield "a"
        await trio.lowlevel.checkpoint()
        raise error

    exchange, kinds = Exchange(), list[str]()

    async def main() -> None:
        await exchange.serve(gs, source())
        kinds.append(exchange.kind)

    if isinstance(error, SystemExit):
        with pytest.raises(SystemExit):
            on_trio(main)
        assert exchange.kind == "cancelled"
    else:
        on_trio(main)
        assert kinds == ["failed"]


def test_what_fails_while_the_client_goes_is_in_the_outcome(gs: ModuleType) -> None:
    async def failing() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("while it ends")

    async def source() -> AsyncIterator[str]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(failing)
            yield "a"
            await trio.sleep_forever()

    async def main() -> None:
        exchange = Exchange()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exchange.serve, gs, source())
            await exchange.got.wait()
            exchange.gone.set()
        [outcome] = exchange.outcomes
        assert outcome.kind == "client_gone"
        assert outcome.error.exceptions[0].args == ("while it ends",)

    on_trio(main)


@pytest.mark.parametrize("swallows", [False, True])
def test_a_clean_up_that_hangs_is_broken_off_in_time(gs: ModuleType, swallows: bool) -> None:
    ended, over = list[str](), trio.Event()

    async def source() -> AsyncIterator[str]:
        try:
            yield "a"
            await trio.sleep_forever()
        finally:
            try:
                with trio.move_on_after(3, shield=swallows):
                    await trio.sleep_forever()
            finally:
                ended.append("source")
                over.set()

    async def main() -> None:
        exchange = Exchange()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: exchange.serve(gs, source(), cleanup_timeout=0.05))
            await exchange.got.wait()
            exchange.gone.set()
        [outcome] = exchange.outcomes
        assert outcome.source_closed is not swallows
        if swallows:
            assert not ended
            await over.wait()
        assert ended == ["source"]

    on_trio(main)


def test_a_source_that_fails_at_once_is_answered_with_a_status(gs: ModuleType) -> None:
    async def source() -> AsyncIterator[str]:
        raise gs.StreamError("no room", code="full", status=503)
        yield

    async def main() -> None:
        for _ in range(20):  # trio's order of tasks is random
            exchange = Exchange()
            await exchange.serve(gs, source())
            assert exchange.sent[0]["status"] == 503

    on_trio(main)
