"""The body of `POST /responses` → ChatRequest, in the names of Chat Completions.

Responses are not kept here, so a request must bring the whole conversation: fields that refer to
what the server has kept are refused.
"""

from __future__ import annotations

from typing import Any, Final

from ...chat import ChatRequest, Fields
from ..requests import (
    FROM_CLIENT,
    Conversation,
    chat_request,
    file_part,
    function_tool,
    image_file_part,
    image_part,
    plain_content,
    set_only,
)

_TAKEN = ("input", "instructions", "model", "temperature", "max_output_tokens", "stream", "tools",
          "tool_choice", "text", "reasoning", "store", "include", "stream_options",
          "previous_response_id", "conversation", "background")  # fmt: skip
_KEPT: Final = "refers to what a server keeps, which this one does not: send the whole conversation"


def read_body(payload: object) -> tuple[ChatRequest, bool]:
    """Return what a body asks for, and if it asks for a stream."""
    fields = Fields(payload)
    return read_request(fields), bool(fields.flag("stream"))


def read_request(fields: Fields) -> ChatRequest:
    """Return what the body asks for; tools that OpenAI's servers run stay as they are.

    Raises:
        InvalidRequest: a field is missing, has a wrong value, or refers to what is not kept.
    """
    for name in ("previous_response_id", "conversation", "prompt"):
        if fields.get(name) is not None:
            fields.refuse(name, _KEPT)
    if fields.flag("background"):
        fields.refuse("background", "must be false: an answer is made while its client waits")
    conversation = Conversation()
    instructions = fields.optional_text("instructions")
    if instructions:
        conversation.add("system", instructions)
    given = fields.text_or_objects("input")
    if isinstance(given, str):
        conversation.add("user", given)
    else:
        if not given:
            fields.refuse("input", "must not be empty")
        for item in given:
            _read_item(conversation, item)
    extra = fields.rest(*_TAKEN)
    extra |= {**_tools(fields), **_text(fields), **_reasoning(fields)}
    return chat_request(
        fields, conversation.finished(), max_tokens=fields.count("max_output_tokens"), extra=extra
    )


def _read_item(conversation: Conversation, item: Fields) -> None:
    kind = item.optional_text("type") or "message"
    if kind == "message":
        _read_message(conversation, item)
    elif kind == "function_call":
        conversation.add_call(item.text("call_id"), item.text("name"), item.text("arguments"))
    elif kind == "function_call_output":
        output = item.text_or_objects("output")
        content = output if isinstance(output, str) else plain_content(_parts(output)) or ""
        conversation.add_tool_result(item.text("call_id"), content)
    elif kind == "reasoning":
        pieces = [part.text("text") for part in item.objects("summary")]
        pieces = pieces or [part.text("text") for part in item.objects("content")]
        conversation.add_reasoning(
            "\n\n".join(pieces),
            signature=item.optional_text("encrypted_content"),
            id=item.optional_text("id"),
        )
    elif kind == "item_reference":
        item.refuse("type", f"{kind} {_KEPT}")
    elif kind.endswith(("_output", "_response")):  # of a tool that only OpenAI has, or an approval
        conversation.add_part({**item.value, **FROM_CLIENT})
    else:  # the call of such a tool
        conversation.add_part(item.value)


def _read_message(conversation: Conversation, item: Fields) -> None:
    role = item.text("role", may_be_empty=False)
    content = item.text_or_objects("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else _parts(content)
    if role == "assistant":
        for part in parts:
            conversation.add_part(part)
    elif role in ("user", "system", "developer"):
        conversation.add(role, plain_content(parts) or "")
    else:
        item.refuse("role", f"must be user, assistant, system or developer, not {role!r:.40}")


def _parts(content: list[Fields]) -> list[dict[str, Any]]:
    return [_part(part) for part in content]


def _part(part: Fields) -> dict[str, Any]:
    kind = part.text("type", may_be_empty=False)
    if kind in ("input_text", "output_text", "text"):
        return {"type": "text", "text": part.text("text")}
    if kind == "input_image":
        url = part.optional_text("image_url")
        if url is None:
            return image_file_part(part.text("file_id"))
        return image_part(url, part.optional_text("detail"))
    if kind == "input_file":
        names = ("file_data", "file_url", "file_id", "filename")
        return file_part(**{name: part.optional_text(name) for name in names})
    if kind == "refusal":
        return {"type": "refusal", "refusal": part.text("refusal")}
    return part.value


def _tools(fields: Fields) -> dict[str, Any]:
    tools = [_tool(tool) for tool in fields.objects("tools")]
    choice = fields.get("tool_choice")
    if isinstance(choice, str) or choice is None:
        return {"tools": tools or None, "tool_choice": choice}
    chosen = fields.required_object("tool_choice")
    kind = chosen.text("type")
    if kind == "function":
        choice = {"type": "function", "function": {"name": chosen.text("name")}}
    elif kind == "allowed_tools":
        allowed = [_tool_named(tool) for tool in chosen.required_objects("tools")]
        mode = chosen.optional_text("mode") or "auto"
        choice = {"type": kind, "allowed_tools": {"mode": mode, "tools": allowed}}
    else:
        choice = chosen.value
    return {"tools": tools or None, "tool_choice": choice}


def _tool(tool: Fields) -> dict[str, Any]:
    if tool.text("type", may_be_empty=False) != "function":
        return tool.value
    parameters = tool.optional_object("parameters")
    return function_tool(
        tool.text("name", may_be_empty=False),
        tool.optional_text("description"),
        None if parameters is None else parameters.value,
        tool.flag("strict"),
    )


def _tool_named(tool: Fields) -> dict[str, Any]:
    if tool.text("type", may_be_empty=False) != "function":
        return tool.value
    return {"type": "function", "function": {"name": tool.text("name", may_be_empty=False)}}


def _text(fields: Fields) -> dict[str, Any]:
    text = fields.optional_object("text")
    if text is None:
        return {}
    wanted = text.optional_object("format")
    form: dict[str, Any] | None = None
    if wanted is not None:
        form = wanted.value
        if wanted.text("type") == "json_schema":
            names = ("name", "description", "schema", "strict")
            schema = set_only(**{name: wanted.get(name) for name in names})
            form = {"type": "json_schema", "json_schema": schema}
    return {"response_format": form, "verbosity": text.optional_text("verbosity")}


def _reasoning(fields: Fields) -> dict[str, Any]:
    reasoning = fields.optional_object("reasoning")
    if reasoning is None:
        return {}
    return {
        "reasoning_effort": reasoning.optional_text("effort"),
        "reasoning_summary": reasoning.optional_text("summary"),
    }
