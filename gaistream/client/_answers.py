"""What an answer's head says, and what makes events of its body. No input or output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Protocol

from .._backend import ServerSentEvent
from ._policy import LONGEST


class Decoder(Protocol):
    """What makes events of an answer's bytes: `SSEDecoder`, or something with its face."""

    last_event_id: str
    retry: int | None

    def feed(self, data: bytes, /) -> list[ServerSentEvent]:
        """Take a chunk, and give what it completes."""

    def close(self) -> list[ServerSentEvent] | None:
        """End the input, and give the events that its end completes."""


def content_type_of(headers: Mapping[str, str]) -> str:
    """The media type without its parameters, in lower case; "" where there is none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def retry_after(value: str, wall: Callable[[], float]) -> float | None:
    """The seconds of a Retry-After, which counts them or names a time; None: neither."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:12]), LONGEST)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - wall())
    except (ValueError, OverflowError):
        return None


def phrase(status: int) -> str:
    """The usual name of a status behind a space; "" where it has none."""
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""
