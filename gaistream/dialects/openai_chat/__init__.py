"""`openai_chat`, OpenAI's Chat Completions protocol, which many other servers speak too."""

from __future__ import annotations

import sys
from typing import Any

from ...errors import FrameTypeError
from ..base import (
    Dialect,
    DialectModule,
    DialectReader,
    DialectWriter,
    Frame,
    check_model,
    load_reader,
    load_writer,
)


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
        self._options = (model, include_usage)

    def sniff(self, first: Frame) -> bool:
        return first.fields.get("object") == "chat.completion.chunk"

    def writer(self, format: str, **_: Any) -> DialectWriter:
        return load_writer(__name__, "ChatCompletionsWriter")(*self._options)

    def reader(self, format: str) -> DialectReader:
        return load_reader(__name__, "ChatCompletionsReader")()


dialect = OpenAIChat()
sys.modules[__name__].__class__ = DialectModule
