"""Frames to a sink, from any thread: what every writer does for each event.

A write holds the lock until its frames are with the sink, so frames are whole and in order
whatever the number of threads, and an encoder's state is one thread's at a time. A sink that
raises ends the writer. An exception out of a signal's handler never leaves the lock taken, and
neither does a fork while another thread holds it. What is seldom asked, such as how a writer ends
and what a sink may answer, is in gaistream/writing/writer.py, for both.
Twin of src/writer.pxi.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

from gaistream.errors import ClosedError, SinkError

from .buffer import NotCopyable
from .encoder import BaseEncoder

_forks = 0  # between this process and the one in which the module was imported


def _count_fork() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


class FrameWriter(NotCopyable):
    """An encoder, its sink and a lock. Thread-safe.

    Args:
        sink: a callable that takes bytes.
        encoder: the encoder that the frames come from.
        flush_each: send after each write; else when `most` bytes wait, or `_flush_soon` says so.
        none_is_refusal: that None from the sink does not mean that it took everything.
    """

    def __init__(
        self,
        sink: Callable[[bytes], Any],
        encoder: Any,
        flush_each: bool,
        most: int,
        none_is_refusal: bool,
    ) -> None:
        self._encoder: BaseEncoder = encoder
        self._sink = sink
        self._flush_each = flush_each
        self._most = most
        self._none_is_refusal = none_is_refusal
        self._lock = threading.Lock()
        self._owner = 0
        self._forks = _forks
        self._sent_first = False
        self._closed = False
        self._broken: BaseException | None = None
        self._unreported: BaseException | None = None

    def write(self, event: Any) -> None:
        """Write an event, or what a source may yield in its place.

        Raises:
            ClosedError: after close(), after Done, or after the sink failed.
            EventError, FrameError, EncodeError, UnicodeError: nothing was written.
            SinkError, or what the sink raised: the writer has ended.
        """
        self._run(self._encoder.write, event)

    def write_many(self, events: Iterable[Any]) -> None:
        """Write many events as one block that no other thread's frames come into."""
        self._run(self._encoder.write_many, events)

    def write_event(self, event: str | None, data: Any) -> None:
        """Write a frame with this name; `data` is text, or any payload, which becomes JSON."""
        self._run(self._encoder.write_event, event, data)  # type: ignore[attr-defined]

    def write_frame(self, data: Any = None, event: str | None = None, **fields: Any) -> None:
        """Write a frame by its fields, as the encoder's write_frame."""
        self._run(self._encoder.write_frame, data, event, **fields)  # type: ignore[attr-defined]

    def write_comment(self, text: str = "") -> None:
        """Write a comment (SSE only)."""
        self._run(self._encoder.write_comment, text)  # type: ignore[attr-defined]

    def flush(self) -> None:
        """Send what waits to the sink (whose own buffer, if any, is its own business)."""
        self._run(self._send)

    def _run(self, method: Callable[..., None], *args: Any, **fields: Any) -> None:
        """Do one thing under the lock, then send or let wait."""
        me = self._enter()
        with self._lock:  # as acquire() and try would not, it leaves no room for a signal
            try:
                self._owner = me
                if self._closed or self._unreported is not None:
                    self._report()
                    raise ClosedError("the writer is closed") from self._broken
                try:
                    method(*args, **fields)
                finally:  # of write_many, events before the one that failed are written
                    self._after_write()
            finally:
                self._owner = 0

    def _locked(self, call: Callable[..., None], *args: Any) -> None:
        """Call under the lock."""
        me = self._enter()
        with self._lock:
            try:
                self._owner = me
                call(*args)
            finally:
                self._owner = 0

    def _enter(self) -> int:
        """Return who is to own the lock, which is to be taken now."""
        me = threading.get_ident()
        if self._forks != _forks:
            self._after_fork(me)
        if self._owner == me:
            raise SinkError("the sink used the writer that was calling it")
        return me

    def _after_fork(self, me: int) -> None:
        """In a forked child, let go of the lock of a thread that has stayed in the parent.

        What that thread was writing is the parent's to send.
        """
        self._forks = _forks
        if self._owner != me and self._lock.locked():
            self._lock = threading.Lock()
            self._owner = 0
            self._encoder.take()

    def _try_acquire(self) -> bool:
        """Acquire if nobody else has; True if so."""
        if self._forks != _forks:
            self._after_fork(threading.get_ident())
        if not self._lock.acquire(blocking=False):
            return False
        self._owner = threading.get_ident()
        return True

    def _release(self) -> None:
        self._owner = 0
        self._lock.release()

    def _report(self) -> None:
        """Raise, once, what the sink raised while nobody was there to be told."""
        if self._unreported is not None:
            error, self._unreported = self._unreported, None
            raise error

    def _after_write(self) -> None:
        encoder = self._encoder
        if (
            self._flush_each
            or not self._sent_first
            or encoder.ended
            or encoder.pending >= self._most
        ):
            self._send()
        elif encoder.pending:
            self._flush_soon()

    def _send(self) -> None:
        """Send what waits; whatever goes wrong ends the writer."""
        data = self._encoder.take()
        if data:
            self._give(data)

    def _give(self, data: bytes) -> None:
        self._sent_first = True
        try:
            while data:
                answer = self._sink(data)
                if answer is None and not self._none_is_refusal:
                    return
                data = data[self._accepted(answer, len(data)) :]
        except BaseException as error:
            self._closed = True
            self._broken = error
            raise

    def _accepted(self, answer: Any, size: int) -> int:
        """Give how many bytes the sink took, from what it returned."""
        raise NotImplementedError

    def _flush_soon(self) -> None:
        """Have what waits sent by and by."""
        raise NotImplementedError
