"""`gemini`, the protocol of Gemini's `streamGenerateContent` with `alt=sse`. It is only read."""

from __future__ import annotations

import sys

from ..base import Dialect, DialectModule, DialectReader, load_reader
from ..fields import object_of, objects_of
from ..frame import Frame


class Gemini(Dialect):
    """Gemini's answers over SSE. Its reader is imported when it is first made."""

    name = "gemini"
    title = "Gemini"
    reads = ("sse",)
    terminator = "finishReason"
    last_is_unmistakable = False
    text_paths = (("message", ("candidates", 0, "content", "parts", 0, "text")),)

    def sniff(self, first: Frame) -> bool:
        fields = first.fields
        blocked = isinstance(fields.get("promptFeedback"), dict) and "modelVersion" in fields
        return blocked or isinstance(fields.get("candidates"), list)

    def is_last(self, frame: Frame) -> bool:
        fields = frame.fields
        if object_of(fields.get("promptFeedback")).get("blockReason"):
            return True
        return any(each.get("finishReason") for each in objects_of(fields.get("candidates")))

    def reader(self, format: str) -> DialectReader:
        return load_reader(__name__, "GenerateContentReader")()


dialect = Gemini()
sys.modules[__name__].__class__ = DialectModule
