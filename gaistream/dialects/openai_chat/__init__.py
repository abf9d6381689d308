"""`openai_chat`, OpenAI's Chat Completions protocol, which many other servers speak too."""

from __future__ import annotations

import sys
from typing import Any, Final

from ...errors import FrameTypeError
from ...events import Error
from ..base import (
    Dialect,
    DialectModule,
    DialectReader,
    DialectWriter,
    ProtocolRequest,
    check_model,
    load_reader,
    load_request_reader,
    load_writer,
)
from ..frame import Frame

# The type of an error, by its HTTP status and by our codes; others of the server are server_error.
_TYPES_BY_STATUS: Final = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}
_TYPES: Final = {
    "rate_limited": "rate_limit_error",
    "provider_rejected": "invalid_request_error",
}


def error_fields(error: Error, status: int | None = None) -> dict[str, str | None]:
    """Return OpenAI's error object.

    Args:
        error: what failed.
        status: of the response; None in a stream.
    """
    code = error.code or ""
    if code.endswith("_error"):
        kind = code
    elif status is not None and status < 500:
        kind = _TYPES_BY_STATUS.get(status, "invalid_request_error")
    else:
        kind = _TYPES.get(code, "server_error")
    return {"message": error.message, "type": kind, "param": None, "code": error.code}


class OpenAIChat(Dialect):
    """Chat Completions over SSE. Its writer and its reader are imported when they are first made.

    Args:
        model: the `model` of the chunks; None: that of the `Start` event.
        include_usage: write the token counts of the `Finish` event before `[DONE]`, as for a
            request with `stream_options: {"include_usage": true}`.

    Raises:
        FrameTypeError: `model` is not a str, or `include_usage` not a bool.
    """

    name = "openai_chat"
    title = "OpenAI Chat Completions"
    writes = reads = ("sse",)
    terminator = end_mark = "[DONE]"
    text_paths = (("message", ("choices", 0, "delta", "content")),)

    def __init__(self, *, model: str | None = None, include_usage: bool = False) -> None:
        check_model(model)
        if not isinstance(include_usage, bool):
            kind = type(include_usage).__name__
            raise FrameTypeError(f"include_usage must be bool, not {kind}")
        self._model = model
        self._include_usage = include_usage

    def error_body(self, status: int, error: Error, field: str = "") -> tuple[int, Any]:
        return status, {"error": {**error_fields(error, status), "param": field or None}}

    def sniff(self, first: Frame) -> bool:
        return first.fields.get("object") == "chat.completion.chunk"

    def writer(self, format: str, **_: Any) -> DialectWriter:
        make = load_writer(__name__, "ChatCompletionsWriter")
        return make(self._model, self._include_usage, self.requested_model)

    def reader(self, format: str) -> DialectReader:
        return load_reader(__name__, "ChatCompletionsReader")()

    def read_request(self, payload: object) -> ProtocolRequest:
        request, stream, usage = load_request_reader(__name__)(payload)
        dialect = self.answering(request)
        dialect._include_usage = self._include_usage or usage
        return ProtocolRequest(request, dialect, stream)


dialect = OpenAIChat()
sys.modules[__name__].__class__ = DialectModule
