"""An ASGI app's response, in process: the test is its server and its client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, Self, TypeVar

from ..asgi.messages import Message
from ..core import ServerSentEvent
from ..errors import LeftRunningError
from ..events import Event
from ..loops import event_loop, replace_event_loop
from ..loops.protocols import Event as Flag
from ..loops.protocols import EventLoop
from ..streaming.drain import check_drain
from ..streaming.open_streams import LAST_SEND
from .leftovers import GeneratorHooks, Leftovers, place_of
from .lifespan import Lifespan
from .received import Received, Settings, View
from .request import Request
from .virtual_time import VirtualTime, recorder, with_virtual_time

__all__ = ["ASGIStream", "AsyncView"]

_T = TypeVar("_T")
_QUIET_TURNS: Final = 25  # of the loop, after which all has happened that could
_MOST_TURNS: Final = 10_000
_LONG: Final = 86_400.0  # virtual seconds, longer than any time-out
_LAST_WAIT: Final = 1.0  # real seconds for what was cancelled


class _LoopUnderTest:
    """A loop on which tests run streams, while there are any."""

    def __init__(self, real: EventLoop) -> None:
        self.real = real
        self.time = VirtualTime()
        self.loop = with_virtual_time(real, self.time)
        self.streams: list[ASGIStream] = []
        self._hooks: GeneratorHooks | None = None

    def enter(self, stream: ASGIStream) -> None:
        if not self.streams:
            vars(self.loop)["under_test"] = self
            replace_event_loop(self.loop)
            self._hooks = GeneratorHooks(self._generator_began)
        self.streams.append(stream)

    def leave(self, stream: ASGIStream) -> None:
        self.streams.remove(stream)
        if not self.streams:
            replace_event_loop(self.real)
            if self._hooks is not None:
                self._hooks.remove()

    def _generator_began(self, generator: Any) -> None:
        for stream in self.streams:
            stream._leftovers.generator_began(generator)


def _loop_under_test() -> _LoopUnderTest:
    loop = event_loop()
    known: _LoopUnderTest | None = getattr(loop, "under_test", None)
    return known or _LoopUnderTest(loop)


class AsyncView(View[_T], Generic[_T]):
    """An async iterator over the response, from its start; it can be left and taken up again."""

    _received: ASGIStream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _T:
        await self._received._until(self._pull, "nothing has come")
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()


class ASGIStream(Received):
    """A response of an ASGI app: see `gaistream.testing.stream`. Belongs to one task.

    Iterate it for the events, as `read_events` returns them.

    Attributes:
        status: of the response.
        headers: of the response, by names in any case.
        frames: an async iterator of ServerSentEvents, or of the values of NDJSON lines.
        chunks: an async iterator of bytes, as the app has sent them.
        body: all bytes that have come.
        comments: the comments of SSE that have come, heartbeats among them.
        complete: True if the body is whole; False while it comes, and if it was cut.
        error: the exception that the app raised, or None.
        outcome: the Outcome of gaistream's stream; None before its end, and without such a stream.
    """

    def __init__(
        self, app: Any, request: Request, settings: Settings, scope: dict[str, Any], lifespan: bool
    ) -> None:
        super().__init__(settings)
        self._app = app
        self._request = request
        self._more_scope = scope
        self._lifespan = Lifespan(app) if lifespan else None
        self._events: AsyncView[Event] = AsyncView(self, self._event_decoder)
        self.frames: AsyncView[ServerSentEvent | Any] = AsyncView(self, self._frame_decoder)
        self.chunks: AsyncView[bytes] = AsyncView(self, self._chunk_decoder)
        self._env: _LoopUnderTest | None = None
        self._loop: EventLoop
        self._task: Any = None
        self._main: Any = None
        self._activity = 0
        self._flag: Flag

    # ---- the block ----

    async def __aenter__(self) -> Self:
        if self._task is not None or self._env is not None:
            raise RuntimeError("a stream is one request: call gaistream.testing.stream() again")
        env = self._env = _loop_under_test()
        self._loop = env.real
        self._flag = self._loop.create_event()
        self._leftovers = Leftovers(self)
        env.enter(self)
        try:
            if self._lifespan is not None:
                self._more_scope.setdefault("state", {})
                state = await self._lifespan.start(self._loop, self._settings.timeout)
                self._more_scope["state"].update(state)
            self._main = self._run()
            self._task = self._loop.create_task(self._main, name="gaistream.testing app")
            if self._settings.wait_for_headers:
                await self.wait_for_headers()
        except BaseException:
            await self._exit(check=False)
            raise
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            left = await self._exit(check=self._settings.check_leftovers)
        except Exception as late:  # of the lifespan
            if error is None:
                raise
            error.add_note(str(late))
        if error is not None:
            return
        self._raise_once(left)
        if left:
            raise LeftRunningError(left)

    async def _exit(self, *, check: bool) -> list[str]:
        """Leave, wait for the app's end, and return the names of what is left."""
        assert self._env is not None
        left: list[str] = []
        with self._loop.shield_from_outer_scopes():
            try:
                if self._task is not None:
                    self._leave()
                    left = await self._end_app(check)
                if self._lifespan is not None:
                    await self._lifespan.stop(self._settings.timeout)
            finally:
                self._env.leave(self)
        return left

    async def _end_app(self, check: bool) -> list[str]:
        names: list[str] = []
        if not await self._in_time(lambda: self._app_ended, self._settings.timeout):
            place = place_of(self._main)
            names.append(f"the app, {self._settings.timeout:g} s after its client left ({place})")
            self._task.cancel()
            assert self._env is not None
            await self._advance_to(self._env.time.now + _LONG, lambda: self._app_ended)
            await self._in_time(lambda: self._app_ended, _LAST_WAIT)
        if self._app_ended:
            await self._loop.ended(self._task)
        if not check:
            return names
        await self._settle()
        if self._left_names():
            wait = min(_LAST_WAIT, self._settings.timeout)
            await self._in_time(lambda: not self._left_names(), wait, poll=True)
        return names + self._left_names()

    def _left_names(self) -> list[str]:
        assert self._env is not None
        return self._leftovers.names(tasks=True, threads=len(self._env.streams) == 1)

    async def _in_time(
        self, condition: Callable[[], bool], seconds: float, *, poll: bool = False
    ) -> bool:
        """Wait until a condition is true, at most so many real seconds; return it."""
        real = self._loop
        with real.breakable() as block:
            timer = real.call_at(real.time() + seconds, block.break_off)
            try:
                while not condition():
                    await (real.sleep(0.005) if poll else self._flag.wait())
            finally:
                timer.cancel()
        return condition()

    # ---- the test's side ----

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        return await anext(self._events)

    async def wait_for_headers(self) -> None:
        """Wait for the status and the headers.

        Raises:
            TimeoutError: they have not come in `timeout` real seconds.
            Exception: raised by the app before them, unless `raise_app_exceptions` is False.
        """
        await self._until(lambda: self._status is not None or self._over, "no headers have come")
        if self._is_made_up:
            self._raise_once()

    async def read(self) -> bytes:
        """Wait for the end of the response, and return its whole body."""
        async for _ in self.chunks:
            pass
        return self.body

    async def wait_closed(self) -> None:
        """Wait until the app has returned, or raised: then its source is closed.

        Raises:
            TimeoutError: it has not in `timeout` real seconds.
        """
        await self._until(lambda: self._app_ended, "the app has not ended")

    async def advance(self, seconds: float) -> None:
        """Move the clock on, for gaistream's own timers: heartbeats, time-outs, flushes, drains.

        Each timer runs at exactly its time, and the app goes on as far as it can before the next.
        `asyncio.sleep`, `trio.sleep` and everybody else's timers keep the real time.

        Args:
            seconds: of virtual time.
        """
        assert self._env is not None
        await self._advance_to(self._env.time.now + seconds, lambda: False)

    async def _advance_to(self, until: float, enough: Callable[[], bool]) -> None:
        assert self._env is not None
        time = self._env.time
        await self._settle()
        while not enough() and time.run_next(until):
            self._read_all()
            await self._settle()
        self._read_all()
        if not enough():
            time.reach(until)
            await self._settle()

    async def _settle(self) -> None:
        """Run the loop until the app waits for something from outside of it."""
        quiet = 0
        for _ in range(_MOST_TURNS):
            before = self._activity
            await self._loop.sleep(0)
            quiet = quiet + 1 if self._activity == before else 0
            if quiet >= _QUIET_TURNS:
                break

    def stall(self) -> None:
        """Take no more bytes from now on, as a client whose connection hangs."""
        self._stalled = True

    def resume(self) -> None:
        """Take bytes again."""
        self._stalled = False
        self._changed()

    async def disconnect(self, after_bytes: int | None = None) -> None:
        """Leave, as a client that closes its connection; the app goes on as far as it can at once.

        Args:
            after_bytes: leave when the body has so many bytes, and receive no more of them; if the
                body ends before that, return at its end. None: leave now.

        Raises:
            FrameError: a view has read more bytes than that.
            TimeoutError: the bytes have not come in `timeout` real seconds.
        """
        if after_bytes is None:
            self._leave()
        else:
            self._plan_to_leave(after_bytes)
            await self._until(lambda: self._over, f"{after_bytes} bytes have not come")
        await self._settle()

    async def drain(self, grace: float = 5.0, *, retry_ms: int | None = None) -> None:
        """Drain the streams of this loop that are tested, as `gaistream.drain`, until this ends.

        The grace time passes as far as it is needed. Until the last of these blocks is left, new
        requests are refused.

        Args:
            grace: virtual seconds.
            retry_ms: milliseconds after which clients are to reconnect, or None.
        """
        check_drain(grace, retry_ms)
        assert self._env is not None
        self._env.loop.open_streams.drain(grace, retry_ms)
        until = self._env.time.now + grace + LAST_SEND
        await self._advance_to(until, self._is_over)
        if not await self._in_time(lambda: self._app_ended, _LAST_WAIT):  # a thread takes real time
            await self._advance_to(until, lambda: self._app_ended)

    async def _until(self, condition: Callable[[], bool], problem: str) -> None:
        if condition():
            return
        if self._env is None:
            raise RuntimeError("the stream has not begun: `async with stream(…) as s:`")
        seconds = self._settings.timeout
        if not await self._in_time(condition, seconds):
            place = "has returned" if self._app_ended else f"is at {place_of(self._main)}"
            raise TimeoutError(
                f"{problem} in {seconds:g} s, and the app {place}; gaistream's clock moves only by "
                "advance(seconds), and timeout= allows more time"
            )

    # ---- the server's side ----

    def stream_left(self, stream: Any) -> None:
        """Note how a stream of the app has ended, or a source that went on without its client."""
        self.outcome = stream.outcome or self.outcome

    def _changed(self) -> None:
        self._activity += 1
        flag, self._flag = self._flag, self._loop.create_event()
        flag.set()

    async def _run(self) -> None:
        recorder.set(self)
        self._parts = self._request_parts()
        try:
            scope = self._request.scope(self._more_scope)
            await self._app(scope, self._receive, self._send)
            if self._status is None and not self._gone:
                raise RuntimeError("the app returned without a response")
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            task = self._task  # None: it is an eager task
            if isinstance(error, self._loop.cancelled) and task is not None and task.cancelling():
                raise
            self.error = error
        finally:
            self._end()

    def _request_parts(self) -> list[Message]:
        parts = self._request.body or [b""]
        last = len(parts) - 1
        return [
            {"type": "http.request", "body": part, "more_body": number < last}
            for number, part in enumerate(parts)
        ]

    async def _receive(self) -> Message:
        self._activity += 1
        if self._parts and not self._gone:
            return self._parts.pop(0)
        while not self._gone and not self.complete:
            await self._flag.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            headers = message.get("headers", ())
            lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
            self._begin(message["status"], lines)
            return
        if kind != "http.response.body":
            raise RuntimeError(f"the app sent {kind!r} to a request of HTTP")
        if self._status is None or self.complete:
            when = "before it began" if self._status is None else "after the end of"
            raise RuntimeError(f"the app sent a body {when} its response")
        while self._stalled and not self._gone:
            await self._flag.wait()
        if self._request.method != "HEAD":
            self._take(bytes(message.get("body", b"")))
        if not message.get("more_body", False):
            self.complete = not self._gone
            self._over = True
            self._changed()
        while not self._has_room():
            await self._flag.wait()
