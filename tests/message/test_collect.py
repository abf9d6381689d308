"""`collect`: the message of a whole stream, from a sync or an async source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from types import ModuleType

import pytest


def test_an_async_source_gives_an_awaitable(gs: ModuleType) -> None:
    async def answer() -> AsyncIterator[object]:
        yield "a"
        await asyncio.sleep(0)
        yield gs.events.TextDelta("b")

    async def run() -> None:
        message = await gs.collect(answer())
        assert message.text == "ab"

    asyncio.run(run())


def test_the_events_of_a_reader(gs: ModuleType) -> None:
    events = [gs.events.Start("1"), "Hello", gs.events.Finish(None, "stop"), gs.events.Done()]
    body = gs.encode_events(events)
    assert gs.collect(gs.read_events(body)).text == "Hello"
    cut = gs.collect(gs.read_events(body[:-60]))
    assert cut.error.code == "truncated"
    assert not cut.complete


@pytest.mark.parametrize("wrong", [5, None, "text", b"bytes", {"type": "done"}])
def test_other_sources_are_refused(gs: ModuleType, wrong: object) -> None:
    with pytest.raises(gs.errors.EventError, match=f"not {type(wrong).__name__}"):
        gs.collect(wrong)


def test_the_sources_exception_is_raised(gs: ModuleType) -> None:
    def answer() -> Iterator[object]:
        yield "a"
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        gs.collect(answer())


def test_a_source_whose_item_is_refused_is_closed(gs: ModuleType) -> None:
    closed = []

    def answer() -> Iterator[object]:
        try:
            yield 5
        finally:
            closed.append("sync")

    async def answer_later() -> AsyncIterator[object]:
        try:
            yield 5
        finally:
            closed.append("async")

    async def run() -> None:
        source = answer_later()
        with pytest.raises(gs.errors.EventError):
            await gs.collect(source)
        assert closed == ["sync", "async"]

    source = answer()
    with pytest.raises(gs.errors.EventError):
        gs.collect(source)
    assert closed == ["sync"]
    asyncio.run(run())


def test_a_cancelled_task_closes_its_source(gs: ModuleType) -> None:
    async def run() -> None:
        waiting, closed = asyncio.Event(), asyncio.Event()

        async def answer() -> AsyncIterator[object]:
            try:
                yield "a"
                waiting.set()
                await asyncio.Event().wait()
            finally:
                closed.set()

        source = answer()
        task = asyncio.ensure_future(gs.collect(source))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert closed.is_set()

    asyncio.run(run())


def test_the_names_are_the_functions_however_they_are_imported(gs: ModuleType) -> None:
    assert callable(gs.collect)
    assert gs.Message is gs.message.Message
    assert gs.collect is gs.message.collect
