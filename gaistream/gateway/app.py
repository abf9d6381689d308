"""The gateway as an ASGI app: its routes, its clients' keys, its bound and its access log.

    POST /v1/chat/completions   OpenAI Chat Completions
    POST /v1/responses          OpenAI Responses
    POST /v1/messages           Anthropic Messages
    POST /ai-sdk                the AI SDK's useChat
    POST /ag-ui                 AG-UI
    POST /v1/messages/count_tokens   an estimate of a request's input tokens
    GET  /v1/models[/NAME]      the list of models, or one, in the form of OpenAI or Anthropic
    GET  /healthz               200, or 503 while the server drains

Errors have the shape of the route's protocol, and a failure before the first event its status. No
other site's page may use the gateway unless `cors` says so. It may be mounted below a path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote

from ..asgi import protocol_handler
from ..asgi.client import Client
from ..asgi.messages import (
    Receive,
    Scope,
    Send,
    refuse_scope,
    request_headers,
    send_response,
)
from ..core import json_bytes, read_json
from ..dialects import find_writable
from ..dialects.models import list_models
from ..errors import InvalidRequest, StreamError
from ..http.answer import PlainResponse, error_response
from ..http.cors import CORS, CORSLike
from ..streaming.open_streams import open_streams
from ..writing.options import SSEOptions
from .keys import ClientKeys
from .records import Record, RecordingProvider, access_log, current, note_outcome
from .tokens import estimate_tokens

_ROUTES: Final = {
    "/v1/chat/completions": "openai_chat",
    "/v1/responses": "openai_responses",
    "/v1/messages": "anthropic",
    "/ai-sdk": "ai_sdk",
    "/ag-ui": "ag_ui",
}
_MODELS: Final = "/v1/models"
_COUNT: Final = "/v1/messages/count_tokens"


class Gateway:
    """Every protocol of chat clients, answered from one provider, as an ASGI app.

    Args:
        provider: has `stream_text(request)`; see Fallback for several.
        models: names that `GET /v1/models` lists.
        client_keys: keys of which a client must send one; None: none is needed.
        max_streams: how many requests are answered at once; the next ones get 503.
        cors: pages of other sites that may use the gateway; see SSEResponse.
        options: SSEOptions of all streams.
        source_timeout: seconds that the provider may be silent; None: unlimited.
        dialects: replaces dialects of routes, such as `{"/ai-sdk": dialects.ai_sdk(version=5)}`.

    Raises:
        ValueError: an argument cannot be used; the message names it.
    """

    def __init__(
        self,
        provider: Any,
        *,
        models: Iterable[str] = (),
        client_keys: Iterable[str] | None = None,
        max_streams: int = 1000,
        cors: CORSLike = None,
        options: SSEOptions | None = None,
        source_timeout: float | None = None,
        dialects: dict[str, Any] | None = None,
    ) -> None:
        if type(max_streams) is not int or max_streams < 1:
            raise ValueError(f"max_streams must be an int from 1 on, not {max_streams!r}")
        self._keys = None if client_keys is None else ClientKeys(client_keys)
        self._max_streams = max_streams
        self._cors = CORS.of(cors)
        self._requests = 0
        recorded = RecordingProvider(provider, self._is_full)
        routes = {**_ROUTES, **(dialects or {})}
        unknown = routes.keys() - _ROUTES.keys()
        if unknown:
            raise ValueError(f"dialects must replace those of {', '.join(_ROUTES)}, not {unknown}")
        self._dialects = routes
        if isinstance(models, str):
            raise ValueError(f"models must be a list of names, not {models!r}")
        listed = self._models = list(models)
        self._handlers = {
            path: protocol_handler(
                recorded,
                dialect,
                options=options,
                models=listed if path == "/v1/chat/completions" else None,
                cors=cors,
                source_timeout=source_timeout,
                hold_headers=True,  # vendors' clients ask again by the status
                on_close=note_outcome,
                collect=True,
            )
            for path, dialect in routes.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await refuse_scope(scope, receive, send)
            return
        path = _path_of(scope)
        if path == "/healthz":
            await send_response(send, _health(scope["method"]))
            return
        record = Record(scope["method"], path)
        token = current.set(record)
        self._requests += 1

        def noting_send(message: Any) -> Any:
            if message["type"] == "http.response.start":
                record.status = message["status"]
            return send(message)

        try:
            await self._answer(path, scope, receive, noting_send)
        finally:
            self._requests -= 1
            current.reset(token)
            access_log.info("%s", record.line())

    async def _answer(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        route, headers = _route_of(path), request_headers(scope)
        handler, refused = self._handlers.get(path), None
        model = None
        if path == _MODELS or path.startswith(f"{_MODELS}/"):
            model = unquote(path[len(_MODELS) + 1 :]) or None
            handler = None if model else self._handlers[route]
            if "anthropic-version" in headers:
                route = "/v1/messages"  # whose shape a refusal has
        elif route == "/ai-sdk" and path.endswith("/stream"):
            handler = self._handlers[route]
        if self._keys is not None and scope["method"] != "OPTIONS":
            refused = self._keys.reason_to_refuse(headers)
        if refused is None and handler is None:
            answer = await self._answer_itself(path, model, scope, receive, headers)
            if answer is not None:
                await send_response(send, answer)
                return
            refused = StreamError(f"there is no {path[:200]} here", code="not_found", status=404)
        if refused is not None or handler is None:
            assert refused is not None
            await send_response(send, self._refusal(refused, route, scope["method"], headers))
            return
        await handler(scope, receive, send)

    async def _answer_itself(
        self, path: str, model: str | None, scope: Scope, receive: Receive, headers: Any
    ) -> PlainResponse | None:
        """Return what no provider is asked for: one model, a count of tokens; else None."""
        method, more = scope["method"], {}
        if self._cors is not None:
            more = self._cors.headers(headers.get("origin"))
        if model in self._models and method in ("GET", "HEAD"):
            assert model is not None
            [fields] = list_models([model], anthropic="anthropic-version" in headers)["data"]
            return _json(fields, more).to(method)
        if path != _COUNT or method != "POST":
            return None
        client = Client(receive, has_body=True)
        try:
            payload = read_json(await client.body(), "replace")
            # which has no answer whose tokens could be bounded
            asked = {**payload, "max_tokens": 1} if isinstance(payload, dict) else payload
            find_writable("anthropic", "sse").read_request(asked)
        except StreamError as error:
            return self._refusal(error, "/v1/messages", method, headers)
        except ValueError as error:
            refused = InvalidRequest(f"the body must be JSON: {error}")
            return self._refusal(refused, "/v1/messages", method, headers)
        finally:
            await client.close()
        return _json({"input_tokens": estimate_tokens(payload)}, more)

    def _refusal(
        self, error: StreamError, route: str, method: str, headers: Mapping[str, str]
    ) -> PlainResponse:
        extra = {} if self._cors is None else self._cors.headers(headers.get("origin"))
        if error.status == 401:
            extra = {"WWW-Authenticate": "Bearer", **extra}
        dialect = self._dialects[route]
        refusal = error_response(error, raised_by="prepare_request", extra=extra, dialect=dialect)
        return refusal.to(method)

    def _is_full(self) -> bool:
        return self._requests > self._max_streams


def _path_of(scope: Scope) -> str:
    """Return the path below the one at which the gateway is mounted, without a slash at its end."""
    path, root = scope["path"], scope.get("root_path", "").rstrip("/")
    if root and path.startswith(f"{root}/"):
        path = path[len(root) :]
    return path.rstrip("/") or "/"


def _route_of(path: str) -> str:
    """Return the route whose protocol a path's answers have."""
    if path == _MODELS or path.startswith(f"{_MODELS}/"):
        return "/v1/chat/completions"
    below = (route for route in _ROUTES if path == route or path.startswith(f"{route}/"))
    return next(below, "/v1/chat/completions")


def _health(method: str) -> PlainResponse:
    draining = open_streams().reason_to_refuse() is not None
    said = {"status": "draining" if draining else "ok"}
    return _json(said, {}, 503 if draining else 200).to(method)


def _json(payload: Any, more: Mapping[str, str], status: int = 200) -> PlainResponse:
    body = json_bytes(payload, errors="replace")
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **more}
    return PlainResponse(status, headers, body)
