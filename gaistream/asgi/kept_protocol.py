"""A protocol's handler whose streams are kept in a log, and resumed in the protocol's own way.

The AI SDK names a chat by its id. A POST begins the chat's stream anew; a GET of the path that ends
in `/ID/stream` follows the one that runs, from its start, and gets 204 if none does; a DELETE of
that path stops it.
"""

from __future__ import annotations

import inspect
from typing import Any, Final

from ..errors import FrameError, FrameTypeError, LogError, StreamError
from ..http.answer import PlainResponse, error_response
from ..http.protocol_handler import ProtocolPolicy
from ..http.request import IncomingRequest
from ..http.settings import KeptSettings, kind_of
from ..replay import EventLog
from ..streaming.following import unavailable
from .client import Client
from .handler import ProtocolHandler
from .kept import resumable
from .messages import Receive, Scope, Send, request_headers, send_response

_METHODS: Final = ("GET", "DELETE")
_TAKEN: Final = frozenset(KeptSettings.__annotations__) | {"send_timeout"}


class KeptProtocolHandler(ProtocolHandler):
    """A provider as an ASGI app that speaks a protocol and keeps its streams.

    Args:
        policy: of the handler.
        log: keeps the streams.
        authorize: as of `resumable`, called with the id of the chat.

    Raises:
        FrameError: the protocol has no resume of its own.
    """

    def __init__(self, policy: ProtocolPolicy, log: EventLog, authorize: Any) -> None:
        if not policy.dialect.resume_suffix:
            raise FrameError(f"log needs a protocol that resumes, not {policy.dialect.name}")
        if authorize is not None and not callable(authorize):
            raise FrameTypeError(f"authorize must be callable or None, not {kind_of(authorize)}")
        self._log = log
        self._authorize = authorize
        self._settings = {
            name: value
            for name, value in policy.settings.items()
            if name in _TAKEN and value is not None and name != "dialect"
        }
        read = policy._prepare

        async def read_authorized(request: IncomingRequest) -> Any:
            prepared = await read(request)
            chat = prepared.request.extra.get("chat_id")
            if chat is not None and prepared.stream:
                await self._check(request, chat)  # before the provider is asked
            return prepared

        policy._prepare = read_authorized
        super().__init__(policy)

    async def _check(self, request: IncomingRequest, chat: str) -> None:
        """Raise StreamError if the request may not use this chat."""
        if self._authorize is not None:
            allowed = self._authorize(request, chat)
            if not (await allowed if inspect.isawaitable(allowed) else allowed):
                raise StreamError("there is no such chat", code="not_found", status=404)

    def _respond(self, format: str, source: Any, prepared: Any) -> Any:
        chat = None if prepared is None else prepared.request.extra.get("chat_id")
        if chat is None or not prepared.stream:
            return super()._respond(format, source, prepared)
        return self._kept(format, chat, source, replace=True)

    def _kept(self, format: str, chat: str, source: Any, **settings: Any) -> resumable:
        policy = self._policy
        made = resumable(
            self._log, chat, source, authorize=None, dialect=policy.dialect,
            options=policy.options[format], **self._settings, **settings,
        )  # fmt: skip
        made.resumption.headers = policy.stream_headers[format]
        made.raised_by = "provider"
        return made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        suffix = self._policy.dialect.resume_suffix
        path = scope["path"].rstrip("/") if scope["type"] == "http" else ""
        chat = path.removesuffix(suffix).rpartition("/")[2] if path.endswith(suffix) else ""
        if not chat or scope["method"] not in _METHODS:
            await super().__call__(scope, receive, send)
            return
        headers = request_headers(scope)
        client = Client(receive, has_body=False)
        query = scope.get("query_string", b"").decode("latin-1")
        request = IncomingRequest(scope["method"], path, query, headers, None, client.body)
        cors = self._policy._cors_headers(headers.get("origin"))
        try:
            await self._check(request, chat)
            if scope["method"] == "GET":
                following = self._kept("sse", chat, None, only_running=True)
                await following(scope, receive, send, client=client)
                return
            await self._stop(chat)
            answer = PlainResponse(204, {"Cache-Control": "no-store", **cors})
        except LogError as error:
            answer = self._refused(unavailable(error), cors)
        except StreamError as error:
            answer = self._refused(error, cors)
        finally:
            await client.close()
        await send_response(send, answer)

    async def _stop(self, chat: str) -> None:
        """Stop the stream that runs; one that begins later is not meant."""
        page = await self._log.read(chat, None, 0)
        if page.epoch and page.lease_left is not None:
            await self._log.stop(chat, page.epoch)

    def _refused(self, error: StreamError, extra: dict[str, str]) -> PlainResponse:
        dialect = self._policy.dialect
        return error_response(error, raised_by="prepare_request", extra=extra, dialect=dialect)
