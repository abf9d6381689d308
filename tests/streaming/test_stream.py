"""The life of a stream: turns, backpressure, outcomes, and that nothing is left of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest
from frames import DONE, PRELUDE, said
from loops import Connection, Run, turns


class Gate(Connection):
    """A client that takes nothing unless it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()
        self.blocked = asyncio.Event()

    async def send(self, chunk: bytes) -> None:
        self.blocked.set()
        await self.open.wait()
        await super().send(chunk)


# ---- the flow ----


def test_a_stream_begins_sends_and_finishes(gs: ModuleType, run: Run) -> None:
    async def source() -> AsyncIterator[str]:
        yield "a"
        await asyncio.sleep(0.01)
        yield "b"

    connection = Connection()
    outcome = run(connection.serve(gs.streaming.stream.Stream(source(), gs.SSEEncoder())))
    assert connection.log == ["begin", PRELUDE + said("a"), said("b") + DONE, "finish"]
    assert (outcome.kind, outcome.events, outcome.error) == ("completed", 2, None)
    assert outcome.bytes == len(connection.body)
    assert 0.005 < outcome.seconds < 10


def test_what_arrives_while_a_send_is_blocked_goes_out_in_the_next(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        more: asyncio.Queue[str] = asyncio.Queue()

        async def source() -> AsyncIterator[str]:
            while (item := await more.get()) != "end":
                yield item

        gate = Gate()
        stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder())
        serving = asyncio.create_task(gate.serve(stream))
        await gate.blocked.wait()
        for item in ("a", "b", "c"):
            more.put_nowait(item)
            await turns(3)
        gate.open.set()
        await turns(3)
        more.put_nowait("end")
        await serving
        chunks = [b":\n\n", said("a") + said("b") + said("c"), DONE]
        assert gate.log == ["begin", *chunks, "finish"]

    run(main())


@pytest.mark.parametrize(
    ("items", "error", "kind"),
    [
        (["a"], None, "completed"),
        ([], None, "completed"),
        (["a"], ValueError("x"), "failed"),
        ([], ValueError("x"), "failed"),
        (["a", 5], None, "failed"),
        (["a", "error"], None, "failed"),
        (["error", "a"], None, "completed"),
    ],
)
def test_the_outcome_tells_how_it_ended(
    gs: ModuleType, run: Run, items: list[Any], error: Exception | None, kind: str
) -> None:
    async def source() -> AsyncIterator[Any]:
        for item in items:
            yield gs.events.Error("no") if item == "error" else item
        if error:
            raise error

    connection = Connection()
    outcome = run(connection.serve(gs.streaming.stream.Stream(source(), gs.SSEEncoder())))
    assert outcome.kind == kind
    assert outcome.error is error or isinstance(outcome.error, gs.errors.EventError)
    assert connection.log[-1] == "finish"  # a stream that failed ends properly too


def test_waiting_for_the_first_event_ends_with_it_or_with_the_source(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        for ending in ("event", "end", "error", "interrupt"):
            go_on = asyncio.Event()

            async def source(ending: str = ending, go_on: asyncio.Event = go_on) -> AsyncIterator:
                await go_on.wait()
                if ending == "error":
                    raise ValueError
                if ending == "event":
                    yield "a"
                    await asyncio.Event().wait()

            stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder())
            await stream.start()
            waiting = asyncio.create_task(stream.wait_for_event())
            await turns(5)
            assert not waiting.done()
            if ending == "interrupt":
                stream.interrupt("client_gone")
            go_on.set()
            await waiting
            assert stream.failed_unsaid == (ending == "error")
            await stream.close()

    run(main())


# ---- turns ----


def test_an_endless_source_that_never_awaits_does_not_starve_other_tasks(
    gs: ModuleType, run: Run
) -> None:
    text = "x" * 1000

    async def main() -> None:
        produced = 0
        deadline = time.monotonic() + 10

        async def source() -> AsyncIterator[str]:
            nonlocal produced
            while time.monotonic() < deadline:
                produced += 1
                yield text

        stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder())
        serving = asyncio.create_task(Connection().serve(stream))
        most, last = 0, produced
        for _ in range(100):
            await asyncio.sleep(0)
            most, last = max(most, produced - last), produced
        stream.interrupt("client_gone")
        outcome = await serving
        assert outcome.kind == "client_gone"
        assert last > 100  # it did run, all the while
        assert most * len(said(text)) <= gs.streaming.stream.TURN_BYTES + 2 * len(said(text))

    run(main())


