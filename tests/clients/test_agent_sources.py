"""The recipes of the handbook for agents and chains, with the frameworks' own test models."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.models.function import DeltaThinkingPart, DeltaToolCall, FunctionModel

from gaistream import collect, encode_events, events

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(source: Any) -> list[events.Event]:
    async def all_of() -> list[events.Event]:
        return [event async for event in source]

    received = asyncio.run(all_of())
    for dialect in ("gai", "openai_chat", "anthropic", "ai_sdk"):
        assert encode_events(received, dialect=dialect)
    return received


# ---- Pydantic AI ----


def agent_of(*steps: list[Any]) -> Agent[None, str]:
    async def answer(messages: list[Any], _: Any) -> Any:
        for piece in steps[len(messages) // 2]:
            yield piece

    agent: Agent[None, str] = Agent(FunctionModel(stream_function=answer))

    @agent.tool_plain
    def weather(city: str) -> str:
        if city == "Nowhere":
            raise ModelRetry("no such city")
        return f"rain in {city}"

    return agent


def call(city: str) -> list[Any]:
    return [
        {0: DeltaToolCall(name="weather", json_args='{"ci', tool_call_id="c1")},
        {0: DeltaToolCall(json_args=f'ty":"{city}"}}', tool_call_id="c1")},
    ]


@pytest.mark.parametrize(
    ("city", "output", "is_error"),
    [("Oslo", "rain in Oslo", False), ("Nowhere", "no such city", True)],
)
def test_an_agents_run_is_a_source(city: str, output: str, is_error: bool) -> None:
    agent = agent_of([{0: DeltaThinkingPart(content="hm")}], ["It ", "rains."])
    received = read(example("pydantic_ai_source").agent_events(agent, "?"))
    assert received[:2] == [events.ReasoningDelta("hm"), events.ReasoningEnd()]
    agent = agent_of(["Let me look.", *call(city)], ["It ", "rains."])
    received = read(example("pydantic_ai_source").agent_events(agent, "?"))
    result = next(event for event in received if isinstance(event, events.ToolResult))
    assert (result.id, result.name, result.is_error) == ("c1", "weather", is_error)
    assert output in str(result.result)
    received.remove(result)
    assert received[:-1] == [
        events.TextDelta("Let me look."),
        events.ToolCallStart("c1", "weather"),
        events.ToolCallDelta("c1", '{"ci'),
        events.ToolCallDelta("c1", f'ty":"{city}"}}'),
        events.ToolCall("c1", "weather", {"city": city}),
        events.TextDelta("It "),
        events.TextDelta("rains."),
    ]
    last = received[-1]
    assert isinstance(last, events.Finish)
    assert last.finish_reason == "stop"
    assert last.usage is not None
    assert last.usage.output_tokens


# ---- LangChain ----


class Scripted(GenericFakeChatModel):
    """A chat model that streams these chunks."""

    chunks: list[Any] = []

    def _stream(self, *_: Any, **__: Any) -> Any:
        for chunk in self.chunks:
            yield ChatGenerationChunk(message=chunk)


def chunk(content: Any = "", **fields: Any) -> AIMessageChunk:
    return AIMessageChunk(content, id="run-1", **fields)


def piece(args: str, name: str | None = None, id: str | None = None) -> AIMessageChunk:
    made = {"name": name, "args": args, "id": id, "index": 0, "type": "tool_call_chunk"}
    return chunk(tool_call_chunks=[made])


def model_of(*chunks: AIMessageChunk) -> Scripted:
    return Scripted(messages=iter([]), chunks=list(chunks))


def test_a_chain_is_a_source() -> None:
    model = model_of(
        chunk([{"type": "reasoning", "reasoning": "hm", "index": 0}]),
        chunk("Let me "),
        chunk("look."),
        piece('{"ci', "weather", "c1"),
        piece('ty":"Oslo"}'),
        chunk(usage_metadata={"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}),
    )
    received = read(example("langchain_source").chain_events(model, "?"))
    assert received[1:] == [
        events.ReasoningDelta("hm"),
        events.TextDelta("Let me "),
        events.TextDelta("look."),
        events.ToolCallStart("c1", "weather"),
        events.ToolCallDelta("c1", '{"ci'),
        events.ToolCallDelta("c1", 'ty":"Oslo"}'),
        events.ToolCall("c1", "weather", {"city": "Oslo"}),
        events.Finish(events.Usage(3, 2), "tool_calls"),
    ]
    assert collect(received).text == "Let me look."


def test_a_chain_whose_call_is_cut_ends_in_an_error() -> None:
    model = model_of(piece('{"ci', "weather", "c1"))
    *_, error = read(example("langchain_source").chain_events(model, "?"))
    assert error == events.Error(
        "the arguments of a tool call are not whole", "truncated_tool_call"
    )
