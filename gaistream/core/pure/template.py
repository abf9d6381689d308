"""Frames that differ in one string, and in one number if wanted; the rest is constant.

This is the hot path of a token stream. Twin of src/template.pxi.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from gaistream.errors import FrameError, FrameTypeError

from .buffer import place
from .checks import checked_int
from .escapes import escaped
from .payloads import write_json
from .sse import sse_frame
from .text import check_errors

_STRING: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_STRING_OR_NUMBER: Final = re.compile(_STRING.pattern + rb"|[-+.0-9eE]+")
LARGEST_NUMBER: Final = 2**53 - 1
"""The largest integer that every JSON reader reads exactly."""


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


def _place_of_number(
    number: int, json: bytes, start: int, slot: tuple[int, int]
) -> tuple[int, int]:
    """Return the span of a number that stands once in JSON, after the slot."""
    digits = b"%d" % number
    found = [each.span() for each in _STRING_OR_NUMBER.finditer(json, start) if each[0] == digits]
    if len(found) != 1:
        raise FrameError(f"number must stand in the payload once, not {len(found)} times")
    if found[0] < slot:
        raise FrameError("number must stand after the slot in the payload")
    return found[0]


class FrameTemplate:
    """A frame with a slot for text, and a second one for a number if wanted.

    Args:
        prefix: the bytes before the text, its opening quote included.
        suffix: the bytes after the text, from its closing quote on; with `middle` those after
            the number.
        middle: the bytes from the text's closing quote to the number, for a frame that has one,
            such as a sequence number or a timestamp; None: the frame has none.
    """

    __slots__ = ("middle", "prefix", "suffix")
    __module__ = "gaistream"  # where a pickle finds the class, of either twin

    prefix: bytes
    suffix: bytes
    middle: bytes | None

    def __new__(cls, prefix: bytes, suffix: bytes, middle: bytes | None = None) -> FrameTemplate:
        """Set both here: calling __init__ again must not change them."""
        self = object.__new__(cls)
        for field, value in (("prefix", prefix), ("suffix", suffix)):
            if type(value) is not bytes:
                raise FrameTypeError(f"{field} must be bytes, not {type(value).__name__}")
        object.__setattr__(self, "prefix", prefix)
        if middle is not None and type(middle) is not bytes:
            raise FrameTypeError(f"middle must be bytes or None, not {type(middle).__name__}")
        object.__setattr__(self, "suffix", suffix)
        object.__setattr__(self, "middle", middle)
        return self

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"FrameTemplate is immutable: cannot set {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"FrameTemplate is immutable: cannot delete {name!r}")

    def __repr__(self) -> str:
        middle = "" if self.middle is None else f", middle={self.middle!r}"
        return f"FrameTemplate({self.prefix!r}, {self.suffix!r}{middle})"

    def __reduce__(self) -> tuple[Any, ...]:
        middle = () if self.middle is None else (self.middle,)
        return FrameTemplate, (self.prefix, self.suffix, *middle)

    @classmethod
    def of(
        cls, payload: Any, slot: str, *, event: str | None = None, format: str = "sse",
        number: int | None = None,
    ) -> FrameTemplate:  # fmt: skip
        """Return a template made from a payload that holds the string `slot` exactly once.

        Args:
            payload: any JSON payload; encoded once, here.
            slot: the text that each rendering replaces; not empty.
            event: the SSE event name, if any.
            format: "sse" or "ndjson".
            number: an int that stands exactly once in the payload, after the slot; each rendering
                replaces it. None: there is none to replace.

        Raises:
            FrameError: the payload does not hold the slot or the number exactly once, the number
                comes first, or a bad field.
            EncodeError: the payload cannot be encoded.
        """
        if not isinstance(slot, str):
            raise FrameTypeError(f"slot must be str, not {type(slot).__name__}")
        if number is not None:
            number = checked_int("number", number, 0, LARGEST_NUMBER, "")
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
        start, end = found[0]
        if number is None:
            return cls(frame[:start], frame[end:])
        line = frame.rfind(b"\n", 0, -2) + 1
        digits, rest = _place_of_number(number, frame, line, found[0])
        return cls(frame[:start], frame[rest:], middle=frame[end:digits])

    def render(self, text: str, errors: str = "strict", number: int | None = None) -> bytes:
        """Return the frame with this text.

        Args:
            text: any text.
            errors: "strict" or "replace", for lone surrogates.
            number: from 0 to 2**53 - 1, for a template with a slot for it.

        Raises:
            UnicodeEncodeError: a lone surrogate, with errors="strict".
            FrameError: a number out of range, or without its slot, or a slot without a number.
        """
        replace = check_errors(errors)
        if self.middle is None and number is None:
            return self.prefix + escaped(text, replace) + self.suffix
        return numbered(self, text, replace, self._checked_number(number))

    def render_many(
        self, texts: Iterable[str], errors: str = "strict", number: int | None = None
    ) -> bytes:
        """Return the frames of many texts; `number` is the first one's, and one more for each."""
        replace = check_errors(errors)
        if self.middle is None and number is None:
            return b"".join([rendered(self, text, replace) for text in texts])
        first = self._checked_number(number)
        return b"".join(
            [numbered(self, text, replace, first + index) for index, text in enumerate(texts)]
        )

    def render_into(
        self, buffer: bytearray | memoryview, offset: int, text: str, errors: str = "strict",
        number: int | None = None,
    ) -> int:  # fmt: skip
        """Write the frame into a writable buffer and return the offset after it.

        Raises:
            BufferTooSmall: it does not fit; nothing was written.
        """
        frame = self.render(text, errors, number)
        place(buffer, offset, len(frame))[:] = frame
        return offset + len(frame)

    def _checked_number(self, number: int | None) -> int:
        if self.middle is None:
            raise FrameError("number must be None: the template has no slot for it")
        if number is None:
            raise FrameError("number must be given: the template has a slot for it")
        return checked_int("number", number, 0, LARGEST_NUMBER, "")


