"""The connections of the OpenAI provider: closed if the reader stops, kept by a caller's client."""

from __future__ import annotations

import asyncio
import contextlib

import httpx
import pytest
import trio
from openai_service import QUESTION, Service, collect, provider_of
from openai_streams import DONE, END, START, STOP, body_of, chunk
from trio_exchange import on_trio

import gaistream.providers.http_provider as module
from gaistream import events


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("way", ["cancel", "close"])
def test_a_reader_that_stops_closes_the_connection(
    service: Service, way: str, shared: bool
) -> None:
    service.reply = service.streaming(body_of(chunk(content="a")), end="waits")

    async def scenario() -> None:
        async with contextlib.AsyncExitStack() as stack:
            client = await stack.enter_async_context(httpx.AsyncClient()) if shared else None
            source = provider_of(service, client=client).stream_text(QUESTION)
            assert await anext(source) == START
            assert await anext(source) == events.TextDelta("a")
            if way == "close":
                await source.aclose()
            else:
                task = asyncio.ensure_future(anext(source))
                await asyncio.sleep(0)  # the task waits for the next piece now
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert await asyncio.to_thread(service.gone.wait, 10)
            assert client is None or not client.is_closed
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left or not (await asyncio.wait(left, timeout=10))[1]

    asyncio.run(scenario())


def test_a_callers_client_keeps_its_connection_between_requests(service: Service) -> None:
    service.reply = service.streaming(body_of(STOP, DONE), end="later")

    async def twice(client: httpx.AsyncClient | None) -> None:
        provider = provider_of(service, client=client)
        for _ in range(2):
            assert await collect(provider.stream_text(QUESTION)) == [START, END[0]]

    async def scenario() -> None:
        async with httpx.AsyncClient() as client:
            await twice(client)
        await twice(None)

    asyncio.run(scenario())
    kept, again, *others = [scope["client"][1] for scope, _ in service.requests]
    assert kept == again
    assert len({kept, *others}) == 3


def test_a_body_that_does_not_end_after_its_terminator_is_closed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LINGER", 0.01)
    service.reply = service.streaming(body_of(STOP, DONE), end="waits")

    async def scenario() -> None:
        async with httpx.AsyncClient() as client, asyncio.timeout(10):
            source = provider_of(service, client=client, timeout=None).stream_text(QUESTION)
            assert await collect(source) == [START, END[0]]
            assert await asyncio.to_thread(service.gone.wait, 10)

    asyncio.run(scenario())


def test_on_trio_such_a_body_is_closed_too(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LINGER", 0.01)
    service.reply = service.streaming(body_of(STOP, DONE), end="waits")

    async def scenario() -> None:
        async with httpx.AsyncClient() as client:
            source = provider_of(service, client=client, timeout=None).stream_text(QUESTION)
            assert await collect(source) == [START, END[0]]
            assert await trio.to_thread.run_sync(service.gone.wait, 10)

    on_trio(scenario)
