"""Words of Anthropic's protocol that its writer and its reader share."""

from __future__ import annotations

from typing import Any, Final

FINISH_REASONS: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "pause_turn": "pause",
}
"""Our finish reason for each stop reason; the first of several is written for ours."""

# The type of a server tool's result block, and the types that its content may have.
_RESULTS: Final = {
    "web_search": ("web_search", ("web_search_result",)),
    "web_fetch": ("web_fetch", ("web_fetch_result",)),
    "code_execution": (
        "code_execution", ("code_execution_result", "encrypted_code_execution_result"),
    ),
    "bash_code_execution": ("bash_code_execution", ("bash_code_execution_result",)),
    "text_editor_code_execution": (
        "text_editor_code_execution",
        (
            "text_editor_code_execution_view_result",
            "text_editor_code_execution_create_result",
            "text_editor_code_execution_str_replace_result",
        ),
    ),
    "tool_search_tool_regex": ("tool_search", ("tool_search_tool_search_result",)),
    "tool_search_tool_bm25": ("tool_search", ("tool_search_tool_search_result",)),
}  # fmt: skip

SERVER_TOOLS: Final = frozenset(_RESULTS)
"""The tools that Anthropic's servers run; no other name may stand in a `server_tool_use` block."""
RESULT_SUFFIX: Final = "_tool_result"


def result_type(tool: str, result: object) -> str | None:
    """Return the type of the block of a server tool's result; None if it has another shape."""
    if tool not in _RESULTS:
        return None
    stem, content_types = _RESULTS[tool]
    block_type = stem + RESULT_SUFFIX
    if isinstance(result, list):
        fits = tool == "web_search" and all(_type_of(each) in content_types for each in result)
    elif _type_of(result) == f"{block_type}_error":
        fits = True
    else:
        fits = tool != "web_search" and _type_of(result) in content_types
    return block_type if fits else None


def _type_of(value: Any) -> object:
    return value.get("type") if isinstance(value, dict) else None
