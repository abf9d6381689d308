"""The life of one stream: source task, sender, heartbeat, deadline, end.

The source runs in a task of its own and fills the encoder's buffer; whenever it blocks, everything
that is there is sent, in the name of the connection's coroutine, which waits meanwhile (see
handover.py) and goes on with a send that has to wait. So a source that does not suspend is merged
(up to a budget, for fairness), one fed token by token goes out token by token, and what arrives
while a send is blocked goes out in the next. Guarantees: the source is closed in every outcome;
frames go out whole and in order through one sender; at the end stands `done` or `error`, never
both; nothing is left running. Per event there is no lock, scope, queue, timer or wake-up. Flow, in
order: start, next_chunk (until None) or send_all, close. Runs on asyncio and trio.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from ._backend import FrameSender, SourceReader
from ._log import log
from .clock import LAST_SEND, Clock, clock, clock_of_stream
from .errors import StreamError
from .event_loop import Breakable, EventLoop, Future, Task
from .handover import Rest, Send
from .sources import close_source, open_source
from .writer import write_failure

OutcomeKind = Literal["completed", "failed", "client_gone", "stalled", "cancelled", "drained"]

TURN_BYTES: Final = 64 * 1024  # after so much of one stream's work the loop gets a turn,
TURN_SECONDS: Final = 0.002  # or after so long
MOST_PENDING: Final = 256 * 1024  # bytes beyond which the source is paused


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a stream ended, for `on_close`.

    Attributes:
        kind: "completed", "failed" (the source raised, or ended with an Error), "client_gone",
            "stalled" (a send took longer than send_timeout), "cancelled" (by the server) or
            "drained" (by `gaistream.drain`).
        events: what the source yielded.
        bytes: what was handed to the server.
        seconds: from start to end.
        error: what the source raised, or None.
    """

    kind: OutcomeKind
    events: int
    bytes: int
    seconds: float
    error: BaseException | None = None


class Connection(Protocol):
    """Where a stream is sent to."""

    async def begin(self) -> None:
        """Send what comes before the first chunk."""

    def send(self, chunk: bytes) -> Awaitable[None]:
        """Send a chunk."""

    async def finish(self) -> None:
        """Send what tells that the stream is whole."""


def write_end(frames: Any, failure: BaseException | None) -> None:
    """Write how a stream ended: the dialect's error, or its end of success, never both."""
    if failure is not None:
        _log_failure(failure)
        if not frames.ended:
            write_failure(frames, failure)
    elif not frames.ended and not frames.failed:
        frames.finish()


def _log_failure(failure: BaseException) -> None:
    if not isinstance(failure, StreamError):
        log.error("a stream's source failed", exc_info=failure)


def write_prelude(frames: Any) -> None:
    """Write the first bytes of a stream, which make proxies and middleware let it through."""
    retry = getattr(frames.options, "first_retry", None)
    if retry is None:
        frames.write_prelude()
    else:
        frames.write_prelude(retry)


