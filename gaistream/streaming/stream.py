"""The life of one stream: its phases, its sends, heartbeats, time-outs and end.

The source runs in its own task and fills an outbox; whenever it suspends, the pending bytes are
sent in the connection's task (see loops/handover.py). So a source that does not suspend is merged
(up to a budget, for fairness), one that is fed token by token goes out token by token, and what
arrives while a send is blocked goes out in the next. Guarantees: the source is closed in every
outcome; frames go out whole and in order; the end is `done` or `error`, never both; nothing is left
running. An event costs no lock, scope, queue, timer or wake-up. Runs on asyncio and trio.

The calls, in order: `start`; `send_all`, or `next_chunk` until None; `close`, always. What moves a
stream from phase to phase (see phases.py; a move that is not in its table does nothing):

    start                                        OPENING             ► OPEN
    the source ends, fails or is silent; drain   OPEN                ► ENDING
    all but a small last chunk was sent          ENDING              ► FINISHING (or ENDED)
    the server was told                          FINISHING           ► ENDED
    interrupt, a stall, OSError, cancellation    any but ENDED       ► CUT
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from ..core import Outbox, SourceReader, estimate_size
from ..loops.handover import Send, StartedSend
from ..loops.protocols import Breakable, Start
from ..loops.sources import open_source
from .channel import channel_of
from .cleanup import CLEANUP_TIMEOUT, SHORTEST
from .clock import clock
from .open_streams import LAST_SEND, open_streams
from .outcome import Outcome, OutcomeKind, silence
from .phases import CUT, ENDED, ENDING, FINISHING, MOVES, OPEN
from .source_side import SourceSide

if TYPE_CHECKING:
    from .collector import Collector

TURN_BYTES: Final = 64 * 1024  # after so much of one stream's work the loop gets a turn,
TURN_SECONDS: Final = 0.002  # or after so long
MOST_PENDING: Final = 256 * 1024  # bytes beyond which the source is paused
MOST_WITH_END: Final = 4096  # bytes of a last chunk that is sent with the end, see send_all
CANCELLABLE_WAITS: Final = 16  # see Stream.next_chunk


class Connection(Protocol):
    """Where a stream is sent."""

    async def begin(self) -> None:
        """Send what comes before the first chunk."""

    def send(self, chunk: bytes) -> Awaitable[None]:
        """Send a chunk."""

    async def finish(self, chunk: bytes) -> None:
        """Send the last chunk, which may be empty, and that the body is whole."""


class Stream(SourceSide):
    """One stream. Belongs to the task that starts it.

    Args:
        source: an async or sync iterable of items that the encoder's dialect takes.
        encoder: an SSEEncoder or NDJSONEncoder, not used yet; its options say when to flush.
        send_timeout: seconds that one send may take, or None.
        cleanup_timeout: seconds that the source may take to end once it was cancelled, or None.
        source_timeout: seconds that the source may be silent, or None.
        collector: of the message, or None.
        one_by_one: the next item is asked for only after the last was sent.

    Attributes:
        send_error: the OSError that a send raised, or None.
        last_send: seconds that the end of the body may take once the client has gone.
    """

    last_send: ClassVar[float] = LAST_SEND

    __slots__ = (  # an idle stream takes fewer bytes, and each field is found sooner
        "_channel",
        "_events_at_heartbeat",
        "_heartbeat",
        "_send_timeout",
        "_sending",
        "_silent_at_heartbeat",
        "_source_timeout",
        "_stall_kind",
        "_start",
        "_started_at",
        "_waits",
        "due",
        "send_error",
    )

    def __init__(
        self,
        source: Any,
        encoder: Any,
        *,
        send_timeout: float | None = None,
        cleanup_timeout: float | None = CLEANUP_TIMEOUT,
        source_timeout: float | None = None,
        collector: Collector | None = None,
        one_by_one: bool = False,
    ) -> None:
        opened, options = open_source(source, estimate_size), encoder.options
        encoder.join_halves()
        outbox = Outbox(
            encoder,
            options.flush_after_write,
            options.buffer_size,
            TURN_BYTES,
            TURN_SECONDS,
            MOST_PENDING,
            one_by_one,
        )
        super().__init__(opened, encoder, outbox, cleanup_timeout)
        self._collector = collector
        self._channel = channel_of(opened)
        self._heartbeat: float | None = options.heartbeat_interval or None
        self._send_timeout = send_timeout
        self._source_timeout = source_timeout
        self.send_error: OSError | None = None
        self._stall_kind: OutcomeKind = "stalled"  # how it is cut if a send takes too long
        self._start: Start | None = None  # of the source's task, until sends may be started
        self._sending: Breakable | None = None
        self._waits = 0
        self._events_at_heartbeat = 0
        self._silent_at_heartbeat = 0.0
        self._started_at = 0.0
        self.due: float | None = None  # the clock's

    @property
    def is_open(self) -> bool:
        """True if the source may yield more."""
        return self._phase is OPEN

    @property
    def outcome(self) -> Outcome:
        """How the stream ended, once it was closed."""
        message = None
        if self._collector is not None:
            is_whole = self._encoder.ended and not self._encoder.failed
            message = self._collector.end("completed" if is_whole else self._kind, self.failure)
        return self.outcome_so_far(message)

    def outcome_so_far(self, message: Any = None) -> Outcome:
        """Return how the stream has ended, or would if it was whole."""
        sent, started, closed = self._outbox, self._started_at, self._source_closed
        seconds = 0.0 if self._clock is None else self._loop.time() - started
        return Outcome(self._kind, sent.events, sent.bytes, seconds, self.failure, closed, message)

    # ---- ends that come from outside ----

    def interrupt(self, kind: OutcomeKind) -> None:
        """Cut the stream: stop the source, wake the connection's task, break off its send.

        Servers report that the client has gone after a whole response too. So the end of the body
        then gets a moment; if it hangs, the client has really gone.
        """
        sending_since = self._outbox.sending_since
        if self._phase is FINISHING and kind == "client_gone":
            assert self._clock is not None
            assert sending_since is not None
            self._stall_kind = kind
            most = self._loop.time() - sending_since + self.last_send
            self._send_timeout = min(most, self._send_timeout or most)
            self._clock.call(self, self.last_send)
        elif self._phase is not ENDING or self._outbox.pending or sending_since is not None:
            self._cut_send(kind)

    def _cut_send(self, kind: OutcomeKind) -> None:
        if CUT in MOVES[self._phase]:
            self._cut(kind)
            self._stop_source()
            if self._outbox.sending_since is not None and self._sending is not None:
                self._sending.break_off()

    def drain_begins(self, grace: float) -> None:
        """Note that a drain of `grace` seconds begins while the stream is open: `drain` follows."""
        self.drain_ends_at(self._loop.time() + grace)

    def drain(self, retry_ms: int | None) -> None:
        """End the stream now, but whole: the pending bytes, a hint or an error, the end."""
        if self._phase is OPEN:
            self._encoder.write_drain(retry_ms)
            self._end("drained")
            self._stop_source()

    # ---- the connection's side ----

    async def start(self) -> None:
        """Run the source until it first suspends, yields enough, or ends."""
        self._clock = own = clock()
        loop = self._loop = own.loop
        self._outbox.open(loop.create_future, loop.time)
        self._started_at = self._silent_at_heartbeat = self._outbox.idle_since
        self._encoder.begin()
        self._move(OPEN)
        self._streams = open_streams(loop)
        self._streams.enter(self)  # which ends it at once during a drain
        if self._phase is OPEN:
            if self._channel is not None:
                self._channel.begin(self, self._outbox, self._encoder, self._collector is None)
            start = loop.start_task(SourceReader(self._outbox, self._read()), "gaistream source")
            try:
                await start
            except loop.cancelled:  # nothing is sent, even if the source has ended meanwhile
                self._cut("cancelled")
                raise
            finally:
                self._task, self._start = start.task, start
        else:
            await loop.sleep(0)
        delay = self.tick(loop.time())
        if delay is not None and self.due is None:
            own.call(self, delay)

    async def wait_for_event(self) -> None:
        """Wait until the source has yielded, or ended."""
        while self._phase is OPEN and not self._outbox.events:
            await self._outbox.wait()

    async def next_chunk(self) -> bytes | None:
        """Wait for bytes that must be sent, and return all of them; None at the end.

        anyio does not cancel a task whose future is done already, and a source that hardly pauses
        always resolves ours in time: so now and then this waits for no future.
        """
        while not (chunk := self._outbox.take()):
            if self._phase is not OPEN:
                self._move(ENDED)
                return None
            await self._outbox.wait()
            self._waits += 1
            if not self._waits % CANCELLABLE_WAITS:
                await self._loop.sleep(0)
        return chunk

    async def send_all(self, connection: Connection) -> None:
        """Begin, send every chunk until the end, and finish unless the stream is cut.

        A small last chunk is sent with the end of the body, to save a write. A large one, or the
        only one (servers would give it a Content-Length), goes before it. A send beyond the timeout
        cuts the stream, and so does one that raises OSError.
        """
        send, outbox = connection.send, self._outbox
        try:
            with self._loop.breakable() as self._sending:
                if self._phase is not CUT:
                    outbox.begin_send()
                    await connection.begin()
                while self._phase is not CUT:
                    chunk = outbox.take(True)
                    if self._phase is ENDING and self._goes_with_end(chunk):
                        self._move(FINISHING)
                        outbox.begin_send()
                        await connection.finish(chunk)
                        self._move(ENDED)
                        break
                    if chunk:
                        await send(chunk)
                    else:  # no coroutine of its own, for here it idles
                        if self._start is not None:
                            self._grant_permit(self._start, send)
                        try:
                            await outbox.wait()
                        except self._loop.cancelled as error:
                            await self._hear(error)
                        else:
                            if (started := outbox.take_started()) is not None:
                                await StartedSend(*started)
        except self._loop.cancelled:
            self._cut("cancelled")
            raise
        except OSError as error:  # servers raise it when the client has gone
            self.send_error = error
            self._cut("client_gone")
            self._stop_source()
        finally:
            outbox.end_send()
            self._sending = None

    def _goes_with_end(self, chunk: bytes) -> bool:
        is_first = self._outbox.bytes == len(chunk)
        return not chunk or (len(chunk) <= MOST_WITH_END and not is_first)

    def _grant_permit(self, start: Start, send: Send) -> None:
        self._start = None
        permit = self._loop.send_permit(start, send)
        if permit is not None:
            self._outbox.grant(permit)

    async def _hear(self, cancelled: BaseException | None) -> None:
        """Raise a cancellation that came while the connection's task waited.

        It is raised in the send that was started meanwhile, if any, unless it was taken back.
        """
        assert self._sending is not None
        try:
            if not self._sending.cancelled():
                cancelled = None
            started = self._outbox.take_started()
            if started is not None:
                steps, waits_for, error = started
                await StartedSend(steps, waits_for, cancelled or error)
            elif cancelled is not None:
                raise cancelled
        finally:
            started = error = cancelled = None  # whose tracebacks hold this frame

    async def close(self) -> None:
        """End whatever still runs, and close the source. Needed after every `start`.

        If it is cancelled meanwhile, the source's time for its clean-up goes on.
        """
        own = self._clock or clock()
        streams = self._streams or open_streams(own.loop)
        self._start = None
        if self._phase <= OPEN:
            self._cut("cancelled")
        elif self._phase is ENDING:  # another response was sent instead
            self._move(ENDED)
        try:
            own.forget(self)
            if streams.draining is not None:
                self._drain_ends = min(self._drain_ends, streams.draining.ends_at)
            self._stop_source()
            await self._wait_for_source(own)
        finally:
            streams.leave(self)

    def release(self) -> None:
        """Drop what may refer to the stream: the connection's send and task, and the failure."""
        self._outbox.release()
        if self._channel is not None:
            self._channel.release(self.outcome_so_far())
        self.failure = self.send_error = None

    # ---- the clock, which calls from the loop, while no task runs ----

    def silent_since(self) -> float:
        """Return the time at which the last event went out, or the stream began."""
        if self._outbox.events == self._events_at_heartbeat:
            return self._silent_at_heartbeat
        return self._outbox.idle_since

    def note_life(self) -> None:
        """Count the source as not silent, though it yields nothing that is sent yet."""
        self._silent_at_heartbeat = self._loop.time()
        self._events_at_heartbeat = self._outbox.events

    def tick(self, now: float) -> float | None:
        """Do what is due: cut a stalled send, write a heartbeat, end a silent source's stream."""
        if self._phase is CUT:
            return None
        delays = []
        if self._source_timeout is not None and self._phase is OPEN:
            delays.append(self._check_silence(now, self._source_timeout))
        if self._send_timeout is not None:
            since = self._outbox.sending_since
            left = self._send_timeout if since is None else since + self._send_timeout - now
            if left <= 0:
                self._cut_send(self._stall_kind)
                return None
            delays.append(left)
        if self._heartbeat is not None:
            delays.append(self._check_idleness(now, self._heartbeat))
        return max(min(delays), SHORTEST) if delays else None

    def _check_idleness(self, now: float, interval: float) -> float:
        """Write a heartbeat if one is due; return the seconds until the next look."""
        outbox = self._outbox
        left = outbox.idle_since + interval - now
        if left > 0:
            return left
        self.write_heartbeat()
        return interval

    def write_heartbeat(self) -> None:
        """Send a heartbeat now, unless the stream is ending or something is being sent."""
        outbox = self._outbox
        if self._phase is OPEN and outbox.waiting and not outbox.pending:
            if outbox.events != self._events_at_heartbeat:
                self._events_at_heartbeat = outbox.events
                self._silent_at_heartbeat = outbox.idle_since
            self._encoder.write_heartbeat()
            outbox.flush()

    def _check_silence(self, now: float, most: float) -> float:
        """End a stream whose source is silent for too long; return the seconds until then."""
        if self._outbox.pending and self._outbox.events:
            return most  # the client is slow; only headers that are held leave a prelude pending
        left = self.silent_since() + most - now
        if left > 0:
            return left
        self.failure = silence(self._source, most)
        self._source_ended()
        self._stop_source()
        return most
