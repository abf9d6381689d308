"""The demo's server: a chat page, and one provider over SSE and over NDJSON, on Starlette.

`GET /` is the page, `GET /chat?q=…` streams Server-Sent Events, `POST /api/chat` streams NDJSON,
`POST /api/chat/{dialect}` streams in the protocol of a vendor, `GET /healthz` says that the server
is up. No other site may read an answer (there is no CORS) nor have one made: a request that a
browser marks as another site's is refused before the provider is called, so a page elsewhere cannot
spend the provider's key. Nor can a page whose name was made to resolve to this machine (DNS
rebinding): only requests to the server's own names are answered.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from importlib import resources

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ... import __version__, backend, dialects
from ...asgi import ndjson_handler, sse_handler
from ...asgi.hosts import OwnHosts
from ...chat import ChatRequest, Provider
from ...dialects import AnyDialect
from ...errors import StreamError
from ...http import IncomingRequest
from ...writing.options import NDJSONOptions

__all__ = ["create_app", "listen", "serve"]

_HEARTBEAT_SECONDS = 5
_GRACE_SECONDS = 1  # at shutdown, for streams that still run
_LARGEST_REQUEST = 64 * 1024  # bytes of a body or a query
_DIALECTS: dict[str, AnyDialect] = {
    name: name for name in ("openai_responses", "anthropic", "ai_sdk", "ag_ui", "gai_events_v1")
} | {"openai_chat": dialects.openai_chat(include_usage=True)}
_MEDIA_TYPES = {
    "index.html": "text/html",
    "style.css": "text/css",
    "app.js": "text/javascript",
    "dialects.js": "text/javascript",
    "show.js": "text/javascript",
    "wire.js": "text/javascript",
    "prose.js": "text/javascript",
    "handbook.html": "text/html",
    "handbook.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def create_app(provider: Provider, host: str = "127.0.0.1") -> Starlette:
    """Make the demo's application, in which this provider answers the questions.

    Args:
        provider: answers the questions.
        host: the address that the server listens on. It, `localhost` and loopback addresses are
            answered; a request to another host gets 421.
    """
    ndjson = NDJSONOptions(heartbeat_interval=_HEARTBEAT_SECONDS)
    files = {name: _file(name, media_type) for name, media_type in _MEDIA_TYPES.items()}
    return Starlette(
        routes=[
            Route("/", files["index.html"]),
            Route("/handbook", files["handbook.html"]),
            Route("/handbook/{name}", _handbook_page),
            Route("/healthz", _health),
            # a handler is an ASGI app and answers wrong methods itself
            Route("/chat", sse_handler(provider, _question, cors=None)),
            Route("/api/chat", ndjson_handler(provider, _chat, options=ndjson, cors=None)),
            *(
                Route(f"/api/chat/{name}", sse_handler(provider, _chat, dialect=dialect, cors=None))
                for name, dialect in _DIALECTS.items()
            ),
            *(Route(f"/static/{name}", files[name]) for name in files),
        ],
        middleware=[Middleware(OwnHosts, host=host)],
    )


def serve(
    provider: Provider,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    listening: socket.socket | None = None,
) -> None:
    """Run the demo until it is interrupted; print its address once it listens.

    Args:
        provider: answers the questions.
        host: the address to listen on.
        port: the port; 0: a free one.
        listening: what `listen(host, port)` has returned, if it was called before.

    Raises:
        OSError: the address cannot be listened on.
    """
    listening = listening or listen(host, port)
    config = uvicorn.Config(
        create_app(provider, host),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        ws="none",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    with listening, contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how a demo ends
        name = f"[{host}]" if ":" in host else host
        print(f"gaistream demo: http://{name}:{listening.getsockname()[1]}", flush=True)
        _Server(config).run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; uvicorn itself would log an OSError, and exit."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    return socket.create_server(address, family=family)


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cut the streams that still run, so that their producers end at once, then stop."""
        for connection in list(self.server_state.connections):
            connection.transport.close()
        await super().shutdown(sockets=sockets)


async def _handbook_page(request: Request) -> Response:
    folder = resources.files("gaistream").joinpath("handbook")
    pages = {page.name: page for page in folder.iterdir() if page.name.endswith(".md")}
    page = pages.get(request.path_params["name"])
    if page is None:
        return Response(status_code=404, headers=_PAGE_HEADERS)
    return Response(page.read_bytes(), media_type="text/markdown", headers=_PAGE_HEADERS)


def _file(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of a file of the page, which is read once."""
    content = resources.files(__package__).joinpath("page", name).read_bytes()

    async def endpoint(_: Request) -> Response:
        return Response(content, media_type=media_type, headers=_PAGE_HEADERS)

    return endpoint


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok", "backend": backend, "version": __version__})


def _question(request: IncomingRequest) -> ChatRequest:
    _refuse_other_sites(request)
    question = request.query["q"]
    _refuse_large(len(question))
    return ChatRequest.from_question(question)


async def _chat(request: IncomingRequest) -> ChatRequest:
    _refuse_other_sites(request)
    declared = request.headers.get("content-length", "")
    _refuse_large(int(declared) if declared.isdecimal() else 0)  # before it is read
    _refuse_large(len(await request.body()))
    try:
        chat = ChatRequest.from_json(await request.json())
    except ValueError as error:  # it tells of the client's own body, so the client may read it
        raise StreamError(str(error), code="bad_request", status=400) from None
    # strangers do not choose what a paid service is called with
    return replace(chat, model=None, temperature=None, max_tokens=None, extra={})


def _refuse_other_sites(request: IncomingRequest) -> None:
    """Refuse what another site's page or image asks for; browsers mark it, others need not."""
    said = request.headers
    own = f"//{said.get('host', '')}"
    foreign = "origin" in said and not said["origin"].endswith(own)  # an older browser's mark
    if foreign or said.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise StreamError("another site may not ask here", code="cross_site", status=403)


def _refuse_large(size: int) -> None:
    if size > _LARGEST_REQUEST:
        message = f"a request must have at most {_LARGEST_REQUEST:,} bytes"
        raise StreamError(message, code="request_too_large", status=413)
