"""The format of a stream: by its content type, its file's name, or its first bytes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ..http.received import MEDIA_TYPES, media_type
from ..reading.chunks import START_BYTES, not_text
from ._terminal import UnusableError

TYPES = {kind: format for format, kinds in MEDIA_TYPES.items() for kind in kinds}
_SUFFIXES = {".ndjson": "ndjson", ".jsonl": "ndjson", ".sse": "sse"}
_SIZE = 65536


def format_of_type(content_type: str) -> str | None:
    """Return the format of a content type, "sse" or "ndjson"; None if it has neither."""
    return TYPES.get(media_type(content_type))


def format_of_name(name: str) -> str | None:
    """Return the format of a file's suffix; None if it has none."""
    return _SUFFIXES.get(Path(name).suffix.lower())


def format_of_start(
    file: BinaryIO, name: str, format: str | None = None
) -> tuple[str, Iterator[bytes]]:
    """Return the format of a file, and an iterator of all its chunks.

    Args:
        file: opened to read bytes.
        name: its name, whose suffix counts for more than its content.
        format: "sse" or "ndjson" if the user has said it, which counts for most.

    Raises:
        UnusableError: the file is not UTF-8, by its first bytes. Also while the chunks are read.
    """
    chunks = _of_text(iter(partial(file.read1, _SIZE), b""), name)  # type: ignore[attr-defined]
    if known := format or format_of_name(name):
        return known, chunks
    start: list[bytes] = []  # never joined, for there may be much white space
    first = b""
    for chunk in chunks:
        start.append(chunk)
        first = (chunk if start[1:] else chunk.removeprefix(b"\xef\xbb\xbf")).lstrip()[:1]
        if first:
            break
    # SSE begins with a letter or a colon, and rows of NDJSON are objects or arrays
    return "ndjson" if first in (b"{", b"[") else "sse", itertools.chain(start, chunks)


def _of_text(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield the chunks, the first of them long enough to tell. Raise UnusableError for UTF-16."""
    start = b""
    for chunk in chunks:
        start += chunk
        if len(start) >= START_BYTES:
            break
    if problem := not_text(start):
        raise UnusableError(f"{'stdin' if name == '-' else name} is {problem}")
    if start:
        yield start
    yield from chunks
