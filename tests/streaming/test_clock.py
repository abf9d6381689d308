"""The clock of an event loop: few timers for many streams, and none for streams that ended."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from loops import LOOPS, Run


class Scheduled:
    """A stream that returns its delays one by one, and sets an event when it is called."""

    def __init__(self, *delays: float) -> None:
        self.due: float | None = None
        self.delays = list(delays)
        self.calls: list[float] = []
        self.called = asyncio.Event()

    def tick(self, now: float) -> float | None:
        self.calls.append(now)
        self.called.set()
        return self.delays.pop(0) if self.delays else None


class CountedLoop:
    """The running loop; it records the timers that it makes."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.time = self._loop.time
        self.timers: list[asyncio.TimerHandle] = []

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any) -> Any:
        handle = self._loop.call_at(when, callback, *args)
        self.timers.append(handle)
        return handle

    @property
    def waiting(self) -> int:
        return sum(not handle.cancelled() for handle in self.timers)


def test_a_stream_is_called_once_soon_after_the_delay(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        clock = gs.streaming.clock.Clock(loop)
        for delay in (0.01, 0.05, 0.1):
            stream = Scheduled()
            before = loop.time()
            clock.call(stream, delay)
            assert stream.due is not None
            assert before + delay <= stream.due <= loop.time() + delay * (1 + 1 / 16)
            await stream.called.wait()
            assert stream.due is None
            assert len(stream.calls) == 1
            assert delay - 0.002 <= stream.calls[0] - before

    run(main())


def test_a_stream_that_returns_a_delay_is_called_again(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        stream = Scheduled(0.01, 0.02)
        gs.streaming.clock.Clock(asyncio.get_running_loop()).call(stream, 0.01)
        while len(stream.calls) < 3:
            stream.called.clear()
            await stream.called.wait()
        assert stream.calls == sorted(stream.calls)
        assert stream.due is None

    run(main())


def test_ten_thousand_streams_share_a_handful_of_timers(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        loop = CountedLoop()
        clock = gs.streaming.clock.Clock(loop)
        streams = [Scheduled() for _ in range(10_000)]
        for number, stream in enumerate(streams):
            clock.call(stream, 15.0 - number / 1000)  # each has been idle for a different time
        assert len(loop.timers) <= 60
        for stream in streams:
            clock.call(stream, 15.0)
        assert loop.waiting <= 3
        for stream in streams:
            clock.forget(stream)
        assert loop.waiting == 0

    run(main())


def test_a_new_call_replaces_the_earlier_one(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        loop = CountedLoop()
        clock = gs.streaming.clock.Clock(loop)
        stream, other = Scheduled(), Scheduled()
        clock.call(stream, 60)
        clock.call(stream, 0.01)
        assert loop.waiting == 1
        clock.call(other, 0.03)
        await other.called.wait()
        assert len(stream.calls) == 1

    run(main())


def test_a_forgotten_stream_is_not_called_and_the_others_are(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        clock = gs.streaming.clock.Clock(asyncio.get_running_loop())
        streams = [Scheduled() for _ in range(10)]
        for stream in streams:
            clock.call(stream, 0.02)
        for stream in streams[:5]:
            clock.forget(stream)
            clock.forget(stream)  # a second time has no effect
            assert stream.due is None
        for stream in streams[5:]:
            await stream.called.wait()
        assert [len(stream.calls) for stream in streams] == [0] * 5 + [1] * 5

    run(main())


def test_streams_that_ended_leave_no_timer(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        clock = gs.streaming.clock.clock()
        streams = [gs.streaming.stream.Stream(
            ["a"], gs.SSEEncoder(), send_timeout=60
        ) for _ in range(20)]
        for stream in streams:
            await stream.start()
        assert 1 <= len(clock._at) <= 3
        for stream in streams:
            await stream.close()
        assert not clock._at

    run(main())


def test_a_loop_has_one_clock_and_each_loop_its_own(gs: ModuleType, run: Run) -> None:
    clocks: list[Any] = []

    async def main() -> None:
        clock = gs.streaming.clock.clock()
        await asyncio.sleep(0)
        assert gs.streaming.clock.clock() is clock
        assert clock.loop.identity is asyncio.get_running_loop()
        clocks.append(clock)

    run(main())
    run(main())
    assert clocks[0] is not clocks[1]


@pytest.mark.parametrize("name", LOOPS)
def test_loops_that_alternate_in_a_thread_keep_their_clocks(gs: ModuleType, name: str) -> None:
    async def own() -> Any:
        return gs.streaming.clock.clock()

    with (
        asyncio.Runner(loop_factory=LOOPS[name]) as one,
        asyncio.Runner(loop_factory=LOOPS[name]) as other,
    ):
        clocks = [each.run(own()) for each in (one, other, one, other)]
        assert clocks[0] is clocks[2] is not clocks[1] is clocks[3]

        clocks += [None]
        thread = threading.Thread(target=lambda: clocks.append(one.run(own())))
        thread.start()
        thread.join(20)
        assert clocks[-1] is clocks[0]  # also when the loop runs in another thread


@pytest.mark.parametrize(
    ("name", "closed"), [*((name, True) for name in LOOPS), ("asyncio", False)]
)
def test_a_loop_that_has_ended_is_not_kept_alive(gs: ModuleType, name: str, closed: bool) -> None:
    async def one() -> Any:
        assert [each async for each in gs.sse(iter_once())]
        return weakref.ref(gs.streaming.clock.clock())

    async def iter_once() -> Any:
        yield "a"

    loop = LOOPS[name]()
    known = loop.run_until_complete(one())
    if closed:  # a uvloop that was not closed keeps itself alive
        loop.close()
    del loop
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    assert known() is None


def test_each_run_of_trio_has_a_clock_and_so_has_the_host_of_a_guest(gs: ModuleType) -> None:
    trio = pytest.importorskip("trio")
    clocks: dict[str, list[Any]] = {"guest": [], "host": [], "run": [], "callback": []}

    def note(name: str) -> None:
        clocks[name].append(gs.streaming.clock.clock())

    async def guest(token: Any = None) -> None:
        for _ in range(3):
            note("guest")
            trio.lowlevel.current_trio_token().run_sync_soon(note, "callback")
            await trio.sleep(0.001)

    async def host() -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        trio.lowlevel.start_guest_run(
            guest,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=lambda outcome: (outcome.unwrap(), done.set()),
        )
        while not done.is_set():
            note("host")
            loop.call_soon(note, "host")
            await asyncio.sleep(0)

    async def run() -> None:
        note("run")

    asyncio.run(host())
    trio.run(run)
    trio.run(run)
    assert [len({*map(id, each)}) for each in clocks.values()] == [1, 1, 2, 1]
    assert clocks["guest"][0] is clocks["callback"][0] is not clocks["host"][0]


def test_two_loops_in_two_threads_have_separate_clocks(gs: ModuleType, run: Run) -> None:
    clocks: dict[int, Any] = {}
    gate = threading.Barrier(2)
    failures: list[BaseException] = []

    async def main() -> None:
        await asyncio.to_thread(gate.wait, 10)
        clock = clocks[threading.get_ident()] = gs.streaming.clock.clock()
        streams = [Scheduled(0.01, 0.01) for _ in range(100)]
        for stream in streams:
            clock.call(stream, 0.01)
        for stream in streams:
            while len(stream.calls) < 3:
                stream.called.clear()
                await stream.called.wait()
        assert gs.streaming.clock.clock() is clock

    def work() -> None:
        try:
            run(main())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not failures
    assert len(set(map(id, clocks.values()))) == 2


class Holding:
    """A stream that holds bytes back, and counts the calls of `flush`."""

    def __init__(self) -> None:
        self.flushes = 0

    def flush(self) -> None:
        self.flushes += 1


class SetLoop:
    """A loop whose time is set by the test."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any) -> None:
        self.timers.append((when, lambda: callback(*args)))

    def strike(self) -> float:
        """Advance to the next timer and call it."""
        self.timers.sort(key=lambda timer: timer[0])
        self.now, callback = self.timers.pop(0)
        callback()
        return self.now


def test_held_bytes_are_flushed_once_between_three_quarters_of_the_delay_and_its_end(
    gs: ModuleType,
) -> None:
    loop = SetLoop()
    clock = gs.streaming.clock.Clock(loop)
    for step in range(200):
        loop.now += 0.00037 * step
        began, stream = loop.now, Holding()
        clock.flush(stream, 0.02)
        assert 0.75 * 0.02 - 1e-9 <= loop.strike() - began <= 0.02
        assert stream.flushes == 1
        assert not loop.timers


def test_ten_thousand_streams_that_hold_bytes_share_a_handful_of_timers(gs: ModuleType) -> None:
    loop = SetLoop()
    clock = gs.streaming.clock.Clock(loop)
    streams = [Holding() for _ in range(10_000)]
    for stream in streams:
        loop.now += 0.02 / len(streams)
        clock.flush(stream, 0.02)
    assert len(loop.timers) <= 6
    while loop.timers:
        loop.strike()
    assert [stream.flushes for stream in streams] == [1] * len(streams)


def test_a_flush_that_fails_is_logged_and_the_others_are_done(
    gs: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Holding):
        def flush(self) -> None:
            raise LookupError("a fault")

    loop = SetLoop()
    clock = gs.streaming.clock.Clock(loop)
    streams = [Holding(), Failing(), Holding()]
    for stream in streams:
        clock.flush(stream, 0.02)
    loop.strike()
    assert [stream.flushes for stream in streams] == [1, 0, 1]
    assert "a fault" in caplog.text
