"""The client of one ASGI request: its body, and its leave.

One task reads all messages, so a leave is seen whatever the request's own task waits for. Work for
a client that has left is broken off in that very task, where its context variables are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from .._log import log
from ..http.request import MAX_BODY_BYTES, body_too_large
from ..loops import event_loop
from ..loops.protocols import Event, Task
from .messages import Receive, Scope

_T = TypeVar("_T")
_EMPTY: Final = bytearray()  # shared by all clients whose body is not kept
_MAX_LOGGED_ROUTES = 256  # without a framework a route is a path
_routes_of_unread_bodies: set[str] = set()


class ClientGone(Exception):
    """The client left before the response began."""


class Client:
    """The client of one request. One task reads all its messages.

    Reading starts at once if there is no body, else when `body` or `watch` is called. Until `watch`
    is called the body is kept for `body`.

    Attributes:
        receive: the ASGI callable.
        gone: True once the client has left.
        discarded: True if a part of the body came after `watch`, or before it without being read.
    """

    __slots__ = (  # there is one for each stream, while it idles
        "_body",
        "_body_is_read",
        "_body_read",
        "_failure",
        "_keeps_body",
        "_loop",
        "_on_gone",
        "_task",
        "discarded",
        "gone",
        "receive",
    )

    def __init__(self, receive: Receive, *, has_body: bool) -> None:
        self.receive = receive
        self._body = bytearray()
        self._keeps_body = True
        self._loop = event_loop()
        self._body_is_read = False
        self._body_read: Event | None = None  # made for the first task that waits
        self._task: Task | None = None
        self._on_gone: Callable[[], object] | None = None
        self._failure: Exception | None = None  # of receive, before the body was whole
        self.gone = False
        self.discarded = False
        if not has_body:
            self._start()

    def _start(self) -> None:
        if self._task is None:
            self._task = self._loop.create_task(self._read(), name="gaistream client")

    async def _read(self) -> None:
        try:
            while (message := await self.receive())["type"] != "http.disconnect":
                if self._body_is_read:  # a server or middleware that repeats one message for ever
                    self.discarded = False  # made up, so no client has sent a body
                    return
                if self._keeps_body:
                    self._body += message.get("body", b"")
                elif message.get("body"):  # an empty one is how servers say that there is none
                    self.discarded = True
                too_large = len(self._body) > MAX_BODY_BYTES
                if too_large or not message.get("more_body", False):
                    self._set_body_read()
                if too_large:
                    return
                await self._loop.sleep(0)  # receive may return without ever suspending
        except Exception as error:
            log.exception("receive raised: only a send will show that the client has left")
            if not self._body_is_read:
                self._failure = error
                self._set_body_read()
        except self._loop.cancelled:
            if self._task is not None and self._task.cancelling():  # None: it is an eager task
                raise  # by `close`
            self._leave()  # by the server, which has finished with this client
        else:
            self._leave()

    def _set_body_read(self) -> None:
        self._body_is_read = True
        if self._body_read is not None:
            self._body_read.set()

    def _leave(self) -> None:
        self.gone = True
        if self._on_gone is not None:
            self._on_gone()

    async def body(self) -> bytes:
        """Wait for the whole body.

        Raises:
            StreamError: it exceeds the limit.
            RuntimeError: it was discarded, since the stream has begun.
            Exception: raised by `receive`.
        """
        self._start()
        if not self._body_is_read:
            if self._body_read is None:
                self._body_read = self._loop.create_event()
            await self._body_read.wait()
        if self._failure is not None:
            raise self._failure
        if len(self._body) > MAX_BODY_BYTES:
            raise body_too_large()
        if self.discarded:
            raise RuntimeError("the body is not kept for a source: read it in prepare_request")
        return bytes(self._body)

    def watch(self, on_gone: Callable[[], object]) -> None:
        """Call `on_gone` when the client leaves, and keep its body no longer."""
        self._on_gone = on_gone
        self._keeps_body = False
        self.discarded = bool(self._body)
        self._body = _EMPTY
        self._start()
        if self.gone:
            on_gone()

    async def unless_gone(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine in this very task; raise ClientGone when the client leaves."""
        if self.gone:
            work.close()
            raise ClientGone
        with self._loop.breakable() as block:
            self._on_gone = block.break_off
            try:
                return await work
            finally:
                self._on_gone = None
        raise ClientGone

    async def despite_leave(self, work: Awaitable[_T]) -> _T:
        """Await a part of the work of `unless_gone`, also if the client leaves meanwhile."""
        on_gone, self._on_gone = self._on_gone, None
        try:
            return await work
        finally:
            self._on_gone = on_gone

    async def close(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await self._loop.ended(self._task)
        self._on_gone = self._failure = None  # both may refer to this object


def log_unread_body(scope: Scope) -> None:
    """Warn that the body of a request was discarded, once for each endpoint or path."""
    endpoint = scope.get("endpoint")
    name = getattr(endpoint, "__qualname__", None)
    route = scope["path"][:200] if name is None else f"{endpoint.__module__}.{name}"
    if route in _routes_of_unread_bodies or len(_routes_of_unread_bodies) >= _MAX_LOGGED_ROUTES:
        return
    _routes_of_unread_bodies.add(route)
    log.warning(
        "%s %r: the request's body was not read before the stream began, and is discarded; if the "
        "source needs it, write `body = await request.body()` before the response is made",
        scope["method"],
        route,
    )
