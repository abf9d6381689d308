"""The thread that wakes a `RedisLog`'s followers: one Pub/Sub connection for all of a process.

A wait registers itself under a channel. If the channel is not subscribed yet, the thread does that,
and the reply of Redis wakes the waits too: they look again, so that nothing is missed in between.
The same happens when redis-py has connected anew. The thread starts with the first wait, and ends
after ten seconds without any.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from redis.exceptions import RedisError

from ..errors import LogError
from ..loops.waiting import Waiter, wake_all
from .redis_thread import CONNECTING, IDLE, THREAD_NAME, log_error

_TICK: Final = 1.0  # seconds between looks for channels that nobody waits for
_PAUSE: Final = 0.05  # seconds before a new connection


class FollowThread:
    """Wakes the waits of one log. Thread-safe; a forked process starts its own."""

    def __init__(self, client: Any, *, prefix: str, wake: Callable[[bytes], None]) -> None:
        self._client = client
        self._prefix = prefix
        self._wake_by = wake  # publishes to a channel
        self.reset()

    def reset(self) -> None:
        """Forget all waits, as in a forked process."""
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ends = threading.Event()
        self._closing: list[Waiter] = []
        self._waiters: dict[bytes, set[Waiter]] = {}
        self._channels: dict[bytes, float] = {}  # subscribed or asked for, and when last used
        self._asked: list[bytes] = []
        self._denied: LogError | None = None
        self._control = f"{self._prefix}wake:{secrets.token_hex(8)}".encode()

    @contextlib.contextmanager
    def waiting(self, channel: bytes) -> Iterator[Waiter]:
        """Return a waiter that the next message wakes, as long as the block lasts."""
        waiter = Waiter()
        poke = False
        with self._lock:
            if self._denied is not None:
                error, self._denied = self._denied, None
                raise error
            if not self._ends.is_set():
                self._waiters.setdefault(channel, set()).add(waiter)
                if channel not in self._channels:
                    self._asked.append(channel)
                    poke = self._thread is not None
                self._channels[channel] = time.monotonic()
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._run, name=THREAD_NAME + "-follow", daemon=True
                    )
                    self._thread.start()
        try:
            if poke:
                self._wake_by(self._control)
            yield waiter
        finally:
            with self._lock:
                waiters = self._waiters.get(channel)
                if waiters is not None:
                    waiters.discard(waiter)
                    if not waiters:
                        del self._waiters[channel]

    def close(self, waiter: Waiter) -> None:
        """End the waits, and wake `waiter` once the thread has ended."""
        with self._lock:
            self._ends.set()
            running = self._thread is not None
            if running:
                self._closing.append(waiter)
        self._wake_all()
        if running:
            with contextlib.suppress(LogError):
                self._wake_by(self._control)
        else:
            waiter.wake()

    # ---- in the thread ----

    def _run(self) -> None:
        try:
            while not self._ends.is_set():
                try:
                    if self._listen():
                        break
                except (RedisError, OSError) as error:
                    self._failed(log_error(error))
        finally:
            self._wake_all()
            with self._lock:
                if self._thread is threading.current_thread():
                    self._thread = None
                closing, self._closing = self._closing, []
            wake_all(closing)

    def _failed(self, failure: LogError) -> None:
        """Wake all waits: they look again, and then have the error of Redis too."""
        with self._lock:
            self._denied = failure if failure.reason == "denied" else None
        self._wake_all()
        self._ends.wait(_PAUSE)
        with self._lock:  # waits that came meanwhile
            self._asked = list(self._waiters)
            self._channels = dict.fromkeys(self._asked, time.monotonic())

    def _listen(self) -> bool:
        """Wake waits until the log is closed, or has no waits for a while: True."""
        pubsub = self._client.pubsub()
        tick = time.monotonic()
        try:
            with CONNECTING:
                pubsub.subscribe(self._control)
            while not self._ends.is_set():
                message = pubsub.get_message(timeout=_TICK)
                if message is not None and message["type"] != "unsubscribe":
                    self._wake(message["channel"])
                with self._lock:
                    asked, self._asked = self._asked, []
                if asked:
                    pubsub.subscribe(*asked)
                now = time.monotonic()
                if now - tick >= _TICK:
                    tick = now
                    if self._drop_unused(pubsub, now):
                        return True
            return True
        finally:
            with CONNECTING:
                pubsub.close()

    def _drop_unused(self, pubsub: Any, now: float) -> bool:
        """Unsubscribe from channels that nobody waits for. Return True if none is left."""
        with self._lock:
            unused = [
                channel
                for channel, used in self._channels.items()
                if channel not in self._waiters and now - used > IDLE
            ]
            for channel in unused:
                del self._channels[channel]
            if not self._channels:
                self._thread = None
                return True
        if unused:
            pubsub.unsubscribe(*unused)
        return False

    def _wake(self, channel: bytes) -> None:
        with self._lock:
            waiters = self._waiters.pop(channel, None)
        if waiters:
            wake_all(waiters)

    def _wake_all(self) -> None:
        with self._lock:
            waiters, self._waiters = self._waiters, {}
        wake_all(waiter for waiting in waiters.values() for waiter in waiting)
