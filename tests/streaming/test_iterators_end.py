"""How `sse()` and `ndjson()` end on async sources: truthfully, and with the source closed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest
from frames import DONE, INTERNAL, PRELUDE, said
from loops import Run, collect


async def whole(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join(await collect(chunks))


class Source:
    """Yields its items, then raises or waits for ever; knows whether it was closed."""

    def __init__(
        self, *items: Any, error: BaseException | None = None, waits: bool = False
    ) -> None:
        self.items = items
        self.error = error
        self.waits = waits
        self.produced = 0
        self.closed = asyncio.Event()
        self.closings = 0

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            for item in self.items:
                self.produced += 1
                yield item
            if self.waits:
                await asyncio.Event().wait()
            if self.error is not None:
                raise self.error
        finally:
            await asyncio.sleep(0)  # a cleanup that takes a while
            self.closed.set()
            self.closings += 1


# ---- the last frames ----


@pytest.mark.parametrize("form", ["sse", "ndjson"])
def test_a_source_that_ends_is_followed_by_done(gs: ModuleType, run: Run, form: str) -> None:
    source = Source("a")
    stream = run(whole(getattr(gs, form)(source)))
    assert stream.count(b"done") == 1
    assert stream.rstrip().endswith(b'"finished":true}')
    assert source.closings == 1


def test_what_follows_done_is_left_out_and_the_source_closed(gs: ModuleType, run: Run) -> None:
    source = Source("a", gs.events.Done(), "b", "c")
    assert run(whole(gs.sse(source))) == PRELUDE + said("a") + DONE
    assert source.produced == 2
    assert source.closings == 1


def test_a_failure_ends_with_the_error_and_no_done_and_is_logged(
    gs: ModuleType, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    error = ValueError("the password is 1234")
    source = Source("a", error=error)
    assert run(whole(gs.sse(source))) == PRELUDE + said("a") + INTERNAL
    assert source.closings == 1
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is error


def test_the_text_of_a_stream_error_is_told_and_not_logged(
    gs: ModuleType, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source("a", error=gs.StreamError("try later", code="busy", retry_after=3))
    assert run(whole(gs.ndjson(source))).splitlines()[1:] == [
        b'{"type":"error","error":"try later","code":"busy","retry_after":3}'
    ]
    assert not caplog.records


def test_an_error_whose_text_cannot_be_written_is_told_in_general_words(
    gs: ModuleType, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source("a", error=gs.StreamError("\ud800"))
    stream = run(whole(gs.sse(source, gs.SSEOptions(errors="strict"))))
    assert stream == PRELUDE + said("a") + INTERNAL
    assert len(caplog.records) == 1


def test_an_error_at_the_end_takes_the_place_of_done(gs: ModuleType, run: Run) -> None:
    stream = run(whole(gs.sse(Source("a", gs.events.Error("no")))))
    assert stream == PRELUDE + said("a") + b'event: error\nretry: 5000\ndata: {"error":"no"}\n\n'


def test_an_error_in_the_middle_is_a_report(gs: ModuleType, run: Run) -> None:
    stream = run(whole(gs.sse(Source(gs.events.Error("no"), "a"))))
    assert stream.endswith(b'data: {"error":"no"}\n\n' + said("a") + DONE)


def test_a_failure_of_peoples_own_payloads_ends_with_the_error_object(
    gs: ModuleType, run: Run
) -> None:
    stream = run(whole(gs.ndjson(Source({"a": 1}, error=ValueError("secret")), dialect="json")))
    assert stream.splitlines() == [
        b'{"a":1}',
        b'{"error":{"code":"internal","message":"internal error"}}',
    ]


@pytest.mark.parametrize("error", [asyncio.CancelledError, BaseException, TimeoutError])
def test_whatever_a_source_raises_by_itself_is_a_failure(
    gs: ModuleType, run: Run, error: type[BaseException]
) -> None:
    source = Source("a", error=error())
    assert run(whole(gs.sse(source))) == PRELUDE + said("a") + INTERNAL
    assert source.closings == 1


# ---- closing ----


def test_an_iterator_that_is_closed_early_closes_the_source(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        source = Source("a", waits=True)
        chunks = gs.sse(source)
        await anext(chunks)
        await chunks.aclose()
        assert source.closings == 1
        assert await collect(chunks) == []
        await chunks.aclose()
        assert source.closings == 1

    run(main())


def test_an_iterator_that_was_never_begun_closes_the_source_too(gs: ModuleType, run: Run) -> None:
    class Opened:
        closings = 0

        def __aiter__(self) -> Opened:
            return self

        async def __anext__(self) -> str:
            raise AssertionError("never asked for")

        async def aclose(self) -> None:
            self.closings += 1

    async def main() -> None:
        source = Opened()
        async with contextlib.aclosing(gs.sse(source)) as chunks:
            pass
        assert source.closings == 1
        assert await collect(chunks) == []
        assert source.closings == 1

    run(main())


def test_a_consumer_that_is_cancelled_while_the_source_sleeps_closes_it(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        source = Source("a", waits=True)
        came = asyncio.Event()

        async def consume() -> None:
            async for _ in gs.sse(source):
                came.set()

        consumer = asyncio.create_task(consume())
        await came.wait()
        for _ in range(5):
            await asyncio.sleep(0)
        consumer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await consumer
        assert source.closings == 1

    run(main())


def test_a_consumers_time_out_is_a_time_out_and_closes_the_source(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        source = Source("a", waits=True)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await collect(gs.sse(source))
        assert source.closings == 1
        current = asyncio.current_task()
        assert current is not None
        assert not current.cancelling()

    run(main())


def test_an_iterator_that_is_dropped_closes_the_source(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        source = Source("a", waits=True)
        chunks = gs.sse(source)
        await anext(chunks)
        del chunks
        gc.collect()
        await source.closed.wait()
        closing = asyncio.all_tasks() - {asyncio.current_task()}  # the loop's own, for what drops
        if closing:
            await asyncio.wait(closing)

    run(main())


def test_a_source_that_raises_in_its_own_cleanup_is_logged_and_changes_nothing(
    gs: ModuleType, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def source() -> AsyncIterator[Any]:
        try:
            yield "a"
            yield gs.events.Done()
            yield "b"
        finally:
            raise ValueError("in the cleanup")

    assert run(whole(gs.sse(source()))) == PRELUDE + said("a") + DONE
    (record,) = caplog.records
    assert "closed" in record.message


def test_a_source_that_ends_within_a_task_group_ends_as_any_other(
    gs: ModuleType, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def source(last: Any) -> AsyncIterator[Any]:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
            yield "a"
            yield last
            yield "b"

    assert run(whole(gs.sse(source(gs.events.Done())))) == PRELUDE + said("a") + DONE
    assert run(whole(gs.sse(source(5)))) == PRELUDE + said("a") + INTERNAL
    assert len(caplog.records) == 1  # the GeneratorExit of aclose(), grouped, is no failure
