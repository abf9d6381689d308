"""Frames that differ in one string only: a constant prefix, the escaped text, a constant suffix.

This is the hot path of a token stream. Twin of src/template.pxi.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from gaistream.errors import FrameError, FrameTypeError

from .buffer import place
from .escapes import escaped
from .payloads import write_json
from .sse import sse_frame
from .text import check_errors

_STRING: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"')


def places_of(mark: bytes, json: bytes, start: int) -> list[tuple[int, int]]:
    """Return the spans of escaped text in the strings of JSON, from `start` on."""
    if not mark:
        return []
    unit = re.compile(b"(" + re.escape(mark) + rb")|\\u.{4}|\\.|[^\\]", re.DOTALL)
    return [
        found.span(1)
        for string in _STRING.finditer(json, start)
        for found in unit.finditer(json, *string.span(1))
        if found[1] is not None
    ]


class FrameTemplate:
    """A frame with one slot for text.

    Args:
        prefix: the bytes before the text, its opening quote included.
        suffix: the bytes after the text, from its closing quote on.
    """

    __slots__ = ("prefix", "suffix")
    __module__ = "gaistream"  # where a pickle finds the class, of either twin

    prefix: bytes
    suffix: bytes

    def __new__(cls, prefix: bytes, suffix: bytes) -> FrameTemplate:
        """Set both here: calling __init__ again must not change them."""
        self = object.__new__(cls)
        for field, value in (("prefix", prefix), ("suffix", suffix)):
            if type(value) is not bytes:
                raise FrameTypeError(f"{field} must be bytes, not {type(value).__name__}")
        object.__setattr__(self, "prefix", prefix)
        object.__setattr__(self, "suffix", suffix)
        return self

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"FrameTemplate is immutable: cannot set {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"FrameTemplate is immutable: cannot delete {name!r}")

    def __repr__(self) -> str:
        return f"FrameTemplate({self.prefix!r}, {self.suffix!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return FrameTemplate, (self.prefix, self.suffix)

    @classmethod
    def of(
        cls, payload: Any, slot: str, *, event: str | None = None, format: str = "sse"
    ) -> FrameTemplate:
        """Return a template made from a payload that holds the string `slot` exactly once.

        Args:
            payload: any JSON payload; encoded once, here.
            slot: the text that each rendering replaces; not empty.
            event: the SSE event name, if any.
            format: "sse" or "ndjson".

        Raises:
            FrameError: the payload does not hold the slot exactly once, or a bad field.
            EncodeError: the payload cannot be encoded.
        """
        if not isinstance(slot, str):
            raise FrameTypeError(f"slot must be str, not {type(slot).__name__}")
        if format == "sse":
            frame = sse_frame(None, event, None, None, None, payload, False)
            start = frame.rfind(b"\n", 0, -2) + 1  # of the data line, after the event's
        elif format == "ndjson":
            if event is not None:
                raise FrameError("event must be None: an NDJSON line has no event field")
            frame = write_json(payload, True, False)
            start = 0
        else:
            raise FrameError(f"format must be 'sse' or 'ndjson', not {format!r}")
        found = places_of(escaped(slot, False), frame, start)
        if len(found) != 1:
            raise FrameError(f"slot must stand in the payload once, not {len(found)} times")
        return cls(frame[: found[0][0]], frame[found[0][1] :])

    def render(self, text: str, errors: str = "strict") -> bytes:
        """Return the frame with this text.

        Raises:
            UnicodeEncodeError: a lone surrogate, with errors="strict".
        """
        return rendered(self, text, check_errors(errors))

    def render_many(self, texts: Iterable[str], errors: str = "strict") -> bytes:
        """Return the frames of many texts, one after the other."""
        replace = check_errors(errors)
        return b"".join([rendered(self, text, replace) for text in texts])

    def render_into(
        self, buffer: bytearray | memoryview, offset: int, text: str, errors: str = "strict"
    ) -> int:
        """Write the frame into a writable buffer and return the offset after it.

        Raises:
            BufferTooSmall: it does not fit; nothing was written.
        """
        frame = rendered(self, text, check_errors(errors))
        place(buffer, offset, len(frame))[:] = frame
        return offset + len(frame)


def rendered(template: FrameTemplate, text: object, replace: bool) -> bytes:
    """Return the frame with this text."""
    return template.prefix + escaped(text, replace) + template.suffix
