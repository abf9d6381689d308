"""Google's Gemini, and any service with its `generateContent` protocol, by httpx or httpx2.

Guarantees: those of http_provider.py. bodies/generate_content.py writes the requests; a whole
answer in place of a stream is read as its only frame.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

from ..chat import ChatRequest
from ..core import read_json
from ..dialects.fields import object_of, objects_of, text_of
from ..errors import InvalidRequest
from ..http import received
from .bodies.generate_content import generate_content_body
from .http_provider import HTTPProvider

__all__ = ["GeminiProvider"]

_VERSION: Final = re.compile(r"/v\d+\w*$")
_KINDS: Final = ("models", "tunedModels")


class GeminiProvider(HTTPProvider):
    """Streams answers from Gemini, or from any server with its protocol.

    Args:
        base_url: the URL before `/v1/models/…`, or before `/models/…` if it ends in a version such
            as `/v1beta`; a query stays.
        api_key: sent as `x-goog-api-key`; None: no such header. The environment is not read.
        model: such as `gemini-3.1-pro`, for requests without a model; a request that has none
            either is refused with an `InvalidRequest`.
        client, timeout, headers, retries, restart: see `HTTPProvider`, also for errors.

    The fields of `request.extra` are translated (`tools`, `stop`, `reasoning_effort`,
    `response_format`, …) or sent as they are; those that only another vendor's protocol has are
    left out. `generationConfig`, `safetySettings`, `cachedContent` and `labels` are Gemini's own.
    """

    default_url = "https://generativelanguage.googleapis.com"
    dialect = "gemini"

    def key_headers(self, api_key: str) -> dict[str, str]:
        return {"x-goog-api-key": api_key}

    def url(self, request: ChatRequest) -> Any:
        version = "" if _VERSION.search(self._base.path.rstrip("/")) else "/v1"
        model = self._model_of(request)
        kind, _, name = model.partition("/")
        if not name or kind not in _KINDS:
            kind, name = "models", model
        # a model's name may come from a client: it must not reach another path
        path = f"{version}/{kind}/{quote(name, safe='')}:streamGenerateContent"
        return self.under_base(path, alt="sse")

    def body(self, request: ChatRequest) -> dict[str, Any]:
        return generate_content_body(request, self._model_of(request))

    def _model_of(self, request: ChatRequest) -> str:
        model = request.model or self._model
        if not model:
            raise InvalidRequest("model is missing", "model")
        return model

    def wait_in(self, body: bytes | bytearray) -> float | None:
        try:
            error = object_of(object_of(read_json(bytes(body), "replace")).get("error"))
        except ValueError:
            return None
        delays = (text_of(each.get("retryDelay")) for each in objects_of(error.get("details")))
        delay = next((each for each in delays if each.endswith("s")), "")
        return received.retry_after(delay.removesuffix("s"), 0.0)

    def frames_of_whole(self, answer: Any) -> Iterator[Any]:
        for each in answer if isinstance(answer, list) else [answer]:
            if each.keys().isdisjoint(("candidates", "promptFeedback", "error")):
                raise LookupError("candidates")
            yield each
