"""How each protocol says an event: one file a protocol, one object a stream.

`create(name, format, options)` gives the object that a stream's frames ask. It has two templates
for the hot events (or None), and says the others, the end and the failure; see base.py.
`create_reader(name, format)` gives the object that makes events of a stream's frames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from ..errors import FrameError
from ..writing.options import NDJSONOptions, SSEOptions
from .base import Dialect, EventStream
from .gai import GaiNDJSON, GaiSSE
from .gai_reader import GaiReader
from .openai_chat import ChatCompletionsReader
from .plain import PlainNDJSON, PlainSSE
from .raw import RawNDJSON, RawSSE

__all__ = ["Dialect", "DialectName", "EventStream", "create", "create_reader"]

DialectName: TypeAlias = Literal["gai", "json", "raw"]
"""A dialect that a stream may be written in."""

_SSE: dict[str, Callable[[SSEOptions], Dialect]] = {
    "gai": GaiSSE,
    "json": PlainSSE,
    "raw": RawSSE,
}
_NDJSON: dict[str, Callable[[NDJSONOptions], Dialect]] = {
    "gai": GaiNDJSON,
    "json": PlainNDJSON,
    "raw": RawNDJSON,
}
_READERS: dict[str, dict[str, Callable[[], EventStream]]] = {
    "sse": {"gai": GaiReader, "openai_chat": ChatCompletionsReader},
    "ndjson": {"gai": GaiReader},
}


def create(name: DialectName, format: str, options: Any) -> Dialect:
    """Make the dialect of one stream.

    Args:
        name: "gai", the default protocol; "json", where each item is one JSON payload; or "raw",
            where each item is a frame.
        format: "sse" or "ndjson".
        options: SSEOptions or NDJSONOptions, as the format is.
    """
    known: dict[str, Callable[[Any], Dialect]] = _SSE if format == "sse" else _NDJSON
    if not isinstance(name, str) or name not in known:
        names = " or ".join(repr(each) for each in known)
        raise FrameError(f"dialect must be {names}, not {name!r}")
    return known[name](options)


def create_reader(name: str, format: str) -> EventStream:
    """Make what reads the events of one stream.

    Args:
        name: "gai", or "openai_chat" (OpenAI's Chat Completions, over SSE).
        format: "sse" or "ndjson".
    """
    known = _READERS[format]
    if not isinstance(name, str) or name not in known:
        names = " or ".join(repr(each) for each in known)
        raise FrameError(f"a dialect that is read from {format} is {names}, not {name!r}")
    return known[name]()