def rendered(template: FrameTemplate, text: object, replace: bool) -> bytes:
    """Return the frame with this text, of a template without a slot for a number."""
    return template.prefix + escaped(text, replace) + template.suffix


def numbered(template: FrameTemplate, text: object, replace: bool, number: int) -> bytes:
    """Return the frame with this text and number."""
    after = b"%b%d%b" % (template.middle or b"", number, template.suffix)
    return template.prefix + escaped(text, replace) + after


def has_number(template: FrameTemplate | None) -> bool:
    """Return True if there is a template and it has a slot for a number."""
    return template is not None and template.middle is not None


Templates: TypeAlias = tuple[
    FrameTemplate | None, FrameTemplate | None, FrameTemplate | None, str | None, list[str] | None
]
"""Those of text, reasoning and the tool call with an id; this id; the pieces written by them."""


def checked_templates(
    text: Any, reasoning: Any, tool_call: Any = None, tool_call_id: Any = None, pieces: Any = None
) -> Templates:
    """Return the templates; see `BaseEncoder.set_templates`."""
    for name, value in ("text", text), ("reasoning", reasoning), ("tool_call", tool_call):
        if value is not None and not isinstance(value, FrameTemplate):
            kind = type(value).__name__
            raise FrameTypeError(f"{name} must be a FrameTemplate or None, not {kind}")
    if tool_call_id is not None and type(tool_call_id) is not str:
        kind = type(tool_call_id).__name__
        raise FrameTypeError(f"tool_call_id must be str or None, not {kind}")
    if (tool_call is None) != (tool_call_id is None):
        raise FrameError("tool_call and tool_call_id must be given together")
    if pieces is not None and type(pieces) is not list:
        raise FrameTypeError(f"pieces must be list or None, not {type(pieces).__name__}")
    return text, reasoning, tool_call, tool_call_id, pieces
