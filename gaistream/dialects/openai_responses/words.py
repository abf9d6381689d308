"""Words of the Responses protocol that its writer and its reader have in common."""

from __future__ import annotations

from typing import Final

INCOMPLETE: Final = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
    "max_messages": "other",
    "steered": "other",
}
"""Our finish reason of each reason for which a response is incomplete."""
