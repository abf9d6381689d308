"""Which format a file holds: by its name, else by its first bytes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ..reading.chunks import START_BYTES, not_text
from ._terminal import UnusableError

_SUFFIXES = {".ndjson": "ndjson", ".jsonl": "ndjson", ".sse": "sse"}
_SIZE = 65536


def format_of_name(name: str) -> str | None:
    """Give the format that a file's suffix names; None: it names none."""
    return _SUFFIXES.get(Path(name).suffix.lower())


def format_of_start(
    file: BinaryIO, name: str, given: str | None = None
) -> tuple[str, Iterator[bytes]]:
    """Tell what a file holds, and give all of its chunks, as they come.

    Args:
        file: opened to read bytes.
        name: its name, whose suffix counts for more than its content.
        given: "sse" or "ndjson", what the user says; it counts for most.

    Raises:
        UnusableError: the file is not UTF-8, by its first bytes. Also while the chunks are read.
    """
    chunks = _of_text(iter(partial(file.read1, _SIZE), b""), name)  # type: ignore[attr-defined]
    if known := given or format_of_name(name):
        return known, chunks
    start: list[bytes] = []  # never joined, for there may be much white space
    first = b""
    for chunk in chunks:
        start.append(chunk)
        first = (chunk if start[1:] else chunk.removeprefix(b"\xef\xbb\xbf")).lstrip()[:1]
        if first:
            break
    # an SSE line begins with a letter or a colon; what JSON values begin with besides is not usual
    return "ndjson" if first in (b"{", b"[") else "sse", itertools.chain(start, chunks)


def _of_text(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield the chunks, the first of which has some bytes; UnusableError if they are no UTF-8."""
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
