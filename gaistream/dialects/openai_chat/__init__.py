"""`openai_chat`, OpenAI's Chat Completions protocol, which many other servers speak too."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from ...errors import FrameTypeError
from ..base import Dialect, DialectModule, DialectReader, DialectWriter, Frame

if TYPE_CHECKING:
    from .reader import ChatCompletionsReader
    from .writer import ChatCompletionsWriter


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
        if model is not None and not isinstance(model, str):
            raise FrameTypeError(f"model must be str or None, not {type(model).__name__}")
        if not isinstance(include_usage, bool):
            kind = type(include_usage).__name__
            raise FrameTypeError(f"include_usage must be bool, not {kind}")
        self._options = (model, include_usage)

    def sniff(self, first: Frame) -> bool:
        return first.fields.get("object") == "chat.completion.chunk"

    def writer(self, format: str, **_: Any) -> DialectWriter:
        return _writer_class()(*self._options)

    def reader(self, format: str) -> DialectReader:
        return _reader_class()()


@cache
def _writer_class() -> type[ChatCompletionsWriter]:
    from .writer import ChatCompletionsWriter

    return ChatCompletionsWriter


@cache
def _reader_class() -> type[ChatCompletionsReader]:
    from .reader import ChatCompletionsReader

    return ChatCompletionsReader


dialect = OpenAIChat()
sys.modules[__name__].__class__ = DialectModule
