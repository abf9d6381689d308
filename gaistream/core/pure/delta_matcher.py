"""Frames that differ from a known one only in the text of a delta: they are read without parsing.

Guarantee: the text is exactly the one that a JSON reader would give, or there is no match.

How: a reader's caller has read one such frame as JSON and has found where in its bytes the text
stands. If the bytes around the text are the same in another frame, its JSON has the same structure,
and only the text remains to be unescaped. Other slots hold values of no consequence, such as a
sequence number. Twin of src/delta_matcher.pxi.
"""

from __future__ import annotations

import re
from typing import Any, Final

from gaistream.errors import FrameError, FrameTypeError

from .buffer import NotCopyable
from .events import ReasoningDelta, TextDelta
from .payloads import read_json
from .server_sent_event import ServerSentEvent

_TEXT: Final = re.compile(rb'(?:[^"\\\x00-\x1f]++|\\.)*+', re.DOTALL)
_PLAIN_STRING: Final = re.compile(rb"[ !#-\[\]-\x7f]*+")
_INTEGER: Final = re.compile(rb"-?(?:0|[1-9][0-9]{0,17}+)(?![0-9])")


class DeltaMatcher(NotCopyable):
    """Recognises frames whose data is known but for the text of a delta.

    Args:
        kind: TextDelta or ReasoningDelta.
        name: the event name of the frames.
        pieces: the bytes of the data before, between and after its slots; at least two. A slot
            after a quote is a string, any other one an integer.
        text_at: the number of the slot that holds the text, from 0 on.

    Raises:
        FrameTypeError: an argument of another type.
        FrameError: the pieces do not have this slot, or a slot has a quote on one side only.

    Attributes:
        count: of the matches so far.
    """

    __slots__ = ("_kind", "_name", "_pieces", "_text_at", "count")

    def __init__(
        self,
        kind: type[TextDelta] | type[ReasoningDelta],
        name: str,
        pieces: tuple[bytes, ...],
        text_at: int = 0,
    ) -> None:
        if kind is not TextDelta and kind is not ReasoningDelta:
            raise FrameTypeError("kind must be TextDelta or ReasoningDelta")
        if type(name) is not str:
            raise FrameTypeError(f"name must be str, not {type(name).__name__}")
        if type(pieces) is not tuple or not all(type(piece) is bytes for piece in pieces):
            raise FrameTypeError("pieces must be a tuple of bytes")
        if type(text_at) is not int:
            raise FrameTypeError(f"text_at must be int, not {type(text_at).__name__}")
        if not 0 <= text_at < len(pieces) - 1:
            raise FrameError(f"pieces must have a slot {text_at}")
        quoted = [slot for slot in range(len(pieces) - 1) if pieces[slot].endswith(b'"')]
        if text_at not in quoted or not all(pieces[slot + 1].startswith(b'"') for slot in quoted):
            raise FrameError("the text, and each slot after a quote, must be between quotes")
        self._kind, self._name, self._pieces, self._text_at = kind, name, pieces, text_at
        self.count = 0

    def match(self, name: str, data: bytes) -> TextDelta | ReasoningDelta | None:
        """Return the delta of a frame, None if it differs in more than its text or its text is "".

        Args:
            name: of the frame's event.
            data: of the frame; anything but bytes does not match.
        """
        if type(data) is not bytes or name != self._name:
            return None
        escaped = self._text_in(data)
        if not escaped:
            return None
        try:
            text = read_json(b'"%b"' % escaped) if b"\\" in escaped else escaped.decode()
        except ValueError:
            return None
        self.count += 1
        return self._kind(text)

    def _text_in(self, data: bytes) -> bytes | None:
        """Return the text as it stands in the data, None if that does not match."""
        *before, last = self._pieces
        text, at = b"", 0
        for slot, piece in enumerate(before):
            if not data.startswith(piece, at):
                return None
            at += len(piece)
            pattern = _PLAIN_STRING if piece[-1:] == b'"' else _INTEGER
            found = (_TEXT if slot == self._text_at else pattern).match(data, at)
            if found is None:
                return None
            at = found.end()
            if slot == self._text_at:
                text = found[0]
        return text if data[at:] == last else None

    def read(self, frames: list[ServerSentEvent], start: int, events: list[Any]) -> int:
        """Append the deltas of frames that match to `events`, up to the first that does not.

        Args:
            frames: as an `SSEDecoder` returned them.
            start: the index of the first of them.
            events: gets the deltas.

        Returns:
            The index of the first frame that does not match; the number of frames if all do.
        """
        for index in range(start, len(frames)):
            frame = frames[index]
            raw = frame._raw if type(frame) is ServerSentEvent else None
            event = None if raw is None else self.match(frame.event, raw)  # type: ignore[arg-type]
            if event is None:
                return index
            events.append(event)
        return max(start, len(frames))
