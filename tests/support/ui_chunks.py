"""Chunks of the AI SDK's UI message stream, as encoders write them."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

OPENING = [{"type": "start"}, {"type": "start-step"}]


def chunks_of(body: bytes) -> list[Any]:
    """Return the chunks of a body, `[DONE]` as it is."""
    blocks = [block for block in body.decode().split("\n\n") if block]
    assert all(block.startswith("data: ") and "\n" not in block for block in blocks)
    texts = [block.removeprefix("data: ") for block in blocks]
    return [text if text == "[DONE]" else json.loads(text) for text in texts]


def written(
    gs: ModuleType, items: list[Any], end: bool = True, **options: Any
) -> tuple[list[Any], Any]:
    """Return the chunks of some items, and the encoder."""
    encoder = gs.SSEEncoder(dialect=gs.dialects.ai_sdk(**options))
    for item in items:
        encoder.write(item)
    if end:
        encoder.end()
    return chunks_of(encoder.take()), encoder


def content(gs: ModuleType, items: list[Any], **options: Any) -> list[Any]:
    """Return the chunks between the opening and the end of the step."""
    chunks, _ = written(gs, items, **options)
    assert chunks[:2] == OPENING
    assert [each["type"] for each in chunks[-3:-1]] == ["finish-step", "finish"]
    assert chunks[-1] == "[DONE]"
    return chunks[2:-3]


def kinds(chunks: list[Any]) -> list[str]:
    """Return the types of chunks."""
    return [each if isinstance(each, str) else each["type"] for each in chunks]
