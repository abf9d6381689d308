"""The vendors' clients as functions: each reads an answer and returns what it has understood.

A function here takes the URL that its client is to ask, whether the client is to leave at the first
text, and the seconds of silence after which it is to give up, if it has such a limit. It returns an
`Understood`, None if it left, and raises what its client raises.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from conversations import Understood
from openai_readers import KEY, QUESTION, Read
from required import need_package
from vendor_clients import ClientScript

REASONS = {
    "end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls",
    "tool-calls": "tool_calls", "tool_call": "tool_calls", "refusal": "content_filter",
    "content-filter": "content_filter", "pause_turn": "pause",
}  # fmt: skip


class Failed(Exception):
    """A client on Node has failed."""


def reason_of(word: str | None) -> str | None:
    return None if word is None else REASONS.get(word, word)


def kinds(names: Iterable[str]) -> list[str]:
    """Return the kinds of blocks, once where several of a kind follow each other."""
    return [name for name, _ in itertools.groupby(names)]


# ---- Anthropic's protocol ----


def of_message(message: dict[str, Any]) -> Understood:
    said = Understood(message["id"], message["model"])
    results: dict[str, Any] = {}
    names = {
        "thinking": "reasoning", "redacted_thinking": "reasoning", "tool_use": "tool",
        "server_tool_use": "tool",
    }  # fmt: skip
    order = []
    for block in message["content"]:
        kind = block["type"]
        order += [] if kind.endswith("result") else [names.get(kind, kind)]
        if kind == "text":
            said.text += block["text"]
            said.citations += [
                (each["url"], 0, 0, each["title"]) for each in block.get("citations") or ()
            ]
        elif kind == "thinking":
            said.reasoning += block["thinking"]
            said.signatures += [block["signature"]] if block["signature"] else []
        elif kind == "tool_use":
            said.calls.append((block["id"], block["name"], block["input"]))
        elif kind == "server_tool_use":
            said.server_calls.append((block["id"], block["name"], block["input"], None))
        elif kind != "redacted_thinking":
            results[block["tool_use_id"]] = block["content"]
    said.server_calls = [(*call[:3], results.get(call[0])) for call in said.server_calls]
    usage = message["usage"]
    cached, written = (
        usage.get(f"cache_{name}_input_tokens") or 0 for name in ("read", "creation")
    )
    total, output = usage["input_tokens"] + cached + written, usage["output_tokens"]
    thought = (usage.get("output_tokens_details") or {}).get("thinking_tokens") or 0
    said.usage = (total, output, total + output, cached, written, thought)
    said.finish_reason = reason_of(message["stop_reason"])
    said.order = kinds(order)
    return said


MESSAGES: Any = {"model": "m", "max_tokens": 5, "messages": QUESTION}


@contextmanager
def anthropic_client(url: str, timeout: float | None) -> Iterator[Any]:
    import anthropic

    with anthropic.Anthropic(
        base_url=url, api_key=KEY, max_retries=0, timeout=timeout
    ) as client:  # fmt: skip
        yield client.messages


def anthropic_create(url: str, leave: bool = False, timeout: float | None = None) -> Any:
    """Read by `create(stream=True)`; each event is checked by its type."""
    from anthropic import NOT_GIVEN
    from anthropic.lib.streaming._messages import accumulate_event
    from anthropic.types import RawMessageStreamEvent
    from pydantic import TypeAdapter

    adapter: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
    message: Any = None
    texts: dict[int, bytes] = {}
    with anthropic_client(url, timeout) as client:
        for event in client.create(**MESSAGES, stream=True):
            checked = adapter.validate_python(event.to_dict(mode="json"))
            message = accumulate_event(
                event=checked, current_snapshot=message, json_bufs=texts, output_format=NOT_GIVEN
            )
            if leave and event.type == "content_block_delta":
                return None
    assert event.type == "message_stop"
    return of_message(message.to_dict())


def anthropic_stream(url: str, leave: bool = False, timeout: float | None = None) -> Any:
    with anthropic_client(url, timeout) as client, client.stream(**MESSAGES) as stream:
        if leave:
            return next(stream.text_stream) and None
        return of_message(stream.get_final_message().to_dict())


# ---- pydantic-ai, of both ----


def pydantic_ai_reads(protocol: str) -> Read:
    def read(url: str, leave: bool = False, timeout: float | None = None) -> Any:
        return asyncio.run(_pydantic_ai(protocol, url, leave, timeout))

    return read


async def _pydantic_ai(protocol: str, url: str, leave: bool, timeout: float | None) -> Any:
    import anthropic
    import openai
    from pydantic_ai.direct import model_request_stream
    from pydantic_ai.messages import ModelRequest
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.native_tools import WebSearchTool
    from pydantic_ai.providers.anthropic import AnthropicProvider
    from pydantic_ai.providers.openai import OpenAIProvider

    about: Any = {"base_url": url, "api_key": KEY, "max_retries": 0, "timeout": timeout}
    model: Any
    parameters = None
    if protocol in ("openai", "responses"):
        client: Any = openai.AsyncOpenAI(**about)
        kind: Any = OpenAIChatModel if protocol == "openai" else OpenAIResponsesModel
        model = kind("m", provider=OpenAIProvider(openai_client=client))
    else:
        client = anthropic.AsyncAnthropic(**about)
        model = AnthropicModel("m", provider=AnthropicProvider(anthropic_client=client))
        parameters = ModelRequestParameters(native_tools=[WebSearchTool()])  # else it leaves it out
    question = [ModelRequest.user_text_prompt("Hi")]
    async with (
        client,
        model_request_stream(model, question, model_request_parameters=parameters) as stream,
    ):
        async for event in stream:
            if leave and event.event_kind == "part_start" and event.part.part_kind == "text":
                await stream.close_stream()
                return None
        return of_response(stream.get())


def of_response(response: Any) -> Understood:
    said = Understood(response.provider_response_id, response.model_name)
    results = {}
    order = []
    for part in response.parts:
        kind = part.part_kind
        order.append(_PARTS[kind])
        if kind == "text":
            said.text += part.content
            about = (part.provider_details or {}).get("citations") or ()
            said.citations += [
                (each["url"], 0, 0, each["title"]) for each in about if "url" in each
            ]
        elif kind == "thinking":
            said.reasoning += part.content
            said.signatures += [part.signature] if part.signature else []
        elif kind == "tool-call":
            said.calls.append((part.tool_call_id, part.tool_name, part.args_as_dict()))
        elif kind == "builtin-tool-call":
            name, arguments = part.tool_name, part.args_as_dict()
            said.server_calls.append((part.tool_call_id, name, arguments, None))
        else:
            results[part.tool_call_id] = part.content
    said.server_calls = [(*call[:3], results.get(call[0])) for call in said.server_calls]
    used = response.usage
    said.usage = (used.input_tokens, used.output_tokens, used.total_tokens, used.cache_read_tokens,
                  used.cache_write_tokens, used.output_reasoning_tokens)  # fmt: skip
    said.finish_reason = reason_of(response.finish_reason)
    said.order = kinds(each for each in order if each)
    return said


_PARTS = {
    "text": "text", "thinking": "reasoning", "tool-call": "tool", "builtin-tool-call": "tool",
    "builtin-tool-return": "",
}  # fmt: skip


# ---- Node ----


def of_ui_message(answer: dict[str, Any]) -> Understood:
    """Return what an AI SDK's chat shows when it is ready."""
    if answer["status"] != "ready":
        raise Failed(answer["error"])
    message = answer["message"]
    metadata = message.get("metadata") or {}
    usage = metadata.get("usage")
    said = Understood(message["id"], metadata.get("model"))
    order = []
    for part in message["parts"]:
        kind = part["type"].partition("-")[0]
        order += [kind] if kind in ("text", "reasoning", "tool") else []
        about = part.get("providerMetadata", {}).get("gaistream", {})
        if kind == "text":
            said.text += part["text"]
        elif kind == "reasoning":
            said.reasoning += part["text"]
            said.signatures += [about["signature"]] if "signature" in about else []
        elif kind == "source":
            place = about.get("startIndex", 0), about.get("endIndex", 0)
            said.citations.append((part["url"], *place, part.get("title", "")))
        elif kind == "tool":
            _add_tool(said, part)
        if kind in ("text", "reasoning"):
            assert part["state"] == "done"
    said.usage = usage and (
        usage["inputTokens"], usage["outputTokens"], usage["totalTokens"],
        usage.get("cachedInputTokens", 0), usage.get("cacheWriteInputTokens", 0),
        usage.get("reasoningTokens", 0),
    )  # fmt: skip
    said.finish_reason = reason_of(answer["finish"].get("finishReason"))
    said.order = kinds(order)
    return said


def _add_tool(said: Understood, part: dict[str, Any]) -> None:
    identity, name, value = part["toolCallId"], part["type"].partition("-")[2], part["input"]
    output = part.get("output", part.get("errorText"))
    if part.get("providerExecuted"):
        said.server_calls.append((identity, name, value, output))
        return
    said.calls.append((identity, name, value))
    if part["state"].startswith("output-"):
        said.results.append((identity, output, part["state"] == "output-error"))


@contextmanager
def node(
    script: str, understand: Callable[[Any], Understood], seconds: float, **about: Any
) -> Iterator[Read]:
    """Start a script of tests/clients, and yield a function that reads through it."""
    with ClientScript(script, seconds=seconds) as process:

        def read(url: str, leave: bool = False, timeout: float | None = None) -> Any:
            timing = {} if timeout is None else {"timeout": timeout * 1000}
            answer = process.ask(url=url, leave=leave, **timing, **about)
            if "left" in answer:
                return None
            if "failed" in answer:
                raise Failed(answer["failed"])
            return understand(answer.get("said", answer))

        yield read


@contextmanager
def python(package: str, read: Read) -> Iterator[Read]:
    """Yield a client for Python, if its package is there."""
    need_package(package, "clients")
    yield read
