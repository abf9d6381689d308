"""`anthropic`, the protocol of Anthropic's Messages API."""

from __future__ import annotations

import sys
from typing import Any

from ..base import (
    Dialect,
    DialectModule,
    DialectReader,
    DialectWriter,
    check_model,
    load_reader,
    load_writer,
)


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

    def writer(self, format: str, **_: Any) -> DialectWriter:
        return load_writer(__name__, "MessagesWriter")(self._model)

    def reader(self, format: str) -> DialectReader:
        return load_reader(__name__, "MessagesReader")()


dialect = Anthropic()
sys.modules[__name__].__class__ = DialectModule
