"""A frame of any protocol, as dialects look at it to recognise their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from ..core import ServerSentEvent, read_json

Path: TypeAlias = tuple[str | int, ...]
"""Keys and indexes that lead to a value inside a JSON value."""


class Frame:
    """An SSE event or an NDJSON line, as a dialect looks at it to recognise its protocol.

    Attributes:
        name: the name of the SSE event, "message" if it has none; of a line its `type`.
        data: the data, or the line, as text.
        value: the value of the data's JSON; None if it is not JSON.
        fields: the data's JSON object; empty if the data is anything else.
        kind: `name`; for a nameless event the `type` in its data, if there is one.
    """

    __slots__ = ("data", "fields", "kind", "name", "value")

    def __init__(self, name: str, data: str, value: Any = None) -> None:
        self.name = name
        self.data = data
        self.value = value
        self.fields: Mapping[str, Any] = value if isinstance(value, dict) else {}
        inner = self.fields.get("type")
        self.kind: str = inner if name == "message" and isinstance(inner, str) else name

    @classmethod
    def of_event(cls, event: ServerSentEvent) -> Frame:
        """Return the frame of an SSE event."""
        text = str(event.data)
        try:
            value = read_json(text, "replace")
        except ValueError:
            value = None
        return cls(event.event or "message", text, value)

    @classmethod
    def of_line(cls, line: str, value: Any) -> Frame:
        """Return the frame of a line of NDJSON that has this value."""
        kind = value.get("type") if isinstance(value, dict) else None
        return cls(kind if isinstance(kind, str) else "message", line, value)
