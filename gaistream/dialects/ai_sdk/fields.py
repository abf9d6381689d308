"""Fields of chunks that come from anywhere: of the right type, or refused."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from ...events import Citation, File, Usage
from ...message.words import COUNTS, SIGNATURES

Chunk = dict[str, Any]
_SIGNATURES = ("signature", *SIGNATURES.values())
_MOST = 2**63  # counts and positions from here on cannot be written as JSON


class WrongField(Exception):
    """A field that a chunk needs is missing, or has another type."""


def text(chunk: Chunk, name: str) -> str:
    """Return a field that must be a str."""
    value = chunk.get(name)
    if not isinstance(value, str):
        raise WrongField
    return value


def optional_text(chunk: Chunk, name: str) -> str | None:
    """Return a field that is absent, None or a str."""
    return None if chunk.get(name) is None else text(chunk, name)


def text_of(chunk: Chunk, name: str) -> str | None:
    """Return a str, None if the field is missing, empty or of another type."""
    value = chunk.get(name)
    return value if isinstance(value, str) and value else None


def object_of(chunk: Chunk, name: str) -> Chunk:
    """Return a dict, an empty one if the field is missing or of another type."""
    value = chunk.get(name)
    return value if isinstance(value, dict) else {}


def count_of(chunk: Chunk, name: str) -> int | None:
    """Return an int from 0 on, None if the field is missing or anything else."""
    value = chunk.get(name)
    return value if type(value) is int and 0 <= value < _MOST else None


def metadata_of(chunk: Chunk) -> Chunk:
    """Return `id`, `signature` and `redacted` of the metadata, whichever provider's they are."""
    found: Chunk = {}
    for each in object_of(chunk, "providerMetadata").values():
        inner = each if isinstance(each, dict) else {}
        for field, names in (
            ("id", ("itemId",)), ("signature", _SIGNATURES), ("redacted", ("redactedData",)),
        ):  # fmt: skip
            for name in names:
                if value := text_of(inner, name):
                    found[field] = value
    return found


def usage_of(about: Chunk) -> Usage | None:
    """Return the counts of `messageMetadata`, None if it has none."""
    usage = object_of(about, "usage")
    counts = {ours: count_of(usage, theirs) for ours, theirs in COUNTS.items()}
    if all(count is None for count in counts.values()):
        return None
    inputs, outputs = counts.pop("input_tokens") or 0, counts.pop("output_tokens") or 0
    return Usage(inputs, outputs, **counts)


def source_of(chunk: Chunk) -> Citation:
    """Return the citation of a `source-url`; its positions, if any, are in the metadata."""
    start = end = 0
    for each in object_of(chunk, "providerMetadata").values():
        if isinstance(each, dict):
            start, end = count_of(each, "startIndex") or start, count_of(each, "endIndex") or end
    return Citation(text(chunk, "url"), start, end, text_of(chunk, "title"))


def citations_of(chunk: Chunk) -> list[Citation]:
    """Return the citations of a `text-end` that are of URLs."""
    found = []
    items = chunk.get("citations")
    for item in items if isinstance(items, list) else []:
        source = object_of(item, "source") if isinstance(item, dict) else {}
        url = text_of(source, "url")
        if url is not None:
            start, end = count_of(item, "startIndex") or 0, count_of(item, "endIndex") or 0
            found.append(Citation(url, start, end, text_of(source, "title")))
    return found


def file_of(chunk: Chunk) -> File:
    """Return a file: its bytes if the URL holds them in base64."""
    media_type, url = text(chunk, "mediaType"), text(chunk, "url")
    head, comma, encoded = url.partition(",")
    if comma and head == f"data:{media_type};base64":
        try:
            return File(media_type, data=base64.b64decode(encoded, validate=True))
        except binascii.Error:
            pass
    return File(media_type, url=url)
