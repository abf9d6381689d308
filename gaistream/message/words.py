"""Words of the vendors' protocols that both messages and streams have; dialects read them here."""

from __future__ import annotations

from typing import Any, Final

from ..core import Citation

# ---- the AI SDK ----

COUNTS: Final = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "total_tokens": "totalTokens",
    "cached_input_tokens": "cachedInputTokens",
    "cache_write_tokens": "cacheWriteInputTokens",
    "reasoning_tokens": "reasoningTokens",
}
"""The fields of Usage in `messageMetadata.usage`."""
SIGNATURES: Final = {
    "openai": "reasoningEncryptedContent",
    "azure": "reasoningEncryptedContent",
    "google": "thoughtSignature",
    "vertex": "thoughtSignature",
}
"""Where a provider's own package looks for the signature of a block; `signature` in all others."""
UNFINISHED: Final = "the tool call was not finished"
_LARGEST: Final = 2**53 - 1  # JavaScript's largest safe integer: a larger index kills the stream


def position_of(citation: Citation) -> dict[str, int]:
    """Return the start and end of a citation, if it has a position that JavaScript can hold."""
    if not 0 <= citation.start <= citation.end <= _LARGEST or not citation.end:
        return {}
    return {"startIndex": citation.start, "endIndex": citation.end}


def cited(citation: Citation, identity: str) -> dict[str, Any]:
    """Return an item of the citations of a text, of version 7."""
    source = {"type": "source", "sourceType": "url", "id": identity, "url": citation.uri}
    title = {"title": citation.title} if citation.title else {}
    return {"source": source | title, **position_of(citation)}


# ---- Anthropic ----

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
