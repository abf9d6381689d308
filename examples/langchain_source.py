"""A chat model or a chain of LangChain as a source: its text, its reasoning and its tool calls."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from gaistream import events


async def chain_events(model: Any, messages: Any) -> AsyncIterator[events.Event]:
    """Yield the events of a chat model, or of a runnable that ends in one."""
    whole: Any = None
    calls: dict[Any, list[str]] = {}  # the id, the name and the arguments so far, by index
    async with contextlib.aclosing(model.astream(messages)) as chunks:
        async for chunk in chunks:
            if whole is None:
                yield events.Start(chunk.id)
            whole = chunk if whole is None else whole + chunk
            for block in chunk.content_blocks:
                kind = block["type"]
                if kind == "text" and block["text"]:
                    yield events.TextDelta(block["text"])
                elif kind == "reasoning" and block.get("reasoning"):
                    yield events.ReasoningDelta(block["reasoning"])
                elif kind == "tool_call_chunk":
                    call = calls.get(block["index"])
                    if call is None:
                        call = calls[block["index"]] = [block["id"], block["name"], ""]
                        yield events.ToolCallStart(block["id"], block["name"])
                    if block.get("args"):
                        call[2] += block["args"]
                        yield events.ToolCallDelta(call[0], block["args"])
    for call_id, name, arguments in calls.values():
        try:  # LangChain's own `tool_calls` complete what was cut
            yield events.ToolCall(call_id, name, json.loads(arguments or "{}"))
        except ValueError:
            yield events.Error("the arguments of a tool call are not whole", "truncated_tool_call")
            return
    used = None if whole is None else whole.usage_metadata
    usage = None if used is None else events.Usage(used["input_tokens"], used["output_tokens"])
    yield events.Finish(usage, "tool_calls" if calls else "stop")
