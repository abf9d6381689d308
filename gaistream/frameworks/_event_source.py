"""The items of sse-starlette's users as frames of gaistream, and their streams. No framework.

A str is data, a dict holds the arguments of a ServerSentEvent, bytes are complete frames, and of
anything else the `str()` is data. A frame is written whole or not at all. Runs on asyncio and trio.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

from .._log import log
from ..core import BaseSSEEncoder, json_bytes
from ..core import ServerSentEvent as _ServerSentEvent
from ..dialects.json import PayloadSSE
from ..errors import FrameTypeError
from ..loops import event_loop
from ..loops.protocols import Breakable, Task, Timer
from ..loops.sources import Owned, close_source
from ..streaming.clock import Clock
from ..streaming.open_streams import Drain, open_streams
from ..streaming.outcome import OutcomeKind
from ..streaming.phases import CUT, MOVES
from ..streaming.stream import Stream
from ..writing.encoder import SSEEncoder
from ..writing.options import SSEOptions

_LINE_BREAKING: Final = re.compile(r"[\r\n\0]")


def _one_line(field: str, value: Any) -> str | None:
    """Return a name or id without line ends and NUL, as sse-starlette does."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise FrameTypeError(f"{field} must be str, not {type(value).__name__}")
    return _LINE_BREAKING.sub("", value)


def _data(value: Any) -> Any:
    """Return text, bytes and None unchanged, and the `str()` of anything else."""
    if value is None or isinstance(value, str | bytes | bytearray | memoryview):
        return value
    return str(value)


class ServerSentEvent(_ServerSentEvent):
    """One event with sse-starlette's arguments, for any response of gaistream.

    Args:
        data: text or UTF-8 bytes; of anything else the `str()`.
        event: the event's name; line ends and NUL are removed.
        id: the value that a client sends back as Last-Event-ID, cleaned like `event`; an int is
            written in decimal.
        retry: milliseconds that a client waits before it reconnects.
        comment: text that clients ignore.
        sep: accepted and ignored: lines end with LF, which every client reads.

    Raises:
        FrameTypeError: `event` or `id` is not a str (a TypeError).
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
        is_number = isinstance(id, int) and not isinstance(id, bool)
        super().__init__(
            _data(data),
            _one_line("event", event),
            id=id if is_number else _one_line("id", id),
            retry=retry,
            comment=None if comment is None else str(comment),
        )

    __hash__ = object.__hash__  # type: ignore[assignment]  # equal only to itself

    def encode(self) -> bytes:
        """Return the frame, or b"" without any field. Raise FrameError for a bad retry."""
        return b"" if _is_empty(self) else bytes(self)


class JSONServerSentEvent(ServerSentEvent):
    """A ServerSentEvent whose data is a JSON payload; None: no data."""

    def __init__(self, data: Any = None, **fields: Any) -> None:
        text = None if data is None else json_bytes(data, errors="replace").decode()
        super().__init__(text, **fields)


def _is_empty(event: _ServerSentEvent) -> bool:
    fields = (event.data, event.event, event.id, event.retry, event.comment)
    return all(field is None for field in fields)


class _EventSource(PayloadSSE):
    """The dialect of sse-starlette's users. A stream that succeeds has no last event."""

    def write(self, frames: Any, item: Any) -> None:
        """Write one item."""
        if isinstance(item, dict):
            item = ServerSentEvent(**item)
        if isinstance(item, _ServerSentEvent):
            if not _is_empty(item):
                frames.write_sse_event(item)
        elif isinstance(item, bytes | bytearray | memoryview):
            frames.write_ready(bytes(item))
        else:
            frames.write_frame(str(item))


class EventSourceEncoder(SSEEncoder):
    """An encoder of such items, with the caller's heartbeats. Belongs to one task.

    Args:
        options: SSEOptions.
        make_ping: returns the item of a heartbeat; None: a comment with the time.
    """

    def __init__(self, options: SSEOptions, make_ping: Callable[[], Any] | None = None) -> None:
        BaseSSEEncoder.__init__(
            self, _EventSource(options.error_retry), options.buffer_size, options.errors
        )
        self.options = options
        self._make_ping = make_ping

    def write_heartbeat(self) -> None:
        """Write a heartbeat: the usual one if `make_ping` fails or its item cannot be written."""
        if self._make_ping is not None:
            try:
                self.write(self._make_ping())
            except Exception:
                log.exception("ping_message_factory failed")
            else:
                return
        self.write_comment(f"ping - {datetime.now(UTC)}")


