"""What stands in for sse-starlette's response at a shutdown: its source is told, and has time."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from scripted_asgi import Connection, Source, run

import gaistream
from gaistream.streaming.open_streams import open_streams

pytest.importorskip("starlette", reason="Starlette is not installed")

import anyio

from gaistream.frameworks.starlette import EventSourceResponse

GRACE = 3600.0  # of which nobody waits for the end
BYE = b"event: shutdown\r\ndata: bye\r\n\r\n"


class Polite:
    """A source that waits for the event, says goodbye and ends."""

    def __init__(self, event: Any) -> None:
        self.event = event
        self.cancelled = False
        self.waits = asyncio.Event()

    async def __call__(self) -> AsyncIterator[Any]:
        try:
            yield "a"
            self.waits.set()
            await self.event.wait()
            yield {"event": "shutdown", "data": "bye"}
        except asyncio.CancelledError:
            self.cancelled = True
            raise


@pytest.mark.parametrize("make_event", [asyncio.Event, anyio.Event])
def test_a_source_that_is_told_says_goodbye_and_ends_by_itself(make_event: Any) -> None:
    async def test() -> None:
        event, connection = make_event(), Connection()
        source = Polite(event)
        response = EventSourceResponse(source(), shutdown_event=event, shutdown_grace_period=GRACE)
        serving = connection.begin(response)
        await source.waits.wait()
        await gaistream.drain(GRACE)
        await serving
        assert event.is_set()
        assert not source.cancelled
        assert connection.body == b"data: a\r\n\r\n" + BYE
        assert connection.is_complete

    run(test())


def test_without_an_event_it_just_has_the_time(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        connection, go_on, waits = Connection(), asyncio.Event(), asyncio.Event()

        async def source() -> AsyncIterator[str]:
            yield "a"
            waits.set()
            await go_on.wait()
            yield "b"

        serving = connection.begin(EventSourceResponse(source(), shutdown_grace_period=GRACE))
        await waits.wait()
        ended = gaistream.drain(GRACE)
        go_on.set()
        await ended
        await serving
        assert connection.body == b"data: a\r\n\r\ndata: b\r\n\r\n"

    run(test())
    assert not caplog.records


@pytest.mark.parametrize("own", [0, 0.02, GRACE])
def test_one_that_does_not_listen_is_ended_whole_within_the_drains_time(own: float) -> None:
    async def test() -> None:
        event, source, connection = asyncio.Event(), Source("a"), Connection()
        response = EventSourceResponse(source, shutdown_event=event, shutdown_grace_period=own)
        serving = connection.begin(response)
        await source.waiting.wait()
        await gaistream.drain(0.05, retry_ms=700)
        await serving
        assert event.is_set()
        assert source.closed == 1
        assert connection.body == b"data: a\r\n\r\nretry: 700\r\n\r\n"
        assert connection.is_complete

    run(test())


@pytest.mark.parametrize("own", [0, GRACE])
def test_its_turn_in_the_drain_ends_it_only_if_its_own_time_is_over(own: float) -> None:
    async def test() -> None:
        source, connection = Source("a"), Connection()
        serving = connection.begin(EventSourceResponse(source, shutdown_grace_period=own))
        await source.waiting.wait()
        gaistream.drain(GRACE)
        [stream] = open_streams().streams
        open_streams().draining.end(stream)  # its turn has come
        assert stream.outcome.kind == ("drained" if own == 0 else "completed")
        assert source.closed == 0
        await gaistream.drain(0)
        await serving
        assert stream.outcome.kind == "drained"
        assert source.closed == 1

    run(test())


@pytest.fixture
def handled() -> Iterator[None]:
    """A server's handlers, which do nothing."""
    before = {each: signal.signal(each, lambda *_: None) for each in (15, 2)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.usefixtures("handled")
def test_at_a_signal_its_own_time_is_kept_with_nothing_configured(number: int) -> None:
    async def test() -> None:
        event, connection, go_on = asyncio.Event(), Connection(), asyncio.Event()
        source = Polite(SimpleNamespace(wait=go_on.wait))
        response = EventSourceResponse(source(), shutdown_event=event, shutdown_grace_period=GRACE)
        other, its = Source("a"), Connection()
        serving = connection.begin(response)
        ended = its.begin(EventSourceResponse(other))
        await source.waits.wait()
        await other.waiting.wait()
        signal.raise_signal(number)
        await ended  # which has none
        assert event.is_set()
        assert not serving.done()
        go_on.set()
        await serving
        assert not source.cancelled
        assert connection.body == b"data: a\r\n\r\n" + BYE

    gaistream.automatic_drain(0.01)
    try:
        run(test())
    finally:
        gaistream.automatic_drain()


@pytest.mark.usefixtures("handled")
def test_a_second_signal_ends_it_too() -> None:
    async def test() -> None:
        source, connection = Source("a"), Connection()
        serving = connection.begin(EventSourceResponse(source, shutdown_grace_period=GRACE))
        await source.waiting.wait()
        for _ in range(2):
            assert not serving.done()
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(0.01)
        await serving
        assert source.closed == 1
        assert connection.is_complete

    run(test())


def test_it_is_told_once_a_drain_and_a_cancelled_one_does_not_end_it() -> None:
    async def test() -> None:
        source, connection, told = Source("a"), Connection(), []
        event = SimpleNamespace(set=lambda: told.append(open_streams().draining))
        response = EventSourceResponse(source, shutdown_event=event, shutdown_grace_period=0.01)
        serving = connection.begin(response)
        await source.waiting.wait()
        first = gaistream.drain(GRACE)
        gaistream.drain(GRACE / 2)
        first.end(*open_streams().streams)  # its turn has come
        first.cancel()
        await asyncio.sleep(0.02)
        assert not serving.done()
        second = gaistream.drain(GRACE)
        assert told == [first, second]
        gaistream.drain(0)
        await serving

    run(test())


def test_a_drain_without_time_ends_it_at_once_also_one_that_had_time_before() -> None:
    async def test() -> None:
        for before in ([], [GRACE]):
            event, source, connection = asyncio.Event(), Source("a"), Connection()
            response = EventSourceResponse(
                source, shutdown_event=event, shutdown_grace_period=GRACE
            )
            serving = connection.begin(response)
            await source.waiting.wait()
            for grace in before:
                gaistream.drain(grace)
                await asyncio.sleep(0)
                assert event.is_set()
                assert not serving.done()
            await gaistream.drain(0)
            await serving
            assert event.is_set()
            assert source.closed == 1
            open_streams().draining.cancel()  # the next one is another server's

    run(test())


def test_a_client_that_goes_meanwhile_ends_it_and_leaves_no_timer() -> None:
    async def test() -> None:
        source, connection = Source("a"), Connection()
        response = EventSourceResponse(source, shutdown_grace_period=GRACE)
        serving = connection.begin(response)
        await source.waiting.wait()
        ended = gaistream.drain(0.2)
        connection.leave()
        await serving
        await ended
        assert source.closed == 1
        assert not open_streams().streams

    run(test())


def test_an_event_that_cannot_be_set_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def set(self) -> None:
            raise RuntimeError("broken")

    async def test() -> None:
        source, connection = Source("a"), Connection()
        response = EventSourceResponse(source, shutdown_event=Broken())
        serving = connection.begin(response)
        await source.waiting.wait()
        await gaistream.drain(0.02)
        await serving
        assert connection.is_complete

    with caplog.at_level(logging.ERROR):
        run(test())
    assert "shutdown_event" in caplog.text
