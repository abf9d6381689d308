"""A stream's phases: whatever happens to it, in whatever order, its moves are legal and it ends."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from frames import DONE, INTERNAL, PRELUDE, said

RETRY = b"retry: 1500\n"
SCRIPTS = 300  # of each kind of loop, on each twin
ENDS = {"completed": (DONE,), "failed": (INTERNAL, b'"code":"timeout"'), "drained": (b"",)}
OPERATIONS = (
    *8 * ["item"], "wait", "wait", "end", "fail", "done", "hold sends", "hold sends", "let sends",
    "sends fail", "client goes", "drain", "drain, retry", "out of grace", "stall", "heartbeat",
    "silence", "cancel",
)  # fmt: skip


class Exchange:
    """One stream, its source and its connection; the script says what each of them does next."""

    def __init__(self, gs: ModuleType, chance: random.Random) -> None:
        self.gs = gs
        self.commands: list[str] = []
        self.given = anyio.Event()  # another command for the source
        self.gate = anyio.Event()  # for sends
        self.gate.set()
        self.fails = False
        self.log: list[bytes | str] = []
        self.begun = self.yielded = 0
        self.closed = 0
        self.ended = anyio.Event()
        self.scope = anyio.CancelScope()
        self.slow_clean_up = chance.random() < 0.5
        self.goes_on = chance.random() < 0.2  # the source, after its cancellation
        self.moves: list[tuple[Any, Any]] = []
        encoder = gs.SSEEncoder(
            gs.SSEOptions(flush_after_write=chance.random() < 0.7, heartbeat_interval=10)
        )
        moves = self.moves

        class Watched(gs.streaming.stream.Stream):  # type: ignore[misc, name-defined]
            def _move(self, phase: Any, kind: Any = None) -> bool:
                before = self._phase
                moved: bool = super()._move(phase, kind)
                assert (before is not self._phase) is moved
                if moved:
                    moves.append((before, phase))
                return moved

        self.stream = Watched(self.source(), encoder, send_timeout=60, source_timeout=300)

    async def source(self) -> AsyncIterator[Any]:
        """Do as the commands say."""
        self.begun += 1
        try:
            async with contextlib.aclosing(self.items()) as items:
                async for item in items:
                    yield item
        finally:
            try:
                if self.slow_clean_up:
                    with anyio.CancelScope(shield=True):
                        await anyio.lowlevel.checkpoint()
            finally:
                self.closed += 1

    async def items(self) -> AsyncIterator[Any]:
        """Yield what the commands say."""
        while True:
            while not self.commands:
                self.given = anyio.Event()
                try:
                    await self.given.wait()
                except anyio.get_cancelled_exc_class():
                    if not self.goes_on:
                        raise
                    yield "after its cancellation"
                    raise
            command = self.commands.pop(0)
            if command == "end":
                return
            if command == "fail":
                raise ValueError(command)
            self.yielded += 1
            yield self.gs.events.Done() if command == "done" else f"item {self.yielded}"

    # ---- the connection ----

    async def begin(self) -> None:
        await self.step("begin")

    async def send(self, chunk: bytes) -> None:
        await self.step(chunk)

    async def finish(self, chunk: bytes) -> None:
        if chunk:
            await self.step(chunk)
        await self.step("finish")

    async def step(self, message: bytes | str) -> None:
        if self.fails:
            raise ConnectionResetError
        await self.gate.wait()
        self.log.append(message)

    async def serve(self) -> None:
        """Do with the stream what a server does."""
        try:
            with self.scope:
                try:
                    await self.stream.start()
                    await self.stream.send_all(self)
                finally:
                    await self.stream.close()
        finally:
            self.ended.set()

    # ---- the script ----

    def do(self, operation: str) -> None:
        """Have one thing happen."""
        stream = self.stream
        later = {"stall": 61, "heartbeat": 11, "silence": 301}
        if operation in ("item", "end", "fail", "done"):
            self.commands.append(operation)
            self.given.set()
        elif operation == "hold sends":
            if self.gate.is_set():
                self.gate = anyio.Event()
        elif operation == "let sends":
            self.gate.set()
        elif operation == "sends fail":
            self.fails = True
        elif operation == "client goes":
            stream.interrupt("client_gone")
        elif operation == "out of grace":
            stream.interrupt("drained")
        elif operation.startswith("drain"):
            stream.drain(1500 if "retry" in operation else None)
        elif operation == "cancel":
            self.scope.cancel()
        elif operation in later:
            stream.tick(anyio.current_time() + later[operation])

    async def play(self, script: list[tuple[str, int]]) -> None:
        """Serve the stream, and have everything happen, with some turns of the loop after each."""
        async with anyio.create_task_group() as group:
            group.start_soon(self.serve)
            for operation, turns in script:
                for _ in range(turns):
                    await anyio.lowlevel.checkpoint()
                if self.stream._clock is not None:
                    self.do(operation)
            for operation in ("let sends", "wait", "end"):
                self.do(operation)
                for _ in range(5):
                    await anyio.lowlevel.checkpoint()
            with anyio.fail_after(5):
                await self.ended.wait()

    def check(self) -> None:
        """Check that the stream ended, how, and that its client got what that says."""
        stream, outcome = self.stream, self.stream.outcome
        phases = self.gs.streaming.phases
        assert all(after in phases.MOVES[before] for before, after in self.moves)
        assert [before for before, _ in self.moves[1:]] == [after for _, after in self.moves[:-1]]
        assert stream._phase in (phases.ENDED, phases.CUT)
        assert self.closed == self.begun <= 1
        assert not stream.left_behind
        assert outcome.source_closed
        body = b"".join(each for each in self.log if isinstance(each, bytes))
        assert len(body) <= outcome.bytes
        rest = body.replace(b": keep-alive\n\n", b"")
        if body:
            assert rest.startswith(PRELUDE)
            rest = rest.removeprefix(PRELUDE)
        for number in range(1, self.yielded + 1):
            rest = rest.removeprefix(said(f"item {number}"))
        whole = stream._phase is phases.ENDED
        assert "finish" in self.log or not whole  # it may be cut while `finish` returns
        if whole:
            assert len(body) == outcome.bytes
            ends = (*ENDS[outcome.kind], RETRY) if outcome.kind == "drained" else ENDS[outcome.kind]
            assert any(each in rest if each else not rest for each in ends), (rest, outcome)
            assert rest.count(b"event:") <= 1
        else:
            assert outcome.kind in ("client_gone", "stalled", "cancelled", "drained")
        for operation in ("client goes", "drain", "out of grace", "stall", "heartbeat", "silence"):
            self.do(operation)  # nothing of it changes how the stream has ended
        assert stream.outcome.kind == outcome.kind
        stream.release()


@pytest.mark.parametrize("how", ["asyncio", "asyncio, no permits", "trio"])
def test_whatever_happens_in_whatever_order_every_move_is_legal_and_the_stream_ends(
    gs: ModuleType, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "no permits" in how:
        monkeypatch.setattr(gs.loops.handover, "_current_tasks", None)

    async def main() -> None:
        for seed in range(SCRIPTS):
            chance = random.Random(f"{how} {seed}")
            operations = chance.choices(OPERATIONS, k=chance.randint(1, 14))
            script = [(each, chance.choice([0, 0, 1, 1, 2, 5])) for each in operations]
            exchange = Exchange(gs, chance)
            try:
                await exchange.play(script)
                exchange.check()
            except BaseException as error:
                error.add_note(f"{how}, script {seed}: {script}; sent {exchange.log}")
                raise

    anyio.run(main, backend=how.partition(",")[0])
