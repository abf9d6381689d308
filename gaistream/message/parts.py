"""The parts of a message, in the order in which they began.

Events that are a part by themselves (Citations, Safety, File, Data, an Error that others followed,
the ToolResult of a server's tool) stand among them as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..core import ApprovalRequest, AudioFormat, Citations, ToolResult, json_bytes


class Step:
    """The beginning of a step."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name


class Text:
    """A block of text."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.open = True
        self.cited: list[Citations] = []  # while it was open


class Reasoning:
    """A block of reasoning, with what must go back to its maker."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.open = True
        self.id: str | None = None
        self.signature: str | None = None
        self.redacted: str | None = None


class Audio:
    """Bytes of one format."""

    def __init__(self, format: AudioFormat | None) -> None:
        self.pieces: list[bytes] = []
        self.format = format


class Call:
    """A tool call, whole or while its arguments come."""

    def __init__(self, id: str, name: str, provider_executed: bool = False) -> None:
        self.id = id
        self.name = name
        self.provider_executed = provider_executed
        self.pieces: list[str] = []
        self.input: Any = None
        self.signature: str | None = None
        self.complete = False
        self.abandoned = False  # its step is over and it is not complete
        self.result: ToolResult | None = None
        self.approval: ApprovalRequest | None = None

    @property
    def arguments(self) -> str:
        """The JSON of the arguments as it was streamed, else that of the input."""
        text = joined(self.pieces)
        if text or not self.complete:
            return text
        return "{}" if self.input is None else json_bytes(self.input).decode()


@dataclass(frozen=True)
class CollectedCall:
    """A tool call of a message, as it stood when it was read.

    Attributes:
        id: the call's id.
        name: the tool's name.
        input: the arguments, any JSON value; None until the call is complete.
        arguments: the JSON text of the arguments, or its beginning.
        complete: whether all of the arguments have come.
        provider_executed: whether the provider runs the tool itself.
        signature: what must go back to the provider with the call.
        result: the `ToolResult` of the call, or None.
        approval: the `ApprovalRequest` for the call, or None.
    """

    id: str
    name: str
    input: Any
    arguments: str
    complete: bool
    provider_executed: bool = False
    signature: str | None = None
    result: ToolResult | None = None
    approval: ApprovalRequest | None = None


def joined(pieces: list[str]) -> str:
    """Return the text of the pieces, which become one, so that the next call has less to join."""
    if len(pieces) > 1:
        pieces[:] = ["".join(pieces)]
    return pieces[0] if pieces else ""


def settled_calls(parts: Iterable[Any]) -> dict[str, Call]:
    """Return the last call of each id, with the result and the approval that are parts."""
    calls: dict[str, Call] = {}
    for part in parts:
        if isinstance(part, Call):
            part.result = part.approval = None
            calls[part.id] = part
        elif isinstance(part, ToolResult) and part.id in calls:
            calls[part.id].result = part
        elif isinstance(part, ApprovalRequest) and part.tool_call_id in calls:
            calls[part.tool_call_id].approval = part
    return calls
