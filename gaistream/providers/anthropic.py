"""Anthropic, and any service with its Messages protocol, by httpx or httpx2.

Guarantees: those of http_provider.py. bodies/messages.py writes the requests; a whole answer in
place of a stream is read as the frames that would have said it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ..chat import ChatRequest
from .bodies.messages import messages_body
from .http_provider import HTTPProvider

__all__ = ["AnthropicProvider"]

_DELTAS = {"text": "text_delta", "thinking": "thinking_delta"}


class AnthropicProvider(HTTPProvider):
    """Streams answers from Anthropic, or from any server with its Messages protocol.

    Args:
        base_url: the URL before `/v1/messages`, or `/messages` if it ends in `/v1`; a query stays.
        api_key: sent as `x-api-key`; None: no such header. The environment is not read.
        model, client, timeout, headers, retries, restart: see `HTTPProvider`, also for errors.

    A request without `max_tokens`, which Anthropic requires, gets 16 384, and the budget of its
    thinking beside. The fields of `request.extra` are translated (`tools`, `stop`,
    `reasoning_effort`, `response_format`, …) or sent as they are; those that only another vendor's
    protocol has are left out.
    """

    default_url = "https://api.anthropic.com"
    dialect = "anthropic"
    own_headers: ClassVar[Mapping[str, str]] = {"anthropic-version": "2026-10-21"}

    def key_headers(self, api_key: str) -> dict[str, str]:
        return {"x-api-key": api_key}

    def url(self, request: ChatRequest) -> Any:  # noqa: ARG002
        has_version = self._base.path.rstrip("/").endswith("/v1")
        return self.under_base("/messages" if has_version else "/v1/messages")

    def body(self, request: ChatRequest) -> dict[str, Any]:
        return messages_body(request, self._model)

    def frames_of_whole(self, answer: Any) -> Iterator[Any]:
        start = {**answer, "content": [], "stop_reason": None}
        yield {"type": "message_start", "message": start}
        for index, block in enumerate(answer["content"]):
            kind = block["type"]
            opening = dict(block)
            if kind in _DELTAS:
                opening = {"type": kind, kind: ""}
            yield {"type": "content_block_start", "index": index, "content_block": opening}
            for delta in _deltas(block):
                yield {"type": "content_block_delta", "index": index, "delta": delta}
            yield {"type": "content_block_stop", "index": index}
        names = ("stop_reason", "stop_sequence", "stop_details")
        end = {name: answer.get(name) for name in names}
        yield {"type": "message_delta", "delta": end, "usage": answer.get("usage")}
        yield {"type": "message_stop"}


def _deltas(block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    kind = block["type"]
    if kind in _DELTAS:
        yield {"type": _DELTAS[kind], kind: block[kind]}
        if block.get("signature"):
            yield {"type": "signature_delta", "signature": block["signature"]}
        for citation in block.get("citations") or ():
            yield {"type": "citations_delta", "citation": citation}
