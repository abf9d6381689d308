"""The app that `kills.py` has servers serve: /SOURCE, with sources that behave badly.

Sources and streams are counted while they are open. A thread of each server process sends the
counts to the benchmark over a separate connection, which works even if the server serves one
request at a time, or does not serve any more.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import gc
import inspect
import json
import logging
import os
import random
import socket
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import anyio
from starlette.responses import StreamingResponse
from wild_sources import Sources

import gaistream
from gaistream import SSEOptions, asgi, wsgi

CLEANUP_TIMEOUT = 1.0  # seconds, where there is such a bound
SEND_TIMEOUT = 5.0
BLOCKED = 0.3  # seconds for which a source blocks its thread
OPTIONS = SSEOptions(heartbeat_interval=0.2)  # idle streams: the only way to see that a client goes
MEGABYTE = "x" * 2**20
PIECES = [f"{number} " for number in range(12)]  # of an answer that goes on without its client

logging.basicConfig(format="%(levelname)s %(name)s %(message)s")


class WildSources(Sources):
    """Sources of every kind, counted; those of the base class are in tests/support."""

    def __init__(self) -> None:
        super().__init__()
        self.loops: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()
        self.streams: collections.Counter[str] = collections.Counter()  # by path
        self.lost = 0  # answers that were begun and not given whole to on_close, so far

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        with contextlib.suppress(RuntimeError):
            self.loops.add(asyncio.get_running_loop())
        with super().counted():
            yield

    def stream(self, path: str) -> Callable[[Any], None]:
        """Count a stream until its on_close, which is returned, is called."""

        is_answer = path.startswith("answer")

        def on_close(outcome: Any) -> None:
            with self._lock:
                self.streams[path] -= 1
                if is_answer:
                    self.lost -= is_whole(outcome.message)

        with self._lock:
            self.streams[path] += 1
            self.lost += is_answer
        return on_close

    async def tries(self) -> AsyncIterator[str]:
        """Try a provider that is too slow, twice; each try takes a moment to clean up."""
        with self.counted():
            yield "a"
            for _ in range(2):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        try:
                            await asyncio.sleep(10)
                        finally:
                            await asyncio.sleep(0.05)
            await asyncio.sleep(3600)

    async def scopes(self) -> AsyncIterator[str]:
        """Do the same with anyio's scopes, within a task group of anyio."""
        with self.counted():
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 3600)
                while True:
                    yield "a"
                    with anyio.move_on_after(0.05):
                        try:
                            await anyio.sleep(10)
                        finally:
                            with anyio.CancelScope(shield=True):
                                await anyio.sleep(0.02)

    async def group(self) -> AsyncIterator[str]:
        """Yield the items of a TaskGroup's tasks from inside it."""
        queue: asyncio.Queue[str] = asyncio.Queue()

        async def make(pause: float) -> None:
            while True:
                await asyncio.sleep(pause)
                await queue.put("a")

        with self.counted():
            async with asyncio.TaskGroup() as group:
                group.create_task(make(0.03))
                group.create_task(make(0.05))
                while True:
                    yield await queue.get()

    async def hangs(self) -> AsyncIterator[str]:
        """Hang in the clean-up."""
        with self.counted():
            try:
                yield "a"
                await asyncio.sleep(3600)
            finally:
                await asyncio.sleep(3600)

    async def swallows(self) -> AsyncIterator[str]:
        """Swallow a cancellation, wait, and swallow the next."""
        with self.counted():
            yield "a"
            for _ in range(2):
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(3600)

    async def turns(self) -> AsyncIterator[str]:
        """Pause for single turns of the loop."""
        with self.counted():
            while True:
                yield "a"
                await asyncio.sleep(0)

    async def megabytes(self) -> AsyncIterator[str]:
        """Yield 1 MB at a time."""
        with self.counted():
            while True:
                yield MEGABYTE
                await asyncio.sleep(0.01)

    def megabytes_at_once(self) -> Iterator[str]:
        """Yield 1 MB at a time, from a thread, without a pause."""
        with self.counted():
            while True:
                yield MEGABYTE

    def blocks(self) -> Iterator[str]:
        """Block a thread between two items."""
        with self.counted():
            while True:
                yield "a"
                time.sleep(BLOCKED)

    async def answer(self) -> AsyncIterator[Any]:
        """Answer, which takes about as long as clients stay."""
        with self.counted():
            for piece in PIECES:
                yield piece
                await asyncio.sleep(random.uniform(0, 0.05))
            yield gaistream.events.Finish(finish_reason="stop")

    def answer_in_thread(self) -> Iterator[Any]:
        """Do the same in a thread."""
        with self.counted():
            for piece in PIECES:
                yield piece
                time.sleep(random.uniform(0, 0.05))
            yield gaistream.events.Finish(finish_reason="stop")

    async def ends(self) -> AsyncIterator[str]:
        """End well, after a moment in which others begin."""
        with self.counted():
            yield "a"
            await asyncio.sleep(0.2)


