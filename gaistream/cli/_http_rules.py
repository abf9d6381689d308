"""The rules of the headers of a stream's answer. No input or output."""

from __future__ import annotations

from collections.abc import Mapping

from ..http.received import NDJSON_TYPES, media_type
from ._rules import Finding

TYPES = {"text/event-stream": "sse", **dict.fromkeys(NDJSON_TYPES, "ndjson")}


def format_of(headers: Mapping[str, str]) -> str | None:
    """Give the format that a content type names, "sse" or "ndjson"; None: neither."""
    return TYPES.get(media_type(headers.get("content-type", "")))


def check_headers(headers: Mapping[str, str], format: str) -> list[Finding]:
    """Tell what is wrong with the headers of a stream.

    Args:
        headers: by name, in lower case or of a kind that does not care.
        format: "sse" or "ndjson", what the body is taken for.
    """
    found: list[Finding] = []

    def add(rule: str, message: str, effect: str = "") -> None:
        found.append(Finding(rule, None, message, effect))

    kind = headers.get("content-type", "")
    if format_of(headers) != format:
        wanted = "text/event-stream" if format == "sse" else "application/x-ndjson"
        effect = "EventSource fails and does not reconnect" if format == "sse" else ""
        add("content-type", f"the content type is {kind or 'missing'}, not {wanted}", effect)
    charset = _parameter(kind, "charset")
    if charset.lower() not in ("", "utf-8", "utf8"):
        add("charset", f"the charset is {charset}, not utf-8", "the stream is read as UTF-8 anyway")
    caching = headers.get("cache-control", "")
    directives = {part.strip().lower() for part in caching.split(",")}
    said = f"Cache-Control is {caching or 'missing'}"
    if not directives & {"no-cache", "no-store", "private"}:
        add("cacheable", f"{said}: no-cache is not in it", "a cache may repeat an old answer")
    if "no-transform" not in directives:
        add("transformable", f"{said}: no-transform is not in it", "a proxy may compress and delay")
    if headers.get("x-accel-buffering", "").lower() != "no":
        add("buffering", "X-Accel-Buffering is not no", "behind nginx events come late, in heaps")
    if (coding := headers.get("content-encoding", "identity").lower()) != "identity":
        add("compressed", f"Content-Encoding is {coding}", "compressing may hold events back")
    if "content-length" in headers:
        said = f"Content-Length is {headers['content-length']}"
        add("content-length", said, "the whole was there before its first byte was sent")
    return found


def _parameter(value: str, name: str) -> str:
    for part in value.split(";")[1:]:
        key, _, given = part.partition("=")
        if key.strip().lower() == name:
            return given.strip().strip('"')
    return ""
