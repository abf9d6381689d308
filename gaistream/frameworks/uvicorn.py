"""A `uvicorn.Server` for programs that embed uvicorn: it drains its streams whenever it stops.

A server that reaches `limit_max_requests`, or whose `should_exit` is set, gets no signal, and
uvicorn ends the application's lifespan only after all responses. `Server` overrides `shutdown` and
`capture_signals` of `uvicorn.Server`: public methods, which the documentation does not describe.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator

try:
    import uvicorn
except ImportError as error:
    raise ImportError(
        "gaistream.frameworks.uvicorn needs uvicorn: pip install uvicorn", name="uvicorn"
    ) from error

from ..streaming.drain import check_drain, drain, drain_on_signals
from ..streaming.open_streams import open_streams
from ..streaming.server_signals import DEFAULT_GRACE
from ._server_drain import abort_unread, grace_within

__all__ = ["Server"]

for _name in ("capture_signals", "shutdown"):
    if not hasattr(uvicorn.Server, _name):
        raise ImportError(
            f"uvicorn {uvicorn.__version__} has no Server.{_name}, which gaistream overrides",
            name="uvicorn",
        )


class Server(uvicorn.Server):
    """A `uvicorn.Server` that drains the streams of its event loop when it shuts down.

    The reason does not matter: a signal, `should_exit` or `limit_max_requests`. Connections that
    are closing after the grace, and whose clients take nothing for a second, are aborted, so that
    no client can keep the server. If no signal has ended it, the event loop serves streams again
    afterwards.

    Args:
        config: the uvicorn.Config.
        grace: seconds, as `gaistream.drain` takes them, and at most a second less than the
            config's `timeout_graceful_shutdown`, after which uvicorn cancels all requests. None:
            as much as that allows, or 5 if it is not set.
        retry_ms: milliseconds, as `gaistream.drain` takes them.

    Raises:
        FrameError: as `gaistream.drain`.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        grace: float | None = None,
        retry_ms: int | None = None,
    ) -> None:
        check_drain(DEFAULT_GRACE if grace is None else grace, retry_ms)
        super().__init__(config)
        self._grace = grace
        self._retry_ms = retry_ms

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Handle signals while the server runs; they begin the drain at once."""
        signals = drain_on_signals(self._allowed_grace(), retry_ms=self._retry_ms)
        with super().capture_signals(), signals:
            yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain the streams and shut down."""
        begun_here = open_streams().draining is None
        ending = drain(self._allowed_grace(), retry_ms=self._retry_ms)
        aborting = asyncio.create_task(
            abort_unread(ending, self._transports), name="gaistream shutdown"
        )
        try:
            if self.config.callback_notify is not None:  # a supervisor's time-out begins anew
                await self.config.callback_notify()
            await super().shutdown(sockets)
        finally:
            aborting.cancel()
            if begun_here:
                ending.cancel()

    def _allowed_grace(self) -> float:
        limit = self.config.timeout_graceful_shutdown
        if limit is None:
            return DEFAULT_GRACE if self._grace is None else self._grace
        return grace_within(limit if self._grace is None else self._grace, limit)

    def _transports(self) -> list[asyncio.Transport]:
        return [each.transport for each in self.server_state.connections]
