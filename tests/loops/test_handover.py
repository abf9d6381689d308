"""Sends that begin where a source blocks: whose task they are of, and who goes on with them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import anyio
import pytest
from frames import DONE, PRELUDE, said
from loops import Connection, Run, turns

variable: ContextVar[str] = ContextVar("variable", default="nothing")
SOON = 0.01  # seconds, of a time-out that is to strike


class Fed:
    """A source that gives what it is fed, until it is fed None."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[str | None] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[str]:
        while (item := await self.queue.get()) is not None:
            yield item

    async def feed(self, *items: str | None) -> None:
        """Feed one item after the other, each when the one before was dealt with."""
        for item in items:
            self.queue.put_nowait(item)
            await turns(4)


class Sending(Connection):
    """A connection whose sends do something before."""

    def __init__(self, step: Callable[[bytes], Awaitable[None]]) -> None:
        super().__init__()
        self.step = step
        self.more = asyncio.Event()

    async def send(self, chunk: bytes) -> None:
        """Do what was given, then take the chunk."""
        await self.step(chunk)
        await super().send(chunk)
        self.more.set()

    async def sends(self, text: bytes) -> None:
        """Wait until this was sent."""
        while text not in self.body:
            self.more.clear()
            await self.more.wait()


def stream_of(gs: ModuleType, source: Any, **settings: Any) -> Any:
    """Give a stream."""
    return gs.streaming.stream.Stream(
        source, gs.SSEEncoder(gs.SSEOptions(**settings)), send_timeout=60
    )


# ---- where and when ----


