"""The `json` dialect, for people who stream their own objects.

Each item is one JSON payload, whatever it is: one `data:` frame or one line. `ServerSentEvent` and
bytes pass as they are, and a stream that succeeds just ends. One that failed ends with the error
object that HTTP error bodies have too, in SSE under the name `error`.
"""

from __future__ import annotations

from typing import Any

from ..core import ServerSentEvent
from ..events import Error
from ..writing.options import NDJSONOptions, SSEOptions
from .base import Dialect, check_error, write_event_line
from .items import error_object


class PlainSSE(Dialect):
    """People's own payloads over SSE."""

    def __init__(self, options: SSEOptions) -> None:
        self._error_retry = options.error_retry

    def write(self, frames: Any, item: Any) -> None:
        """Write one payload, or a frame that passes."""
        if isinstance(item, ServerSentEvent):
            frames.write_sse_event(item)
        elif isinstance(item, bytes):
            frames.write_ready(item)
        else:
            frames.write_frame(json=item)

    def fail(self, frames: Any, error: Error) -> None:
        """Write the error object."""
        check_error(error)
        payload = error_object(error.code, error.message)
        frames.write_frame(None, "error", retry=self._error_retry, json=payload)

    def finish(self, frames: Any) -> None:
        """Write nothing: the payloads are people's own."""


class PlainNDJSON(Dialect):
    """People's own payloads over NDJSON."""

    def __init__(self, options: NDJSONOptions) -> None:
        pass

    def write(self, frames: Any, item: Any) -> None:
        """Write one payload, or lines that pass."""
        if isinstance(item, ServerSentEvent):
            write_event_line(frames, item)
        elif isinstance(item, bytes):
            frames.write_ready(item)
        else:
            frames.write_line(item)

    def fail(self, frames: Any, error: Error) -> None:
        """Write the error object."""
        check_error(error)
        frames.write_line(error_object(error.code, error.message))

    def finish(self, frames: Any) -> None:
        """Write nothing: the payloads are people's own."""
