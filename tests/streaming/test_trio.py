"""The engine on trio: the same life of a stream, and nothing left of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest
import trio
import trio.lowlevel
import trio.testing
from frames import DONE, INTERNAL, PRELUDE, said
from trio_exchange import Exchange, on_trio


class Waiting:
    """A source that says one thing and waits; its cleanup needs a moment."""

    def __init__(self) -> None:
        self.closed = False

    async def __call__(self) -> AsyncIterator[str]:
        try:
            yield "a"
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.001)
            self.closed = True


def test_events_go_out_as_they_come_and_the_end_is_said(gs: ModuleType) -> None:
    async def main() -> None:
        exchange, go_on = Exchange(), trio.Event()

        async def source() -> AsyncIterator[str]:
            yield "a"
            await go_on.wait()
            yield "b"

        async with trio.open_nursery() as nursery:
            nursery.start_soon(exchange.serve, gs, source())
            await exchange.got.wait()
            assert exchange.body == PRELUDE + said("a")
            go_on.set()
        assert exchange.body == PRELUDE + said("a") + said("b") + DONE
        assert exchange.sent[-1]["more_body"] is False
        assert exchange.kind == "completed"

    on_trio(main)


def test_a_source_that_fails_ends_the_stream_with_the_error(gs: ModuleType) -> None:
    async def main() -> None:
        exchange = Exchange()

        async def source() -> AsyncIterator[str]:
            yield "a"
            await trio.lowlevel.checkpoint()
            raise ValueError("secret")

        await exchange.serve(gs, source())
        assert exchange.body == PRELUDE + said("a") + INTERNAL
        assert exchange.kind == "failed"

    on_trio(main)


@pytest.mark.parametrize("how", ["client_gone", "cancelled", "drained"])
def test_the_source_is_closed_however_the_stream_is_ended(gs: ModuleType, how: str) -> None:
    async def main() -> None:
        exchange, source = Exchange(), Waiting()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exchange.serve, gs, source())
            await exchange.got.wait()
            if how == "client_gone":
                exchange.gone.set()
            elif how == "cancelled":
                nursery.cancel_scope.cancel()
            else:
                await gs.drain(0, retry_ms=9)
                assert exchange.body == PRELUDE + said("a") + b"retry: 9\n"
                assert exchange.sent[-1]["more_body"] is False
        assert source.closed
        assert exchange.kind == how

    on_trio(main)


def test_a_send_that_stalls_ends_the_stream(gs: ModuleType) -> None:
    async def main() -> None:
        source = Waiting()
        async with gs.testing.stream(gs.asgi.SSEResponse(source(), send_timeout=20)) as s:
            s.stall()
            await s.advance(15 + 20)  # a heartbeat, and its send
            await s.wait_closed()
            assert s.outcome.kind == "stalled"
        assert source.closed

    on_trio(main)


def test_a_source_that_waits_has_heartbeats(gs: ModuleType) -> None:
    async def main() -> None:
        async with gs.testing.stream(gs.asgi.SSEResponse(Waiting()())) as s:
            await s.advance(30)
            assert s.comments == ["", "keep-alive", "keep-alive"]

    on_trio(main)


def test_the_time_outs_of_a_source_are_its_own(gs: ModuleType) -> None:
    async def main() -> None:
        exchange = Exchange()

        async def source() -> AsyncIterator[str]:
            with trio.move_on_after(0.01) as scope:
                yield "a"
                await trio.sleep_forever()
            assert scope.cancelled_caught
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep, 0)
                yield "b"

        await exchange.serve(gs, source())
        assert exchange.body == PRELUDE + said("a") + said("b") + DONE

    on_trio(main)


def test_a_blocking_source_runs_in_a_thread(gs: ModuleType) -> None:
    async def main() -> None:
        exchange = Exchange()
        await exchange.serve(gs, (text for text in "abc"))
        assert exchange.body == PRELUDE + said("a") + said("b") + said("c") + DONE

    on_trio(main)


def test_a_handler_reads_the_body_and_serves(gs: ModuleType) -> None:
    class Echo:
        async def stream_text(self, request: Any) -> AsyncIterator[str]:
            await trio.lowlevel.checkpoint()
            yield request

    async def main() -> None:
        async def prepare(request: Any) -> str:
            return (await request.body()).decode()

        handler = gs.asgi.sse_handler(Echo(), prepare)
        exchange, said_body = Exchange(), []

        async def receive() -> Any:
            await trio.lowlevel.checkpoint()
            if not said_body:
                said_body.append(True)
                return {"type": "http.request", "body": b"question", "more_body": False}
            return await exchange.receive()

        scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}
        await handler(scope, receive, exchange.send)
        assert b'{"text":"question"}' in exchange.body

    on_trio(main)


def test_an_iterator_of_bytes_runs_on_trio(gs: ModuleType) -> None:
    async def main() -> None:
        async def source() -> AsyncIterator[str]:
            yield "a"
            await trio.lowlevel.checkpoint()

        assert b"".join([chunk async for chunk in gs.sse(source())]) == PRELUDE + said("a") + DONE

    on_trio(main)
