"""Options of encoders and writers: SSEOptions and NDJSONOptions, and checks of arguments.

Options are frozen dataclasses, checked when they are made. They say what is written and when it is
flushed; settings of the connection (`cors`, `send_timeout`, `hold_headers`, `on_close`) are
keywords of responses and handlers.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal

from ..core import checked_int
from ..errors import FrameError, FrameTypeError

__all__ = ["NDJSONOptions", "SSEOptions"]


class _Default(int):
    """A default that was not set by the user: equal to its value, recognised by its type."""

    def __repr__(self) -> str:
        return repr(bool(self)) if self < 2 else int.__repr__(self)


_RETRY_MS: Final = _Default(5000)
_NO_IDS: Final[Any] = _Default(False)


class _DefaultText(str):
    """As _Default, of a str."""

    __slots__ = ()


_COMMENT: Final[Any] = _DefaultText("comment")

LONGEST_RETRY_MS: Final = 2**63 - 1
_LONGEST_SECONDS: Final = 1e9  # longer than any timer runs


def _shown(value: float) -> str:
    """Return a number for a message; one of thousands of digits is only described."""
    if isinstance(value, int) and value.bit_length() > 64:
        return f"an int of {value.bit_length()} bits"
    return repr(value)


def check_seconds(name: str, value: object, *, optional: bool) -> None:
    """Raise FrameError unless `value` is a time in seconds.

    Args:
        name: the argument's name, for the message.
        value: a finite int or float.
        optional: True: 0 and None are allowed, for no time at all.

    Raises:
        FrameTypeError: `value` has another type.
        FrameError: `value` is out of range.
    """
    if value is None and optional:
        return
    if not isinstance(value, int | float) or isinstance(value, bool):
        expected = "seconds or None" if optional else "seconds"
        raise FrameTypeError(f"{name} must be {expected}, not {type(value).__name__}")
    if _LONGEST_SECONDS < value < math.inf:
        longest = int(_LONGEST_SECONDS)
        raise FrameError(f"{name} must be at most {longest} seconds, not {_shown(value)}")
    if not (0 < value < math.inf or (optional and value == 0)):
        least = "at least 0" if optional else "more than 0"
        raise FrameError(f"{name} must be {least} and finite, not {_shown(value)}")


def check_source_times(cleanup_timeout: object, source_timeout: object) -> None:
    """Raise FrameError unless both are times in seconds, 0 or None."""
    check_seconds("cleanup_timeout", cleanup_timeout, optional=True)
    check_seconds("source_timeout", source_timeout, optional=True)


def refuse_source_timeout(source_timeout: object, mend: str) -> None:
    """Raise FrameError for the timeout of a sync source, which runs in the caller's thread."""
    if source_timeout:
        raise FrameError(
            f"source_timeout needs {mend}: a sync source runs in the thread that asks for its"
            " items, which nothing can interrupt"
        )


def refuse_unknown(
    name: str, unknown: Mapping[str, object], known: Iterable[str], options: Iterable[type[Any]]
) -> None:
    """Raise TypeError for keywords that a public class or function does not take.

    Args:
        name: of the class or function.
        unknown: the keywords that it does not take.
        known: the keywords that it takes.
        options: the classes of its options.
    """
    for keyword in unknown:
        message = f"{name}() got an unexpected keyword argument {keyword!r}"
        for kind in options:
            if keyword in (field.name for field in fields(kind)):
                raise TypeError(f"{message}: it is an option, {kind.__name__}({keyword}=...)")
        kinds = " and ".join(kind.__name__ for kind in options)
        raise TypeError(f"{message}: it takes {', '.join(known)}, and the options of {kinds}")


def keywords_of(function: Callable[..., Any]) -> list[str]:
    """Return the names of a function's keyword-only arguments."""
    parameters = inspect.signature(function).parameters.values()
    return [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]