def test_a_token_is_sent_before_the_source_of_another_stream_runs(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        log: list[str] = []
        sources = {"a": Fed(), "b": Fed(), "c": Fed()}

        def serve(name: str) -> Awaitable[Any]:
            async def source() -> AsyncIterator[str]:
                async for item in sources[name]:
                    log.append(f"{name} yields")
                    yield item

            async def step(_: bytes) -> None:
                log.append(f"{name} sends")

            return asyncio.create_task(Sending(step).serve(stream_of(gs, source())))

        serving = [serve(name) for name in sources]
        await turns(5)
        log.clear()
        for each in sources.values():
            each.queue.put_nowait("token")
        await turns(3)
        assert log == [f"{name} {what}" for name in "abc" for what in ("yields", "sends")]
        for each in sources.values():
            await each.feed(None)
        await asyncio.gather(*serving)

    run(main())


def test_a_token_costs_the_loop_one_call_that_of_the_source(
    gs: ModuleType, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        source, connection = Fed(), Connection()
        serving = asyncio.create_task(connection.serve(stream_of(gs, source)))
        await turns(5)
        loop = asyncio.get_running_loop()
        call_soon = loop.call_soon
        calls = 0

        def counted(*args: Any, **context: Any) -> Any:
            nonlocal calls
            calls += 1
            return call_soon(*args, **context)

        with monkeypatch.context() as patch:
            patch.setattr(loop, "call_soon", counted)
            for _ in range(100):
                source.queue.put_nowait("token")
                await asyncio.sleep(0)  # which is a call too
        assert calls == 200
        assert connection.body == PRELUDE + 100 * said("token")
        await source.feed(None)
        await serving

    run(main())


def test_every_send_is_of_the_connections_task_and_in_its_context(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        fed, seen, sources_own = Fed(), [], []

        async def source() -> AsyncIterator[str]:
            variable.reset(token)  # which only the connection's own context can do
            own = asyncio.current_task()
            async for item in fed:
                yield item
                sources_own.append(asyncio.current_task() is own)

        async def step(chunk: bytes) -> None:
            seen.append((asyncio.current_task(), variable.get(), chunk))
            if b"waits" in chunk:
                await asyncio.sleep(0)
                seen.append((asyncio.current_task(), variable.get(), chunk))

        async def serve() -> None:
            nonlocal token
            variable.set("the connection's")
            token = variable.set("the endpoint's")
            await connection.serve(stream_of(gs, source(), heartbeat_interval=SOON))

        token: Any = None
        connection = Sending(step)
        serving = asyncio.create_task(serve())
        await turns(5)
        await fed.feed("a", "waits", "b")
        await connection.sends(b"keep-alive")  # begun in a callback of the loop
        await fed.feed("c", None)
        await serving
        assert {task for task, _, _ in seen} == {serving}
        assert {said for _, said, _ in seen} == {"the connection's"}
        assert len(seen) >= 8
        assert sources_own == [True] * 4

    run(main())


@pytest.mark.parametrize("waits", [False, True])
def test_a_variable_that_a_send_sets_is_the_connections_and_may_be_set_back(
    gs: ModuleType, run: Run, waits: bool
) -> None:
    async def main() -> None:
        fed, kept, seen = Fed(), [], []

        class Counting(Connection):
            async def begin(self) -> None:
                kept.append(variable.set("begun"))

            async def send(self, chunk: bytes) -> None:
                seen.append(variable.get())
                token = variable.set("within")  # as those who trace sends do
                if waits:
                    await asyncio.sleep(0)
                variable.reset(token)
                variable.set(f"{len(seen)} sent")
                await super().send(chunk)

            async def finish(self) -> None:
                seen.append(variable.get())
                variable.reset(kept.pop())
                seen.append(variable.get())

        async def serve() -> None:
            variable.set("the connection's")
            await connection.serve(stream_of(gs, fed))
            seen.append(variable.get())

        connection = Counting()
        serving = asyncio.create_task(serve())
        await turns(5)
        await fed.feed("a", "b", None)
        await serving
        sent = [f"{number} sent" for number in range(1, 5)]
        assert seen == ["begun", *sent, "the connection's", "the connection's"]
        assert connection.body == PRELUDE + said("a") + said("b") + DONE

    run(main())


def test_where_tasks_cannot_be_swapped_the_connections_task_sends_itself(
    gs: ModuleType, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gs.loops.handover, "_current", None)

    async def main() -> None:
        fed, tasks = Fed(), []

        async def step(_: bytes) -> None:
            tasks.append(asyncio.current_task())

        connection = Sending(step)
        serving = asyncio.create_task(connection.serve(stream_of(gs, fed)))
        await turns(5)
        await fed.feed("a", "b")
        assert connection.body == PRELUDE + said("a") + said("b")
        await fed.feed(None)
        assert (await serving).kind == "completed"
        assert set(tasks) == {serving}

    run(main())


def test_a_cancellation_that_is_taken_back_within_a_send_ends_nothing(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        fed = Fed()

        async def step(chunk: bytes) -> None:
            if b"odd" in chunk:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                task.uncancel()

        connection = Sending(step)
        serving = asyncio.create_task(connection.serve(stream_of(gs, fed)))
        await turns(5)
        await fed.feed("a", "odd", "b", None)
        assert (await serving).kind == "completed"
        assert connection.body == PRELUDE + said("a") + said("odd") + said("b") + DONE

    run(main())


def test_bytes_that_were_held_are_sent_by_the_timer_in_the_connections_task(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        fed, tasks = Fed(), []

        async def step(_: bytes) -> None:
            tasks.append(asyncio.current_task())

        connection = Sending(step)
        stream = stream_of(gs, fed, flush_after_write=False, flush_interval=SOON)
        serving = asyncio.create_task(connection.serve(stream))
        await turns(5)
        await fed.feed("first", "a", "b")
        assert connection.body == PRELUDE + said("first")
        await connection.sends(said("b"))
        assert connection.log[-1] == said("a") + said("b")
        await fed.feed(None)
        await serving
        assert set(tasks) == {serving}

    run(main())


# ---- sends that wait ----


def test_a_send_that_waits_goes_on_when_it_may_and_the_next_one_has_all_that_came(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        fed, gate = Fed(), asyncio.Event()

        async def step(chunk: bytes) -> None:
            if b"first" in chunk:
                await gate.wait()
                await asyncio.sleep(0)

        connection = Sending(step)
        serving = asyncio.create_task(connection.serve(stream_of(gs, fed)))
        await turns(5)
        await fed.feed("first", "a", "b")
        assert connection.log == ["begin", PRELUDE]
        gate.set()
        await turns(5)
        await fed.feed("c", None)
        await serving
        chunks = [PRELUDE, said("first"), said("a") + said("b"), said("c"), DONE]
        assert connection.log == ["begin", *chunks, "finish"]

    run(main())


def test_a_send_that_has_waited_is_not_taken_for_one_that_stalls(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        fed = Fed()

        async def step(_: bytes) -> None:
            await asyncio.sleep(0)

        connection = Sending(step)
        stream = stream_of(gs, fed)
        serving = asyncio.create_task(connection.serve(stream))
        await turns(5)
        await fed.feed("a")
        assert connection.body == PRELUDE + said("a")
        loop, ticks = asyncio.get_running_loop(), []
        loop.call_soon(lambda: ticks.append(stream.tick(loop.time() + 61)))
        await fed.feed("b", None)
        assert ticks[0] is not None
        assert (await serving).kind == "completed"

    run(main())


@pytest.mark.parametrize("scope", ["asyncio", "anyio"])
def test_a_time_out_within_a_send_is_the_sends_own(gs: ModuleType, run: Run, scope: str) -> None:
    async def main() -> None:
        fed, broken_off = Fed(), []

        async def step(_: bytes) -> None:
            try:
                if scope == "asyncio":
                    async with asyncio.timeout(SOON):
                        await asyncio.sleep(60)
                else:
                    with anyio.fail_after(SOON):
                        await anyio.sleep(60)
            except TimeoutError:
                broken_off.append(asyncio.current_task())

        connection = Sending(step)
        serving = asyncio.create_task(connection.serve(stream_of(gs, fed)))
        await fed.feed("a")
        await connection.sends(said("a"))
        await fed.feed("b", None)
        await serving
        assert connection.body == PRELUDE + said("a") + said("b") + DONE
        assert set(broken_off) == {serving}

    run(main())


def test_a_time_out_of_the_source_does_not_reach_a_send_that_waits(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        timed_out, gate = asyncio.Event(), asyncio.Event()

        async def source() -> AsyncIterator[str]:
            await asyncio.sleep(0)
            try:
                async with asyncio.timeout(SOON):
                    yield "first"
                    await asyncio.sleep(60)
            except TimeoutError:
                timed_out.set()
            yield "second"

        async def step(chunk: bytes) -> None:
            if b"first" in chunk:
                await gate.wait()

        connection = Sending(step)
        serving = asyncio.create_task(connection.serve(stream_of(gs, source())))
        await timed_out.wait()
        await turns(3)
        gate.set()
        assert (await serving).kind == "completed"
        assert connection.body == PRELUDE + said("first") + said("second") + DONE

    run(main())


class Steps:
    """An awaitable of a server that is no coroutine: it waits once, or not; nothing else."""

    def __init__(self, waits_for: Any) -> None:
        self.waits_for = waits_for

    def __await__(self) -> Any:
        return self

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        if self.waits_for is None:
            raise StopIteration
        waits_for, self.waits_for = self.waits_for, None
        return next(waits_for.__await__())


def test_a_send_may_be_an_awaitable_that_knows_nothing_but_next(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        fed, gate = Fed(), asyncio.get_running_loop().create_future()

        class Plain(Connection):
            def send(self, chunk: bytes) -> Any:
                self.log.append(chunk)
                return Steps(gate if b"waits" in chunk else None)

        connection = Plain()
        serving = asyncio.create_task(connection.serve(stream_of(gs, fed)))
        await turns(5)
        await fed.feed("a", "waits", "b")
        assert connection.body == PRELUDE + said("a") + said("waits")
        gate.set_result(None)
        await fed.feed(None)
        assert (await serving).kind == "completed"
        assert connection.body == PRELUDE + said("a") + said("waits") + said("b") + DONE

    run(main())


# ---- sends that fail, and streams that end meanwhile ----


def at_once(error: BaseException) -> Callable[[bytes], Any]:
    """Raise where the send is called."""

    def send(_: bytes) -> Any:
        raise error

    return send


def in_the_first_step(error: BaseException) -> Callable[[bytes], Any]:
    """Raise where it is first stepped."""

    async def send(_: bytes) -> None:
        raise error

    return send


def later(error: BaseException) -> Callable[[bytes], Any]:
    """Raise when it has waited."""

    async def send(_: bytes) -> None:
        await asyncio.sleep(0)
        raise error

    return send


@pytest.mark.parametrize("fails", [at_once, in_the_first_step, later])
@pytest.mark.parametrize("error", [ConnectionResetError("gone"), LookupError("a fault")])
def test_what_a_begun_send_raises_is_raised_in_the_connections_task(
    gs: ModuleType, run: Run, fails: Any, error: BaseException
) -> None:
    async def main() -> None:
        fed, closed = Fed(), []

        async def source() -> AsyncIterator[str]:
            try:
                async for item in fed:
                    yield item
            finally:
                closed.append(True)

        class Failing(Connection):
            def send(self, chunk: bytes) -> Any:
                return (fails(error) if b"bad" in chunk else super().send)(chunk)

        connection = Failing()
        stream = stream_of(gs, source())
        serving = asyncio.create_task(connection.serve(stream))
        await turns(5)
        await fed.feed("good", "bad")
        if isinstance(error, OSError):
            assert (await serving).kind == "client_gone"
        else:
            with pytest.raises(LookupError) as raised:
                await serving
            assert raised.value is error
        assert connection.log == ["begin", PRELUDE, said("good")]
        assert closed == [True]

    run(main())


@pytest.mark.parametrize("how", ["cancelled", "interrupted", "stalled"])
@pytest.mark.parametrize("waited", [0, 3])
def test_a_send_that_was_begun_is_cancelled_where_it_waits_and_may_clean_up(
    gs: ModuleType, run: Run, how: str, waited: int
) -> None:
    async def main() -> None:
        fed, log = Fed(), []

        async def step(chunk: bytes) -> None:
            if b"hangs" not in chunk:
                return
            try:
                await asyncio.create_task(asyncio.sleep(60))  # which is cancelled with it
            except asyncio.CancelledError:
                log.append(asyncio.current_task())
                await asyncio.sleep(0)  # which its cleanup may
                log.append("clean")
                raise

        stream = stream_of(gs, fed)
        serving = asyncio.create_task(Sending(step).serve(stream))
        await turns(5)
        fed.queue.put_nowait("hangs")
        await turns(1 + waited)  # after one the send has begun, and nobody has gone on with it
        if how == "cancelled":
            serving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await serving
        else:
            if how == "interrupted":
                stream.interrupt("client_gone")
            else:
                assert stream.tick(asyncio.get_running_loop().time() + 61) is None
            outcome = await serving
            assert outcome.kind == {"interrupted": "client_gone", "stalled": "stalled"}[how]
        assert log == [serving, "clean"]
        assert stream.outcome.kind in (how, "client_gone")

    run(main())


def test_awaitables_that_cannot_be_thrown_into_just_end(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        fed, gate = Fed(), asyncio.get_running_loop().create_future()

        class Plain(Connection):
            def send(self, chunk: bytes) -> Any:
                self.log.append(chunk)
                return Steps(gate if b"hangs" in chunk else None)

        serving = asyncio.create_task(Plain().serve(stream_of(gs, fed)))
        await turns(5)
        fed.queue.put_nowait("hangs")
        await turns(3)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        gate.cancel()

    run(main())


def test_a_stream_that_is_cut_by_its_own_send_ends(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        fed = Fed()

        async def step(chunk: bytes) -> None:
            if b"last" in chunk:
                stream.interrupt("client_gone")

        connection = Sending(step)
        stream = stream_of(gs, fed)
        serving = asyncio.create_task(connection.serve(stream))
        await turns(5)
        await fed.feed("a", "last", "never")
        assert (await serving).kind == "client_gone"
        assert connection.body == PRELUDE + said("a") + said("last")

    run(main())


def test_a_drain_that_begins_within_a_send_ends_the_stream_whole(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        fed = Fed()

        async def step(chunk: bytes) -> None:
            if b"last" in chunk:
                stream.drain(1500)

        connection = Sending(step)
        stream = stream_of(gs, fed)
        serving = asyncio.create_task(connection.serve(stream))
        await turns(5)
        await fed.feed("last")
        assert (await serving).kind == "drained"
        assert connection.body == PRELUDE + said("last") + b"retry: 1500\n"
        assert connection.log[-1] == "finish"

    run(main())


def test_a_stream_that_is_over_is_freed_without_the_collector(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        freed = []

        class Noted(gs.streaming.stream.Stream):
            def __del__(self) -> None:
                freed.append(self)

        async def source() -> AsyncIterator[str]:
            for _ in range(3):
                yield "x"
                await asyncio.sleep(0)

        gc.disable()
        try:
            await Connection().serve(Noted(source(), gs.SSEEncoder()))
            await turns(3)
            assert freed
            freed.clear()
        finally:
            gc.enable()

    run(main())


def test_a_rest_takes_several_errors_and_goes_on(gs: ModuleType, run: Run) -> None:
    async def main() -> list[str]:
        log: list[str] = []

        async def send() -> None:
            for number in range(3):
                try:
                    await asyncio.sleep(60 if number else 0)
                except asyncio.CancelledError:
                    log.append(f"cancelled {number}")

        steps: Generator[Any, Any, None] = send().__await__()
        rest = gs.loops.handover.Rest(steps, next(steps), None)

        async def go_on() -> None:
            await rest

        task = asyncio.create_task(go_on())
        await turns(2)
        for _ in range(2):
            task.cancel()
            await turns(2)
        await task
        return log

    assert run(main()) == ["cancelled 1", "cancelled 2"]