def test_a_source_with_small_events_gives_others_a_turn_after_a_while(
    gs: ModuleType, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gs.streaming.stream, "TURN_SECONDS", 0.0)

    async def main() -> None:
        produced = 0

        async def source() -> AsyncIterator[str]:
            nonlocal produced
            for _ in range(10_000):
                produced += 1
                yield ""

        serving = asyncio.create_task(
            Connection().serve(gs.streaming.stream.Stream(source(), gs.SSEEncoder()))
        )
        most, last = 0, produced
        while not serving.done():
            await asyncio.sleep(0)
            most, last = max(most, produced - last), produced
        assert produced == 10_000
        assert most <= 16  # it is looked every eight: one look begins the turn, the next ends it

    run(main())


@pytest.mark.parametrize("awaits", [False, True])
def test_a_slow_client_pauses_the_source_and_a_quick_one_resumes_it(
    gs: ModuleType, run: Run, awaits: bool
) -> None:
    frame = len(said("x" * 1000))
    most_ahead = gs.streaming.stream.MOST_PENDING + gs.streaming.stream.TURN_BYTES + 2 * frame

    async def main() -> None:
        produced = 0
        enough = False

        async def source() -> AsyncIterator[str]:
            nonlocal produced
            while not enough:
                produced += 1
                yield "x" * 1000
                if awaits:
                    await asyncio.sleep(0)

        gate = Gate()
        stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder())
        serving = asyncio.create_task(gate.serve(stream))
        await gate.blocked.wait()
        for _ in range(3):
            before = -1
            while produced != before:  # until it has not gone on for a while
                before = produced
                await turns(50)
            ahead = produced * frame - stream.outcome.bytes
            assert gs.streaming.stream.MOST_PENDING <= ahead + frame <= most_ahead + frame
            gate.blocked.clear()
            gate.open.set()
            await gate.blocked.wait()
            gate.open.clear()
            await turns(5)
            assert produced > before
        enough = True
        gate.open.set()
        outcome = await serving
        assert outcome.kind == "completed"
        assert outcome.events == produced
        assert gate.body == PRELUDE + produced * said("x" * 1000) + DONE

    run(main())


def test_a_paused_source_is_closed_at_once_when_the_client_goes(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        closed = asyncio.Event()

        async def source() -> AsyncIterator[str]:
            try:
                while True:
                    yield "x" * 10_000
            finally:
                closed.set()

        gate = Gate()
        stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder())
        serving = asyncio.create_task(gate.serve(stream))
        await gate.blocked.wait()
        await turns(50)
        stream.interrupt("client_gone")
        assert (await serving).kind == "client_gone"
        assert closed.is_set()

    run(main())


def test_bytes_that_may_wait_do_not_wait_for_ever_behind_a_paused_source(
    gs: ModuleType, run: Run
) -> None:
    async def source() -> AsyncIterator[str]:
        for _ in range(1000):
            yield "x" * 1000

    options = gs.SSEOptions(flush_after_write=False, flush_interval=0.02, buffer_size=2**30)
    connection = Connection()
    run(connection.serve(gs.streaming.stream.Stream(source(), gs.SSEEncoder(options))))
    assert connection.body == PRELUDE + 1000 * said("x" * 1000) + DONE


# ---- the clock ----


def test_a_heartbeat_that_is_due_just_when_the_source_has_ended_is_left_out(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        go_on = asyncio.Event()
        ticks: list[float | None] = []

        async def source() -> AsyncIterator[dict[str, int]]:
            yield {"a": 1}
            await go_on.wait()
            loop = asyncio.get_running_loop()
            loop.call_soon(lambda: ticks.append(stream.tick(loop.time() + 1000)))

        stream = gs.streaming.stream.Stream(
            source(), gs.NDJSONEncoder(gs.NDJSONOptions(heartbeat_interval=15), dialect="json")
        )
        connection = Connection()
        serving = asyncio.create_task(connection.serve(stream))
        await turns(5)
        go_on.set()
        await serving
        assert len(ticks) == 1
        assert connection.body == b'{"a":1}\n'

    run(main())


def test_a_late_flush_does_not_put_off_a_nearer_deadline(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        more: asyncio.Queue[str] = asyncio.Queue()

        async def source() -> AsyncIterator[str]:
            while True:
                yield await more.get()

        options = gs.SSEOptions(flush_after_write=False, flush_interval=60)
        gate = Gate()
        stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder(options), send_timeout=0.2)
        more.put_nowait("a")
        serving = asyncio.create_task(gate.serve(stream))
        await gate.blocked.wait()
        more.put_nowait("b")  # may wait for a minute, but the send may not
        assert (await serving).kind == "stalled"

    run(main())