def is_whole(message: gaistream.Message) -> bool:
    """Return whether this is the whole answer, and log what it is if it is not."""
    whole = message.complete and message.text == "".join(PIECES)
    if not whole:
        logging.error("an answer is not whole: %r", message)
    return whole


SOURCES = WildSources()


def settings(made: Any, **more: Any) -> dict[str, Any]:
    """Return the keywords for a response, `cleanup_timeout` among them where it is known."""
    known = inspect.signature(made).parameters
    return more | ({"cleanup_timeout": CLEANUP_TIMEOUT} if "cleanup_timeout" in known else {})


async def _asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        await asgi.SSEResponse([])(scope, receive, send)
        return
    name = scope["path"].strip("/")
    source = getattr(SOURCES, name)()
    if name == "turns":
        chunks = gaistream.sse(source, OPTIONS, **settings(gaistream.sse))
        await StreamingResponse(chunks)(scope, receive, send)
        return
    more = settings(asgi.SSEResponse, send_timeout=SEND_TIMEOUT, on_close=SOURCES.stream(name))
    if name.startswith("answer"):
        more["on_disconnect"] = "continue"
    await asgi.SSEResponse(source, OPTIONS, **more)(scope, receive, send)


def _wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
    name, _, how = environ["PATH_INFO"].strip("/").partition("/")
    source = getattr(SOURCES, name)()
    if how == "plain":
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return gaistream.sse(source)
    on_close = SOURCES.stream(environ["PATH_INFO"].strip("/"))
    more = settings(wsgi.SSEResponse, helper_thread=how == "helped", on_close=on_close)
    if name.startswith("answer"):
        more["on_disconnect"] = "continue"
    return wsgi.SSEResponse(source, OPTIONS, **more)(environ, start_response)


app = {"asgi": _asgi, "wsgi": _wsgi}[os.environ["GAISTREAM_INTERFACE"]]


# ---- the counts, for the benchmark ----


def counts() -> dict[str, Any]:
    """Return the counts of this process."""
    status = Path("/proc/self/status").read_text()
    with contextlib.suppress(RuntimeError):  # the loops change meanwhile: the next time, then
        return {
            "streams": SOURCES.streams.total(),
            "paths": +SOURCES.streams,
            "sources": SOURCES.open,
            "tasks": sum(len(asyncio.all_tasks(loop)) for loop in list(SOURCES.loops)),
            "threads": int(status.partition("Threads:")[2].split(None, 1)[0]),
            "fds": len(list(Path("/proc/self/fd").iterdir())),
            "begun": SOURCES.begun,
            "lost": SOURCES.lost,
        }
    return counts()


def _answer(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as channel:
        while asked := channel.recv(1):
            if asked == b"c":
                gc.collect()
            channel.sendall(json.dumps(counts()).encode() + b"\n")


threading.Thread(target=_answer, args=[int(os.environ["GAISTREAM_CONTROL"])], daemon=True).start()
