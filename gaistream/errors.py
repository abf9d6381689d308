"""Every exception that gaistream raises on purpose.

All of them derive from `GaistreamError`, and each also from the built-in exception that a
caller would expect (`ValueError` for a bad value, `TypeError` for a bad type, `BufferError` for
a buffer), so that code which knows nothing of gaistream still catches the right thing. Text that
cannot be encoded raises Python's own `UnicodeEncodeError`, bytes that are not UTF-8
`UnicodeDecodeError`. This file imports nothing of ours: both twins raise these very classes.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "BufferTooSmall",
    "ClientError",
    "ClosedError",
    "ConnectionLost",
    "ContentEncodingError",
    "ContentTypeError",
    "EncodeError",
    "EventError",
    "EventTooLarge",
    "FrameError",
    "FrameTypeError",
    "GaistreamError",
    "NDJSONError",
    "ResponseError",
    "SinkError",
    "StatusError",
    "StreamError",
]


class GaistreamError(Exception):
    """The base of every exception that gaistream defines."""


class FrameError(GaistreamError, ValueError):
    """A field of a frame has a value that cannot be written: the message names the field."""


class FrameTypeError(FrameError, TypeError):
    """A field of a frame has a value of the wrong type: the message names field and type."""


class EventError(GaistreamError, TypeError):
    """What was written is not an event, nor anything that an event can be made of."""


class EncodeError(GaistreamError, TypeError):
    """A payload cannot be said in JSON: the message names the type and the path to the value."""


class BufferTooSmall(GaistreamError, BufferError):
    """A frame does not fit into the caller's buffer; nothing was written.

    Attributes:
        needed: bytes that the frame needs, counted from the offset.
        available: bytes that were there, counted from the offset.
    """

    def __init__(self, needed: int, available: int) -> None:
        super().__init__(f"the frame needs {needed} bytes, the buffer has {available} left")
        self.needed = needed
        self.available = available

    def __reduce__(self) -> tuple[type[BufferTooSmall], tuple[int, int]]:
        return type(self), (self.needed, self.available)


class EventTooLarge(GaistreamError, ValueError):
    """A reader met a line or an event beyond its limit; the reader is closed.

    Attributes:
        name: the limit's name, such as "max_event_bytes".
        limit: bytes that were allowed.
        size: bytes that were there at least.
        values: what the same call had completed before: the events of an `SSEDecoder`, the
            values of an `NDJSONDecoder`, the lines of a `LineSplitter`.
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
    """A line of NDJSON is not a JSON value; the reader can go on behind it.

    Attributes:
        reason: what is wrong with the line.
        line_number: which line it is; lines count from 1, blank ones too.
        column: the character of the line, from 1, where the value stops making sense; None where
            what read it did not tell.
        line: the line, without its end.
        values: the values that the same call had decoded before; empty where `on_error` is called,
            for the call itself gives them.
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
        """Make the error of a line that could not be read, from what reading it raised."""
        reason, column = getattr(why, "msg", None), getattr(why, "colno", None)
        if not isinstance(reason, str):
            reason = str(why) or type(why).__name__
        if line_number == 1 and line[:1] in (b"{", b"[") and line[-1:] in (b"{", b"[", b","):
            reason += " (JSON over several lines: write a value on one line, without indentation)"
        return cls(reason, line_number, column if type(column) is int else None, line, values)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.reason, self.line_number, self.column, self.line, self.values)


class ClosedError(GaistreamError, ValueError):
    """A writer, encoder or decoder was used after it ended or was closed, or from within itself."""


class ClientError(GaistreamError, OSError):
    """A client could not open its stream, or lost it and may not or could not resume it.

    Attributes:
        url: where it connected to, without credentials and query; "" where that is not known.
    """

    def __init__(self, message: str, url: str = "") -> None:
        super().__init__(message)
        self.url = url


class ConnectionLost(ClientError, ConnectionError):
    """The connection could not be made or was cut, and was not, or not once more, made anew."""


class ResponseError(ClientError):
    """A server answered with something else than a stream: the base of the next three.

    Attributes:
        status: the HTTP status.
        content_type: as the server wrote it; "" where it did not.
        body: the first bytes of what it answered, at most 2048.
        body_size: bytes of the whole answer: as declared, else as many as were read.
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
    """A status that is no stream's: final, or still there after the last attempt."""


class ContentTypeError(ResponseError):
    """The status was 200 and the content type that of no stream."""


class ContentEncodingError(ResponseError):
    """The body has a content coding that was not asked for, is not known, or cannot be undone."""


class SinkError(GaistreamError, TypeError, RuntimeError):
    """A sink broke its contract: it returned an awaitable or an impossible count, or wrote back
    into the writer that was calling it."""


class StreamError(GaistreamError):
    """An error whose text may be shown to the client.

    Raise it in a source, a provider or `prepare_request`: before the first byte it becomes an
    HTTP status with a small JSON body, after it the error event of the dialect. The text of any
    other exception never leaves the server.

    Args:
        message: the text for the client.
        code: a short machine-readable word for the client.
        status: the HTTP status (400 to 599) if nothing has been sent yet.
        retry_after: seconds after which a new try makes sense, sent as `Retry-After`.

    Raises:
        FrameError: an argument that could not be sent.
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


def is_http_error(error: object) -> bool:
    """Return True for an exception that is an HTTP answer, such as Starlette's HTTPException."""
    status = getattr(error, "status_code", None)
    return (
        isinstance(status, int)
        and (300 <= status <= 599 and status != 304)
        and hasattr(error, "detail")
        and hasattr(error, "headers")
    )


def is_public(error: object) -> bool:
    """Return True for an exception that is meant for the client: it is no fault to be logged."""
    return isinstance(error, StreamError) or is_http_error(error)


def ungrouped(error: BaseException) -> BaseException:
    """Return the one public error that a group holds, nested groups too; else the group itself.

    A task group wraps whatever one of its tasks raises.
    """
    inner = error
    while isinstance(inner, BaseExceptionGroup) and len(inner.exceptions) == 1:
        inner = inner.exceptions[0]
    return inner if is_public(inner) else error


def _stream_error(message: str, code: str, status: int, retry_after: float | None) -> StreamError:
    return StreamError(message, code=code, status=status, retry_after=retry_after)
