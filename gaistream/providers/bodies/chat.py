"""ChatRequest → the body of `POST /chat/completions`.

Most of it goes through as it is. OpenAI's own API refuses fields that it does not know, so it gets
none; other services get what many of them take: reasoning, `top_k`, `thinking`, cache marks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ...chat import ChatRequest
from ...errors import InvalidRequest
from .shared import (
    CHAT_FIELDS,
    check_types,
    drop_tool,
    is_anthropic_tool,
    is_block,
    is_item,
    is_openai_tool,
    parts_of,
    passed_on,
    text_of_block,
    without_marks,
)

_OTHERS_FIELDS: Final = CHAT_FIELDS | {
    "fallbacks", "include", "instructions", "reasoning", "text", "thinking", "top_k",
}  # fmt: skip
_OWN_PARTS: Final = frozenset({"text", "image_url", "input_audio", "refusal"})
_OWN_TOOLS: Final = frozenset({"function", "custom"})


def chat_body(request: ChatRequest, model: str | None, *, own_host: bool) -> dict[str, Any]:
    """Return the body that asks for a stream.

    Args:
        request: what is asked.
        model: for a request without one.
        own_host: True for OpenAI's own API.

    Raises:
        InvalidRequest: a part of the request has a wrong type, or OpenAI's own API has no way to
            say it.
    """
    check_types(request)
    extra = request.extra
    body = passed_on(extra, CHAT_FIELDS if own_host else _OTHERS_FIELDS)
    for name in ("tools", "tool_choice", "parallel_tool_calls"):
        body.pop(name, None)
    metadata = body.get("metadata")
    if own_host and isinstance(metadata, dict) and metadata.keys() == {"user_id"}:
        del body["metadata"]  # Anthropic's; OpenAI takes metadata only of answers that it stores
    body |= _tools(extra, own_host)
    settings = {
        "model": request.model or model,
        "temperature": request.temperature,
        "max_completion_tokens" if own_host else "max_tokens": request.max_tokens,
    }
    body |= {name: value for name, value in settings.items() if value is not None}
    options = extra.get("stream_options")
    options = options if isinstance(options, dict) else {}
    return body | {
        "messages": _messages(request.messages, own_host),
        "stream": True,
        "stream_options": {**options, "include_usage": True},
    }


def _messages(messages: Iterable[Mapping[str, Any]], own_host: bool) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    attached: list[dict[str, Any]] = []  # images and files of tool results, which take only text
    for index, message in enumerate(messages):
        role, path = message.get("role"), f"messages[{index}]"
        if attached and role != "tool":
            found.append({"role": "user", "content": attached})
            attached = []
        converted: dict[str, Any] | None = without_marks(message)
        assert converted is not None
        if role == "assistant":
            converted = _assistant(converted, path, own_host)
        elif not isinstance(message.get("content"), str):
            parts = _parts(parts_of(message.get("content")), path, own_host)
            if role == "tool":
                attached += [part for part in parts if part.get("type") != "text"]
                parts = [part for part in parts if part.get("type") == "text"]
            converted["content"] = parts or ""
        if converted is None:
            continue
        converted.pop("is_error", None)
        if role == "developer" and not own_host:
            converted["role"] = "system"  # most other services know only that
        found.append(converted)
    return [*found, {"role": "user", "content": attached}] if attached else found


def _parts(parts: list[dict[str, Any]], path: str, own_host: bool) -> list[dict[str, Any]]:
    """Return the parts that the service knows."""
    found = []
    for index, part in enumerate(parts):
        converted: dict[str, Any] | None = part
        if is_block(part):
            converted = text_of_block(part)
        elif is_item(part) or part.get("type") == "reasoning":
            converted = None
        if converted is not None and converted.pop("is_image", False) and own_host:
            field = f"{path}.content[{index}]"
            raise InvalidRequest(
                f"{field} is the image of a file, which OpenAI's Chat Completions does not take",
                field,
            )
        if converted is not None and own_host:
            kind = converted.get("type")
            if kind == "file":
                found.append(_own_file(converted, f"{path}.content[{index}]"))
            elif kind in _OWN_PARTS:
                found.append({"type": kind, kind: converted.get(kind)})
        elif converted is not None:
            found.append(converted)
    return found


def _own_file(part: Mapping[str, Any], path: str) -> dict[str, Any]:
    file = dict(part.get("file") or {})
    if file.get("file_url"):
        field = f"{path}.file.file_url"
        raise InvalidRequest(f"{field}: OpenAI's Chat Completions takes no files by URL", field)
    if file.get("file_data"):
        file.setdefault("filename", "file")  # which goes with data
    return {"type": "file", "file": file}


def _assistant(message: dict[str, Any], path: str, own_host: bool) -> dict[str, Any] | None:
    """Return an earlier answer; None if nothing of it can be sent."""
    content = message.get("content")
    if isinstance(content, list):
        given = parts_of(content)
        parts = _parts(given, path, own_host)
        only_text = len(parts) == 1 and parts[0].keys() == {"type", "text"}
        message["content"] = (parts[0]["text"] if only_text else parts) or None
        if not own_host:
            message |= _reasoning([part for part in given if part.get("type") == "reasoning"])
    calls = [without_marks(call) for call in message.get("tool_calls") or ()]
    message.pop("tool_calls", None)
    if calls:
        message["tool_calls"] = calls
    says_nothing = not any(value for name, value in message.items() if name not in ("role", "name"))
    return None if says_nothing and content else message


def _reasoning(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the fields of reasoning: its text, and its details if a part is signed."""
    text = "".join(str(part.get("text") or "") for part in parts)
    details = []
    for part in parts:
        more = {"id": part["id"]} if part.get("id") else {}
        if part.get("redacted"):
            details.append({"type": "reasoning.encrypted", "data": part["redacted"], **more})
        else:
            signed = {"signature": part["signature"]} if part.get("signature") else {}
            detail = {"type": "reasoning.text", "text": part.get("text") or "", **signed, **more}
            details.append(detail)
    fields: dict[str, Any] = {"reasoning_content": text} if text else {}
    if any(part.get("signature") or part.get("redacted") or part.get("id") for part in parts):
        fields["reasoning_details"] = details
    return fields


def _tools(extra: Mapping[str, Any], own_host: bool) -> dict[str, Any]:
    """Return the tools and the choice among them, which is refused without tools."""
    given = extra.get("tools")
    tools = []
    for tool in given or ():
        if is_openai_tool(tool) or is_anthropic_tool(tool):
            drop_tool(tool, "Chat Completions")
        elif not own_host:
            tools.append(tool)
        elif (kind := tool.get("type")) in _OWN_TOOLS:
            tools.append({"type": kind, kind: tool.get(kind)})
        else:
            drop_tool(tool, "OpenAI's Chat Completions")
    if not tools:
        return {}
    fields = {"tools": tools}
    choice, parallel = extra.get("tool_choice"), extra.get("parallel_tool_calls")
    if choice is not None and not (isinstance(choice, dict) and _is_foreign(choice)):
        fields["tool_choice"] = choice
    return fields if parallel is None else {**fields, "parallel_tool_calls": parallel}


def _is_foreign(choice: Mapping[str, Any]) -> bool:
    """Return True for the choice of a tool that Chat Completions does not have."""
    return choice.get("type") not in choice
