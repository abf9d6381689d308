"""The parts of a message → the content blocks of Anthropic Messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ..core import Citations, ToolResult
from .partial_json import read_partial_json
from .parts import Call, Reasoning, Text, joined

SERVER_TOOLS: Final = {  # of Anthropic, each with the type of its result
    "web_search": "web_search_tool_result",
    "web_fetch": "web_fetch_tool_result",
    "code_execution": "code_execution_tool_result",
    "bash_code_execution": "bash_code_execution_tool_result",
    "text_editor_code_execution": "text_editor_code_execution_tool_result",
    "tool_search_tool_regex": "tool_search_tool_result",
    "tool_search_tool_bm25": "tool_search_tool_result",
}


def to_anthropic(parts: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the blocks as Anthropic's client accumulates them."""
    blocks: list[dict[str, Any]] = []
    server_calls: dict[str, Call] = {}
    citations: list[dict[str, Any]] = []  # before the first text
    text: dict[str, Any] | None = None
    for part in parts:
        kind = type(part)
        if kind is Text:
            text = {"type": "text", "text": joined(part.pieces)}
            blocks.append(text)
            _cite(text, citations)
            citations = []
        elif kind is Reasoning:
            blocks.append(_thinking(part))
        elif kind is Call:
            if part.provider_executed:
                server_calls[part.id] = part
            if not part.provider_executed or part.name in SERVER_TOOLS:
                blocks.append(_tool_use(part))
        elif kind is ToolResult:
            call = server_calls.get(part.id)
            if call is not None and call.name in SERVER_TOOLS:
                blocks.append(_server_result(call, part))
        elif kind is Citations:
            found = [_citation(each) for each in part.citations]
            if text is None:
                citations += found
            else:
                _cite(text, found)
    return blocks


def _cite(text: dict[str, Any], citations: list[dict[str, Any]]) -> None:
    if citations:
        text.setdefault("citations", []).extend(citations)


def _citation(citation: Any) -> dict[str, Any]:
    return {
        "type": "web_search_result_location",
        "url": citation.uri,
        "title": citation.title,
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


def _server_result(call: Call, result: ToolResult) -> dict[str, Any]:
    kind = SERVER_TOOLS[call.name]
    return {"type": kind, "tool_use_id": call.id, "content": result.result}
