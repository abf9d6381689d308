"""Writers: an encoder, a sink and a lock.

Frames are whole and ids contiguous in the order written, whatever the number of threads. A sink
that raises ends the writer: the pending bytes are dropped (how many of them it took is unknown),
the error reaches the caller once, and every later call raises ClosedError.
"""

from __future__ import annotations

import inspect
import io
import os
from typing import Any, Self

from ..core import FrameWriter
from ..dialects import AnyDialect
from ..errors import SinkError
from .encoder import NDJSONEncoder, SSEEncoder
from .flush_timer import flush_later
from .options import NDJSONOptions, SSEOptions

__all__ = ["NDJSONWriter", "SSEWriter"]


class _Writer(FrameWriter):
    """An encoder, a sink and a lock. Thread-safe."""

    def __init__(self, sink: Any, encoder: Any) -> None:
        write = getattr(sink, "write", sink)
        if not callable(write):
            raise SinkError(f"a sink is a callable or has write(), {type(sink).__name__} neither")
        options = encoder.options
        none_is_refusal = isinstance(getattr(write, "__self__", sink), io.RawIOBase)
        super().__init__(
            write, encoder, options.flush_after_write, options.buffer_size, none_is_refusal
        )
        self._flush_interval: float = options.flush_interval
        self._flush_scheduled = 0  # the process that has a timer: a fork does not take it along

    def close(self) -> None:
        """End the stream: write `done` unless it failed, and send all pending bytes.

        The sink stays open. A second call does nothing. An exception of the sink is raised once.
        """
        self._end(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._end(None)
            return
        try:
            self._end(error)
        except Exception as failure:
            error.add_note(f"(and the writer could not be closed: {failure!r})")

    def _end(self, error: BaseException | None) -> None:
        self._locked(self._end_once, error)

    def _end_once(self, error: BaseException | None) -> None:
        """Close; an Exception is written as an error event, another error cuts the stream."""
        self._report()
        if self._closed:
            return
        self._closed = True
        if error is None or isinstance(error, Exception):
            encoder: Any = self._encoder
            encoder.end(error)
        self._send()

    def _flush_soon(self) -> None:
        if self._flush_scheduled != os.getpid():
            flush_later(self, self._flush_interval)
            self._flush_scheduled = os.getpid()

    def flush_if_due(self) -> bool:
        """Send the pending bytes, for the timer. False: the writer was busy, call again."""
        if not self._try_acquire():
            return False
        try:
            self._flush_scheduled = 0
            if not self._closed:
                self._send()
        except BaseException as error:
            self._unreported = error
        finally:
            self._release()
        return True

    def _accepted(self, answer: Any, size: int) -> int:
        if answer is None:
            raise BlockingIOError("the sink is a non-blocking file that would block")
        if type(answer) is int and 0 < answer <= size:
            return answer
        if inspect.isawaitable(answer):
            if inspect.iscoroutine(answer):
                answer.close()
            raise SinkError("the sink returned an awaitable: a writer's sink must not be async")
        raise SinkError(f"the sink returned {answer!r} for {size} bytes: not None, nor a count")


class SSEWriter(_Writer):
    """Write Server-Sent Events to a sink. Thread-safe.

    As a context manager it closes at the end of the block: with `done`, or after an exception with
    an error event, unless an Error was the last event; the exception is not suppressed. A writer
    that is dropped without close() loses its pending bytes.

    Args:
        sink: a callable that takes bytes, or an object with `write`. It returns None, or how many
            of the bytes it took (it is called again with the rest). It must not be async, and must
            not use the writer.
        options: SSEOptions() if None.
        dialect: "gai"; "json": each item is a payload; "raw": each is a frame; or a Dialect.
    """

    def __init__(
        self, sink: Any, options: SSEOptions | None = None, *, dialect: AnyDialect = "gai"
    ) -> None:
        encoder = SSEEncoder(options, dialect=dialect)
        retry = encoder.options.first_retry
        if retry is not None:
            encoder.write_reconnection_time(retry)  # sent with the first event
        super().__init__(sink, encoder)


class NDJSONWriter(_Writer):
    """Write lines of JSON to a sink; everything else as SSEWriter. Thread-safe."""

    def __init__(
        self, sink: Any, options: NDJSONOptions | None = None, *, dialect: AnyDialect = "gai"
    ) -> None:
        super().__init__(sink, NDJSONEncoder(options, dialect=dialect))
