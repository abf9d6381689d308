"""An ASGI app around another that drains its streams at a signal."""

from __future__ import annotations

from typing import Any

from ..streaming.drain import check_drain, drain_on_signals
from ..streaming.server_signals import DEFAULT_GRACE
from .messages import Receive, Scope, Send


class DrainMiddleware:
    """An ASGI app around another that drains its streams when the server gets SIGTERM or SIGINT.

    It replaces `gaistream.automatic_drain`, which needs no configuration, where you want another
    grace time, a drain at SIGINT too, or a hint when to reconnect. It acts during the lifespan (see
    `gaistream.drain_on_signals`), so the server has to run the lifespan protocol. Requests pass
    untouched.

    Args:
        app: the application.
        grace: seconds, as `gaistream.drain` takes them.
        retry_ms: milliseconds, as `gaistream.drain` takes them.
    """

    def __init__(
        self, app: Any, grace: float = DEFAULT_GRACE, *, retry_ms: int | None = None
    ) -> None:
        check_drain(grace, retry_ms)
        self._app = app
        self._grace = grace
        self._retry_ms = retry_ms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; watch the signals during the lifespan."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        with drain_on_signals(self._grace, retry_ms=self._retry_ms):
            await self._app(scope, receive, send)
