"""`drain()`, `draining()` and `drain_on_signals()`, for the streams of the running event loop.

Servers notify the application of their shutdown too late, so a drain begins at the signal itself.
server_signals.py does that with nothing configured; `drain_on_signals()` sets another grace time.
Nothing is patched.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from ..core import checked_int
from ..writing.options import LONGEST_RETRY_MS, check_seconds
from . import server_signals, thread_streams
from .open_streams import Drain, LoopStreams, OpenStreams, open_streams, streams_of_source
from .server_signals import DEFAULT_GRACE
from .signals import ChainedSignals

__all__ = ["Drain", "check_drain", "drain", "drain_on_signals", "draining"]


def drain(grace: float = DEFAULT_GRACE, *, retry_ms: int | None = None) -> Drain:
    """End the open streams of the running event loop politely, and refuse new ones.

    Streams whose sources have been silent for two seconds end at once if they are at most 100;
    more are spread over three quarters of the grace time. Sources that are still yielding may
    finish their answers; in the last quarter their streams are ended too. To end a stream, its
    source is cancelled and closed, and the client gets all that the source has yielded, then the
    `retry:` hint, then the end of the body, without `done`. The outcome is "drained". A send that
    still hangs a second later is broken off. New requests are answered with 503 and Retry-After; an
    EventSource, which would not come back after that, with 200, `retry:` and the end of the body. A
    second call may shorten the time.

    Args:
        grace: seconds; 0 ends everything at once.
        retry_ms: milliseconds after which clients are to reconnect; None: ended streams have no
            `retry:`, and new requests are asked to come back after the grace time.

    Returns:
        An object that may be awaited until no stream is open; the drain goes on without that. Its
        `cancel()` ends the drain, and the loop serves again.

    Raises:
        RuntimeError: no event loop runs in this thread. From another thread use
            `loop.call_soon_threadsafe(gaistream.drain, grace)`.
        FrameError: `grace` is not a number of seconds, or `retry_ms` not a whole number.
    """
    check_drain(grace, retry_ms)
    return open_streams().drain(grace, retry_ms)


def check_drain(grace: object, retry_ms: object) -> None:
    """Raise FrameError for arguments that `drain` does not take."""
    check_seconds("grace", grace, optional=grace is not None)
    if retry_ms is not None:
        checked_int("retry_ms", retry_ms, 0, LONGEST_RETRY_MS, "milliseconds")


def draining() -> bool:
    """Return True while the streams of this event loop, or those of a WSGI server, are drained.

    A source may ask, also a blocking one in its helper thread, to yield its last event and return;
    and so may any other code that runs on the loop.
    """
    if thread_streams.in_threads.draining is not None:
        return True
    try:
        streams: OpenStreams | None = open_streams()
    except RuntimeError:  # a thread without a loop, as a blocking source's
        streams = streams_of_source.get()
    return streams is not None and streams.draining is not None


@contextlib.contextmanager
def drain_on_signals(
    grace: float = DEFAULT_GRACE, *, retry_ms: int | None = None
) -> Iterator[None]:
    """Drain the running event loop at SIGTERM and SIGINT, as long as this block lasts.

    On this loop it replaces `gaistream.automatic_drain`: with this grace time, at SIGINT too, and
    with `retry_ms`. The handler that was set before is called too. A second signal ends all streams
    at once. Enter it where the application starts, in its lifespan: by then the server has set its
    own handlers. Outside of the main thread there are no signals, and the block does nothing.

    Args:
        grace: seconds, as `drain` takes them.
        retry_ms: milliseconds, as `drain` takes them.

    Raises:
        RuntimeError: no event loop runs in this thread.
        FrameError: as `drain`.
    """
    check_drain(grace, retry_ms)
    streams = open_streams()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    streams.signal_hooks += 1
    server_signals.unwatch(streams)
    chained = _LoopSignals(streams, grace, retry_ms)
    try:
        yield
    finally:
        chained.restore()
        streams.signal_hooks -= 1
        if streams.streams:
            server_signals.watch(streams)


class _LoopSignals(ChainedSignals):
    """The handlers that drain an event loop."""

    def __init__(self, streams: LoopStreams, grace: float, retry_ms: int | None) -> None:
        self._streams = streams
        self._grace = grace
        self._retry_ms = retry_ms
        super().__init__()

    def hear(self, number: int, ordinal: int) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: it has no streams
            self._streams.loop.call_soon_threadsafe(self._drain, number, ordinal)

    def _drain(self, number: int, ordinal: int) -> None:
        drain = self._streams.drain_at_signal(ordinal, self._grace, self._retry_ms)
        self.repeat_after(drain, self._streams.loop, number)
