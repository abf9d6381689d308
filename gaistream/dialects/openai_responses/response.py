"""The Response object: the head of a stream, its end, and the whole answer.

It has every field that the types of OpenAI and of Open Responses require. What the request has
set is repeated; other fields have the protocol's defaults. A field of the request that has another
type than the response's is left out.
"""

from __future__ import annotations

from typing import Any, Final

from ...events import Error, Usage
from ..fields import objects_of

_NUMBER: Final = (int, float)
_TEXT: Final = (str,)
# The types and the default of each field that repeats one of the request.
_REPEATED: Final[dict[str, tuple[tuple[type, ...], Any]]] = {
    "previous_response_id": (_TEXT, None),
    "instructions": (_TEXT, None),
    "truncation": (_TEXT, "disabled"),
    "parallel_tool_calls": ((bool,), True),
    "top_p": (_NUMBER, 1.0),
    "presence_penalty": (_NUMBER, 0.0),
    "frequency_penalty": (_NUMBER, 0.0),
    "top_logprobs": ((int,), 0),
    "temperature": (_NUMBER, 1.0),
    "max_output_tokens": ((int,), None),
    "max_tool_calls": ((int,), None),
    "metadata": ((dict,), {}),
    "safety_identifier": (_TEXT, None),
    "prompt_cache_key": (_TEXT, None),
    "user": (_TEXT, None),
}
# Fields that the response must have where the request may leave them out.
_TOOL: Final = {"description": None, "parameters": None, "strict": None}
_SCHEMA: Final = {"description": None, "strict": False}
_REASONING: Final = {"effort": None, "summary": None}
_CODES: Final = {
    code: code
    for code in (
        "rate_limit_exceeded", "invalid_prompt", "data_residency_mismatch", "bio_policy",
        "vector_store_timeout", "invalid_image", "invalid_image_format", "invalid_base64_image",
        "invalid_image_url", "image_too_large", "image_too_small", "image_parse_error",
        "image_content_policy_violation", "invalid_image_mode", "image_file_too_large",
        "unsupported_image_media_type", "empty_image_file", "failed_to_download_image",
        "image_file_not_found",
    )
} | {"rate_limited": "rate_limit_exceeded", "rate_limit_error": "rate_limit_exceeded"}  # fmt: skip


def new_response(id: str, model: str, created_at: int, request: dict[str, Any]) -> dict[str, Any]:
    """Return the response in progress that answers a request."""
    repeated = {
        name: request[name] if type(request.get(name)) in types else default
        for name, (types, default) in _REPEATED.items()
    }
    return {
        "id": id,
        "object": "response",
        "created_at": created_at,
        "completed_at": None,
        "status": "in_progress",
        "incomplete_details": None,
        "model": model,
        "output": [],
        "error": None,
        "tools": [_tool(tool) for tool in objects_of(request.get("tools"))],
        "tool_choice": _tool_choice(request.get("tool_choice")),
        "text": _text(request.get("text")),
        "reasoning": _reasoning(request.get("reasoning")),
        "usage": None,
        "store": False,  # whatever was asked for: a response is not kept here
        "background": False,
        "service_tier": "default",
        **repeated,
    }


def usage_fields(usage: Usage | None) -> dict[str, Any] | None:
    """Return the counts, with 0 for those that are not known; None if none is."""
    if usage is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.total_tokens,
    }


def failure_code(error: Error) -> str:
    """Return OpenAI's code of a failed response; there is one for each of some causes only."""
    return _CODES.get(error.code or "", "server_error")


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    return {**_TOOL, **tool} if tool.get("type") == "function" else tool


def _tool_choice(choice: object) -> Any:
    if isinstance(choice, dict):
        return {"mode": "auto", **choice} if choice.get("type") == "allowed_tools" else choice
    return choice if isinstance(choice, str) else "auto"


def _text(text: object) -> dict[str, Any]:
    fields = text if isinstance(text, dict) else {}
    form = fields.get("format")
    if not isinstance(form, dict):
        form = {"type": "text"}
    elif form.get("type") == "json_schema":
        form = {**_SCHEMA, **form}
    return {**fields, "format": form}


def _reasoning(reasoning: object) -> dict[str, Any] | None:
    return {**_REASONING, **reasoning} if isinstance(reasoning, dict) else None
