"""Parts of chunks, as events and values of ours."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from ...events import Citation, File, Usage
from ...message.words import COUNTS, SIGNATURES
from ..fields import count_of, object_of, objects_of, required_text, text_of

Chunk = dict[str, Any]
_SIGNATURES = ("signature", *SIGNATURES.values())


def metadata_of(chunk: Chunk) -> Chunk:
    """Return `id`, `signature` and `redacted` of the metadata, whichever provider's they are."""
    found: Chunk = {}
    for each in object_of(chunk.get("providerMetadata")).values():
        inner = object_of(each)
        for field, names in (
            ("id", ("itemId",)), ("signature", _SIGNATURES), ("redacted", ("redactedData",)),
        ):  # fmt: skip
            for name in names:
                if value := text_of(inner.get(name)):
                    found[field] = value
    return found


def usage_of(about: Chunk) -> Usage | None:
    """Return the counts of `messageMetadata`, None if it has none."""
    usage = object_of(about.get("usage"))
    counts = {ours: count_of(usage.get(theirs)) for ours, theirs in COUNTS.items()}
    if all(count is None for count in counts.values()):
        return None
    inputs, outputs = counts.pop("input_tokens") or 0, counts.pop("output_tokens") or 0
    return Usage(inputs, outputs, **counts)


def source_of(chunk: Chunk) -> Citation:
    """Return the citation of a `source-url`; its positions, if any, are in the metadata."""
    start = end = 0
    for each in map(object_of, object_of(chunk.get("providerMetadata")).values()):
        start = count_of(each.get("startIndex")) or start
        end = count_of(each.get("endIndex")) or end
    return Citation(required_text(chunk, "url"), start, end, text_of(chunk.get("title")) or None)


def citations_of(chunk: Chunk) -> list[Citation]:
    """Return the citations of a `text-end` that are of URLs."""
    found = []
    for item in objects_of(chunk.get("citations")):
        source = object_of(item.get("source"))
        if url := text_of(source.get("url")):
            start, end = count_of(item.get("startIndex")) or 0, count_of(item.get("endIndex")) or 0
            found.append(Citation(url, start, end, text_of(source.get("title")) or None))
    return found


def file_of(chunk: Chunk) -> File:
    """Return a file: its bytes if the URL holds them in base64."""
    media_type, url = required_text(chunk, "mediaType"), required_text(chunk, "url")
    head, comma, encoded = url.partition(",")
    if comma and head == f"data:{media_type};base64":
        try:
            return File(media_type, data=base64.b64decode(encoded, validate=True))
        except binascii.Error:
            pass
    return File(media_type, url=url)
