"""Sources: async iterables, lists read in place, and blocking iterators in a thread."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import pytest
from loops import MODES, Run, helper_threads, opened

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


Full = Callable[[Any], threading.Event]


@pytest.fixture
def full(gs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Full:
    """Return the event that a source's thread has read ahead as far as it may."""
    events: dict[Any, threading.Event] = defaultdict(threading.Event)
    wait = gs.loops.sources._InThread._wait_until_taken

    def told(source: Any) -> Any:
        if source._items:
            events[source].set()
        return wait(source)

    monkeypatch.setattr(gs.loops.sources._InThread, "_wait_until_taken", told)
    return events.__getitem__


# ---- the kinds of sources ----


def test_an_async_iterator_is_used_as_it_is(gs: ModuleType, run: Run) -> None:
    async def items() -> AsyncIterator[int]:
        yield 1

    made = items()
    assert opened(gs, made) is made
    assert run(read(made)) == [1]


@pytest.mark.parametrize("items", [[1, 2, 3], (1, 2, 3), []], ids=repr)
def test_lists_and_tuples_are_read_in_place_without_a_thread(
    gs: ModuleType, run: Run, items: Any
) -> None:
    async def main() -> None:
        assert await read(opened(gs, items)) == list(items)
        assert not helper_threads()

    run(main())


@pytest.mark.parametrize(
    "make", [iter, set, range, lambda n: {n: None}.keys(), lambda n: (x for x in [n])]
)
def test_any_other_iterable_is_read_in_a_thread(gs: ModuleType, run: Run, make: Any) -> None:
    stream = make([7]) if make in (iter, set) else make(7)
    expected = list(range(7)) if make is range else [7]
    assert run(read(opened(gs, stream))) == expected


@pytest.mark.parametrize("stream", ["text", b"bytes", {}, memoryview(b""), 5, None, print])
def test_other_objects_are_refused(gs: ModuleType, stream: Any) -> None:
    with pytest.raises(gs.errors.EventError, match=type(stream).__name__):
        opened(gs, stream)


# ---- the helper thread ----


