"""Clients that read slowly, leave or stall, and a server that stops, in process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import anyio
import pytest
from tested_apps import Watched, endless

import gaistream
from gaistream import events
from gaistream.asgi import SSEResponse
from gaistream.errors import FrameError
from gaistream.testing import stream

Run = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]


# ---- clients that leave, or take nothing ----


def test_an_endless_stream_is_read_as_far_as_the_test_likes(run: Run) -> None:
    async def main() -> None:
        closed = []

        async def source() -> AsyncIterator[str]:
            try:
                while True:
                    yield "on and on "
            finally:
                closed.append(True)

        async with stream(SSEResponse(source())) as s:
            for _ in range(5000):
                assert await anext(s) == events.TextDelta("on and on ")
        assert closed
        assert not s.complete
        assert s.outcome is not None
        assert s.outcome.kind == "client_gone"

    run(main)


def test_an_endless_blocking_source_waits_for_its_reader_and_is_closed(run: Run) -> None:
    async def main() -> None:
        async with stream(SSEResponse(endless()), read_ahead=1000) as s:
            assert await anext(s) == events.TextDelta("on and on ")
            await s.disconnect()
            await s.wait_closed()
        assert s.outcome is not None
        assert (s.outcome.kind, s.outcome.source_closed) == ("client_gone", True)

    run(main)


@pytest.mark.parametrize("count", [0, 3, 100, 100_000])
def test_a_client_leaves_after_so_many_bytes(count: int, run: Run) -> None:
    async def main() -> None:
        watched = Watched(*["some text"] * 10_000)
        async with stream(watched.app()) as s:
            await s.disconnect(after_bytes=count)
            assert len(s.body) == count
            await s.wait_closed()
            assert (watched.closed, watched.outcomes[0].kind) == (1, "client_gone")

    run(main)


def test_a_body_that_ends_before_the_leave_is_whole(run: Run) -> None:
    async def main() -> None:
        async with stream(Watched("a").app()) as s:
            await s.disconnect(after_bytes=10_000)
            assert s.complete
            await anext(s.chunks)
            with pytest.raises(FrameError, match="after_bytes is 1, but"):
                await s.disconnect(after_bytes=1)

    run(main)


def test_a_reader_that_stalls_ends_the_stream_after_the_send_timeout(run: Run) -> None:
    async def main() -> None:
        watched = Watched("a", waits=True)
        async with stream(watched.app()) as s:
            await anext(s)
            before = s.body
            s.stall()
            await s.advance(15)  # a heartbeat begins to be sent
            await s.advance(59)
            assert not watched.outcomes
            await s.advance(1)
            assert (watched.outcomes[0].kind, watched.closed) == ("stalled", 1)
            assert s.body == before

    run(main)


def test_a_reader_that_stalls_and_goes_on_gets_everything(run: Run) -> None:
    async def main() -> None:
        async with stream(Watched("a", waits=True).app()) as s:
            await anext(s)
            s.stall()
            await s.advance(40)
            assert s.comments == [""]
            s.resume()
            await s.advance(15)
            assert len(s.comments) >= 2
        assert s.outcome is not None
        assert s.outcome.kind == "client_gone"

    run(main)


@pytest.mark.parametrize("collect", [False, True])
def test_an_answer_goes_on_without_its_client_in_virtual_time(collect: bool, run: Run) -> None:
    async def main() -> None:
        go_on, outcomes = anyio.Event(), list[Any]()

        async def source() -> AsyncIterator[str]:
            yield "a"
            await go_on.wait()
            yield "b"
            await anyio.sleep_forever()

        settings: dict[str, Any] = {"collect": collect, "continue_seconds": 100}
        response = SSEResponse(
            source(), on_disconnect="continue", on_close=outcomes.append, **settings
        )
        async with stream(response) as s:
            await anext(s)
            await s.disconnect()
            go_on.set()
            await s.advance(99)
            assert not outcomes
            await s.advance(1)
            assert (outcomes[0].kind, outcomes[0].events) == ("client_gone", 2)
        assert s.outcome == outcomes[0]

    run(main)


# ---- drain ----


def test_a_drain_ends_the_stream_whole_with_a_reconnection_time(run: Run) -> None:
    async def main() -> None:
        watched = Watched("a", waits=True)
        async with stream(watched.app()) as s:
            await anext(s)
            await s.drain(30, retry_ms=700)
            assert s.complete
            assert s.body.endswith(b"retry: 700\n")
            assert watched.outcomes[0].kind == "drained"
            assert gaistream.draining()
            async with stream(Watched("b").app()) as refused:
                assert refused.status == 503
        assert not gaistream.draining()

    run(main)


def test_an_answer_may_finish_in_the_grace_time(run: Run) -> None:
    async def main() -> None:
        go_on = anyio.Event()

        async def source() -> AsyncIterator[str]:
            yield "a"
            await go_on.wait()
            yield "b"

        async with stream(SSEResponse(source())) as s:
            drained = gaistream.drain(10)
            await s.advance(1)
            go_on.set()
            assert [event async for event in s][-1] == events.Done()
            await drained
            assert s.outcome is not None
            assert s.outcome.kind == "completed"

    run(main)


def test_a_source_that_never_pauses_is_drained_too(run: Run) -> None:
    async def main() -> None:
        async with stream(SSEResponse(endless())) as s:
            await s.drain(1)
            assert s.complete
            assert s.outcome is not None
            assert s.outcome.kind == "drained"

    run(main)


def test_a_block_that_is_left_first_does_not_name_the_thread_of_another(run: Run) -> None:
    async def main() -> None:
        first = stream(Watched("a").app())
        await first.__aenter__()
        async with stream(SSEResponse(endless())) as s:
            await anext(s)
            await first.__aexit__(None, None, None)

    run(main)
