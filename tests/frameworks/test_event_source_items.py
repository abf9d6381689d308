"""The stand-in for sse-starlette's response: items one by one, and responses as they are reused."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from scripted_asgi import END, Connection, Source, asynchronous, run

pytest.importorskip("starlette", reason="Starlette is not installed")

from gaistream.frameworks.starlette import EventSourceResponse


def test_sync_content_is_read_one_by_one_in_a_helper_thread() -> None:
    async def test() -> None:
        steps: list[str] = []

        def source() -> Iterator[str]:
            assert threading.current_thread() is not threading.main_thread()
            for item in "abc":
                yield item
                steps.append(f"acknowledged {item}")

        connection = Connection()
        connection.before_send = lambda message: steps.append(message.get("body", b"").decode())
        await connection.serve(EventSourceResponse(source()))
        sent = [f"data: {item}\r\n\r\n" for item in "abc"]
        acknowledged = [f"acknowledged {item}" for item in "abc"]
        pairs = zip(sent, acknowledged, strict=True)
        assert steps == ["", *(step for pair in pairs for step in pair), ""]

    run(test())


@pytest.mark.parametrize("blocks", [False, True])
def test_the_next_item_is_not_asked_for_before_the_last_was_sent(blocks: bool) -> None:
    async def test() -> None:
        steps: list[Any] = []

        async def source() -> AsyncIterator[str]:
            for item in "abc":
                yield item
                steps.append(f"acknowledged {item}")

        async def slow(message: Any) -> None:
            for _ in range(3):
                await asyncio.sleep(0)
            steps.append(message.get("body"))

        connection = Connection()
        if blocks:
            connection.before_send = slow
        else:
            connection.before_send = lambda message: steps.append(message.get("body"))
        await connection.serve(EventSourceResponse(source()))
        assert steps == [
            None,
            b"data: a\r\n\r\n", "acknowledged a",
            b"data: b\r\n\r\n", "acknowledged b",
            b"data: c\r\n\r\n", "acknowledged c",
            b"",
        ]  # fmt: skip

    run(test())


def test_a_source_that_never_waits_leaves_the_loop_its_turns() -> None:
    async def test() -> None:
        async def source() -> AsyncIterator[str]:
            while True:
                yield "a"

        connection = Connection()
        serving = connection.begin(EventSourceResponse(source()))
        await asyncio.sleep(0.02)
        connection.leave()
        await serving

    run(test())


def test_the_body_iterator_is_the_content_and_may_be_wrapped() -> None:
    async def test() -> None:
        source = asynchronous("a", "b")
        response = EventSourceResponse(source)
        assert response.body_iterator is source

        async def shouted(items: AsyncIterator[Any]) -> AsyncIterator[str]:
            async for item in items:
                yield item.upper()

        response.body_iterator = shouted(response.body_iterator)
        served = await Connection().serve(response)
        assert served.body == b"data: A\r\n\r\ndata: B\r\n\r\n"

    run(test())


def test_a_response_may_be_called_twice() -> None:
    class Again:
        def __aiter__(self) -> AsyncIterator[Any]:
            return asynchronous("a")

    async def test() -> None:
        response = EventSourceResponse(Again())
        for _ in range(2):
            assert (await Connection().serve(response)).body == b"data: a\r\n\r\n"
        response = EventSourceResponse(asynchronous("a"))
        assert (await Connection().serve(response)).body == b"data: a\r\n\r\n"
        assert (await Connection().serve(response)).sent[-1] == END

    run(test())


def test_subclasses_wrap_the_call_and_set_the_media_type(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counted(EventSourceResponse):
        media_type = "text/x"
        calls = 0

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            Counted.calls += 1
            await super().__call__(scope, receive, send)

    original = EventSourceResponse.__init__

    def patched(self: Any, *args: Any, **settings: Any) -> None:
        original(self, *args, **{"ping": 7, **settings})

    monkeypatch.setattr(EventSourceResponse, "__init__", patched)

    async def test() -> None:
        response = Counted(["a"], media_type=None)
        assert response.ping_interval == 7
        served = await Connection().serve(response)
        assert served.headers["content-type"] == "text/x; charset=utf-8"
        assert Counted.calls == 1

    run(test())


def test_a_websocket_is_denied_by_the_stream() -> None:
    async def test() -> None:
        connection = Connection()
        connection.scope = {"type": "websocket"}
        connection.incoming.put_nowait({"type": "websocket.connect"})
        served = await connection.serve(EventSourceResponse(["no"]))
        kinds = [
            message["type"].removeprefix("websocket.http.response.") for message in served.sent
        ]
        assert kinds == ["start", "body", "body"]
        source, connection = Source("a"), Connection()
        connection.scope = {"type": "websocket"}
        serving = connection.begin(EventSourceResponse(source))
        await source.waiting.wait()
        connection.incoming.put_nowait({"type": "websocket.disconnect"})
        await serving
        assert source.closed == 1

    run(test())
