"""The head of a response that was received: its media type, its Retry-After, its error message."""

from __future__ import annotations

from datetime import UTC
from typing import Final

from ..core import read_json
from ..writing.formats import FORMATS

MEDIA_TYPES: Final[dict[str, tuple[str, ...]]] = {
    each.name: each.media_types for each in FORMATS.values()
}
_LENIENT_SSE_TYPES: Final = (*MEDIA_TYPES["sse"], "text/plain", "")  # as some servers label streams
LONGEST_WAIT: Final = 1e9  # seconds of a Retry-After, in numbers that every clock takes


def media_type(content_type: str) -> str:
    """Return a Content-Type without its parameters, in lower case; of several the last one.

    Browsers do the same (Fetch, "extract a MIME type").
    """
    kinds = [each.partition(";")[0] for each in content_type.split(",")]
    return next((kind for kind in reversed(kinds) if "/" in kind), kinds[0]).strip().lower()


def is_event_stream(content_type: str, strict: bool = False) -> bool:
    """Return True if a response of this type is read as Server-Sent Events.

    Args:
        content_type: the header, or "" if it is missing.
        strict: accept only text/event-stream, and not text/plain or a missing type.
    """
    kind = media_type(content_type)
    return kind in MEDIA_TYPES["sse"] if strict else kind in _LENIENT_SSE_TYPES


def is_json(content_type: str) -> bool:
    """Return True if a type is JSON, which is never read as a stream of events."""
    kind = media_type(content_type)
    if kind in MEDIA_TYPES["ndjson"]:
        return False
    return kind == "application/json" or kind.endswith("+json")


def error_message(body: bytes | bytearray) -> str:
    """Return the message of a JSON error body, or "" if the body has none."""
    try:
        value = read_json(bytes(body), "replace")
    except ValueError:
        return ""
    error = value.get("error", value) if isinstance(value, dict) else None
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail")
    return error if isinstance(error, str) else ""


def retry_after(value: str, now: float) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110, section 10.2.3), or None if malformed.

    Args:
        value: the header: a number of seconds, or a date.
        now: seconds since the epoch.
    """
    try:
        seconds = float(value)
    except ValueError:
        from email.utils import parsedate_to_datetime  # slow to import, and few servers send dates

        try:
            date = parsedate_to_datetime(value)
            zoned = date if date.tzinfo else date.replace(tzinfo=UTC)
            seconds = max(0.0, zoned.timestamp() - now)
        except (ValueError, OverflowError):  # a year or a zone of many digits
            return None
    return min(seconds, LONGEST_WAIT) if seconds >= 0 else None
