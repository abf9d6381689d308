"""A whole answer, for a request that does not stream.

The provider's source is read to its end, and becomes a source of one item: the bytes of the
answer's JSON. So a whole answer has the life of a stream (time-outs, a client that leaves, drain,
the source closed in every outcome), and a source that fails is answered with a status, since
nothing was sent before.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

from ..core import json_bytes
from ..dialects.base import Dialect
from ..errors import StreamError
from ..streaming.collector import Collector
from ..streaming.outcome import Outcome
from ..writing.encoder import SSEEncoder
from ..writing.formats import SSE
from ..writing.options import SSEOptions


class WholeAnswer:
    """Collects one answer.

    Args:
        dialect: writes the answer, as the request wants it.
        options: SSEOptions.

    Attributes:
        collector: of the answer's message.
        on_item: called for each item, since the stream has only one, at the end.
    """

    def __init__(self, dialect: Dialect, options: SSEOptions) -> None:
        self._encoder = SSEEncoder(options, dialect=dialect)
        self.collector = Collector(dialect, SSE.name)
        self.on_item: Callable[[], object] = lambda: None
        self._is_collected = False

    def source(self, source: Any, *, is_collected: bool = False) -> Any:
        """Return a source that yields the answer's JSON, async if `source` is.

        Args:
            source: yields the answer's events.
            is_collected: True if `collector` has got them already.
        """
        self._is_collected = is_collected
        return self._read_async(source) if isinstance(source, AsyncIterable) else self._read(source)

    async def _read_async(self, source: AsyncIterable[Any]) -> AsyncIterator[bytes]:
        try:
            async for item in source:
                if self._add(item):
                    break
        finally:
            close = getattr(source, "aclose", None)
            if close is not None:
                await close()
        yield self._result()

    def _read(self, source: Any) -> Iterator[bytes]:
        try:
            for item in source:
                if self._add(item):
                    break
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()
        yield self._result()

    def _add(self, item: Any) -> bool:
        """Add an item, and return True if it is the last."""
        self.on_item()
        self._encoder.write(item if self._is_collected else self.collector.add(item))
        self._encoder.take()  # its frames are not sent
        return self._encoder.ended

    def _result(self) -> bytes:
        """Return the JSON of the answer.

        Raises:
            StreamError: the answer has failed.
        """
        self._encoder.end(None)
        failed = self._encoder.failed
        message = self.collector.end("failed" if failed else "completed", None)
        if failed:
            assert message.error is not None
            error = message.error
            raise StreamError(
                error.message, code=error.code or "error", retry_after=error.retry_after
            )
        return json_bytes(self._encoder.whole(message), errors="replace")

    def report_to(self, on_close: Callable[[Outcome], Any]) -> Callable[[Outcome], Any]:
        """Return an `on_close` that gives another one the outcome with its message."""

        def report(outcome: Outcome) -> Any:
            message = self.collector.end(outcome.kind, outcome.error)
            return on_close(replace(outcome, message=message))

        return report
