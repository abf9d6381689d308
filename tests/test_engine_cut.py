"""How a stream is cut: by a stalled send, a client that goes, or a cancellation from outside."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import ModuleType
from typing import Any

import pytest

Run = Callable[[Coroutine[Any, Any, Any]], Any]

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
with contextlib.suppress(ImportError):
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop


def pending_futures() -> list[asyncio.Future[Any]]:
    """Give the futures of this loop that wait for something, but for the test's own task."""
    loop = asyncio.get_running_loop()
    young = gc.get_objects(0) + gc.get_objects(1)  # what a test makes is
    futures = [each for each in young if isinstance(each, asyncio.Future)]
    own = asyncio.current_task()
    return [each for each in futures if each.get_loop() is loop and not each.done() and each != own]


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Run a coroutine on each kind of loop; it must leave nothing there, nor cause complaints."""
    complaints: list[dict[str, Any]] = []

    def run(main: Coroutine[Any, Any, Any]) -> Any:
        async def bounded() -> Any:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: complaints.append(context))
            async with asyncio.timeout(10):
                result = await main
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert not pending_futures()
            return result

        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            return runner.run(bounded())

    yield run
    gc.collect(1)
    assert not complaints


class Connection:
    """A server's side of one stream."""

    def __init__(self) -> None:
        self.log: list[Any] = []

    async def begin(self) -> None:
        self.log.append("begin")

    async def send(self, chunk: bytes) -> None:
        self.log.append(chunk)

    async def finish(self) -> None:
        self.log.append("finish")

    @property
    def body(self) -> bytes:
        return b"".join(each for each in self.log if isinstance(each, bytes))

    async def serve(self, stream: Any) -> Any:
        """Do with a stream what a server does, and give its outcome."""
        try:
            await stream.start()
            await stream.send_all(self.begin, self.send, self.finish)
        finally:
            await stream.close()
        return stream.outcome


class Source:
    """Yields its items, then waits for ever; its cleanup takes some turns of the loop."""

    def __init__(self, *items: str) -> None:
        self.items = items
        self.opened = asyncio.Event()
        self.closings = 0

    async def __aiter__(self) -> AsyncIterator[str]:
        try:
            for item in self.items:
                yield item
            self.opened.set()
            await asyncio.Event().wait()
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            self.closings += 1


class Stuck(Connection):
    """A client that never takes what is sent, as from the n-th step on."""

    def __init__(self, at: str = "send") -> None:
        super().__init__()
        self.at = at
        self.stuck = asyncio.Event()

    async def _step(self, name: str) -> None:
        if name == self.at:
            self.stuck.set()
            await asyncio.Event().wait()

    async def begin(self) -> None:
        await self._step("begin")

    async def send(self, chunk: bytes) -> None:
        await self._step("send")
        await super().send(chunk)

    async def finish(self) -> None:
        await self._step("finish")


# ---- a send that stalls ----


@pytest.mark.parametrize("at", ["begin", "send", "finish"])
def test_a_send_that_never_returns_ends_the_stream_as_stalled(
    gs: ModuleType, run: Run, at: str
) -> None:
    async def main() -> None:
        source = ["a"] if at == "finish" else Source("a")
        stream = gs.engine.Stream(source, gs.SSEEncoder(), send_timeout=0.1)
        before = asyncio.get_running_loop().time()
        outcome = await Stuck(at).serve(stream)  # returns, for it is no cancellation
        assert 0.09 < asyncio.get_running_loop().time() - before < 5
        assert outcome.kind == "stalled"
        if isinstance(source, Source):
            assert source.closings == 1
        current = asyncio.current_task()
        assert current is not None
        assert not current.cancelling()

    run(main())


def test_sends_that_take_a_while_each_but_less_are_not_stalled(gs: ModuleType, run: Run) -> None:
    class Slow(Connection):
        async def send(self, chunk: bytes) -> None:
            await asyncio.sleep(0.06)
            await super().send(chunk)

    async def source() -> AsyncIterator[str]:
        for _ in range(5):
            yield "a"
            await asyncio.sleep(0.05)

    outcome = run(Slow().serve(gs.engine.Stream(source(), gs.SSEEncoder(), send_timeout=0.25)))
    assert outcome.kind == "completed"


