"""Differences between servers at the end of a stream, in `receive` and `send`, scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest
from scripted_asgi import DONE, PRELUDE, Connection, Source, asynchronous, run, text


def test_a_disconnect_during_the_last_send_is_not_a_client_that_has_left(gs: ModuleType) -> None:
    """Hypercorn sends it, while the last send still runs."""

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
def test_a_disconnect_after_an_error_status_does_not_hide_the_failure(
    gs: ModuleType, format_: str
) -> None:
    """Daphne sends it to an app that has answered and not returned yet."""

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
def test_receive_is_not_called_again_after_a_disconnect(
    gs: ModuleType, repeats: bool
) -> None:
    """Hypercorn and daphne send one disconnect, granian and gunicorn one for each call."""

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
def test_a_receive_that_the_server_cancels_leaves_no_task_waiting(
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
