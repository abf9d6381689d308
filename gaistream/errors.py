"""Every exception that gaistream raises on purpose.

Each derives from `GaistreamError` and from the built-in exception that a caller would expect
(`ValueError` for a bad value, `TypeError` for a bad type, `BufferError` for a buffer), so code
that does not know gaistream catches the right thing. Text that cannot be encoded raises Python's
own `UnicodeEncodeError`, and bytes that are not UTF-8 raise `UnicodeDecodeError`. Both twins raise
these classes, so this file imports no other module of gaistream.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "BufferTooSmall",
    "ChannelClosed",
    "ChannelError",
    "ChannelFull",
    "ClientError",
    "ClosedError",
    "ConnectionLost",
    "ContentEncodingError",
    "ContentTypeError",
    "EncodeError",
    "EventError",
    "EventTooLarge",
    "Fenced",
    "FrameError",
    "FrameTypeError",
    "GaistreamError",
    "InvalidRequest",
    "LeftRunningError",
    "LogError",
    "NDJSONError",
    "ResponseError",
    "SinkError",
    "StatusError",
    "StreamError",
    "StreamInUse",
    "UnsayableError",
]


class GaistreamError(Exception):
    """The base of every exception that gaistream defines."""


class FrameError(GaistreamError, ValueError):
    """A field or a setting has a value that cannot be used: the message names it."""


class FrameTypeError(FrameError, TypeError):
    """A field or a setting has a value of the wrong type: the message names both."""


class EventError(GaistreamError, TypeError):
    """An item is not an event and cannot be made into one, or a source is not iterable."""


class EncodeError(GaistreamError, TypeError):
    """A payload cannot be encoded as JSON: the message names the type and the path to the value."""


class BufferTooSmall(GaistreamError, BufferError):
    """A frame does not fit into the caller's buffer. Nothing was written.

    Attributes:
        needed: size of the frame in bytes.
        available: bytes between the offset and the end of the buffer.
    """

    def __init__(self, needed: int, available: int) -> None:
        super().__init__(f"the frame needs {needed} bytes, the buffer has {available} left")
        self.needed = needed
        self.available = available

    def __reduce__(self) -> tuple[type[BufferTooSmall], tuple[int, int]]:
        return type(self), (self.needed, self.available)


class EventTooLarge(GaistreamError, ValueError):
    """A line or an event is beyond a reader's limit. The reader is closed.

    Attributes:
        what: what is too large, such as "an event".
        name: name of the limit, such as "max_event_bytes".
        limit: the limit in bytes.
        size: lower bound of the actual size in bytes.
        values: completed before by the same call: events of an `SSEDecoder`, values of an
            `NDJSONDecoder`, lines of a `LineSplitter`.
    """

    def __init__(self, what: str, name: str, limit: int, size: int, values: list[Any]) -> None:
        super().__init__(f"{what} exceeds {name}={limit}: it has at least {size} bytes")
        self.what = what
        self.name = name
        self.limit = limit
        self.size = size
        self.values = values

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.what, self.name, self.limit, self.size, self.values)


class NDJSONError(GaistreamError, ValueError):
    """A line of NDJSON is not a JSON value. The reader can go on after it.

    Attributes:
        reason: description of the error.
        line_number: number of the line from 1, counting blank lines.
        column: number of the first wrong character from 1; None if the JSON library does not
            report it.
        line: the line, without its end.
        values: decoded before by the same call; empty in `on_error`, since the call returns them.
    """

    def __init__(
        self, reason: str, line_number: int, column: int | None, line: bytes, values: list[Any]
    ) -> None:
        place = f"line {line_number}" if column is None else f"line {line_number}, column {column}"
        super().__init__(f"{place}: {reason}")
        self.reason = reason
        self.line_number = line_number
        self.column = column
        self.line = line
        self.values = values

    @classmethod
    def of(
        cls, why: Exception | str, line_number: int, line: bytes, values: list[Any]
    ) -> NDJSONError:
        """Return the error of a line, from the exception that decoding it raised."""
        reason, column = getattr(why, "msg", None), getattr(why, "colno", None)
        if not isinstance(reason, str):
            reason = str(why) or type(why).__name__
        if line_number == 1 and line[:1] in (b"{", b"[") and line[-1:] in (b"{", b"[", b","):
            reason += " (JSON over several lines: write a value on one line, without indentation)"
        return cls(reason, line_number, column if type(column) is int else None, line, values)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.reason, self.line_number, self.column, self.line, self.values)


class ClosedError(GaistreamError, ValueError):
    """A writer, encoder or decoder was used after its end, or from within one of its own calls."""


class ChannelError(GaistreamError, RuntimeError):
    """A Channel was used where it cannot be: by a second response, or on another event loop."""


class ChannelFull(GaistreamError, BufferError):
    """A Channel has no room for an item, which was not put: the client takes less than comes."""


class ChannelClosed(ClosedError):
    """An item was put into a Channel that was closed or whose stream is over, and is not sent.

    Attributes:
        outcome: the gaistream.Outcome of the stream, as far as it is known; None if no stream had
            begun.
    """

    def __init__(self, message: str, outcome: Any = None) -> None:
        super().__init__(message)
        self.outcome = outcome

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (*self.args, self.outcome)


class ClientError(GaistreamError, OSError):
    """A client could not open its stream, or lost it and could not or must not resume it.

    Attributes:
        url: the URL of the request, without credentials and query; "" if it is not known.
    """

    def __init__(self, message: str, url: str = "") -> None:
        super().__init__(message)
        self.url = url


class ConnectionLost(ClientError, ConnectionError):
    """The connection failed or was cut, and no reconnect succeeded."""


class ResponseError(ClientError):
    """A server's response is not a stream that can be read: the base of the three below.

    Attributes:
        status: the HTTP status.
        content_type: the `Content-Type`; "" if it is missing.
        body: the first bytes of the body, at most 2048.
        body_size: size of the body in bytes, as declared; otherwise the bytes that were read.
    """

    def __init__(
        self,
        message: str,
        url: str = "",
        status: int = 0,
        content_type: str = "",
        body: bytes = b"",
        body_size: int = 0,
    ) -> None:
        super().__init__(message, url)
        self.status = status
        self.content_type = content_type
        self.body = body
        self.body_size = body_size


class StatusError(ResponseError):
    """The status is not that of a stream, and either final or the same after the last attempt."""


class ContentTypeError(ResponseError):
    """The status is 200, but the content type is not that of a stream."""


class ContentEncodingError(ResponseError):
    """The body has a content coding that was not requested, is unknown, or cannot be decoded."""


class SinkError(GaistreamError, TypeError, RuntimeError):
    """A sink broke its contract: it returned an awaitable or an impossible count, or wrote back
    into the writer that was calling it."""


class UnsayableError(GaistreamError, ValueError):
    """A protocol has no frame for the failure of its stream: only a broken connection shows it."""


class LogError(GaistreamError, OSError):
    """A log of kept streams cannot be read or written. Nothing that was acknowledged is lost.

    Attributes:
        reason: "full" (the disk, or the memory of Redis), "read_only" (a replica of Redis, too),
            "locked" (longer than the log waits), "corrupt" (or not a log at all), "newer_schema"
            (written by a newer gaistream), "denied" (by Redis: a wrong password, or a missing
            right), "unavailable", or "closed".
    """

    def __init__(self, message: str, reason: str = "unavailable") -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type[LogError], tuple[str, str]]:
        return type(self), (str(self), self.reason)


class Fenced(GaistreamError, RuntimeError):
    """A producer's generation is over: it was replaced, has ended, or its lease has run out.

    The producer must end. None of the records of the call was kept.
    """


class StreamInUse(GaistreamError, RuntimeError):
    """A stream cannot begin, because its producer is alive: follow it, or begin with `replace`."""


class LeftRunningError(GaistreamError, AssertionError):
    """In a test, an app left something running: the message names each task, generator or thread.

    Attributes:
        names: what was left.
    """

    def __init__(self, names: list[str]) -> None:
        super().__init__(f"the app has left running: {'; '.join(names)}")
        self.names = names


class StreamError(GaistreamError):
    """An error whose text may be shown to the client.

    Raise it in a source, a provider or `prepare_request`. Before the first byte it becomes an HTTP
    status with a small JSON body, later the error event of the dialect. The text of any other
    exception never leaves the server.

    Args:
        message: the text for the client.
        code: a short machine-readable word, such as "overloaded".
        status: the HTTP status (400 to 599), if nothing was sent yet.
        retry_after: seconds after which the client may try again, sent as `Retry-After`.

    Raises:
        FrameError: an argument could not be sent.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "error",
        status: int = 502,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        for name, value in (("message", message), ("code", code)):
            if not isinstance(value, str):
                raise FrameTypeError(f"{name} must be str, not {type(value).__name__}")
        if type(status) is not int or not 400 <= status <= 599:
            raise FrameError(f"status must be an int from 400 to 599, not {status!r}")
        if retry_after is not None and not isinstance(retry_after, int | float):
            kind = type(retry_after).__name__
            raise FrameTypeError(f"retry_after must be seconds or None, not {kind}")
        self.message = message
        self.code = code
        self.status = status
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[object, ...]:
        return _stream_error, (self.message, self.code, self.status, self.retry_after)