def _check_switch(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise FrameTypeError(f"{name} must be bool, not {type(value).__name__}")


def _check_common(options: SSEOptions | NDJSONOptions) -> None:
    if options.default is not None and not callable(options.default):
        kind = type(options.default).__name__
        raise FrameTypeError(f"default must be callable or None, not {kind}")
    check_seconds("heartbeat_interval", options.heartbeat_interval, optional=True)
    _check_switch("flush_after_write", options.flush_after_write)
    if options.errors not in ("replace", "strict"):
        raise FrameError(f"errors must be 'strict' or 'replace', not {options.errors!r}")
    checked_int("buffer_size", options.buffer_size, 1, 2**30, "bytes")
    check_seconds("flush_interval", options.flush_interval, optional=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SSEOptions:
    """How Server-Sent Events are written.

    Attributes:
        heartbeat_interval: seconds of silence before a heartbeat; 0 or None: no heartbeats.
        heartbeat: "comment", which readers ignore, or "native": the protocol's own heartbeat, if it
            has one (a ping in Anthropic's, an empty delta in Chat Completions). If you do not set
            it: a comment; in Anthropic's protocol a ping.
        flush_after_write: True: bytes are sent as soon as the source waits. False: bytes are held
            until there are `buffer_size` of them or the oldest is `flush_interval` old. The first
            event of a stream is never held.
        max_retries: 0: error events have no `retry:` field. (A switch, with the name that the
            original gave it.)
        retry_ms: milliseconds in the `retry:` field of error events. If you set it, it is sent at
            the start of the stream too.
        errors: "replace" lone surrogates and bytes that are not UTF-8 by U+FFFD, or "strict": the
            write raises.
        buffer_size: bytes that the buffer starts with; with flush_after_write=False also the size
            at which it is flushed.
        include_id: write an `id:` field in every frame, from 1. Handlers do so unless you set it
            to False, because they recognise a reconnect by its id.
        flush_interval: seconds, the longest that bytes are held with flush_after_write=False.
        default: called with each value in a payload that JSON does not know (a Decimal, bytes, a
            set); it returns the value to encode instead. None: such a value raises EncodeError.
    """

    heartbeat_interval: float | None = 15.0
    flush_after_write: bool = True
    max_retries: int = 3
    retry_ms: int = _RETRY_MS
    errors: str = "replace"
    buffer_size: int = 4096
    include_id: bool = _NO_IDS
    flush_interval: float = 0.1
    default: Callable[[Any], Any] | None = None
    heartbeat: Literal["comment", "native"] = _COMMENT

    def __post_init__(self) -> None:
        _check_common(self)
        if self.heartbeat not in ("comment", "native"):
            raise FrameError(f"heartbeat must be 'comment' or 'native', not {self.heartbeat!r}")
        checked_int("max_retries", self.max_retries, 0, 2**31, "")
        checked_int("retry_ms", self.retry_ms, 0, LONGEST_RETRY_MS, "milliseconds")
        if not isinstance(self.include_id, _Default):
            _check_switch("include_id", self.include_id)

    @property
    def with_ids(self) -> SSEOptions:
        """These options with ids, unless they were switched off."""
        return replace(self, include_id=True) if isinstance(self.include_id, _Default) else self

    @property
    def chosen_heartbeat(self) -> str | None:
        """`heartbeat` if it was set, else None: the dialect chooses."""
        return None if isinstance(self.heartbeat, _DefaultText) else self.heartbeat

    @property
    def first_retry(self) -> int | None:
        """The reconnection time to send at the start: `retry_ms` if it was set, else None."""
        return None if type(self.retry_ms) is _Default else self.retry_ms

    @property
    def error_retry(self) -> int | None:
        """The reconnection time to send with an error, or None."""
        return int(self.retry_ms) if self.max_retries > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class NDJSONOptions:
    """How newline-delimited JSON is written.

    Attributes:
        heartbeat_interval: seconds of silence before a `{"type":"ping"}` line; 0 or None: no
            such lines.
        flush_after_write: as in SSEOptions.
        errors: as in SSEOptions.
        buffer_size: as in SSEOptions.
        flush_interval: as in SSEOptions.
        compact_json: False: write one space after each `:` and `,`; still one line.
        include_timestamp: write `"timestamp"`, the event's time in whole Unix seconds.
        default: as in SSEOptions.
    """

    heartbeat_interval: float | None = None
    flush_after_write: bool = True
    errors: str = "replace"
    buffer_size: int = 8192
    flush_interval: float = 0.1
    compact_json: bool = True
    include_timestamp: bool = False
    default: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        _check_common(self)
        _check_switch("compact_json", self.compact_json)
        _check_switch("include_timestamp", self.include_timestamp)
