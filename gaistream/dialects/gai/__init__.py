"""`gai`, the default protocol: the payloads of the Go original, with what it lost added."""

from __future__ import annotations

from ..base import Dialect, DialectReader, DialectWriter, load_reader, load_writer
from ..frame import Frame

_MOST_WRITERS = 64


class Gai(Dialect):
    """The default protocol. Its writers and its reader are imported when they are first made."""

    name = "gai"
    writes = reads = ("sse", "ndjson")
    terminator = "done"
    last_kinds = frozenset({"done"})
    text_paths = (("text_delta", ("text",)),)

    def __init__(self) -> None:
        self._writers: dict[int | tuple[bool, bool] | None, DialectWriter] = {}

    def sniff(self, first: Frame) -> bool:
        if first.kind in ("text_delta", "reasoning_delta"):
            return type(first.fields.get("text")) is str
        return first.kind == "start" and first.fields.get("started") is True

    def writer(
        self, format: str, *, retry: int | None = None, compact: bool = True,
        timestamps: bool = False,
    ) -> DialectWriter:  # fmt: skip
        # streams of the same options share a writer, for it has no state
        key = retry if format == "sse" else (compact, timestamps)
        return self._writers.get(key) or self._make(key)

    def _make(self, key: int | tuple[bool, bool] | None) -> DialectWriter:
        if len(self._writers) >= _MOST_WRITERS:
            self._writers.clear()
        if isinstance(key, tuple):
            made = load_writer(__name__, "GaiNDJSON")(*key)
        else:
            made = load_writer(__name__, "GaiSSE")(key)
        self._writers[key] = made
        return made

    def reader(self, format: str) -> DialectReader:
        return load_reader(__name__, "GaiReader")()


dialect = Gai()
