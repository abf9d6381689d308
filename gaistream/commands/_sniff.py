"""Which format a file holds: by its name, else by its first bytes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

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
    """
    chunks = iter(partial(file.read1, _SIZE), b"")  # type: ignore[attr-defined]
    if known := given or format_of_name(name):
        return known, chunks
    start = b""
    for chunk in chunks:
        start += chunk
        if start.removeprefix(b"\xef\xbb\xbf").strip():
            break
    first = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    # an SSE line begins with a letter or a colon; what JSON values begin with besides is not usual
    return "ndjson" if first in (b"{", b"[") else "sse", itertools.chain([start], chunks)
