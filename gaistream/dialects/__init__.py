"""Protocols of AI streams: how each is written, read and recognised.

A dialect is one object with the interface of base.py. It has a module or folder of its name here,
which is imported when the name is first used, and which loads a reader only for streams that are
read. Wherever a name is taken, an object of your own subclass of `Dialect` is taken too.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ..errors import FrameError
from .base import Dialect, DialectReader, DialectWriter
from .frame import Frame

if TYPE_CHECKING:
    from .ag_ui import AGUI as ag_ui  # noqa: N811
    from .ai_sdk import AISDK as ai_sdk  # noqa: N811
    from .anthropic import Anthropic as anthropic  # noqa: N813
    from .detect import Detector
    from .event_writer import EventWriter
    from .gai_events_v1 import GaiEventsV1 as gai_events_v1  # noqa: N813
    from .openai_chat import OpenAIChat as openai_chat  # noqa: N813
    from .openai_responses import OpenAIResponses as openai_responses  # noqa: N813

__all__ = [
    "AnyDialect", "Detector", "Dialect", "DialectName", "DialectReader", "DialectWriter",
    "EventWriter", "Frame", "ag_ui", "ai_sdk", "anthropic", "create_reader", "create_writer",
    "find", "find_writable", "gai_events_v1", "openai_chat", "openai_responses",
]  # fmt: skip

DialectName: TypeAlias = Literal[
    "gai", "json", "raw", "ag_ui", "ai_sdk", "ai_sdk_text", "anthropic", "gai_events_v1",
    "openai_chat", "openai_responses",
]  # fmt: skip
"""The name of a dialect that a stream may be written in."""
AnyDialect: TypeAlias = DialectName | Dialect
"""What a response, an encoder or a writer takes as `dialect=`."""

_LAZY = {"Detector": "detect", "EventWriter": "event_writer"}
NAMES = (
    "gai", "json", "raw", "ag_ui", "ai_sdk", "ai_sdk_text", "anthropic", "gai_events_v1",
    "openai_chat", "openai_responses", "gemini", "gemini_interactions", "ollama",
)  # fmt: skip
"""The names of all dialects; the last three are only read."""
_found: dict[str, Dialect] = {}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in NAMES:
            return import_module(f".{name}", __name__)
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(f".{_LAZY[name]}", __name__), name)
        return found


def find(dialect: str | Dialect) -> Dialect | None:
    """Return the dialect of this name, importing its module, or the object itself; else None."""
    if isinstance(dialect, str):
        found = _found.get(dialect)
        if found is None and dialect in NAMES:
            found = _found[dialect] = import_module(f".{dialect}", __name__).dialect
        return found
    return dialect if isinstance(dialect, Dialect) else None


def find_writable(dialect: str | Dialect, format: str) -> Dialect:
    """Return a dialect that is written in this format; see `find`.

    Raises:
        FrameError: `dialect` is not one.
    """
    found = find(dialect)
    if found is None or format not in found.writes:
        names = _names(lambda each: format in each.writes)
        raise FrameError(
            f"dialect must be {names} or a Dialect that is written as {format}, not {dialect!r}"
        )
    return found


def create_writer(
    dialect: str | Dialect,
    format: str,
    retry: int | None = None,
    compact: bool = True,
    timestamps: bool = False,
) -> DialectWriter:
    """Make the writer of one stream.

    Args:
        dialect: a name or an object.
        format: "sse" or "ndjson".
        retry, compact, timestamps: see `Dialect.writer`.

    Raises:
        FrameError: `dialect` is neither, or cannot be written in this format.
    """
    found = _found.get(dialect) if type(dialect) is str else None  # the usual way is short
    if found is None or format not in found.writes:
        found = find_writable(dialect, format)
    return found.writer(format, retry=retry, compact=compact, timestamps=timestamps)


def create_reader(dialect: str | Dialect, format: str) -> DialectReader:
    """Make the reader of one stream.

    Args:
        dialect: a name or an object.
        format: "sse" or "ndjson".

    Raises:
        FrameError: `dialect` is neither, or cannot be read from this format.
    """
    found = find(dialect)
    if found is None or format not in found.reads:
        names = _names(lambda each: format in each.reads)
        raise FrameError(
            f"a dialect that is read from {format} is {names} or a Dialect, not {dialect!r}"
        )
    return found.reader(format)


def _names(fits: Callable[[Dialect], bool]) -> str:
    dialects = [found for name in NAMES if (found := find(name)) is not None]
    return " or ".join(repr(each.name) for each in dialects if fits(each))
