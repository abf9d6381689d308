"""ChatRequest → the body of Gemini's `POST …/models/MODEL:streamGenerateContent`.

System messages become `systemInstruction`, results of tools `functionResponse` parts, which name
their function. Signatures go back where they came: on the call, the thought or the text. From
version 3 on Gemini refuses a step whose first call is not signed, so a call that came without its
signature, through a protocol that has no place for it, gets Google's placeholder.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ...chat import ChatRequest
from ...core import read_json
from ...dialects.fields import bytes_of, object_of
from ...errors import InvalidRequest
from .shared import (
    ENCRYPTED_BY_OPENAI,
    arguments_of,
    check_types,
    data_of_file,
    drop_tool,
    function_of,
    is_block,
    is_item,
    parts_of,
    passed_on,
    split_data_url,
    text_of_block,
    tools_of,
)

__all__ = ["generate_content_body"]

_FIELDS: Final = frozenset({"cachedContent", "generationConfig", "labels", "safetySettings"})
_SETTINGS: Final = {
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
_MODES: Final = {"auto": "AUTO", "required": "ANY", "none": "NONE"}
_LEVELS: Final = {"none": "MINIMAL"}  # from version 3 on thinking cannot be turned off
_BUDGETS: Final = {"none": 0, "minimal": 512, "low": 1024, "medium": 8192}
_LARGEST_BUDGET: Final = 24_576  # that all thinking models of version 2.5 take
_UNSIGNED: Final = "skip_thought_signature_validator"
_VERSION: Final = re.compile(r"gemini-(\d+)")


def generate_content_body(request: ChatRequest, model: str) -> dict[str, Any]:
    """Return the body that asks for an answer.

    Args:
        request: what is asked.
        model: the name of the model, for what only some versions take.

    Raises:
        InvalidRequest: a part of the request has a wrong type, or cannot be said: a part of an
            unknown type, or arguments of an earlier call that are not a JSON object.
    """
    check_types(request)
    extra = request.extra
    found = _VERSION.search(model)
    version = int(found[1]) if found else 0
    settings = _settings(request, version)
    body = passed_on(extra, _FIELDS, "generationConfig", *_SETTINGS) | _tools(extra)
    system: list[dict[str, Any]] = []
    body["contents"] = _contents(request.messages, system, version)
    if system:
        body["systemInstruction"] = {"parts": system}
    return {**body, "generationConfig": settings} if settings else body


# ---- messages ----


def _contents(
    messages: Iterable[Mapping[str, Any]], system: list[dict[str, Any]], version: int
) -> list[dict[str, Any]]:
    """Return the conversation, and add the system's parts to `system`."""
    found: list[dict[str, Any]] = []
    names: dict[str, Any] = {}  # of functions, by the ids of their calls
    results: list[dict[str, Any]] | None = None  # the parts of the content with them
    for index, message in enumerate(messages):
        role, path = message.get("role"), f"messages[{index}]"
        if role in ("system", "developer"):
            system += _parts(message.get("content"), path)
            continue
        if role == "tool":
            if results is None:
                results = []
                found.append({"role": "user", "parts": results})
            results += _result(message, names, path)
            continue
        results = None
        parts = _parts(message.get("content"), path)
        if role == "assistant":
            parts += _calls(message.get("tool_calls") or (), names, path, version)
        if parts:
            found.append({"role": "model" if role == "assistant" else "user", "parts": parts})
    return found


def _calls(
    calls: Iterable[Mapping[str, Any]], names: dict[str, Any], path: str, version: int
) -> list[dict[str, Any]]:
    parts = []
    for index, call in enumerate(calls):
        function = call.get("function") or {}
        names[str(call.get("id"))] = name = function.get("name")
        arguments = arguments_of(function.get("arguments"), f"{path}.tool_calls[{index}]")
        identity = {"id": call["id"]} if call.get("id") else {}
        part: dict[str, Any] = {"functionCall": {**identity, "name": name, "args": arguments}}
        google = object_of(object_of(call.get("extra_content")).get("google"))
        if signature := _signature(google.get("thought_signature")):
            part["thoughtSignature"] = signature
        parts.append(part)
    if version >= 3 and parts and "thoughtSignature" not in parts[0]:
        parts[0]["thoughtSignature"] = _UNSIGNED
    return parts


def _result(
    message: Mapping[str, Any], names: Mapping[str, Any], path: str
) -> list[dict[str, Any]]:
    """Return the part of a result, and those of its images and files."""
    identity = message.get("tool_call_id")
    parts = _parts(message.get("content"), path)
    text = "\n".join(str(part["text"]) for part in parts if "text" in part)
    response: Any = {"error": text}
    if not message.get("is_error"):
        try:
            response = read_json(text, "replace")
        except ValueError:
            response = text
        response = response if isinstance(response, dict) else {"result": response}
    name = names.get(str(identity)) or message.get("name") or identity
    said = {"functionResponse": {"id": identity, "name": name, "response": response}}
    return [said, *(part for part in parts if "text" not in part)]


def _parts(content: Any, path: str) -> list[dict[str, Any]]:
    parts = (
        _part(part, f"{path}.content[{index}]") for index, part in enumerate(parts_of(content))
    )
    return [part for part in parts if part is not None]


