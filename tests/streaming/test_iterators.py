"""`sse()` and `ndjson()` on async sources: what comes when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest
from frames import DONE, INTERNAL, PRELUDE, said
from loops import Run, collect, turns

OBJECT = pytest.param(object(), id="object")  # its repr() differs between processes
async def whole(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join(await collect(chunks))


class Tokens:
    """A source that yields what a test gives it, and knows whether it was closed."""

    def __init__(self, *items: Any) -> None:
        self.items = items
        self.more: asyncio.Queue[Any] = asyncio.Queue()
        self.closed = 0
        self.produced = 0

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            for item in self.items:
                self.produced += 1
                yield item
            while (item := await self.more.get()) is not None:
                self.produced += 1
                yield item
        finally:
            self.closed += 1

    def end(self) -> Tokens:
        """Let the source end when it has yielded its items."""
        self.more.put_nowait(None)
        return self


# ---- when chunks come ----


def test_what_a_source_yields_without_awaiting_comes_in_few_chunks(
    gs: ModuleType, run: Run
) -> None:
    async def source() -> AsyncIterator[str]:
        for number in range(1000):
            yield str(number)

    chunks = run(collect(gs.sse(source())))
    assert b"".join(chunks) == PRELUDE + b"".join(said(str(n)) for n in range(1000)) + DONE
    assert len(chunks) <= 20  # one, where the machine is fast enough


def test_a_source_fed_token_by_token_comes_token_by_token(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        source = Tokens()
        chunks = gs.sse(source)
        assert await anext(chunks) == b":\n\n"  # though there is no event yet
        for number in range(20):
            source.more.put_nowait(f"token {number}")
            assert await anext(chunks) == said(f"token {number}")
            assert source.produced == number + 1
        source.more.put_nowait(None)
        assert await collect(chunks) == [DONE]

    run(main())


def test_a_source_that_yields_at_once_starts_with_prelude_and_event_in_one_chunk(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        chunks = gs.sse(Tokens("a").end())
        assert await anext(chunks) == PRELUDE + said("a") + DONE
        assert await collect(chunks) == []

    run(main())


def test_ndjson_has_no_prelude(gs: ModuleType, run: Run) -> None:
    lines = run(whole(gs.ndjson(Tokens("a").end())))
    assert lines == b'{"type":"text_delta","text":"a"}\n{"type":"done","finished":true}\n'


@pytest.mark.parametrize("form", ["sse", "ndjson"])
def test_the_first_event_is_never_delayed(gs: ModuleType, run: Run, form: str) -> None:
    kind = gs.SSEOptions if form == "sse" else gs.NDJSONOptions
    options = kind(flush_after_write=False, flush_interval=60, heartbeat_interval=None)

    async def main() -> None:
        source = Tokens()
        chunks = getattr(gs, form)(source, options)
        if form == "sse":
            assert await anext(chunks) == b":\n\n"
        first = asyncio.ensure_future(anext(chunks))
        await asyncio.sleep(0)
        source.more.put_nowait("first")
        assert b"first" in await first
        source.more.put_nowait("waits")
        second = asyncio.ensure_future(anext(chunks))
        for _ in range(10):
            await asyncio.sleep(0)
        assert source.produced == 2
        assert not second.done()
        source.more.put_nowait(None)  # the end sends what waits
        assert b"waits" in await second

    run(main())


def test_without_flush_after_write_bytes_wait_for_the_size(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        size = 3 * len(said("b"))
        options = gs.SSEOptions(
            flush_after_write=False, flush_interval=60, heartbeat_interval=None, buffer_size=size
        )
        source = Tokens("a")
        chunks = gs.sse(source, options)
        assert await anext(chunks) == PRELUDE + said("a")
        asked = asyncio.ensure_future(anext(chunks))
        for _ in range(2):
            source.more.put_nowait("b")
        await turns(20)
        assert not asked.done()
        source.more.put_nowait("b")
        assert await asked == 3 * said("b")
        await chunks.aclose()

    run(main())


def test_without_flush_after_write_bytes_wait_for_the_interval(gs: ModuleType, run: Run) -> None:
    """tests/streaming/test_clock.py tells how long that is."""

    async def main() -> None:
        options = gs.SSEOptions(
            flush_after_write=False, flush_interval=0.2, heartbeat_interval=None
        )
        source = Tokens("a")
        chunks = gs.sse(source, options)
        assert await anext(chunks) == PRELUDE + said("a")
        for _ in range(2):
            asked = asyncio.ensure_future(anext(chunks))
            source.more.put_nowait("b")
            await turns(5)
            source.more.put_nowait("c")
            assert await asked == said("b") + said("c")
        await chunks.aclose()

    run(main())


# ---- heartbeats ----


async def past_heartbeats(chunks: AsyncIterator[bytes]) -> bytes:
    """Give the next chunk that is more than heartbeats, which a slow machine may let come."""
    while not (chunk := (await anext(chunks)).replace(b": keep-alive\n\n", b"")):
        pass
    return chunk


def test_heartbeats_come_while_the_source_is_idle(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        source = Tokens("a")
        chunks = gs.sse(source, gs.SSEOptions(heartbeat_interval=0.05))
        assert await anext(chunks) == PRELUDE + said("a")
        for _ in range(3):
            assert await anext(chunks) == b": keep-alive\n\n"
        source.more.put_nowait("b")
        assert await past_heartbeats(chunks) == said("b")
        assert await anext(chunks) == b": keep-alive\n\n"
        source.more.put_nowait(None)
        assert await past_heartbeats(chunks) == DONE
        assert await collect(chunks) == []

    run(main())


def test_after_an_id_a_heartbeat_has_no_blank_line(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        source = Tokens()
        chunks = gs.sse(source, gs.SSEOptions(heartbeat_interval=0.05, include_id=True))
        assert await anext(chunks) == b":\n\n"
        assert await anext(chunks) == b": keep-alive\n\n"
        source.more.put_nowait("a")
        assert await past_heartbeats(chunks) == b"id: 1\n" + said("a")
        assert await anext(chunks) == b": keep-alive\n"
        await chunks.aclose()

    run(main())


def test_ndjson_pings_where_it_is_asked_to(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        chunks = gs.ndjson(Tokens(), gs.NDJSONOptions(heartbeat_interval=0.05))
        for _ in range(2):
            assert await anext(chunks) == b'{"type":"ping"}\n'
        await chunks.aclose()

    run(main())


@pytest.mark.parametrize("interval", [0, None])
def test_heartbeats_can_be_switched_off(gs: ModuleType, run: Run, interval: int | None) -> None:
    async def main() -> None:
        source = Tokens("a")
        options = gs.SSEOptions(heartbeat_interval=interval, flush_interval=0.01)
        chunks = gs.sse(source, options)
        await anext(chunks)
        waiting = asyncio.ensure_future(anext(chunks))
        await asyncio.sleep(0.1)  # nothing to wait for: nothing may happen
        assert not waiting.done()
        source.more.put_nowait(None)
        assert await waiting == DONE

    run(main())


# ---- options and what is none ----


def test_a_reconnection_time_that_was_set_is_sent_once_at_the_start(
    gs: ModuleType, run: Run
) -> None:
    stream = run(whole(gs.sse(Tokens("a").end(), gs.SSEOptions(retry_ms=1234))))
    assert stream == b":\n\nretry: 1234\n" + said("a") + DONE


def test_sources_with_anything_else_than_events_fail_with_the_error_event(
    gs: ModuleType, run: Run
) -> None:
    for item in (5, {"no": "type"}, ["a"], gs.events.Raw({"deep": [{"er": {object()}}]})):
        source = Tokens("a", item, "b")
        assert run(whole(gs.sse(source))) == PRELUDE + said("a") + INTERNAL
        assert source.closed == 1
        assert source.produced == 2


@pytest.mark.parametrize(
    "stream", ["text", b"bytes", bytearray(b"x"), {"type": "done"}, 5, None, OBJECT], ids=repr
)
@pytest.mark.parametrize("form", ["sse", "ndjson"])
def test_what_is_no_source_is_refused_at_once(gs: ModuleType, form: str, stream: Any) -> None:
    with pytest.raises(gs.errors.EventError, match=type(stream).__name__):
        getattr(gs, form)(stream)


def test_a_dialect_that_is_none_is_refused_at_once(gs: ModuleType) -> None:
    with pytest.raises(gs.errors.FrameError, match="morse"):
        gs.sse(Tokens(), dialect="morse")


def test_peoples_own_payloads_just_end(gs: ModuleType, run: Run) -> None:
    stream = run(whole(gs.sse(Tokens({"a": 1}, "b").end(), dialect="json")))
    assert stream == b':\n\ndata: {"a":1}\n\ndata: "b"\n\n'
