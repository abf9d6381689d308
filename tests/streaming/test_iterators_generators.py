"""`sse()` and `ndjson()` are generators by the ABCs: next, send, throw and close, begun or not."""

from __future__ import annotations

import asyncio
import collections.abc
import contextlib
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

import pytest
from frames import DONE, PRELUDE, said
from loops import Run


class Tokens:
    """An async source that waits after its items, and counts its closings."""

    def __init__(self) -> None:
        self.closed = 0
        self.items = ["a"]

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        if self.items:
            return self.items.pop()
        await asyncio.Event().wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed += 1


class Blocking:
    """A sync source that counts its closings."""

    def __init__(self) -> None:
        self.closed = 0
        self.items = ["a", "b"]

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.items:
            return self.items.pop(0)
        raise StopIteration

    def close(self) -> None:
        self.closed += 1


def test_they_are_generators_by_the_abcs(gs: ModuleType) -> None:
    async def source() -> Any:
        yield "a"

    for stream in (gs.sse, gs.ndjson):
        assert isinstance(stream(source()), collections.abc.AsyncGenerator)
        assert isinstance(stream(["a"]), collections.abc.Generator)
        assert not isinstance(stream(["a"]), collections.abc.AsyncIterable)


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("how", ["aclose", "athrow", "aclosing", "GeneratorExit"])
def test_an_async_one_closes_its_source_however_it_ends(
    gs: ModuleType, run: Run, how: str, begun: bool
) -> None:
    async def main() -> None:
        source = Tokens()
        chunks = gs.sse(source)
        if begun:
            assert await chunks.asend(None) == PRELUDE + said("a")
        if how == "aclose":
            await chunks.aclose()
        elif how == "aclosing":
            async with contextlib.aclosing(chunks):
                pass
        else:
            error = ValueError("mine") if how == "athrow" else GeneratorExit()
            with pytest.raises(type(error)) as caught:
                await chunks.athrow(error)
            assert caught.value is error
        assert source.closed == 1
        await chunks.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(chunks)
        assert source.closed == 1

    run(main())


def test_what_is_sent_goes_nowhere(gs: ModuleType, run: Run) -> None:
    async def main() -> bytes:
        async def source() -> Any:
            yield "a"

        chunks = gs.sse(source())
        with pytest.raises(TypeError):
            await chunks.asend(5)  # as of any generator that has not begun
        first = await chunks.asend(None)
        return first + b"".join([chunk async for chunk in chunks])

    assert run(main()) == PRELUDE + said("a") + DONE
    frames = gs.sse(Blocking())
    assert frames.send(None) == PRELUDE + said("a")
    assert frames.send(5) == said("b")
    assert list(frames) == [DONE]


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("how", ["close", "throw", "closing"])
def test_a_sync_one_closes_its_source_however_it_ends(
    gs: ModuleType, how: str, begun: bool
) -> None:
    source = Blocking()
    frames = gs.sse(source)
    if begun:
        assert next(frames) == PRELUDE + said("a")
    if how == "close":
        frames.close()
    elif how == "closing":
        with contextlib.closing(frames):
            pass
    else:
        error = ValueError("mine")
        with pytest.raises(ValueError, match="mine") as caught:
            frames.throw(error)
        assert caught.value is error
    assert source.closed >= 1
    assert list(frames) == []


def test_yield_from_and_async_iteration_work(gs: ModuleType) -> None:
    def delegating() -> Iterator[bytes]:
        yield from gs.sse(["a"])

    assert b"".join(delegating()) == PRELUDE + said("a") + DONE


def test_the_aliases_are_public(gs: ModuleType) -> None:
    kinds = gs.SourceItem.__args__
    assert {str, bytes, type(None), gs.ServerSentEvent, gs.events.Event} <= set(kinds)
    encoder = gs.SSEEncoder()
    made = ["a", b": a\n\n", None, gs.ServerSentEvent("a"), gs.events.Done()]
    for item in made:
        assert isinstance(item, tuple(kind for kind in kinds if isinstance(kind, type)))
        encoder.write(item)
    assert gs.Source is not None
