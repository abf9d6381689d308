"""Trio as the engine's event loop: tasks, cancellation, and cleaning up that may wait."""

from __future__ import annotations

import contextvars
import logging
from types import ModuleType
from typing import Any

import pytest
import trio
from trio_exchange import Exchange, on_trio

where: contextvars.ContextVar[str] = contextvars.ContextVar("where", default="nowhere")


class Slow:
    """A source that waits for ever, and whose `aclose` awaits, unshielded, before it is closed."""

    def __init__(self) -> None:
        self.waits = trio.Event()
        self.closed = False

    def __aiter__(self) -> Slow:
        return self

    async def __anext__(self) -> str:
        self.waits.set()
        await trio.sleep_forever()
        raise AssertionError

    async def aclose(self) -> None:
        await trio.sleep(0.001)
        self.closed = True


def test_a_source_may_wait_while_it_is_closed_after_it_was_cancelled(gs: ModuleType) -> None:
    async def main() -> None:
        exchange, source = Exchange(), Slow()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exchange.serve, gs, source)
            await source.waits.wait()
            exchange.gone.set()
        assert (exchange.kind, source.closed) == ("client_gone", True)

    on_trio(main)


def test_a_source_that_was_never_begun_may_wait_too_and_so_may_on_close(gs: ModuleType) -> None:
    async def main() -> None:
        source, told = Slow(), []

        async def on_close(outcome: Any) -> None:
            await trio.sleep(0.001)
            told.append(outcome.kind)

        exchange = Exchange()
        response = gs.asgi.SSEResponse(source, on_close=on_close)
        scope = {"type": "http", "method": "HEAD", "headers": []}
        with trio.CancelScope() as cancelled:
            cancelled.cancel()
            await response(scope, exchange.receive, exchange.send)
        assert cancelled.cancelled_caught
        assert not source.waits.is_set()
        assert source.closed
        assert told == ["cancelled"]

    on_trio(main)


def test_context_variables_reach_the_source(gs: ModuleType) -> None:
    async def main() -> None:
        async def source() -> Any:
            yield where.get()

        where.set("here")
        exchange = Exchange()
        await exchange.serve(gs, source())
        assert b'{"text":"here"}' in exchange.body

    on_trio(main)


def test_a_task_that_is_cancelled_before_its_first_step_never_begins(gs: ModuleType) -> None:
    async def main() -> None:
        loop, begun = gs.loops.event_loop(), []

        async def work() -> None:
            begun.append("work")

        task = loop.create_task(work())
        task.cancel()
        await loop.ended(task)
        assert task.done()
        assert not begun

    on_trio(main)


def test_what_a_task_raises_is_logged_and_does_not_end_the_run(
    gs: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        loop = gs.loops.event_loop()

        async def work() -> None:
            raise ValueError("broken")

        task = loop.create_task(work())
        await loop.ended(task)
        assert task.done()

    with caplog.at_level(logging.ERROR):
        on_trio(main)
    assert ["a stream's task raised"] == [each.message for each in caplog.records]


def test_what_is_no_cancellation_in_a_group_is_the_failure_of_the_source(gs: ModuleType) -> None:
    async def main() -> None:
        failure_in = gs.loops.event_loop().failure_in
        caught: list[BaseException] = []
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled as cancelled:
                caught.append(cancelled)
                raise
        error = ValueError()
        assert failure_in(caught[0]) is None
        assert failure_in(BaseExceptionGroup("", [BaseExceptionGroup("", caught)])) is None
        mixed = failure_in(BaseExceptionGroup("", [error, *caught]))
        assert mixed.exceptions == (error,)
        assert failure_in(error) is error
        assert failure_in(KeyboardInterrupt()) is None

    on_trio(main)
