"""A blocking source in its helper thread is closed, whatever happens to it or its loop."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import pytest
from loops import HELPER, Run, helper_threads, opened

from gaistream import sse

variable: ContextVar[str] = ContextVar("variable", default="nothing")


async def read(source: AsyncIterator[Any]) -> list[Any]:
    """Return all items, and close the source."""
    try:
        return [item async for item in source]
    finally:
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()


async def until(event: threading.Event) -> None:
    """Wait for an event of another thread without blocking the loop."""
    assert await asyncio.to_thread(event.wait, 10)


@pytest.fixture
def short_wait(gs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait only 10 ms for a source that blocks."""
    monkeypatch.setattr(gs.loops.sources, "LONGEST_END", 0.01)


def test_a_source_is_closed_in_its_own_thread_at_its_next_yield(
    gs: ModuleType, run: Run, short_wait: None
) -> None:
    async def main() -> None:
        threads: list[threading.Thread] = []
        blocked, go_on, closed = threading.Event(), threading.Event(), threading.Event()

        def items() -> Iterator[int]:
            threads.append(threading.current_thread())
            try:
                yield 1
                yield 1
                blocked.set()
                assert go_on.wait(10)
                yield 2
                raise AssertionError("never asked for")
            finally:
                threads.append(threading.current_thread())
                closed.set()

        source = opened(gs, items())
        assert await anext(source) == 1
        await until(blocked)
        await source.aclose()  # it waits only a moment for a thread that blocks
        assert not closed.is_set()
        assert not source.closed
        assert not source._items  # they are dropped before the thread ends
        go_on.set()
        await until(closed)
        assert threads[0] is threads[1]
        assert threads[0].name == HELPER
        assert threads[0].daemon

    run(main())


@pytest.mark.parametrize("waits", ["for room", "in the source"])
def test_closing_a_source_waits_until_its_thread_has_closed_it(
    gs: ModuleType, run: Run, waits: str
) -> None:
    async def main() -> None:
        begun, go_on = threading.Event(), threading.Event()
        steps = []

        def items() -> Iterator[str]:
            try:
                yield "a"
                if waits == "for room":
                    yield "x" * 300_000
                begun.set()
                assert go_on.wait(10)
                yield "b"
            finally:
                steps.append("closed")

        source = opened(gs, items())
        assert await anext(source) == "a"
        if waits == "in the source":
            await until(begun)
            asyncio.get_running_loop().call_later(0.01, go_on.set)
        await source.aclose()
        assert steps == ["closed"]
        assert source.closed

    run(main())


def test_a_source_that_waits_for_room_is_closed_at_once(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        closed = threading.Event()

        def items() -> Iterator[int]:
            try:
                while True:
                    yield 1
            finally:
                closed.set()

        source = opened(gs, items())
        await anext(source)
        await source.aclose()
        await until(closed)

    run(main())


def test_a_source_that_was_never_begun_is_closed_without_a_thread(gs: ModuleType, run: Run) -> None:
    class Opened:
        closed_in: threading.Thread | None = None

        def __iter__(self) -> Opened:
            return self

        def __next__(self) -> int:
            raise AssertionError("never asked for")

        def close(self) -> None:
            assert self.closed_in is None
            self.closed_in = threading.current_thread()

    owner = Opened()

    async def main() -> None:
        source = opened(gs, owner)
        await source.aclose()
        assert owner.closed_in is threading.current_thread()

    run(main())


def test_a_source_whose_loop_is_closed_ends_at_its_next_yield(gs: ModuleType) -> None:
    go_on, closed = threading.Event(), threading.Event()
    produced = 0

    def items() -> Iterator[int]:
        nonlocal produced
        try:
            yield 1
            assert go_on.wait(10)
            while True:
                produced += 1
                yield 2
        finally:
            closed.set()

    loop = asyncio.new_event_loop()
    source = opened(gs, items())
    assert loop.run_until_complete(anext(source)) == 1
    loop.close()
    go_on.set()
    assert closed.wait(10)
    assert produced == 1
    for thread in helper_threads():
        thread.join(10)
    assert not helper_threads()


@pytest.mark.parametrize("over", ["loop", "main thread"])
def test_a_source_that_waits_for_room_notices_the_end_of_its_loop_or_process(
    gs: ModuleType, monkeypatch: pytest.MonkeyPatch, over: str
) -> None:
    monkeypatch.setattr(gs.loops.sources, "_PATIENCE", 0.01)
    monkeypatch.setattr(gs.loops.sources, "_MOST_AHEAD", 10)
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.set()

    loop = asyncio.new_event_loop()
    source = opened(gs, items())
    assert loop.run_until_complete(anext(source)) == 0
    if over == "loop":
        loop.close()
    else:  # as if the interpreter waited for threads that are no daemons
        monkeypatch.setattr(threading.main_thread(), "is_alive", lambda: False)
    assert closed.wait(10)
    for thread in helper_threads():
        thread.join(10)
    assert not helper_threads()
    loop.close()


@pytest.mark.parametrize("ends", [False, True], ids=["at a yield", "by itself"])
def test_an_exception_raised_while_a_source_is_closed_is_logged(
    gs: ModuleType, run: Run, caplog: pytest.LogCaptureFixture, short_wait: None, ends: bool
) -> None:
    async def main() -> None:
        go_on = threading.Event()
        error = ValueError("in the cleanup")

        def items() -> Iterator[int]:
            try:
                yield 1
                assert go_on.wait(10)
                if not ends:
                    yield 2
            finally:
                raise error

        source = opened(gs, items())
        await anext(source)
        await source.aclose()
        go_on.set()
        for thread in helper_threads():
            await asyncio.to_thread(thread.join, 10)
        (record,) = caplog.records
        assert record.exc_info is not None
        assert record.exc_info[1] is error

    run(main())


class Sdk:
    """A stream object like those of vendors' SDKs: closable, and not its own iterator."""

    def __init__(self, items: list[str]) -> None:
        self.items = items
        self.closed = 0

    def __iter__(self) -> Any:
        return iter(self.items)

    def close(self) -> None:
        self.closed += 1


class AsyncSdk(Sdk):
    __iter__ = None  # type: ignore[assignment]

    async def __aiter__(self) -> Any:
        for item in self.items:
            yield item

    async def close(self) -> None:  # type: ignore[override]
        self.closed += 1


@pytest.mark.parametrize("early", [False, True])
def test_a_stream_object_of_an_sdk_is_closed_once_in_every_outcome(early: bool) -> None:
    blocking = Sdk(["a", "b"])
    chunks = sse(blocking)
    assert next(chunks)
    if not early:
        assert list(chunks)
    chunks.close()
    assert blocking.closed == 1

    async def main(source: Any) -> None:
        chunks = sse(source)
        assert await anext(chunks)
        if not early:
            assert [chunk async for chunk in chunks] == []
        await chunks.aclose()

    source = AsyncSdk(["a", "b"])
    asyncio.run(main(source))
    assert source.closed == 1
