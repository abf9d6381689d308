"""OpenAI, and any service with its Chat Completions or Responses protocol, by httpx or httpx2.

Guarantees: those of http_provider.py. bodies/ writes the requests; a whole answer in place of a
stream is read as the frames that would have said it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from ..chat import ChatRequest
from .bodies.chat import chat_body
from .bodies.responses import responses_body
from .http_provider import HTTPProvider

if TYPE_CHECKING:
    import httpx
    import httpx2

__all__ = ["OpenAIProvider"]

_PATHS = {"chat": "/chat/completions", "responses": "/responses"}
_BODIES = {"chat": chat_body, "responses": responses_body}


class OpenAIProvider(HTTPProvider):
    """Streams answers from OpenAI, or from any server with one of its protocols.

    Args:
        base_url: the URL before `/chat/completions` or `/responses`; a query stays.
        api: "chat" for the Chat Completions API, "responses" for the Responses API.
        api_key: sent as a bearer token; None: no Authorization header. The environment is not
            read.
        model, client, timeout, headers, retries, restart: see `HTTPProvider`, also for errors.

    Raises:
        ValueError: `api` is neither, or see `HTTPProvider`.

    The fields of `request.extra` (`tools`, `top_p`, …) are sent too, but cannot replace those that
    the provider sets, and those that only another vendor's protocol has are left out. OpenAI's own
    host gets `max_tokens` as `max_completion_tokens`.
    """

    default_url = "https://api.openai.com/v1"

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api: Literal["chat", "responses"] = "chat",
        api_key: str | None = None,
        model: str | None = None,
        client: httpx.AsyncClient | httpx2.AsyncClient | None = None,
        timeout: float | None = 60.0,
        headers: Mapping[str, str] | None = None,
        retries: int = 0,
        restart: bool = False,
    ) -> None:
        if api not in _PATHS:
            raise ValueError(f"api must be 'chat' or 'responses', not {api!r}")
        super().__init__(
            base_url, api_key=api_key, model=model, client=client, timeout=timeout,
            headers=headers, retries=retries, restart=restart,
        )  # fmt: skip
        self.dialect = f"openai_{api}"
        self._api = api
        host = self.host
        self._is_own_host = host == "api.openai.com" or host.endswith(".api.openai.com")

    def url(self, request: ChatRequest) -> Any:  # noqa: ARG002
        return self.under_base(_PATHS[self._api])

    def body(self, request: ChatRequest) -> dict[str, Any]:
        return _BODIES[self._api](request, self._model, own_host=self._is_own_host)

    def frames_of_whole(self, answer: Any) -> Iterator[Any]:
        return _chat_frames(answer) if self._api == "chat" else _responses_frames(answer)


def _chat_frames(answer: Any) -> Iterator[Any]:
    choices = [{**choice, "delta": choice["message"]} for choice in answer["choices"]]
    yield {**answer, "choices": choices}
    yield "[DONE]"


def _responses_frames(answer: Any) -> Iterator[Any]:
    """Yield the events of a stream that ends in this response."""
    yield {"type": "response.created", "response": {**answer, "output": []}}
    for index, item in enumerate(answer["output"]):
        about = {"item_id": item.get("id"), "output_index": index}
        kind = item["type"]
        empty = {"arguments": ""} if kind == "function_call" else {}
        added = {**item, **empty, "status": "in_progress"}
        yield {"type": "response.output_item.added", "output_index": index, "item": added}
        if kind == "message":
            for place, part in enumerate(item["content"]):
                at = {**about, "content_index": place}
                for name in ("text", "refusal"):
                    if part.get(name):
                        said = "output_text" if name == "text" else name
                        yield {"type": f"response.{said}.delta", **at, "delta": part[name]}
                for number, note in enumerate(part.get("annotations") or ()):
                    about_note = {**at, "annotation_index": number, "annotation": note}
                    yield {"type": "response.output_text.annotation.added", **about_note}
        elif kind == "function_call":
            delta = {**about, "delta": item["arguments"]}
            yield {"type": "response.function_call_arguments.delta", **delta}
        elif kind == "reasoning":
            for place, part in enumerate(item.get("summary") or ()):
                delta = {**about, "summary_index": place, "delta": part["text"]}
                yield {"type": "response.reasoning_summary_text.delta", **delta}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    status = answer.get("status") or "completed"
    yield {"type": f"response.{status}", "response": answer}
