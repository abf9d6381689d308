"""Conversations that the vendors' clients are sent, and what a client must have understood."""

from __future__ import annotations

import json
from collections.abc import Iterable
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

ODD = 'Hé 😀 \u2028\u2029\u0085\r\n\t"\\ \x00 data: x\n\n'


def call(identity: str, name: str, *pieces: str) -> list[Event]:
    """Return the events of a call whose arguments come in pieces."""
    deltas = [ToolCallDelta(identity, piece) for piece in pieces]
    value = json.loads("".join(pieces)) if pieces else None
    return [ToolCallStart(identity, name), *deltas, ToolCall(identity, name, value)]


def server_call(identity: str) -> list[Event]:
    """Return the events of a tool that runs at the provider, one that Anthropic has too."""
    found = {
        "type": "web_search_result", "url": "https://a.example", "title": ODD,
        "encrypted_content": "ZQ", "page_age": None,
    }  # fmt: skip
    return [
        ToolCallStart(identity, "web_search", provider_executed=True),
        ToolCallDelta(identity, '{"query":"q"}'),
        ToolCall(identity, "web_search", {"query": "q"}, provider_executed=True),
        ToolResult(identity, "web_search", [found], provider_executed=True),
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
    Citations([Citation("https://c")]), ToolResult("call_a", "weather", {"sky": [ODD, None]}),
    ToolCall("call_c", "clock"), ToolResult("call_c", "clock", "no battery", is_error=True), *_END,
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
    """An answer as a client sees it when its stream is over.

    Attributes:
        calls: id, name and input of the calls that the client is to answer.
        server_calls: id, name, input and result of the provider's own.
        results: id, result and whether it is an error, of the other calls.
        citations: URL, start, end and title; 0 and "" where there is none.
        usage: the counts of `Usage`, 0 where there is none.
        order: the kinds of blocks, in their order.
    """

    id: str | None = None
    model: str | None = None
    text: str = ""
    reasoning: str = ""
    signatures: list[str] = field(default_factory=list)
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    server_calls: list[tuple[str, str, Any, Any]] = field(default_factory=list)
    results: list[tuple[str, Any, bool]] = field(default_factory=list)
    citations: list[tuple[str, int, int, str]] = field(default_factory=list)
    usage: tuple[int, ...] | None = None
    finish_reason: str | None = None
    order: list[str] = field(default_factory=list)

    def fields(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the fields of these names."""
        return {name: getattr(self, name) for name in sorted(names)}


def expected(events: Iterable[Any]) -> Understood:
    """Return what these events say."""
    said = Understood()
    order: list[str] = []
    calls: dict[str, ToolCall] = {}
    results: dict[str, ToolResult] = {}
    for event in (TextDelta(item) if isinstance(item, str) else item for item in events):
        match event:
            case Start():
                said.id, said.model = event.id, event.model
            case TextDelta():
                said.text += event.text
            case ReasoningDelta():
                said.reasoning += event.text
            case ReasoningEnd(signature=str(signature)):
                said.signatures.append(signature)
            case ToolCallStart() if event.id not in order:
                order.append(event.id)
            case ToolCall():
                calls[event.id] = event
                order += [] if event.id in order else [event.id]
            case ToolResult():
                results[event.id] = event
            case Citations():
                said.citations += [(c.uri, c.start, c.end, c.title or "") for c in event.citations]
            case Finish():
                said.finish_reason = event.finish_reason
                said.usage = event.usage and counts(event.usage)
        kind = _KINDS.get(type(event))
        if isinstance(event, ReasoningEnd) and (event.signature or event.redacted):
            kind = "reasoning"
        if kind is not None and said.order[-1:] != [kind]:
            said.order.append(kind)
    for call in (calls[identity] for identity in order):
        about = call.id, call.name, {} if call.input is None else call.input
        result = results.get(call.id)
        if call.provider_executed:
            said.server_calls.append((*about, result and result.result))
            continue
        said.calls.append(about)
        if result is None and said.finish_reason is None:
            said.finish_reason = "tool_calls"
        elif result is not None:
            said.results.append((call.id, result.result, bool(result.is_error)))
    said.finish_reason = said.finish_reason or "stop"
    return said


_KINDS: dict[Any, str] = {TextDelta: "text", ReasoningDelta: "reasoning", ToolCall: "tool"}


def counts(usage: Usage) -> tuple[int, ...]:
    """Return the counts, 0 for those that are not known."""
    names = ("input_tokens", "output_tokens", "total_tokens", "cached_input_tokens",
             "cache_write_tokens", "reasoning_tokens")  # fmt: skip
    return tuple(getattr(usage, name) or 0 for name in names)
