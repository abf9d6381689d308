"""`raw`, for people who write their own frames.

In SSE a str is data, a dict holds the fields of a frame, and `ServerSentEvent` and bytes pass
unchanged. In NDJSON a str, bytes and a `ServerSentEvent` are lines, and a dict is one JSON value. A
stream that succeeds has no last event. One that failed ends with the error frame of the default
protocol.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

from ..core import ServerSentEvent
from ..errors import EventError, FrameTypeError, name_of_kind
from ..events import Error
from . import create_writer
from .base import OWN_JSON, Dialect, DialectWriter, write_event_line

_FIELDS: Final = ("data", "event", "id", "retry", "comment", "json")


def _refuse(item: object, accepted: str) -> NoReturn:
    raise EventError(
        f'{name_of_kind(item)} is no frame: with dialect="raw" a source yields {accepted}; '
        f"{OWN_JSON}"
    )


def _check_fields(fields: dict[Any, Any]) -> None:
    for name in fields:
        if name not in _FIELDS:
            raise EventError(
                f"a dict holds the fields of a frame ({', '.join(_FIELDS)}), not {name!r}; "
                f"{OWN_JSON}"
            )
    data = fields.get("data")
    if data is not None and not isinstance(data, str | bytes | bytearray | memoryview):
        kind = type(data).__name__
        raise FrameTypeError(f"data must be str or bytes, not {kind}: a payload is the field json")


class RawSSE(DialectWriter):
    """Frames of SSE."""

    def __init__(self, retry: int | None) -> None:
        self._retry = retry

    def write(self, encoder: Any, item: Any) -> None:
        if isinstance(item, str):
            encoder.write_frame(item)
        elif isinstance(item, dict):
            _check_fields(item)
            encoder.write_frame(**item)
        elif isinstance(item, ServerSentEvent):
            encoder.write_sse_event(item)
        elif isinstance(item, bytes):
            encoder.write_ready(item)
        elif item is not None:
            _refuse(item, "str, dicts of fields, ServerSentEvent or bytes")

    def fail(self, encoder: Any, error: Error) -> None:
        create_writer("gai", "sse", retry=self._retry).fail(encoder, error)

    def finish(self, encoder: Any) -> None:
        """Write nothing."""


class RawNDJSON(DialectWriter):
    """Lines of NDJSON."""

    def __init__(self, compact: bool, timestamps: bool) -> None:
        self._compact, self._timestamps = compact, timestamps

    def write(self, encoder: Any, item: Any) -> None:
        if isinstance(item, str):
            encoder.write_text_line(item.removesuffix("\n").removesuffix("\r"))
        elif isinstance(item, dict):
            encoder.write_line(item)
        elif isinstance(item, ServerSentEvent):
            write_event_line(encoder, item)
        elif isinstance(item, bytes):
            encoder.write_ready(item if item.endswith(b"\n") or not item else item + b"\n")
        elif item is not None:
            _refuse(item, "str, dicts, ServerSentEvent or bytes")

    def fail(self, encoder: Any, error: Error) -> None:
        gai = create_writer("gai", "ndjson", compact=self._compact, timestamps=self._timestamps)
        gai.fail(encoder, error)

    def finish(self, encoder: Any) -> None:
        """Write nothing."""


class RawDialect(Dialect):
    """People's own frames; write only."""

    name = "raw"
    writes = ("sse", "ndjson")
    has_events = False

    def writer(
        self, format: str, *, retry: int | None = None, compact: bool = True,
        timestamps: bool = False, **_: Any,
    ) -> DialectWriter:  # fmt: skip
        return RawSSE(retry) if format == "sse" else RawNDJSON(compact, timestamps)


dialect = RawDialect()
