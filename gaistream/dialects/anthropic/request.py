"""The body of `POST /v1/messages` → ChatRequest, in the names of Chat Completions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ...chat import ChatRequest, Fields
from ..requests import (
    Conversation,
    chat_request,
    file_part,
    function_tool,
    image_file_part,
    image_part,
    json_text,
    plain_content,
)

_TAKEN = ("messages", "system", "model", "temperature", "max_tokens", "stream", "stop_sequences",
          "tools", "tool_choice", "thinking", "output_config", "output_format")  # fmt: skip
_EFFORTS: Final = ((2048, "low"), (8192, "medium"))  # budgets of thinking below these
_CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}


def read_body(payload: object) -> tuple[ChatRequest, bool]:
    """Return what a body asks for, and if it asks for a stream."""
    fields = Fields(payload)
    return read_request(fields), bool(fields.flag("stream"))


def read_request(fields: Fields) -> ChatRequest:
    """Return what the body asks for.

    Blocks that only Anthropic has (server tools and their results, search results) stay as they
    are among the parts of their message.

    Raises:
        InvalidRequest: a field is missing, or has a wrong value.
    """
    conversation = Conversation()
    if fields.get("system") is not None:
        system = fields.text_or_objects("system")
        conversation.add("system", system if isinstance(system, str) else _parts(system))
    for message in fields.required_objects("messages"):
        _read_message(conversation, message)
    fields.require("max_tokens")
    extra = fields.rest(*_TAKEN)
    extra |= {"stop": fields.items("stop_sequences"), **_tools(fields), **_thinking(fields)}
    if (metadata := fields.optional_object("metadata")) is not None:
        user = metadata.optional_text("user_id")
        extra |= {"user": user, "metadata": metadata.rest("user_id") or None}
    return chat_request(
        fields, conversation.finished(), max_tokens=fields.count("max_tokens"), extra=extra
    )


def _read_message(conversation: Conversation, message: Fields) -> None:
    role = message.text("role", may_be_empty=False)
    content = message.text_or_objects("content")
    if role == "assistant":
        conversation.end_message()
        if isinstance(content, str):
            conversation.add_part({"type": "text", "text": content})
        else:
            for block in content:
                _read_block(conversation, block)
    elif role in ("user", "system"):
        if isinstance(content, str):
            conversation.add(role, content)
            return
        results = [block for block in content if block.get("type") == "tool_result"]
        for block in results:
            _read_result(conversation, block)
        rest = [block for block in content if block.get("type") != "tool_result"]
        if rest or not results:
            conversation.add(role, _parts(rest))
    else:
        message.refuse("role", f"must be user, assistant or system, not {role!r:.40}")


def _read_block(conversation: Conversation, block: Fields) -> None:
    """Add a block of the assistant's message."""
    kind = block.text("type", may_be_empty=False)
    if kind == "tool_use":
        arguments = json_text(block.required_object("input").value)
        conversation.add_call(block.text("id"), block.text("name"), arguments)
    elif kind == "thinking":
        conversation.add_reasoning(
            block.text("thinking"), signature=block.optional_text("signature")
        )
    elif kind == "redacted_thinking":
        conversation.add_reasoning("", redacted=block.text("data"))
    else:
        conversation.add_part(_part(block))


def _read_result(conversation: Conversation, block: Fields) -> None:
    content: Any = ""
    if block.get("content") is not None:
        content = block.text_or_objects("content")
    if not isinstance(content, str):
        content = _parts(content) or ""
    if content and (cache := _cache(block)):  # a message has no such mark, but its last part has
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        content = [*parts[:-1], {**parts[-1], **cache}]
    conversation.add_tool_result(
        block.text("tool_use_id"), content, is_error=bool(block.flag("is_error"))
    )


def _parts(blocks: list[Fields]) -> Any:
    return plain_content([_part(block) for block in blocks]) or ""


def _part(block: Fields) -> dict[str, Any]:
    kind = block.text("type", may_be_empty=False)
    convert = _PARTS.get(kind)
    return block.value if convert is None else {**convert(block), **_cache(block)}


