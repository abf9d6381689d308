"""The encoder of a stream of such items: no first bytes, one frame an item, the caller's pings."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from ...dialects import Dialect, DialectWriter
from ...dialects.base import check_error, error_object
from ...errors import UnsayableError
from ...events import Error
from ...writing.encoder import SSEEncoder
from ...writing.options import SSEOptions
from .event import JSONServerSentEvent, ServerSentEvent, ensure_bytes

logger = logging.getLogger("sse_starlette.sse")  # so that settings of its level go on to act

_OPTIONS: Final = SSEOptions(heartbeat_interval=0, heartbeat="native")
# A dialect is asked for its writer when the encoder is made; this one is the writer, of one stream.


class _EventSource(Dialect, DialectWriter):
    name = "event_source"
    writes = ("sse",)

    def __init__(self, sep: str, make_ping: Callable[[], Any] | None) -> None:
        self._sep = sep
        self._make_ping = make_ping
        self._refused = False
        self._logs = logger.isEnabledFor(logging.DEBUG)

    def writer(self, format: str, **_: Any) -> DialectWriter:  # noqa: ARG002
        return self

    def write(self, encoder: Any, item: Any) -> None:
        try:
            frame = ensure_bytes(item, self._sep)
        except BaseException:
            self._refused = True
            raise
        if self._logs:
            logger.debug("chunk: %s", frame)
        encoder.write_ready(frame)

    def fail(self, encoder: Any, error: Error) -> None:
        """Write an error event; after an item that cannot be written the connection breaks."""
        check_error(error)
        if self._refused:
            raise UnsayableError("an item could not be written")
        payload = error_object(error.code, error.message)
        event = JSONServerSentEvent(payload, event="error", sep=self._sep)
        encoder.write_ready(event.encode())

    def finish(self, encoder: Any) -> None:
        """Write nothing."""

    def heartbeat(self, encoder: Any) -> None:
        """Write a ping: the usual one if `make_ping` fails or its item cannot be written."""
        frame = None
        if self._make_ping is not None:
            try:
                frame = ensure_bytes(self._make_ping(), self._sep)
            except Exception:
                logger.exception("ping_message_factory failed")
        if frame is None:
            comment = f"ping - {datetime.now(UTC)}"
            frame = ServerSentEvent(comment=comment, sep=self._sep).encode()
        logger.debug("ping: %s", frame)
        encoder.write_ready(frame)


class EventSourceEncoder(SSEEncoder):
    """An encoder of such items. Belongs to one task.

    Args:
        sep: the line end.
        make_ping: returns the item of a ping; None: a comment with the time.
    """

    __slots__ = ("_sep",)

    def __init__(self, sep: str, make_ping: Callable[[], Any] | None = None) -> None:
        super().__init__(_OPTIONS, dialect=_EventSource(sep, make_ping))
        self._sep = sep

    def begin(self) -> None:
        """Write nothing: the first bytes are the first item's."""

    def write_reconnection_time(self, milliseconds: int) -> None:
        """Write an event of only a `retry` field."""
        self.write_ready(ServerSentEvent(retry=milliseconds, sep=self._sep).encode())
