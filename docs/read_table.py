"""The second table of docs/reference/fields.md: where the fields of events come from.

For protocols that are only read, `SAMPLES` has a stream of each. Each value in it is changed in
turn; the fields of the events that change with it are read from that place.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import gaistream
from gaistream.events import Event

Path = tuple[str | int, ...]

_SEARCH = {"uri": "https://1.example", "title": "title 1"}
SAMPLES: dict[str, tuple[str, list[Any]]] = {
    "gemini": ("sse", [
        {"responseId": "answer-1", "modelVersion": "model-1", "candidates": [{"content": {"parts": [
            {"text": "thought 1", "thought": True, "thoughtSignature": "c2ln"},
            {"text": "text 1", "thoughtSignature": "b2s="},
            {"inlineData": {"mimeType": "audio/x1;rate=8001;channels=1", "data": "AAEC"}},
            {"inlineData": {"mimeType": "image/x1", "data": "AAEC"}},
            {"fileData": {"mimeType": "image/x1", "fileUri": "https://1.example"}},
            {"functionCall": {"id": "call-1", "name": "f1", "args": {}},
             "thoughtSignature": "c2ln"},
            {"executableCode": {"id": "code-1", "language": "L1", "code": "1"}},
            {"codeExecutionResult": {"id": "code-1", "outcome": "OUTCOME_OK", "output": "1"}},
            {"toolCall": {"id": "search-1", "toolType": "T1", "args": {}}},
            {"toolResponse": {"id": "search-1", "toolType": "T1", "response": {}}},
            {"unknown": "1"},
        ]}}]},
        {"candidates": [{
            "finishReason": "STOP",
            "citationMetadata": {"citationSources": [{**_SEARCH, "startIndex": 1, "endIndex": 2}]},
            "groundingMetadata": {
                "groundingChunks": [{"web": {"uri": "https://1.test", "title": "title 1"}}],
                "groundingSupports": [{
                    "segment": {"startIndex": 1, "endIndex": 3}, "groundingChunkIndices": [0],
                }],
            },
            "safetyRatings": [
                {"category": "CATEGORY_1", "probability": "LEVEL_1", "blocked": True},
            ],
        }], "usageMetadata": {
            "promptTokenCount": 101, "toolUsePromptTokenCount": 102, "candidatesTokenCount": 103,
            "thoughtsTokenCount": 104, "cachedContentTokenCount": 105, "totalTokenCount": 410,
        }},
    ]),
    "gemini_interactions": ("sse", [
        {"event_type": "interaction.created",
         "interaction": {"id": "answer-1", "model": "model-1"}},
        {"event_type": "step.start", "index": 0, "step": {"type": "thought"}},
        *({"event_type": "step.delta", "index": 0, "delta": delta} for delta in (
            {"type": "thought_summary", "content": {"type": "text", "text": "thought 1"}},
            {"type": "thought_signature", "signature": "c2ln"},
        )),
        {"event_type": "step.stop", "index": 0},
        {"event_type": "step.start", "index": 1, "step": {"type": "model_output"}},
        *({"event_type": "step.delta", "index": 1, "delta": delta} for delta in (
            {"type": "text", "text": "text 1"},
            {"type": "audio", "mime_type": "audio/x1", "data": "AAEC", "sample_rate": 8001,
             "channels": 1},
            {"type": "image", "mime_type": "image/x1", "data": "AAEC"},
            {"type": "video", "mime_type": "video/x1", "uri": "https://1.example"},
            {"type": "text_annotation_delta", "annotations": [
                {"type": "url_citation", "url": "https://1.example", "title": "title 1",
                 "start_index": 1, "end_index": 2},
            ]},
            {"type": "unknown", "value": "1"},
        )),
        {"event_type": "step.stop", "index": 1},
        {"event_type": "step.start", "index": 2, "step": {
            "type": "function_call", "id": "call-1", "name": "f1"}},
        {"event_type": "step.delta", "index": 2, "delta": {
            "type": "arguments_delta", "arguments": "[1]"}},
        {"event_type": "step.stop", "index": 2},
        {"event_type": "step.start", "index": 3, "step": {
            "type": "google_search_call", "id": "search-1", "arguments": {}, "signature": "c2ln"}},
        {"event_type": "step.stop", "index": 3},
        {"event_type": "step.start", "index": 4, "step": {
            "type": "mcp_server_tool_result", "call_id": "search-1", "name": "f1", "result": "1",
            "is_error": True}},
        {"event_type": "step.stop", "index": 4},
        {"event_type": "interaction.completed", "interaction": {"status": "completed", "usage": {
            "total_input_tokens": 101, "total_output_tokens": 102, "total_thought_tokens": 103,
            "total_cached_tokens": 104, "total_tokens": 410}}},
    ]),
    "ollama": ("ndjson", [
        {"model": "model-1", "created_at": "1", "message": {"thinking": "thought 1"}},
        {"model": "model-1", "message": {"content": "text 1", "images": ["AAEC"], "tool_calls": [
            {"id": "call-1", "function": {"name": "f1", "arguments": {}}}]}},
        {"model": "model-1", "message": {}, "done": True, "done_reason": "stop",
         "prompt_eval_count": 101, "eval_count": 102},
    ]),
}  # fmt: skip


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    if not inner:
        yield path, value
    for step, each in inner:
        yield from _leaves(each, (*path, step))


def _other(value: Any) -> Any:
    """Return another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, dict):
        return {"changed": 1}
    return value.replace("1", "2") if "1" in value else value[::-1]


