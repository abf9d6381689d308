"""Requests for kept streams, and what their bodies say."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

from scripted_asgi import Connection, Gate

PRELUDE = b":\n\n"


class Steered:
    """A source that waits at its gate before each item but the first, and notes its end."""

    def __init__(self, *items: Any) -> None:
        self.items = items
        self.gate = Gate()
        self.begun = self.closed = 0

    async def __call__(self) -> AsyncIterator[Any]:
        self.begun += 1
        try:
            for index, item in enumerate(self.items):
                if index:
                    await self.gate()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self.closed += 1


def request(
    gs: Any, log: Any, source: Any = None, after: str | None = None, *, method: str = "",
    headers: dict[str, str] | None = None, stream: str | None = "s", **settings: Any,
) -> tuple[Connection, Any]:  # fmt: skip
    """Return a connection and its response."""
    sent = {**({} if after is None else {"last-event-id": after}), **(headers or {})}
    lines = [(name.encode(), value.encode()) for name, value in sent.items()]
    connection = Connection(method or ("GET" if source is None else "POST"), headers=lines)
    if source is not None:
        connection.hear()
    return connection, gs.asgi.resumable(log, stream, source, **{"authorize": None, **settings})


async def served(gs: Any, log: Any, *args: Any, **settings: Any) -> Connection:
    """Serve a request to its end."""
    connection, response = request(gs, log, *args, **settings)
    return await connection.serve(response)


def ids(body: bytes) -> list[str]:
    """Return the ids in a body, in either format."""
    found = re.findall(rb'^id: (\S+)$|^\{"last_event_id": ?"(\S+?)"', body, re.M)
    return [(one or other).decode() for one, other in found]


def after(body: bytes, id: str) -> bytes:
    """Return what follows the frame with this id."""
    if body.startswith(b"{"):
        return body.partition(id.encode() + b'"')[2].partition(b"\n")[2]
    return body.partition(b"id: " + id.encode() + b"\n")[2].partition(b"\n\n")[2]


def outcome(connection: Connection) -> tuple[int, str | None]:
    return connection.status, connection.headers.get("gaistream-replay")


def of(items: list[Any]) -> Callable[[], AsyncIterator[Any]]:
    async def source() -> AsyncIterator[Any]:
        for item in items:
            yield item

    return source
