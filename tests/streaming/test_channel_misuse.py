"""A channel that is used where it cannot be, and on trio."""

from __future__ import annotations

import asyncio
import os
import pickle
from types import ModuleType
from typing import Any

import pytest
import trio
from frames import DONE, PRELUDE, said
from loops import Run, collect
from trio_exchange import Exchange, on_trio

from gaistream import ChannelClosed, Outcome


def test_a_second_response_is_refused(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        channel = gs.Channel()
        first = gs.asgi.SSEResponse(channel)
        with pytest.raises(gs.errors.ChannelError, match="one response"):
            gs.asgi.SSEResponse(channel)
        with pytest.raises(gs.errors.ChannelError, match="one response"):
            gs.sse(channel)
        del first

    run(main())


def test_a_put_from_another_loop_is_refused(gs: ModuleType, run: Run) -> None:
    channel = gs.Channel()

    async def first() -> None:
        channel.put_nowait("a")

    async def second() -> None:
        with pytest.raises(gs.errors.ChannelError, match="another event loop"):
            channel.put_nowait("b")
        with pytest.raises(gs.errors.ChannelError, match="another event loop"):
            await channel.put("b")
        body = b"".join(await collect(gs.sse(channel)))
        assert b"internal error" in body

    asyncio.run(first())
    run(second())


def test_a_put_from_a_thread_names_the_method_for_threads(gs: ModuleType, run: Run) -> None:
    with pytest.raises(gs.errors.ChannelError, match="put_threadsafe"):
        gs.Channel().put_nowait("a")

    async def main() -> None:
        channel = gs.Channel()
        with pytest.raises(gs.errors.ChannelError, match="put_threadsafe"):
            await asyncio.to_thread(channel.put_nowait, "a")

    run(main())


def test_put_threadsafe_is_refused_where_it_would_block_the_loop(gs: ModuleType, run: Run) -> None:
    made_elsewhere = gs.Channel()

    async def main() -> None:
        with pytest.raises(gs.errors.ChannelError, match="own event loop"):
            gs.Channel().put_threadsafe("a")
        with pytest.raises(gs.errors.ChannelError, match="block an event loop"):
            for _ in range(6):
                made_elsewhere.put_threadsafe("x" * 60_000)

    run(main())


def test_a_channel_may_be_made_and_filled_in_a_thread(gs: ModuleType, run: Run) -> None:
    channel = gs.Channel()
    channel.put_threadsafe("a")

    async def main() -> None:
        channel.put_nowait("b")
        channel.close()
        assert await collect(gs.sse(channel)) == [PRELUDE + said("a") + said("b") + DONE]

    run(main())


def test_a_thread_may_put_before_and_after_a_response_takes_the_channel(
    gs: ModuleType, run: Run
) -> None:
    channel = gs.Channel()
    channel.put_threadsafe("a")

    async def main() -> None:
        chunks = gs.sse(channel)
        assert await anext(chunks) == PRELUDE + said("a")
        for text in "bc":
            await asyncio.to_thread(channel.put_threadsafe, text)
            assert await anext(chunks) == said(text)
        await asyncio.to_thread(channel.close)
        assert await collect(chunks) == [DONE]

    run(main())


def test_without_a_response_it_holds_so_much_and_no_more(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        channel = gs.Channel()
        count = 0
        with pytest.raises(gs.ChannelFull, match="256 KiB"):
            while True:
                channel.put_nowait("x" * 1000)
                count += 1
        assert 200 * 1024 < count * 1000 <= 256 * 1024
        waits = asyncio.create_task(channel.put("x" * 1000))
        await asyncio.sleep(0)
        assert not waits.done()
        channel.close()
        with pytest.raises(gs.ChannelClosed):
            await waits
        larger = gs.Channel()
        larger.put_nowait("x" * 10**6)  # an item that is larger than all may come first
        with pytest.raises(gs.ChannelFull):
            larger.put_nowait("")

    run(main())


@pytest.mark.parametrize("helper_thread", [False, True])
def test_wsgi_refuses_it_by_name(gs: ModuleType, helper_thread: bool) -> None:
    with pytest.raises(
        gs.errors.EventError, match="a Channel needs a server's event loop, and WSGI"
    ):
        gs.wsgi.SSEResponse(gs.Channel(), helper_thread=helper_thread)


@pytest.mark.parametrize("error", ["text", ValueError, asyncio.CancelledError()])
def test_fail_wants_an_exception(gs: ModuleType, error: Any) -> None:
    with pytest.raises(gs.errors.FrameTypeError, match="error must be an Exception, not"):
        gs.Channel().fail(error)


def test_its_errors_can_be_pickled() -> None:
    outcome = Outcome("client_gone", 1, 2, 3.0)
    error = pickle.loads(pickle.dumps(ChannelClosed("over", outcome)))
    assert (str(error), error.outcome) == ("over", outcome)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_what_was_put_before_a_fork_is_each_processes_own(gs: ModuleType) -> None:
    channel = gs.Channel()
    channel.put_threadsafe("a")
    channel.close()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            chunks = asyncio.run(collect(gs.sse(channel)))
            os.write(write, b"".join(chunks))
        finally:
            os._exit(0)
    os.close(write)
    assert os.read(read, 1000) == PRELUDE + said("a") + DONE
    os.close(read)
    os.waitpid(child, 0)
    assert asyncio.run(collect(gs.sse(channel))) == [PRELUDE + said("a") + DONE]


# ---- trio ----


def test_on_trio_puts_go_out_as_they_come(gs: ModuleType) -> None:
    async def main() -> None:
        exchange, channel = Exchange(), gs.Channel()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exchange.serve, gs, channel)
            await channel.put("a")
            await exchange.got.wait()
            channel.put_nowait("b")
            await trio.to_thread.run_sync(channel.put_threadsafe, "c")
            channel.close()
        assert exchange.body == PRELUDE + said("a") + said("b") + said("c") + DONE
        assert exchange.kind == "completed"

    on_trio(main)


def test_on_trio_a_client_that_leaves_ends_puts_that_wait(gs: ModuleType) -> None:
    async def main() -> None:
        exchange, channel = Exchange(), gs.Channel()
        exchange.send = blocked  # type: ignore[method-assign]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exchange.serve, gs, channel)
            with pytest.raises(gs.ChannelClosed) as caught:
                nursery.start_soon(leave_when_blocked, exchange)
                while True:
                    await channel.put("x" * 10_000)
                    await trio.lowlevel.checkpoint()
            assert caught.value.outcome.kind == "client_gone"
        assert exchange.kind == "client_gone"

    async def blocked(_: Any) -> None:
        await trio.sleep_forever()

    async def leave_when_blocked(exchange: Exchange) -> None:
        await trio.testing.wait_all_tasks_blocked()
        exchange.gone.set()

    on_trio(main)
