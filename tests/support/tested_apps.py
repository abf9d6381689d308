"""ASGI apps of one stream, and sources, for tests of `gaistream.testing`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio

from gaistream.asgi import SSEResponse

START: dict[str, Any] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream")],
}


def body(chunk: bytes = b"", more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": chunk, "more_body": more}


class Watched:
    """A source that yields items, waits for ever if it is told to, and notes its end."""

    def __init__(self, *items: Any, waits: bool = False) -> None:
        self.items = items
        self.waits = waits
        self.closed = 0
        self.outcomes: list[Any] = []

    async def events(self) -> AsyncIterator[Any]:
        try:
            for item in self.items:
                if isinstance(item, BaseException):
                    raise item
                yield item
            if self.waits:
                await anyio.sleep_forever()
        finally:
            self.closed += 1

    def blocking(self) -> Iterator[Any]:
        try:
            for item in self.items:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self.closed += 1

    def app(self, response: Callable[..., Any] = SSEResponse, **settings: Any) -> Any:
        """Return an ASGI app that streams it."""

        async def app(scope: Any, receive: Any, send: Any) -> None:
            made = response(self.events(), on_close=self.outcomes.append, **settings)
            await made(scope, receive, send)

        return app


def endless() -> Iterator[str]:
    """Yield for ever, without a pause."""
    while True:
        yield "on and on "