class Stream(FrameSender):
    """One stream. Belongs to the task that starts it.

    Args:
        source: an async or sync iterable of what the encoder's dialect takes.
        encoder: an SSEEncoder or NDJSONEncoder, unused so far; its options say when to flush.
        send_timeout: seconds that one send may take, or None.
    """

    __slots__ = (  # fewer bytes an idle stream, and quicker than a dict of so many names
        "_begun",
        "_clock",
        "_closing",
        "_drained",
        "_ending",
        "_events_at_heartbeat",
        "_flush_after",
        "_gone",
        "_heartbeat",
        "_loop",
        "_send_timeout",
        "_sending",
        "_silent_at_heartbeat",
        "_source",
        "_started",
        "_task",
        "due",
        "failure",
    )

    def __init__(self, source: Any, encoder: Any, *, send_timeout: float | None = None) -> None:
        self._source = open_source(source)
        options = encoder.options
        super().__init__(
            encoder,
            options.flush_after_write,
            options.buffer_size,
            TURN_BYTES,
            TURN_SECONDS,
            MOST_PENDING,
        )
        self._heartbeat: float | None = options.heartbeat_interval or None
        self._flush_after: float = options.flush_interval
        self._send_timeout = send_timeout
        self.due: float | None = None  # the clock's
        self.failure: BaseException | None = None
        self._begun = False  # the source's task has run
        self._closing = False  # the source is being closed, which nothing may break off
        self._task: Task | None = None  # the source's
        self._sending: Breakable | None = None
        self._ending = False  # the server is told of the end
        self._gone = False  # the client has gone meanwhile
        self._drained = False
        self._events_at_heartbeat = 0
        self._silent_at_heartbeat = 0.0
        self._clock: Clock | None = None
        self._loop: EventLoop
        self._started = 0.0

    # ---- the connection's side ----

    async def start(self) -> None:
        """Run the source until it first suspends, yields enough, or ends."""
        self._clock = clock()
        loop = self._loop = self._clock.loop
        self._time = loop.time
        self._started = self._idle_since = self._silent_at_heartbeat = loop.time()
        write_prelude(self._frames)
        self._clock.enter(self)
        if self._interrupted is None and not self._finished:
            self._task = loop.create_task(
                SourceReader(self, self._read()), name="gaistream source"
            )
        await loop.sleep(0)
        self._set_clock()

    async def wait_for_event(self) -> None:
        """Wait until the source has yielded, or ended."""
        while not (self.events or self._over):
            await self._until_woken()

    @property
    def failed_unsaid(self) -> bool:
        """Whether the source raised before it yielded anything."""
        return self.failure is not None and not self.events

    async def next_chunk(self) -> bytes | None:
        """Wait for bytes that are to be sent, and give all of them; None at the end."""
        while not (chunk := self._take()):
            if self._over:
                return None
            await self._until_woken()
        return chunk

    async def send_all(self, connection: Connection) -> None:
        """Begin, send every chunk until the end, and finish unless the stream was cut.

        A send beyond the timeout ends the stream, and so does one that raises OSError.
        """
        send = connection.send
        try:
            with self._loop.breakable() as self._sending:
                if self._interrupted is None:
                    self._sending_since = self._time()
                    await connection.begin()
                self._sending_since = None
                while not self._interrupted:
                    if chunk := self._take():
                        self._sending_since = self._idle_since
                        await send(chunk)
                        self._sending_since = None
                    elif self._finished:
                        break
                    else:  # no coroutine of its own, for here it idles
                        try:
                            await self._until_woken(send)
                        except self._loop.cancelled as error:
                            self._hear(error)
                        if self._rest is not None:
                            await self._go_on()
                if self._interrupted is None:
                    self._ending = True
                    self._sending_since = self._time()
                    await connection.finish()
        except self._loop.cancelled:
            self._interrupted = self._interrupted or "cancelled"
            raise
        except OSError:  # how servers say that the client is gone
            self._end("client_gone")
        finally:
            self._sending_since = self._sending = None

    def interrupt(self, kind: OutcomeKind) -> None:
        """End the stream at once: cancel the source, wake the sender, break off its send."""
        sending = self._sending_since is not None
        if self._interrupted or (self._finished and not sending and not self._frames.pending):
            return  # it is over already
        if self._ending and kind == "client_gone":
            self._let_finish()
        else:
            self._cut(kind)

    def _let_finish(self) -> None:
        """Give the last send a moment: servers say of a whole response, too, that its client went.

        Where it hangs, the client has really gone.
        """
        assert self._clock is not None
        assert self._sending_since is not None
        self._gone = True
        most = self._time() - self._sending_since + LAST_SEND
        self._send_timeout = most if self._send_timeout is None else min(most, self._send_timeout)
        self._clock.call(self, LAST_SEND)

    def _cut(self, kind: OutcomeKind) -> None:
        self._end(kind)
        if self._sending_since is not None and self._sending is not None:
            self._sending.break_off()

    def drain_begins(self) -> None:
        """Hear that a drain begins while the stream is open: `drain` will follow."""

    def drain(self, retry_ms: int | None) -> None:
        """End the stream now, but whole: what waits is sent, a retry hint, the end of the body."""
        if self._interrupted or self._finished or self._frames.ended:
            return  # it ends by itself
        self._drained = self._finished = self._due = True
        if retry_ms is not None and hasattr(self._frames.options, "retry_ms"):
            self._frames.write_frame(retry=retry_ms)
        self._cancel()
        self._wake()

    def silent_since(self) -> float:
        """Give the time at which the last event went out, or the stream began."""
        if self.events == self._events_at_heartbeat:
            return self._silent_at_heartbeat
        return self._idle_since

    def _end(self, kind: OutcomeKind) -> None:
        if self._interrupted:
            return
        self._interrupted = kind
        self._cancel()
        self._wake()

    def _cancel(self) -> None:
        """Cancel the source, once: a second time would break off its own cleaning up."""
        if self._task is not None and not self._closing and not self._task.cancelling():
            self._task.cancel()

    async def close(self) -> None:
        """End whatever still runs, and close the source. Needed after every `start`."""
        if not self._finished and self._interrupted is None:
            self._interrupted = "cancelled"
        own_clock = self._clock or clock()
        own_clock.forget(self)
        try:
            if self._task is not None:
                self._cancel()
                await own_clock.loop.ended(self._task)
            if not self._begun:  # no task, or one that was cancelled before its first step
                self._begun = True
                with own_clock.loop.sheltered():
                    await close_source(self._source)
        finally:
            own_clock.leave(self)

    @property
    def outcome(self) -> Outcome:
        """How the stream ended, once it was closed."""
        now = self._time() if self._clock is not None else self._started
        return Outcome(
            self._interrupted or self._own_end,
            self.events,
            self.bytes,
            now - self._started,
            self.failure,
        )

    @property
    def _own_end(self) -> OutcomeKind:
        if self._drained:
            return "drained"
        return "failed" if self._frames.failed else "completed"

    @property
    def _over(self) -> bool:
        return self._finished or self._interrupted is not None

    def _until_woken(self, send: Send | None = None) -> Future:
        """Give what to wait for; `send`: sends may be begun in the name of who waits for it."""
        if send is None or self._sender is not None:
            waiter: Future = self._loop.create_future()
        else:
            waiter = self._loop.lending(self, send)
        self._waiter = waiter
        return waiter

    def _hear(self, cancelled: BaseException) -> None:
        """Hear of a cancellation while the sender waited, which may be the end of it, or not.

        A send that was begun meanwhile hears of it in the place of the sender. One that was taken
        back by who asked for it, as task groups do, is none.
        """
        assert self._sending is not None
        if not self._sending.cancelled():
            return
        if self._rest is None:
            raise cancelled
        self._rest = *self._rest[:2], cancelled

    async def _go_on(self) -> None:
        """Go on with a send that was begun while the sender waited."""
        assert self._rest is not None
        rest, self._rest = Rest(*self._rest), None
        await rest
        self._sending_since = None

    # ---- the source's task ----

    async def _read(self) -> None:
        """Write everything that the source yields, then the end; never raises but to cancel."""
        self._begun = True
        clock_of_stream.set(self._clock)
        accept = self._accept
        try:
            try:
                async for item in self._source:
                    if accept(item):
                        if self._over or self._frames.ended:  # it may outlive its cancellation
                            break
                        if self._due or self._held:
                            await self._give_turn()
                        else:
                            self._hold()
            finally:
                self._closing = True
                with self._loop.shielded():
                    await close_source(self._source)
        except BaseException as error:
            if self._loop.ends_task(error):
                if not self._finished:
                    self._interrupted = self._interrupted or "cancelled"
                    self._wake()
                raise
            self.failure = error
        self._source_ended()

    def _source_ended(self) -> None:
        """Write the end, unless it was written by a drain, without the source."""
        if self._finished:
            if self.failure is not None:
                _log_failure(self.failure)
            return
        write_end(self._frames, self.failure)
        self._finished = self._due = True
        self._wake()

    async def _give_turn(self) -> None:
        """Let the loop do other work, and wait while the client takes less than is there."""
        await self._loop.sleep(0)
        while self._frames.pending >= MOST_PENDING:
            self._room = self._loop.create_future()
            try:
                await self._room
            finally:
                self._room = None

    def _hold(self) -> None:
        """See to it that what waits does not wait too long."""
        self._held = True
        assert self._clock is not None
        self._clock.flush(self, self._flush_after)

    # ---- the clock, which calls from the loop, while no task runs ----

    def flush(self) -> None:
        """Have sent what was held; also what a full buffer has begun to send meanwhile."""
        self._held = False
        if self._frames.pending:
            self._due = True
            self._send_now()

    def _set_clock(self) -> None:
        assert self._clock is not None
        delay = self.tick(self._time())
        if delay is not None and self.due is None:
            self._clock.call(self, delay)

    def tick(self, now: float) -> float | None:
        """Do what is due: break off a stalled send, write a heartbeat."""
        if self._interrupted:
            return None
        delays = []
        if self._sending_since is not None and self._send_timeout is not None:
            left = self._sending_since + self._send_timeout - now
            if left <= 0:
                self._cut("client_gone" if self._gone else "stalled")
                return None
            delays.append(left)
        elif self._send_timeout is not None:
            delays.append(self._send_timeout)
        if self._heartbeat is not None:
            left = self._idle_since + self._heartbeat - now
            over = self._finished or self._frames.ended  # though its source may still clean up
            idle = self._waiter is not None and not self._frames.pending and not over
            if left <= 0 and idle:
                if self.events != self._events_at_heartbeat:
                    self._events_at_heartbeat = self.events
                    self._silent_at_heartbeat = self._idle_since
                self._frames.write_heartbeat()
                self._due = True
                self._send_now()
            delays.append(left if left > 0 else self._heartbeat)
        return max(min(delays), 0.001) if delays else None
