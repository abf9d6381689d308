"""ChatRequest → the body of `POST /responses`: messages become input items.

The whole conversation is sent, so nothing has to be kept by the service (`store` is false unless
the request says otherwise). Reasoning goes back as an item with its encrypted content; OpenAI's own
API gets only what it has encrypted itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ...chat import ChatRequest
from ...errors import InvalidRequest
from .shared import (
    ENCRYPTED_BY_OPENAI,
    NO_PARAMETERS,
    RESPONSES_FIELDS,
    check_types,
    drop_tool,
    function_of,
    is_anthropic_tool,
    is_block,
    is_item,
    parts_of,
    passed_on,
    text_of_block,
)

_CONVERTED: Final = ("tools", "tool_choice", "parallel_tool_calls", "stream_options", "include")
_ENCRYPTED: Final = "reasoning.encrypted_content"


def responses_body(request: ChatRequest, model: str | None, *, own_host: bool) -> dict[str, Any]:
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
    body: dict[str, Any] = {"store": False, **passed_on(extra, RESPONSES_FIELDS, *_CONVERTED)}
    body |= {**_tools(extra), **_text(extra), **_reasoning(extra)}
    options = extra.get("stream_options")
    if isinstance(options, dict) and "include_obfuscation" in options:  # the only one here
        body["stream_options"] = {"include_obfuscation": options["include_obfuscation"]}
    settings = {
        "model": request.model or model,
        "temperature": request.temperature,
        "max_output_tokens": request.max_tokens,
    }
    body |= {name: value for name, value in settings.items() if value is not None}
    first, *rest = request.messages or ({},)
    content = first.get("content")
    if first.get("role") == "system" and isinstance(content, str) and rest:
        body["instructions"] = content
    else:
        rest = list(request.messages)
    first_index = len(request.messages) - len(rest)
    body["input"] = [
        item
        for index, message in enumerate(rest, first_index)
        for item in _items(message, f"messages[{index}]", own_host)
    ]
    include = list(extra.get("include") or ())
    signed = any(item.get("encrypted_content") for item in body["input"])
    if (signed or "reasoning" in body) and not body["store"] and _ENCRYPTED not in include:
        include.append(_ENCRYPTED)  # without it the next request cannot take the reasoning back
    return {**body, **({"include": include} if include else {}), "stream": True}


def _items(message: Mapping[str, Any], path: str, own_host: bool) -> Iterator[dict[str, Any]]:
    """Yield the items of a message."""
    role, content = message.get("role"), message.get("content")
    if role == "tool":
        output = content if isinstance(content, str) else _inputs(content, path, own_host)
        yield {
            "type": "function_call_output",
            "call_id": message.get("tool_call_id"),
            "output": output,
        }
    elif role == "assistant":
        yield from _answer(parts_of(content), own_host)
        for call in message.get("tool_calls") or ():
            function = call.get("function") or {}
            yield {
                "type": "function_call",
                "call_id": call.get("id"),
                "name": function.get("name"),
                "arguments": function.get("arguments") or "{}",
            }
    else:
        inputs = content if isinstance(content, str) else _inputs(content, path, own_host)
        yield {"type": "message", "role": role, "content": inputs}


def _answer(parts: list[dict[str, Any]], own_host: bool) -> Iterator[dict[str, Any]]:
    """Yield the items of an earlier answer but its calls, in their order."""
    said: list[str] = []
    for run in _runs(parts):
        kind = run[0].get("type")
        if kind in ("text", "refusal"):
            said += (str(part.get(part["type"]) or "") for part in run)
            continue
        item = _reasoning_item(run, own_host) if kind == "reasoning" else run[0]
        if item is None or not (kind == "reasoning" or is_item(item)):
            continue
        if said:
            yield _message(said)
            said = []
        yield item
    if said:
        yield _message(said)


def _runs(parts: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the parts one by one; those of reasoning with one id together."""
    run: list[dict[str, Any]] = []
    for part in parts:
        identity = part.get("id")
        if run and not (part["type"] == "reasoning" and identity and run[0].get("id") == identity):
            yield run
            run = []
        run.append(part)
    if run:
        yield run


def _message(said: list[str]) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": "".join(said)}


