"""One stream, or an answer that is none, on an ASGI connection: what responses are made of.

One coroutine sends, the source runs in its task, a third watches `receive()` for the client's
going. Everything ends with the request.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from .. import http
from .._log import log
from ..dialects import DialectName
from ..errors import StreamError, is_http_error, is_public
from ..http.handler import (
    Answer,
    CORSLike,
    check_settings,
    drain_answer,
    error_answer,
    kept_in_errors,
)
from ..loops.event_loop import event_loop
from ..streaming.drain import refusal
from ..streaming.stream import Outcome, Stream
from .client import Client, Message, Receive, Scope, Send, log_unread_body

__all__ = [
    "StreamApp",
    "answered_by_application",
    "faults_are_answered",
    "refuse",
    "send_answer",
]


def _header(scope: Scope, name: bytes) -> str | None:
    for each, value in scope["headers"]:
        if each.lower() == name:
            return str(value.decode("latin-1"))
    return None


def _encode(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


async def send_answer(send: Send, answer: Answer) -> None:
    """Send an answer that is whole."""
    headers = _encode(answer.headers)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


def answered_by_application(scope: Scope, error: BaseException) -> bool:
    """Return True if the framework around this app answers this very error when it is raised."""
    handlers = scope.get("starlette.exception_handlers")
    if handlers is None:
        return "litestar_app" in scope and is_http_error(error)
    return any(kind in handlers[0] for kind in type(error).__mro__)


def faults_are_answered(scope: Scope) -> bool:
    """Return True if the application has a handler in place of a plain 500."""
    handlers: Any = getattr(scope.get("app"), "exception_handlers", {})
    return "starlette.exception_handlers" in scope and (Exception in handlers or 500 in handlers)


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer what is no HTTP request: a WebSocket is denied, a lifespan is acknowledged."""
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
        answer = error_answer(error, preparing=True)
        start = {"status": answer.status, "headers": _encode(answer.headers)}
        await send({"type": "websocket.http.response.start", **start})
        await send({"type": "websocket.http.response.body", "body": answer.body})
    else:
        await send({"type": "websocket.close", "code": 1000})


class _Connection:
    """The response of one stream, as messages of ASGI."""

    __slots__ = ("_send", "_start")

    def __init__(self, send: Send, status: int, headers: Mapping[str, str]) -> None:
        self._send = send
        self._start: Message | None = {
            "type": "http.response.start",
            "status": status,
            "headers": _encode(headers),
        }

    async def begin(self) -> None:
        start, self._start = self._start, None
        assert start is not None
        await self._send(start)

    def send(self, chunk: bytes) -> Awaitable[None]:  # no coroutine of ours for each event
        return self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def finish(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


class StreamApp:
    """A stream as an ASGI app, for one request: what the responses here and the faces are.

    Args:
        stream: the Stream, which was not started yet.
        format: "sse" or "ndjson": of the headers.
        status, headers, dialect, cors, hold_headers, on_close: see SSEResponse.
    """

    def __init__(
        self,
        stream: Stream,
        format: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        dialect: DialectName = "gai",
        cors: CORSLike = "*",
        hold_headers: bool = False,
        on_close: Callable[[Outcome], Any] | None = None,
    ) -> None:
        self._stream = stream
        self._format = format
        self._headers = check_settings(status, headers, on_close)
        self._status = int(status)  # an HTTPStatus too
        self._dialect = dialect
        self._cors = http.CORS.of(cors)
        self._hold_headers = hold_headers
        self._on_close = on_close
        self._used = False
        self._answered = False  # in the stream's place
        self.own_source = True  # False: a provider's

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, *, client: Client | None = None
    ) -> None:
        """Answer the request; RuntimeError where it is not the first.

        Args:
            scope, receive, send: see ASGI.
            client: what reads `receive` already, and is closed by who made it.
        """
        if self._used:
            raise RuntimeError("a response serves one request: make one for each")
        self._used = True
        reader = Client(receive, has_body=True) if client is None else client
        try:
            connection = await self._connect(scope, reader, send)
            if connection is not None:
                await self._stream.send_all(connection)
        finally:
            await self._close(reader if client is None else None)
            if client is None and reader.discarded:
                log_unread_body(scope)

    async def _close(self, client: Client | None) -> None:
        """Close the stream, tell how it ended, and read no more from the client."""
        try:
            await self._stream.close()
        finally:
            try:
                with event_loop().sheltered():
                    await self._tell(self._stream.outcome)
            finally:
                self._stream.release()
                if client is not None:
                    await client.close()

    async def _connect(self, scope: Scope, client: Client, send: Send) -> _Connection | None:
        """Start the stream, and give where it is to be sent; None: the answer is no stream.

        What it needs for that is gone when it returns: a stream that idles holds nothing of it.
        """
        stream = self._stream
        if scope["type"] != "http":
            await refuse(scope, client.receive, send)
            return None
        origin = _header(scope, b"origin")
        own = http.headers(self._format, self._cors, self._dialect, origin=origin)
        headers = http.merge_headers(own, self._headers)
        answer: Answer | None = None
        if scope["method"] == "HEAD":
            answer = Answer(self._status, headers)
        elif (refused := refusal()) is not None:
            stream.interrupt("drained")
            answer = drain_answer(
                refused,
                headers,
                method=scope["method"],
                format=self._format,
                accept=_header(scope, b"accept"),
            )
        else:
            client.watch(self._client_goes)
            stream.route = scope["method"], scope.get("path", ""), scope.get("endpoint")
            stream.answerable = True
            try:
                await stream.start()
                if self._hold_headers:
                    await stream.wait_for_event()
            finally:
                stream.answerable = False
            if stream.failed_unsaid:
                answer = self._answer_failure(scope, headers)
        if answer is None:
            return _Connection(send, self._status, headers)
        await send_answer(send, answer)
        return None

    def _answer_failure(self, scope: Scope, headers: Mapping[str, str]) -> Answer:
        """Return the answer in the stream's place; raise what the application answers itself."""
        failure = self._stream.failure
        assert failure is not None
        self._answered = True
        extra = kept_in_errors(headers)
        answer = error_answer(failure, preparing=False, own=self.own_source, extra=extra)
        try:
            if answered_by_application(scope, failure):
                raise failure
            if is_public(failure):
                return answer
            self._stream.log_failure(failure)
            if answer.status == 500 and faults_are_answered(scope):
                raise failure
            return answer
        finally:
            del failure  # its traceback holds this frame

    def _client_goes(self) -> None:
        if not self._answered:  # the stream has failed, then, and nothing of it is sent
            self._stream.interrupt("client_gone")

    async def _tell(self, outcome: Outcome) -> None:
        if self._on_close is None:
            return
        try:
            answer = self._on_close(outcome)
            if inspect.isawaitable(answer):
                await answer
        except Exception:
            log.exception("on_close raised")
