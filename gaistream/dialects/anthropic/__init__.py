"""`anthropic`, the protocol of Anthropic's Messages API."""

from __future__ import annotations

import sys
from typing import Any, Final

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

_TYPES: Final = {
    **{
        name: name
        for name in (
            "invalid_request_error", "authentication_error", "billing_error", "permission_error",
            "not_found_error", "request_too_large", "rate_limit_error", "timeout_error",
            "api_error", "overloaded_error",
        )
    },
    "rate_limited": "rate_limit_error",
    "provider_rejected": "invalid_request_error",
    "timeout": "timeout_error",
    "overloaded": "overloaded_error",
}  # fmt: skip
_TYPES_BY_STATUS: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_fields(error: Error, status: int | None = None) -> dict[str, str]:
    """Return Anthropic's error object.

    Args:
        error: what failed.
        status: of the response; None in a stream.
    """
    kind = _TYPES.get(error.code or "")
    if kind is None:
        others = "api_error" if status is None or status >= 500 else "invalid_request_error"
        kind = others if status is None else _TYPES_BY_STATUS.get(status, others)
    return {"type": kind, "message": error.message}


class Anthropic(Dialect):
    """Anthropic Messages over SSE. Its writer and reader are imported when they are first made.

    Args:
        model: the model of the message; None: that of `Start`.

    Raises:
        FrameTypeError: `model` is not a str.
    """

    name = "anthropic"
    title = "Anthropic Messages"
    writes = reads = ("sse",)
    terminator = "message_stop"
    first_kinds = frozenset({"message_start"})
    last_kinds = frozenset({"message_stop"})
    text_paths = (("content_block_delta", ("delta", "text")),)

    def __init__(self, *, model: str | None = None) -> None:
        check_model(model)
        self._model = model

    def error_body(self, status: int, error: Error, field: str = "") -> tuple[int, Any]:
        fields = error_fields(error, status)
        status = 529 if status == 503 else status  # Anthropic's own status of an overload
        return status, {"type": "error", "error": fields}

    def writer(self, format: str, **_: Any) -> DialectWriter:
        return load_writer(__name__, "MessagesWriter")(self._model, self.requested_model)

    def reader(self, format: str) -> DialectReader:
        return load_reader(__name__, "MessagesReader")()

    def read_request(self, payload: object) -> ProtocolRequest:
        request, stream = load_request_reader(__name__)(payload)
        return ProtocolRequest(request, self.answering(request), stream)


dialect = Anthropic()
sys.modules[__name__].__class__ = DialectModule
