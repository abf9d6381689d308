"""What the bodies of all services share: fields, parts, tools, and to which vendor they belong."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from ..._log import late_logger
from ...chat import ChatRequest, Fields
from ...core import read_json
from ...errors import InvalidRequest

_log = late_logger("gaistream.providers")

# ---- fields: those that a body gets from elsewhere (model, messages, …) are not listed ----

CHAT_FIELDS: Final = frozenset(
    {"audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
     "max_completion_tokens", "metadata", "modalities", "moderation", "n", "parallel_tool_calls",
     "prediction", "presence_penalty", "prompt_cache_key", "prompt_cache_options",
     "prompt_cache_retention", "reasoning_effort", "response_format", "safety_identifier", "seed",
     "service_tier", "stop", "store", "stream_options", "tool_choice", "tools", "top_logprobs",
     "top_p", "user", "verbosity", "web_search_options"}
)  # fmt: skip
RESPONSES_FIELDS: Final = frozenset(
    {"access_programs", "background", "background_options", "context_compression",
     "context_management", "conversation", "image", "include", "instructions", "max_output_tokens",
     "max_tool_calls", "metadata", "moderation", "parallel_tool_calls", "previous_response_id",
     "prewarm", "prompt", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
     "reasoning", "safety_identifier", "service_tier", "store", "text", "tool_choice", "tools",
     "top_logprobs", "top_p", "truncation", "user"}
)  # fmt: skip
MESSAGES_FIELDS: Final = frozenset(
    {"cache_control", "compaction", "container", "context_management", "diagnostics", "fallbacks",
     "inference_geo", "mcp_servers", "metadata", "output_config", "service_tier", "speed",
     "system", "stop_sequences", "thinking", "tool_choice", "tools", "top_k", "top_p",
     "user_profile_id", "workspace_id"}
)  # fmt: skip
_FRONTEND_FIELDS: Final = frozenset(
    {"approvals", "chat_id", "context", "forwarded_props", "message_id", "parent_run_id",
     "protocol_version", "resume", "run_id", "state", "thread_id", "trigger", "betas",
     "output_format", "reasoning_summary", "stream", "messages", "model", "input"}
)  # fmt: skip
"""Fields of AG-UI and the AI SDK, and those that every body says in its own way."""
_KNOWN: Final = CHAT_FIELDS | RESPONSES_FIELDS | MESSAGES_FIELDS | _FRONTEND_FIELDS


def passed_on(extra: Mapping[str, Any], own: Iterable[str], *converted: str) -> dict[str, Any]:
    """Return the fields of `extra` that a service takes as they are.

    Args:
        extra: of the request.
        own: the service's names; names that no protocol has go through, too.
        converted: names that the body says in another way.
    """
    return {
        name: value
        for name, value in extra.items()
        if value is not None
        and name not in converted
        and (name in own or name not in _KNOWN)
        and (name, value) != ("service_tier", "standard_only")  # Anthropic's, which checks its own
    }


def check_types(request: ChatRequest) -> None:
    """Raise InvalidRequest for a field or a part of a type that no body can be made of."""
    for index, message in enumerate(request.messages):
        fields = Fields(dict(message), f"messages[{index}]")
        for call in fields.objects("tool_calls"):
            call.optional_object("function")
        content = fields.get("content")
        if content is not None and not isinstance(content, str):
            for part in fields.objects("content"):
                _check_part(part)
    extra = Fields(dict(request.extra))
    for tool in extra.objects("tools"):
        tool.optional_text("type")
        _check_named(tool)
    for name in ("output_config", "text", "reasoning"):
        extra.optional_object(name)
    if (thinking := extra.optional_object("thinking")) is not None:
        thinking.count("budget_tokens")
    extra.optional_text("reasoning_effort")
    if isinstance(extra.get("tool_choice"), dict):
        choice = extra.required_object("tool_choice")
        choice.optional_text("type")
        if (allowed := choice.optional_object("allowed_tools")) is not None:
            allowed.optional_text("mode")
            for tool in allowed.objects("tools"):
                _check_named(tool)
    if not isinstance(extra.get("stop"), str):
        extra.items("stop")
    extra.items("include")


def _check_named(tool: Fields) -> None:
    tool.optional_text("name")
    if (function := tool.optional_object("function")) is not None:
        function.optional_text("name")


def _check_part(part: Fields) -> None:
    kind = part.text("type", may_be_empty=False)
    if kind == "image_url":
        part.required_object("image_url").text("url")
    elif kind in ("file", "input_audio"):
        part.required_object(kind)
    elif kind == "reasoning":
        for name in ("text", "signature", "redacted", "id"):
            part.optional_text(name)


# ---- parts ----

ENCRYPTED_BY_OPENAI: Final = "gAAAA"
"""The first characters of reasoning that OpenAI has encrypted (Fernet), which only it can use."""

_ITEMS: Final = frozenset(
    {"mcp_list_tools", "mcp_approval_request", "mcp_approval_response", "compaction_trigger",
     "program", "program_output", "tool_search_output", "additional_tools"}
)  # fmt: skip
_BLOCKS: Final = frozenset({"search_result", "document", "container_upload", "image"})


def is_item(part: Mapping[str, Any]) -> bool:
    """Return True for an input item of OpenAI's Responses API."""
    kind = str(part.get("type"))
    if kind == "compaction":
        return "encrypted_content" in part
    return kind in _ITEMS or kind.endswith(("_call", "_call_output"))


