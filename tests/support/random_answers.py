"""Random answers as events, and the chunks by which the services of vendors say the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

from gaistream.core import json_bytes
from gaistream.events import (
    Citation,
    Citations,
    Done,
    Error,
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

WORDS = ["Hello", " ", "wörld", "\u2028", "\x85", "😀", '"\\', "\n", "{}", "a" * 40]
KEYS = ["city", "é", 'q"', "n"]


def value(rng: Random, depth: int = 0) -> Any:
    """Return a random JSON value."""
    if depth < 3 and rng.random() < 0.4:
        if rng.random() < 0.5:
            return [value(rng, depth + 1) for _ in range(rng.randrange(3))]
        return {rng.choice(KEYS): value(rng, depth + 1) for _ in range(rng.randrange(3))}
    return rng.choice([None, True, False, 0, -12, 1.5, rng.choice(WORDS)])


class Answer:
    """A random answer: calls alternate with each other and with text."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.events: list[Event] = [Start("answer_1", "model")]
        self.open_calls: dict[str, tuple[ToolCall, list[str]]] = {}
        self.count = 0

    def text(self) -> None:
        self.events += [TextDelta(self.rng.choice(WORDS)) for _ in range(self.rng.randint(1, 4))]

    def reasoning(self) -> None:
        count = self.rng.randint(1, 3)
        self.events += [ReasoningDelta(self.rng.choice(WORDS)) for _ in range(count)]
        if self.rng.random() < 0.7:
            self.events.append(ReasoningEnd(None, f"signature {len(self.events)}"))

    def end_reasoning(self) -> None:
        if isinstance(self.events[-1], ReasoningDelta):
            self.events.append(ReasoningEnd())

    def redacted(self) -> None:
        self.end_reasoning()
        self.events.append(ReasoningEnd(None, None, f"encrypted {len(self.events)}"))

    def begin_call(self) -> None:
        call = self._new_call("lookup")
        text = "" if call.input is None else json.dumps(call.input, ensure_ascii=False)
        cuts = sorted(self.rng.randint(0, len(text)) for _ in range(self.rng.randrange(4)))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)])]
        self.open_calls[call.id] = call, [piece for piece in pieces if piece]
        self.events.append(ToolCallStart(call.id, call.name))

    def go_on_with_a_call(self) -> None:
        if self.open_calls:
            id = self.rng.choice(list(self.open_calls))
            call, pieces = self.open_calls[id]
            if pieces:
                self.events.append(ToolCallDelta(id, pieces.pop(0)))
            else:
                del self.open_calls[id]
                self.events.append(call)

    def whole_call(self) -> None:
        self.events.append(self._new_call("lookup"))

    def server_call(self) -> None:
        call = self._new_call("web_search", True)
        found = [{
            "type": "web_search_result", "url": "https://example.com", "title": "A",
            "encrypted_content": "secret",
        }]  # fmt: skip
        self.events += [call, ToolResult(call.id, call.name, found, None, True)]

    def citations(self) -> None:
        if any(isinstance(event, TextDelta) for event in self.events):
            self.end_reasoning()  # they are of the text
            self.events.append(Citations([Citation("https://example.com/é", 0, 5, "A title")]))

    def end(self) -> list[Event]:
        """Return the events: a finished answer, one that failed, or one that was cut."""
        cut = self.rng.randint(1, len(self.events))
        how = self.rng.choice(["finished", "finished", "failed", "cut"])
        if how == "finished":
            while self.open_calls:
                self.go_on_with_a_call()
            cached, thought = self.rng.choice([None, 5]), self.rng.choice([None, 7])
            usage = Usage(30, 20, None, cached, None, thought)
            self.events += [Finish(usage, self.rng.choice(["stop", "length"])), Done()]
            return self.events
        return [*self.events[:cut], *([Error("overloaded")] if how == "failed" else [])]

    def _new_call(self, name: str, provider_executed: bool | None = None) -> ToolCall:
        self.count += 1
        arguments = {rng_key: value(self.rng) for rng_key in self.rng.sample(KEYS, 2)}
        return ToolCall(
            f"call_{self.count}", name, self.rng.choice([None, {}, arguments, arguments]), None,
            provider_executed,
        )  # fmt: skip


def random_answer(seed: int, *, leave_out: tuple[str, ...] = ()) -> list[Event]:
    """Return the events of a random answer without some actions of Answer."""
    rng = Random(seed)
    answer = Answer(rng)
    actions = {
        "text": 5, "reasoning": 2, "redacted": 1, "begin_call": 2, "go_on_with_a_call": 8,
        "whole_call": 1, "server_call": 1, "citations": 1,
    }  # fmt: skip
    for name in leave_out:
        del actions[name]
    for action in rng.choices(list(actions), list(actions.values()), k=rng.randrange(25)):
        getattr(answer, action)()
    return answer.end()


