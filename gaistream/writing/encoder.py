"""Encoders: events in, bytes out, without I/O.

An encoder is the core's encoder for one format, with a dialect and options. It writes frames into
one buffer, from which its user takes them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .._log import log
from ..core import BaseNDJSONEncoder, BaseSSEEncoder, json_bytes
from ..dialects import AnyDialect, create_writer
from ..dialects.base import error_event
from ..dialects.identity import unix_time
from ..errors import FrameError, FrameTypeError, StreamError, UnsayableError
from .options import NDJSONOptions, SSEOptions

if TYPE_CHECKING:
    from ..message import Message

__all__ = ["NDJSONEncoder", "SSEEncoder"]

_Options = TypeVar("_Options", SSEOptions, NDJSONOptions)

# Options are frozen, so that all encoders may share the defaults.
_DEFAULTS: Final[dict[type[Any], Any]] = {kind: kind() for kind in (SSEOptions, NDJSONOptions)}


def _checked(kind: type[_Options], options: _Options | None) -> _Options:
    """Return options of this class: the given ones, or its defaults for None."""
    if options is None:
        defaults: _Options = _DEFAULTS[kind]
        return defaults
    if type(options) is not kind:
        expected = kind.__name__
        raise FrameTypeError(f"options must be {expected} or None, not {type(options).__name__}")
    return options


def _dumps(options: SSEOptions | NDJSONOptions, *, compact: bool) -> Callable[[Any], bytes]:
    """Return a function that encodes payloads in the place of the core's own."""
    return partial(json_bytes, errors=options.errors, compact=compact, default=options.default)


def _end(encoder: Any, failure: BaseException | None = None) -> None:
    """Write the end of the stream: the dialect's error for a failure, else its success.

    Write nothing if the stream has an end already, or if the last event was an Error: that is
    the stream's error, and `failure` is not written after it.

    Args:
        encoder: this encoder.
        failure: the exception that ended the stream, or None. Only a StreamError's text is
            written; any other failure is an "internal error".
    """
    if encoder.ended or encoder.failed:
        return
    if failure is None:
        encoder.finish()
        return
    try:
        encoder.fail(error_event(failure))
    except UnsayableError:
        raise
    except Exception:
        log.exception("the text of an error could not be written: %r", failure)
        encoder.fail(error_event(Exception()))  # in general words


class SSEEncoder(BaseSSEEncoder):
    """Encode events as Server-Sent Events: `write…`, then `take`. Belongs to one task.

    Args:
        options: SSEOptions() if None.
        dialect: "gai"; "json": each item is a payload; "raw": each is a frame; or a Dialect.
    """

    __slots__ = ("_writer", "options")

    options: SSEOptions

    def __init__(self, options: SSEOptions | None = None, *, dialect: AnyDialect = "gai") -> None:
        options = _checked(SSEOptions, options)
        self._writer = create_writer(dialect, "sse", options.error_retry)
        super().__init__(
            self._writer,
            options.buffer_size,
            options.errors,
            options.include_id,
            None if options.default is None else _dumps(options, compact=True),
        )
        self.options = options

    end = _end

    def begin(self) -> None:
        """Write the beginning of a stream: a comment, and `retry_ms` if that option is set.

        The bytes make proxies and middleware forward the response before the first event.
        """
        self.write_prelude(self.options.first_retry)

    def whole(self, message: Message) -> dict[str, Any]:
        """Return the whole answer that a request without streaming gets, after the end."""
        return self._writer.whole(message)

    def write_heartbeat(self) -> None:
        """Write the heartbeat of the options: a comment, or the dialect's own."""
        if (self.options.chosen_heartbeat or self._writer.default_heartbeat) == "native":
            self._writer.heartbeat(self)
        else:
            super().write_heartbeat()

    def write_reconnection_time(self, milliseconds: int) -> None:
        """Write after how many milliseconds a client whose connection ends should reconnect."""
        self.write_frame(retry=milliseconds)

    def write_drain(self, retry_ms: int | None) -> None:
        """Write the end of a stream that a drain ends: the dialect's error, or a retry hint."""
        if self._writer.drain_is_error:
            self.end(StreamError("the server is shutting down", code="shutting_down", status=503))
        elif retry_ms is not None:
            self.write_reconnection_time(retry_ms)


class NDJSONEncoder(BaseNDJSONEncoder):
    """Encode events as lines of JSON: `write…`, then `take`. Belongs to one task.

    Args:
        options: NDJSONOptions() if None.
        dialect: "gai"; "json": each item is a payload; "raw": each is a frame; or a Dialect.
    """

    __slots__ = ("options",)

    options: NDJSONOptions

    def __init__(
        self, options: NDJSONOptions | None = None, *, dialect: AnyDialect = "gai"
    ) -> None:
        options = _checked(NDJSONOptions, options)
        compact = options.compact_json
        super().__init__(
            create_writer(dialect, "ndjson", compact=compact, timestamps=options.include_timestamp),
            options.buffer_size,
            options.errors,
            None if compact and options.default is None else _dumps(options, compact=compact),
        )
        self.options = options

    def write_event(self, event: str, data: Any) -> None:
        """Write the line `{"type":event,…}` with the items of a dict, or else with `"data"`."""
        if not isinstance(event, str):
            raise FrameTypeError(f"event must be str, not {type(event).__name__}")
        line: dict[str, Any] = {"type": event}
        if self.options.include_timestamp:
            line["timestamp"] = int(unix_time())
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
        """Write a line: `data` is a line of JSON, `json` a payload to encode.

        With `event` the line is that of `write_event`.

        Raises:
            FrameError: `id`, `retry` or `comment` is set: NDJSON has no such fields.
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

    end = _end

    def begin(self) -> None:
        """Write nothing: a reader would take any first bytes for a value."""

    def write_reconnection_time(self, milliseconds: int) -> None:
        """Write nothing: NDJSON has no reconnection time."""

    def write_drain(self, retry_ms: int | None) -> None:
        """Write nothing: a client sees that the last line is missing."""
