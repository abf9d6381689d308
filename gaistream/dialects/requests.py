"""What the readers of vendors' requests share.

Each protocol's `request.py` turns the JSON of its requests into a `ChatRequest` whose messages and
settings have the names of Chat Completions, so one provider serves every protocol. Tool results,
approvals and reasoning come back from a client that could have made them up, so they are marked
`"from_client": true`. A field of the wrong type is refused with its path (`InvalidRequest`);
unknown fields are kept in `extra`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ..chat import ChatRequest, Fields
from ..core import json_bytes

FROM_CLIENT: Final = {"from_client": True}
"""The mark of a part that a client could have made up."""


class Conversation:
    """Collects the messages of a request, in the form of Chat Completions.

    Parts of the assistant (reasoning, text, calls) join one message until a message of another role
    comes.
    """

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self._assistant: dict[str, Any] | None = None

    def add(self, role: str, content: Any, **fields: Any) -> None:
        """Add a message of any role but the assistant's."""
        self._assistant = None
        self.messages.append({"role": role, "content": content, **fields})

    def add_tool_result(self, call_id: str, content: Any, *, is_error: bool = False) -> None:
        """Add the message of a tool's result."""
        error = {"is_error": True} if is_error else {}
        self.add("tool", content, tool_call_id=call_id, **error, **FROM_CLIENT)

    def end_message(self) -> None:
        """End the assistant's message: its next part begins another one."""
        self._assistant = None

    def add_part(self, part: dict[str, Any]) -> None:
        """Add a part of the assistant's content."""
        self._open()["content"].append(part)

    def add_reasoning(self, text: str, **fields: str | None) -> None:
        """Add reasoning of the assistant; empty fields are dropped."""
        set_fields = {name: value for name, value in fields.items() if value}
        self.add_part({"type": "reasoning", "text": text, **set_fields, **FROM_CLIENT})

    def add_call(
        self,
        call_id: str,
        name: str,
        arguments: str,
        *,
        signature: str | None = None,
        **fields: Any,
    ) -> None:
        """Add a tool call of the assistant; its signature is where Google's server has it."""
        function = {"name": name, "arguments": arguments}
        call = {"id": call_id, "type": "function", "function": function, **fields}
        if signature:
            call["extra_content"] = {"google": {"thought_signature": signature}}
        self._open().setdefault("tool_calls", []).append(call)

    def _open(self) -> dict[str, Any]:
        if self._assistant is None:
            self._assistant = {"role": "assistant", "content": []}
            self.messages.append(self._assistant)
        return self._assistant

    def finished(self) -> list[dict[str, Any]]:
        """Return the messages; the content of one that is text only is a str."""
        for message in self.messages:
            if message["role"] == "assistant" and isinstance(message["content"], list):
                message["content"] = plain_content(message["content"])
        return self.messages


def plain_content(parts: list[dict[str, Any]]) -> str | list[dict[str, Any]] | None:
    """Return one text part as a str, no parts as None, and other parts as they are."""
    if not parts:
        return None
    if len(parts) == 1 and parts[0].keys() == {"type", "text"} and parts[0]["type"] == "text":
        text: str = parts[0]["text"]
        return text
    return parts


def image_part(url: str, detail: str | None = None) -> dict[str, Any]:
    """Return the part of an image."""
    return {"type": "image_url", "image_url": set_only(url=url, detail=detail)}


def file_part(**fields: str | None) -> dict[str, Any]:
    """Return the part of a file: file_data (a `data:` URL), file_url or file_id, filename."""
    return {"type": "file", "file": set_only(**fields)}


def image_file_part(file_id: str) -> dict[str, Any]:
    """Return the part of an image that the provider keeps, which Chat Completions does not have."""
    return {**file_part(file_id=file_id), "is_image": True}


def function_tool(
    name: str, description: str | None, parameters: Any, strict: bool | None = None
) -> dict[str, Any]:
    """Return the tool of a function."""
    function = set_only(name=name, description=description, parameters=parameters, strict=strict)
    return {"type": "function", "function": function}


def set_only(**fields: Any) -> dict[str, Any]:
    """Return the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def json_text(value: object) -> str:
    """Return a str as it is, and any other value as JSON."""
    return value if isinstance(value, str) else json_bytes(value, errors="replace").decode()


def chat_request(
    fields: Fields,
    messages: Iterable[dict[str, Any]],
    *,
    max_tokens: int | None,
    extra: dict[str, Any],
) -> ChatRequest:
    """Make the request from the fields that all protocols call by the same name, and the rest."""
    return ChatRequest(
        tuple(messages),
        model=fields.optional_text("model"),
        temperature=fields.number("temperature"),
        max_tokens=max_tokens,
        extra={name: value for name, value in extra.items() if value is not None},
    )
