"""Services of the vendors, on loopback, that answer with recorded bytes of their protocols.

The path of a request begins with /PROVIDER/CASE. Most cases are answers: those of the reader
vectors and, where we have a writer, a long conversation. The other ones are what services do wrong.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

from client_matrix import SECRET
from conversations import FULL
from dialect_vectors import load

import gaistream
from gaistream.providers import AnthropicProvider, GeminiProvider, OllamaProvider, OpenAIProvider

PROVIDERS: Final[dict[str, tuple[str, Callable[..., Any]]]] = {
    "openai": ("openai_chat", OpenAIProvider),
    "openai-responses": ("openai_responses", partial(OpenAIProvider, api="responses")),
    "anthropic": ("anthropic", AnthropicProvider),
    "gemini": ("gemini", partial(GeminiProvider, model="m")),
    "ollama": ("ollama", OllamaProvider),
}
"""A provider's dialect, and how it is made from a base URL."""

LINES: Final = {"ollama": "ndjson"}
BEGINNINGS: Final = {name: next(iter(load(dialect))) for name, (dialect, _) in PROVIDERS.items()}
"""A case of each provider whose answer begins with text."""

REFUSALS: Final[dict[str, tuple[int, dict[str, str], bytes]]] = {
    "401": (401, {}, b'{"error":{"message":"%s","type":"auth"}}' % SECRET.encode()),
    "429": (429, {"retry-after": "7"}, b'{"error":{"message":"too many"}}'),
    "500": (500, {"content-type": "text/html"}, b"<html><body>It broke</body></html>"),
    "200": (200, {"content-type": "application/json"}, b'{"error":{"message":"it is busy"}}'),
}
"""The status, headers and body with which a service refuses."""


def _written(dialect: str) -> bytes:
    """Return a long conversation as our writer of a dialect sends it."""
    return gaistream.encode_events(FULL, dialect=dialect)


def answers_of(provider: str) -> dict[str, bytes]:
    """Return the answers of a provider by their cases."""
    dialect, _ = PROVIDERS[provider]
    answers = {name: vector["input"].encode() for name, vector in load(dialect).items()}
    if dialect in ("openai_chat", "openai_responses", "anthropic"):
        answers["conversation"] = _written(dialect)
    return answers


class Services:
    """The app of all services.

    Attributes:
        left: the providers whose answers of the case "leave" were left, as they are.
    """

    def __init__(self) -> None:
        self._answers = {name: answers_of(name) for name in PROVIDERS}
        self.left: queue.Queue[str] = queue.Queue()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        _, provider, case, *_ = map(unquote, scope["path"].split("/"))
        if case == "nothing":
            raise ConnectionError
        media_type = "application/x-ndjson" if provider in LINES else "text/event-stream"
        status, headers, body = REFUSALS.get(case, (200, {"content-type": media_type}, b""))
        fields = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        if case in REFUSALS:
            await send({"type": "http.response.body", "body": body})
            return
        known = self._answers[provider]
        body = known[BEGINNINGS[provider]] if case in ("leave", "dies") else known[case]
        sent = {"leave": len(body) - 97, "dies": len(body) // 2}.get(case, len(body))
        for start in range(0, sent, 97):
            piece = body[start : min(start + 97, sent)]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)
        if case == "dies":
            raise ConnectionError
        if case == "leave":
            while (await receive())["type"] != "http.disconnect":
                pass
            self.left.put(provider)
            return
        await send({"type": "http.response.body"})
