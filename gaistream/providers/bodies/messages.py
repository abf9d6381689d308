"""ChatRequest → the body of Anthropic's `POST /v1/messages`.

System messages at the beginning become `system`, results of tools the blocks of a user's message.
Thinking goes back with its signature. Without one, or with OpenAI's, it is left out, since
Anthropic would refuse it.
"""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Mapping
from typing import Any, Final

from ...chat import ChatRequest
from ...errors import InvalidRequest
from .shared import (
    ENCRYPTED_BY_OPENAI,
    MESSAGES_FIELDS,
    NO_PARAMETERS,
    arguments_of,
    check_types,
    drop_tool,
    function_of,
    is_anthropic_tool,
    is_item,
    parts_of,
    passed_on,
    split_data_url,
    tools_of,
)

MOST_TOKENS: Final = 16_384
"""Tokens of an answer to a request that has no limit, which Anthropic requires; the budget of
thinking is added."""
_CONVERTED: Final = ("tools", "tool_choice", "parallel_tool_calls", "metadata", "service_tier",
                     "context_management", "thinking", "output_config")  # fmt: skip
_CHOICES: Final = {"auto": "auto", "required": "any", "none": "none"}
_EFFORTS: Final = {"minimal": "low"}  # which Anthropic does not have
_BUDGETS: Final = ((2048, "low"), (8192, "medium"))  # what budgets below these stand for
_NOT_OF_IDS: Final = re.compile(r"[^a-zA-Z0-9_-]")


def messages_body(request: ChatRequest, model: str | None) -> dict[str, Any]:
    """Return the body that asks for a stream.

    Args:
        request: what is asked.
        model: for a request without one.

    Raises:
        InvalidRequest: a part of the request has a wrong type, or cannot be said: audio, or
            arguments of an earlier call that are not a JSON object.
    """
    check_types(request)
    extra = request.extra
    body = passed_on(extra, MESSAGES_FIELDS, *_CONVERTED)
    body |= {**_metadata(extra), **_tools(extra), **_thinking(extra)}
    stop = extra.get("stop")
    if stop:
        body["stop_sequences"] = [stop] if isinstance(stop, str) else list(stop)
    thinking = body.get("thinking") or {}
    if request.temperature is not None and thinking.get("type") in (None, "disabled"):
        body["temperature"] = min(request.temperature, 1.0)  # the range of others is wider
    budget = thinking.get("budget_tokens")
    most = MOST_TOKENS + (budget if isinstance(budget, int) else 0)
    body["max_tokens"] = most if request.max_tokens is None else request.max_tokens
    if request.model or model:
        body["model"] = request.model or model
    return {**body, **_conversation(request.messages), "stream": True}


def _conversation(messages: Any) -> dict[str, Any]:
    """Return `system` and `messages`."""
    system: list[Any] = []
    found: list[dict[str, Any]] = []
    results: list[dict[str, Any]] | None = None  # the content of the user's message with them
    for index, message in enumerate(messages):
        role, content, path = message.get("role"), message.get("content"), f"messages[{index}]"
        if role in ("system", "developer"):
            if not found:
                system.append(content)
                continue
            role = "system"
        if role == "tool":
            if results is None:
                results = []
                found.append({"role": "user", "content": results})
            results.append(_result(message, path))
        elif role == "assistant":
            if blocks := _answer(message, path):
                found.append({"role": "assistant", "content": blocks})
            results = None
        elif results is not None and role == "user":
            results += _blocks(content, path)
            results = None
        else:
            said = content if isinstance(content, str) else _blocks(content, path)
            found.append({"role": role, "content": said})
            results = None
    if not system:
        return {"messages": found}
    if len(system) == 1 and isinstance(system[0], str):
        return {"system": system[0], "messages": found}
    blocks = [block for content in system for block in _blocks(content, "messages")]
    return {"system": blocks, "messages": found}


def _result(message: Mapping[str, Any], path: str) -> dict[str, Any]:
    content = message.get("content")
    block: dict[str, Any] = {
        "type": "tool_result",
        "tool_use_id": _id(message.get("tool_call_id")),
        "content": content if isinstance(content, str) else _blocks(content, path),
    }
    return {**block, "is_error": True} if message.get("is_error") else block


def _answer(message: Mapping[str, Any], path: str) -> str | list[dict[str, Any]]:
    """Return the content of an earlier answer."""
    content, calls = message.get("content"), message.get("tool_calls") or ()
    if isinstance(content, str) and not calls:
        return content
    blocks = _blocks(content, path)
    for index, call in enumerate(calls):
        function = call.get("function") or {}
        arguments = arguments_of(function.get("arguments"), f"{path}.tool_calls[{index}]")
        identity = _id(call.get("id"))
        use = {"type": "tool_use", "id": identity, "name": function.get("name")}
        blocks.append({**use, "input": arguments})
    return blocks


def _id(identity: Any) -> str:
    """Return the id of a call with the characters that Anthropic allows."""
    return _NOT_OF_IDS.sub("_", str(identity))


# ---- parts of content ----


def _blocks(content: Any, path: str) -> list[dict[str, Any]]:
    found = []
    for index, part in enumerate(parts_of(content)):
        if (block := _block(part, f"{path}.content[{index}]")) is not None:
            cache = part.get("cache_control")
            found.append(block if cache is None else {**block, "cache_control": cache})
    return found


