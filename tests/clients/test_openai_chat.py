"""OpenAI's Chat Completions, as OpenAI's own client and LiteLLM understand what is written.

The clients are unmodified, and talk to a server over loopback. Each chunk is checked by the types
of OpenAI's package, and what a client has at the end is compared with the events, field by field.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from conversations import ALTERNATING, FULL, PAIRS, Understood, expected
from real_servers import serve_uvicorn
from required import need_package, once_a_check
from vendor_clients import ClientScript

import gaistream
from gaistream import asgi, dialects, events

once_a_check()

CONVERSATIONS = {"full": FULL} | PAIRS | ALTERNATING
KEY = "not-a-key"
SECRET = "secret"
FAILURES: dict[str, list[Any]] = {
    "first": [gaistream.StreamError("no room", code="rate_limited", status=429)],
    "early": [events.Error("no room", "rate_limited")],
    "middle": [events.Start("i", "m"), "a", gaistream.StreamError("no room", code="busy")],
    "in a call": [events.ToolCallStart("c", "f"), events.ToolCallDelta("c", "{"), OSError(SECRET)],
    "cut": ["a", events.Error("the provider's stream was cut", "truncated")],
    "half a call": [events.ToolCallStart("c", "f"), events.ToolCallDelta("c", "{")],
}
MESSAGES: list[Any] = [{"role": "user", "content": "Hi"}]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the conversation that the request names as its model."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    name = json.loads(body)["model"]
    broken, idle = name.startswith("broken "), name.startswith("idle ")
    items = {**CONVERSATIONS, **FAILURES}.get(name.removeprefix("broken "), FULL)
    beaten = asyncio.Semaphore(0)

    async def source() -> Any:
        for item in items:
            for _ in range(3 if idle else 0):
                await asyncio.wait_for(beaten.acquire(), 10)
            if isinstance(item, Exception):
                raise item
            yield item

    started = False

    async def watched(message: Any) -> None:
        nonlocal started
        body = message.get("body", b"")
        # before the first chunk a native heartbeat is a comment too
        is_native = name == "idle native" and started
        beat = b'"delta":{},"finish_reason":null' if is_native else b": keep-alive"
        started = started or b'"role":"assistant"' in body
        await send(message)
        if beat in body:
            beaten.release()

    async def breaking(message: Any) -> None:
        body = message.get("body", b"").replace(b'"finish_reason":"', b'"finish_reason":"no_')
        await send({**message, "body": body} if "body" in message else message)

    dialect = dialects.openai_chat(include_usage=True)
    heartbeat = "native" if name == "idle native" else "comment"
    options = gaistream.SSEOptions(
        heartbeat=heartbeat, heartbeat_interval=0.01 if idle else 15
    )
    response = asgi.SSEResponse(source(), options, dialect=dialect, hold_headers=not idle)
    await response(scope, receive, breaking if broken else watched)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve_uvicorn(app, "h11", "asyncio") as server:
        yield server.url


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Any]:
    need_package("openai", "clients")
    import openai

    with openai.OpenAI(base_url=url, api_key=KEY, max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def litellm(url: str) -> Any:
    need_package("litellm", "clients")
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else its import asks the network
    import litellm

    def complete(name: str) -> Any:
        return litellm.completion(
            f"openai/{name}", MESSAGES, stream=True, api_base=url, api_key=KEY, num_retries=0,
            max_retries=0, stream_options={"include_usage": True},
        )  # fmt: skip

    complete.build = litellm.stream_chunk_builder
    return complete


def details(value: Any, *names: str) -> int:
    for name in names:
        value = getattr(value, name, None)
    return value or 0


def counts(usage: Any) -> tuple[int, ...] | None:
    if usage is None:
        return None
    return (
        usage.prompt_tokens, usage.completion_tokens, usage.total_tokens,
        details(usage, "prompt_tokens_details", "cached_tokens"),
        details(usage, "prompt_tokens_details", "cache_write_tokens"),
        details(usage, "completion_tokens_details", "reasoning_tokens"),
    )  # fmt: skip


def source_of(annotation: Any) -> tuple[str, int, int, str]:
    fields = annotation["url_citation"]
    return fields["url"], fields["start_index"], fields["end_index"], fields["title"]


def by_chunks(client: Any, name: str) -> Understood:
    """Join the chunks of `create(stream=True)` by hand, each checked by its type."""
    from openai.types.chat import ChatCompletionChunk

    said = Understood()
    calls: dict[int, list[str]] = {}
    for chunk in client.chat.completions.create(model=name, messages=MESSAGES, stream=True):
        ChatCompletionChunk.model_validate(chunk.to_dict(mode="json"), strict=True)
        assert said.id in (None, chunk.id)
        assert said.model in (None, chunk.model)
        said.id, said.model = chunk.id, chunk.model
        said.usage = said.usage or counts(chunk.usage)
        for choice in chunk.choices:
            delta = choice.delta
            assert said.finish_reason is None
            said.finish_reason = choice.finish_reason
            said.text += delta.content or ""
            said.reasoning += getattr(delta, "reasoning_content", None) or ""
            for each in getattr(delta, "reasoning_details", None) or ():
                said.signatures.append(each["signature"])
            said.citations += map(source_of, getattr(delta, "annotations", None) or ())
            for call in delta.tool_calls or ():
                if call.id:
                    assert call.index == len(calls)
                    assert call.type == "function"
                    calls[call.index] = [call.id, call.function.name, ""]
                calls[call.index][2] += call.function.arguments
    said.calls = [(identity, name, json.loads(text)) for identity, name, text in calls.values()]
    return said


def of_message(answer: Any) -> Understood:
    """Return what stands in a whole answer that a client has made of its chunks."""
    choice = answer.choices[0]
    message = choice.message
    extra = getattr(message, "model_extra", None) or {}
    reasoning = extra.get("reasoning_details") or []
    return Understood(
        answer.id, answer.model, message.content or "",
        getattr(message, "reasoning_content", None) or "",
        [each["signature"] for each in reasoning],
        [(call.id, call.function.name, json.loads(call.function.arguments))
         for call in message.tool_calls or ()],
        [source_of(each) if isinstance(each, dict) else source_of(each.model_dump())
         for each in getattr(message, "annotations", None) or ()],
        counts(answer.usage), choice.finish_reason,
    )  # fmt: skip


def by_stream(client: Any, name: str) -> Understood:
    """Return the message that `.stream()` has made at the end."""
    with client.chat.completions.stream(model=name, messages=MESSAGES) as stream:
        for _ in stream:
            pass
        return of_message(stream.get_final_completion())


@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("read", [by_chunks, by_stream])
def test_openai_understands_what_was_said(client: Any, read: Any, name: str) -> None:
    assert read(client, name) == expected(CONVERSATIONS[name])


OLD_PYDANTIC = pytest.mark.filterwarnings("ignore::DeprecationWarning:litellm")


@OLD_PYDANTIC
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_litellm_understands_what_was_said(litellm: Any, name: str) -> None:
    chunks = list(litellm(name))
    said, wanted = of_message(litellm.build(chunks)), expected(CONVERSATIONS[name])
    wanted.model = name  # LiteLLM answers with the model of the request
    wanted.signatures = []  # and leaves them in its chunks
    assert said == wanted


@pytest.mark.parametrize("heartbeat", ["native", "comment"])
@pytest.mark.parametrize("read", [by_chunks, by_stream])
def test_openai_bears_heartbeats_before_each_event(
    client: Any, read: Any, heartbeat: str
) -> None:
    assert read(client, f"idle {heartbeat}") == expected(FULL)


@pytest.fixture(scope="module")
def javascript() -> Iterator[ClientScript]:
    with ClientScript("openai_chat.mjs") as script:
        yield script


JAVASCRIPT = [*CONVERSATIONS, "idle native", "idle comment"]


@pytest.mark.parametrize("name", JAVASCRIPT)
@pytest.mark.parametrize("api", ["create", "stream"])
def test_openai_for_javascript_understands_what_was_said(
    javascript: ClientScript, url: str, name: str, api: str
) -> None:
    said = javascript.ask(url=url, model=name, api=api)["said"]
    calls = [(call["id"], call["name"], json.loads(call["text"])) for call in said["calls"]]
    said |= {"calls": calls, "usage": tuple(said["usage"])}
    if "citations" in said:
        said["citations"] = [source_of({"url_citation": each}) for each in said["citations"]]
    wanted = vars(expected(CONVERSATIONS.get(name, FULL)))
    assert said == {field: wanted[field] for field in said}


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("api", ["create", "stream"])
def test_openai_for_javascript_raises_at_a_failure(
    javascript: ClientScript, url: str, name: str, api: str
) -> None:
    answer = javascript.ask(url=url, model=name, api=api)
    assert re.search(r"no room|internal|cut", answer["message"])
    assert SECRET not in answer["message"]


def test_a_broken_frame_is_seen(client: Any, javascript: ClientScript, url: str) -> None:
    import pydantic

    said = javascript.ask(url=url, model="broken full", api="create")["said"]
    assert said["finish_reason"] == "no_tool_calls"
    with pytest.raises(pydantic.ValidationError, match="no_tool_calls"):
        by_chunks(client, "broken full")


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("read", [by_chunks, by_stream])
def test_openai_raises_at_a_failure(client: Any, read: Any, name: str) -> None:
    import openai

    with pytest.raises(openai.APIError) as raised:
        read(client, name)
    assert SECRET not in str(raised.value)


@OLD_PYDANTIC
@pytest.mark.parametrize("name", FAILURES)
def test_litellm_raises_at_a_failure(litellm: Any, name: str) -> None:
    with pytest.raises(Exception, match=r"no room|internal|cut") as raised:
        list(litellm(name))
    assert SECRET not in str(raised.value)
