"""The messages of ASGI: a scope's headers, whole responses, and those of one stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from ..errors import StreamError, is_http_error
from ..http.answer import APPLICATION_KEY, Application, PlainResponse, error_response
from ..http.headers import HeaderLines, encode_headers

# Any: some frameworks describe scopes and messages as TypedDicts, others as mappings
Scope: TypeAlias = Any
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Any]]
Send: TypeAlias = Callable[[Any], Awaitable[None]]


def header(scope: Scope, name: bytes) -> str | None:
    """Return the first header of this name (in lower case), or None."""
    for each, value in scope["headers"]:
        if each.lower() == name:
            return str(value.decode("latin-1"))
    return None


def request_headers(scope: Scope) -> dict[str, str]:
    """Return the headers by their names in lower case; repeated ones are joined."""
    headers: dict[str, str] = {}
    for each, line in scope["headers"]:
        name, value = each.decode("latin-1").lower(), line.decode("latin-1")
        if name in headers:
            joint = "; " if name == "cookie" else ", "
            value = f"{headers[name]}{joint}{value}"
        headers[name] = value
    return headers


async def send_response(send: Send, response: PlainResponse) -> None:
    """Send a whole response."""
    headers = encode_headers(response.headers)
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": False})


async def refuse_scope(scope: Scope, receive: Receive, send: Send) -> None:
    """Deny a WebSocket, acknowledge a lifespan, and raise RuntimeError for an unknown scope."""
    if scope["type"] == "lifespan":
        while True:
            phase = (await receive())["type"]
            await send({"type": f"{phase}.complete"})
            if phase == "lifespan.shutdown":
                return
    if scope["type"] != "websocket":
        raise RuntimeError(f"gaistream serves http, not {scope['type']}")
    if "websocket.http.response" in (scope.get("extensions") or {}):
        error = StreamError("this is no WebSocket", code="not_a_websocket", status=400)
        response = error_response(error, raised_by="source")
        start = {"status": response.status, "headers": encode_headers(response.headers)}
        await send({"type": "websocket.http.response.start", **start})
        await send({"type": "websocket.http.response.body", "body": response.body})
    else:
        await send({"type": "websocket.close", "code": 1000})


class ScopeApplication(Application):
    """The framework around an ASGI app: Starlette (and FastAPI) or Litestar."""

    @classmethod
    def of(cls, scope: Scope) -> Application:
        """Return the application that a face has put into the scope, else what the scope tells."""
        return scope.get(APPLICATION_KEY) or cls(scope)

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._handlers = scope.get("starlette.exception_handlers")

    def answers(self, error: BaseException) -> bool:
        """Return True if it has a handler for this error."""
        if self._handlers is None:
            return "litestar_app" in self._scope and is_http_error(error)
        return any(kind in self._handlers[0] for kind in type(error).__mro__)

    def answers_faults(self) -> bool:
        """Return True if it has a handler in place of a plain 500."""
        handlers: Any = getattr(self._scope.get("app"), "exception_handlers", {})
        return self._handlers is not None and (Exception in handlers or 500 in handlers)


class StreamConnection:
    """The connection that a stream is sent to: its messages of ASGI."""

    __slots__ = ("_send", "_start")

    def __init__(self, send: Send, status: int, headers: HeaderLines) -> None:
        self._send = send
        self._start: Message | None = {
            "type": "http.response.start",
            "status": status,
            "headers": headers,
        }

    async def begin(self) -> None:
        """Send status and headers."""
        start, self._start = self._start, None
        assert start is not None
        await self._send(start)

    def send(self, chunk: bytes) -> Awaitable[None]:
        """Return the server's own awaitable: a coroutine of ours would cost time per event."""
        return self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def finish(self, chunk: bytes) -> None:
        """Send the last chunk and the end of the body in one message."""
        await self._send({"type": "http.response.body", "body": chunk, "more_body": False})