def test_without_a_send_timeout_nothing_is_stalled(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        connection = Stuck()
        stream = gs.engine.Stream(
            Source("a"), gs.SSEEncoder(gs.SSEOptions(heartbeat_interval=0.01))
        )
        serving = asyncio.create_task(connection.serve(stream))
        await connection.stuck.wait()
        await asyncio.sleep(0.1)  # nothing to wait for: nothing may happen
        assert not serving.done()
        stream.interrupt("client_gone")
        assert (await serving).kind == "client_gone"

    run(main())


def test_a_stalled_send_within_a_task_that_was_cancelled_before_returns_too(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        source = Source("a")
        stream = gs.engine.Stream(source, gs.SSEEncoder(), send_timeout=0.05)

        async def handle() -> Any:
            current = asyncio.current_task()
            assert current is not None
            current.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
            outcome = await Stuck().serve(stream)  # in its last moments, as in a finally
            assert current.cancelling() == 1
            return outcome

        assert (await asyncio.create_task(handle())).kind == "stalled"
        assert source.closings == 1

    run(main())


# ---- cancellation from outside ----


def test_a_cancellation_during_a_stuck_send_goes_through(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        source, connection = Source("a"), Stuck()
        stream = gs.engine.Stream(source, gs.SSEEncoder(), send_timeout=60)
        serving = asyncio.create_task(connection.serve(stream))
        await connection.stuck.wait()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert serving.cancelled()
        assert stream.outcome.kind == "cancelled"
        assert source.closings == 1

    run(main())


@pytest.mark.parametrize("stall_first", [True, False])
def test_a_cancellation_at_the_very_moment_of_a_stall_goes_through(
    gs: ModuleType, run: Run, stall_first: bool
) -> None:
    async def main() -> None:
        source, connection = Source("a"), Stuck()
        stream = gs.engine.Stream(source, gs.SSEEncoder(), send_timeout=60)
        serving = asyncio.create_task(connection.serve(stream))
        await connection.stuck.wait()
        if stall_first:
            stream.interrupt("stalled")
            serving.cancel()
        else:
            serving.cancel()
            stream.interrupt("stalled")
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert source.closings == 1

    run(main())


def test_a_time_out_of_the_server_around_a_stuck_send_is_a_time_out(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        source = Source("a")
        stream = gs.engine.Stream(source, gs.SSEEncoder(), send_timeout=60)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await Stuck().serve(stream)
        assert stream.outcome.kind == "cancelled"
        assert source.closings == 1

    run(main())


def test_a_stream_whose_source_has_ended_is_cancelled_while_its_last_bytes_are_not_taken(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        connection = Stuck()
        stream = gs.engine.Stream(["a"], gs.SSEEncoder(), send_timeout=60)
        serving = asyncio.create_task(connection.serve(stream))
        await connection.stuck.wait()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert stream.outcome.kind == "cancelled"  # and not completed

    run(main())


@pytest.mark.parametrize("after", range(12))
def test_a_cancellation_after_any_turn_of_the_loop_closes_the_source(
    gs: ModuleType, run: Run, after: int
) -> None:
    async def main() -> None:
        closings: list[str] = []

        async def source() -> AsyncIterator[str]:
            try:
                async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                    group.create_task(asyncio.sleep(60))
                    for number in range(3):
                        await asyncio.sleep(0)
                        yield str(number)
                    await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0)
                closings.append("closed")

        stream = gs.engine.Stream(source(), gs.SSEEncoder(), send_timeout=60)
        serving = asyncio.create_task(Connection().serve(stream))
        for _ in range(after):
            await asyncio.sleep(0)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert closings == ["closed"] or after < 3  # a generator that was not begun needs none

    run(main())


# ---- a client that goes ----


@pytest.mark.parametrize("stuck", [True, False])
def test_a_client_that_goes_while_the_source_sleeps_closes_it_at_once(
    gs: ModuleType, run: Run, stuck: bool
) -> None:
    async def main() -> None:
        source = Source("a")
        connection = Stuck("send" if stuck else "never")
        stream = gs.engine.Stream(source, gs.SSEEncoder(), send_timeout=60)
        serving = asyncio.create_task(connection.serve(stream))
        await source.opened.wait()
        for _ in range(5):
            await asyncio.sleep(0)
        stream.interrupt("client_gone")
        stream.interrupt("stalled")  # the first word counts
        outcome = await serving
        assert outcome.kind == "client_gone"
        assert stream.is_cut
        assert source.closings == 1
        assert "finish" not in connection.log

    run(main())


@pytest.mark.parametrize("at", ["begin", "send"])
def test_a_send_that_raises_os_error_is_a_client_that_is_gone(
    gs: ModuleType, run: Run, at: str
) -> None:
    class Gone(Stuck):
        async def _step(self, name: str) -> None:
            if name == self.at:
                raise ConnectionResetError("gone")

    source = Source("a")
    outcome = run(Gone(at).serve(gs.engine.Stream(source, gs.SSEEncoder(), send_timeout=60)))
    assert outcome.kind == "client_gone"
    assert source.closings == 1


def test_what_else_a_send_raises_goes_through_and_closes_the_source(
    gs: ModuleType, run: Run
) -> None:
    class Failing(Connection):
        async def send(self, chunk: bytes) -> None:
            raise RuntimeError(f"no place for {len(chunk)} bytes")

    source = Source("a")
    stream = gs.engine.Stream(source, gs.SSEEncoder())
    with pytest.raises(RuntimeError, match="no place"):
        run(Failing().serve(stream))
    assert source.closings == 1


def test_a_client_that_goes_after_the_end_changes_nothing(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        stream = gs.engine.Stream(["a"], gs.SSEEncoder())
        outcome = await Connection().serve(stream)
        stream.interrupt("client_gone")
        assert stream.outcome.kind == outcome.kind == "completed"

    run(main())


def test_the_sources_own_cleanup_is_not_broken_off(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        cleaned: list[str] = []

        async def source() -> AsyncIterator[str]:
            try:
                yield "a"
                await asyncio.Event().wait()
            finally:
                cleaned.append("began")
                await asyncio.sleep(0.02)
                cleaned.append("ended")

        stream = gs.engine.Stream(source(), gs.SSEEncoder())
        serving = asyncio.create_task(Connection().serve(stream))
        for _ in range(5):
            await asyncio.sleep(0)
        stream.interrupt("client_gone")
        await serving
        assert cleaned == ["began", "ended"]

    run(main())


def test_a_client_that_goes_before_the_sources_first_step_closes_it_too(
    gs: ModuleType, run: Run
) -> None:
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
        stream = gs.engine.Stream(source, gs.SSEEncoder())
        asyncio.get_running_loop().call_soon(
            lambda: asyncio.get_running_loop().call_soon(stream.interrupt, "client_gone")
        )
        await asyncio.sleep(0)  # the client goes just before the source's task takes its turn
        outcome = await Connection().serve(stream)
        assert outcome.kind == "client_gone"
        assert source.closings == 1

    run(main())


def test_a_stream_that_was_never_started_closes_its_source(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        closings: list[str] = []

        async def source() -> AsyncIterator[str]:
            try:
                yield "a"
                yield "b"
            finally:
                closings.append("closed")

        begun = source()
        await anext(begun)
        stream = gs.engine.Stream(begun, gs.SSEEncoder())
        await stream.close()
        await stream.close()
        assert closings == ["closed"]

    run(main())


def test_a_source_that_outlives_its_cancellation_ends_at_its_next_yield(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        yields = 0

        async def source() -> AsyncIterator[str]:
            nonlocal yields
            while True:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.01)
                yields += 1
                yield "a"

        stream = gs.engine.Stream(source(), gs.SSEEncoder())
        serving = asyncio.create_task(Connection().serve(stream))
        await asyncio.sleep(0.005)
        stream.interrupt("client_gone")
        assert (await serving).kind == "client_gone"
        assert yields == 1

    run(main())