def _part(part: dict[str, Any], path: str) -> dict[str, Any] | None:
    """Return a part; None for one that only another service takes."""
    kind = part.get("type")
    if kind in ("text", "refusal"):
        return {"text": part[kind]} if part.get(kind) else None
    if kind == "reasoning":
        return _thought(part)
    if kind == "image_url":
        return _media(str((part.get("image_url") or {}).get("url")))
    if kind == "input_audio":
        audio = part.get("input_audio") or {}
        return _inline(f"audio/{audio.get('format')}", audio.get("data"))
    if kind == "file":
        file = part.get("file") or {}
        data = data_of_file(file)
        return _inline(*data) if data else _media(str(file.get("file_url") or file.get("file_id")))
    if is_block(part):
        block = text_of_block(part)
        return block and {"text": block["text"]}
    if is_item(part):
        return None
    raise InvalidRequest(f"{path} has the type {kind!r:.40}, which Gemini does not take", path)


def _thought(part: Mapping[str, Any]) -> dict[str, Any] | None:
    text, signature = part.get("text") or "", _signature(part.get("signature"))
    if not text and not signature:
        return None
    signed = {"thoughtSignature": signature} if signature else {}
    return {"text": text, "thought": True, **signed} if text else {"text": "", **signed}


def _signature(value: Any) -> str | None:
    """Return a signature, or None for one that cannot be Gemini's, which is base64."""
    if not isinstance(value, str) or value.startswith(ENCRYPTED_BY_OPENAI):
        return None
    return None if bytes_of(value) is None else value


def _media(url: str) -> dict[str, Any]:
    data = split_data_url(url)
    if data is not None:
        return _inline(*data)
    kind = mimetypes.guess_type(url.partition("?")[0])[0]
    return {"fileData": {"fileUri": url, "mimeType": kind} if kind else {"fileUri": url}}


def _inline(media_type: str, data: Any) -> dict[str, Any]:
    return {"inlineData": {"mimeType": media_type, "data": data}}


# ---- tools and settings ----


def _tools(extra: Mapping[str, Any]) -> dict[str, Any]:
    given, choice = tools_of(extra)
    functions, tools = [], []
    for tool in given:
        function = function_of(tool)
        if function is not None:
            functions.append(_declaration(function))
        elif "type" not in tool:
            tools.append(dict(tool))  # Gemini's own, such as {"googleSearch": {}}
        else:
            drop_tool(tool, "Gemini")
    if functions:
        tools.insert(0, {"functionDeclarations": functions})
    fields: dict[str, Any] = {"tools": tools} if tools else {}
    calling: dict[str, Any] = {}
    if isinstance(choice, str) and choice in _MODES:
        calling = {"mode": _MODES[choice]}
    elif isinstance(choice, dict) and (chosen := function_of(choice)) is not None:
        calling = {"mode": "ANY", "allowedFunctionNames": [chosen.get("name")]}
    if functions and calling:
        fields["toolConfig"] = {"functionCallingConfig": calling}
    return fields


def _declaration(function: Mapping[str, Any]) -> dict[str, Any]:
    made = {
        "name": function.get("name"),
        "description": function.get("description"),
        "parametersJsonSchema": function.get("parameters"),
    }
    return {name: value for name, value in made.items() if value is not None}


def _settings(request: ChatRequest, version: int) -> dict[str, Any]:
    """Return `generationConfig`; the fields of one in `extra` stay."""
    extra = request.extra
    stop = extra.get("stop")
    settings = {
        "temperature": request.temperature,
        "maxOutputTokens": request.max_tokens,
        "stopSequences": [stop] if isinstance(stop, str) else stop,
        "thinkingConfig": _thinking(extra, version),
        **{theirs: extra.get(ours) for ours, theirs in _SETTINGS.items()},
        **_format(extra.get("response_format")),
    }
    if isinstance(modalities := extra.get("modalities"), list):
        settings["responseModalities"] = [str(each).upper() for each in modalities]
    given = {name: value for name, value in settings.items() if value is not None}
    return {**given, **object_of(extra.get("generationConfig"))}


def _format(wanted: Any) -> dict[str, Any]:
    if not isinstance(wanted, dict) or wanted.get("type") not in ("json_object", "json_schema"):
        return {}
    schema = object_of(wanted.get("json_schema")).get("schema")
    return {"responseMimeType": "application/json", "responseJsonSchema": schema}


def _thinking(extra: Mapping[str, Any], version: int) -> dict[str, Any] | None:
    """Return what says how much is thought, and that thoughts are shown."""
    thinking, effort = extra.get("thinking"), extra.get("reasoning_effort")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    if effort is None and isinstance(thinking, dict) and thinking.get("type") == "disabled":
        effort = "none"
    config: dict[str, Any] = {} if effort == "none" else {"includeThoughts": True}
    if budget is not None:
        return {**config, "thinkingBudget": budget}
    if not isinstance(effort, str):
        return config if thinking else None
    if version == 2:
        return {**config, "thinkingBudget": _BUDGETS.get(effort, _LARGEST_BUDGET)}
    return {**config, "thinkingLevel": _LEVELS.get(effort, effort.upper())}
