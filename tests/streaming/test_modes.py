"""The life of a stream on loops in debug mode, and on those whose tasks begin at once.

GAISTREAM_LOOP_MODES runs every other test so, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from frames import DONE, INTERNAL, PRELUDE, said
from loops import HAS_EAGER, LOOPS, Connection, Run, watched_loop

EAGER = pytest.mark.skipif(not HAS_EAGER, reason="eager tasks came with Python 3.12")
ALL = PRELUDE + said("a") + said("b")


@pytest.fixture(
    params=[
        pytest.param((name, modes), marks=EAGER if "eager" in modes else ())
        for name in LOOPS
        for modes in (("debug",), ("eager",), ("debug", "eager"))
    ],
    ids=lambda param: f"{param[0]}-{' '.join(param[1])}",
)
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    name, modes = request.param
    with watched_loop(name, modes) as run:
        yield run


class Source:
    """A source that says two things and then waits, fails or ends; it counts its closings."""

    def __init__(self, end: str) -> None:
        self._end = end
        self.closed = 0
        self.waits = asyncio.Event()

    async def __call__(self) -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.sleep(0)
            yield "b"
            self.waits.set()
            if self._end == "wait":
                await asyncio.Event().wait()
            if self._end == "fail":
                raise ValueError
        finally:
            await asyncio.sleep(0)
            self.closed += 1


class Serving:
    """A stream that is being served."""

    def __init__(self, gs: ModuleType, end: str, *, timeout: float | None = None, **options: Any):
        self.source, self.connection = Source(end), Connection()
        encoder = gs.SSEEncoder(gs.SSEOptions(**options))
        self.stream = gs.streaming.stream.Stream(self.source(), encoder, send_timeout=timeout)
        self.task = asyncio.create_task(self.connection.serve(self.stream))

    async def ends(self, kind: str, body: bytes) -> None:
        assert (await self.task).kind == kind
        assert (self.connection.body, self.source.closed) == (body, 1)


def test_it_is_whole_or_fails_or_is_left_or_drained(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        await Serving(gs, "end").ends("completed", ALL + DONE)
        await Serving(gs, "fail").ends("failed", ALL + INTERNAL)
        serving = Serving(gs, "wait")
        await serving.source.waits.wait()
        serving.stream.interrupt("client_gone")
        assert (await serving.task).kind == "client_gone"
        assert serving.source.closed == 1
        serving = Serving(gs, "wait")
        await serving.source.waits.wait()
        serving.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving.task
        assert serving.source.closed == 1
        serving = Serving(gs, "wait")
        await serving.source.waits.wait()
        await gs.drain(0, retry_ms=5)
        await serving.ends("drained", ALL + b"retry: 5\n")

    run(main())


def test_heartbeats_come_and_a_send_that_stalls_ends_it(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        beaten = asyncio.Event()

        async def send(chunk: bytes) -> None:
            serving.connection.log.append(chunk)
            if b"keep-alive" in chunk:
                beaten.set()
                await asyncio.Event().wait()

        serving = Serving(gs, "wait", timeout=0.02, heartbeat_interval=0.01)
        serving.connection.send = send  # type: ignore[method-assign]
        await beaten.wait()
        await serving.ends("stalled", ALL + b": keep-alive\n\n")

    run(main())


def test_sources_that_block_and_sources_in_place(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        for source in (["a", "b"], iter(["a", "b"])):
            connection = Connection()
            outcome = await connection.serve(gs.streaming.stream.Stream(source, gs.SSEEncoder()))
            assert (outcome.kind, connection.body) == ("completed", ALL + DONE)

    run(main())


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("goes", ["says so", "is cancelled"])
def test_a_client_that_has_gone_before_it_was_listened_to_is_not_paid_for(
    gs: ModuleType, run: Run, method: str, goes: str
) -> None:
    async def receive() -> Any:
        if goes == "is cancelled":
            raise asyncio.CancelledError
        return {"type": "http.disconnect"}

    async def main() -> None:
        asked: list[Any] = []
        sent: list[Any] = []

        async def prepare(request: Any) -> Any:
            await (request.body() if method == "POST" else asyncio.sleep(0))
            return request

        class Provider:
            def stream_text(self, request: Any) -> Any:
                asked.append(request)
                return ["a"]

        async def send(message: Any) -> None:
            sent.append(message)

        app: Callable[..., Any] = gs.asgi.sse_handler(Provider(), prepare)
        scope = {"type": "http", "method": method, "path": "/", "headers": [], "query_string": b""}
        await app(scope, receive, send)
        assert (asked, sent) == ([], [])

    run(main())
