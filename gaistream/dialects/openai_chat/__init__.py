"""`openai_chat`, OpenAI's Chat Completions protocol, which many other servers speak too."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING

from ..base import Dialect, DialectModule, DialectReader, Frame

if TYPE_CHECKING:
    from .reader import ChatCompletionsReader


class OpenAIChat(Dialect):
    """Chat Completions over SSE; read only."""

    name = "openai_chat"
    title = "OpenAI Chat Completions"
    reads = ("sse",)
    terminator = end_mark = "[DONE]"
    text_paths = (("message", ("choices", 0, "delta", "content")),)

    def sniff(self, first: Frame) -> bool:
        return first.fields.get("object") == "chat.completion.chunk"

    def reader(self, format: str) -> DialectReader:
        return self._reader()

    @cached_property
    def _reader(self) -> type[ChatCompletionsReader]:
        from .reader import ChatCompletionsReader

        return ChatCompletionsReader


dialect = OpenAIChat()
sys.modules[__name__].__class__ = DialectModule
