"""`json`, for people who stream their own objects.

Each item is one JSON payload, whatever it is: one `data:` frame or one line. `ServerSentEvent` and
bytes pass unchanged. A stream that succeeds has no last event. One that failed ends with the error
object that HTTP error bodies have too, in SSE under the name `error`.
"""

from __future__ import annotations

from typing import Any

from ..core import ServerSentEvent
from ..events import Error
from .base import Dialect, DialectWriter, check_error, error_object, write_event_line


class PayloadSSE(DialectWriter):
    """Payloads over SSE."""

    def __init__(self, retry: int | None = None) -> None:
        self._retry = retry

    def write(self, encoder: Any, item: Any) -> None:
        if isinstance(item, ServerSentEvent):
            encoder.write_sse_event(item)
        elif isinstance(item, bytes):
            encoder.write_ready(item)
        else:
            encoder.write_frame(json=item)

    def fail(self, encoder: Any, error: Error) -> None:
        check_error(error)
        payload = error_object(error.code, error.message)
        encoder.write_frame(None, "error", retry=self._retry, json=payload)

    def finish(self, encoder: Any) -> None:
        """Write nothing."""


class PayloadNDJSON(DialectWriter):
    """Payloads over NDJSON."""

    def write(self, encoder: Any, item: Any) -> None:
        if isinstance(item, ServerSentEvent):
            write_event_line(encoder, item)
        elif isinstance(item, bytes):
            encoder.write_ready(item)
        else:
            encoder.write_line(item)

    def fail(self, encoder: Any, error: Error) -> None:
        check_error(error)
        encoder.write_line(error_object(error.code, error.message))

    def finish(self, encoder: Any) -> None:
        """Write nothing."""


class PayloadDialect(Dialect):
    """People's own objects; write only."""

    name = "json"
    writes = ("sse", "ndjson")
    has_events = False

    def writer(self, format: str, *, retry: int | None = None, **_: Any) -> DialectWriter:
        return PayloadSSE(retry) if format == "sse" else PayloadNDJSON()


dialect = PayloadDialect()
