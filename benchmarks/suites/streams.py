"""The engine on a transport that only counts: time, sends and allocations of a stream.

An answer comes of a source that yields so many tokens, and really waits for its event loop before
every, every tenth, or none of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, MutableMapping
from typing import Any

import payloads

import gaistream
from gaistream import asgi

from . import Timed, allocations, must, sizes

SCOPE: dict[str, Any] = {
    "type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [],
}  # fmt: skip
DONE = {
    "sse": b'event: done\ndata: {"finished":true}\n\n',
    "ndjson": b'{"type":"done","finished":true}\n',
}
TOKEN = {"sse": payloads.TOKEN_FRAME, "ndjson": b'{"type":"text_delta","text":"benchmark"}\n'}
RESPONSES: dict[str, Callable[[Any], Any]] = {
    "sse": asgi.SSEResponse, "ndjson": asgi.NDJSONResponse,
}  # fmt: skip


class Streams(Timed):
    """One stream, by its tokens (whose number over its time is events a second), and its waits."""

    params = (tuple(DONE), sizes(1, 10, 100, 1000), ("every event", "every tenth", "never"))
    param_names = ("format", "events", "waits")

    def setup(self, format: str, count: int, waits: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.time_stream(format, count, waits)
        body = b"".join(self.sent).removeprefix(b":\n\n")
        must(body, TOKEN[format] * count + DONE[format])

    def teardown(self, *_: object) -> None:
        self.loop.close()

    async def source(self, count: int, every: int) -> AsyncIterator[str]:
        for number in range(count):
            if every and number % every == 0:
                waiter = self.loop.create_future()
                self.loop.call_soon(waiter.set_result, None)
                await waiter
            yield payloads.TOKEN

    def time_stream(self, format: str, count: int, waits: str) -> None:
        self.sent: list[bytes] = []

        async def receive() -> MutableMapping[str, Any]:
            return await self.loop.create_future()  # the client stays

        async def send(message: MutableMapping[str, Any]) -> None:
            if message.get("body"):
                self.sent.append(message["body"])

        every = {"every event": 1, "every tenth": 10, "never": 0}[waits]
        response = RESPONSES[format](self.source(count, every))
        self.loop.run_until_complete(response(SCOPE, receive, send))

    def track_sends(self, format: str, count: int, waits: str) -> int:
        self.time_stream(format, count, waits)
        return len(self.sent)

    track_sends.unit = "sends"  # type: ignore[attr-defined]

    def track_allocations(self, format: str, count: int, waits: str) -> int:
        before = allocations()
        self.time_stream(format, count, waits)
        return allocations() - before

    track_allocations.unit = "allocations"  # type: ignore[attr-defined]


class Idle:
    """Streams that wait: what they hold."""

    params = sizes(10, 100, 1000)
    param_names = ("streams",)

    def peakmem_idle(self, count: int) -> None:
        async def hold() -> int:
            never, begun = asyncio.get_running_loop().create_future(), asyncio.Semaphore(0)

            async def source() -> AsyncIterator[str]:
                yield payloads.TOKEN
                begun.release()
                await never

            async def receive() -> MutableMapping[str, Any]:
                return await asyncio.shield(never)

            async def send(_: MutableMapping[str, Any]) -> None:
                pass

            tasks = [
                asyncio.ensure_future(asgi.SSEResponse(source())(SCOPE, receive, send))
                for _ in range(count)
            ]
            for _ in range(count):
                await begun.acquire()
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            return sum(isinstance(each, asyncio.CancelledError) for each in ended)

        must(asyncio.run(hold()), count)
        must(gaistream.backend, "native")
