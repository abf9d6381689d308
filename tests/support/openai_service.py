"""A service with OpenAI's protocol, on a real server, and a provider that uses it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import uvicorn

from gaistream import StreamError, events
from gaistream.chat import ChatRequest
from gaistream.providers.openai import OpenAIProvider

KEY = "sk-very-secret-key"
QUESTION = ChatRequest.from_question("Hi")

Reply = Callable[[Any, Any], Coroutine[Any, Any, None]]  # (send, receive)


class Service(uvicorn.Server):
    """A server in its own thread, which sends the replies of a test and records the requests."""

    def __init__(self) -> None:
        protocol = {"loop": "asyncio", "http": "h11", "ws": "none", "interface": "asgi3"}
        quiet = {"lifespan": "off", "log_config": None, "log_level": 60}
        super().__init__(uvicorn.Config(self.app, **protocol, **quiet))  # type: ignore[arg-type]
        self.ready, self.gone = threading.Event(), threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1/"
        self.reply: Reply = self.streaming()
        self.requests: list[tuple[dict[str, Any], dict[str, Any]]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        self.requests.append((scope, json.loads(body)))
        await self.reply(send, receive)

    def streaming(
        self,
        *pieces: bytes,
        status: int = 200,
        headers: dict[str, str] | None = None,
        end: str = "well",
    ) -> Reply:
        """Return a reply of these pieces that ends `well` or `later`, `breaks` off or `waits`."""
        fields = {"content-type": "text/event-stream"} | (headers or {})
        raw = [(name.encode(), value.encode()) for name, value in fields.items()]

        async def reply(send: Any, receive: Any) -> None:
            await send({"type": "http.response.start", "status": status, "headers": raw})
            for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            if end == "breaks":
                raise ConnectionError
            if end == "later":
                await asyncio.sleep(0.02)  # after the client has read the last piece
            if end == "waits":
                await self.wait_for_disconnect(send, receive)
            await send({"type": "http.response.body"})

        return reply

    async def wait_for_disconnect(self, send: Any, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone.set()


def provider_of(service: Service, **settings: Any) -> OpenAIProvider:
    defaults: dict[str, Any] = {"api_key": KEY, "model": "m", "timeout": 10}
    return OpenAIProvider(**({"base_url": service.url} | defaults | settings))


async def collect(source: AsyncIterator[events.Event]) -> list[events.Event]:
    return [event async for event in source]


def ask(service: Service, request: ChatRequest = QUESTION, **settings: Any) -> list[events.Event]:
    return asyncio.run(collect(provider_of(service, **settings).stream_text(request)))


def failure(service: Service, **settings: Any) -> StreamError:
    with pytest.raises(StreamError) as caught:
        ask(service, **settings)
    return caught.value
