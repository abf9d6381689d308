"""Ollama, by httpx or httpx2.

Guarantees: those of http_provider.py. bodies/ollama.py writes the requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..chat import ChatRequest
from .bodies.ollama import ollama_body
from .http_provider import HTTPProvider

__all__ = ["OllamaProvider"]


class OllamaProvider(HTTPProvider):
    """Streams answers from Ollama, by its own protocol.

    Args:
        base_url: the URL before `/api/chat`, or before `/chat` if it ends in `/api`; a query stays.
        api_key: sent as a bearer token, as `https://ollama.com` wants it; None: no Authorization
            header. The environment is not read.
        model, client, timeout, headers, retries, restart: see `HTTPProvider`, also for errors.
            Loading a model can take longer than the 60 seconds of `timeout`.

    The fields of `request.extra` are translated (`tools`, `reasoning_effort`, `response_format`,
    …), become `options` (`num_ctx`, `top_k`, `seed`, …) or are sent as they are; those that only
    another vendor's protocol has are left out.
    """

    default_url = "http://127.0.0.1:11434"
    dialect = "ollama"
    format = "ndjson"

    def url(self, request: ChatRequest) -> Any:  # noqa: ARG002
        is_api = self._base.path.rstrip("/").endswith("/api")
        return self.under_base("/chat" if is_api else "/api/chat")

    def body(self, request: ChatRequest) -> dict[str, Any]:
        return ollama_body(request, self._model)

    def frames_of_whole(self, answer: Any) -> Iterator[Any]:
        if not isinstance(answer["message"], dict):
            raise TypeError("message")
        yield answer