def test_all_items_come_in_order_and_with_few_wake_ups(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        source = opened(gs, iter(range(20_000)))
        wake_ups = 0
        wake = source._wake_task

        def counted() -> None:
            nonlocal wake_ups
            wake_ups += 1
            wake()

        source._wake_task = counted
        assert await read(source) == list(range(20_000))
        assert wake_ups < 5000  # one per item would be 20 000

    run(main())


def test_the_last_items_are_not_lost_whenever_the_threads_switch(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        for count in range(300):
            size = count % 7
            assert await read(opened(gs, iter(range(size)))) == list(range(size))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        run(main())
    finally:
        sys.setswitchinterval(interval)


def test_items_that_come_during_a_check_for_the_end_are_not_lost(gs: ModuleType, run: Run) -> None:
    class Slow(gs.loops.sources._InThread):
        """Lets the thread run to its end just when the reader has found no item."""

        @property
        def _finished(self) -> bool:
            if self.asked and self._loop is not None and not self._items:
                go_on.set()
                self.thread.join(10)
            return self.finished

        @_finished.setter
        def _finished(self, value: bool) -> None:
            self.finished = value

        asked = False
        finished = False

    go_on = threading.Event()

    def items() -> Iterator[str]:
        source.thread = threading.current_thread()
        source.asked = True
        began.set()
        assert go_on.wait(10)
        yield "last"

    began = threading.Event()

    async def main() -> None:
        reading = asyncio.ensure_future(anext(source))
        await until(began)
        source._wake_task()
        assert await reading == "last"
        with pytest.raises(StopAsyncIteration):
            await anext(source)

    source = Slow(items(), gs.core.estimate_size)
    run(main())


def test_an_item_comes_as_soon_as_it_is_yielded(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        steps = [threading.Event() for _ in range(5)]

        def items() -> Iterator[int]:
            for number, step in enumerate(steps):
                assert step.wait(10)
                yield number

        source = opened(gs, items())
        for number, step in enumerate(steps):
            step.set()
            assert await anext(source) == number
        assert await read(source) == []

    run(main())


@pytest.mark.parametrize(
    ("item", "least", "most"),
    [
        ("token", 1024, 4096),
        ({"text": "x" * 1000, "n": 1}, 128, 256),
        (b"x" * 16_000, 15, 17),
        (object(), 15, 17),  # an object of unknown size
        ("x" * 300_000, 1, 2),
    ],
    ids=["tokens", "dicts", "chunks", "unknown", "big"],
)
def test_a_thread_reads_ahead_by_bytes(
    gs: ModuleType, run: Run, full: Full, item: Any, least: int, most: int
) -> None:
    async def main() -> None:
        produced = 0

        def items() -> Iterator[Any]:
            nonlocal produced
            while True:
                produced += 1
                yield item

        source = opened(gs, items())
        assert await anext(source) == item  # which starts the thread
        await until(full(source))
        assert least <= produced <= most
        for taken in range(2, 3 * most):
            assert await anext(source) == item
            assert produced <= taken + most
        await source.aclose()

    run(main())


@pytest.mark.parametrize("look", [1, 2])
def test_an_item_that_comes_right_after_a_check_of_the_loop_is_not_lost(
    gs: ModuleType, run: Run, look: int
) -> None:
    class Items(deque[str]):
        """Gets an item, as from the thread, right after one of the loop's checks."""

        looks = 0

        def __bool__(self) -> bool:
            found = len(self) > 0
            self.looks += 1
            if self.looks == look:
                self.append("item")
                if not source._awake:
                    source._wake_loop()
            return found

    async def main() -> None:
        source._loop = gs.loops.event_loop()  # it has begun, but without a thread
        source._awake = True  # as for items that were taken since
        source._items = Items()
        assert await asyncio.wait_for(anext(source), 5) == "item"

    source = opened(gs, iter(()))
    run(main())


def test_a_thread_runs_in_a_copy_of_the_callers_context(gs: ModuleType, run: Run) -> None:
    def items() -> Iterator[str]:
        yield variable.get()
        variable.set("inner")
        yield variable.get()

    async def main() -> None:
        variable.set("outer")
        assert await read(opened(gs, items())) == ["outer", "inner"]
        assert variable.get() == "outer"

    run(main())


@pytest.mark.parametrize("error", [ValueError, KeyError, asyncio.CancelledError, BaseException])
def test_an_exception_is_raised_after_the_items_before_it(
    gs: ModuleType, run: Run, error: type[BaseException]
) -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise error("in the thread")

    async def main() -> None:
        source = opened(gs, items())
        assert [await anext(source), await anext(source)] == [1, 2]
        with pytest.raises(error, match="in the thread"):
            await anext(source)
        with pytest.raises(StopAsyncIteration):
            await anext(source)

    run(main())


# ---- in a stream ----


def test_a_stream_of_a_blocking_source_coalesces_and_ends_like_any_other(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        stream = gs.streaming.stream.Stream((str(n) for n in range(1000)), gs.NDJSONEncoder())
        await stream.start()
        chunks = []
        while (chunk := await stream.next_chunk()) is not None:
            chunks.append(chunk)
        await stream.close()
        assert b"".join(chunks).count(b"text_delta") == 1000
        assert chunks[-1].endswith(b'{"type":"done","finished":true}\n')
        assert len(chunks) < 500
        assert stream.outcome.kind == "completed"

    run(main())


def test_a_stream_of_a_blocking_source_has_heartbeats_and_can_be_cut(
    gs: ModuleType, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gs.loops.sources, "LONGEST_END", 0.01)

    async def main() -> None:
        go_on, closed = threading.Event(), threading.Event()

        def items() -> Iterator[str]:
            try:
                yield "a"
                assert go_on.wait(10)
                yield "b"
            finally:
                closed.set()

        options = gs.NDJSONOptions(heartbeat_interval=0.05)
        stream = gs.streaming.stream.Stream(items(), gs.NDJSONEncoder(options))
        await stream.start()
        assert await stream.next_chunk() == b'{"type":"text_delta","text":"a"}\n'
        assert await stream.next_chunk() == b'{"type":"ping"}\n'
        stream.interrupt("client_gone")
        assert await stream.next_chunk() is None
        await stream.close()
        assert stream.outcome.kind == "client_gone"
        go_on.set()
        await until(closed)

    run(main())


def test_a_blocking_source_that_exits_does_not_hang(gs: ModuleType, run: Run) -> None:
    if "eager" in MODES:  # its thread may exit before the task first waits
        pytest.skip("a task that is interrupted as it begins is nobody's, and asyncio says so")

    def items() -> Iterator[str]:
        yield "a"
        raise SystemExit

    async def main() -> None:
        stream = gs.streaming.stream.Stream(items(), gs.NDJSONEncoder())
        try:
            await stream.start()
            while await stream.next_chunk() is not None:
                pass
        finally:
            await stream.close()

    with pytest.raises(SystemExit):
        run(main())
