"""What stands in for sse-starlette's response, and the providers' timing, on trio."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
import trio.testing
from trio_exchange import Exchange, on_trio

import gaistream
from gaistream.streaming.open_streams import open_streams

pytest.importorskip("starlette", reason="Starlette is not installed")

from gaistream.frameworks.starlette import EventSourceResponse
from gaistream.providers.docs import DocsProvider

SCOPE = {"type": "http", "method": "GET", "headers": []}


class Source:
    """A source that waits for ever behind its items, and may take long to close."""

    def __init__(self, *items: Any, slow: bool = False) -> None:
        self.items = list(items)
        self.slow = slow
        self.waits = trio.Event()
        self.closed = 0

    def __aiter__(self) -> Source:
        return self

    async def __anext__(self) -> Any:
        if self.items:
            return self.items.pop(0)
        self.waits.set()
        return await trio.sleep_forever()

    async def aclose(self) -> None:
        try:
            if self.slow:
                await trio.sleep_forever()
        finally:
            self.closed += 1


def test_a_sender_runs_beside_the_source_and_is_cancelled_with_it() -> None:
    async def main() -> None:
        sending, receiving = trio.open_memory_channel[Any](1)
        ended: list[str] = []

        async def send() -> None:
            try:
                async with sending:
                    for item in ("a", {"data": "b"}):
                        await sending.send(item)
                await trio.sleep_forever()
            finally:
                ended.append("sender")

        exchange = Exchange()
        response = EventSourceResponse(receiving, data_sender_callable=send)
        await response(SCOPE, exchange.receive, exchange.send)
        assert exchange.body == b"data: a\r\n\r\ndata: b\r\n\r\n"
        assert ended == ["sender"]

    on_trio(main)


def test_a_sender_that_fails_ends_the_stream() -> None:
    async def main() -> None:
        source, exchange = Source("a"), Exchange()

        async def send() -> None:
            await source.waits.wait()
            raise gaistream.StreamError("no more", code="gone")

        response = EventSourceResponse(source, data_sender_callable=send)
        with pytest.raises(gaistream.StreamError, match="no more"):
            await response(SCOPE, exchange.receive, exchange.send)
        assert b"no more" in exchange.body
        assert not exchange.sent[-1]["more_body"]
        assert source.closed == 1

    on_trio(main)


def test_a_sender_that_fails_while_the_client_takes_nothing_ends_the_stream_alone() -> None:
    async def main() -> None:
        class Full(Source):
            async def __anext__(self) -> Any:
                asked.set()
                return "x" * 70_000

        asked, failed, source, exchange = trio.Event(), trio.Event(), Full(), Exchange()

        async def send() -> None:
            await asked.wait()
            await trio.testing.wait_all_tasks_blocked()  # the source waits for room
            failed.set()
            raise gaistream.StreamError("no more", code="gone")

        async def stuck(message: Any) -> None:
            if message.get("body"):
                await failed.wait()
            await exchange.send(message)

        response = EventSourceResponse(source, data_sender_callable=send)
        with pytest.raises(gaistream.StreamError, match="no more"):
            await response(SCOPE, exchange.receive, stuck)
        assert b"no more" in exchange.body
        assert source.closed == 1

    on_trio(main)


def test_source_and_sender_end_when_the_client_goes() -> None:
    async def main() -> None:
        source, exchange, ended = Source("a"), Exchange(), []

        async def send() -> None:
            try:
                await trio.sleep_forever()
            finally:
                ended.append("sender")

        async with trio.open_nursery() as nursery:
            response = EventSourceResponse(source, data_sender_callable=send)
            nursery.start_soon(response, SCOPE, exchange.receive, exchange.send)
            await source.waits.wait()
            exchange.gone.set()
        assert ended == ["sender"]
        assert source.closed == 1

    on_trio(main)


@pytest.mark.parametrize("begun", [True, False])
def test_a_cleanup_beyond_its_time_is_cancelled(
    begun: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        source, exchange = Source({"unknown": 1}, slow=True), Exchange()
        response = EventSourceResponse(source, cleanup_timeout=0.01)
        scope = {**SCOPE, "method": "GET" if begun else "HEAD"}
        with pytest.raises(TypeError) if begun else contextlib.nullcontext():
            await response(scope, exchange.receive, exchange.send)
        assert source.closed == 1

    with caplog.at_level(logging.WARNING):
        on_trio(main)
    assert "cancelled again" in caplog.text


def test_a_source_that_is_told_of_a_drain_says_goodbye() -> None:
    async def main() -> None:
        event, waits, exchange = trio.Event(), trio.Event(), Exchange()

        async def source() -> AsyncIterator[str]:
            yield "a"
            waits.set()
            await event.wait()
            yield "bye"

        response = EventSourceResponse(source(), shutdown_event=event, shutdown_grace_period=3600)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(response, SCOPE, exchange.receive, exchange.send)
            await waits.wait()
            await gaistream.drain(3600)
        assert exchange.body == b"data: a\r\n\r\ndata: bye\r\n\r\n"

    on_trio(main)


def test_a_client_that_goes_after_its_turn_in_a_drain_leaves_no_timer() -> None:
    async def main() -> None:
        source, exchange = Source("a"), Exchange()
        async with trio.open_nursery() as nursery:
            response = EventSourceResponse(source, shutdown_grace_period=3600)
            nursery.start_soon(response, SCOPE, exchange.receive, exchange.send)
            await source.waits.wait()
            ended = gaistream.drain(3600)
            [stream] = open_streams().streams
            open_streams().draining.end(stream)  # its turn has come
            exchange.gone.set()
            await ended
        assert source.closed == 1

    on_trio(main)


def test_the_handbooks_provider_keeps_its_rate_on_trio() -> None:
    async def main() -> None:
        exchange = Exchange()
        request = gaistream.ChatRequest(({"role": "user", "content": "heartbeat"},))
        answer = DocsProvider(rate=100_000).stream_text(request)
        await exchange.serve(gaistream, answer)
        assert exchange.kind == "completed"

    on_trio(main)
