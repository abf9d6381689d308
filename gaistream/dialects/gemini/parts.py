"""What both of Gemini's protocols have: media, sources in the answer's text, and errors."""

from __future__ import annotations

from typing import Any

from ...events import AudioDelta, AudioFormat, Citation, Error, Event, File
from ..fields import bytes_of, count_of, object_of, text_of


class AnswerText:
    """The text of an answer, in which Gemini counts bytes where our events count characters."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._content: bytes | None = None  # of all the pieces; None: not yet known

    def add(self, text: str) -> None:
        """Add the next piece."""
        self._pieces.append(text)
        self._content = None

    def citation(
        self, uri: str, start: object, end: object, title: object = None
    ) -> Citation | None:
        """Return a source of the answer, or None if it has no address.

        Args:
            uri: its address.
            start, end: offsets of the part that it is a source of, in bytes.
            title: its title, if it is a str.
        """
        first, last = self._characters(start), self._characters(end)
        return Citation(uri, first, last, text_of(title) or None) if uri else None

    def _characters(self, offset: object) -> int:
        """Return the number of characters of so many bytes."""
        if self._content is None:
            self._content = "".join(self._pieces).encode(errors="replace")
        count, content = count_of(offset) or 0, self._content
        if content.isascii():
            return count
        return len(content[:count].decode(errors="ignore")) + max(0, count - len(content))


def media_event(
    mime_type: object, data: object, url: object = None, *, rate: object = None,
    channels: object = None,
) -> Event | None:  # fmt: skip
    """Return the event of sound or of a file, or None if it has neither data nor an address.

    Args:
        mime_type: its media type, which may have parameters, such as `audio/L16;rate=24000`.
        data: its bytes as base64.
        url: its address, if it has no data.
        rate, channels: of sound, if the media type has none.
    """
    kind, *parameters = (each.strip() for each in text_of(mime_type).split(";"))
    content = bytes_of(data)
    if content is None:
        address = text_of(url)
        return File(kind or "application/octet-stream", address) if address else None
    if not kind.lower().startswith("audio/"):
        return File(kind or "application/octet-stream", data=content)
    named = dict(each.lower().partition("=")[::2] for each in parameters)
    depth = 16 if kind.lower() in ("audio/l16", "audio/pcm") else 0
    rate = count_of(rate) or _number(named.get("rate", ""))
    channels = count_of(channels) or _number(named.get("channels", ""))
    return AudioDelta(content, AudioFormat(kind, rate, channels, depth))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def error_of(error: Any, code: str) -> Error:
    """Return the failure that a provider reports.

    Args:
        error: its error object.
        code: the name of the field that has its code.
    """
    fields = object_of(error)
    message = text_of(fields.get("message")) or text_of(error) or "the provider failed"
    return Error(message, text_of(fields.get(code)) or None)
