"""The body that `useChat` posts → ChatRequest: UIMessages become messages of Chat Completions.

All of it is the browser's word. Parts that are not for the model (sources, data of the app, the
beginnings of steps) are left out, as the AI SDK's own conversion does.
"""

from __future__ import annotations

from typing import Any, Final

from ...chat import ChatRequest, Fields
from ..requests import (
    FROM_CLIENT,
    Conversation,
    chat_request,
    file_part,
    image_part,
    json_text,
    plain_content,
    set_only,
)
from .fields import metadata_of

_TAKEN = ("messages", "id", "trigger", "messageId", "model", "temperature", "maxOutputTokens")
_DENIED: Final = "the call was not approved"
_CALLED: Final = frozenset(
    {"input-available", "output-available", "output-error", "output-denied", "approval-requested",
     "approval-responded"}
)  # fmt: skip
"""The states of a tool part whose arguments are complete."""


def read_body(payload: object) -> ChatRequest:
    """Return what a body asks for."""
    return read_request(Fields(payload))


def read_request(fields: Fields) -> ChatRequest:
    """Return what the body asks for; approvals of calls are in `extra["approvals"]`.

    Raises:
        InvalidRequest: a field is missing, or has a wrong value.
    """
    conversation = Conversation()
    approvals: list[dict[str, Any]] = []
    for message in fields.required_objects("messages"):
        role = message.text("role", may_be_empty=False)
        if role == "assistant":
            message.require("parts")
            _read_answer(conversation, list(message.objects("parts")), approvals)
        elif role in ("user", "system"):
            conversation.add(role, _content(message))
        else:
            message.refuse("role", f"must be user, assistant or system, not {role!r:.40}")
    extra = fields.rest(*_TAKEN)
    extra |= {
        "chat_id": fields.optional_text("id"),
        "trigger": fields.optional_text("trigger"),
        "message_id": fields.optional_text("messageId"),
        "approvals": approvals or None,
    }
    return chat_request(
        fields, conversation.finished(), max_tokens=fields.count("maxOutputTokens"), extra=extra
    )


def _content(message: Fields) -> Any:
    message.require("parts")
    parts = [part for each in message.objects("parts") if (part := _part(each)) is not None]
    return plain_content(parts) or ""


def _part(part: Fields) -> dict[str, Any] | None:
    kind = part.text("type", may_be_empty=False)
    if kind == "text":
        return {"type": "text", "text": part.text("text")}
    if kind == "file":
        media_type, url = part.text("mediaType"), part.text("url")
        if media_type.startswith("image/"):
            return image_part(url)
        name = part.optional_text("filename")
        if url.startswith("data:"):
            return file_part(file_data=url, filename=name)
        return file_part(file_url=url, filename=name)
    return None


def _read_answer(
    conversation: Conversation, parts: list[Fields], approvals: list[dict[str, Any]]
) -> None:
    """Add an earlier answer: a message a step, and the results of its calls after it."""
    conversation.end_message()
    results: list[tuple[str, Any, bool]] = []

    def end_step() -> None:
        for call_id, content, is_error in results:
            conversation.add_tool_result(call_id, content, is_error=is_error)
        results.clear()

    for part in parts:
        kind = part.text("type", may_be_empty=False)
        if kind == "step-start":
            end_step()
            conversation.end_message()
        elif kind == "steering-message":  # of the user, while the answer was made
            end_step()
            conversation.add("user", _content(part))
        elif kind == "reasoning":
            conversation.add_reasoning(part.text("text"), **metadata_of(part.value))
        elif kind.startswith("tool-") or kind == "dynamic-tool":
            _read_call(conversation, part, kind, results, approvals)
        elif (converted := _part(part)) is not None:
            conversation.add_part(converted)
    end_step()


def _read_call(
    conversation: Conversation,
    part: Fields,
    kind: str,
    results: list[tuple[str, Any, bool]],
    approvals: list[dict[str, Any]],
) -> None:
    state = part.text("state")
    if state not in _CALLED:
        return  # its arguments are not complete
    call_id = part.text("toolCallId", may_be_empty=False)
    name = part.text("toolName") if kind == "dynamic-tool" else kind.removeprefix("tool-")
    arguments = part.get("input")
    if arguments is None and state == "output-error":
        arguments = part.get("rawInput")
    executed = {"provider_executed": True} if part.flag("providerExecuted") else {}
    text = "{}" if arguments is None else json_text(arguments)
    about = metadata_of({"providerMetadata": part.get("callProviderMetadata")})
    conversation.add_call(call_id, name, text, signature=about.get("signature"), **executed)
    if state == "output-available":
        results.append((call_id, json_text(part.get("output")), False))
    elif state == "output-error":
        results.append((call_id, part.text("errorText"), True))
    approval = part.optional_object("approval")
    if approval is None:
        if state == "output-denied":
            results.append((call_id, _DENIED, True))
        return
    approved, reason = approval.flag("approved"), approval.optional_text("reason")
    if state == "output-denied" or (state == "approval-responded" and approved is False):
        results.append((call_id, reason or _DENIED, True))
    if approved is not None:
        given = set_only(
            id=approval.text("id"), tool_call_id=call_id, approved=approved, reason=reason,
            signature=approval.optional_text("signature"),
        )  # fmt: skip
        approvals.append({**given, **FROM_CLIENT})
