"""Each provider against our own handler of its protocol: the request and the answer arrive."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

import httpx
import pytest
from vendor_requests import READERS, read

from gaistream import ChatRequest, events
from gaistream.asgi import protocol_handler
from gaistream.providers import AnthropicProvider, OpenAIProvider

ANSWER = [
    events.Start("id-1", "m"),
    events.ReasoningDelta("hm"),
    events.ReasoningEnd(signature="s"),
    events.TextDelta("Let me look."),
    events.ToolCallStart("c1", "weather"),
    events.ToolCallDelta("c1", '{"city":"Oslo"}'),
    events.ToolCall("c1", "weather", {"city": "Oslo"}),
    events.Finish(events.Usage(3, 2, 5), "tool_calls"),
]
PROVIDERS = {
    "openai_chat": OpenAIProvider,
    "openai_responses": partial(OpenAIProvider, api="responses"),
    "anthropic": AnthropicProvider,
}


class Answering:
    """A provider that records its requests."""

    def __init__(self) -> None:
        self.requests: list[ChatRequest] = []

    async def stream_text(self, request: ChatRequest) -> Any:
        self.requests.append(request)
        for event in ANSWER:
            yield event


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("service", PROVIDERS)
@pytest.mark.parametrize("protocol", READERS)
def test_a_request_and_its_answer_pass_through(protocol: str, service: str, whole: bool) -> None:
    answering = Answering()
    handler = protocol_handler(answering, service)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def changed() -> Any:
            message = await receive()
            if whole and message["type"] == "http.request" and message.get("body"):
                body = {**json.loads(message["body"]), "stream": False}
                message = {**message, "body": json.dumps(body).encode()}
            return message

        headers = [each for each in scope["headers"] if each[0] != b"content-length"]
        await handler({**scope, "headers": headers}, changed, send)

    async def ask() -> list[events.Event]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport) as client:
            provider = PROVIDERS[service]("http://service.test", client=client)
            return [event async for event in provider.stream_text(read(protocol))]

    received = asyncio.run(ask())
    (request,) = answering.requests
    messages = json.loads(json.dumps(request.messages).replace(', "detail": "auto"', ""))
    assert messages == list(read(protocol).messages)
    said = [
        events.ReasoningEnd(signature=event.signature)  # some protocols give it an id
        if isinstance(event, events.ReasoningEnd)
        else event
        for event in received
        if type(event) is not events.ToolCallDelta
    ]
    expected = [event for event in ANSWER if type(event) is not events.ToolCallDelta]
    assert [type(event) for event in said] == [type(event) for event in expected]
    assert said[1:-1] == expected[1:-1]
    last = said[-1]
    assert isinstance(last, events.Finish)
    assert isinstance(last.usage, events.Usage)
    counts = last.usage.input_tokens, last.usage.output_tokens
    assert (last.finish_reason, counts) == ("tool_calls", (3, 2))
