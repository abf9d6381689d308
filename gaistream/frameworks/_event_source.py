"""What sse-starlette's users yield, said in gaistream's byte profile. No framework.

A str is data, a dict the arguments of a ServerSentEvent, bytes go out as they are, and anything
else is data as `str()` says it. A frame is whole or not written at all.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

from .. import _json
from .._backend import ServerSentEvent as _ServerSentEvent
from .._backend import SSEFrames
from .._log import log
from ..dialects.plain import PlainSSE
from ..errors import FrameTypeError
from ..options import SSEOptions
from ..sources import close_source

_LINE_BREAKING: Final = re.compile(r"[\r\n\0]")


def _one_line(field: str, value: Any) -> str | None:
    """Give a name or id without what would break out of its line, as sse-starlette does."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise FrameTypeError(f"{field} must be str, not {type(value).__name__}")
    return _LINE_BREAKING.sub("", value)


def _text(value: Any) -> Any:
    """Give what is data as it is, and anything else as `str()` says it."""
    if value is None or isinstance(value, str | bytes | bytearray | memoryview):
        return value
    return str(value)


class ServerSentEvent(_ServerSentEvent):
    """One event with sse-starlette's arguments. It may be yielded to any response of gaistream.

    Args:
        data: text or UTF-8 bytes; anything else is data as `str()` says it.
        event: the event's name; line ends and NUL are taken out of it.
        id: what a client sends back as Last-Event-ID, likewise; an int is written in decimal.
        retry: milliseconds that a client waits before it reconnects.
        comment: text that clients ignore.
        sep: taken and not used: lines end with LF, which every client reads alike.

    Raises:
        FrameTypeError: a name or id that is no text (a TypeError).
    """

    def __init__(
        self,
        data: Any = None,
        *,
        event: str | None = None,
        id: str | int | None = None,
        retry: int | None = None,
        comment: str | None = None,
        sep: str | None = None,  # noqa: ARG002
    ) -> None:
        number = isinstance(id, int) and not isinstance(id, bool)
        super().__init__(
            _text(data),
            _one_line("event", event),
            id=id if number else _one_line("id", id),
            retry=retry,
            comment=None if comment is None else str(comment),
        )

    __hash__ = object.__hash__  # type: ignore[assignment]  # it is equal to itself alone

    def encode(self) -> bytes:
        """Give the frame; FrameError for a retry that cannot be written, b"" without any field."""
        return b"" if _says_nothing(self) else bytes(self)


class JSONServerSentEvent(ServerSentEvent):
    """The same, its data any JSON payload; None writes no data."""

    def __init__(self, data: Any = None, **fields: Any) -> None:
        said = None if data is None else _json.dumps(data, errors="replace").decode()
        super().__init__(said, **fields)


def _says_nothing(event: _ServerSentEvent) -> bool:
    fields = (event.data, event.event, event.id, event.retry, event.comment)
    return all(field is None for field in fields)


class _EventSource(PlainSSE):
    """Says what sse-starlette's users yield; a stream that succeeds just ends."""

    def write(self, frames: Any, item: Any) -> None:
        """Write one item."""
        if isinstance(item, dict):
            item = ServerSentEvent(**item)
        if isinstance(item, _ServerSentEvent):
            if not _says_nothing(item):
                frames.write_sse_event(item)
        elif isinstance(item, bytes | bytearray | memoryview):
            frames.write_ready(bytes(item))
        else:
            frames.write_frame(str(item))


class EventSourceEncoder(SSEFrames):
    """Such items in, bytes out; heartbeats as the caller wants them. Belongs to one task.

    Args:
        options: SSEOptions.
        make_ping: gives the item that is the heartbeat; None for a comment with the time.
    """

    def __init__(self, options: SSEOptions, make_ping: Callable[[], Any] | None = None) -> None:
        super().__init__(_EventSource(options), options.buffer_size, options.errors)
        self.options = options
        self._make_ping = make_ping

    def write_heartbeat(self) -> None:
        """Write a heartbeat; one that cannot be made or written is replaced by the usual one."""
        if self._make_ping is not None:
            try:
                self.write(self._make_ping())
            except Exception:
                log.exception("ping_message_factory failed")
            else:
                return
        self.write_comment(f"ping - {datetime.now(UTC)}")


class ClosedInTime(AsyncIterator[Any]):
    """A source whose closing is cancelled after some time.

    Args:
        source: an async iterator.
        seconds: that its `aclose()` may take; None: any time.
    """

    def __init__(self, source: AsyncIterator[Any], seconds: float | None) -> None:
        self._source = source
        self._next = source.__anext__
        self._seconds = seconds

    def __anext__(self) -> Awaitable[Any]:
        return self._next()

    async def aclose(self) -> None:
        """Close the source, or give up."""
        try:
            async with asyncio.timeout(self._seconds):
                await close_source(self._source)
        except TimeoutError:
            log.warning("a source's cleanup was cancelled after %s seconds", self._seconds)


async def fed(source: AsyncIterator[Any], feed: Callable[[], Awaitable[Any]]) -> Any:
    """Give what a source gives, while a feeder runs beside it, and is cancelled with it.

    What the feeder raises ends the source. Source and feeder run where this is iterated.
    """

    async def run() -> None:
        await feed()

    try:
        async with asyncio.TaskGroup() as group:
            feeder = group.create_task(run())
            try:
                async for item in source:
                    yield item
            finally:
                await close_source(source)
            feeder.cancel()
    except BaseExceptionGroup as errors:
        if len(errors.exceptions) == 1:
            raise errors.exceptions[0] from None
        raise
