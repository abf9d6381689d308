"""The run of a Pydantic AI agent as a source: its text, its thinking and its tools."""

from collections.abc import AsyncIterator
from typing import Any

from pydantic_ai import Agent
from pydantic_ai import messages as said
from pydantic_ai.run import AgentRunResultEvent

from gaistream import events


async def agent_events(agent: Agent[None, str], prompt: str) -> AsyncIterator[events.Event]:
    """Yield the events of a run. It is cancelled if the reader stops."""
    call: Any = None  # the part of the last tool call
    async with agent.run_stream_events(prompt) as run:
        async for event in run:
            match event:
                case (
                    said.PartStartEvent(part=said.TextPart(content=text))
                    | said.PartDeltaEvent(delta=said.TextPartDelta(content_delta=text))
                ) if text:
                    yield events.TextDelta(text)
                case (
                    said.PartStartEvent(part=said.ThinkingPart(content=text))
                    | said.PartDeltaEvent(delta=said.ThinkingPartDelta(content_delta=text))
                ) if text:
                    yield events.ReasoningDelta(text)
                case said.PartStartEvent(part=said.ToolCallPart() as call):
                    yield events.ToolCallStart(call.tool_call_id, call.tool_name)
                    if isinstance(call.args, str):
                        yield events.ToolCallDelta(call.tool_call_id, call.args)
                case said.PartDeltaEvent(delta=said.ToolCallPartDelta(args_delta=str(text))):
                    yield events.ToolCallDelta(call.tool_call_id, text)
                case said.PartEndEvent(part=said.ThinkingPart() as thought):
                    yield events.ReasoningEnd(signature=thought.signature)
                case said.PartEndEvent(part=said.ToolCallPart() as call):
                    yield events.ToolCall(call.tool_call_id, call.tool_name, call.args_as_dict())
                case said.FunctionToolResultEvent(part=said.ToolReturnPart() as done):
                    failed, result = done.outcome != "success", done.content
                    yield events.ToolResult(
                        done.tool_call_id, done.tool_name, result, is_error=failed
                    )
                case AgentRunResultEvent(result=whole):
                    used = whole.usage
                    yield events.Finish(events.Usage(used.input_tokens, used.output_tokens), "stop")
