"""What the gateway knows of a request: for its access log, and for its bound on open streams."""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final

from .._log import late_logger
from ..chat import ChatRequest
from ..core import estimate_size
from ..errors import StreamError
from ..loops.sources import close_source, open_source
from ..streaming.outcome import Outcome

access_log: Final = late_logger("gaistream.gateway")
current: ContextVar[Record] = ContextVar("gaistream.gateway.record")


class Record:
    """One request.

    Attributes:
        status: of the response, 0 if there was none.
        model: the model that the client named.
        outcome: of the stream, if there was one.
        first_at: the time of the first event, or None.
    """

    __slots__ = ("began_at", "first_at", "method", "model", "outcome", "path", "status")

    def __init__(self, method: str, path: str) -> None:
        self.method = method
        self.path = path
        self.status = 0
        self.model: str | None = None
        self.outcome: Outcome | None = None
        self.began_at = time.monotonic()
        self.first_at: float | None = None

    def line(self) -> str:
        """Return the line of the access log."""
        now = time.monotonic()
        fields = [f"{self.method} {self.path!r:.200}", str(self.status or "-")]
        if self.model is not None:
            fields.append(f"model={self.model!r:.80}")
        if self.first_at is not None:
            fields.append(f"first={self.first_at - self.began_at:.3f}s")
        fields.append(f"total={now - self.began_at:.3f}s")
        outcome = self.outcome
        usage = None if outcome is None or outcome.message is None else outcome.message.usage
        if usage is not None:
            fields.append(f"tokens={usage.input_tokens}+{usage.output_tokens}")
            seconds = 0.0 if self.first_at is None else now - self.first_at
            if seconds > 0:
                fields.append(f"rate={usage.output_tokens / seconds:.1f}/s")
        if outcome is not None:
            fields.append(outcome.kind)
        return " ".join(fields)


def note_outcome(outcome: Outcome) -> None:
    """Note the outcome of the current request's stream."""
    current.get().outcome = outcome


class RecordingProvider:
    """A provider that notes the times of another, and refuses requests beyond a bound.

    Args:
        provider: the other one.
        is_full: returns True if there are too many open streams.
    """

    def __init__(self, provider: Any, is_full: Callable[[], bool]) -> None:
        self._provider = provider
        self._is_full = is_full

    async def stream_text(self, request: ChatRequest) -> Any:
        """Return the other provider's source."""
        record = current.get()
        record.model = request.model
        if self._is_full():
            raise StreamError(
                "the gateway serves as many streams as it may", code="overloaded", status=503,
                retry_after=1,
            )  # fmt: skip
        source = self._provider.stream_text(request)
        if inspect.isawaitable(source):
            source = await source
        if not isinstance(source, AsyncIterable):
            return source
        return _Timed(open_source(source, estimate_size), record)


class _Timed(AsyncIterator[Any]):
    """A source that notes the time of its first item, and is then as fast as before.

    Attributes:
        owner: the source, for the names in messages.
    """

    __slots__ = ("_iterator", "_next", "_record", "owner")

    def __init__(self, iterator: AsyncIterator[Any], record: Record) -> None:
        self._iterator = iterator
        self.owner = getattr(iterator, "owner", iterator)
        self._record = record
        self._next: Callable[[], Awaitable[Any]] = self._first

    def __anext__(self) -> Awaitable[Any]:
        return self._next()

    async def _first(self) -> Any:
        self._next = self._iterator.__anext__
        item = await self._next()
        self._record.first_at = time.monotonic()
        return item

    async def aclose(self) -> None:
        """Close the source."""
        await close_source(self._iterator)
