"""What the client of one ASGI request sends: its body, and that it goes.

One task reads all of it, so that going is seen whatever the request's own task waits for, and the
work for a client that has gone is broken off in that very task, where its context variables are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, TypeVar

from .. import http
from .._log import log
from ..loops.event_loop import Event, Task, event_loop

# Any: some frameworks describe scopes and messages as TypedDicts, others as mappings
Scope = Any
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

_T = TypeVar("_T")
_NOTHING = bytearray()  # for all whose body is not kept
_MOST_ROUTES = 256  # whose unread bodies are logged: without a framework a route is a path
_routes_of_unread_bodies: set[str] = set()


class Gone(Exception):
    """The client went before it could be answered."""


class Client:
    """What the client of one request sends: its body, and that it goes. One task reads it all.

    It reads from the start where there is no body, else from when the body is asked for or
    `watch` is called: what is read before is kept for `body`, what comes later is not.
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
        self._body_read: Event | None = None  # where somebody waits for it
        self._task: Task | None = None
        self._on_gone: Callable[[], object] | None = None
        self._failure: Exception | None = None  # of receive, before the body was whole
        self.gone = False
        self.discarded = False  # a part of the body: nobody had read it before `watch`
        if not has_body:
            self._start()

    def _start(self) -> None:
        if self._task is None:
            self._task = self._loop.create_task(self._read(), name="gaistream client")

    async def _read(self) -> None:
        try:
            while (message := await self.receive())["type"] != "http.disconnect":
                if self._body_is_read:  # a server or middleware repeats itself, and would for ever
                    self.discarded = False  # it was not the first time, either, then
                    return
                if self._keeps_body:
                    self._body += message.get("body", b"")
                elif message.get("body"):  # an empty one is how servers say that there is none
                    self.discarded = True
                too_large = len(self._body) > http.MAX_BODY_BYTES
                if too_large or not message.get("more_body", False):
                    self._read_body()
                if too_large:
                    return
                await self._loop.sleep(0)  # should it do so without ever suspending
        except Exception as error:
            log.exception("receive raised: that the client goes will be seen by sends alone")
            if not self._body_is_read:
                self._failure = error
                self._read_body()
        except self._loop.cancelled:
            if self._task is not None and self._task.cancelling():  # None: it is an eager task
                raise  # by `close`
            self._go()  # by the server, which is done with this client
        else:
            self._go()

    def _read_body(self) -> None:
        self._body_is_read = True
        if self._body_read is not None:
            self._body_read.set()

    def _go(self) -> None:
        self.gone = True
        if self._on_gone is not None:
            self._on_gone()

    async def body(self) -> bytes:
        """Wait for the whole body.

        Raises:
            StreamError: it exceeds the limit.
            RuntimeError: it was discarded, since the stream has begun.
            Exception: what `receive` raised.
        """
        self._start()
        if not self._body_is_read:
            if self._body_read is None:
                self._body_read = self._loop.create_event()
            await self._body_read.wait()
        if self._failure is not None:
            raise self._failure
        if len(self._body) > http.MAX_BODY_BYTES:
            raise http.too_large()
        if self.discarded:
            raise RuntimeError("the body is not kept for a source: read it in prepare_request")
        return bytes(self._body)

    def watch(self, on_gone: Callable[[], object]) -> None:
        """From now on call `on_gone` when the client goes; the body is not kept any more."""
        self._on_gone = on_gone
        self._keeps_body = False
        self.discarded = bool(self._body)
        self._body = _NOTHING
        self._start()
        if self.gone:
            on_gone()

    async def unless_gone(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Do work in this very task, and break it off with Gone when the client goes."""
        if self.gone:
            work.close()
            raise Gone
        with self._loop.breakable() as block:
            self._on_gone = block.break_off
            try:
                return await work
            finally:
                self._on_gone = None
        raise Gone

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
    if route in _routes_of_unread_bodies or len(_routes_of_unread_bodies) >= _MOST_ROUTES:
        return
    _routes_of_unread_bodies.add(route)
    log.warning(
        "%s %r: the request's body was not read before the stream began, and is discarded; if the "
        "source needs it, write `body = await request.body()` before the response is made",
        scope["method"],
        route,
    )
