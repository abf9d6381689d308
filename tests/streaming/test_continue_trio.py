"""On trio too an answer is finished without its client, and nothing of it is left."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest
import trio
from trio_exchange import Exchange, on_trio


class Answer:
    """An answer that waits after its first piece, and notes its end."""

    def __init__(self, gs: ModuleType) -> None:
        self.let_go = trio.Event()
        self.finish = gs.events.Finish(finish_reason="stop")
        self.closed = 0
        self.cancelled = False

    async def __call__(self) -> AsyncIterator[Any]:
        try:
            with trio.move_on_after(60):
                yield "a"
                await self.let_go.wait()
                yield "b"
                yield self.finish
        except trio.Cancelled:
            self.cancelled = True
            raise
        finally:
            self.closed += 1


class Reported(Exchange):
    """An exchange whose outcome can be awaited."""

    def __init__(self) -> None:
        super().__init__()
        self.reported = trio.Event()

    async def serve(self, gs: ModuleType, source: Any, **settings: Any) -> None:
        async def on_close(outcome: Any) -> None:
            await trio.lowlevel.checkpoint()
            self.outcomes.append(outcome)
            self.reported.set()

        response = gs.asgi.SSEResponse(
            source, on_disconnect="continue", on_close=on_close, **settings
        )
        scope = {"type": "http", "method": "GET", "headers": []}
        await response(scope, self.receive, self.send)


def test_an_answer_is_finished_without_its_client(gs: ModuleType) -> None:
    async def main() -> None:
        answer, exchange = Answer(gs), Reported()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exchange.serve, gs, answer())
            await exchange.got.wait()
            exchange.gone.set()
            await trio.testing.wait_all_tasks_blocked()
            assert not answer.closed
            assert not exchange.outcomes
            answer.let_go.set()
        message = exchange.outcomes[0].message
        assert (exchange.kind, message.text, message.complete) == ("client_gone", "ab", True)
        assert (answer.closed, answer.cancelled) == (1, False)

    on_trio(main)


def test_a_cancelled_request_ends_at_once_and_its_answer_goes_on(gs: ModuleType) -> None:
    async def main() -> None:
        answer, exchange = Answer(gs), Reported()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exchange.serve, gs, answer())
            await exchange.got.wait()
            nursery.cancel_scope.cancel()
        assert not answer.closed
        answer.let_go.set()
        await exchange.reported.wait()
        assert (exchange.kind, exchange.outcomes[0].message.text) == ("cancelled", "ab")

    on_trio(main)


def test_an_answer_with_its_client_is_sent_as_ever(gs: ModuleType) -> None:
    async def main() -> None:
        answer, exchange = Answer(gs), Reported()
        answer.let_go.set()
        await exchange.serve(gs, answer())
        assert exchange.kind == "completed"
        assert exchange.body.endswith(b'event: done\ndata: {"finished":true}\n\n')
        assert exchange.outcomes[0].message.text == "ab"

    on_trio(main)


@pytest.mark.parametrize("end", ["seconds", "drain"])
def test_bounds_and_drains_interrupt_it(gs: ModuleType, end: str) -> None:
    async def main() -> None:
        answer, exchange = Answer(gs), Reported()
        async with trio.open_nursery() as nursery:
            seconds = 0.05 if end == "seconds" else 60
            nursery.start_soon(lambda: exchange.serve(gs, answer(), continue_seconds=seconds))
            await exchange.got.wait()
            exchange.gone.set()
            await trio.testing.wait_all_tasks_blocked()
            if end == "drain":
                await gs.drain(0.05)
        message = exchange.outcomes[0].message
        assert (message.text, message.error.code) == ("a", "interrupted")
        assert (answer.closed, answer.cancelled) == (1, True)

    on_trio(main)


def test_the_end_of_the_run_interrupts_it_and_is_reported(gs: ModuleType) -> None:
    answers, exchanges = [], []

    async def main() -> None:
        answer, exchange = Answer(gs), Reported()
        answers.append(answer)
        exchanges.append(exchange)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exchange.serve, gs, answer())
            await exchange.got.wait()
            nursery.cancel_scope.cancel()

    trio.run(main)
    message = exchanges[0].outcomes[0].message
    assert (message.text, message.error.code) == ("a", "interrupted")
    assert answers[0].closed == 1
