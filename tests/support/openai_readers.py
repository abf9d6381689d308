"""Readers of OpenAI's protocol: its own client's two functions, and LiteLLM; of Anthropic's too.

Readers are described in vendor_readers.py.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from conversations import Understood
from required import need_package

Read = Callable[..., "Understood | None"]
KEY = "not-a-key"
QUESTION: list[Any] = [{"role": "user", "content": "Hi"}]


def chat_counts(usage: Any) -> tuple[int, ...] | None:
    if not usage:
        return None
    inner, outer = (
        usage.get(name) or {} for name in ("prompt_tokens_details", "completion_tokens_details")
    )
    return (
        usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"],
        inner.get("cached_tokens") or 0, inner.get("cache_write_tokens") or 0,
        outer.get("reasoning_tokens") or 0,
    )  # fmt: skip


def chat_source(annotation: Any) -> tuple[str, int, int, str]:
    fields = annotation["url_citation"]
    return fields["url"], fields["start_index"], fields["end_index"], fields["title"]


def of_completion(answer: dict[str, Any]) -> Understood:
    """Return what stands in the whole answer that a client has made of its chunks."""
    choice = answer["choices"][0]
    message = choice["message"]
    thoughts = message.get("reasoning_details") or message.get("thinking_blocks") or ()
    said = Understood(
        answer["id"],
        answer["model"],
        message.get("content") or "",
        message.get("reasoning_content") or "",
        [each["signature"] for each in thoughts if each.get("signature")],
        [(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
         for call in message.get("tool_calls") or ()],
        citations=[chat_source(each) for each in message.get("annotations") or ()],
        usage=chat_counts(answer.get("usage")),
        finish_reason=choice["finish_reason"],
    )  # fmt: skip
    _add_of_anthropic(said, message.get("provider_specific_fields") or {})
    return said


def _add_of_anthropic(said: Understood, fields: dict[str, Any]) -> None:
    """Add what LiteLLM keeps of Anthropic's answers."""
    results = {
        each["tool_use_id"]: each["content"] for each in fields.get("web_search_results", ())
    }
    for call in fields.get("server_tool_calls", ()):
        name, text = call["function"]["name"], call["function"]["arguments"]
        said.server_calls.append((call["id"], name, json.loads(text), results.get(call["id"])))
    for each in itertools.chain.from_iterable(fields.get("citations", ())):
        said.citations.append((each["url"], 0, 0, each["title"]))


def join_chunks(chunks: Iterable[dict[str, Any]]) -> Understood:
    """Join the chunks of an answer by hand."""
    said = Understood()
    calls: dict[int, list[str]] = {}
    for chunk in chunks:
        assert said.id in (None, chunk["id"])
        assert said.model in (None, chunk["model"])
        said.id, said.model = chunk["id"], chunk["model"]
        said.usage = said.usage or chat_counts(chunk.get("usage"))
        for choice in chunk["choices"]:
            delta = choice["delta"]
            assert said.finish_reason is None
            said.finish_reason = choice.get("finish_reason")
            said.text += delta.get("content") or ""
            said.reasoning += delta.get("reasoning_content") or ""
            thoughts = delta.get("reasoning_details") or ()
            said.signatures += [x["signature"] for x in thoughts if x.get("signature")]
            said.citations += map(chat_source, delta.get("annotations") or ())
            for call in delta.get("tool_calls") or ():
                function = call["function"]
                if call.get("id"):
                    assert (call["index"], call["type"]) == (len(calls), "function")
                    calls[call["index"]] = [call["id"], function["name"], ""]
                calls[call["index"]][2] += function["arguments"]
    said.calls = [(identity, name, json.loads(text)) for identity, name, text in calls.values()]
    return said


@contextmanager
def openai_client(url: str, timeout: float | None) -> Iterator[Any]:
    import openai

    with openai.OpenAI(base_url=url, api_key=KEY, max_retries=0, timeout=timeout) as client:
        yield client.chat.completions


def openai_create(url: str, leave: bool = False, timeout: float | None = None) -> Any:
    """Read by `create(stream=True)`; each chunk is checked by its type."""
    from openai.types.chat import ChatCompletionChunk

    chunks = []
    with openai_client(url, timeout) as client:
        for chunk in client.create(model="m", messages=QUESTION, stream=True):
            chunks.append(chunk.to_dict(mode="json"))
            ChatCompletionChunk.model_validate(chunks[-1], strict=True)
            if leave and chunk.choices[0].delta.content:
                return None
    return join_chunks(chunks)


def openai_stream(url: str, leave: bool = False, timeout: float | None = None) -> Any:
    with openai_client(url, timeout) as client, client.stream(
        model="m", messages=QUESTION
    ) as stream:  # fmt: skip
        for event in stream:
            if leave and event.type == "content.delta":
                return None
        return of_completion(stream.get_final_completion().to_dict(mode="json"))


@contextmanager
def litellm(provider: str) -> Iterator[Read]:
    """Yield LiteLLM's client; it keeps its connections, which are closed here."""
    need_package("litellm", "clients")
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else its import asks the network
    import litellm

    litellm.suppress_debug_info = True  # else it prints about each failure

    def read(url: str, leave: bool = False, timeout: float | None = None) -> Any:
        with _event_loop():
            stream: Any = litellm.completion(
                f"{provider}/m", QUESTION, stream=True, api_base=url, api_key=KEY, num_retries=0,
                max_retries=0, timeout=timeout, stream_options={"include_usage": True},
            )  # fmt: skip
            chunks = []
            for chunk in stream:
                chunks.append(chunk)
                if leave and chunk.choices[0].delta.content:
                    stream.close()
                    return None
            return of_completion(litellm.stream_chunk_builder(chunks).to_dict())

    yield read
    kept = litellm.in_memory_llm_clients_cache.cache_dict
    for name, client in list(kept.items()):
        if not inspect.iscoroutinefunction(client.close):
            kept.pop(name).close()


@contextmanager
def _event_loop() -> Iterator[None]:
    """Have a current event loop, for LiteLLM makes one where there is none and never closes it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()
