"""How servers differ in what `receive` and `send` do, scripted: what they say once it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest
from scripted_asgi import DONE, PRELUDE, Connection, Source, asynchronous, run, text


def test_a_disconnect_that_comes_with_the_end_ends_nothing(gs: ModuleType) -> None:
    """As hypercorn says it, whose last send goes on for a while."""

    async def test() -> None:
        outcomes: list[Any] = []
        connection = Connection().hear()

        async def end_slowly() -> None:
            connection.leave()
            for _ in range(10):
                await asyncio.sleep(0)

        connection.before_send = lambda message: (
            None if message.get("more_body", True) else end_slowly()
        )
        response = gs.asgi.SSEResponse(asynchronous("a"), on_close=outcomes.append)
        await connection.serve(response)
        assert connection.body == PRELUDE + text("a") + DONE
        assert connection.is_complete
        assert [outcome.kind for outcome in outcomes] == ["completed"]

    run(test())


@pytest.mark.parametrize("format_", ["SSE", "NDJSON"])
def test_a_disconnect_that_comes_with_a_status_hides_no_failure(
    gs: ModuleType, format_: str
) -> None:
    """As daphne says it, to an app that has answered and not returned yet."""

    async def test() -> None:
        outcomes: list[Any] = []
        connection = Connection().hear()

        async def source() -> AsyncIterator[str]:
            raise gs.StreamError("busy", status=503)
            yield ""

        async def end_slowly() -> None:
            connection.leave()
            for _ in range(10):
                await asyncio.sleep(0)

        connection.before_send = lambda message: (
            end_slowly() if message["type"] == "http.response.body" else None
        )
        make = getattr(gs.asgi, f"{format_}Response")
        await connection.serve(make(source(), on_close=outcomes.append))
        assert connection.sent[0]["status"] == 503
        assert [(each.kind, each.bytes) for each in outcomes] == [("failed", 0)]

    run(test())


@pytest.mark.parametrize("repeats", [False, True])
def test_what_receive_does_after_a_disconnect_is_all_the_same(
    gs: ModuleType, repeats: bool
) -> None:
    """hypercorn and daphne say it once, granian and gunicorn whenever they are asked."""

    async def test() -> None:
        outcomes: list[Any] = []
        source, connection = Source("a"), Connection().hear()
        asked = 0

        async def receive() -> Any:
            nonlocal asked
            asked += 1
            message = await connection.receive()
            if repeats and message["type"] == "http.disconnect":
                connection.leave()
            return message

        response = gs.asgi.SSEResponse(source, on_close=outcomes.append)
        task = asyncio.create_task(response(connection.scope, receive, connection.send))
        await source.waiting.wait()
        connection.leave()
        await task
        assert [outcome.kind for outcome in outcomes] == ["client_gone"]
        assert (source.closed, asked) == (1, 2)

    run(test())


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_receive_that_is_cancelled_by_the_server_leaves_nobody_waiting(
    gs: ModuleType, method: str
) -> None:
    async def test() -> None:
        connection = Connection(method)

        async def receive() -> Any:
            raise asyncio.CancelledError

        async def prepare(request: Any) -> bytes:
            return await request.body() if method == "POST" else b""

        class Provider:
            def stream_text(self, request: Any) -> Any:
                return ["a"]

        app = gs.asgi.sse_handler(Provider(), prepare)
        async with asyncio.timeout(5):
            await app(connection.scope, receive, connection.send)
        assert connection.sent == []

    run(test())
