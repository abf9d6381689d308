"""Event -> frame -> sink: encoders (bytes to be taken) and writers (bytes that are sent).

An encoder is a frame buffer of the core with a dialect and options. A writer is an encoder, a
sink and a lock: frames are whole and ids contiguous in the order written, whatever the number of
threads. A sink that raises ends the writer: what was pending is dropped (how much of it went out
nobody knows), the error reaches the caller once, and every later call raises ClosedError.
"""

from __future__ import annotations

import inspect
import io
import os
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Self

from .._log import log
from ..core import BaseNDJSONEncoder, BaseSSEEncoder, FrameWriter
from ..core import json as _json
from ..dialects import AnyDialect, create_writer
from ..dialects.base import error_event
from ..errors import FrameError, FrameTypeError, SinkError
from .flush_timer import flush_later
from .options import NDJSONOptions, SSEOptions

__all__ = ["NDJSONEncoder", "NDJSONWriter", "SSEEncoder", "SSEWriter", "encode_events"]


_DEFAULTS = {kind: kind() for kind in (SSEOptions, NDJSONOptions)}  # frozen, so all may share them


def _options(kind: type[Any], options: Any) -> Any:
    if options is None:
        return _DEFAULTS[kind]
    if type(options) is not kind:
        expected = kind.__name__
        raise FrameTypeError(f"options must be {expected} or None, not {type(options).__name__}")
    return options


def _own_dumps(options: SSEOptions | NDJSONOptions, compact: bool) -> Callable[[Any], bytes]:
    """Return what encodes payloads in the core's place."""
    return partial(_json.dumps, errors=options.errors, compact=compact, default=options.default)


class _Ending:
    """Mixin: how a stream of events ends."""

    __slots__ = ()

    def end(self: Any, failure: BaseException | None = None) -> None:
        """Write the end of the stream: the dialect's error for a failure, else its success.

        Write nothing if the stream has an end already, or if the last event was an Error: that is
        the stream's error, and `failure` is not written after it.

        Args:
            failure: the exception that ended the stream, or None. Only a StreamError's text is
                written; any other failure is an "internal error".
        """
        if self.ended or self.failed:
            return
        if failure is None:
            self.finish()
            return
        try:
            self.fail(error_event(failure))
        except Exception:
            log.exception("the text of an error could not be written: %r", failure)
            self.fail(error_event(Exception()))  # in general words


class SSEEncoder(_Ending, BaseSSEEncoder):
    """Events in, Server-Sent Events out: `write…`, then `take`. Belongs to one task.

    Args:
        options: what is written; SSEOptions() if None.
        dialect: "gai"; "json": each item is a payload; "raw": each is a frame; or a Dialect.
    """

    __slots__ = ("options",)

    options: SSEOptions

    def __init__(self, options: SSEOptions | None = None, *, dialect: AnyDialect = "gai") -> None:
        made: SSEOptions = _options(SSEOptions, options)
        super().__init__(
            create_writer(dialect, "sse", made.error_retry),
            made.buffer_size,
            made.errors,
            made.include_id,
            None if made.default is None else _own_dumps(made, True),
        )
        self.options = made

    def begin(self) -> None:
        """Write the beginning of a stream: a comment, and `retry_ms` if that option is set.

        The bytes make proxies and middleware forward the response before the first event.
        """
        self.write_prelude(self.options.first_retry)

    def write_reconnection_time(self, milliseconds: int) -> None:
        """Write after how many milliseconds a client whose connection ends should reconnect."""
        self.write_frame(retry=milliseconds)


