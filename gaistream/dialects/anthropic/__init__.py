"""`anthropic`, the protocol of Anthropic's Messages API."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from ...errors import FrameTypeError
from ..base import Dialect, DialectModule, DialectReader, DialectWriter

if TYPE_CHECKING:
    from .reader import MessagesReader
    from .writer import MessagesWriter


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
        if model is not None and not isinstance(model, str):
            raise FrameTypeError(f"model must be str or None, not {type(model).__name__}")
        self._model = model

    def writer(self, format: str, **_: Any) -> DialectWriter:
        return _writer_class()(self._model)

    def reader(self, format: str) -> DialectReader:
        return _reader_class()()


@cache
def _writer_class() -> type[MessagesWriter]:
    from .writer import MessagesWriter

    return MessagesWriter


@cache
def _reader_class() -> type[MessagesReader]:
    from .reader import MessagesReader

    return MessagesReader


dialect = Anthropic()
sys.modules[__name__].__class__ = DialectModule