def _reasoning_item(parts: list[dict[str, Any]], own_host: bool) -> dict[str, Any] | None:
    """Return the item of these parts; None for reasoning that the service cannot take back."""
    signature = next((part["signature"] for part in parts if part.get("signature")), "")
    if own_host and not signature.startswith(ENCRYPTED_BY_OPENAI):
        return None
    texts = [part["text"] for part in parts if part.get("text")]
    item: dict[str, Any] = {"type": "reasoning"}
    if parts[0].get("id"):
        item["id"] = parts[0]["id"]
    item["summary"] = [{"type": "summary_text", "text": text} for text in texts]
    if signature:
        item["encrypted_content"] = signature
    return item if texts or signature else None


def _inputs(content: Any, path: str, own_host: bool) -> list[dict[str, Any]]:
    """Return the content of a message, or the output of a tool, as parts of the input."""
    found = []
    for index, part in enumerate(parts_of(content)):
        if own_host and part.get("type") == "input_audio":
            field = f"{path}.content[{index}]"
            raise InvalidRequest(f"{field} is audio, which OpenAI's Responses do not take", field)
        if (converted := _input(part)) is not None:
            found.append(converted)
    return found


def _input(part: dict[str, Any]) -> dict[str, Any] | None:
    kind = part.get("type")
    if kind == "text":
        return {"type": "input_text", "text": part.get("text")}
    if kind == "image_url":
        image = part.get("image_url") or {}
        detail = image.get("detail") or "auto"
        return {"type": "input_image", "image_url": image.get("url"), "detail": detail}
    if kind == "file":
        file = dict(part.get("file") or {})
        if part.get("is_image"):
            return {"type": "input_image", "file_id": file.get("file_id"), "detail": "auto"}
        if file.get("file_data"):
            file.setdefault("filename", "file")  # which goes with data
        return {"type": "input_file", **file}
    if is_block(part):
        text = text_of_block(part)
        return None if text is None else _input(text)
    return None if kind == "reasoning" else part


# ---- tools and settings ----


def _tools(extra: Mapping[str, Any]) -> dict[str, Any]:
    tools = []
    for tool in extra.get("tools") or ():
        function = function_of(tool)
        if function is not None:
            tools.append(
                {
                    "type": "function",
                    "name": function.get("name"),
                    "parameters": function.get("parameters") or NO_PARAMETERS,
                    "strict": bool(function.get("strict")),  # the default here is another one
                }
            )
            if function.get("description"):
                tools[-1]["description"] = function["description"]
        elif is_anthropic_tool(tool):
            drop_tool(tool, "OpenAI's Responses API")
        else:
            tools.append(dict(tool))
    if not tools:
        return {}
    fields: dict[str, Any] = {"tools": tools}
    choice, parallel = extra.get("tool_choice"), extra.get("parallel_tool_calls")
    if choice is not None:
        fields["tool_choice"] = _choice(choice)
    return fields if parallel is None else {**fields, "parallel_tool_calls": parallel}


def _choice(choice: Any) -> Any:
    if not isinstance(choice, dict):
        return choice
    if (function := function_of(choice)) is not None:
        return {"type": "function", "name": function.get("name")}
    allowed = choice.get("allowed_tools")
    if isinstance(allowed, dict):
        tools = [_choice(tool) for tool in allowed.get("tools") or ()]
        return {"type": "allowed_tools", "mode": allowed.get("mode") or "auto", "tools": tools}
    return choice


def _text(extra: Mapping[str, Any]) -> dict[str, Any]:
    text = dict(extra.get("text") or {})
    form = extra.get("response_format")
    if isinstance(form, dict):
        schema = form.get("json_schema")
        text["format"] = {"type": "json_schema", **schema} if isinstance(schema, dict) else form
    if extra.get("verbosity"):
        text["verbosity"] = extra["verbosity"]
    return {"text": text} if text else {}


def _reasoning(extra: Mapping[str, Any]) -> dict[str, Any]:
    reasoning = dict(extra.get("reasoning") or {})
    for name in ("effort", "summary"):
        if extra.get(f"reasoning_{name}"):
            reasoning[name] = extra[f"reasoning_{name}"]
    return {"reasoning": reasoning} if reasoning else {}
