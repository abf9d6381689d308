"""Event loops for tests, each watched: what a test leaves on it, or has it complain of, fails.

GAISTREAM_LOOP_MODES="debug eager", or one of them, has all tests run so.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from types import ModuleType
from typing import Any

Run = Callable[[Coroutine[Any, Any, Any]], Any]

MODES = os.environ.get("GAISTREAM_LOOP_MODES", "").split()
HAS_EAGER = sys.version_info >= (3, 12)

DEADLINE = 10.0  # seconds: against hanging, nothing else
HELPER = "gaistream-source"

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
with contextlib.suppress(ImportError):
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop


def eager_task_factory(loop: Any, coro: Any, *, eager_start: Any = None, **more: Any) -> Any:
    """Make tasks that run at once, also on a uvloop that asks factories not to, or cannot ask."""
    del eager_start
    return asyncio.eager_task_factory(loop, coro, **more)


def set_modes(loop: asyncio.AbstractEventLoop, modes: Iterable[str]) -> None:
    """Have a loop run in its debug mode, or its tasks begin at once."""
    if "debug" in modes:
        loop.set_debug(True)
        loop.slow_callback_duration = DEADLINE  # nothing is said of what is slow
    if "eager" in modes:
        loop.set_task_factory(eager_task_factory)


@contextlib.contextmanager
def watched_loop(name: str, modes: Iterable[str] = MODES) -> Iterator[Run]:
    """Give `run(coroutine)` on this kind of loop, in these modes.

    After each run no task and no pending future may be left; at the end no helper thread, nor
    any complaint to the loop's exception handler.
    """
    complaints: list[dict[str, Any]] = []

    def run(main: Coroutine[Any, Any, Any]) -> Any:
        async def bounded() -> Any:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: complaints.append(context))
            set_modes(loop, modes)
            async with asyncio.timeout(DEADLINE):
                result = await main
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert not pending_futures()
            return result

        with asyncio.Runner(loop_factory=LOOPS[name]) as runner:
            return runner.run(bounded())

    yield run
    gc.collect(1)
    assert not complaints
    for thread in helper_threads():
        thread.join(DEADLINE)
        assert not thread.is_alive()


def pending_futures() -> list[asyncio.Future[Any]]:
    """Give the futures of this loop that wait for something, but for the test's own task."""
    loop = asyncio.get_running_loop()
    young = gc.get_objects(0) + gc.get_objects(1)  # what a test makes is
    futures = [each for each in young if isinstance(each, asyncio.Future)]
    own = asyncio.current_task()
    return [each for each in futures if each.get_loop() is loop and not each.done() and each != own]


def helper_threads() -> list[threading.Thread]:
    """Give the threads in which blocking sources run."""
    return [thread for thread in threading.enumerate() if thread.name == HELPER]


def opened(gs: ModuleType, stream: Any) -> AsyncIterator[Any]:
    """Open a source as a stream does."""
    source: AsyncIterator[Any] = gs.loops.sources.open_source(stream, gs.core.estimate_size)
    return source


async def turns(count: int) -> None:
    """Let everything that is ready run, so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def collect(chunks: AsyncIterator[Any]) -> list[Any]:
    """Give all that an async iterator gives."""
    return [chunk async for chunk in chunks]


class Connection:
    """A server's side of one stream: takes everything at once."""

    def __init__(self) -> None:
        self.log: list[Any] = []

    async def begin(self) -> None:
        """Send the headers."""
        self.log.append("begin")

    async def send(self, chunk: bytes) -> None:
        """Send a chunk of the body."""
        self.log.append(chunk)

    async def finish(self, chunk: bytes) -> None:
        """Send the last chunk and the end of the body."""
        if chunk:
            await self.send(chunk)
        self.log.append("finish")

    @property
    def body(self) -> bytes:
        """All that was sent."""
        return b"".join(each for each in self.log if isinstance(each, bytes))

    async def serve(self, stream: Any) -> Any:
        """Do with a stream what a server does, and give its outcome."""
        try:
            await stream.start()
            await stream.send_all(self)
        finally:
            await stream.close()
        return stream.outcome
