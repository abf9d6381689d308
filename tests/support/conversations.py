"""Conversations that the vendors' clients are sent, and what a client must have understood."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import permutations, product
from typing import Any

from gaistream.events import (
    Citation,
    Citations,
    Done,
    Event,
    Finish,
    ReasoningDelta,
    ReasoningEnd,
    Start,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStart,
    ToolResult,
    Usage,
)

ODD = "Hé 😀 \u2028\u2029\u0085\r\n\t\"\\ \x00 data: x\n\n"


def call(identity: str, name: str, *pieces: str) -> list[Event]:
    """Return the events of a call whose arguments come in pieces."""
    deltas = [ToolCallDelta(identity, piece) for piece in pieces]
    value = json.loads("".join(pieces)) if pieces else None
    return [ToolCallStart(identity, name), *deltas, ToolCall(identity, name, value)]


def server_call(identity: str) -> list[Event]:
    """Return the events of a tool that runs at the provider."""
    return [
        ToolCallStart(identity, "search", provider_executed=True),
        ToolCallDelta(identity, "{}"),
        ToolCall(identity, "search", {}, provider_executed=True),
        ToolResult(identity, "search", ["found"], provider_executed=True),
    ]


_first, _second = (
    call("call_a", "weather", '{"city":', json.dumps(ODD), "}"),
    call("call_b", "weather", '{"city"', ':"Rome"}'),
)
_END = [Finish(Usage(11, 7, 18, 5, 3, 4), "tool_calls"), Done()]
FULL: list[Event] = [
    Start("chatcmpl-1", "m-1"), ReasoningDelta("hm " + ODD), ReasoningDelta("so"),
    ReasoningEnd(signature="c2ln"), TextDelta(ODD), *server_call("call_s"), *_first[:2],
    *_second[:2], TextDelta("while "), *_first[2:4], TextDelta("calling"), *_second[2:],
    _first[4], Citations([Citation("https://a.example/", 1, 4, "A é"), Citation("https://b")]),
    Citations([Citation("https://c")]), *_END,
]  # fmt: skip


def blocks(number: int) -> dict[str, list[Event]]:
    """Return one block of each kind, with ids of this number."""
    return {
        "text": [TextDelta(f"text {number}"), TextDelta(", more")],
        "reasoning": [ReasoningDelta("think"), ReasoningEnd(signature=f"sig{number}")],
        "tool": call(f"call_{number}", "f", '{"a"', f":{number}}}"),
        "server tool": server_call(f"server_{number}"),
    }


PAIRS: dict[str, list[Event]] = {
    f"{one}, {other}": [Start("chatcmpl-2", "m-2"), *blocks(1)[one], *blocks(2)[other],
                        Finish(Usage(3, 2, 5, 1, 1, 1)), Done()]
    for one, other in product(blocks(0), repeat=2)
}  # fmt: skip
ALTERNATING: dict[str, list[Event]] = {
    "".join(order): [Start("i", "m"), *(each[0] for each in chosen), TextDelta("between"),
                     *(event for each in chosen for event in each[1:]),
                     Finish(Usage(3, 2, 5, 1, 1, 1)), Done()]
    for order in permutations("12")
    for chosen in [[blocks(int(digit))["tool"] for digit in order]]
}  # fmt: skip


@dataclass
class Understood:
    """An answer as a client sees it when its stream is over."""

    id: str | None = None
    model: str | None = None
    text: str = ""
    reasoning: str = ""
    signatures: list[str] = field(default_factory=list)
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    citations: list[tuple[str, int, int, str]] = field(default_factory=list)
    usage: tuple[int, ...] | None = None
    finish_reason: str | None = None


def expected(events: list[Event]) -> Understood:
    """Return what these events say to a client that is not shown the provider's own tools."""
    said = Understood(finish_reason="stop")
    order: list[str] = []
    inputs: dict[str, tuple[str, Any]] = {}
    for event in events:
        match event:
            case Start():
                said.id, said.model = event.id, event.model
            case TextDelta():
                said.text += event.text
            case ReasoningDelta():
                said.reasoning += event.text
            case ReasoningEnd(signature=str(signature)):
                said.signatures.append(signature)
            case ToolCallStart(provider_executed=None | False):
                order.append(event.id)
            case ToolCall(provider_executed=None | False):
                inputs[event.id] = (event.name, event.input)
                said.finish_reason = "tool_calls"
            case Citations():
                said.citations += [(c.uri, c.start, c.end, c.title or "") for c in event.citations]
            case Finish(usage=Usage() as usage):
                said.usage = (usage.input_tokens, usage.output_tokens, usage.total_tokens,
                              usage.cached_input_tokens or 0, usage.cache_write_tokens or 0,
                              usage.reasoning_tokens or 0)  # fmt: skip
    said.calls = [(identity, *inputs[identity]) for identity in order]
    return said
