"""An app of kept answers, each of a hundred numbered words, on one log for several processes.

    python kept_app.py asgi|wsgi FD FILE

FILE is an SQLiteLog's, or the URL of a Redis. A POST begins the answer that its path names, a GET
resumes it. The lease is one second.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from log_child import opened

import gaistream
from gaistream.replay import EventLog

WORDS = [f"word {number}\n" for number in range(100)]
PAUSE = 0.01  # seconds before each word
LEASE = 1.0


async def words() -> AsyncIterator[str]:
    for word in WORDS:
        await asyncio.sleep(PAUSE)
        yield word


def blocking_words() -> Iterator[str]:
    for word in WORDS:
        time.sleep(PAUSE)
        yield word


def asgi_app(log: EventLog) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        source = words if scope["method"] == "POST" else None
        response = gaistream.asgi.resumable(log, scope["path"], source, authorize=None, lease=LEASE)
        await response(scope, receive, send)

    return app


def wsgi_app(log: EventLog) -> Any:
    def app(environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        source = blocking_words if environ["REQUEST_METHOD"] == "POST" else None
        path = environ["PATH_INFO"]
        response = gaistream.wsgi.resumable(log, path, source, authorize=None, lease=LEASE)
        return response(environ, start_response)

    return app


if __name__ == "__main__":
    interface, fd, file = sys.argv[1:]
    if interface == "asgi":
        import uvicorn

        uvicorn.run(asgi_app(opened(file)), fd=int(fd), lifespan="off", log_level="warning")
    else:
        import waitress

        listening = socket.socket(fileno=int(fd))
        waitress.serve(wsgi_app(opened(file)), sockets=[listening], threads=8)