class WithFeeder(Owned):
    """A source beside which a feeder runs, in a task that begins and ends with it.

    An exception of the feeder ends the source.

    Args:
        source: an async iterator.
        feed: an async function, called once.
    """

    def __init__(self, source: AsyncIterator[Any], feed: Callable[[], Awaitable[Any]]) -> None:
        super().__init__(source, getattr(source, "owner", source))
        self._feed = feed
        self._task: Task | None = None
        self._block: Breakable | None = None
        self._failure: Exception | None = None

    async def __anext__(self) -> Any:
        loop = event_loop()
        if self._task is None:
            self._task = loop.create_task(self._run(), name="gaistream feeder")
        if self._failure is None:
            with loop.breakable() as self._block:
                try:
                    return await self.iterator.__anext__()
                finally:
                    self._block = None
        failure, self._failure = self._failure, None
        assert failure is not None
        try:
            raise failure
        finally:
            del failure  # its traceback holds this frame

    async def _run(self) -> None:
        try:
            await self._feed()
        except Exception as error:
            self._failure = error
            if self._block is not None:
                self._block.break_off()

    async def aclose(self) -> None:
        """Cancel the feeder and close the source."""
        task = self._task
        try:
            if task is not None:
                task.cancel()
                await event_loop().ended(task)
        finally:
            if task is not None and not task.done():  # its time for a clean-up is over
                task.cancel()
            await close_source(self.iterator)
        if self._failure is not None:  # not raised by the source any more
            log.error("data_sender_callable failed", exc_info=self._failure)
            self._failure = None  # whose traceback refers to this object


class DrainNotifiedStream(Stream):
    """A stream whose source is told when a drain begins, and may then end by itself.

    It is ended when its turn has come in the drain and its own grace time is over, at the latest
    when the drain's is; the automatic one, at a server's signal, waits for its own time.

    Args:
        source, encoder, send_timeout, cleanup_timeout: see Stream.
        on_gone: an async callable that runs once the client has gone, beside the source's end.
        event: its `set()` tells the source; None: it is not told.
        grace: seconds from the beginning of the drain.
    """

    __slots__ = ("_event", "_gone_task", "_grace", "_on_gone", "_timer", "_told_by", "_until")

    def __init__(
        self,
        source: Any,
        encoder: Any,
        *,
        on_gone: Callable[[dict[str, Any]], Awaitable[None]] | None,
        event: Any,
        grace: float,
        **times: Any,
    ) -> None:
        super().__init__(source, encoder, **times)
        self._on_gone = on_gone
        self._gone_task: Task | None = None
        self._event = event
        self._grace = grace
        self._told_by: Drain | None = None
        self._until = 0.0
        self._timer: Timer | None = None

    def _cut(self, kind: OutcomeKind) -> None:
        if kind == "client_gone" and CUT in MOVES[self._phase] and self._on_gone is not None:
            self._gone_task = event_loop().create_task(
                self._client_gone(self._on_gone), name="gaistream client gone"
            )
        super()._cut(kind)

    async def _client_gone(self, on_gone: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        try:
            await on_gone({"type": "http.disconnect"})
        except Exception:
            log.exception("client_close_handler_callable raised")

    def drain_begins(self, grace: float) -> None:
        """Notify the source, once for each drain; its grace time begins now."""
        super().drain_begins(grace)
        ending = open_streams(self._loop).draining
        assert ending is not None
        if self._told_by is not ending:
            self._told_by = ending
            self._until = self._loop.time() + self._grace
            ending.keep_until(self._until)
            self._drain_ends_at(max(self._drain_ends, min(self._until, ending.ends_at)))
            try:
                if self._event is not None:
                    self._event.set()
            except Exception:
                log.exception("shutdown_event.set() failed")

    def drain(self, retry_ms: int | None) -> None:
        """End the stream as soon as it may be ended."""
        assert self._told_by is not None  # a response that comes later than that is refused
        until = min(self._until, self._told_by.ends_at)
        self._stop_timer()
        if self._loop.time() >= until:
            super().drain(retry_ms)
        else:
            self._timer = self._loop.call_at(until, super().drain, retry_ms)

    def drain_is_cancelled(self) -> None:
        """Go on, also if the end was only waiting for its time."""
        super().drain_is_cancelled()
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def close(self) -> None:
        """Close the stream, and wait for what runs because the client has gone."""
        try:
            await super().close()
        finally:
            self._stop_timer()

    async def _wait_for_source(self, own: Clock) -> None:
        try:
            await super()._wait_for_source(own)
        finally:
            if self._gone_task is not None:
                await self._wait_for_end(own, self._gone_task, "client_close_handler_callable")
