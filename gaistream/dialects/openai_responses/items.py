"""The items of a response that is written, while they are open, and their frames.

An item is immutable, but for the pieces of its text: the encoder appends those that it writes.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ...core import FrameTemplate
from ..identity import new_hex

Fields = dict[str, Any]
_INNER_PLACES: Final = {"message": {"content_index": 0}, "reasoning": {"summary_index": 0}}


class OpenItem(NamedTuple):
    """A message, a reasoning or a call whose text arrives.

    Attributes:
        output_index: its place in the output.
        fields: the item as it was added.
        pieces: of its text so far.
        annotations: of its text so far.
        is_open: False once it is done.
    """

    output_index: int
    fields: Fields
    pieces: list[str]
    annotations: tuple[Fields, ...] = ()
    is_open: bool = True

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def kind(self) -> str:
        return str(self.fields["type"])

    @property
    def place(self) -> Fields:
        """The fields of each of its events that say where the text belongs."""
        place = {"item_id": self.fields["id"], "output_index": self.output_index}
        return {**place, **_INNER_PLACES.get(self.kind, {})}

    def part(self) -> Fields:
        """Return the only part of its content: the text so far."""
        if self.kind == "reasoning":
            return {"type": "summary_text", "text": self.text}
        notes = list(self.annotations)
        return {"type": "output_text", "text": self.text, "annotations": notes, "logprobs": []}

    def template(self, event: str) -> FrameTemplate:
        """Return the template of the frame of its deltas."""
        place = "".join(
            f'"{name}":"{value}",' if isinstance(value, str) else f'"{name}":{value},'
            for name, value in self.place.items()
        )
        logprobs = ',"logprobs":[]' if self.kind == "message" else ""
        prefix = f'event: {event}\ndata: {{"type":"{event}",{place}"delta":"'
        middle = f'"{logprobs},"sequence_number":'
        return FrameTemplate(prefix.encode(), b"}\n\n", middle=middle.encode())


def new_message() -> Fields:
    """Return a message as it is added."""
    about = {"type": "message", "status": "in_progress", "role": "assistant", "content": []}
    return {"id": _new_id("msg"), **about}


def new_reasoning(id: str | None = None) -> Fields:
    """Return reasoning as it is added."""
    return {"id": id or _new_id("rs"), "type": "reasoning", "summary": []}


def new_call(id: str, name: str) -> Fields:
    """Return a call as it is added; its id is one for the client's answer."""
    return {
        "id": _new_id("fc"),
        "type": "function_call",
        "status": "in_progress",
        "call_id": id or _new_id("call"),
        "name": name,
        "arguments": "",
    }


def call_output(call_id: str, output: str) -> Fields:
    """Return the result of a call."""
    about = {"type": "function_call_output", "call_id": call_id, "output": output}
    return {"id": _new_id("fco"), **about, "status": "completed"}


def approval_request(id: str, call: OpenItem | None, call_id: str) -> Fields:
    """Return a request for the approval of a call, which may be one of an earlier response."""
    return {
        "id": id or _new_id("mcpr"),
        "type": "mcp_approval_request",
        "name": call_id if call is None else call.fields["name"],
        "arguments": (call and call.text) or "{}",
        "server_label": "gaistream",
    }


def url_citation(uri: str, start: int, end: int, title: str | None) -> Fields:
    """Return the annotation of a source."""
    place = {"start_index": start, "end_index": end}
    return {"type": "url_citation", "url": uri, "title": title or "", **place}


def _new_id(prefix: str) -> str:
    return f"{prefix}_{new_hex()[:16]}"  # which stands in each delta
