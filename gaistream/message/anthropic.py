"""The parts of a message → the content blocks of Anthropic Messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..core import Citations, ToolResult
from .partial_json import read_partial_json
from .parts import Call, Reasoning, Text, joined
from .words import SERVER_TOOLS, result_type


def to_anthropic(parts: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the blocks as Anthropic's client accumulates them."""
    blocks: list[dict[str, Any]] = []
    server_calls: dict[str, str] = {}  # names by ids
    text: dict[str, Any] | None = None  # the last block, if it is one of text
    for part in parts:
        kind = type(part)
        if kind is Text:
            if text is None or text["text"]:
                text = {"type": "text", "text": ""}
                blocks.append(text)
            text["text"] = joined(part.pieces)
            continue
        if kind is Citations:
            if part.citations and text is None:  # a client gets a block of text for them
                text = {"type": "text", "text": ""}
                blocks.append(text)
            if text is not None:
                _cite(text, [_citation(each) for each in part.citations])
            continue
        block: dict[str, Any] | None = None
        if kind is Reasoning:
            block = _thinking(part)
        elif kind is Call:
            if part.provider_executed:
                server_calls[part.id] = part.name
            if not part.provider_executed or part.name in SERVER_TOOLS:
                block = _tool_use(part)
        elif kind is ToolResult:
            block = _server_result(server_calls.get(part.id, ""), part)
        if block is not None:
            blocks.append(block)
            text = None
    return blocks


def _cite(text: dict[str, Any], citations: list[dict[str, Any]]) -> None:
    if citations:
        text.setdefault("citations", []).extend(citations)


def _citation(citation: Any) -> dict[str, Any]:
    return {
        "type": "web_search_result_location",
        "url": citation.uri,
        "title": citation.title or "",
        "cited_text": "",
        "encrypted_index": "",
    }


def _thinking(part: Reasoning) -> dict[str, Any]:
    if part.redacted is not None:
        return {"type": "redacted_thinking", "data": part.redacted}
    thinking = joined(part.pieces)
    return {"type": "thinking", "thinking": thinking, "signature": part.signature or ""}


def _tool_use(call: Call) -> dict[str, Any]:
    arguments = call.input if call.complete else read_partial_json(call.arguments, repair=False)
    return {
        "type": "server_tool_use" if call.provider_executed else "tool_use",
        "id": call.id,
        "name": call.name,
        "input": {} if arguments is None else arguments,
    }


def _server_result(tool: str, result: ToolResult) -> dict[str, Any] | None:
    kind = result_type(tool, result.result)
    if kind is None:
        return None
    return {"type": kind, "tool_use_id": result.id, "content": result.result}
