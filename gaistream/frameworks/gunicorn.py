"""Workers of gunicorn that drain their streams when they stop, also when they recycle themselves.

A worker that reaches `--max-requests` gets no signal, and gunicorn calls no hook before it has
waited for the worker's open responses. These classes begin the drain from within. Choose one by
`--worker-class gaistream.frameworks.gunicorn.ASGIWorker`, or derive one in gunicorn's configuration
file to set `grace` and `retry_ms`.

`notify`, `load_wsgi` and `handle` are public methods of gunicorn's workers. `ASGIWorker` also has
to override `_shutdown`, and `UvicornWorker` `_serve`, which are not documented: a worker whose base
class lacks them is refused by name before it is forked.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import time
from typing import TYPE_CHECKING, Any

try:
    from gunicorn.workers.gasgi import ASGIWorker as _ASGIWorker
    from gunicorn.workers.gthread import ThreadWorker as _ThreadWorker
except ImportError as error:
    raise ImportError(
        "gaistream.frameworks.gunicorn needs gunicorn 25 or later: pip install 'gunicorn>=25'",
        name="gunicorn",
    ) from error

from .. import wsgi
from ..asgi.messages import Receive, Scope, Send
from ..streaming.drain import drain, drain_on_signals
from ..streaming.open_streams import LAST_SEND, Drain
from ..streaming.thread_streams import BlockingDrain
from ._server_drain import DrainingWorker, grace_over

if TYPE_CHECKING:
    from ._uvicorn_worker import UvicornWorker

__all__ = ["ASGIWorker", "ThreadWorker", "UvicornWorker"]


def __getattr__(name: str) -> Any:
    """Return UvicornWorker, whose packages are imported only if it is used."""
    if name == "UvicornWorker":
        from ._uvicorn_worker import UvicornWorker

        return UvicornWorker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _CountedCalls:
    """An ASGI app that counts the requests on which another one is working."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        self.running += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self.running -= 1


class ASGIWorker(DrainingWorker, _ASGIWorker):
    """The `asgi` worker of gunicorn, which drains its streams whenever it stops.

    Two seconds after the grace the worker stops waiting for connections on which no request is
    running: they are idle, or their clients take nothing. Requests that still run then have until
    `--graceful-timeout`, as always.

    Attributes:
        grace: seconds, as `gaistream.drain` takes them; 5 by default, and at most two seconds less
            than `--graceful-timeout` and `--timeout`.
        retry_ms: milliseconds, as `gaistream.drain` takes them; None by default.

    Raises:
        FrameError: attributes that `gaistream.drain` does not take.
        RuntimeError: a version of gunicorn whose worker has no `_shutdown`.
    """

    _overridden = ("_shutdown",)
    asgi: Any
    loop: Any

    def load_wsgi(self) -> None:
        """Load the application."""
        super().load_wsgi()
        self._calls = _CountedCalls(self.asgi)
        self.asgi = self._calls
        self._signals = contextlib.ExitStack()
        self.loop.call_soon(self._drain_on_signals)  # as soon as it runs

    def _drain_on_signals(self) -> None:
        """Begin the drain at the signal: the worker itself checks only once a second."""
        context = drain_on_signals(self._allowed_grace(), retry_ms=self.retry_ms)
        self._signals.enter_context(context)

    async def _shutdown(self) -> None:
        self.notify()  # the master waits --timeout from now on
        ending = drain(self._allowed_grace(), retry_ms=self.retry_ms)
        leaving = asyncio.create_task(self._leave_connections(ending), name="gaistream shutdown")
        parent: Any = super()  # gunicorn's stubs do not list it
        try:
            await parent._shutdown()
        finally:
            leaving.cancel()
            self._signals.close()

    async def _leave_connections(self, ending: Drain) -> None:
        """Stop gunicorn's waiting for connections once no request is running."""
        await grace_over(ending)
        await asyncio.sleep(LAST_SEND)
        while self._calls.running:  # noqa: ASYNC110 (gunicorn waits so too)
            await asyncio.sleep(0.1)
        await asyncio.sleep(LAST_SEND)
        self.nr_conns = 0


class ThreadWorker(DrainingWorker, _ThreadWorker):
    """The `gthread` worker of gunicorn, which drains its WSGI streams whenever it stops.

    As with `gaistream.wsgi.drain`, a sync source in the server's own thread is ended at its next
    yield. If streams are still open after the grace, clients that take nothing for a second are
    disconnected.

    Attributes:
        grace: seconds, as `gaistream.wsgi.drain` takes them; 5 by default, and at most two
            seconds less than `--graceful-timeout` and `--timeout`.
        retry_ms: milliseconds, as `gaistream.wsgi.drain` takes them; None by default.

    Raises:
        FrameError: attributes that `gaistream.wsgi.drain` does not take.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ending: BlockingDrain | None = None
        self._next_look = 0.0
        self._busy: set[Any] = set()  # connections that a thread serves
        self._stuck: set[Any] = set()  # those that took nothing at the last look

    def notify(self) -> None:
        """Notify the master that the worker is alive; drain the streams once it must stop."""
        super().notify()
        if self.alive:
            return
        now = time.monotonic()
        if self._ending is None:
            grace = self._allowed_grace()
            self._ending = wsgi.drain(grace, retry_ms=self.retry_ms)
            self._next_look = now + grace
        elif now >= self._next_look and not self._ending.wait(0):
            self._next_look = now + LAST_SEND
            self._disconnect_stuck()

    def handle(self, conn: Any) -> Any:
        """Serve a connection, in one of the worker's threads."""
        self._busy.add(conn)
        try:
            return super().handle(conn)
        finally:
            self._busy.discard(conn)

    def _disconnect_stuck(self) -> None:
        """Disconnect clients that take nothing, if they took nothing at the last look either."""
        stuck = {conn for conn in self._busy.copy() if _takes_nothing(conn.sock)}
        for conn in stuck & self._stuck:
            with contextlib.suppress(OSError):  # it has gone meanwhile
                conn.sock.shutdown(socket.SHUT_RDWR)
        self._stuck = stuck


def _takes_nothing(connection: socket.socket) -> bool:
    poll = select.poll()
    try:
        poll.register(connection, select.POLLOUT)
    except ValueError:  # it was closed meanwhile
        return False
    return not poll.poll(0)
