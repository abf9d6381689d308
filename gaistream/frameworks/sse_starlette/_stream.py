"""A stream whose items are sent one by one, with pings on the clock and its own way to an end.

It ends at `AppStatus.should_exit`, in a drain, and at a server's signal. Its source is told, and
then has the response's own grace time to end by itself: that decides at a signal, where answers
have no more time. In a drain with a grace time its turn must have come too.
"""

from __future__ import annotations

import contextlib
from typing import Any, ClassVar

from ...loops import event_loop
from ...loops.protocols import EventLoop, Timer
from ...streaming.open_streams import Drain, open_streams
from ...streaming.outcome import OutcomeKind
from ...streaming.stream import Stream
from ._encoder import logger
from ._sources import WithFeeder
from ._status import AppStatus, open_here
from ._uvicorn import unwatch, watch

LONGEST = 1e9  # seconds: an infinite time is a long one


class EventSourceStream(Stream):
    """One stream. Belongs to the task that starts it.

    Args:
        source, encoder, send_timeout, cleanup_timeout: see Stream.
        ping: seconds between two pings; 0: none.
        event: its `set()` tells the source that the stream ends; None: it is not told.
        grace: seconds that the source then has to end by itself.
    """

    last_send: ClassVar[float] = 0.25

    __slots__ = ("_event", "_feeder", "_grace", "_next_ping", "_own_loop", "_ping", "_timer",
                 "_told_by", "_until")  # fmt: skip

    def __init__(
        self, source: Any, encoder: Any, *, ping: float, event: Any, grace: float,
        send_timeout: float | None, cleanup_timeout: float | None,
    ) -> None:  # fmt: skip
        super().__init__(
            source,
            encoder,
            send_timeout=send_timeout,
            cleanup_timeout=cleanup_timeout,
            one_by_one=True,
        )
        self._feeder = source if isinstance(source, WithFeeder) else None
        self._own_loop: EventLoop = event_loop()
        self._ping = min(ping, LONGEST)
        self._next_ping: float | None = None
        self._event = event
        self._grace = min(grace, LONGEST)
        self._told_by: Drain | bool = False  # True: by AppStatus
        self._until = 0.0
        self._timer: Timer | None = None

    async def start(self) -> None:
        """Start the feeder, then the source."""
        if self._feeder is not None:  # there its first step comes early, and some rely on that
            self._feeder.start()
        open_here.add(self)
        watch(self, self._own_loop)
        await super().start()

    def log_failure(self, failure: BaseException) -> None:
        """Log nothing: the response raises the failure."""

    def tick(self, now: float) -> float | None:
        """Do what is due, and send a ping if it is its time."""
        delay = super().tick(now)
        if not self._ping or not self.is_open:
            return delay
        if self._next_ping is None:
            self._next_ping = now + self._ping
        elif self._next_ping <= now:
            self.write_heartbeat()
            self._next_ping = max(self._next_ping + self._ping, now)
        left = max(self._next_ping - now, 0.001)
        return left if delay is None else min(left, delay)

    # ---- its end from outside ----

    def exit_soon(self) -> None:
        """Begin the end; may be called from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._own_loop.call_soon_threadsafe(self.exit)

    def exit(self) -> None:
        """Notify the source, and end the stream when its grace time is over."""
        if self.is_open:
            if not self._told_by:
                self._told_by = True
                self._notify()
            self._end_at(self._until, None)

    def drain_begins(self, grace: float) -> None:
        """Notify the source, once for each drain; its grace time begins now."""
        if self._ignores_drain():
            return
        super().drain_begins(grace)
        drain = open_streams().draining
        assert drain is not None
        if self._told_by is not drain:
            self._told_by = drain
            ends_at = drain.ends_at
            self._notify()
            drain.keep_until(self._until)
            self.drain_ends_at(max(ends_at, min(self._until, drain.ends_at)))
        if drain.keeps_own_grace:
            self._end_at(self._until, None)

    def drain(self, retry_ms: int | None) -> None:
        """End the stream as soon as it may be ended."""
        drain = open_streams().draining
        if drain is not None and not self._ignores_drain():
            if self._told_by is not drain:  # it has opened since
                self.drain_begins(drain.ends_at - self._own_loop.time())
            self._end_at(min(self._until, drain.ends_at), retry_ms)

    def drain_is_cancelled(self) -> None:
        """Go on, also if the end was only waiting for its time."""
        super().drain_is_cancelled()
        if self._told_by is not True:
            self._stop_timer()

    def interrupt(self, kind: OutcomeKind) -> None:
        """Cut the stream, see Stream; not for a drain that it ignores."""
        if kind != "drained" or not self._ignores_drain():
            super().interrupt(kind)

    async def close(self) -> None:
        """Close the stream."""
        open_here.discard(self)
        unwatch(self, self._own_loop)
        try:
            await super().close()
        finally:
            self._stop_timer()

    def _ignores_drain(self) -> bool:
        drain = open_streams().draining
        return drain is not None and ignores(drain)

    def _notify(self) -> None:
        self._until = self._own_loop.time() + self._grace
        try:
            if self._event is not None:
                self._event.set()
        except Exception:
            logger.exception("shutdown_event.set() failed")

    def _end_at(self, when: float, retry_ms: int | None) -> None:
        self._stop_timer()
        if self._own_loop.time() >= when:
            super().drain(retry_ms)
        else:
            self._timer = self._own_loop.call_at(when, super().drain, retry_ms)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def ignores(drain: Drain) -> bool:
    """Return True for a drain at a server's signal, if AppStatus has turned that off."""
    return drain.keeps_own_grace and not AppStatus.enable_automatic_graceful_drain
