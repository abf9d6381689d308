"""The settings that the responses and handlers of all interfaces share, and their checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypedDict

from ..dialects import AnyDialect
from ..errors import FrameError, FrameTypeError
from ..streaming.cleanup import CLEANUP_TIMEOUT
from ..streaming.disconnects import OnDisconnect
from ..streaming.outcome import Outcome
from ..writing.formats import FORMATS, FormatName
from ..writing.options import NDJSONOptions, SSEOptions, check_seconds, keywords_of, refuse_unknown
from .cors import CORSLike

SEND_TIMEOUT: Final = 60  # seconds
_STATUSES_WITHOUT_BODY: Final = (204, 205, 304)


class ProtocolSettings(TypedDict, total=False):
    """The keywords that the responses and all handlers share; see SSEResponse."""

    headers: Mapping[str, str] | None
    cors: CORSLike
    cleanup_timeout: float | None
    source_timeout: float | None
    hold_headers: bool
    on_close: Callable[[Outcome], Any] | None
    on_disconnect: OnDisconnect
    continue_seconds: float
    continue_bytes: int
    collect: bool
    media_type: str | None
    incremental: bool


class ResponseSettings(ProtocolSettings, total=False):
    """The same with the dialect, which is an argument of a protocol's handler."""

    dialect: AnyDialect


class KeptSettings(TypedDict, total=False):
    """The keywords of resumable responses but for status and headers; see asgi.resumable."""

    format: FormatName
    options: SSEOptions | NDJSONOptions | None
    dialect: AnyDialect
    lease: float
    replace: bool
    only_running: bool
    cors: CORSLike
    cleanup_timeout: float | None
    source_timeout: float | None
    hold_headers: bool
    on_close: Callable[[Outcome], Any] | None
    continue_seconds: float
    continue_bytes: int
    media_type: str | None
    incremental: bool


class ResumableSettings(KeptSettings, total=False):
    """The keywords that the resumable responses of all interfaces share."""

    status: int
    headers: Mapping[str, str] | None


def check_status(status: object) -> int:
    """Return the status of a stream as an int; raise FrameError if it cannot have a body."""
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise FrameError(f"status must be an int from 200 to 599, not {status!r}")
    if status in _STATUSES_WITHOUT_BODY:
        raise FrameError(f"status must be one with a body, not {int(status)}: a stream is a body")
    return int(status)


def check_on_close(on_close: object) -> None:
    """Raise FrameTypeError if `on_close` is neither callable nor None."""
    if on_close is not None and not callable(on_close):
        raise FrameTypeError(f"on_close must be callable or None, not {kind_of(on_close)}")


def kind_of(value: object) -> str:
    """Return the name of a function or class, and of the type of any other value."""
    return getattr(value, "__qualname__", None) or type(value).__name__


def check_timeouts(
    cleanup_timeout: object, source_timeout: object, send_timeout: object = SEND_TIMEOUT
) -> None:
    """Raise FrameError if a time-out is not a number of seconds; the defaults need no check."""
    if send_timeout is not SEND_TIMEOUT:
        check_seconds("send_timeout", send_timeout, optional=True)
    if cleanup_timeout is not CLEANUP_TIMEOUT:
        check_seconds("cleanup_timeout", cleanup_timeout, optional=True)
    if source_timeout is not None:
        check_seconds("source_timeout", source_timeout, optional=True)


def check_keywords(
    response: type[Any], unknown: Mapping[str, object], formats: Iterable[str]
) -> None:
    """Raise TypeError for keywords that a response does not take, and name those that it takes."""
    known = [name for name in keywords_of(response.__init__) if name[0] != "_"]
    refuse_unknown(response.__name__, unknown, known, [FORMATS[each].options for each in formats])
