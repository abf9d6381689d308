"""A channel: what is put is sent, when, in whose name, and how its stream ends."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import pytest
from channels import Served
from frames import DONE, INTERNAL, PRELUDE, said
from loops import Run, collect, turns

variable: ContextVar[str] = ContextVar("variable", default="nothing")


def test_what_is_put_before_during_and_at_the_end_is_sent_in_order(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        served = Served(gs)
        served.channel.put_nowait("a")
        await served.channel.put("b")
        await served.begun()
        await served.channel.put("c")
        served.channel.put_nowait("d")
        served.channel.close()
        outcome = await served.task
        assert served.body == said("a") + said("b") + said("c") + said("d") + DONE
        assert (outcome.kind, outcome.events, outcome.source_closed) == ("completed", 4, True)

    run(main())


def test_of_the_puts_of_one_turn_the_first_is_sent_at_once_and_the_others_together(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        served = await Served(gs).begun()
        for turn in range(1, 3):
            del served.connection.log[:]
            for number in range(1000):
                served.channel.put_nowait("x")
                assert served.chunks == [said("x")], number
            await turns(2)
            assert served.chunks == [said("x"), 999 * said("x")], turn
        served.channel.close()
        await served.task

    run(main())


def test_a_put_costs_the_loop_one_call_for_all_channels_of_a_turn(
    gs: ModuleType, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        loop = gs.loops.event_loop()
        call_soon, calls = loop.call_soon, 0

        def counted(*args: Any, **context: Any) -> Any:
            nonlocal calls
            calls += 1
            return call_soon(*args, **context)

        monkeypatch.setattr(loop, "call_soon", counted)  # before the first channel takes it
        all_served = [await Served(gs).begun() for _ in range(10)]
        for served in all_served:
            for _ in range(3):
                served.channel.put_nowait("x")
        assert calls == 1
        await turns(2)
        for served in all_served:
            assert served.body == 3 * said("x")
            served.channel.close()
        await asyncio.gather(*(served.task for served in all_served))

    run(main())


@pytest.mark.parametrize("putter", ["a task", "a callback", "the connection's context"])
def test_every_send_is_of_the_connections_task_and_in_its_context(
    gs: ModuleType, run: Run, putter: str
) -> None:
    async def main() -> None:
        seen: list[Any] = []

        async def step(_: bytes) -> None:
            task = asyncio.current_task()
            assert task is not None
            seen.append((task.get_name(), variable.get()))

        variable.set("the connection's")
        served = await Served(gs, step).begun()
        variable.set("the putter's")
        loop = asyncio.get_running_loop()
        for _ in range(2):
            if putter == "a task":
                served.channel.put_nowait("x")
            elif putter == "a callback":
                loop.call_soon(served.channel.put_nowait, "x")
            else:
                context = served.task.get_context() if hasattr(served.task, "get_context") else None
                loop.call_soon(served.channel.put_nowait, "x", context=context)
            await turns(4)
        served.channel.close()
        await served.task
        assert served.body == 2 * said("x") + DONE
        assert set(seen) == {("connection", "the connection's")}
        current = asyncio.current_task()
        assert current is not None
        assert variable.get() == "the putter's"

    run(main())


def test_none_is_no_event(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        served = Served(gs)
        served.channel.put_nowait(None)
        await served.begun()
        await served.channel.put(None)
        served.channel.close()
        assert (await served.task).events == 0
        assert served.body == DONE

    run(main())


def test_puts_of_several_tasks_and_threads_are_whole_and_in_each_ones_order(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        served = Served(gs)
        many = 2000

        async def in_task(name: str) -> None:
            for number in range(many):
                await served.channel.put(f"{name} {number}")
                if not number % 7:
                    await asyncio.sleep(0)

        def in_thread(name: str) -> None:
            for number in range(many):
                served.channel.put_threadsafe(f"{name} {number}")

        await asyncio.gather(
            *(in_task(name) for name in "ab"),
            *(asyncio.to_thread(in_thread, name) for name in "cd"),
        )
        served.channel.close()
        assert (await served.task).events == 4 * many
        texts = [event.json()["text"] for event in gs.SSEDecoder().feed(served.body)[:-1]]
        for name in "abcd":
            own = [text for text in texts if text.startswith(name)]
            assert own == [f"{name} {number}" for number in range(many)]

    run(main())


def test_what_a_thread_has_put_comes_before_what_is_put_after_it(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        served = await Served(gs).begun()
        await asyncio.to_thread(served.channel.put_threadsafe, "a")
        await served.channel.put("b")
        thread = threading.Thread(target=served.channel.put_threadsafe, args=("c",))
        thread.start()
        thread.join()  # the loop has not run meanwhile
        served.channel.put_nowait("d")
        served.channel.close()
        await served.task
        assert served.body == b"".join(map(said, "abcd")) + DONE

    run(main())


# ---- the end ----


def test_a_thread_may_put_all_and_close(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        served = Served(gs)

        def work() -> None:
            for _ in range(3):
                served.channel.put_threadsafe("x")
            served.channel.close()
            served.channel.close()

        await asyncio.to_thread(work)
        assert (await served.task).kind == "completed"
        assert served.body == 3 * said("x") + DONE

    run(main())


@pytest.mark.parametrize("when", ["before", "later"])
@pytest.mark.parametrize("thread", [True, False])
def test_fail_ends_the_stream_after_what_was_put_as_a_source_that_raises(
    gs: ModuleType, run: Run, when: str, thread: bool
) -> None:
    async def main() -> None:
        served, error = Served(gs), ValueError("secret")
        if when == "later":
            await served.begun()
        served.channel.put_nowait("a")
        if thread:
            await asyncio.to_thread(served.channel.fail, error)
        else:
            served.channel.fail(error)
        served.channel.fail(ValueError("too late"))
        outcome = await served.task
        assert (outcome.kind, outcome.error) == ("failed", error)
        assert served.body == said("a") + INTERNAL

    run(main())


def test_a_failure_before_the_first_event_is_a_status(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        channel, sent = gs.Channel(), []
        channel.fail(gs.StreamError("busy", status=503))

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "headers": []}
        await gs.asgi.SSEResponse(channel)(scope, asyncio.Event().wait, send)
        assert sent[0]["status"] == 503

    run(main())


def test_an_item_that_is_no_event_fails_the_stream_and_its_put(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        served = await Served(gs).begun()
        served.channel.put_nowait("a")
        with pytest.raises(gs.errors.EventError):
            served.channel.put_nowait(object())
        with pytest.raises(gs.ChannelClosed):
            served.channel.put_nowait("b")
        outcome = await served.task
        assert outcome.kind == "failed"
        assert isinstance(outcome.error, gs.errors.EventError)
        assert served.body == said("a") + INTERNAL

    run(main())


def test_an_event_that_ends_the_stream_ends_the_channel(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        for early in (True, False):
            served = Served(gs)
            if not early:
                await served.begun()
            served.channel.put_nowait("a")
            served.channel.put_nowait(gs.events.Done())
            assert (await served.task).kind == "completed"
            assert served.body == said("a") + DONE
            with pytest.raises(gs.ChannelClosed) as caught:
                await served.channel.put("b")
            assert caught.value.outcome.events == 2

    run(main())


def test_after_close_a_put_raises_and_the_outcome_is_that_so_far(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        channel = gs.Channel()
        channel.put_nowait("a")
        channel.close()
        with pytest.raises(gs.ChannelClosed, match="the channel was closed") as caught:
            channel.put_nowait("b")
        assert caught.value.outcome is None
        assert await collect(gs.sse(channel)) == [PRELUDE + said("a") + DONE]
        channel.fail(ValueError())  # too late to do anything
        with pytest.raises(gs.ChannelClosed, match="over: completed") as caught:
            await channel.put("b")
        assert caught.value.outcome.kind == "completed"

    run(main())


@pytest.mark.parametrize("keywords", [{"collect": True}, {"on_disconnect": "continue"}])
def test_its_message_is_collected_and_it_goes_on_without_its_client(
    gs: ModuleType, run: Run, keywords: dict[str, Any]
) -> None:
    async def main() -> None:
        channel, gone, outcomes, sent = gs.Channel(), asyncio.Event(), [], []

        async def receive() -> Any:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "headers": []}
        response = gs.asgi.SSEResponse(channel, on_close=outcomes.append, **keywords)
        serving = asyncio.create_task(response(scope, receive, send))
        for text in "abc":
            await channel.put(text)
            await turns(4)
        if "on_disconnect" in keywords:
            gone.set()
            await turns(4)
            await channel.put("d")
        channel.close()
        with pytest.raises(gs.ChannelClosed):
            await channel.put("e")
        await serving
        [outcome] = outcomes
        assert outcome.message.text == ("abcd" if gone.is_set() else "abc")
        assert outcome.message.complete

    run(main())


# ---- without a response of ours ----


@pytest.mark.parametrize("format_", ["sse", "ndjson"])
def test_it_feeds_the_iterators(gs: ModuleType, run: Run, format_: str) -> None:
    async def main() -> None:
        channel = gs.Channel()
        chunks = getattr(gs, format_)(channel)

        async def put() -> None:
            for text in "abc":
                await channel.put(text)
                await turns(3)
            channel.close()

        putting = asyncio.create_task(put())
        got = await collect(chunks)
        await putting
        prelude = [PRELUDE] if format_ == "sse" else []
        events = [gs.encode_events([text], format_) for text in "abc"]
        assert got[:-1] == [b"".join([*prelude, events[0]]), *events[1:]]
        assert got[-1] == gs.encode_events([gs.events.Done()], format_)

    run(main())


def test_a_generator_may_read_it(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        channel = gs.Channel()

        async def louder() -> Any:
            async for text in channel:
                yield text.upper()

        async def put() -> None:
            for text in "abc":
                await channel.put(text)
                await turns(3)
            await asyncio.to_thread(channel.put_threadsafe, "d")
            channel.close()

        putting = asyncio.create_task(put())
        got = await collect(gs.sse(louder()))
        await putting
        assert b"".join(got) == PRELUDE + b"".join(map(said, "ABCD")) + DONE

    run(main())
