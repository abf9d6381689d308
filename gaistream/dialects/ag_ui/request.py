"""The body of an AG-UI run (`RunAgentInput`) → ChatRequest, in the names of Chat Completions.

The metadata of its messages is read as the writer has written it: clients send it back.
"""

from __future__ import annotations

from typing import Any, Final

from ...chat import ChatRequest, Fields
from ..fields import object_of, text_of
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

_TAKEN = ("messages", "threadId", "runId", "parentRunId", "protocolVersion", "tools", "state",
          "context", "forwardedProps", "resume", "model", "temperature")  # fmt: skip


def read_body(payload: object) -> ChatRequest:
    """Return what a body asks for."""
    return read_request(Fields(payload))


def read_request(fields: Fields) -> ChatRequest:
    """Return what the body asks for.

    `extra` has `thread_id`, `run_id`, `parent_run_id`, `protocol_version`, `state`, `context`,
    `forwarded_props` and `resume`, each if the run has it.

    Raises:
        InvalidRequest: a field is missing, or has a wrong value.
    """
    conversation = Conversation()
    for message in fields.required_objects("messages"):
        _read_message(conversation, message)
    tools = [
        function_tool(
            tool.text("name", may_be_empty=False), tool.text("description"), tool.get("parameters")
        )
        for tool in fields.objects("tools")
    ]
    resume = [_resume(each) for each in fields.objects("resume")]
    extra = fields.rest(*_TAKEN)
    extra |= {
        "thread_id": fields.text("threadId"),
        "run_id": fields.text("runId"),
        "parent_run_id": fields.optional_text("parentRunId"),
        "protocol_version": fields.optional_text("protocolVersion"),
        "tools": tools or None,
        "state": fields.get("state"),
        "context": fields.items("context"),
        "forwarded_props": fields.get("forwardedProps"),
        "resume": resume or None,
    }
    return chat_request(fields, conversation.finished(), max_tokens=None, extra=extra)


def _resume(answer: Fields) -> dict[str, Any]:
    """Return what the user decided about an interrupt."""
    status = answer.text("status")
    if status not in ("resolved", "cancelled"):
        answer.refuse("status", f"must be resolved or cancelled, not {status!r:.40}")
    given = set_only(
        interrupt_id=answer.text("interruptId"), status=status, payload=answer.get("payload")
    )
    return {**given, **FROM_CLIENT}


def _read_message(conversation: Conversation, message: Fields) -> None:
    role = message.text("role", may_be_empty=False)
    if role == "assistant":
        text = message.optional_text("content")
        if text:
            conversation.add_part({"type": "text", "text": text})
        for call in message.objects("toolCalls"):
            function = call.required_object("function")
            conversation.add_call(
                call.text("id"),
                function.text("name"),
                function.text("arguments"),
                signature=call.optional_text("encryptedValue"),
            )
    elif role == "reasoning":
        about = object_of(message.get("metadata"))
        conversation.add_reasoning(
            message.text("content"), signature=message.optional_text("encryptedValue"),
            id=text_of(about.get("id")), redacted=text_of(about.get("redacted")),
        )  # fmt: skip
    elif role == "tool":
        error = message.optional_text("error")
        failed = error is not None or object_of(message.get("metadata")).get("isError") is True
        conversation.add_tool_result(
            message.text("toolCallId"), _content(message) or error or "", is_error=failed
        )
    elif role in ("user", "system", "developer"):
        conversation.add(role, _content(message))
    elif role != "activity":  # which is for people
        message.refuse("role", f"is unknown: {role!r:.40}")


def _content(message: Fields) -> Any:
    content = message.text_or_objects("content")
    if isinstance(content, str):
        return content
    return plain_content([_part(part) for part in content]) or ""


_AUDIO: Final = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}


def _part(part: Fields) -> dict[str, Any]:
    kind = part.text("type", may_be_empty=False)
    if kind == "text":
        return {"type": "text", "text": part.text("text")}
    source = part.required_object("source")
    where = source.text("type")
    if where == "file":
        value = source.text("value")
        return image_file_part(value) if kind == "image" else file_part(file_id=value)
    if where not in ("data", "url"):
        source.refuse("type", f"must be data, url or file, not {where!r:.40}")
    value, media_type = source.text("value"), source.optional_text("mimeType") or ""
    if kind == "audio" and where == "data" and media_type in _AUDIO:
        audio = {"data": value, "format": _AUDIO[media_type]}
        return {"type": "input_audio", "input_audio": audio}
    url = value if where == "url" else f"data:{media_type};base64,{value}"
    if kind == "image":
        return image_part(url)
    return file_part(**{"file_url" if where == "url" else "file_data": url})