class InvalidRequest(StreamError, ValueError):
    """A client's request has a missing or wrong field: it is answered with 400.

    Args:
        message: the text for the client, which names the field.
        field: the path to the field, such as `messages[0].content`; "" for the request itself.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message, code="bad_request", status=400)
        self.field = field

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message, self.field)


def is_http_error(error: object) -> bool:
    """Return True for an exception that is an HTTP response, such as Starlette's HTTPException."""
    status = getattr(error, "status_code", None)
    return (
        isinstance(status, int)
        and (300 <= status <= 599 and status != 304)
        and hasattr(error, "detail")
        and hasattr(error, "headers")
    )


def is_public(error: object) -> bool:
    """Return True for an exception that is meant for the client: it is not logged as a fault."""
    return isinstance(error, StreamError) or is_http_error(error)


def ungrouped(error: BaseException) -> BaseException:
    """Return the only error in a group, or in nested groups, if it is public; else `error`.

    A task group wraps every exception of its tasks.
    """
    inner = only_error(error)
    return inner if is_public(inner) else error


def only_error(error: BaseException) -> BaseException:
    """Return the only error in a group, or in nested groups; `error` if there are several."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def name_of_kind(item: object) -> str:
    """Return the name of an item's type; of another library's ServerSentEvent with its module."""
    name = type(item).__name__
    return f"{type(item).__module__}.{name}" if name == "ServerSentEvent" else name


def _stream_error(message: str, code: str, status: int, retry_after: float | None) -> StreamError:
    return StreamError(message, code=code, status=status, retry_after=retry_after)
