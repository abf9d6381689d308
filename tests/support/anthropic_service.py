"""An app that streams events in Anthropic's protocol, and the vendor's Python client of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from real_servers import serve_uvicorn

REQUEST: dict[str, Any] = {
    "model": "m-1",
    "max_tokens": 5,
    "messages": [{"role": "user", "content": "?"}],
}


def app_of(gs: ModuleType, items: list[Any], **settings: Any) -> Any:
    """Return an app that answers each request with these items; an exception is raised."""

    async def source() -> Any:
        for item in items:
            if isinstance(item, Exception):
                raise item
            yield item

    async def app(scope: Any, receive: Any, send: Any) -> None:
        response = gs.asgi.SSEResponse(source(), dialect="anthropic", **settings)
        await response(scope, receive, send)

    return app


def body_app(body: bytes) -> Any:
    """Return an app that answers each request with these bytes."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


class Service:
    """A server on loopback whose app is set for each request.

    Attributes:
        app: what answers.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.app: Any = None

    def message(self, app: Any) -> Any:
        """Return the message that the vendor's client makes of an app's answer."""
        self.app = app
        return final_message(self.url)


@contextmanager
def service() -> Iterator[Service]:
    """Serve the app of a Service, one server for all of them, for its end takes a while."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await found.app(scope, receive, send)

    with serve_uvicorn(app, "h11", "asyncio") as server:
        found = Service(server.url)
        yield found


def final_message(url: str) -> Any:
    """Return the message that the vendor's client accumulates."""
    import anthropic

    with (
        anthropic.Anthropic(base_url=url, api_key="k", max_retries=0) as client,
        client.messages.stream(**REQUEST) as stream,
    ):
        return stream.get_final_message()


def check_frames(gs: ModuleType, body: bytes) -> list[dict[str, Any]]:
    """Return the payloads of a body, each valid by the vendor's type of its event."""
    from anthropic.types import RawMessageStreamEvent
    from pydantic import TypeAdapter

    adapter: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
    payloads = []
    for event in gs.SSEDecoder().feed(body):
        payload = json.loads(event.data)
        assert payload["type"] == event.event
        if event.event not in ("ping", "error"):
            adapter.validate_python(payload)
        payloads.append(payload)
    return payloads
