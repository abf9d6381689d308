"""A scripted ASGI server for one request, and sources that a test steers."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from loops import MODES, set_modes

PRELUDE = b":\n\n"
DONE = b'event: done\ndata: {"finished":true}\n\n'
INTERNAL = b'event: error\nretry: 5000\ndata: {"error":"internal error","code":"internal"}\n\n'
HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-store, must-revalidate, no-transform"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
    (b"access-control-allow-origin", b"*"),
]


def text(said: str) -> bytes:
    return b'event: text_delta\ndata: {"text":"%b"}\n\n' % said.encode()


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test in a loop of its own, in which it leaves no task and no unseen exception."""
    unseen: list[dict[str, Any]] = []

    async def guarded() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: unseen.append(context))
        set_modes(loop, MODES)
        async with asyncio.timeout(20):
            await test
        assert asyncio.all_tasks() == {asyncio.current_task()}
        gc.collect()  # a task tells of an exception that nobody saw when it goes

    asyncio.run(guarded())
    assert not unseen


class Connection:
    """The server's side of one request."""

    def __init__(self, method: str = "GET", path: str = "/", **scope: Any) -> None:
        base = {"type": "http", "method": method, "path": path, "query_string": b""}
        self.scope: dict[str, Any] = {**base, "headers": [], **scope}
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.before_send: Callable[[dict[str, Any]], Any] = lambda _: None
        self._changed = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        return await self.incoming.get()

    async def send(self, message: Any) -> None:
        waits = self.before_send(message)
        if waits is not None:
            await waits
        self.sent.append(message)
        self._changed.set()

    def hear(self, body: bytes = b"", more: bool = False) -> Connection:
        self.incoming.put_nowait({"type": "http.request", "body": body, "more_body": more})
        return self

    def leave(self) -> None:
        self.incoming.put_nowait({"type": "http.disconnect"})

    def begin(self, app: Any) -> asyncio.Task[None]:
        return asyncio.create_task(app(self.scope, self.receive, self.send))

    async def serve(self, app: Any) -> Connection:
        await app(self.scope, self.receive, self.send)
        return self

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def until_said(self, said: bytes) -> None:
        await self.until(lambda: said in self.body)

    @property
    def status(self) -> int:
        return self.sent[0]["status"]

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def chunks(self) -> list[bytes]:
        return [each["body"] for each in self.sent if each["type"] == "http.response.body"]

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def is_complete(self) -> bool:
        ends = [not each["more_body"] for each in self.sent if "more_body" in each]
        assert sum(ends) <= 1
        return bool(ends) and ends[-1]


class Source:
    """An async source that is no generator: it waits for ever, and counts its closings."""

    def __init__(self, *items: Any) -> None:
        self.items = list(items)
        self.waiting = asyncio.Event()
        self.asked = self.closed = 0

    def __aiter__(self) -> Source:
        return self

    async def __anext__(self) -> Any:
        self.asked += 1
        if self.items:
            return self.items.pop(0)
        self.waiting.set()
        return await asyncio.Event().wait()

    async def aclose(self) -> None:
        await asyncio.sleep(0)  # a closing that suspends is waited for too
        self.closed += 1


class Gate:
    """A source waits at it, the test lets it pass."""

    def __init__(self) -> None:
        self._open = asyncio.Semaphore(0)
        self._arrived = asyncio.Semaphore(0)

    async def __call__(self) -> None:
        self._arrived.release()
        await self._open.acquire()

    async def arrival(self) -> None:
        await self._arrived.acquire()

    def open(self) -> None:
        self._open.release()


async def asynchronous(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        if isinstance(item, BaseException):
            raise item
        yield item


def start(status: int = 200, headers: list[tuple[bytes, bytes]] = HEADERS) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(chunk: bytes = b"", more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": chunk, "more_body": more}


END = body(more=False)
