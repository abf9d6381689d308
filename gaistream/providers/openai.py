"""OpenAI, and any service with its Chat Completions protocol, by httpx or httpx2.

Guarantees: those of http_provider.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..chat import ChatRequest
from .http_provider import HTTPProvider

if TYPE_CHECKING:
    import httpx
    import httpx2

__all__ = ["OpenAIProvider"]


class OpenAIProvider(HTTPProvider):
    """Streams answers from OpenAI, or from any server with the same protocol.

    Args:
        base_url: the URL before `/chat/completions`; a query stays.
        api_key: sent as a bearer token; None: no Authorization header. The environment is not
            read.
        model, client, timeout, headers, retries, restart: see `HTTPProvider`, also for errors.

    The fields of `request.extra` (`tools`, `top_p`, …) are sent too, but cannot replace those that
    the provider sets.
    """

    dialect = "openai_chat"

    def __init__(
        self,
        base_url: str = "https://api.openai.com/v1",
        *,
        api_key: str | None = None,
        model: str | None = None,
        client: httpx.AsyncClient | httpx2.AsyncClient | None = None,
        timeout: float | None = 60.0,
        headers: Mapping[str, str] | None = None,
        retries: int = 0,
        restart: bool = False,
    ) -> None:
        super().__init__(
            base_url, api_key=api_key, model=model, client=client, timeout=timeout,
            headers=headers, retries=retries, restart=restart,
        )  # fmt: skip

    def url(self, request: ChatRequest) -> Any:
        return self.under_base("/chat/completions")

    def body(self, request: ChatRequest) -> dict[str, Any]:
        body: dict[str, Any] = dict(request.extra)
        settings = {
            "model": request.model or self._model,
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
        }
        body |= {name: value for name, value in settings.items() if value is not None}
        body |= {"messages": [dict(message) for message in request.messages], "stream": True}
        options = body.get("stream_options")
        options = options if isinstance(options, dict) else {}
        body["stream_options"] = {**options, "include_usage": True}
        return body

    def frames_of_whole(self, answer: Any) -> Iterator[Any]:
        choices = [{**choice, "delta": choice["message"]} for choice in answer["choices"]]
        yield {**answer, "choices": choices}
        yield "[DONE]"
