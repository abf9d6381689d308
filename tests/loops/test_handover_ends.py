"""Started sends that fail or are cancelled, and streams that end meanwhile."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Generator
from types import ModuleType
from typing import Any

import pytest
from fed_streams import Fed, Sending, Steps, stream_of
from frames import PRELUDE, said
from loops import Connection, Run, turns


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


def test_a_started_send_takes_several_errors_and_goes_on(gs: ModuleType, run: Run) -> None:
    async def main() -> list[str]:
        log: list[str] = []

        async def send() -> None:
            for number in range(3):
                try:
                    await asyncio.sleep(60 if number else 0)
                except asyncio.CancelledError:
                    log.append(f"cancelled {number}")

        steps: Generator[Any, Any, None] = send().__await__()
        rest = gs.loops.handover.StartedSend(steps, next(steps), None)

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
