"""The items of a response that is read: what their deltas and their ends say."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from typing import Any, Final

from ...events import (
    Event,
    File,
    Raw,
    ReasoningDelta,
    ReasoningEnd,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStart,
    ToolResult,
)
from ..base import half_call_error
from ..fields import arguments_of, objects_of, text_of

_SEPARATOR: Final = ReasoningDelta("\n\n")  # between the parts of a reasoning


class Item:
    """An item of a kind without deltas; alone, one of an unknown kind.

    Args:
        fields: the item as it was added.
    """

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields

    def start(self) -> list[Event]:
        """Return the events of its beginning."""
        return []

    def add(self, place: object, text: str) -> list[Event] | None:
        """Return the events of a delta; None if it is not one of this item.

        Args:
            place: of the delta in the item.
            text: not empty.
        """
        return None

    def end(self, fields: dict[str, Any]) -> list[Event]:
        """Return the events of its end, up to an Error if it is incomplete.

        Args:
            fields: the item as it is done.
        """
        return [Raw(fields)]


class Message(Item):
    """A message; its text may come only at its end."""

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self._said = False

    def add(self, place: object, text: str) -> list[Event] | None:
        self._said = True
        return [TextDelta(text)]

    def end(self, fields: dict[str, Any]) -> list[Event]:
        parts = [] if self._said else objects_of(fields.get("content"))
        texts = [text_of(part.get("text")) or text_of(part.get("refusal")) for part in parts]
        return [TextDelta(text) for text in texts if text]


class Reasoning(Item):
    """Reasoning: a summary or the text itself, in parts."""

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self._place: object = None  # of the last delta

    def add(self, place: object, text: str) -> list[Event] | None:
        begins = self._place not in (None, place)
        self._place = place
        return [*([_SEPARATOR] if begins else []), ReasoningDelta(text)]

    def end(self, fields: dict[str, Any]) -> list[Event]:
        events: list[Event] = []
        if self._place is None:
            parts = objects_of(fields.get("summary")) or objects_of(fields.get("content"))
            for index, part in enumerate(parts):
                if text := text_of(part.get("text")):
                    events += self.add(index, text) or []
        signature = text_of(fields.get("encrypted_content")) or None
        if self._place is None and signature is None:
            return []
        return [*events, ReasoningEnd(text_of(fields.get("id")) or None, signature)]


class Call(Item):
    """A call of a function of the client.

    Args:
        id: the call's id in its events.
    """

    def __init__(self, fields: dict[str, Any], id: str) -> None:
        super().__init__(fields)
        self.id = id
        self.name = text_of(fields.get("name"))
        self.answered = False
        self.input: Any = None
        self._pieces: list[str] = []

    def start(self) -> list[Event]:
        return [ToolCallStart(self.id, self.name)]

    def add(self, place: object, text: str) -> list[Event] | None:
        self._pieces.append(text)
        return [ToolCallDelta(self.id, text)]

    def end(self, fields: dict[str, Any]) -> list[Event]:
        given = [text_of(fields.get("arguments"))]
        pieces = self._pieces if any(map(str.strip, self._pieces)) else given
        try:
            if fields.get("status") == "incomplete":
                return [half_call_error(self.name)]
            self.input = arguments_of(pieces)
        except ValueError:
            return [half_call_error(self.name)]
        return [ToolCall(self.id, self.name, self.input)]

    def is_broken(self) -> bool:
        """Return True if the arguments so far are not JSON."""
        try:
            arguments_of(self._pieces)
        except ValueError:
            return True
        return False


class ServerCall(Item):
    """The call of a tool that the server has run, with its result."""

    def end(self, fields: dict[str, Any]) -> list[Event]:
        kind = text_of(fields.get("type"))
        id = text_of(fields.get("id")) or made_id()
        name = kind.removesuffix("_call")
        failed = fields.get("status") == "failed"
        result: Any = None
        if kind == "web_search_call":
            value = fields.get("action")
        elif kind == "file_search_call":
            value, result = _present(fields, "queries"), fields.get("results")
        elif kind == "code_interpreter_call":
            value, result = _present(fields, "code", "container_id"), fields.get("outputs")
        else:
            name = text_of(fields.get("name")) or "mcp"
            value, result = json_value(fields.get("arguments")), fields.get("output")
            if fields.get("error"):
                result, failed = fields["error"], True
        call = ToolCall(id, name, value, provider_executed=True)
        return [call, ToolResult(id, name, result, failed or None, True)]


class Image(Item):
    """An image that the server has made."""

    def end(self, fields: dict[str, Any]) -> list[Event]:
        format = text_of(fields.get("output_format")) or "png"
        try:
            data = base64.b64decode(text_of(fields.get("result")), validate=True)
        except ValueError:  # binascii.Error, or one for text that is not ASCII
            data = b""
        return [File(f"image/{format}", data=data)] if data else [Raw(fields)]


KINDS: Final[dict[str, Callable[[dict[str, Any]], Item]]] = {
    "message": Message,
    "reasoning": Reasoning,
    "web_search_call": ServerCall,
    "file_search_call": ServerCall,
    "code_interpreter_call": ServerCall,
    "mcp_call": ServerCall,
    "image_generation_call": Image,
}
"""Items that need nothing but their fields."""


def json_value(text: object) -> Any:
    """Return the value of JSON; a text that is not JSON as it is."""
    try:
        return arguments_of([text_of(text)])
    except ValueError:
        return text


def made_id() -> str:
    """Return an id for a call that has none."""
    return f"call_{uuid.uuid4().hex}"


def _present(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: fields[name] for name in names if fields.get(name) is not None}