def _block(part: dict[str, Any], path: str) -> dict[str, Any] | None:
    """Return a block; None for one that Anthropic would refuse."""
    kind = part.get("type")
    if kind in ("text", "refusal"):
        text = {"type": "text", "text": part.get(kind)}
        if not text["text"]:
            return None
        return {**text, "citations": part["citations"]} if part.get("citations") else text
    if kind == "reasoning":
        return _thought(part)
    if kind == "image_url":
        return {"type": "image", "source": _source(str((part.get("image_url") or {}).get("url")))}
    if kind == "file":
        return _document(part.get("file") or {}, "image" if part.get("is_image") else "document")
    if kind == "input_audio":
        raise InvalidRequest(f"{path} is audio, which Anthropic does not take", path)
    return None if is_item(part) else part


def _thought(part: Mapping[str, str]) -> dict[str, Any] | None:
    if part.get("redacted"):
        return {"type": "redacted_thinking", "data": part["redacted"]}
    signature = part.get("signature")
    if not signature or signature.startswith(ENCRYPTED_BY_OPENAI):
        return None
    return {"type": "thinking", "thinking": part.get("text") or "", "signature": signature}


def _source(url: str) -> dict[str, Any]:
    data = split_data_url(url)
    if data is None:
        return {"type": "url", "url": url}
    return {"type": "base64", "media_type": data[0], "data": data[1]}


def _document(file: Mapping[str, Any], kind: str) -> dict[str, Any]:
    if file.get("file_data"):
        data = str(file["file_data"])
        if data[:5].lower() != "data:":
            data = f"data:application/pdf;base64,{data}"
        source = _source(data)
        media_type = source["media_type"]
        if media_type.startswith("image/"):
            return {"type": "image", "source": source}
        if media_type.startswith("text/"):
            with contextlib.suppress(ValueError):  # which Anthropic will say better
                text = base64.b64decode(source["data"]).decode(errors="replace")
                source = {"type": "text", "media_type": "text/plain", "data": text}
    elif file.get("file_url"):
        source = {"type": "url", "url": file["file_url"]}
    else:
        source = {"type": "file", "file_id": file.get("file_id")}
    title = {"title": file["filename"]} if file.get("filename") else {}
    return {"type": kind, "source": source, **title}


# ---- tools and settings ----


def _tools(extra: Mapping[str, Any]) -> dict[str, Any]:
    given, choice = tools_of(extra)
    tools = []
    for tool in given:
        function = function_of(tool)
        if function is not None:
            tools.append(_tool(function, tool))
        elif is_anthropic_tool(tool):
            tools.append(dict(tool))
        else:
            drop_tool(tool, "Anthropic")
    if not tools:
        return {}
    chosen: dict[str, Any] | None = None
    if isinstance(choice, str):
        chosen = {"type": _CHOICES.get(choice, "auto")}
    elif isinstance(choice, dict) and (function := function_of(choice)) is not None:
        chosen = {"type": "tool", "name": function.get("name")}
    if extra.get("parallel_tool_calls") is False:
        chosen = chosen or {"type": "auto"}
        if chosen["type"] != "none":
            chosen["disable_parallel_tool_use"] = True
    return {"tools": tools} if chosen is None else {"tools": tools, "tool_choice": chosen}


def _tool(function: Mapping[str, Any], tool: Mapping[str, Any]) -> dict[str, Any]:
    made = {
        "name": function.get("name"),
        "description": function.get("description"),
        "input_schema": function.get("parameters") or NO_PARAMETERS,
        "strict": function.get("strict"),
        "cache_control": tool.get("cache_control"),
    }
    return {name: value for name, value in made.items() if value is not None}


def _thinking(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return `thinking` and `output_config`: the effort and the format of the answer."""
    thinking, effort = extra.get("thinking"), extra.get("reasoning_effort")
    output = dict(extra.get("output_config") or {})
    if thinking is None and effort is not None:
        thinking = {"type": "disabled" if effort == "none" else "adaptive"}
    elif isinstance(thinking, dict) and thinking.get("type") == "enabled":
        budget = thinking.get("budget_tokens") or 0
        if effort == next((word for below, word in _BUDGETS if budget < below), "high"):
            effort = None  # it only says the budget in another way
    if effort not in (None, "none"):
        output.setdefault("effort", _EFFORTS.get(effort, effort))
    form = extra.get("response_format")
    if isinstance(form, dict) and isinstance(form.get("json_schema"), dict):
        schema = form["json_schema"].get("schema") or NO_PARAMETERS
        output.setdefault("format", {"type": "json_schema", "schema": schema})
    fields = {"thinking": thinking, "output_config": output}
    return {name: value for name, value in fields.items() if value}


def _metadata(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields whose names OpenAI uses too, with Anthropic's values."""
    fields: dict[str, Any] = {}
    metadata = extra.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    if user := user or extra.get("safety_identifier") or extra.get("user"):
        fields["metadata"] = {"user_id": user}
    if extra.get("service_tier") in ("auto", "standard_only"):
        fields["service_tier"] = extra["service_tier"]
    if isinstance(extra.get("context_management"), dict):  # OpenAI's is a list
        fields["context_management"] = extra["context_management"]
    return fields
