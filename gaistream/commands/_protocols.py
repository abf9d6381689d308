"""Which AI protocol a stream speaks, and whether it came to its end. No input or output.

A stream of no known protocol is expected to have no end of its own. A protocol is known by its
first event that is unlike all others', never by a guess at the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_RESPONSES_ENDS = ("response.completed", "response.failed", "response.incomplete")
# What each protocol ends with, for people.
TERMINATORS = {
    "gai": "done",
    "gai.events.v1": "done",
    "OpenAI Chat Completions": "[DONE]",
    "OpenAI Responses": "response.completed",
    "Anthropic Messages": "message_stop",
    "AI SDK UI messages": "finish",
    "AG-UI": "RUN_FINISHED",
    "Ollama": '"done":true',
}


class Ending:
    """Looks at the events of one stream as they come. Belongs to one task.

    Attributes:
        protocol: a key of TERMINATORS, or "" while none is known.
        terminated: the protocol's last event was seen.
        failed: the last event was the server's own report of a failure.
    """

    def __init__(self) -> None:
        self.protocol = ""
        self.terminated = False
        self.failed = False

    @property
    def truncated(self) -> bool:
        """Whether the stream, if it is over, was cut: its last event is missing."""
        return bool(self.protocol) and not self.terminated and not self.failed

    def see(self, name: str, data: str, payload: Any) -> None:
        """Take an event.

        Args:
            name: its name, "message" where it has none; of NDJSON too.
            data: its data, as it came.
            payload: the value of the data, or None where it is not JSON.
        """
        fields: Mapping[str, Any] = payload if isinstance(payload, dict) else {}
        kind = _kind(name, fields)
        if kind == "ping":
            return
        if not self.protocol:
            self.protocol = _protocol_of(kind, fields)
        self.failed = kind in ("error", "RUN_ERROR", "response.failed") or (
            kind == "message" and fields.get("error") is not None
        )
        self.terminated = self.terminated or self._ends(kind, data, fields)

    def _ends(self, kind: str, data: str, fields: Mapping[str, Any]) -> bool:
        match self.protocol:
            case "gai" | "gai.events.v1":
                return kind == "done"
            case "Anthropic Messages":
                return kind == "message_stop"
            case "OpenAI Responses":
                return kind in _RESPONSES_ENDS
            case "AI SDK UI messages":  # `[DONE]` follows, and is nothing behind the end
                return kind in ("finish", "abort")
            case "AG-UI":
                return kind in ("RUN_FINISHED", "RUN_ERROR")
            case "Ollama":
                return fields.get("done") is True
        return data.strip() == "[DONE]"


def _kind(name: str, fields: Mapping[str, Any]) -> str:
    inner = fields.get("type")
    return inner if name == "message" and isinstance(inner, str) else name


# Where a piece of the answer's text is: by an event's kind, and for events that have none.
_TEXT_OF_KIND: Mapping[str, tuple[str, ...]] = {
    "text_delta": ("text",),
    "text.delta": ("text",),
    "response.output_text.delta": ("delta",),
    "content_block_delta": ("delta", "text"),
    "text-delta": ("delta",),
    "TEXT_MESSAGE_CONTENT": ("delta",),
}
_TEXT_OF_SHAPE: tuple[tuple[str | int, ...], ...] = (
    ("choices", 0, "delta", "content"),  # OpenAI Chat Completions
    ("message", "content"),  # Ollama: a chat
    ("response",),  # Ollama: a completion
    ("candidates", 0, "content", "parts", 0, "text"),  # Gemini
)


def text_of(name: str, payload: Any) -> str:
    """Return the piece of the answer's text that an event holds, "" if none.

    Args:
        name, payload: see `Ending.see`.
    """
    if not isinstance(payload, dict):
        return ""
    kind = _kind(name, payload)
    known = _TEXT_OF_KIND.get(kind)
    for path in [known] if known else _TEXT_OF_SHAPE if kind == "message" else ():
        value: Any = payload
        try:
            for step in path:
                value = value[step]
        except (LookupError, TypeError):
            continue
        if isinstance(value, str):
            return value
    return ""


def is_after_end(ending: Ending, data: str) -> bool:
    """Whether an event with this data, not seen yet, stands behind the end of its stream."""
    extra = ending.protocol == "AI SDK UI messages" and data.strip() == "[DONE]"
    return ending.terminated and not extra


def _protocol_of(kind: str, fields: Mapping[str, Any]) -> str:
    if fields.get("object") == "chat.completion.chunk":
        return "OpenAI Chat Completions"
    if fields.get("schema") == "gai.events.v1":
        return "gai.events.v1"
    if "created_at" in fields and "model" in fields and type(fields.get("done")) is bool:
        return "Ollama"
    if kind == "message_start":
        return "Anthropic Messages"
    if kind.startswith("response."):
        return "OpenAI Responses"
    if kind in ("start-step", "text-start", "text-delta"):
        return "AI SDK UI messages"
    if kind == "RUN_STARTED":
        return "AG-UI"
    if kind in ("text_delta", "reasoning_delta") and type(fields.get("text")) is str:
        return "gai"
    if kind == "start" and fields.get("started") is True:
        return "gai"
    return ""
