"""The two formats that streams are written in: Server-Sent Events and newline-delimited JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from ..dialects import AnyDialect
from ..errors import FrameError
from ..events import Error
from .encoder import NDJSONEncoder, SSEEncoder
from .options import NDJSONOptions, SSEOptions

__all__ = ["FORMATS", "NDJSON", "SSE", "Format", "FormatName", "encode_events", "format_named"]

FormatName: TypeAlias = Literal["sse", "ndjson"]


@dataclass(frozen=True, slots=True)
class Format:
    """A format and everything that depends on it.

    Attributes:
        name: "sse" or "ndjson".
        media_types: that of a response first, then others by which it is known.
        encoder: the class of its encoders.
        options: the class of their options.
        reconnects: its clients (EventSource) reconnect by themselves.
    """

    name: FormatName
    media_types: tuple[str, ...]
    encoder: Callable[..., SSEEncoder | NDJSONEncoder]
    options: type[SSEOptions | NDJSONOptions]
    reconnects: bool

    @property
    def media_type(self) -> str:
        """The `Content-Type` of a response."""
        return self.media_types[0]


SSE: Final = Format("sse", ("text/event-stream",), SSEEncoder, SSEOptions, reconnects=True)
NDJSON: Final = Format(
    "ndjson",
    (
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
        "application/stream+json",
    ),
    NDJSONEncoder,
    NDJSONOptions,
    reconnects=False,
)
FORMATS: Final[dict[str, Format]] = {each.name: each for each in (SSE, NDJSON)}


def format_named(name: str) -> Format:
    """Return the format of this name; raise FrameError for any other name."""
    if not isinstance(name, str) or name not in FORMATS:
        raise FrameError(f"format must be 'sse' or 'ndjson', not {name!r}")
    return FORMATS[name]


def encode_events(events: Iterable[Any], format: str = "sse", dialect: AnyDialect = "gai") -> bytes:
    """Encode many events in one call, with default options, up to the first Done.

    Args:
        events: items that a source may yield: events, str, dicts with a `type`, …
        format: "sse" or "ndjson".
        dialect: "gai"; "json": each item is a payload; "raw": each is a frame; or a Dialect.

    Returns:
        The frames, one after the other. No Done is added at the end.
    """
    try:
        idle = _IDLE[format][dialect]
        encoder = idle.pop()
    except (KeyError, TypeError):  # a writer of another dialect may have a state: use it once
        return _encode_once(format_named(format).encoder(dialect=dialect), events)
    except IndexError:
        encoder = format_named(format).encoder(dialect=dialect)
    frames: bytes = encoder.encode_many(events)
    idle.append(encoder)
    return frames


def _encode_once(encoder: Any, events: Iterable[Any]) -> bytes:
    """Encode the events of a stream; the last one, if an Error, ends it as it would a stream.

    A writer may hold an Error back until it knows whether more follows.
    """
    last: Any = None

    def items() -> Iterator[Any]:
        nonlocal last
        for last in events:  # noqa: UP028
            yield last

    encoder.write_many(items())
    kind = last.get("type") if isinstance(last, dict) else None
    if isinstance(last, Error) or kind == "error":
        encoder.end()
    frames: bytes = encoder.take()
    return frames


# Encoders of `encode_events`, for the dialects whose writers have no state.
_IDLE: Final[dict[str, dict[Any, list[Any]]]] = {
    format: {dialect: [] for dialect in ("gai", "json", "raw")} for format in FORMATS
}
