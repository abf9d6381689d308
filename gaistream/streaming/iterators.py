"""`sse()` and `ndjson()`: generators of bytes, for any framework that streams an iterator.

The chunks of an async source are merged and have heartbeats; those of a sync one are one per item,
in the caller's own thread. A source that raises ends the stream with the error event, and the error
is not raised to the caller. The source is closed in every outcome, and when the iterator is closed.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Coroutine,
    Generator,
    Iterable,
)
from typing import Any, overload

from ..dialects import AnyDialect
from ..loops.helper_threads import NoThreadLeft
from ..writing.encoder import NDJSONEncoder, SSEEncoder
from ..writing.options import (
    NDJSONOptions,
    SSEOptions,
    check_source_times,
    keywords_of,
    refuse_source_timeout,
    refuse_unknown,
)
from .blocking import BlockingStream
from .cleanup import CLEANUP_TIMEOUT
from .stream import Stream

__all__ = ["ndjson", "sse"]


@overload
def sse(
    stream: AsyncIterable[Any],
    options: SSEOptions | None = None,
    *,
    dialect: AnyDialect = "gai",
    cleanup_timeout: float | None = CLEANUP_TIMEOUT,
    source_timeout: float | None = None,
) -> AsyncGenerator[bytes, None]: ...
@overload
def sse(
    stream: Iterable[Any],
    options: SSEOptions | None = None,
    *,
    dialect: AnyDialect = "gai",
    cleanup_timeout: float | None = CLEANUP_TIMEOUT,
    source_timeout: None = None,
) -> Generator[bytes, None, None]: ...
def sse(
    stream: Any,
    options: SSEOptions | None = None,
    *,
    dialect: AnyDialect = "gai",
    cleanup_timeout: float | None = CLEANUP_TIMEOUT,
    source_timeout: float | None = None,
    **unknown: object,
) -> AsyncGenerator[bytes, None] | Generator[bytes, None, None]:
    """Return Server-Sent Events for the items of a source.

    Args:
        stream: an async or sync iterable of events (or str, dicts with a `type`, …).
        options: SSEOptions() if None.
        dialect: "gai"; "json": each item is a payload; "raw": each is a frame; or a Dialect.
        cleanup_timeout: seconds that an async source may take to end once the iterator is closed,
            before it is cancelled again and abandoned; None: no limit.
        source_timeout: seconds that an async source may be silent before the stream ends with
            `Error(code="timeout")`; 0 or None: no limit.

    Returns:
        An `AsyncGenerator` for an async source, else a `Generator`, of bytes: whole frames. Both
        close the source when they are closed, even if they were never started.

    Raises:
        EventError: `stream` is not iterable.
        FrameError: a timeout is negative, too long or not finite.
    """
    if unknown:
        refuse_unknown("sse", unknown, keywords_of(sse), [SSEOptions])
    encoder = SSEEncoder(options, dialect=dialect)
    return _iterate(stream, encoder, cleanup_timeout, source_timeout)


@overload
def ndjson(
    stream: AsyncIterable[Any],
    options: NDJSONOptions | None = None,
    *,
    dialect: AnyDialect = "gai",
    cleanup_timeout: float | None = CLEANUP_TIMEOUT,
    source_timeout: float | None = None,
) -> AsyncGenerator[bytes, None]: ...
@overload
def ndjson(
    stream: Iterable[Any],
    options: NDJSONOptions | None = None,
    *,
    dialect: AnyDialect = "gai",
    cleanup_timeout: float | None = CLEANUP_TIMEOUT,
    source_timeout: None = None,
) -> Generator[bytes, None, None]: ...
def ndjson(
    stream: Any,
    options: NDJSONOptions | None = None,
    *,
    dialect: AnyDialect = "gai",
    cleanup_timeout: float | None = CLEANUP_TIMEOUT,
    source_timeout: float | None = None,
    **unknown: object,
) -> AsyncGenerator[bytes, None] | Generator[bytes, None, None]:
    """Return lines of JSON for the items of a source; everything else as `sse`."""
    if unknown:
        refuse_unknown("ndjson", unknown, keywords_of(ndjson), [NDJSONOptions])
    encoder = NDJSONEncoder(options, dialect=dialect)
    return _iterate(stream, encoder, cleanup_timeout, source_timeout)


def _iterate(
    stream: Any, encoder: Any, cleanup_timeout: float | None, source_timeout: float | None
) -> AsyncGenerator[bytes, None] | Generator[bytes, None, None]:
    check_source_times(cleanup_timeout, source_timeout)
    if isinstance(stream, AsyncIterable):
        life = Stream(
            stream,
            encoder,
            cleanup_timeout=cleanup_timeout,
            source_timeout=source_timeout or None,
        )
        return _AsyncChunks(life)
    refuse_source_timeout(source_timeout, "an async source")
    return _Chunks(BlockingStream(stream, encoder))


async def _chunks(life: Stream) -> AsyncGenerator[bytes, None]:
    try:
        await life.start()
        if isinstance(life.failure, NoThreadLeft):  # the caller may still send its status
            raise life.failure
        while (chunk := await life.next_chunk()) is not None:
            yield chunk
        if life.is_broken and life.failure is not None:
            raise life.failure
    finally:
        await life.close()
        life.release()


class _AsyncChunks(AsyncGenerator[bytes, None]):
    """A generator of chunks that closes the source even if it was never started."""

    def __init__(self, life: Stream) -> None:
        self._life = life
        self._chunks = _chunks(life)

    def __anext__(self) -> Coroutine[Any, Any, bytes]:
        return self._chunks.__anext__()

    def asend(self, value: None) -> Coroutine[Any, Any, bytes]:
        """Return the next chunk; the value is ignored."""
        return self._chunks.asend(value)

    async def athrow(self, *error: Any) -> bytes:
        """End the stream, close its source, and raise the error."""
        self._life.interrupt("cancelled")
        try:
            return await self._chunks.athrow(*error)
        finally:
            await self._life.close()

    async def aclose(self) -> None:
        """End the stream and close its source."""
        self._life.interrupt("client_gone")  # wakes a task that still waits for a chunk
        try:
            await self._chunks.aclose()
        finally:
            await self._life.close()


def _blocking_chunks(life: BlockingStream) -> Generator[bytes, None, None]:
    try:
        yield from life.chunks()
    finally:
        life.release()


class _Chunks(Generator[bytes, None, None]):
    """A generator of a sync source's chunks that closes it even if it was never started."""

    def __init__(self, life: BlockingStream) -> None:
        self._life = life
        self._chunks = _blocking_chunks(life)

    def __next__(self) -> bytes:
        return next(self._chunks)

    def send(self, value: None) -> bytes:
        """Return the next chunk; the value is ignored."""
        return self._chunks.send(value)

    def throw(self, *error: Any) -> bytes:
        """End the stream, close its source, and raise the error."""
        try:
            return self._chunks.throw(*error)
        finally:
            self._life.close()

    def close(self) -> None:
        """End the stream and close its source."""
        self._chunks.close()
        self._life.close()
