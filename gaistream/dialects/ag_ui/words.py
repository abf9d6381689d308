"""Words of AG-UI for our values, which both directions look up, and those that are ours."""

from __future__ import annotations

from typing import Any, Final

from ...events import ApprovalRequest, Usage
from ...message.words import COUNTS

VERSION: Final = "1.0"
"""The version of the protocol that is written."""
OWN: Final = "gaistream."
"""The beginning of the names of the custom events that are events of ours."""
LARGEST: Final = 2**53 - 1
"""JavaScript's largest safe integer, and the largest count."""


def metadata(**fields: Any) -> dict[str, Any]:
    """Return `metadata` with the fields that are not None, or nothing if none is set."""
    inner = {name: value for name, value in fields.items() if value is not None}
    return {"metadata": inner} if inner else {}


def usage_entry(usage: Usage, model: str) -> dict[str, Any]:
    """Return an item of `usage`: the counts that the protocol can hold."""
    counts = {theirs: getattr(usage, ours) for ours, theirs in COUNTS.items()}
    named = {"model": model} if model else {}
    return named | {
        name: count for name, count in counts.items() if count is not None and 0 <= count <= LARGEST
    }


def interrupt(event: ApprovalRequest, call_id: str) -> dict[str, Any]:
    """Return the question to the user that ends a run; its reason is required."""
    fields: dict[str, Any] = {"id": event.id, "reason": event.reason or "tool_call"}
    if event.message is not None:
        fields["message"] = event.message
    if call_id:
        fields["toolCallId"] = call_id
    about = {"signature": event.signature}
    if isinstance(event.response_schema, dict):
        fields["responseSchema"] = event.response_schema
    else:
        about["responseSchema"] = event.response_schema
    return fields | metadata(**about)
