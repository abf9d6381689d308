"""The body of `POST /chat/completions` → ChatRequest: messages stay, apart from the reasoning."""

from __future__ import annotations

from typing import Any

from ...chat import ChatRequest, Fields
from ..requests import FROM_CLIENT, plain_content

_TAKEN = ("messages", "model", "temperature", "max_tokens", "max_completion_tokens", "stream",
          "stream_options", "n")  # fmt: skip
_REASONING = ("reasoning", "reasoning_content", "reasoning_details")


def read_body(payload: object) -> tuple[ChatRequest, bool, bool]:
    """Return what a body asks for, if it asks for a stream, and if for its token counts."""
    fields = Fields(payload)
    options = fields.optional_object("stream_options")
    usage = options is not None and bool(options.flag("include_usage"))
    return read_request(fields), bool(fields.flag("stream")), usage


def read_request(fields: Fields) -> ChatRequest:
    """Return what the body asks for.

    Raises:
        InvalidRequest: a field is missing, or has a wrong value.
    """
    if fields.count("n") not in (None, 1):
        fields.refuse("n", "must be 1: one answer is made for a request")
    messages = [_message(each) for each in fields.required_objects("messages")]
    most = fields.count("max_completion_tokens")
    _check_tools(fields)
    return ChatRequest(
        messages,
        model=fields.optional_text("model"),
        temperature=fields.number("temperature"),
        max_tokens=fields.count("max_tokens") if most is None else most,
        extra=fields.rest(*_TAKEN),
    )


def _check_tools(fields: Fields) -> None:
    for tool in fields.objects("tools"):
        if tool.text("type", may_be_empty=False) == "function":
            tool.required_object("function").text("name", may_be_empty=False)


def _message(message: Fields) -> dict[str, Any]:
    role = message.text("role", may_be_empty=False)
    if role == "assistant":
        return _assistant(message)
    content = message.text_or_objects("content")
    for part in content if isinstance(content, list) else ():
        _check_part(part)
    if role == "tool":
        message.text("tool_call_id")
        return {**message.value, **FROM_CLIENT}
    return message.value


def _check_part(part: Fields) -> None:
    kind = part.text("type", may_be_empty=False)
    if kind == "text":
        part.text("text")
    elif kind == "image_url":
        part.required_object("image_url").text("url")
    elif kind == "input_audio":
        audio = part.required_object("input_audio")
        audio.text("data")
        audio.text("format")
    elif kind == "file":
        part.required_object("file")


def _assistant(message: Fields) -> dict[str, Any]:
    """Return a message of the assistant: its reasoning becomes parts of its content."""
    for call in message.objects("tool_calls"):
        call.text("id")
        if call.get("type") == "custom":
            custom = call.required_object("custom")
            custom.text("name")
            custom.text("input")
            continue
        function = call.required_object("function")
        function.text("name")
        function.text("arguments")
    parts = _reasoning(message)
    if message.get("content") is not None:
        content = message.text_or_objects("content")
        if isinstance(content, str):
            parts.append({"type": "text", "text": content})
        else:
            for part in content:
                _check_part(part)
                parts.append(part.value)
    return {**message.rest(*_REASONING), "role": "assistant", "content": plain_content(parts)}


def _reasoning(message: Fields) -> list[dict[str, Any]]:
    """Return the reasoning: that of the details, which are signed, else the plain text."""
    parts = []
    text = ""
    for detail in message.objects("reasoning_details"):
        kind, id = detail.get("type"), detail.optional_text("id")
        more: dict[str, Any] = {**({"id": id} if id else {}), **FROM_CLIENT}
        if kind == "reasoning.encrypted":
            parts.append({"type": "reasoning", "text": "", "redacted": detail.text("data"), **more})
        elif kind in ("reasoning.text", "reasoning.summary"):
            words = detail.optional_text("text" if kind == "reasoning.text" else "summary") or ""
            signature = detail.optional_text("signature")
            signed = {"signature": signature} if signature else {}
            parts.append({"type": "reasoning", "text": words, **signed, **more})
            text += words
    if not text:
        text = (
            message.optional_text("reasoning_content") or message.optional_text("reasoning") or ""
        )
        if text:
            parts.insert(0, {"type": "reasoning", "text": text, **FROM_CLIENT})
    return parts
