"""Whole answers of vendors' protocols: failures, clients that leave, sources that are closed."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest
from recording_provider import RecordingProvider
from scripted_asgi import Connection, Gate, Source, asynchronous, run
from vendor_requests import READERS

WHOLE = pytest.mark.parametrize("name", ["openai_chat", "anthropic"])


def request(name: str, *, stream: bool = False) -> Connection:
    body = {**READERS[name][1], "stream": stream}
    headers = [(b"content-type", b"application/json")]
    return Connection("POST", headers=headers).hear(json.dumps(body).encode())


async def ask(gs: ModuleType, name: str, source: Any, **settings: Any) -> Connection:
    provider = RecordingProvider(lambda _: source)
    return await request(name).serve(gs.asgi.protocol_handler(provider, name, **settings))


@WHOLE
def test_a_whole_answer_that_fails_late_has_a_status(gs: ModuleType, name: str) -> None:
    async def test() -> None:
        for failing in (
            asynchronous(
                gs.events.TextDelta("a"), gs.StreamError("busy", code="overloaded", status=503)
            ),
            asynchronous(gs.events.TextDelta("a"), gs.events.Error("busy", "overloaded")),
        ):
            served = await ask(gs, name, failing)
            assert served.status >= 500
            assert json.loads(served.body)["error"]["message"] == "busy"

    run(test())


@WHOLE
def test_a_whole_answer_that_fails_says_when_to_come_again(gs: ModuleType, name: str) -> None:
    async def test() -> None:
        failing = asynchronous(gs.events.Error("busy", "rate_limited", retry_after=4))
        served = await ask(gs, name, failing)
        assert served.headers["retry-after"] == "4"

    run(test())


class Stream:
    """A stream as vendors' SDKs have it: iterated by a generator, and closed by a coroutine."""

    def __init__(self, *items: Any) -> None:
        self.items = items
        self.closed = 0

    def __aiter__(self) -> Any:
        return asynchronous(*self.items)

    async def close(self) -> None:
        self.closed += 1


@WHOLE
def test_a_whole_answer_closes_the_stream_of_an_sdk(gs: ModuleType, name: str) -> None:
    async def test() -> None:
        for items in (["a"], ["a", gs.StreamError("busy")]):
            source = Stream(*items)
            await ask(gs, name, source)
            assert source.closed == 1

    run(test())


@WHOLE
def test_a_client_that_leaves_a_whole_answer_closes_its_source(gs: ModuleType, name: str) -> None:
    async def test() -> None:
        source = Source(gs.events.TextDelta("a"))
        outcomes: list[Any] = []
        app = gs.asgi.protocol_handler(
            RecordingProvider(lambda _: source), name, on_close=outcomes.append
        )
        connection = request(name)
        task = connection.begin(app)
        await source.waiting.wait()
        connection.leave()
        await task
        assert source.closed == 1
        assert [each.kind for each in outcomes] == ["client_gone"]
        assert connection.sent == []

    run(test())


@pytest.mark.parametrize("stream", [True, False])
@WHOLE
def test_a_drain_before_the_first_byte_has_its_status(
    gs: ModuleType, name: str, stream: bool
) -> None:
    async def test() -> None:
        source = Source() if stream else Source(gs.events.TextDelta("a"))
        outcomes: list[Any] = []
        provider = RecordingProvider(lambda _: source)
        settings = {"hold_headers": True, "on_close": outcomes.append}
        asking = request(name, stream=stream)
        task = asking.begin(gs.asgi.protocol_handler(provider, name, **settings))
        await source.waiting.wait()
        drain = gs.drain(0)
        await task
        drain.cancel()
        assert asking.status == (529 if name == "anthropic" else 503)
        assert json.loads(asking.body)["error"]["message"] == "the server is shutting down"
        assert int(asking.headers["retry-after"]) >= 0
        assert ([each.kind for each in outcomes], source.closed) == (["drained"], 1)

    run(test())


@pytest.mark.parametrize("on_disconnect", ["close", "continue"])
@WHOLE
def test_a_source_that_goes_on_yielding_is_not_silent(
    gs: ModuleType, name: str, on_disconnect: str
) -> None:
    async def test() -> None:
        gate = Gate()

        async def slow() -> Any:
            for word in ("a", "b", "c"):
                await gate()
                yield gs.events.TextDelta(word)
            await gate()

        provider = RecordingProvider(lambda _: slow())
        settings: Any = {"source_timeout": 30, "on_disconnect": on_disconnect}
        app = gs.asgi.protocol_handler(provider, name, **settings)
        body = {**READERS[name][1], "stream": False}
        async with gs.testing.stream(app, "POST", "/", json=body, wait_for_headers=False) as s:
            for _ in range(4):
                await gate.arrival()
                await s.advance(20)
                gate.open()
            await s.read()
        assert (s.status, b"abc" in s.body) == (200, True)

    run(test())


@WHOLE
def test_a_source_that_is_silent_amid_a_whole_answer_is_a_504(gs: ModuleType, name: str) -> None:
    async def test() -> None:
        source = Source(gs.events.TextDelta("a"))
        provider = RecordingProvider(lambda _: source)
        app = gs.asgi.protocol_handler(provider, name, source_timeout=30)
        body = {**READERS[name][1], "stream": False}
        async with gs.testing.stream(app, "POST", "/", json=body, wait_for_headers=False) as s:
            await source.waiting.wait()
            await s.advance(31)
            await s.read()
        assert (s.status, source.closed) == (504, 1)

    run(test())
