"""The client's side of a request: what it has received, and the views in which a test reads it.

The whole body is kept. Each view (events, frames, chunks) reads it from its start, whatever the
others have read. Bytes that no view has read yet are read ahead, up to a limit: beyond it the app's
sends wait, as a server's do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Generic, Protocol, TypeVar

from ..core import NDJSONDecoder, SSEDecoder, checked_int, read_json
from ..errors import FrameError, FrameTypeError, LeftRunningError
from ..reading.events import EventDecoder
from ..reading.recognised import ReadableDialect, RecognisingDecoder, stream_format
from ..streaming.outcome import Outcome
from .request import Headers

READ_AHEAD: Final = 65536  # bytes, as servers hold them
TIMEOUT: Final = 5.0  # seconds of real time that a wait may take
MOST_BYTES: Final = 2**40

_T = TypeVar("_T")


class Settings:
    """The keywords of `stream` that are not the request's."""

    def __init__(
        self,
        *,
        dialect: ReadableDialect | None = None,
        wait_for_headers: bool = True,
        raise_app_exceptions: bool = True,
        check_leftovers: bool = True,
        read_ahead: int = READ_AHEAD,
        timeout: float = TIMEOUT,
    ) -> None:
        if dialect is not None:
            try:
                EventDecoder("ndjson", dialect)
            except FrameError:
                EventDecoder("sse", dialect)
        self.dialect = dialect
        self.wait_for_headers = wait_for_headers
        self.raise_app_exceptions = raise_app_exceptions
        self.check_leftovers = check_leftovers
        self.read_ahead = checked_int("read_ahead", read_ahead, 1, MOST_BYTES, "bytes")
        if isinstance(timeout, bool) or not isinstance(timeout, int | float):
            raise FrameTypeError(f"timeout must be seconds, not {type(timeout).__name__}")
        if not timeout > 0:
            raise FrameError(f"timeout must be more than 0 seconds, not {timeout!r}")
        self.timeout = timeout


class Decoder(Protocol[_T]):
    """Makes items of chunks."""

    def feed(self, data: Any, /) -> list[_T]: ...
    def close(self) -> list[_T]: ...


class _ChunkDecoder:
    def feed(self, data: bytes) -> list[bytes]:
        return [data]

    def close(self) -> list[bytes]:
        return []


class _FrameDecoder:
    """Frames of either format; an event that the end has cut is dropped, as browsers do."""

    def __init__(self, decoder: Any) -> None:
        self.feed = decoder.feed
        self._close = decoder.close if isinstance(decoder, NDJSONDecoder) else None

    def close(self) -> list[Any]:
        return self._close() if self._close is not None else []


