"""What a source may do in its task: time-outs, groups, contexts, and ends of all kinds."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import warnings
from collections.abc import AsyncIterator
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import pytest
from frames import DONE, INTERNAL, PRELUDE, said
from loops import LOOPS, MODES, Connection, Run, eager_task_factory, turns

variable: ContextVar[str] = ContextVar("variable", default="nothing")


async def streamed(gs: ModuleType, source: Any, **settings: Any) -> tuple[bytes, Any]:
    """Give the body and the outcome of a stream."""
    connection = Connection()
    stream = gs.streaming.stream.Stream(
        source, gs.SSEEncoder(gs.SSEOptions(**settings)), send_timeout=60
    )
    outcome = await connection.serve(stream)
    return connection.body, outcome


# ---- time-outs, groups and scopes ----


def test_a_sources_own_time_out_is_its_own(gs: ModuleType, run: Run) -> None:
    async def source() -> AsyncIterator[str]:
        async with asyncio.timeout(60):
            yield "before"
            try:
                async with asyncio.timeout(0.02):
                    yield "within"
                    await asyncio.sleep(60)
            except TimeoutError:
                yield "after"

    body, outcome = run(streamed(gs, source()))
    assert body == PRELUDE + said("before") + said("within") + said("after") + DONE
    assert outcome.kind == "completed"


def test_a_time_out_that_the_source_does_not_catch_is_a_failure(gs: ModuleType, run: Run) -> None:
    async def source() -> AsyncIterator[str]:
        async with asyncio.timeout(0.02):
            yield "a"
            await asyncio.sleep(60)

    body, outcome = run(streamed(gs, source()))
    assert body == PRELUDE + said("a") + INTERNAL
    assert outcome.kind == "failed"
    assert isinstance(outcome.error, TimeoutError)


def test_a_time_out_that_strikes_while_the_client_is_slow_is_the_sources_failure(
    gs: ModuleType, run: Run
) -> None:
    async def source() -> AsyncIterator[str]:
        async with asyncio.timeout(0.05):
            while True:
                yield "x" * 10_000

    class Slow(Connection):
        async def send(self, chunk: bytes) -> None:
            await asyncio.sleep(0.2)
            await super().send(chunk)

    async def main() -> None:
        connection = Slow()
        outcome = await connection.serve(gs.streaming.stream.Stream(source(), gs.SSEEncoder()))
        assert outcome.kind == "failed"
        assert connection.body.endswith(said("x" * 10_000) + INTERNAL)
        assert connection.log[-1] == "finish"

    run(main())


def test_a_task_group_may_stand_around_the_yields(gs: ModuleType, run: Run) -> None:
    async def source() -> AsyncIterator[str]:
        queue: asyncio.Queue[str | None] = asyncio.Queue()

        async def produce() -> None:
            for item in ("a", "b", None):
                await asyncio.sleep(0.001)
                queue.put_nowait(item)

        async with asyncio.TaskGroup() as group:
            group.create_task(produce())
            while (item := await queue.get()) is not None:
                yield item

    body, outcome = run(streamed(gs, source()))
    assert body == PRELUDE + said("a") + said("b") + DONE
    assert outcome.kind == "completed"


@pytest.mark.parametrize("yields", [True, False], ids=["as it yields", "as it waits"])
def test_a_failing_child_of_a_task_group_is_the_sources_failure(
    gs: ModuleType, run: Run, yields: bool
) -> None:
    async def fail() -> None:
        await asyncio.sleep(0.01)
        raise ValueError("the child")

    async def source() -> AsyncIterator[str]:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            yield "a"
            while yields:
                yield "x" * 1000
            await asyncio.sleep(60)

    body, outcome = run(streamed(gs, source()))
    assert body.startswith(PRELUDE + said("a"))
    assert body.endswith(INTERNAL)
    assert outcome.kind == "failed"


@pytest.mark.skipif("eager" in MODES, reason="anyio knows no eager tasks")
def test_anyio_scopes_may_stand_around_the_yields(gs: ModuleType, run: Run) -> None:
    anyio = pytest.importorskip("anyio")

    async def source() -> AsyncIterator[str]:
        with anyio.move_on_after(0.02) as scope:
            yield "a"
            await anyio.sleep(60)
        assert scope.cancelled_caught
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 60)
            yield "b"
            group.cancel_scope.cancel()
        with anyio.fail_after(60):
            yield "c"

    body, outcome = run(streamed(gs, source()))
    assert body == PRELUDE + said("a") + said("b") + said("c") + DONE
    assert outcome.kind == "completed"


def test_an_anyio_scope_that_is_cancelled_while_the_client_is_slow_is_the_sources_failure(
    gs: ModuleType, run: Run
) -> None:
    anyio = pytest.importorskip("anyio")

    async def source() -> AsyncIterator[str]:
        with anyio.fail_after(0.05):
            while True:
                yield "x" * 10_000

    class Slow(Connection):
        async def send(self, chunk: bytes) -> None:
            await asyncio.sleep(0.2)
            await super().send(chunk)

    async def main() -> None:
        connection = Slow()
        outcome = await connection.serve(gs.streaming.stream.Stream(source(), gs.SSEEncoder()))
        assert outcome.kind == "failed"
        assert connection.body.endswith(INTERNAL)

    run(main())


def test_a_stream_within_a_cancelled_anyio_scope_is_cut_and_closed(
    gs: ModuleType, run: Run
) -> None:
    anyio = pytest.importorskip("anyio")
    closings: list[str] = []

    async def source() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.sleep(60)
        finally:
            closings.append("closed")

    async def main() -> None:
        with anyio.move_on_after(0.02) as scope:
            await streamed(gs, source())
        assert scope.cancelled_caught
        assert closings == ["closed"]

    run(main())


# ---- contexts ----


def test_a_source_sees_the_callers_context_and_keeps_its_own(gs: ModuleType, run: Run) -> None:
    async def source() -> AsyncIterator[str]:
        yield variable.get()
        token = variable.set("inner")
        await asyncio.sleep(0)
        yield variable.get()
        await asyncio.sleep(0.001)
        variable.reset(token)  # needs the very same context
        yield variable.get()

    async def main() -> bytes:
        variable.set("outer")
        body, _ = await streamed(gs, source())
        assert variable.get() == "outer"
        return body

    assert run(main()) == PRELUDE + said("outer") + said("inner") + said("outer") + DONE


# ---- ends of all kinds ----


def test_a_cancelled_error_that_nobody_asked_for_is_a_failure(gs: ModuleType, run: Run) -> None:
    async def source() -> AsyncIterator[str]:
        yield "a"
        inner = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        inner.cancel()
        await inner

    body, outcome = run(streamed(gs, source()))
    assert body == PRELUDE + said("a") + INTERNAL
    assert outcome.kind == "failed"
    assert isinstance(outcome.error, asyncio.CancelledError)


def test_an_exception_of_no_known_kind_is_a_failure_too(gs: ModuleType, run: Run) -> None:
    class Odd(BaseException):
        pass

    async def source() -> AsyncIterator[str]:
        yield "a"
        raise BaseExceptionGroup("several", [Odd(), ValueError()])

    body, outcome = run(streamed(gs, source()))
    assert body == PRELUDE + said("a") + INTERNAL
    assert outcome.kind == "failed"


@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_an_interrupt_in_a_source_ends_the_loop_and_hangs_nothing(
    gs: ModuleType, run: Run, error: type[BaseException], late: bool
) -> None:
    if "eager" in MODES and not late:
        pytest.skip("a task that is interrupted as it begins is nobody's, and asyncio says so")
    outcomes: list[Any] = []

    async def source() -> AsyncIterator[str]:
        yield "a"
        if late:
            await asyncio.sleep(0.001)
        raise error

    async def main() -> None:
        stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder())
        try:
            await Connection().serve(stream)
        finally:
            outcomes.append(stream.outcome.kind)
            await turns(2)  # uvloop stops its next run, too, if the main task ends meanwhile

    with pytest.raises(error):
        run(main())
    assert outcomes == ["cancelled"]


def test_a_source_is_quiet_in_debug_mode(gs: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    async def source() -> AsyncIterator[str]:
        async with asyncio.timeout(60):
            for number in range(500):
                yield str(number)
                if not number % 50:
                    await asyncio.sleep(0)

    async def main() -> None:
        asyncio.get_running_loop().slow_callback_duration = 2.0  # seconds: no machine so busy
        body, _ = await streamed(gs, source(), heartbeat_interval=0.01)
        assert body.endswith(DONE)
        stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder())
        await stream.start()
        stream.interrupt("client_gone")
        await stream.close()

    for factory in LOOPS.values():
        with (
            warnings.catch_warnings(),
            caplog.at_level(logging.WARNING),
            asyncio.Runner(debug=True, loop_factory=factory) as runner,
        ):
            warnings.simplefilter("error")
            runner.run(main())
    gc.collect()
    assert not caplog.records


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_eager_tasks_change_nothing(gs: ModuleType, run: Run) -> None:
    closings: list[str] = []

    async def source(error: Exception | None = None) -> AsyncIterator[str]:
        try:
            yield "a"
            yield "b"
            await asyncio.sleep(0)
            yield "c"
            if error:
                raise error
        finally:
            await asyncio.sleep(0)
            closings.append("closed")

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(eager_task_factory)
        start = PRELUDE + said("a") + said("b") + said("c")
        assert (await streamed(gs, source()))[0] == start + DONE
        assert (await streamed(gs, source(ValueError())))[0] == start + INTERNAL
        assert (await streamed(gs, ["a", "b", "c"]))[0] == start + DONE
        stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder())
        serving = asyncio.create_task(Connection().serve(stream))
        stream.interrupt("client_gone")
        assert (await serving).kind == "client_gone"
        assert len(closings) == 3

    run(main())


def test_a_task_factory_that_knows_no_context_serves_too(gs: ModuleType, run: Run) -> None:
    def factory(loop: Any, coro: Any, *, context: Any = None, **_: Any) -> Any:
        if context is not None:
            raise TypeError("got an unexpected keyword argument 'context'")
        return asyncio.Task(coro, loop=loop)

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        assert (await streamed(gs, aiter_of("a")))[0] == PRELUDE + said("a") + DONE

    run(main())


def test_a_task_factory_that_fails_hangs_nothing(gs: ModuleType, run: Run) -> None:
    def factory(loop: Any, coro: Any, **more: Any) -> Any:
        if "source" in more.get("name", "source"):
            raise ValueError("no task")
        return asyncio.Task(coro, loop=loop, **more)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        stream = gs.streaming.stream.Stream([], gs.SSEEncoder())
        loop.set_task_factory(factory)
        try:
            with pytest.raises(ValueError, match="no task"):
                await stream.start()
        finally:
            loop.set_task_factory(None)
            await stream.close()

    run(main())


async def aiter_of(*items: str) -> AsyncIterator[str]:
    for each in items:
        yield each
