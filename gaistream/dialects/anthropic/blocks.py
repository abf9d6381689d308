"""The content blocks of Anthropic's protocol, as a reader sees them: start, deltas, stop."""

from __future__ import annotations

import uuid
from typing import Any

from ...events import (
    Citation,
    Citations,
    Event,
    Raw,
    ReasoningDelta,
    ReasoningEnd,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStart,
    ToolResult,
)
from ...message.words import RESULT_SUFFIX
from ..base import half_call_error
from ..fields import arguments_of, object_of, text_of


class Block:
    """A block of an unknown type: a `Raw`, and one for each of its deltas.

    Args:
        fields: the `content_block` of its start.
    """

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields

    def start(self) -> list[Event]:
        """Return the events of the block's start."""
        return [Raw(self.fields)]

    def add(self, delta: dict[str, Any]) -> list[Event] | None:
        """Return the events of a delta; None if it is not one of this block."""
        return None

    def stop(self) -> list[Event]:
        """Return the events of the block's stop, up to an Error if it is incomplete."""
        return []


class _TextBlock(Block):
    def start(self) -> list[Event]:
        text, citations = self.fields["text"], self.fields.get("citations")
        events: list[Event] = [TextDelta(text)] if text else []
        for citation in citations if isinstance(citations, list) else ():
            events += [Raw(citation)] if (read := _citation(citation)) is None else [read]
        return events

    def add(self, delta: dict[str, Any]) -> list[Event] | None:
        kind, text = delta.get("type"), delta.get("text")
        if kind == "text_delta" and isinstance(text, str):
            return [TextDelta(text)] if text else []
        if kind == "citations_delta":
            citation = _citation(delta.get("citation"))
            return None if citation is None else [citation]
        return None


class _ThinkingBlock(Block):
    def start(self) -> list[Event]:
        self._signature = text_of(self.fields.get("signature"))
        text = self.fields["thinking"]
        return [ReasoningDelta(text)] if text else []

    def add(self, delta: dict[str, Any]) -> list[Event] | None:
        kind = delta.get("type")
        text, signature = delta.get("thinking"), delta.get("signature")
        if kind == "thinking_delta" and isinstance(text, str):
            return [ReasoningDelta(text)] if text else []
        if kind == "signature_delta" and isinstance(signature, str):
            self._signature = signature
            return []
        return None

    def stop(self) -> list[Event]:
        return [ReasoningEnd(None, self._signature or None)]


class _RedactedBlock(Block):
    def start(self) -> list[Event]:
        return []

    def stop(self) -> list[Event]:
        return [ReasoningEnd(None, None, self.fields["data"])]


class ToolBlock(Block):
    """A call of the client's tool or, with `provider_executed`, of the server's own."""

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.id = text_of(fields.get("id")) or f"toolu_{uuid.uuid4().hex}"
        self.name: str = fields["name"]
        self.provider_executed = None if fields["type"] == "tool_use" else True
        self._arguments: list[str] = []

    def start(self) -> list[Event]:
        return [ToolCallStart(self.id, self.name, self.provider_executed)]

    def add(self, delta: dict[str, Any]) -> list[Event] | None:
        text = delta.get("partial_json")
        if delta.get("type") != "input_json_delta" or not isinstance(text, str):
            return None
        if not text:
            return []
        self._arguments.append(text)
        return [ToolCallDelta(self.id, text)]

    def stop(self) -> list[Event]:
        try:
            value = self._input()
        except ValueError:
            return [half_call_error(self.name)]
        return [ToolCall(self.id, self.name, value, provider_executed=self.provider_executed)]

    def is_broken(self) -> bool:
        """Return True if the arguments so far are not JSON."""
        try:
            self._input()
        except ValueError:
            return True
        return False

    def _input(self) -> Any:
        """Return the arguments, None if there are none. Raise ValueError if they are not JSON."""
        if any(map(str.strip, self._arguments)):
            return arguments_of(self._arguments)
        return self.fields.get("input") or None


class _ResultBlock(Block):
    """A result of a tool of the server, which is whole.

    Args:
        tool: the name of the tool.
    """

    def __init__(self, fields: dict[str, Any], tool: str) -> None:
        super().__init__(fields)
        self._tool = tool

    def start(self) -> list[Event]:
        content = self.fields.get("content")
        kind = object_of(content).get("type")
        failed = self.fields.get("is_error") is True or kind == f"{self.fields['type']}_error"
        identity = self.fields["tool_use_id"]
        return [ToolResult(identity, self._tool, content, failed or None, True)]


# The block of each type, and the field that must be a str.
_KINDS: dict[str, tuple[type[Block], str]] = {
    "text": (_TextBlock, "text"),
    "thinking": (_ThinkingBlock, "thinking"),
    "redacted_thinking": (_RedactedBlock, "data"),
    "tool_use": (ToolBlock, "name"),
    "server_tool_use": (ToolBlock, "name"),
    "mcp_tool_use": (ToolBlock, "name"),
}


def open_block(fields: dict[str, Any], tools: dict[str, str]) -> Block:
    """Return the block that a `content_block` starts.

    Args:
        fields: the `content_block`.
        tools: the names of the server's tools that ran, by the ids of their calls.
    """
    kind = fields.get("type")
    if not isinstance(kind, str):
        return Block(fields)
    block, field = _KINDS.get(kind, (Block, ""))
    if field and isinstance(fields.get(field), str):
        return block(fields)
    identity = fields.get("tool_use_id")
    if kind.endswith(RESULT_SUFFIX) and isinstance(identity, str):
        return _ResultBlock(fields, tools.get(identity) or kind.removesuffix(RESULT_SUFFIX))
    return Block(fields)


def _citation(citation: Any) -> Citations | None:
    """Return the source that a citation of any type names; None if it names none."""
    fields = object_of(citation)
    title = fields.get("title")
    if not isinstance(title, str):
        title = fields.get("document_title")
    title = title if isinstance(title, str) else None
    uris = (fields.get("url"), fields.get("source"), fields.get("file_id"))
    uri = next((each for each in uris if isinstance(each, str)), "")
    if not uri and not title:
        return None
    return Citations([Citation(uri, title=title)])
