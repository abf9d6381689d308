"""`anthropic`, the protocol of Anthropic's Messages API."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..base import Dialect, DialectModule, DialectReader, DialectWriter

if TYPE_CHECKING:
    from .reader import MessagesReader
    from .writer import MessagesWriter


class Anthropic(Dialect):
    """Anthropic Messages over SSE. Its writer and reader are imported when they are first made.

    Args:
        model: the model of the message; None: that of `Start`.
    """

    name = "anthropic"
    title = "Anthropic Messages"
    writes = reads = ("sse",)
    terminator = "message_stop"
    first_kinds = frozenset({"message_start"})
    last_kinds = frozenset({"message_stop"})
    text_paths = (("content_block_delta", ("delta", "text")),)

    def __init__(self, model: str | None = None) -> None:
        self._model = model

    def writer(self, format: str, **_: Any) -> DialectWriter:
        return self._writer(self._model)

    def reader(self, format: str) -> DialectReader:
        return self._reader()

    @cached_property
    def _writer(self) -> type[MessagesWriter]:
        from .writer import MessagesWriter

        return MessagesWriter

    @cached_property
    def _reader(self) -> type[MessagesReader]:
        from .reader import MessagesReader

        return MessagesReader


dialect = Anthropic()
sys.modules[__name__].__class__ = DialectModule
