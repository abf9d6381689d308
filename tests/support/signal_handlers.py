"""A server's handlers of SIGTERM and SIGINT, and a stream that is open at a signal."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

from loops import Connection, turns

TERM, INT = signal.SIGTERM, signal.SIGINT


class Server:
    """A server's handlers, which record the signals."""

    def __init__(self) -> None:
        self.heard: list[int] = []

    def handle(self, number: int, frame: object) -> None:
        self.heard.append(number)

    def handles(self) -> bool:
        """Return True if its handlers are the current ones."""
        return [signal.getsignal(each) for each in (TERM, INT)] == [self.handle] * 2


@contextlib.contextmanager
def handlers(term: Any, int_: Any) -> Iterator[None]:
    """Set both handlers for the time of a block."""
    before = [(each, signal.signal(each, new)) for each, new in ((TERM, term), (INT, int_))]
    try:
        yield
    finally:
        for each, handler in before:
            signal.signal(each, handler)


class Talking:
    """A stream whose source has just yielded, so that it is not idle, and waits for `go_on`."""

    def __init__(self, gs: ModuleType) -> None:
        self.connection, self.go_on, self._waits = Connection(), asyncio.Event(), asyncio.Event()
        self._stream = gs.streaming.stream.Stream(self._source(), gs.SSEEncoder())
        self.serving: asyncio.Task[Any]

    async def _source(self) -> AsyncIterator[str]:
        yield "a"
        self._waits.set()
        await self.go_on.wait()
        yield "b"

    async def open(self) -> Talking:
        self.serving = asyncio.create_task(self.connection.serve(self._stream))
        await self._waits.wait()
        await turns(3)
        return self

    async def kind(self) -> str:
        return str((await self.serving).kind)


@contextlib.contextmanager
def recording_server(gs: ModuleType) -> Iterator[Server]:
    """Set a server's handlers; they must be the current ones again at the end."""
    server = Server()
    with handlers(server.handle, server.handle):
        yield server
        assert server.handles()
    gs.automatic_drain()
