"""`ai_sdk_text`, the AI SDK's plain text, which `TextStreamChatTransport` and `useCompletion` read.

The body is the answer's text and nothing else; every other event is dropped. It has no frame for a
failure, so the connection of a stream that failed is broken.
"""

from __future__ import annotations

from typing import Any, NoReturn

from ..core import ServerSentEvent
from ..errors import EventError, StreamError, UnsayableError
from ..events import Done, Error, Event, TextDelta
from .base import Dialect, DialectWriter, check_error
from .event_writer import EventWriter, event_of


class TextWriter(EventWriter):
    """Writes the text of one stream; an Error that is the last event is its failure."""

    def __init__(self) -> None:
        self._error: Error | None = None  # the last event

    def write(self, encoder: Any, item: Any) -> None:
        item = event_of(item)
        super().write(encoder, item)
        encoder.failed = False
        if item is not None and type(item) is not Error:
            self._error = None

    def write_event(self, encoder: Any, event: Event) -> None:
        if isinstance(event, TextDelta):
            # the two halves of a surrogate pair were joined before; a lone one becomes U+FFFD
            units = event.text.encode("utf-16-le", "surrogatepass")
            encoder.write_ready(units.decode("utf-16-le", "replace").encode())
        elif isinstance(event, Error):
            self._error = event
        elif type(event) is Done and self._error is not None:
            raise StreamError(self._error.message)

    def write_sse_event(self, encoder: Any, event: ServerSentEvent) -> None:
        raise EventError("a ServerSentEvent cannot be written as plain text: yield its data as str")

    def fail(self, encoder: Any, error: Error) -> NoReturn:
        check_error(error)
        raise UnsayableError(f"the stream failed, which plain text cannot say: {error.message}")

    def finish(self, encoder: Any) -> None:
        """Write nothing; raise if the last event was an Error."""
        if self._error is not None:
            self.fail(encoder, self._error)


class AISDKText(Dialect):
    """The answer's text, without frames; write only."""

    name = "ai_sdk_text"
    title = "AI SDK text"
    writes = ("ndjson",)  # of the two carriers the one that adds no bytes
    media_type = "text/plain; charset=utf-8"

    def error_body(self, status: int, error: Error, field: str = "") -> tuple[int, Any]:
        return status, error.message  # the text that the client throws

    def writer(self, format: str, **_: Any) -> DialectWriter:
        return TextWriter()


dialect = AISDKText()