def _cache(block: Fields) -> dict[str, Any]:
    control = block.get("cache_control")
    return {} if control is None else {"cache_control": control}


def _text(block: Fields) -> dict[str, Any]:
    more = {} if not block.get("citations") else {"citations": block.get("citations")}
    return {"type": "text", "text": block.text("text"), **more}


def _image(block: Fields) -> dict[str, Any]:
    source = block.required_object("source")
    kind = source.text("type")
    if kind == "base64":
        return image_part(_data_url(source))
    if kind == "url":
        return image_part(source.text("url"))
    if kind != "file":
        source.refuse("type", f"must be base64, url or file, not {kind!r:.40}")
    return image_file_part(source.text("file_id"))


def _document(block: Fields) -> dict[str, Any]:
    source, title = block.required_object("source"), block.optional_text("title")
    kind = source.text("type")
    if kind == "base64":
        return file_part(file_data=_data_url(source), filename=title)
    if kind == "url":
        return file_part(file_url=source.text("url"), filename=title)
    if kind == "file":
        return file_part(file_id=source.text("file_id"), filename=title)
    if kind == "text":
        return {"type": "text", "text": source.text("data")}
    return block.value


def _data_url(source: Fields) -> str:
    return f"data:{source.text('media_type')};base64,{source.text('data')}"


_PARTS: Final[dict[str, Callable[[Fields], dict[str, Any]]]] = {
    "text": _text,
    "image": _image,
    "document": _document,
}


def _tools(fields: Fields) -> dict[str, Any]:
    tools = [_tool(tool) for tool in fields.objects("tools")]
    choice, parallel = fields.optional_object("tool_choice"), None
    chosen: Any = None
    if choice is not None:
        kind = choice.text("type")
        if kind == "tool":
            chosen = {"type": "function", "function": {"name": choice.text("name")}}
        elif kind in _CHOICES:
            chosen = _CHOICES[kind]
        else:
            choice.refuse("type", f"must be auto, any, tool or none, not {kind!r:.40}")
        parallel = False if choice.flag("disable_parallel_tool_use") else None
    return {"tools": tools or None, "tool_choice": chosen, "parallel_tool_calls": parallel}


def _tool(tool: Fields) -> dict[str, Any]:
    """Return a tool; one that Anthropic's servers run stays as it is."""
    if tool.get("type") not in (None, "custom"):
        return tool.value
    schema = tool.required_object("input_schema").value
    strict = tool.flag("strict")
    name, description = tool.text("name", may_be_empty=False), tool.optional_text("description")
    own = tool.rest(
        "type", "name", "description", "input_schema", "strict"
    )  # such as cache_control
    return {**own, **function_tool(name, description, schema, strict)}


def _thinking(fields: Fields) -> dict[str, Any]:
    """Return `thinking` as it is, and the effort that it stands for, and the answer's format."""
    thinking, effort = fields.optional_object("thinking"), None
    if thinking is not None:
        kind = thinking.text("type")
        if kind == "disabled":
            effort = "none"
        elif kind == "enabled":
            budget = thinking.count("budget_tokens") or thinking.require("budget_tokens")
            effort = next((word for below, word in _EFFORTS if budget < below), "high")
    output = fields.optional_object("output_config")
    if output is not None:
        effort = output.optional_text("effort") or effort
    return {
        "thinking": None if thinking is None else thinking.value,
        "reasoning_effort": effort,
        "response_format": _format(fields, output),
    }


def _format(fields: Fields, output: Fields | None) -> dict[str, Any] | None:
    wanted = output.optional_object("format") if output is not None else None
    wanted = wanted or fields.optional_object("output_format")
    if wanted is None:
        return None
    if wanted.text("type") != "json_schema":
        return wanted.value
    schema = {"name": "answer", "schema": wanted.required_object("schema").value, "strict": True}
    return {"type": "json_schema", "json_schema": schema}
