"""`ai_sdk`, the UI message stream of the AI SDK, which `useChat` and its sisters read."""

from __future__ import annotations

import sys
from types import MappingProxyType
from typing import Any, Final

from ...errors import FrameError, FrameTypeError
from ...events import Error
from ..base import (
    Dialect,
    DialectModule,
    DialectReader,
    DialectWriter,
    ProtocolRequest,
    load_reader,
    load_request_reader,
    load_writer,
)

VERSIONS: Final = (5, 6, 7)


class AISDK(Dialect):
    """The UI message stream, version 1. Its writer and reader are imported when first made.

    Args:
        version: the major version of the clients' `ai` package: 5, 6 or 7. A request does not tell
            it, and a chunk that a client does not know ends its stream.
        provider: the name under which signatures are written as `providerMetadata`. If the clients
            send their messages on to a provider's package of the AI SDK, it is that provider's:
            "anthropic", "openai", "google", …

    Raises:
        FrameError: `version` is none of these, or `provider` is empty.
        FrameTypeError: `provider` is not a str.
    """

    name = "ai_sdk"
    title = "AI SDK UI messages"
    writes = reads = ("sse",)
    headers = MappingProxyType({"x-vercel-ai-ui-message-stream": "v1"})
    terminator = "finish"
    first_kinds = frozenset({"start-step", "text-start", "text-delta"})
    last_kinds = frozenset({"finish", "abort"})
    last_is_unmistakable = False  # gai has a `finish` before its `done`
    trailer = "[DONE]"
    resume_suffix = "/stream"
    text_paths = (("text-delta", ("delta",)),)

    def __init__(self, *, version: int = 6, provider: str = "gaistream") -> None:
        if version not in VERSIONS or isinstance(version, bool):
            raise FrameError(f"version must be 5, 6 or 7, not {version!r}")
        if not isinstance(provider, str):
            raise FrameTypeError(f"provider must be str, not {type(provider).__name__}")
        if not provider:
            raise FrameError("provider must not be empty")
        self._options = (version, provider)

    def error_body(self, status: int, error: Error, field: str = "") -> tuple[int, Any]:
        return status, error.message  # the text that useChat throws

    def read_request(self, payload: object) -> ProtocolRequest:
        return ProtocolRequest(load_request_reader(__name__)(payload), self)

    def writer(self, format: str, **_: Any) -> DialectWriter:
        return load_writer(__name__, "UIMessageWriter")(*self._options)

    def reader(self, format: str) -> DialectReader:
        return load_reader(__name__, "UIMessageReader")()


dialect = AISDK()
sys.modules[__name__].__class__ = DialectModule
