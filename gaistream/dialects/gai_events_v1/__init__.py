"""`gai_events_v1`, the second protocol of the Go original: on the wire `gai.events.v1`."""

from __future__ import annotations

import sys
from typing import Any

from ...errors import FrameTypeError
from ..base import Dialect, DialectModule, DialectReader, DialectWriter, load_reader, load_writer
from ..frame import Frame

SCHEMA = "gai.events.v1"


class GaiEventsV1(Dialect):
    """gai.events.v1, of one shape in SSE and NDJSON. It is loaded when it is first used.

    Args:
        trace_id, request_id: of all events.
        provider: of the start and the finish.
        model: the same; None: that of `Start`.

    Raises:
        FrameTypeError: an option is neither a str nor None.
    """

    name = "gai_events_v1"
    title = SCHEMA
    writes = reads = ("sse", "ndjson")
    terminator = "done"
    first_kinds = frozenset({"text.delta", "reasoning.delta"})
    last_kinds = frozenset({"done"})
    text_paths = (("text.delta", ("text",)),)

    def __init__(
        self, *, trace_id: str | None = None, request_id: str | None = None,
        provider: str | None = None, model: str | None = None,
    ) -> None:  # fmt: skip
        options = {
            "trace_id": trace_id, "request_id": request_id, "provider": provider, "model": model,
        }  # fmt: skip
        for name, value in options.items():
            if value is not None and not isinstance(value, str):
                raise FrameTypeError(f"{name} must be str or None, not {type(value).__name__}")
        self._options = options

    def sniff(self, first: Frame) -> bool:
        return first.fields.get("schema") == SCHEMA or super().sniff(first)

    def writer(
        self, format: str, *, retry: int | None = None, compact: bool = True, **_: Any
    ) -> DialectWriter:
        make = load_writer(__name__, "GaiEventsV1Writer")
        return make(format == "sse", retry, compact, **self._options)

    def reader(self, format: str) -> DialectReader:
        return load_reader(__name__, "GaiEventsV1Reader")()


dialect = GaiEventsV1()
sys.modules[__name__].__class__ = DialectModule
