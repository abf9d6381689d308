"""The list of models that `GET /v1/models` answers, as OpenAI and Anthropic have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

_MADE: Final = 0  # Unix seconds: when a model was made is not known here


def list_models(names: Sequence[str], *, anthropic: bool = False) -> dict[str, Any]:
    """Return the list.

    Args:
        names: of the models.
        anthropic: True for Anthropic's form, which a request with `anthropic-version` gets.
    """
    if not anthropic:
        models = [
            {"id": name, "object": "model", "created": _MADE, "owned_by": "gaistream"}
            for name in names
        ]
        return {"object": "list", "data": models}
    models = [
        {
            "type": "model",
            "id": name,
            "display_name": name,
            "created_at": "1970-01-01T00:00:00Z",
            "lifecycle": "active",
        }
        for name in names
    ]
    first, last = (names[0], names[-1]) if names else (None, None)
    return {"data": models, "has_more": False, "first_id": first, "last_id": last}