def chat_chunks(events: list[Event]) -> Iterator[dict[str, Any]]:
    """Yield the chunks of Chat Completions, up to an error."""

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return {**about, "choices": [choice]}

    about = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "model"}
    indexes: dict[str, int] = {}
    streamed: set[str] = set()
    signed = 0
    thoughts = ""  # of the open block
    for event in events:
        if isinstance(event, TextDelta | ToolCallStart) or (
            isinstance(event, ToolCall) and event.id not in indexes
        ):
            thoughts = ""
        match event:
            case Start():
                yield chunk({"role": "assistant", "content": ""})
            case TextDelta(text):
                yield chunk({"content": text})
            case ReasoningDelta(text):
                thoughts += text
                yield chunk({"reasoning_content": text})
            case ReasoningEnd(_, signature) if signature is not None:
                detail = {"type": "reasoning.text", "text": thoughts, "signature": signature}
                yield chunk({"reasoning_details": [{**detail, "index": signed}]})
                signed += 1
                thoughts = ""
            case ToolCallStart(id, name):
                index = indexes[id] = len(indexes)
                function = {"name": name, "arguments": ""}
                start = {"index": index, "id": id, "type": "function", "function": function}
                yield chunk({"tool_calls": [start]})
            case ToolCallDelta(id, text):
                streamed.add(id)
                function = {"arguments": text}
                yield chunk({"tool_calls": [{"index": indexes[id], "function": function}]})
            case ToolCall(id, name, arguments):
                whole = "" if id in streamed else json_bytes(arguments or {}).decode()
                if id in indexes:
                    function = {"arguments": whole}
                    yield chunk({"tool_calls": [{"index": indexes[id], "function": function}]})
                else:
                    index = indexes[id] = len(indexes)
                    function = {"name": name, "arguments": whole}
                    call = {"index": index, "id": id, "type": "function", "function": function}
                    yield chunk({"tool_calls": [call]})
            case Finish(usage, reason):
                yield chunk({}, reason)
                counts = {
                    "prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens,
                    "total_tokens": usage.total_tokens,
                    "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens},
                    "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
                }  # fmt: skip
                yield {**about, "choices": [], "usage": counts}


class AnthropicFrames:
    """The events of Anthropic Messages for an answer, up to an error; its blocks may alternate."""

    def __init__(self) -> None:
        self.count = 0
        self.block = ""  # the kind of the open block of text or thinking
        self.block_index = -1
        self.calls: dict[str, int] = {}
        self.streamed: set[str] = set()

    def start(self, block: dict[str, Any]) -> dict[str, Any]:
        self.count += 1
        return {"type": "content_block_start", "index": self.count - 1, "content_block": block}

    def delta(self, index: int, kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}

    def stop(self) -> Iterator[dict[str, Any]]:
        if self.block:
            yield {"type": "content_block_stop", "index": self.block_index}
            self.block = ""

    def begin(self, kind: str, block: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if self.block != kind:
            yield from self.stop()
            yield self.start({"type": kind, **block})
            self.block, self.block_index = kind, self.count - 1

    def call(self, id: str, name: str, by_server: bool) -> Iterator[dict[str, Any]]:
        yield from self.stop()
        kind = "server_tool_use" if by_server else "tool_use"
        yield self.start({"type": kind, "id": id, "name": name, "input": {}})
        self.calls[id] = self.count - 1

    def frames(self, event: Event) -> Iterator[dict[str, Any]]:
        match event:
            case Start(id, model):
                yield {"type": "message_start", "message": {
                    "id": id, "type": "message", "role": "assistant", "model": model,
                    "content": [], "stop_reason": None, "stop_sequence": None,
                    "usage": {"input_tokens": 0, "output_tokens": 0},
                }}  # fmt: skip
            case TextDelta(text):
                yield from self.begin("text", {"text": ""})
                yield self.delta(self.block_index, "text_delta", text=text)
            case ReasoningDelta(text):
                yield from self.begin("thinking", {"thinking": "", "signature": ""})
                yield self.delta(self.block_index, "thinking_delta", thinking=text)
            case ReasoningEnd(_, None, None):
                yield from self.stop()
            case ReasoningEnd(_, None, redacted):
                yield from self.stop()
                yield self.start({"type": "redacted_thinking", "data": redacted})
                yield {"type": "content_block_stop", "index": self.count - 1}
            case ReasoningEnd(_, signature):
                yield from self.begin("thinking", {"thinking": "", "signature": ""})
                yield self.delta(self.block_index, "signature_delta", signature=signature)
                yield from self.stop()
            case ToolCallStart(id, name, by_server):
                yield from self.call(id, name, bool(by_server))
            case ToolCallDelta(id, text):
                self.streamed.add(id)
                yield self.delta(self.calls[id], "input_json_delta", partial_json=text)
            case ToolCall(id, name, arguments, _, by_server):
                if id not in self.calls:
                    yield from self.call(id, name, bool(by_server))
                if id not in self.streamed and arguments:
                    text = json.dumps(arguments)
                    yield self.delta(self.calls[id], "input_json_delta", partial_json=text)
                yield {"type": "content_block_stop", "index": self.calls[id]}
            case ToolResult(id, _, found):
                yield from self.stop()
                result = {"type": "web_search_tool_result", "tool_use_id": id, "content": found}
                yield self.start(result)
                yield {"type": "content_block_stop", "index": self.count - 1}
            case Citations(citations):
                for each in citations:
                    yield from self.begin("text", {"text": ""})
                    location = {
                        "type": "web_search_result_location", "cited_text": "", "url": each.uri,
                        "encrypted_index": "", "title": each.title or "",
                    }  # fmt: skip
                    yield self.delta(self.block_index, "citations_delta", citation=location)
            case Finish(usage, reason):
                yield from self.stop()
                reasons = {"stop": "end_turn", "length": "max_tokens"}
                stop = {"stop_reason": reasons[reason], "stop_sequence": None}
                cached = usage.cached_input_tokens
                yield {"type": "message_delta", "delta": stop, "usage": {
                    "input_tokens": usage.input_tokens - (cached or 0),
                    "output_tokens": usage.output_tokens, "cache_read_input_tokens": cached,
                }}  # fmt: skip
            case Done():
                yield {"type": "message_stop"}
