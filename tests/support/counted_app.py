"""A server process that counts what it holds: `python counted_app.py FD STACK HTTP`.

It serves on the listening socket FD, with uvicorn and its parser HTTP, `/sse/SOURCE` and
`/ndjson/SOURCE` through the middleware of STACK. A line on its standard input is answered with its
counts as a line of JSON.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import logging
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route
from wild_sources import NAMES, Sources

from gaistream import NDJSONOptions, SSEOptions
from gaistream.frameworks.starlette import NDJSONResponse, SSEResponse
from gaistream.streaming.clock import clock
from gaistream.streaming.open_streams import open_streams
from gaistream.streaming.stream import Stream

SEND_TIMEOUT = 0.5  # seconds
POOLED = "AnyIO worker thread"  # GZipMiddleware compresses in it; anyio keeps it for the next


class Held:
    """What this server holds and has seen."""

    def __init__(self) -> None:
        self.sources = Sources()
        self.leaked: list[str] = []  # exceptions that came out of an application

    def counts(self) -> dict[str, Any]:
        gc.collect()
        everything = gc.get_objects()
        return {
            "tasks": len(asyncio.all_tasks()),
            "threads": sum(each.name != POOLED for each in threading.enumerate()),
            "timers": len(clock()._at),
            "open": len(open_streams().streams),
            "files": len(list(Path("/proc/self/fd").iterdir())),
            "sources": self.sources.open,
            "streams": sum(type(each) is Stream for each in everything),
            "objects": len(everything),
            "outcomes": dict(self.sources.outcomes),
            "leaked": self.leaked,
        }


HELD = Held()


class Pass(BaseHTTPMiddleware):
    """Does nothing, as its kind does."""

    async def dispatch(self, request: Any, call_next: Any) -> Any:
        return await call_next(request)


_hub: contextvars.ContextVar[str] = contextvars.ContextVar("hub", default="")


class Reporter:
    """Wraps receive and send and reports every exception, as Sentry and OpenTelemetry do."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        token = _hub.set(scope.get("path", ""))

        async def reported_send(message: Any) -> None:
            await send(message)

        async def reported_receive() -> Any:
            return await receive()

        try:
            await self.app(scope, reported_receive, reported_send)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            HELD.leaked.append(repr(error))
            raise
        finally:
            _hub.reset(token)


CORS = Middleware(CORSMiddleware, allow_origins=["*"])
STACKS = {
    "bare": [],
    "base": [Middleware(Reporter), Middleware(Pass)],
    "gzip": [Middleware(Reporter), Middleware(GZipMiddleware, minimum_size=1)],
    "all": [
        Middleware(Reporter), CORS, Middleware(GZipMiddleware, minimum_size=1), Middleware(Pass),
        Middleware(Reporter),
    ],
}  # fmt: skip


def app_of(stack: str) -> Starlette:
    def endpoint(name: str, made: Any, options: Any) -> Any:
        async def serve(_: Any) -> Any:
            return made(
                getattr(HELD.sources, name)(), options, send_timeout=SEND_TIMEOUT,
                on_close=HELD.sources.on_close,
            )  # fmt: skip

        return serve

    # uvicorn on h11 reads no further once a client has sent anything after its request, and so
    # does not see it go: a heartbeat does
    sse, ndjson = SSEOptions(heartbeat_interval=0.2), NDJSONOptions(heartbeat_interval=0.2)
    routes = []
    for name in NAMES:
        routes.append(Route(f"/sse/{name}", endpoint(name, SSEResponse, sse)))
        routes.append(Route(f"/ndjson/{name}", endpoint(name, NDJSONResponse, ndjson)))
    return Starlette(routes=routes, middleware=STACKS[stack])


async def main(listening: socket.socket, stack: str, http: Any) -> None:
    config = uvicorn.Config(
        app_of(stack), http=http, log_config=None, access_log=False, lifespan="off"
    )

    def answer() -> None:
        if sys.stdin.readline():
            print(json.dumps(HELD.counts()), flush=True)
        else:
            server.should_exit = True
            asyncio.get_running_loop().remove_reader(sys.stdin)

    server = uvicorn.Server(config)
    asyncio.get_running_loop().add_reader(sys.stdin, answer)
    await server.serve([listening])


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # a source's failure is what is asked for
    asyncio.run(main(socket.socket(fileno=int(sys.argv[1])), *sys.argv[2:]))
