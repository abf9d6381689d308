"""Runs of AG-UI as encoders write them, and the rules that each of them keeps."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

Frame = dict[str, Any]
# What each start opens, by the field of its id, and the end that closes it.
_BLOCKS = {
    "TEXT_MESSAGE": ("messageId", ("START", "CONTENT", "END")),
    "REASONING": ("messageId", ("START", "", "END")),
    "REASONING_MESSAGE": ("messageId", ("START", "CONTENT", "END")),
    "TOOL_CALL": ("toolCallId", ("START", "ARGS", "END")),
    "STEP": ("stepName", ("STARTED", "", "FINISHED")),
}
_OPAQUE = {"metadata", "value", "event", "responseSchema"}
_MOVES = {
    f"{block}_{word}": (block, field, move)
    for block, (field, words) in _BLOCKS.items()
    for move, word in enumerate(words)
    if word
}


def frames_of(body: bytes) -> list[Frame]:
    """Return the frames of a body, which is data only."""
    blocks = [block for block in body.decode().split("\n\n") if block]
    assert all(block.startswith("data: ") and "\n" not in block for block in blocks)
    return [json.loads(block.removeprefix("data: ")) for block in blocks]


def kinds(frames: list[Frame]) -> list[str]:
    return [each["type"] for each in frames]


def written(
    gs: ModuleType, items: list[Any], end: bool = True, **options: Any
) -> tuple[list[Frame], Any]:
    """Return the frames of some items, and the encoder; the frames keep the rules."""
    encoder = gs.SSEEncoder(dialect=gs.dialects.ag_ui(**options))
    for item in items:
        encoder.write(item)
    if end:
        encoder.end()
    frames = frames_of(encoder.take())
    if end:
        check_run(frames)
    return frames, encoder


def content(gs: ModuleType, items: list[Any], **options: Any) -> list[Frame]:
    """Return the frames between the start and the end of a run."""
    frames, _ = written(gs, items, **options)
    assert frames[-1]["type"] == "RUN_FINISHED"
    return frames[1:-1]


def check_run(frames: list[Frame]) -> None:
    """Check what the specification says that a producer must do."""
    first, last = frames[0], frames[-1]
    assert first["type"] == "RUN_STARTED"
    assert first["protocolVersion"] == "1.0"
    assert last["type"] in ("RUN_FINISHED", "RUN_ERROR")
    open_blocks: set[tuple[str, str]] = set()
    for frame in frames:
        assert not _has_null(frame), frame
        block, field, move = _MOVES.get(frame["type"], ("", "", 0))
        if block:
            place = block, frame[field]
            assert (place in open_blocks) == (move > 0), frame
            if move == 0:
                open_blocks.add(place)
            elif move == 2:
                open_blocks.remove(place)
    if last["type"] == "RUN_FINISHED":
        assert not open_blocks
        assert (last["threadId"], last["runId"]) == (first["threadId"], first["runId"])
    assert {"RUN_STARTED", "RUN_FINISHED", "RUN_ERROR"}.isdisjoint(kinds(frames[1:-1]))


def _has_null(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_has_null, value))
    if isinstance(value, dict):
        return any(_has_null(each) for name, each in value.items() if name not in _OPAQUE)
    return value is None
