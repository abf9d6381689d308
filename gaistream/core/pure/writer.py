"""The hot path of every writer: an encoder's frames to a sink, from any thread.

A write holds the lock until the sink has its frames, so that frames are whole and in order with
any number of threads, and the encoder is used by one thread at a time. A sink that raises ends the
writer. Neither an exception of a signal's handler nor a fork leaves the lock taken. The rest of a
writer (its end, a sink's answers) is in gaistream/writing/writer.py, for both twins.
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

_forks = 0  # since the module was imported


def _count_fork() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


class FrameWriter(NotCopyable):
    """An encoder, its sink and a lock. Thread-safe.

    Args:
        sink: a callable that takes bytes.
        encoder: the encoder that makes the frames.
        flush_each: send after each write; else at `most` bytes, or when `flush_if_due` is called.
        most: bytes at which a writer that does not flush each write sends.
        none_is_refusal: the sink returns None if it took nothing, not if it took everything.
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
        """Write an event, or another item that a source may yield.

        Raises:
            ClosedError: after close(), after Done, or after the sink failed.
            EventError, FrameError, EncodeError, UnicodeError: nothing was written.
            SinkError, or the sink's own exception: the sink failed, which ends the writer.
        """
        self._run(self._encoder.write, event)

    def write_many(self, events: Iterable[Any]) -> None:
        """Write many events as one block, without frames of other threads between them."""
        self._run(self._encoder.write_many, events)

    def write_event(self, event: str | None, data: Any) -> None:
        """Write a frame with this name; `data` is text, or a payload that is encoded as JSON."""
        self._run(self._encoder.write_event, event, data)  # type: ignore[attr-defined]

    def write_frame(self, data: Any = None, event: str | None = None, **fields: Any) -> None:
        """Write a frame by its fields, as the encoder's write_frame."""
        self._run(self._encoder.write_frame, data, event, **fields)  # type: ignore[attr-defined]

    def write_comment(self, text: str = "") -> None:
        """Write a comment (SSE only)."""
        self._run(self._encoder.write_comment, text)  # type: ignore[attr-defined]

    def flush(self) -> None:
        """Send the pending bytes to the sink, which may have a buffer of its own."""
        self._run(self._send)

    def _run(self, method: Callable[..., None], *args: Any, **fields: Any) -> None:
        """Call a method while the lock is held, then send the bytes or hold them."""
        me = self._enter()
        with self._lock:  # unlike acquire() and try, no signal can come between
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
        """Call a function while the lock is held."""
        me = self._enter()
        with self._lock:
            try:
                self._owner = me
                call(*args)
            finally:
                self._owner = 0

    def _enter(self) -> int:
        """Return this thread's id, as the owner of the lock that the caller takes next."""
        me = threading.get_ident()
        if self._forks != _forks:
            self._after_fork(me)
        if self._owner == me:
            raise SinkError("the sink used the writer that was calling it")
        return me

    def _after_fork(self, me: int) -> None:
        """In a forked child, release the lock of a thread that runs only in the parent.

        The parent sends the frames that it was writing.
        """
        self._forks = _forks
        if self._owner != me and self._lock.locked():
            self._lock = threading.Lock()
            self._owner = 0
            self._encoder.take()

    def _try_acquire(self) -> bool:
        """Acquire the lock if it is free; return True if so."""
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
        """Raise the error of a flush that had no caller, once."""
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
        """Send the pending bytes; an error ends the writer."""
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
        """Return how many bytes the sink took, by its return value."""
        raise NotImplementedError

    def _flush_soon(self) -> None:
        """Schedule a flush of the pending bytes."""
        raise NotImplementedError
