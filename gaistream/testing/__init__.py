"""Streams driven in process: endless ones, in virtual time, with clients that stall and leave.

`stream(app, method, path)` sends one request to an ASGI or WSGI app. The test is the server and the
client: it reads events while the app is still sending, moves gaistream's clock, stops reading,
leaves after so many bytes, drains. No port, no thread (but that of a WSGI app), no waiting.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol, overload

from ..errors import FrameTypeError, LeftRunningError
from ..reading.recognised import ReadableDialect
from .asgi import ASGIStream
from .received import READ_AHEAD, TIMEOUT, Settings
from .request import Headers, Query, Request, RequestHeaders
from .wsgi import WSGIStream

__all__ = ["ASGIStream", "Headers", "LeftRunningError", "WSGIStream", "stream"]


class ASGIApp(Protocol):
    """An ASGI 3 app."""

    def __call__(self, scope: Any, receive: Any, send: Any, /) -> Awaitable[None]: ...


class WSGIApp(Protocol):
    """A WSGI app."""

    def __call__(self, environ: Any, start_response: Any, /) -> Iterable[bytes]: ...


@overload
def stream(
    app: ASGIApp,
    method: str = ...,
    path: str = ...,
    *,
    query: Query | None = ...,
    headers: RequestHeaders | None = ...,
    body: bytes | str | Iterable[bytes] = ...,
    json: Any = ...,
    dialect: ReadableDialect | None = ...,
    scope: Mapping[str, Any] | None = ...,
    lifespan: bool = ...,
    wait_for_headers: bool = ...,
    raise_app_exceptions: bool = ...,
    check_leftovers: bool = ...,
    read_ahead: int = ...,
    timeout: float = ...,
) -> ASGIStream: ...


@overload
def stream(
    app: WSGIApp,
    method: str = ...,
    path: str = ...,
    *,
    query: Query | None = ...,
    headers: RequestHeaders | None = ...,
    body: bytes | str | Iterable[bytes] = ...,
    json: Any = ...,
    dialect: ReadableDialect | None = ...,
    scope: Mapping[str, Any] | None = ...,
    wait_for_headers: bool = ...,
    raise_app_exceptions: bool = ...,
    check_leftovers: bool = ...,
    read_ahead: int = ...,
    timeout: float = ...,
) -> WSGIStream: ...


def stream(
    app: Callable[..., Any],
    method: str = "GET",
    path: str = "/",
    *,
    query: Query | None = None,
    headers: RequestHeaders | None = None,
    body: bytes | str | Iterable[bytes] = b"",
    json: Any = None,
    dialect: ReadableDialect | None = None,
    scope: Mapping[str, Any] | None = None,
    lifespan: bool = False,
    wait_for_headers: bool = True,
    raise_app_exceptions: bool = True,
    check_leftovers: bool = True,
    read_ahead: int = READ_AHEAD,
    timeout: float = TIMEOUT,
) -> Any:
    """Send a request to an app in process: `async with` for ASGI, `with` for WSGI.

    When the block is left the client disconnects, if the response has not ended, and the app's end
    is awaited. An exception that the app raised then leaves the block as it is, unless the block
    itself raised; one that came before the headers is raised where the block is entered.

    Args:
        app: an ASGI app, on asyncio or trio, or a WSGI app, which runs in a thread.
        method: of the request.
        path: quoted or not; it may have a query.
        query: a string, or names and values.
        headers: more headers; `host`, `accept`, `content-length` and the type of `json` have
            defaults.
        body: bytes or text; several bytes arrive as several messages of ASGI.
        json: a payload in the place of `body`.
        dialect: to read the events with; None: a header or the first frame tells, and an unknown
            protocol is read as "gai".
        scope: more keys of the scope, or of the environ.
        lifespan: True to run the app's start-up before the request, and its shutdown after (ASGI).
        wait_for_headers: False to enter the block at once, for an app that waits for `advance`.
        raise_app_exceptions: False to keep the app's exception in `error`; before the headers the
            response is then a 500, as a server's.
        check_leftovers: False to accept tasks, async generators and helper threads that the app
            leaves running; otherwise they have up to a second to end.
        read_ahead: bytes that are taken before the test reads them; then the app's sends wait.
        timeout: seconds of real time that each wait may take.

    Raises:
        FrameError: `path`, `dialect`, or a body and `json` together, cannot be used.
        FrameTypeError: `app` takes neither ASGI's three arguments nor WSGI's two.
        LeftRunningError: leaving the block: the app has left something running.
        TimeoutError: in a wait: it took longer than `timeout`.
    """
    request = Request(method, path, query, headers, body, json)
    settings = Settings(
        dialect=dialect,
        wait_for_headers=wait_for_headers,
        raise_app_exceptions=raise_app_exceptions,
        check_leftovers=check_leftovers,
        read_ahead=read_ahead,
        timeout=timeout,
    )
    more = dict(scope or {})
    if _takes(app, 3):
        return ASGIStream(app, request, settings, more, lifespan)
    if not _takes(app, 2):
        raise FrameTypeError(f"app must be an ASGI or a WSGI app, not {type(app).__name__}")
    if lifespan:
        raise FrameTypeError("lifespan is ASGI's: a WSGI app has none")
    return WSGIStream(app, request, settings, more)


def _takes(app: Any, count: int) -> bool:
    """Return True if an app can be called with so many arguments."""
    try:
        inspect.signature(app).bind(*[None] * count)
    except (TypeError, ValueError):
        return False
    return True
