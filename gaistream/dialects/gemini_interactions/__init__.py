"""`gemini_interactions`, the protocol of Gemini's Interactions. It is only read."""

from __future__ import annotations

import sys

from ..base import Dialect, DialectModule, DialectReader, load_reader
from ..fields import text_of
from ..frame import Frame


class GeminiInteractions(Dialect):
    """Interactions over SSE. Their reader is imported when it is first made."""

    name = "gemini_interactions"
    title = "Gemini Interactions"
    reads = ("sse",)
    terminator = "interaction.completed"
    trailer = "[DONE]"
    last_is_unmistakable = False
    text_paths = (("message", ("delta", "text")),)

    def sniff(self, first: Frame) -> bool:
        return text_of(first.fields.get("event_type")).startswith(("interaction.", "step."))

    def is_last(self, frame: Frame) -> bool:
        return frame.fields.get("event_type") == "interaction.completed"

    def reader(self, format: str) -> DialectReader:
        return load_reader(__name__, "InteractionsReader")()


dialect = GeminiInteractions()
sys.modules[__name__].__class__ = DialectModule
