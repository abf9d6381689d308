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

import inspect
import math
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from .._log import log
from ..core import FrameSender, SourceReader, estimate_size
from ..errors import EncodeError, GaistreamError, StreamError, is_http_error, ungrouped
from ..loops.event_loop import Breakable, End, EventLoop, Future, Task
from ..loops.handover import Rest, Send
from ..loops.sources import close_source, is_left_running, open_source, source_name
from .clock import Clock, clock
from .open_streams import LAST_SEND, open_streams, streams_of_source

OutcomeKind = Literal["completed", "failed", "client_gone", "stalled", "cancelled", "drained"]

TURN_BYTES: Final = 64 * 1024  # after so much of one stream's work the loop gets a turn,
TURN_SECONDS: Final = 0.002  # or after so long
MOST_PENDING: Final = 256 * 1024  # bytes beyond which the source is paused
SHORTEST: Final = 0.001  # seconds until a call of the clock
CLEANUP_TIMEOUT: Final = 30.0  # seconds
LOOK_AGAIN: Final = 0.1  # seconds until a cancellation is looked at again, see Stream._cancel
CANCELLABLE_WAITS: Final = 16  # see Stream.next_chunk


Route = tuple[str, str, Any]  # the method and path of a request, and its endpoint or None


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
        source_closed: False if the source had not ended `cleanup_timeout` seconds after it was
            cancelled, and was cancelled again or left behind; if it still blocks its thread; or if
            the wait for its clean-up was cancelled.
    """

    kind: OutcomeKind
    events: int
    bytes: int
    seconds: float
    error: BaseException | None = None
    source_closed: bool = True


class Connection(Protocol):
    """Where a stream is sent to."""

    async def begin(self) -> None:
        """Send what comes before the first chunk."""

    def send(self, chunk: bytes) -> Awaitable[None]:
        """Send a chunk."""

    async def finish(self) -> None:
        """Send what tells that the stream is whole."""


def log_failure(failure: BaseException, name: str, route: Route | None) -> None:
    """Log what a source raised, and its mend, unless its text is for the client.

    Args:
        failure: what was raised.
        name: of the source.
        route: of the request.
    """
    if isinstance(failure, StreamError):
        return
    place = "" if route is None else _place(*route)
    log.error("%s failed%s%s", name, place, _mend(failure), exc_info=failure)


def _place(method: str, path: str, endpoint: Any) -> str:
    function: Any = inspect.unwrap(endpoint) if callable(endpoint) else None
    code = getattr(function, "__code__", None)
    place = f" in {method} {path!r:.200}"
    if code is None:
        return place
    return f"{place}, endpoint {function.__qualname__} ({code.co_filename}:{code.co_firstlineno})"


def _mend(failure: BaseException) -> str:
    if isinstance(failure, EncodeError) and str(failure).startswith("cannot encode"):
        hook = "`default` in SSEOptions and NDJSONOptions returns what stands for such a value"
        return f": {failure}; {hook}"
    if isinstance(failure, GaistreamError):
        return f": {failure}"
    if isinstance(failure, RuntimeError) and "different task" in str(failure):
        return ": enter and leave cancel scopes and task groups in the source itself"
    if is_http_error(failure):
        return (
            ": the headers had been sent; with hold_headers=True they wait for the first event, "
            "and later errors for the client are gaistream.StreamError"
        )
    return ""


class Stream(FrameSender):
    """One stream. Belongs to the task that starts it.

    Args:
        source: an async or sync iterable of what the encoder's dialect takes.
        encoder: an SSEEncoder or NDJSONEncoder, unused so far; its options say when to flush.
        send_timeout: seconds that one send may take, or None.
        cleanup_timeout: seconds that the source may take to end once it was cancelled, or None.
        source_timeout: seconds that the source may be silent, or None.
    """

    __slots__ = (  # fewer bytes an idle stream, and quicker than a dict of so many names
        "_awaited",
        "_begun",
        "_cancelled",
        "_cancelled_again",
        "_cleanup_timeout",
        "_clock",
        "_close_by",
        "_closing",
        "_drain_ends",
        "_drained",
        "_end_awaited",
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
        "_source_closed",
        "_source_timeout",
        "_started",
        "_task",
        "_waits",
        "answerable",
        "due",
        "failure",
        "route",
    )

    def __init__(
        self,
        source: Any,
        encoder: Any,
        *,
        send_timeout: float | None = None,
        cleanup_timeout: float | None = CLEANUP_TIMEOUT,
        source_timeout: float | None = None,
    ) -> None:
        self._source = open_source(source, estimate_size)
        options = encoder.options
        encoder.join_halves()
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
        self._cleanup_timeout = cleanup_timeout
        self._source_timeout = source_timeout
        self.due: float | None = None  # the clock's
        self.failure: BaseException | None = None
        self.answerable = False  # a failure is answered, and logged, by who made the stream
        self.route: Route | None = None
        self._begun = False  # the source's task has run
        self._task: Task | None = None  # the source's
        self._cancelled = False  # by the stream
        self._closing = False  # the source's task closes it, and is not cancelled any more
        self._close_by = self._drain_ends = math.inf  # the earlier one ends the clean-up
        self._awaited: Task | None = None  # by `close`
        self._end_awaited: End | None = None
        self._cancelled_again = False  # at the end of its time
        self._source_closed = True
        self._sending: Breakable | None = None
        self._ending = False  # the server is told of the end
        self._gone = False  # the client has gone meanwhile
        self._waits = 0
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
        self._frames.begin()
        open_streams(loop).enter(self)
        if self._over:
            await loop.sleep(0)
        else:
            await self._start_source(loop)
        self._set_clock()

    async def _start_source(self, loop: EventLoop) -> None:
        """Start the source's task in this task's own context, so that it may reset variables."""
        starting = loop.starting(SourceReader(self, self._read()), "gaistream source")
        try:
            await starting
        finally:
            self._task, self._source_context = starting.task, starting.context

    async def wait_for_event(self) -> None:
        """Wait until the source has yielded, or ended."""
        while not (self.events or self._over):
            await self._until_woken()

    @property
    def failed_unsaid(self) -> bool:
        """Whether the source raised before it yielded anything."""
        return self.failure is not None and not self.events

    async def next_chunk(self) -> bytes | None:
        """Wait for bytes that are to be sent, and give all of them; None at the end.

        anyio does not cancel a task whose future is done already. A source that never pauses for
        longer than a turn of the loop would always resolve ours in time, so now and then this
        waits for no future.
        """
        while not (chunk := self._take()):
            if self._over:
                return None
            await self._until_woken()
            self._waits += 1
            if not self._waits % CANCELLABLE_WAITS:
                await self._loop.sleep(0)
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
                            if self._hear(error):
                                raise
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

    def drain_begins(self, grace: float) -> None:
        """Note that a drain of `grace` seconds begins while the stream is open: `drain` follows."""
        assert self._clock is not None
        self._drain_ends = self._time() + grace
        if self._end_awaited is not None and not self._cancelled_again:
            self._set_cleanup_timer(self._clock)

    def drain_is_cancelled(self) -> None:
        """Note that the drain does not end the stream any more, if it has not."""
        self._drain_ends = math.inf

    def drain(self, retry_ms: int | None) -> None:
        """End the stream now, but whole: what waits is sent, a retry hint, the end of the body."""
        if self._interrupted or self._finished or self._frames.ended:
            return  # it ends by itself
        self._drained = self._finished = self._due = True
        if retry_ms is not None:
            self._frames.write_reconnection_time(retry_ms)
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
        """Cancel the source, once: a second time would break off its own cleaning up.

        That its task is being cancelled already may be by a time-out of the source, which goes on
        after it, so it does not count; except if the stream is being cancelled too. Then it may be
        the end of `asyncio.run`, which cancels all tasks, and `close` looks again whether it was
        taken back.
        """
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        if self._task is None or self._closing or self._cancelled:
            return
        if self._interrupted != "cancelled" or not self._task.cancelling():
            self._cancelled = True
            self._task.cancel()

    async def close(self) -> None:
        """End whatever still runs, and close the source. Needed after every `start`.

        If it is cancelled meanwhile, the source's time for its clean-up goes on.
        """
        if not self._finished and self._interrupted is None:
            self._interrupted = "cancelled"
        own_clock = self._clock or clock()
        try:
            if self._awaited is None:  # else it is closed, or being closed
                self._begin_to_close(own_clock)
            await self._end_all(own_clock)
        finally:
            open_streams(own_clock.loop).leave(self)

    def _begin_to_close(self, own_clock: Clock) -> None:
        own_clock.forget(self)
        self._time = own_clock.loop.time
        if self._cleanup_timeout is not None:
            self._close_by = self._time() + self._cleanup_timeout
        drain = open_streams(own_clock.loop).draining
        if drain is not None:
            self._drain_ends = min(self._drain_ends, drain.ends_at)
        self._cancel()

    async def _end_all(self, own_clock: Clock) -> None:
        """Wait for the end of the source's task, or close the source in a task."""
        if self._task is not None:
            await self._wait_for_end(self._task, own_clock)
        if not self._begun:  # no task, or one that was cancelled before its first step
            self._begun = self._closing = True
            self._task = own_clock.loop.create_task(
                close_source(self._source), name="gaistream source"
            )
            await self._wait_for_end(self._task, own_clock)

    async def _wait_for_end(self, task: Task, own_clock: Clock) -> None:
        """Wait for the end of a task, for as long as it may take."""
        if task is not self._awaited:
            self._awaited, self._end_awaited = task, own_clock.loop.end_of(task)
            self._cancelled_again = False
            self._set_cleanup_timer(own_clock)
        assert self._end_awaited is not None
        await self._end_awaited.wait()
        own_clock.forget(self)

    def _clean_up_until(self) -> float:
        """Return the time by which everything is to have ended, by the loop's clock."""
        return min(self._close_by, self._drain_ends + LAST_SEND)

    def _set_cleanup_timer(self, own_clock: Clock) -> None:
        delay = self._delay_of_hurry(self._time())
        if delay is not None:
            own_clock.call(self, delay)

    def _delay_of_hurry(self, now: float) -> float | None:
        """Return the seconds until `_hurry` is due; None: it is not."""
        if self._awaited is None or self._awaited.done():
            return None
        left = self._clean_up_until() - now
        if self._awaited is self._task and not (self._cancelled or self._closing):
            left = min(left, LOOK_AGAIN)
        return max(left, SHORTEST) if left < math.inf else None

    def _hurry(self, now: float) -> float | None:
        """Cancel a task that does not end in time, then go on without it."""
        assert self._awaited is not None
        assert self._end_awaited is not None
        if self._awaited.done():
            return None
        if self._cancelled_again:
            log.error("%s does not end, though it was cancelled: left behind", self._awaited_name)
            self._end_awaited.give_up()
            return None
        if now < self._clean_up_until():  # it looks again, or a shorter drain was cancelled
            self._cancel()
            return self._delay_of_hurry(now)
        of_source = self._awaited is self._task
        self._source_closed = self._source_closed and not of_source
        log.warning(
            "%s has not ended in the time for its clean-up: cancelled%s",
            self._awaited_name,
            " again" if of_source else "",
        )
        self._cancelled_again = True
        self._awaited.cancel()
        return LAST_SEND

    @property
    def _awaited_name(self) -> str:
        return source_name(self._source)

    @property
    def left_behind(self) -> bool:
        """True if the source still runs after `close`."""
        return self._task is not None and not self._task.done()

    def release(self) -> None:
        """Drop the failure too, whose frames refer to the stream: the outcome was told."""
        super().release()
        self.failure = None

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
            self._source_closed and not self.left_behind and not is_left_running(self._source),
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

    def _hear(self, cancelled: BaseException) -> bool:
        """Return True if a cancellation that came while the sender waited ends it.

        A send that was begun meanwhile hears of it in the place of the sender. One that was taken
        back by who asked for it, as task groups do, is none.
        """
        assert self._sending is not None
        if self._rest is None:
            return self._sending.cancelled()
        if self._sending.cancelled():
            self._rest = *self._rest[:2], cancelled
        return False

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
        streams_of_source.set(open_streams(self._loop))
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
            except BaseException as error:
                if isinstance(error, self._loop.cancelled):
                    await self._close_source()  # which may take it back, as asyncio.timeout does
                if self._ends_task(error):
                    raise
            self._source_ended()
        finally:
            await self._close_source()
            del self, accept  # a failure's traceback holds this frame, and somebody may keep it

    async def _close_source(self) -> None:
        """Close the source, once, in its own task; only `cleanup_timeout` breaks that off."""
        if self._closing:
            return
        self._closing = True
        if self._task is not None:  # None: it is an eager task
            self._loop.shield(self._task)
        await close_source(self._source)

    def _ends_task(self, error: BaseException) -> bool:
        """Return True if what a source raised ends its task; else keep it as the failure."""
        failure = self._loop.failure_in(error)
        if failure is None:  # cancelled, by the stream or by the server
            if not self._finished:
                self._interrupted = self._interrupted or "cancelled"
                self._wake()
            return True
        failure = ungrouped(failure)
        if self.failure is None:
            self.failure = failure
        if self._finished:  # by a drain or a time-out, without the source
            self.log_failure(failure)
        return False

    def log_failure(self, failure: BaseException) -> None:
        """Log what the source raised, unless its text is for the client."""
        log_failure(failure, source_name(self._source), self.route)

    def _source_ended(self) -> None:
        """Write the end, unless that was done without the source."""
        if not self._finished:
            if self.failure is not None and not (self.answerable and self.failed_unsaid):
                self.log_failure(self.failure)
            self._frames.end(self.failure)
            self._finished = self._due = True
            self._wake()

    async def _give_turn(self) -> None:
        """Let the loop do other work, and wait while the client takes less than is there."""
        with self._loop.shielded():
            await self._loop.sleep(0)
            while self._frames.pending >= MOST_PENDING and not self._over:
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
        if self._awaited is not None:
            return self._hurry(now)
        if self._interrupted:
            return None
        delays = []
        if self._source_timeout is not None and not self._finished:
            delays.append(self._check_silence(now, self._source_timeout))
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
        return max(min(delays), SHORTEST) if delays else None

    def _check_silence(self, now: float, most: float) -> float:
        """End a stream whose source is silent for too long; return when to look again."""
        if self._room is not None or self._frames.pending:
            return most  # the client is slow
        left = self.silent_since() + most - now
        if left > 0:
            return left
        message = f"the source was silent for {most:g} seconds"
        log.warning("a stream ends: %s (%s)", message, source_name(self._source))
        self.failure = StreamError(message, code="timeout", status=504)
        self._source_ended()
        self._cancel()
        return most
