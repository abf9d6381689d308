"""A channel whose client is slow or leaves, and whose stream is drained, cancelled or silent."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from types import ModuleType
from typing import Any

import pytest
from channels import PIECE, Served, Slow
from fed_streams import SOON
from frames import DONE, PRELUDE, said
from loops import Run, turns

BEAT = b": keep-alive\n\n"


async def fill(served: Served, full: type[Exception]) -> int:
    """Put until there is no room; return how many bytes of text were put."""
    count = 0
    try:
        while True:
            served.channel.put_nowait(PIECE)
            count += 1
            await asyncio.sleep(0)
            assert count < 1000
    except full:
        return count * len(PIECE)


def test_a_slow_client_has_puts_wait_until_it_takes_more(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        slow = Slow()
        served = await Served(gs, slow).begun()
        kept = await fill(served, gs.ChannelFull)
        assert 300 * 1024 < kept <= 514 * 1024  # in the stream's buffer, and queued
        in_task = asyncio.create_task(served.channel.put("task" + PIECE))
        done: list[None] = []

        def in_thread() -> None:
            served.channel.put_threadsafe("thread" + PIECE)
            done.append(None)

        thread = asyncio.create_task(asyncio.to_thread(in_thread))
        cancelled = asyncio.create_task(served.channel.put("cancelled" + PIECE))
        await turns(5)
        assert not in_task.done()
        assert not done
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        slow.open.set()
        await asyncio.gather(in_task, thread)
        served.channel.close()
        assert (await served.task).kind == "completed"
        assert served.body.count(PIECE.encode()) == kept / len(PIECE) + 2
        assert served.body.endswith(DONE)
        assert said("task" + PIECE) in served.body
        assert said("thread" + PIECE) in served.body
        assert b"cancelled" not in served.body

    run(main())


def test_a_client_that_is_slow_for_a_while_gets_all_in_order(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        async def step(_: bytes) -> None:
            await asyncio.sleep(0)

        served = Served(gs, step)
        for number in range(1000):
            await served.channel.put(f"{number} {PIECE}")
        served.channel.close()
        assert (await served.task).events == 1000
        assert served.body == b"".join(said(f"{n} {PIECE}") for n in range(1000)) + DONE

    run(main())


def test_a_burst_of_awaited_puts_gives_the_loop_turns(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        served = await Served(gs).begun()
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0)
                ticks += 1

        ticking = asyncio.create_task(tick())
        for _ in range(500):
            await served.channel.put(PIECE)
        assert ticks >= 5
        ticking.cancel()
        served.channel.close()
        await asyncio.wait([served.task, ticking])

    run(main())


@pytest.mark.parametrize("kind", ["client_gone", "drained", "cancelled", "stalled"])
@pytest.mark.parametrize("puts", ["one after", "one that waits", "one in a thread that waits"])
def test_a_put_raises_how_the_stream_has_ended(
    gs: ModuleType, run: Run, kind: str, puts: str
) -> None:
    async def main() -> None:
        slow = Slow()
        served = await Served(gs, slow).begun()
        if puts != "one after":
            await fill(served, gs.ChannelFull)
        put: Any = None
        if puts == "one that waits":
            put = asyncio.create_task(served.channel.put("late" + PIECE))
        elif puts != "one after":
            put = asyncio.create_task(asyncio.to_thread(served.channel.put_threadsafe, PIECE))
        await turns(5)
        if kind == "cancelled":
            served.task.cancel()
        elif kind == "drained" and puts == "one after":
            served.stream.drain(None)
        else:
            served.stream.interrupt(kind)
        with pytest.raises(gs.ChannelClosed, match=f"over: {kind}") as caught:
            if put is not None:
                await put
            else:
                if kind == "cancelled":
                    await turns(1)
                served.channel.put_nowait("late")
        assert caught.value.outcome.kind == kind
        await asyncio.wait([served.task])
        with pytest.raises(gs.ChannelClosed, match=f"over: {kind}"):
            await served.channel.put("later")

    run(main())


def test_heartbeats_go_out_while_nothing_is_put(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        served = await Served(gs, heartbeat_interval=SOON).begun()
        await served.channel.put("a")
        await served.connection.sends(said("a") + BEAT)
        await served.channel.put("b")
        served.channel.close()
        assert (await served.task).events == 2

    run(main())


def test_a_channel_that_is_silent_for_too_long_ends_its_stream(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        served = await Served(gs, source_timeout=2 * SOON).begun()
        await served.channel.put("a")
        outcome = await served.task
        assert (outcome.kind, outcome.error.code) == ("failed", "timeout")
        with pytest.raises(gs.ChannelClosed, match="over: failed"):
            await served.channel.put("b")

    run(main())


def test_a_drain_ends_it_whole(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        served = await Served(gs).begun()
        served.channel.put_nowait("a")
        served.channel.put_nowait("b")
        await gs.drain(0, retry_ms=5)
        assert (await served.task).kind == "drained"
        assert served.body == said("a") + said("b") + b"retry: 5\n"

    run(main())


def test_held_headers_go_out_with_the_first_put(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        channel, sent = gs.Channel(), []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "headers": []}
        response = gs.asgi.SSEResponse(channel, hold_headers=True)
        serving = asyncio.create_task(response(scope, asyncio.Event().wait, send))
        await turns(5)
        assert not sent
        channel.put_nowait("a")
        await turns(3)
        assert [message.get("body") for message in sent] == [None, PRELUDE + said("a")]
        channel.close()
        await serving

    run(main())


@pytest.mark.parametrize("size", [200, 10**6])
@pytest.mark.parametrize("interval", [60.0, SOON])
def test_puts_are_flushed_as_the_options_say(
    gs: ModuleType, run: Run, size: int, interval: float
) -> None:
    async def main() -> None:
        options = {"flush_after_write": False, "buffer_size": size, "flush_interval": interval}
        served = await Served(gs, **options).begun()
        for _ in range(40):
            await served.channel.put("x")
            await turns(2)
        if interval == SOON:
            await served.connection.sends(40 * said("x"))
        else:  # the prelude, the first event, and by size
            assert len(served.chunks) == (2 if size > 200 else 8)
        served.channel.close()
        await served.task
        assert served.body == 40 * said("x") + DONE

    run(main())


# ---- nothing is left ----


def test_a_channel_that_no_response_takes_leaves_nothing(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        gc.collect()
        gc.disable()
        try:
            channel = gs.Channel()
            channel.put_nowait("a")
            gone = weakref.ref(channel)
            del channel
            assert gone() is None
        finally:
            gc.enable()

    run(main())


@pytest.mark.parametrize("puts", ["a task", "a thread"])
def test_a_response_that_is_never_served_ends_its_channel(
    gs: ModuleType, run: Run, puts: str
) -> None:
    async def main() -> None:
        channel = gs.Channel()
        response = gs.asgi.SSEResponse(channel)
        for _ in range(4):
            channel.put_nowait("x" * 60_000)
        put = asyncio.create_task(
            channel.put("x" * 60_000)
            if puts == "a task"
            else asyncio.to_thread(channel.put_threadsafe, "x" * 60_000)
        )
        await turns(3)
        assert not put.done()
        del response
        gc.collect()
        with pytest.raises(gs.ChannelClosed):
            await put

    run(main())


def test_a_response_without_a_body_ends_its_channel(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        channel = gs.Channel()

        async def send(message: Any) -> None:
            assert not message.get("body")

        scope = {"type": "http", "method": "HEAD", "headers": []}
        await gs.asgi.SSEResponse(channel)(scope, asyncio.Event().wait, send)
        with pytest.raises(gs.ChannelClosed):
            channel.put_nowait("a")

    run(main())


def test_a_stream_that_is_over_leaves_nothing_to_the_collector(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        gc.collect()
        gc.disable()
        try:
            served = await Served(gs).begun()
            served.channel.put_nowait("a")
            served.channel.close()
            await served.task
            gone = weakref.ref(served.channel), weakref.ref(served.connection)
            del served
            await turns(2)
            assert [each() for each in gone] == [None, None]
        finally:
            gc.enable()

    run(main())


def test_a_thread_that_waits_ends_with_the_loop(gs: ModuleType) -> None:
    channel, raised = gs.Channel(), []

    def put() -> None:
        try:
            for _ in range(6):
                channel.put_threadsafe("x" * 60_000)
        except gs.ChannelClosed as error:
            raised.append(error)

    async def main() -> threading.Thread:
        channel.put_nowait("a")
        thread = threading.Thread(target=put)
        thread.start()
        return thread

    asyncio.run(main()).join(5)
    assert len(raised) == 1
