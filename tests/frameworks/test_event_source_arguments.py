"""The arguments of what stands in for sse-starlette's response."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from typing import Any

import pytest
from scripted_asgi import Connection, Gate, Source, asynchronous, run
from virtual_time import VirtualTimeLoop

from gaistream import SSEDecoder, StreamError

pytest.importorskip("starlette", reason="Starlette is not installed")

from starlette.background import BackgroundTask
from starlette.datastructures import Headers

from gaistream.frameworks.sse_starlette.sse import SendTimeoutError
from gaistream.frameworks.starlette import EventSourceResponse, ServerSentEvent


def test_every_argument_of_sse_starlettes_is_there_in_its_place() -> None:
    theirs = pytest.importorskip("sse_starlette", reason="sse-starlette is not installed")
    for name in ("EventSourceResponse", "ServerSentEvent"):
        ours = inspect.signature(globals()[name]).parameters
        expected = inspect.signature(getattr(theirs, name)).parameters
        assert list(ours) == list(expected)
        assert [each.default for each in ours.values()] == [
            each.default for each in expected.values()
        ]
        assert [each.kind for each in ours.values()] == [each.kind for each in expected.values()]


def test_status_headers_and_media_type_are_taken_by_position() -> None:
    async def test() -> None:
        headers = {"Cache-Control": "max-age=1", "X-A": "a", "X-Accel-Buffering": "yes"}
        response = EventSourceResponse([], 201, headers, "text/x", BackgroundTask(ran.append, 1))
        response.set_cookie("a", "b")
        served = await Connection().serve(response)
        assert served.status == 201
        assert served.headers["content-type"] == "text/x; charset=utf-8"
        assert served.headers["cache-control"] == "max-age=1"
        assert served.headers["x-accel-buffering"] == "no"
        assert served.headers["set-cookie"].startswith("a=b")
        assert ran == [1]

    ran: list[int] = []
    run(test())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_headers_are_the_originals_but_connection_is_left_out_of_http_2(method: str) -> None:
    theirs = pytest.importorskip("sse_starlette", reason="sse-starlette is not installed")

    async def test() -> None:
        served = await Connection(method).serve(EventSourceResponse([]))
        assert served.sent[0]["headers"] == theirs.EventSourceResponse([]).raw_headers
        assert served.headers.pop("connection") == "keep-alive"
        two = await Connection(method, http_version="2").serve(EventSourceResponse([]))
        assert "connection" not in two.headers

    run(test())


def test_of_a_header_that_is_given_twice_the_last_is_sent() -> None:
    theirs = pytest.importorskip("sse_starlette", reason="sse-starlette is not installed")
    headers = Headers(raw=[(b"x-a", b"1"), (b"x-a", b"2")])
    expected = theirs.EventSourceResponse([], headers=headers).raw_headers
    assert EventSourceResponse([], headers=headers).raw_headers == expected


def test_a_subclass_that_overrides_what_nothing_calls_is_warned_of() -> None:
    with pytest.warns(RuntimeWarning, match="Pushed overrides _ping, which only sse-starlette"):

        class Pushed(EventSourceResponse):
            async def _ping(self, send: Any) -> None:
                raise AssertionError

    class Wrapped(EventSourceResponse):  # an error, if it were warned of
        async def __call__(self, *args: Any) -> None:
            await super().__call__(*args)


def test_a_scope_needs_no_headers() -> None:
    async def test() -> None:
        for method in ("GET", "POST"):
            connection = Connection()
            connection.scope = {"type": "http", "method": method}
            served = await connection.serve(EventSourceResponse(["a"]))
            assert served.body == b"data: a\r\n\r\n"

    run(test())


async def until_pinged(response: EventSourceResponse, said: bytes) -> Connection:
    connection = Connection()
    serving = connection.begin(response)
    await connection.until_said(said)
    connection.leave()
    await serving
    return connection


def test_pings_are_comments_with_the_time() -> None:
    async def test() -> None:
        await until_pinged(EventSourceResponse(Source(), ping=0.01), b": ping - 20")

    run(test())


def test_pings_come_on_the_clock_whatever_else_is_sent() -> None:
    async def source() -> AsyncIterator[str]:
        for _ in range(61):
            yield "a"
            await asyncio.sleep(0.5)

    async def test() -> None:
        connection = await Connection().serve(EventSourceResponse(source(), ping=10, sep="\n"))
        assert connection.body.count(b": ping - ") == 3
        assert connection.body.count(b"data: a\n\n") == 61

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(test())


def test_a_ping_may_be_any_item() -> None:
    async def test() -> None:
        for ping in (
            ServerSentEvent("still", event="here"),
            {"event": "here", "data": "still"},
            b"event: here\r\ndata: still\r\n\r\n",
        ):
            response = EventSourceResponse(Source(), ping=0.01, ping_message_factory=lambda: ping)
            await until_pinged(response, b"event: here\r\ndata: still\r\n\r\n")

    run(test())


def test_a_ping_that_cannot_be_made_or_written_is_replaced() -> None:
    async def test() -> None:
        for factory in (lambda: {"unknown": 1}, lambda: 1 / 0):
            response = EventSourceResponse(Source(), ping=0.01, ping_message_factory=factory)
            await until_pinged(response, b": ping - 20")

    run(test())


def test_ping_zero_means_none_and_the_interval_may_be_set_later() -> None:
    assert EventSourceResponse([]).ping_interval == 15
    response = EventSourceResponse(Source(), ping=0)
    assert response.ping_interval == 0
    with pytest.raises(ValueError, match="ping"):
        response.ping_interval = -1
    with pytest.raises(TypeError, match="ping"):
        response.ping_interval = None  # type: ignore[assignment]
    response.ping_interval = 0.01

    async def test() -> None:
        await until_pinged(response, b": ping")

    run(test())


def test_the_close_handler_is_called_once_when_the_client_has_gone() -> None:
    async def test() -> None:
        calls: list[Any] = []
        source = Source("a")

        async def handler(message: Any) -> None:
            await asyncio.sleep(0)
            calls.append((message, source.closed))

        response = EventSourceResponse(source, client_close_handler_callable=handler)
        await until_pinged(response, b"data: a")
        assert [message for message, _ in calls] == [{"type": "http.disconnect"}]
        assert source.closed == 1
        response = EventSourceResponse(["a"], client_close_handler_callable=handler)
        await Connection().serve(response)
        assert len(calls) == 1

    run(test())


def test_the_clean_up_of_a_source_may_wait_for_the_close_handler() -> None:
    async def test() -> None:
        told, order = asyncio.Event(), list[str]()

        async def handler(_: Any) -> None:
            order.append("handler")
            told.set()

        async def source() -> AsyncIterator[str]:
            try:
                yield "a"
                await asyncio.Event().wait()
            finally:
                await told.wait()
                order.append("source")

        response = EventSourceResponse(source(), client_close_handler_callable=handler)
        await until_pinged(response, b"data: a")
        assert order == ["handler", "source"]

    run(test())


def test_a_close_handler_that_hangs_is_cancelled_in_time() -> None:
    steps = []

    async def hang(_: Any) -> None:
        steps.append("called")
        try:
            await asyncio.Event().wait()
        finally:
            steps.append("cancelled")

    async def test() -> None:
        response = EventSourceResponse(
            Source("a"), client_close_handler_callable=hang, cleanup_timeout=0.01
        )
        await until_pinged(response, b"data: a")

    run(test())
    assert steps == ["called", "cancelled"]


@pytest.mark.parametrize("stuck", ["http.response.start", "http.response.body"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_send_beyond_the_timeout_is_raised(method: str, stuck: str) -> None:
    async def test() -> None:
        source, connection, ran = Source("a"), Connection(method), []
        connection.before_send = lambda message: (
            asyncio.Event().wait() if message["type"] == stuck else None
        )
        background = BackgroundTask(ran.append, 1)
        response = EventSourceResponse(source, send_timeout=0.01, background=background)
        with pytest.raises(SendTimeoutError, match=r"longer than 0\.01 seconds"):
            await connection.serve(response)
        assert source.closed == 1
        assert not ran

    run(test())


def test_an_error_of_a_send_is_raised_and_the_source_closed() -> None:
    async def test() -> None:
        for error in (OSError("gone"), RuntimeError("broken")):
            source, connection = Source("a", "b"), Connection()

            def fail(message: Any, error: Exception = error) -> None:
                if message.get("body"):
                    raise error

            connection.before_send = fail
            with pytest.raises(type(error)) as raised:
                await connection.serve(EventSourceResponse(source))
            assert raised.value is error
            assert source.closed == 1

    run(test())


def test_a_cleanup_beyond_its_time_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    class Slow(Source):
        async def aclose(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                self.closed += 1

    async def test() -> None:
        source = Slow({"unknown": 1})
        with pytest.raises(TypeError):
            await Connection().serve(EventSourceResponse(source, cleanup_timeout=0.01))
        assert source.closed == 1
        assert "cancelled again" in caplog.text

    run(test())


# ---- data_sender_callable ----


def test_a_sender_runs_beside_the_source_and_is_cancelled_with_it() -> None:
    async def test() -> None:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        ended: list[str] = []

        async def source() -> AsyncIterator[Any]:
            while (item := await queue.get()) is not None:
                yield item

        async def send() -> None:
            try:
                for item in ("a", {"data": "b"}, None):
                    queue.put_nowait(item)
                await asyncio.Event().wait()
            finally:
                ended.append("sender")

        response = EventSourceResponse(source(), data_sender_callable=send)
        served = await Connection().serve(response)
        assert served.body == b"data: a\r\n\r\ndata: b\r\n\r\n"
        assert ended == ["sender"]

    run(test())


def test_a_sender_that_fails_ends_the_stream() -> None:
    async def test() -> None:
        source, gate, connection = Source("a"), Gate(), Connection()

        async def send() -> None:
            await gate()
            raise StreamError("no more", code="gone")

        serving = connection.begin(EventSourceResponse(source, data_sender_callable=send))
        await connection.until_said(b"data: a")
        gate.open()
        with pytest.raises(StreamError, match="no more"):
            await serving
        assert b'{"code":"gone","message":"no more"}' in connection.body
        assert connection.is_complete
        assert source.closed == 1

    run(test())


def test_a_source_that_fails_beside_a_sender_fails_as_it_does_alone() -> None:
    async def test() -> None:
        source = asynchronous("a", StreamError("busy", code="busy"))
        response = EventSourceResponse(source, data_sender_callable=asyncio.Event().wait)
        connection = Connection()
        with pytest.raises(StreamError, match="busy"):
            await connection.serve(response)
        assert connection.body.endswith(b'{"error":{"code":"busy","message":"busy"}}\r\n\r\n')

    run(test())


def test_source_and_sender_end_when_the_client_goes() -> None:
    async def test() -> None:
        source, ended = Source("a"), asyncio.Event()

        async def send() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                for _ in range(5):  # a cleanup that suspends is waited for
                    await asyncio.sleep(0)
                assert not source.closed
                ended.set()

        response = EventSourceResponse(source, data_sender_callable=send)
        await until_pinged(response, b"data: a")
        assert ended.is_set()
        assert source.closed == 1

    run(test())


def test_anyio_channels_work_as_they_do_there() -> None:
    anyio = pytest.importorskip("anyio")

    async def test() -> None:
        sending, receiving = anyio.create_memory_object_stream(1)

        async def send() -> None:
            async with sending:
                for number in range(3):
                    await sending.send({"data": number})

        response = EventSourceResponse(receiving, data_sender_callable=send)
        served = await Connection().serve(response)
        assert [each.json() for each in SSEDecoder().feed(served.body)] == [0, 1, 2]

    run(test())


def test_head_touches_neither_source_nor_sender() -> None:
    async def test() -> None:
        source, ran = Source(), []

        async def send() -> None:
            raise AssertionError

        response = EventSourceResponse(
            source, data_sender_callable=send, background=BackgroundTask(ran.append, 1)
        )
        served = await Connection("HEAD").serve(response)
        assert (served.status, served.body, source.asked, ran) == (200, b"", 0, [1])

    run(test())
