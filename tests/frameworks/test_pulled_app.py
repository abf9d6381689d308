"""`PulledApp`, which Django and Quart pull: one chunk ahead, and nothing left running."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from scripted_asgi import DONE, PRELUDE, run, text

from gaistream import SSEOptions
from gaistream.asgi import SSEResponse
from gaistream.frameworks._faces import PulledApp
from gaistream.http.answer import NO_APPLICATION

SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": []}
START = {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"a")]}


def chunk(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


def test_the_response_is_one_chunk_ahead_at_most() -> None:
    sent: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        for each in (b"1", b"2", b"3"):
            await send(chunk(each))
            sent.append(each)
        await send(chunk(b"", more=False))

    async def main() -> None:
        pulled = PulledApp(app, SCOPE, NO_APPLICATION)
        head = await pulled.open()
        assert (head.status, head.headers, head.is_whole) == (200, [("X-A", "a")], False)
        await asyncio.sleep(0)
        assert sent == [b"1"]
        assert [each async for each in pulled] == [b"1", b"2", b"3"]
        await pulled.aclose()

    run(main())


def test_a_response_that_is_closed_early_closes_its_source() -> None:
    closed: list[bool] = []

    async def source() -> AsyncIterator[str]:
        try:
            yield "one"
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    async def main() -> None:
        outcomes: list[Any] = []
        response = SSEResponse(source(), SSEOptions(), on_close=outcomes.append)
        pulled = PulledApp(response, SCOPE, NO_APPLICATION)
        assert await anext(pulled) == PRELUDE + text("one")
        await pulled.aclose()
        assert closed == [True]
        assert [each.kind for each in outcomes] == ["client_gone"]
        await PulledApp(response, SCOPE, NO_APPLICATION).aclose()  # never opened

    run(main())


def test_a_puller_that_is_cancelled_while_it_opens_leaves_nothing() -> None:
    closed: list[bool] = []

    async def source() -> AsyncIterator[str]:
        try:
            await asyncio.Event().wait()
            yield "never"
        finally:
            closed.append(True)

    async def main() -> None:
        pulled = PulledApp(SSEResponse(source(), hold_headers=True), SCOPE, NO_APPLICATION)
        opening = asyncio.create_task(pulled.open())
        for _ in range(5):
            await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert closed == [True]

    run(main())


def test_what_a_response_raises_is_raised_to_the_puller_or_logged_once_it_has_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/begun":
            await send(START)
            await send(chunk(b"1"))
        elif scope["path"] == "/left":
            await send(START)
            await receive()
        elif scope["path"] == "/silent":
            return
        raise LookupError(scope["path"])

    async def main() -> None:
        with pytest.raises(LookupError, match="/first"):
            await PulledApp(failing, {**SCOPE, "path": "/first"}, NO_APPLICATION).open()
        with pytest.raises(RuntimeError, match="without an answer"):
            await PulledApp(failing, {**SCOPE, "path": "/silent"}, NO_APPLICATION).open()
        begun = PulledApp(failing, {**SCOPE, "path": "/begun"}, NO_APPLICATION)
        assert await anext(begun) == b"1"
        with pytest.raises(LookupError, match="/begun"):
            await anext(begun)
        left = PulledApp(failing, {**SCOPE, "path": "/left"}, NO_APPLICATION)
        await left.open()
        await left.aclose()

    run(main())
    assert "LookupError: /left" in caplog.text


def test_a_chunk_that_nobody_pulls_ends_the_stream_as_stalled() -> None:
    async def source() -> AsyncIterator[str]:
        while True:
            yield "one"
            await asyncio.sleep(0)

    async def main() -> None:
        closed = asyncio.Event()
        outcomes: list[Any] = []

        def on_close(outcome: Any) -> None:
            outcomes.append(outcome)
            closed.set()

        response = SSEResponse(source(), send_timeout=0.05, on_close=on_close)
        pulled = PulledApp(response, SCOPE, NO_APPLICATION)
        await pulled.open()
        await closed.wait()
        assert outcomes[0].kind == "stalled"
        await pulled.aclose()

    run(main())


def test_the_end_of_a_stream_ends_the_iteration() -> None:
    async def main() -> None:
        pulled = PulledApp(SSEResponse(["one"]), SCOPE, NO_APPLICATION)
        assert b"".join([each async for each in pulled]) == PRELUDE + text("one") + DONE

    run(main())