class NDJSONEncoder(_Ending, BaseNDJSONEncoder):
    """Events in, lines of JSON out: `write…`, then `take`. Belongs to one task.

    Args:
        options: what is written; NDJSONOptions() if None.
        dialect: "gai"; "json": each item is a payload; "raw": each is a frame; or a Dialect.
    """

    __slots__ = ("options",)

    options: NDJSONOptions

    def __init__(
        self, options: NDJSONOptions | None = None, *, dialect: AnyDialect = "gai"
    ) -> None:
        made: NDJSONOptions = _options(NDJSONOptions, options)
        compact = made.compact_json
        super().__init__(
            create_writer(
                dialect, "ndjson", compact=compact, timestamps=made.include_timestamp
            ),
            made.buffer_size,
            made.errors,
            None if compact and made.default is None else _own_dumps(made, compact),
        )
        self.options = made

    def write_event(self, event: str, data: Any) -> None:
        """Write the line `{"type":event,…}`: a dict's items beside the type, else `"data"`."""
        if not isinstance(event, str):
            raise FrameTypeError(f"event must be str, not {type(event).__name__}")
        line: dict[str, Any] = {"type": event}
        if self.options.include_timestamp:
            line["timestamp"] = int(time.time())
        if isinstance(data, dict):
            if "type" in data:
                raise FrameError("data must not have a 'type' of its own: the event is the type")
            line.update(data)
        elif isinstance(data, bytes | bytearray | memoryview):
            line["data"] = bytes(data).decode(errors=self.options.errors)
        else:
            line["data"] = data
        self.write_line(line)

    def write_frame(
        self,
        data: str | bytes | bytearray | memoryview | None = None,
        event: str | None = None,
        *,
        id: str | int | None = None,
        retry: int | None = None,
        comment: str | None = None,
        json: Any = ...,
    ) -> None:
        """Write a line: `data` is one that is JSON already, `json` any payload.

        With `event` it is what write_event writes. NDJSON has no ids, retries and comments: they
        raise FrameError.
        """
        for field, value in (("id", id), ("retry", retry), ("comment", comment)):
            if value is not None:
                raise FrameError(f"{field} must be None: an NDJSON line has no {field} field")
        if json is not ... and data is not None:
            raise FrameError("data and json exclude each other")
        if event is not None:
            self.write_event(event, data if json is ... else json)
        elif json is not ...:
            self.write_line(json)
        elif data is not None:
            self.write_text_line(data)
        else:
            raise FrameError("a line needs data or json")

    def write_comment(self, text: str = "") -> None:  # noqa: ARG002
        """Raise FrameError: NDJSON has no comments."""
        raise FrameError("NDJSON has no comments")

    def begin(self) -> None:
        """Write nothing: a reader would take any first bytes for a value."""

    def write_reconnection_time(self, milliseconds: int) -> None:
        """Write nothing: NDJSON has no reconnection time."""


def encode_events(
    events: Iterable[Any], format: str = "sse", dialect: AnyDialect = "gai"
) -> bytes:
    """Encode many events in one call, with default options; what follows Done is left out.

    Args:
        events: what a source may yield: events, str, dicts with a `type`, …
        format: "sse" or "ndjson".
        dialect: "gai"; "json": each item is a payload; "raw": each is a frame; or a Dialect.

    Returns:
        The frames, one behind the other. Done is written where it stands, not added.
    """
    if format not in ("sse", "ndjson"):
        raise FrameError(f"format must be 'sse' or 'ndjson', not {format!r}")
    encoder = (SSEEncoder if format == "sse" else NDJSONEncoder)(dialect=dialect)
    encoder.write_many(events)
    return encoder.take()


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
        self._flush_scheduled = 0  # in which process: timers stay behind at a fork

    def close(self) -> None:
        """End the stream: write `done` unless it failed, send what waits. The sink stays open.

        A second call does nothing. Raises what the sink raises, once.
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
        """Close; an Exception is told to the client, any other error just cuts the stream."""
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
        """Send what has waited; called by the timer. False: the writer was busy, try again."""
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
    """Server-Sent Events to a sink. Thread-safe.

    Args:
        sink: a callable that takes bytes, or an object with `write`. It returns None, or how many
            of the bytes it took (the rest is given to it again). It must not be async, nor use
            the writer.
        options: what is written and when; SSEOptions() if None.
        dialect: "gai"; "json": each item is a payload; "raw": each is a frame; or a Dialect.

    One that is dropped without close() loses what still waits. As a context manager it closes at
    the end: with `done`, or after an exception with the error event instead, and the exception
    goes on.
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
    """Lines of JSON to a sink; everything else as SSEWriter. Thread-safe."""

    def __init__(
        self, sink: Any, options: NDJSONOptions | None = None, *, dialect: AnyDialect = "gai"
    ) -> None:
        super().__init__(sink, NDJSONEncoder(options, dialect=dialect))
