"""ChatRequest → the body of Ollama's `POST /api/chat`.

A message is one text and its images, so parts are joined. Calls have no ids there: the result of a
tool names the tool.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

from ...chat import ChatRequest
from ...dialects.fields import bytes_of, object_of
from ...errors import InvalidRequest
from .shared import (
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

__all__ = ["ollama_body"]

_FIELDS: Final = frozenset({"format", "keep_alive", "logprobs", "options", "think", "top_logprobs"})
_OPTIONS: Final = frozenset(
    {"frequency_penalty", "min_p", "mirostat", "mirostat_eta", "mirostat_tau", "num_batch",
     "num_ctx", "num_gpu", "num_keep", "num_predict", "num_thread", "presence_penalty",
     "repeat_last_n", "repeat_penalty", "seed", "stop", "tfs_z", "top_k", "top_p", "typical_p"}
)  # fmt: skip
_EFFORTS: Final[dict[str, bool | str]] = {
    "none": False,
    "minimal": "low",
    "xhigh": "high",
    "max": "high",
}


def ollama_body(request: ChatRequest, model: str | None) -> dict[str, Any]:
    """Return the body that asks for a stream.

    Args:
        request: what is asked.
        model: for a request without one.

    Raises:
        InvalidRequest: a part of the request has a wrong type, or cannot be said: audio, an image
            or a file by URL, a file that is neither an image nor text, or arguments of an earlier
            call that are not a JSON object.
    """
    check_types(request)
    extra = request.extra
    body = passed_on(extra, _FIELDS, "options", *_OPTIONS) | _tools(extra)
    options = {
        "temperature": request.temperature,
        "num_predict": request.max_tokens,
        **{name: extra.get(name) for name in _OPTIONS if name in extra},
    }
    stop = options.get("stop")
    if isinstance(stop, str):
        options["stop"] = [stop]
    options = {name: value for name, value in options.items() if value is not None}
    if options := {**options, **object_of(extra.get("options"))}:
        body["options"] = options
    settings = {
        "model": request.model or model,
        "format": _format(extra.get("response_format")),
        "think": _think(extra),
    }
    body = {name: value for name, value in settings.items() if value is not None} | body
    return {**body, "messages": _messages(request.messages), "stream": True}


# ---- messages ----


def _messages(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    names: dict[str, Any] = {}  # of functions, by the ids of their calls
    for index, message in enumerate(messages):
        role, path = message.get("role"), f"messages[{index}]"
        said = _said(message.get("content"), path)
        said["role"] = "system" if role == "developer" else role
        if role == "assistant":
            calls = []
            for number, call in enumerate(message.get("tool_calls") or ()):
                function = call.get("function") or {}
                names[str(call.get("id"))] = name = function.get("name")
                place = f"{path}.tool_calls[{number}]"
                arguments = arguments_of(function.get("arguments"), place)
                calls.append({"function": {"name": name, "arguments": arguments}})
            if calls:
                said["tool_calls"] = calls
        elif role == "tool":
            name = names.get(str(message.get("tool_call_id"))) or message.get("name")
            if name:
                said["tool_name"] = name
        found.append(said)
    return found


def _said(content: Any, path: str) -> dict[str, Any]:
    """Return the text, the images and the thinking of a message."""
    texts: list[str] = []
    images: list[str] = []
    thoughts: list[str] = []
    for index, part in enumerate(parts_of(content)):
        kind, place = part.get("type"), f"{path}.content[{index}]"
        if kind in ("text", "refusal"):
            texts.append(str(part.get(kind) or ""))
        elif kind == "reasoning":
            thoughts.append(str(part.get("text") or ""))
        elif kind in ("image_url", "file"):
            media_type, data = _data(part, place)
            if media_type.startswith("image/"):
                images.append(data)
            elif media_type.startswith("text/"):
                texts.append((bytes_of(data) or b"").decode(errors="replace"))
            else:
                _refuse(place, f"is {media_type[:80]}, which Ollama does not take")
        elif is_block(part):
            block = text_of_block(part)
            texts += [block["text"]] if block else []
        elif not is_item(part):
            _refuse(place, f"has the type {kind!r:.40}, which Ollama does not take")
    said: dict[str, Any] = {"content": "\n".join(each for each in texts if each)}
    if images:
        said["images"] = images
    if thinking := "".join(thoughts):
        said["thinking"] = thinking
    return said


def _data(part: Mapping[str, Any], path: str) -> tuple[str, str]:
    """Return the media type and the base64 data of an image or a file."""
    if part.get("type") == "file":
        data = data_of_file(part.get("file") or {})
    else:
        data = split_data_url(str((part.get("image_url") or {}).get("url")))
    if data is None:
        _refuse(path, "has no data: Ollama takes images and files only as data: URLs")
    return data


def _refuse(path: str, why: str) -> NoReturn:
    raise InvalidRequest(f"{path} {why}", path)


# ---- tools and settings ----


def _tools(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tools; a choice among them leaves the others out, since Ollama has none."""
    given, choice = tools_of(extra)
    chosen = function_of(choice) if isinstance(choice, dict) else None
    tools = []
    for tool in given if choice != "none" else ():
        function = function_of(tool)
        if function is None:
            drop_tool(tool, "Ollama")
        elif chosen is None or function.get("name") == chosen.get("name"):
            names = ("name", "description", "parameters")
            made = {name: function[name] for name in names if function.get(name) is not None}
            tools.append({"type": "function", "function": made})
    return {"tools": tools} if tools else {}


def _format(wanted: Any) -> Any:
    if not isinstance(wanted, dict):
        return None
    if wanted.get("type") == "json_schema":
        return object_of(wanted.get("json_schema")).get("schema") or "json"
    return "json" if wanted.get("type") == "json_object" else None


def _think(extra: Mapping[str, Any]) -> bool | str | None:
    effort, thinking = extra.get("reasoning_effort"), extra.get("thinking")
    if isinstance(effort, str):
        return _EFFORTS.get(effort, effort)
    return thinking.get("type") != "disabled" if isinstance(thinking, dict) else None