class Received:
    """What the client of one request has received.

    Attributes:
        status: of the response; raises RuntimeError before it has begun.
        headers: of the response, by names in any case.
        body: all bytes that have come.
        complete: True if the body is whole; False while it comes, and if it was cut.
        error: the exception that the app raised, or None.
        outcome: how gaistream's stream ended; None before that, and for other responses.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._status: int | None = None
        self._headers = Headers()
        self._chunks: list[bytes] = []
        self._size = 0
        self._most_read = 0  # bytes that the view that is furthest has read
        self._taken = 0  # bytes that do not count as read ahead
        self._over = False  # no more will come
        self._app_ended = False
        self._raised = False  # the app's error, by the test's side
        self._is_made_up = False  # by the server, for an app that raised
        self._stalled = False
        self._gone = False
        self._leave_at: int | None = None
        self.complete = False
        self.error: BaseException | None = None
        self.outcome: Outcome | None = None

    @property
    def status(self) -> int:
        self._check_begun()
        assert self._status is not None
        return self._status

    @property
    def headers(self) -> Headers:
        self._check_begun()
        return self._headers

    @property
    def body(self) -> bytes:
        return b"".join(self._chunks)

    @property
    def comments(self) -> list[str]:
        """The comments of SSE that have come, heartbeats among them, without their colons."""
        lines = self.body.split(b"\n")[:-1]
        return [
            line[1:].strip().decode(errors="replace") for line in lines if line.startswith(b":")
        ]

    def _check_begun(self) -> None:
        if self._status is None:
            raise RuntimeError("the response has not begun: wait for its headers")

    def stream_entered(self, stream: Any) -> None:
        """Do nothing; for subclasses."""

    def _changed(self) -> None:
        """Wake whoever waits: the app's send, and the test."""
        raise NotImplementedError

    # ---- the app's side ----

    def _begin(self, status: int, headers: list[tuple[str, str]]) -> None:
        if self._status is not None:
            raise RuntimeError("the app began its response twice")
        self._status, self._headers = status, Headers(headers)
        self._changed()

    def _take(self, chunk: bytes) -> None:
        if self._gone:
            return
        if self._leave_at is not None:
            chunk = chunk[: self._leave_at - self._size]
        if chunk:
            self._chunks.append(chunk)
            self._size += len(chunk)
        if self._leave_at is not None and self._size >= self._leave_at:
            self._leave()
        self._changed()

    def _has_room(self) -> bool:
        """Return True if the app's next send need not wait."""
        if self._gone:
            return True
        if self._leave_at is not None:
            return True
        return not self._stalled and self._size - self._taken < self._settings.read_ahead

    def _is_over(self) -> bool:
        """Return True at the end of the response; at the app's if the client left before it."""
        return self._app_ended if self._gone else self._over

    def _read_all(self) -> None:
        """Make room for more, as a client that reads while time passes."""
        if not self._stalled and self._taken < self._size:
            self._taken = self._size
            self._changed()

    def _leave(self) -> None:
        """Note that the client has left: nothing comes any more."""
        self._gone = self._over = True
        self._stalled = False
        self._changed()

    def _end(self) -> None:
        """Note that the app has ended."""
        self._over = self._app_ended = True
        if self._status is None and self.error is not None:
            self._status, self._headers = 500, Headers([("content-type", "text/plain")])
            self._chunks, self.complete = [b"Internal Server Error"], True
            self._is_made_up = True
        self._changed()

    def _plan_to_leave(self, after_bytes: int) -> None:
        after_bytes = checked_int("after_bytes", after_bytes, 0, MOST_BYTES, "bytes")
        if after_bytes < self._most_read:
            raise FrameError(f"after_bytes is {after_bytes}, but {self._most_read} bytes were read")
        self._leave_at = after_bytes
        if self._size >= after_bytes:  # what was read ahead is still under way
            self.complete = self.complete and self._size == after_bytes
            while self._size > after_bytes:
                last = self._chunks.pop()
                self._size -= len(last)
                if self._size < after_bytes:
                    self._chunks.append(last[: after_bytes - self._size])
                    self._size = after_bytes
            self._leave()
        self._changed()

    def _raise_once(self, left: list[str] | None = None) -> None:
        """Raise the app's exception, if that is wanted and was not done."""
        if self.error is None or self._raised or not self._settings.raise_app_exceptions:
            return
        self._raised = True
        if left:
            self.error.add_note(str(LeftRunningError(left)))
        raise self.error

    # ---- views ----

    _chunk_decoder = _ChunkDecoder

    def _event_decoder(self) -> Any:
        format = stream_format(self.status, self.headers.get("content-type", ""))
        dialect = self._settings.dialect
        if dialect is None:
            return RecognisingDecoder(format, self.headers)
        return EventDecoder(format, dialect)

    def _frame_decoder(self) -> Any:
        format = stream_format(self.status, self.headers.get("content-type", ""))
        return _FrameDecoder(SSEDecoder() if format == "sse" else NDJSONDecoder(loads=read_json))


class View(Generic[_T]):
    """One way to read the body, from its start. Belongs to one task.

    Args:
        received: where the chunks are.
        decoder: makes the decoder, once the headers have come.
    """

    def __init__(self, received: Received, decoder: Callable[[], Decoder[_T]]) -> None:
        self._received = received
        self._create = decoder
        self._decoder: Decoder[_T] | None = None
        self._next = 0  # the index of a chunk
        self._read = 0  # bytes
        self._ready: deque[_T] = deque()
        self._ended = False

    def _pull(self) -> bool:
        """Decode until an item is ready. Return True if one is, or none will come."""
        received = self._received
        if received._status is None:
            return received._over
        if self._decoder is None:
            self._decoder = self._create()
        while not self._ready and self._next < len(received._chunks):
            chunk = received._chunks[self._next]
            self._next += 1
            self._read += len(chunk)
            self._ready += self._decoder.feed(chunk)
        if self._read > received._most_read:
            received._most_read = self._read
            received._taken = max(received._taken, self._read)
            received._changed()
        if not (self._ready or self._ended) and received._over:
            self._ended = True
            self._ready += self._decoder.close()
        return bool(self._ready) or self._ended
