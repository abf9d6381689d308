"""Words of Anthropic's protocol that its writer and its reader share."""

from __future__ import annotations

from typing import Final

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
