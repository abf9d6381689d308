"""`on_disconnect="continue"` where the request wants a whole answer, which is not streamed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from loops import turns
from scripted_asgi import Connection, Gate, run
from scripted_wsgi import Exchange

BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()


class Provider:
    """A provider whose answer waits after its first piece."""

    def __init__(self, gs: Any, *rest: Any) -> None:
        self.gate = Gate()
        self.rest = rest or ("b", gs.events.Finish(finish_reason="stop"))
        self.begun = self.yielded = self.closed = 0

    async def stream_text(self, _: Any) -> AsyncIterator[Any]:
        self.begun += 1
        try:
            yield "a"
            await self.gate()
            for item in self.rest:
                self.yielded += 1
                yield item
        finally:
            self.closed += 1


def begin(gs: Any, provider: Any, **settings: Any) -> tuple[Connection, Any, list[Any]]:
    """Begin a request; return the connection, the task and the outcomes to be."""
    outcomes: list[Any] = []
    settings = {"on_disconnect": "continue", "on_close": outcomes.append, **settings}
    app = gs.asgi.protocol_handler(provider, "openai_chat", **settings)
    length = str(len(BODY)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    connection = Connection("POST", headers=headers).hear(BODY)
    return connection, connection.begin(app), outcomes


def test_a_whole_answer_is_finished_without_its_client(gs: Any) -> None:
    async def test() -> None:
        provider = Provider(gs)
        connection, task, outcomes = begin(gs, provider)
        await provider.gate.arrival()
        connection.leave()
        await turns(20)
        provider.gate.open()
        await task
        [outcome] = outcomes
        assert (outcome.kind, outcome.events, outcome.error) == ("client_gone", 3, None)
        assert (outcome.message.text, outcome.message.complete) == ("ab", True)
        assert provider.closed == 1
        assert not connection.sent

    run(test())


def test_its_items_are_counted_against_the_bound(gs: Any) -> None:
    async def test() -> None:
        provider = Provider(gs, *["x" * 1000] * 500)
        connection, task, outcomes = begin(gs, provider, continue_bytes=10_000)
        await provider.gate.arrival()
        connection.leave()
        await turns(20)
        provider.gate.open()
        await task
        [outcome] = outcomes
        assert provider.yielded <= 10
        assert outcome.message.error.message == outcome.error.message
        assert "continue_bytes=10000" in outcome.message.error.message
        assert provider.closed == 1

    run(test())


def test_each_of_its_items_ends_the_silence_of_its_source(gs: Any) -> None:
    async def test() -> None:
        class Slow(Provider):
            async def stream_text(self, _: Any) -> AsyncIterator[Any]:
                yield "a"
                await self.gate()
                for _ in range(6):
                    await asyncio.sleep(0.05)
                    yield "b"

        provider = Slow(gs)
        connection, task, outcomes = begin(gs, provider, source_timeout=0.2)
        await provider.gate.arrival()
        connection.leave()
        await turns(20)
        provider.gate.open()
        await task
        assert outcomes[0].message.text == "abbbbbb"
        assert outcomes[0].message.complete

    run(test())


@pytest.mark.parametrize("wait", range(1, 16))
def test_a_request_may_be_cancelled_at_any_time(gs: Any, wait: int) -> None:
    async def test() -> None:
        provider = Provider(gs, *["x" * 10_000] * 20)
        _, task, outcomes = begin(gs, provider)
        await turns(wait)
        task.cancel()
        await asyncio.wait([task])
        provider.gate.open()
        await turns(60)
        if provider.begun:
            assert len(outcomes[0].message.text) == 200_001
            assert outcomes[0].message.complete
        assert provider.closed == provider.begun

    run(test())


@pytest.mark.parametrize("on_disconnect", ["close", "continue"])
def test_its_message_can_be_collected(gs: Any, on_disconnect: str) -> None:
    async def test() -> None:
        for leaves in (False, True):
            provider = Provider(gs)
            settings = {"on_disconnect": on_disconnect, "collect": True}
            connection, task, outcomes = begin(gs, provider, **settings)
            await provider.gate.arrival()
            if leaves:
                connection.leave()
                await turns(20)
            provider.gate.open()
            await task
            goes_on = on_disconnect == "continue" or not leaves
            assert outcomes[0].message.text == ("ab" if goes_on else "a")
            assert outcomes[0].message.complete is goes_on
            if not leaves:
                choice = json.loads(connection.body)["choices"][0]
                assert choice["message"]["content"] == "ab"

    run(test())


@pytest.mark.parametrize("helper_thread", [False, True])
def test_wsgi_answers_as_asgi_does(gs: Any, helper_thread: bool) -> None:
    class Sync:
        @staticmethod
        def stream_text(_: Any) -> Any:
            return iter(["a", "b", gs.events.Finish(finish_reason="stop")])

    outcomes: list[Any] = []
    settings = {"on_disconnect": "continue"} if helper_thread else {"collect": True}
    app = gs.wsgi.protocol_handler(
        Sync, "openai_chat", helper_thread=helper_thread, on_close=outcomes.append, **settings
    )
    exchange = Exchange(app, "POST", body=BODY, CONTENT_TYPE="application/json").read()
    assert json.loads(exchange.body)["choices"][0]["message"]["content"] == "ab"
    assert (outcomes[0].message.text, outcomes[0].message.complete) == ("ab", True)
