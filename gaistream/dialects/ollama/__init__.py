"""`ollama`, the protocol of Ollama's `/api/chat`, lines of JSON. It is only read."""

from __future__ import annotations

import sys

from ..base import Dialect, DialectModule, DialectReader, load_reader
from ..frame import Frame


class Ollama(Dialect):
    """Ollama's answers as NDJSON. Its reader is imported when it is first made."""

    name = "ollama"
    title = "Ollama"
    reads = ("ndjson",)
    terminator = '"done":true'
    last_is_unmistakable = False
    text_paths = (("message", ("message", "content")), ("message", ("response",)))

    def sniff(self, first: Frame) -> bool:
        fields = first.fields
        return "created_at" in fields and "model" in fields and type(fields.get("done")) is bool

    def is_last(self, frame: Frame) -> bool:
        return frame.fields.get("done") is True

    def reader(self, format: str) -> DialectReader:
        return load_reader(__name__, "OllamaReader")()


dialect = Ollama()
sys.modules[__name__].__class__ = DialectModule
