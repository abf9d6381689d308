"""A WSGI app's response, in process: the app runs in a thread, as in a server; the test reads.

Event loops that the app's response runs have virtual time too, and so have drains of WSGI streams.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final, Self, TypeVar

from ..core import ServerSentEvent
from ..errors import LeftRunningError
from ..events import Event
from ..loops import new_loop
from ..loops.asyncio import AsyncioLoop
from ..loops.helper_threads import helper_threads
from ..loops.protocols import EventLoop
from ..streaming.drain import check_drain
from ..streaming.open_streams import LAST_SEND
from ..streaming.outcome import Outcome
from .leftovers import Leftovers
from .received import Received, Settings, View
from .request import Request
from .threads import ThreadsUnderTest
from .virtual_time import recorder, with_virtual_time

__all__ = ["BlockingView", "WSGIStream"]

_T = TypeVar("_T")
_LONG: Final = 3600.0  # virtual seconds in which a heartbeat shows that the client has left
_LAST_WAIT: Final = 1.0  # real seconds
_POLL: Final = 0.002  # real seconds between looks at threads
_TURNS: Final = 10  # of the app's loop, after which all has happened that could


class BlockingView(View[_T]):
    """An iterator over the response, from its start; it can be left and taken up again."""

    _received: WSGIStream

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _T:
        self._received._until(self._pull, "nothing has come")
        if not self._ready:
            raise StopIteration
        return self._ready.popleft()


class WSGIStream(Received):
    """A response of a WSGI app: see `gaistream.testing.stream`. Belongs to one thread.

    Iterate it for the events, as `read_events` returns them. Its attributes and methods are those
    of ASGIStream, without `await`.

    Attributes:
        frames: an iterator of ServerSentEvents, or of the values of NDJSON lines.
        chunks: an iterator of bytes, as the app has sent them.
    """

    def __init__(
        self, app: Any, request: Request, settings: Settings, environ: dict[str, Any]
    ) -> None:
        super().__init__(settings)
        self._app = app
        self._environ = request.environ(environ)
        self._is_head = request.method == "HEAD"
        self._events: BlockingView[Event] = BlockingView(self, self._event_decoder)
        self.frames: BlockingView[ServerSentEvent | Any] = BlockingView(self, self._frame_decoder)
        self.chunks: BlockingView[bytes] = BlockingView(self, self._chunk_decoder)
        self._threads: ThreadsUnderTest | None = None
        self._condition = threading.Condition(threading.RLock())
        self._thread: threading.Thread
        self._in_app = False  # it may go on by itself: it waits for no reader
        self._noticed = False  # that the client has left
        self._asyncio: Any = None  # the loop of the app's response
        self._pending_status: tuple[int, list[tuple[str, str]]] | None = None
        self._entered: list[Any] = []  # streams of the app in threads
        self._left: list[tuple[Any, Outcome]] = []  # streams of the app that have ended

    # ---- the block ----

    def __enter__(self) -> Self:
        if self._threads is not None:
            raise RuntimeError("a stream is one request: call gaistream.testing.stream() again")
        self._threads = ThreadsUnderTest.enter()
        self._leftovers = Leftovers(self)
        context = contextvars.copy_context()
        context.run(recorder.set, self)
        context.run(new_loop.set, self._new_loop)
        self._thread = threading.Thread(
            target=context.run, args=(self._run,), name="gaistream.testing app", daemon=True
        )
        self._thread.start()
        try:
            if self._settings.wait_for_headers:
                self.wait_for_headers()
        except BaseException:
            self._exit()
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        left = self._exit()
        if error is not None:
            return
        self._raise_once(left)
        if left:
            raise LeftRunningError(left)

    def _exit(self) -> list[str]:
        assert self._threads is not None
        left: list[str] = []
        try:
            with self._condition:
                self._leave()
            self._settle()
            clock = self._threads.time
            while not (self._noticed or self._app_ended) and clock.run_next(clock.now + _LONG):
                self._settle()
            if not self._wait(lambda: self._app_ended, self._settings.timeout):
                left.append(f"the app, {self._settings.timeout:g} s after its client left")
            else:
                self._thread.join(_LAST_WAIT)
            if self._settings.check_leftovers:
                ends = time.monotonic() + _LAST_WAIT
                alone = self._threads.users == 1
                while names := self._leftovers.names(tasks=False, threads=alone):
                    if time.monotonic() > ends:
                        break
                    time.sleep(_POLL)
                left += names
        finally:
            self._threads.leave()
        return left

    # ---- the test's side ----

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        return next(self._events)

    def wait_for_headers(self) -> None:
        """Wait for the status and the headers; raises as ASGIStream.wait_for_headers."""
        self._until(lambda: self._status is not None or self._over, "no headers have come")
        if self._is_made_up:
            self._raise_once()

    def read(self) -> bytes:
        """Wait for the end of the response, and return its whole body."""
        for _ in self.chunks:
            pass
        return self.body

    def wait_closed(self) -> None:
        """Wait until the server has closed the response, and its source is closed.

        Raises:
            TimeoutError: it has not in `timeout` real seconds.
        """
        self._until(lambda: self._app_ended, "the app has not ended")

    def advance(self, seconds: float) -> None:
        """Move the clock on, for gaistream's own timers; see ASGIStream.advance.

        A sync source in the server's own thread has no timers but those of a drain.

        Args:
            seconds: of virtual time.
        """
        assert self._threads is not None
        self._advance_to(self._threads.time.now + seconds, lambda: False)

    def _advance_to(self, until: float, enough: Callable[[], bool]) -> None:
        assert self._threads is not None
        clock = self._threads.time
        self._settle()
        while not enough() and clock.run_next(until):
            with self._condition:
                self._read_all()
            self._settle()
        with self._condition:
            self._read_all()
        if not enough():
            clock.reach(until)
            self._settle()

    def stall(self) -> None:
        """Take no more bytes from now on, as a client whose connection hangs."""
        with self._condition:
            self._stalled = True

    def resume(self) -> None:
        """Take bytes again."""
        with self._condition:
            self._stalled = False
            self._changed()

    def disconnect(self, after_bytes: int | None = None) -> None:
        """Leave; the server notices that when it next sends, as WSGI servers do.

        Args:
            after_bytes: see ASGIStream.disconnect, which raises the same errors.
        """
        with self._condition:
            if after_bytes is None:
                self._leave()
            else:
                self._plan_to_leave(after_bytes)
        self._until(lambda: self._over, f"{after_bytes} bytes have not come")
        self._settle()

    def drain(self, grace: float = 5.0, *, retry_ms: int | None = None) -> None:
        """Drain the WSGI streams that are tested, as `gaistream.wsgi.drain`, until this ends.

        Args:
            grace: virtual seconds.
            retry_ms: milliseconds after which clients are to reconnect, or None.
        """
        check_drain(grace, retry_ms)
        assert self._threads is not None
        self._threads.registry.drain(grace, retry_ms)
        until = self._threads.time.now + grace + LAST_SEND
        self._advance_to(until, self._is_over)
        if not self._wait(lambda: self._app_ended, _LAST_WAIT):  # a thread takes real time
            self._advance_to(until, lambda: self._app_ended)

    def _wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        with self._condition:
            return self._condition.wait_for(condition, seconds)

    def _until(self, condition: Callable[[], bool], problem: str) -> None:
        if self._threads is None:
            raise RuntimeError("the stream has not begun: `with stream(…) as s:`")
        seconds = self._settings.timeout
        if not self._wait(condition, seconds):
            raise TimeoutError(
                f"{problem} in {seconds:g} s; gaistream's clock moves only by advance(seconds), "
                "and timeout= allows more time"
            )

    def _settle(self) -> None:
        """Wait until the app's loop, if it has one, waits."""
        for _ in range(_TURNS):
            turned = threading.Event()
            if self._asyncio is None or not self._in_app or self._app_ended:
                return
            # closed: the stream has ended, and the app is about to
            with contextlib.suppress(RuntimeError):
                self._asyncio.call_soon_threadsafe(self._turned, turned)
            self._wait(functools.partial(self._has_turned, turned), _LAST_WAIT)

    def _has_turned(self, turned: threading.Event) -> bool:
        return turned.is_set() or not self._in_app or self._app_ended

    def _turned(self, event: threading.Event) -> None:
        event.set()
        with self._condition:
            self._condition.notify_all()

    # ---- the server's side, in its thread ----

    def stream_entered(self, stream: Any) -> None:
        """Note a stream of the app that begins."""
        self._entered.append(stream)

    def stream_left(self, stream: Any) -> None:
        """Note how a stream of the app ends; its kind is certain when the response is closed."""
        if stream.outcome is not None:
            self._left.append((stream, stream.outcome))

    def _changed(self) -> None:
        with self._condition:
            self._condition.notify_all()

    def _new_loop(self, loop: Any) -> EventLoop:
        assert self._threads is not None
        self._asyncio = loop
        return with_virtual_time(AsyncioLoop(loop), self._threads.time)

    def _run(self) -> None:
        self._in_app = True
        try:
            self._serve()
        except BaseException as error:  # in a thread of its own, where nothing else would catch it
            self.error = error
        for stream in self._entered:  # its source may go on in a helper thread
            helper_threads.wait_for(stream)
        with self._condition:
            for stream, outcome in self._left:
                self.outcome = replace(outcome, kind=(stream.outcome or outcome).kind)
            self._in_app = False
            self._end()

    def _serve(self) -> None:
        result = self._app(self._environ, self._start_response)
        try:
            chunks: Iterator[bytes] = iter(result)
            for chunk in chunks:
                if chunk and not self._write(chunk):
                    self._noticed = True
                    return
            self._write(b"")
            with self._condition:
                self.complete = not self._gone
                self._over = True
                self._changed()
        finally:
            if hasattr(result, "close"):
                result.close()

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        if exc_info is not None:
            if self._status is not None:
                raise exc_info[1].with_traceback(exc_info[2])
        elif self._pending_status is not None:
            raise RuntimeError("the app called start_response twice")
        self._pending_status = int(status.partition(" ")[0]), list(headers)
        return self._write

    def _write(self, chunk: bytes) -> bool:
        """Send a chunk, with the headers before the first. Return False if the client has left."""
        with self._condition:
            if self._status is None:
                if self._pending_status is None:
                    raise RuntimeError("the app did not call start_response")
                self._begin(*self._pending_status)
            self._wait_here(lambda: not self._stalled or self._gone)
            if not self._is_head:
                self._take(chunk)
            self._wait_here(self._has_room)
            return not self._gone

    def _wait_here(self, condition: Callable[[], bool]) -> None:
        if not condition():
            self._in_app = False
            self._changed()
            self._condition.wait_for(condition)
            self._in_app = True
