"""`openai_responses`, OpenAI's Responses protocol, and the Open Responses standard made from it."""

from __future__ import annotations

import sys
from typing import Any

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
from ..openai_chat import error_fields


class OpenAIResponses(Dialect):
    """Responses over SSE. Its writer and its reader are imported when they are first made.

    Args:
        model: the `model` of the response; None: that of the `Start` event.
        request: the JSON object of the request, whose instructions, tools, sampling settings and
            other fields the response repeats; None: they have the protocol's defaults.

    Raises:
        FrameTypeError: `model` is not a str, or `request` not a dict.
    """

    name = "openai_responses"
    title = "OpenAI Responses"
    writes = reads = ("sse",)
    terminator = "response.completed"
    last_kinds = frozenset({"response.completed", "response.failed", "response.incomplete"})
    failure_kinds = frozenset({"error", "response.failed"})
    trailer = "[DONE]"
    text_paths = (("response.output_text.delta", ("delta",)),)

    def __init__(self, *, model: str | None = None, request: dict[str, Any] | None = None) -> None:
        check_model(model)
        if request is not None and not isinstance(request, dict):
            raise FrameTypeError(f"request must be dict or None, not {type(request).__name__}")
        self._model = model
        self._request: Any = request

    def error_body(self, status: int, error: Error, field: str = "") -> tuple[int, Any]:
        return status, {"error": {**error_fields(error, status), "param": field or None}}

    def sniff(self, first: Frame) -> bool:
        return first.kind.startswith("response.")

    def writer(self, format: str, **_: Any) -> DialectWriter:
        make = load_writer(__name__, "ResponsesWriter")
        return make(self._model, self._request, self.requested_model)

    def reader(self, format: str) -> DialectReader:
        return load_reader(__name__, "ResponsesReader")()

    def read_request(self, payload: object) -> ProtocolRequest:
        request, stream = load_request_reader(__name__)(payload)
        dialect = self.answering(request)
        dialect._request = payload
        return ProtocolRequest(request, dialect, stream)


dialect = OpenAIResponses()
sys.modules[__name__].__class__ = DialectModule
