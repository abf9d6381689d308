"""The `raw` dialect, for people who write their own frames.

In SSE a str is data, a dict holds the fields of a frame, `ServerSentEvent` and bytes pass. In
NDJSON a str, bytes and a `ServerSentEvent` are lines, and a dict is one JSON value. A stream that
succeeds just ends; one that failed ends with the error frame of the default protocol.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

from ..core import ServerSentEvent
from ..errors import EventError, FrameTypeError
from ..events import Error
from ..writing.options import NDJSONOptions, SSEOptions
from .base import Dialect, write_event_line
from .gai import GaiNDJSON, GaiSSE
from .items import OWN_JSON

_FIELDS: Final = ("data", "event", "id", "retry", "comment", "json")


def _refuse(item: object, accepted: str) -> NoReturn:
    kind = type(item).__name__
    raise EventError(
        f'{kind} is no frame: with dialect="raw" a source yields {accepted}; {OWN_JSON}'
    )


def _check_fields(fields: dict[Any, Any]) -> None:
    for name in fields:
        if name not in _FIELDS:
            raise EventError(
                f"a dict holds the fields of a frame ({', '.join(_FIELDS)}), not {name!r}; "
                f"{OWN_JSON}"
            )
    data = fields.get("data")
    if data is not None and not isinstance(data, str | bytes | bytearray | memoryview):
        kind = type(data).__name__
        raise FrameTypeError(f"data must be str or bytes, not {kind}: a payload is the field json")


class RawSSE(Dialect):
    """People's own frames over SSE."""

    def __init__(self, options: SSEOptions) -> None:
        self._options = options

    def write(self, frames: Any, item: Any) -> None:
        """Write one frame."""
        if isinstance(item, str):
            frames.write_frame(item)
        elif isinstance(item, dict):
            _check_fields(item)
            frames.write_frame(**item)
        elif isinstance(item, ServerSentEvent):
            frames.write_sse_event(item)
        elif isinstance(item, bytes):
            frames.write_ready(item)
        elif item is not None:
            _refuse(item, "str, dicts of fields, ServerSentEvent or bytes")

    def fail(self, frames: Any, error: Error) -> None:
        """Write the error frame of the default protocol."""
        GaiSSE(self._options).fail(frames, error)

    def finish(self, frames: Any) -> None:
        """Write nothing: the frames are people's own."""


class RawNDJSON(Dialect):
    """People's own lines."""

    def __init__(self, options: NDJSONOptions) -> None:
        self._options = options

    def write(self, frames: Any, item: Any) -> None:
        """Write one line, or several that are bytes already."""
        if isinstance(item, str):
            frames.write_text_line(item.removesuffix("\n").removesuffix("\r"))
        elif isinstance(item, dict):
            frames.write_line(item)
        elif isinstance(item, ServerSentEvent):
            write_event_line(frames, item)
        elif isinstance(item, bytes):
            frames.write_ready(item if item.endswith(b"\n") or not item else item + b"\n")
        elif item is not None:
            _refuse(item, "str, dicts, ServerSentEvent or bytes")

    def fail(self, frames: Any, error: Error) -> None:
        """Write the error line of the default protocol."""
        GaiNDJSON(self._options).fail(frames, error)

    def finish(self, frames: Any) -> None:
        """Write nothing: the lines are people's own."""
