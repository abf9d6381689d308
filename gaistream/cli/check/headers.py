"""The rules of the headers of a stream's answer. No input or output."""

from __future__ import annotations

from collections.abc import Mapping

from .._sniff import format_of_type
from .rules import Finding


def check_headers(headers: Mapping[str, str], format: str) -> list[Finding]:
    """Return the faults of a stream's headers.

    Args:
        headers: by name, in lower case or in a mapping that ignores case.
        format: "sse" or "ndjson", the format that the body is read in.
    """
    findings: list[Finding] = []

    def add(rule: str, message: str, effect: str = "") -> None:
        findings.append(Finding(rule, None, message, effect))

    kind = headers.get("content-type", "")
    if format_of_type(kind) != format:
        wanted = "text/event-stream" if format == "sse" else "application/x-ndjson"
        effect = "EventSource fails and does not reconnect" if format == "sse" else ""
        add("content-type", f"the content type is {kind or 'missing'}, not {wanted}", effect)
    charset = _parameter(kind, "charset")
    if charset.lower() not in ("", "utf-8", "utf8"):
        add("charset", f"the charset is {charset}, not utf-8", "the stream is read as UTF-8 anyway")
    caching = headers.get("cache-control", "")
    directives = {part.strip().lower() for part in caching.split(",")}
    found = f"Cache-Control is {caching or 'missing'}"
    if not directives & {"no-cache", "no-store", "private"}:
        add("cacheable", f"{found}: no-cache is not in it", "a cache may repeat an old answer")
    if "no-transform" not in directives:
        effect = "a proxy may compress and delay"
        add("transformable", f"{found}: no-transform is not in it", effect)
    if headers.get("x-accel-buffering", "").lower() != "no":
        add("buffering", "X-Accel-Buffering is not no", "behind nginx events come late, in heaps")
    if (coding := headers.get("content-encoding", "identity").lower()) != "identity":
        add("compressed", f"Content-Encoding is {coding}", "compressing may hold events back")
    if "content-length" in headers:
        length = headers["content-length"]
        effect = "the whole body was there before its first byte was sent"
        add("content-length", f"Content-Length is {length}", effect)
    return findings


def _parameter(value: str, name: str) -> str:
    for part in value.split(";")[1:]:
        key, _, parameter = part.partition("=")
        if key.strip().lower() == name:
            return parameter.strip().strip('"')
    return ""