def is_block(part: Mapping[str, Any]) -> bool:
    """Return True for a content block that only Anthropic's Messages API has."""
    kind = str(part.get("type"))
    if kind == "compaction":
        return "encrypted_content" not in part
    return kind in _BLOCKS or kind.endswith(("tool_use", "tool_result"))


def parts_of(content: Any) -> list[dict[str, Any]]:
    """Return the content of a message as parts, without marks."""
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [without_marks(part) for part in content]


def without_marks(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message, a part or a call without the marks that are not for services."""
    return {name: value for name, value in fields.items() if name not in _MARKS}


_MARKS: Final = ("from_client", "provider_executed")


def text_of_block(part: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the text of Anthropic's search result or document of text; None if it has none."""
    source = part.get("source") if part.get("type") == "document" else part
    content = source.get("content") if isinstance(source, Mapping) else None
    if part.get("type") not in ("search_result", "document") or not content:
        return None
    parts = content if isinstance(content, list) else [{"text": content}]
    texts = [each.get("text") for each in parts if isinstance(each, Mapping)]
    head = [part.get("title"), part.get("source")]
    lines = [each for each in (*head, *texts) if isinstance(each, str) and each]
    return {"type": "text", "text": "\n".join(lines)}


def split_data_url(url: str) -> tuple[str, str] | None:
    """Return the media type and the base64 data of a `data:` URL; None for another URL."""
    if url[:5].lower() != "data:":
        return None
    head, _, data = url[5:].partition(",")
    media_type, *options = [option.strip() for option in head.split(";")]
    if "base64" not in options:
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return media_type.lower() or "text/plain", data


def data_of_file(file: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the media type and the base64 data of a file; None if it has no data."""
    data = str(file.get("file_data") or "")
    return split_data_url(data) or ("application/pdf", data) if data else None


# ---- tools ----


def arguments_of(text: Any, path: str) -> dict[str, Any]:
    """Return the arguments of an earlier call.

    Args:
        text: their JSON.
        path: of the call.

    Raises:
        InvalidRequest: they are not a JSON object.
    """
    if not text:
        return {}
    field = f"{path}.function.arguments"
    try:
        value = read_json(text, "replace")
    except ValueError:
        raise InvalidRequest(f"{field} must be JSON", field) from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"{field} must be a JSON object", field)
    return value


def tools_of(extra: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], Any]:
    """Return the tools that may be called and the choice among them.

    A choice of `allowed_tools` becomes its mode, and leaves the others out.
    """
    tools, choice = list(extra.get("tools") or ()), extra.get("tool_choice")
    if isinstance(choice, dict) and isinstance(choice.get("allowed_tools"), dict):
        only, choice = choice["allowed_tools"], choice["allowed_tools"].get("mode")
        names = {(function_of(tool) or tool).get("name") for tool in only.get("tools") or ()}
        tools = [tool for tool in tools if (function_of(tool) or tool).get("name") in names]
    return tools, choice

_HOSTED: Final = frozenset(
    {"apply_patch", "code_interpreter", "computer", "computer_use_preview", "custom", "file_search",
     "image_generation", "local_shell", "mcp", "namespace", "shell", "tool_search", "web_search"}
)  # fmt: skip
_OF_ANTHROPIC: Final = re.compile(r"(_\d{8}|^mcp_toolset)$")


def is_openai_tool(tool: Mapping[str, Any]) -> bool:
    """Return True for a tool that only OpenAI's Responses API has."""
    kind = str(tool.get("type"))
    return kind not in tool and (kind in _HOSTED or kind.startswith("web_search_"))


def is_anthropic_tool(tool: Mapping[str, Any]) -> bool:
    """Return True for a tool that only Anthropic's Messages API has."""
    return bool(_OF_ANTHROPIC.search(str(tool.get("type"))))


def drop_tool(tool: Mapping[str, Any], service: str) -> None:
    """Log that a tool is not sent, since the service has none of its kind."""
    _log.info("the tool %r is not sent: %s has none of its kind", tool.get("type"), service)


def function_of(tool: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the function of a tool; None for another kind of tool."""
    function = tool.get("function")
    return function if isinstance(function, Mapping) else None


NO_PARAMETERS: Final = {"type": "object", "properties": {}}
"""The schema of a function without parameters."""