def _changed(frames: list[Any], path: Path) -> list[Any]:
    frames = copy.deepcopy(frames)
    *steps, last = path
    holder: Any = frames
    for step in steps:
        holder = holder[step]
    holder[last] = _other(holder[last])
    return frames


def _fields(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of an event, and of the values in them, by their names."""
    if isinstance(value, tuple) and value and hasattr(value[0], "__match_args__"):
        value = value[0]
    if not hasattr(value, "__match_args__"):
        yield name, value
        return
    for field in value.__match_args__:
        yield from _fields(getattr(value, field), f"{name}.{field}")


def _read(name: str, frames: list[Any]) -> list[Event]:
    format, _ = SAMPLES[name]
    ends = ("data: ", "\n\n") if format == "sse" else ("", "\n")
    body = "".join(f"{ends[0]}{json.dumps(each)}{ends[1]}" for each in frames)
    return list(gaistream.read_events(body.encode(), format, name))


def places(name: str) -> dict[str, list[str]]:
    """Return the paths in a protocol's JSON from which the field of each event is read."""
    _, frames = SAMPLES[name]
    events = _read(name, frames)
    found: dict[str, list[str]] = {}
    for path, _value in _leaves(frames):
        others = _read(name, _changed(frames, path))
        if list(map(type, events)) != list(map(type, others)):
            continue  # the value says what kind of frame it is
        shown = "".join("[]" if isinstance(step, int) else f".{step}" for step in path[1:])
        shown = shown.replace(".candidates[].content.parts[]", ".parts[]")
        for event, other in zip(events, others, strict=True):
            kind = type(event).__name__
            for (field, one), (_, two) in zip(_fields(event, kind), _fields(other), strict=False):
                known = found.setdefault(f"`{field}`", [])
                if one != two and shown[1:] not in known:
                    known.append(shown[1:])
    return {field: paths for field, paths in found.items() if paths}


def table(rows: list[str]) -> str:
    """Return the table as Markdown.

    Args:
        rows: the names of the fields, in their order; those that no protocol has are left out.
    """
    columns = {name: places(name) for name in SAMPLES}
    lines = ["| field | " + " | ".join(f"`{name}`" for name in columns) + " |", "|---|---|---|---|"]
    for row in rows:
        cells = [", ".join(f"`{path}`" for path in each.get(row, ())) for each in columns.values()]
        if any(cells) and row != "`Raw.raw`":  # which holds whatever is unknown
            lines.append(f"| {row} | " + " | ".join(cell or "–" for cell in cells) + " |")
    return "\n".join(lines) + "\n"
