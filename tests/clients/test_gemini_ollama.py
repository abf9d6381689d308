"""google-genai and ollama beside our providers: the same requests, the same answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from dialect_vectors import load
from google import genai
from google.genai import types
from ollama import Client, Message, Options, Tool
from real_servers import serve_uvicorn
from scripted_http import HEAD, scripted

from gaistream import ChatRequest, events, read_events
from gaistream.asgi import protocol_handler
from gaistream.providers.gemini import GeminiProvider
from gaistream.providers.ollama import OllamaProvider

LINES = HEAD.replace(b"text/event-stream", b"application/x-ndjson")
KEY = "AIza-very-secret"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"city":"Oslo"}'}}
PIXEL = "data:image/png;base64,AAAA"
WHOLE = ChatRequest(
    [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "?"},
                {"type": "image_url", "image_url": {"url": PIXEL}},
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "One."}],
            "tool_calls": [{**CALL, "extra_content": {"google": {"thought_signature": "c2ln"}}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": '{"rain":true}', "from_client": True},
    ],
    temperature=0.5,
    max_tokens=9,
    extra={
        "tools": [
            {"type": "function",
             "function": {"name": "f", "description": "d", "parameters": SCHEMA}},
        ],
        "top_p": 0.5,
        "stop": ["x"],
        "seed": 1,
        "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}},
    },
)  # fmt: skip
GEMINI = [vector for vector in load("gemini").values() if "cut" not in vector["name"]]
# ollama's client breaks lines at U+2028, and its type of answers refuses images
UNREAD = ("blank lines, unknown fields, U+2028", "image")
OLLAMA = [
    vector for name, vector in load("ollama").items() if "cut" not in name and name not in UNREAD
]


def ask(provider: Any, request: ChatRequest = ChatRequest.from_question("?")) -> list[Any]:
    async def collect() -> list[Any]:
        return [event async for event in provider.stream_text(request)]

    return asyncio.run(collect())


def camel(value: Any) -> Any:
    """Return JSON with the other spelling of names, which Google's servers take as well."""
    if isinstance(value, dict):
        return {
            re.sub("_([a-z])", lambda found: found[1].upper(), name): camel(each)
            for name, each in value.items()
        }
    return [camel(each) for each in value] if isinstance(value, list) else value


def text_of(received: list[Any]) -> str:
    return "".join(each.text for each in received if isinstance(each, events.TextDelta))


def test_gemini_is_asked_as_googles_client_asks() -> None:
    reply = HEAD + GEMINI[0]["input"].encode()
    with scripted(reply, reply) as server:
        client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=server.url))
        call = types.FunctionCall(id="c1", name="f", args={"city": "Oslo"})
        response = types.FunctionResponse(id="c1", name="f", response={"rain": True})
        image = types.Part.from_bytes(data=b"\0\0\0", mime_type="image/png")
        declaration = types.FunctionDeclaration(
            name="f", description="d", parameters_json_schema=SCHEMA
        )
        contents = [
            types.Content(role="user", parts=[types.Part(text="?"), image]),
            types.Content(
                role="model",
                parts=[
                    types.Part(text="hm", thought=True),
                    types.Part(text="One."),
                    types.Part(function_call=call, thought_signature=b"sig"),
                ],
            ),
            types.Content(role="user", parts=[types.Part(function_response=response)]),
        ]
        config = types.GenerateContentConfig(
            system_instruction=types.Content(parts=[types.Part(text="Be brief.")]),
            temperature=0.5, max_output_tokens=9, top_p=0.5, stop_sequences=["x"], seed=1,
            tools=[types.Tool(function_declarations=[declaration])],
            thinking_config=types.ThinkingConfig(
                include_thoughts=True, thinking_level=types.ThinkingLevel.LOW
            ),
            response_mime_type="application/json", response_json_schema=SCHEMA,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        )  # fmt: skip
        list(
            client.models.generate_content_stream(
                model="gemini-3-pro", contents=contents, config=config
            )
        )
        ask(GeminiProvider(server.url, api_key=KEY, model="gemini-3-pro"), WHOLE)
    (theirs, their_headers, their_body), (ours, headers, body) = server.requests
    assert theirs == ours
    assert their_headers["x-goog-api-key"] == headers["x-goog-api-key"]
    assert camel(json.loads(their_body)) == json.loads(body)


@pytest.mark.parametrize("vector", GEMINI, ids=lambda each: each["name"])
def test_googles_client_reads_the_same_answer_of_gemini(vector: dict[str, Any]) -> None:
    reply = HEAD + vector["input"].encode()
    failed = vector["events"][-1]["type"] == "error"
    with scripted(reply, reply) as server:
        client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=server.url))
        parts, usage = [], None
        try:
            for chunk in client.models.generate_content_stream(model="m", contents="?"):
                usage = chunk.usage_metadata or usage
                for candidate in chunk.candidates or ():
                    parts += (candidate.content and candidate.content.parts) or ()
        except genai.errors.APIError:
            assert failed
        received = ask(GeminiProvider(server.url, model="m"))
    said = "".join(part.text for part in parts if part.text and not part.thought)
    thought = "".join(part.text for part in parts if part.text and part.thought)
    assert text_of(received) == said
    deltas = [each.text for each in received if isinstance(each, events.ReasoningDelta)]
    assert "".join(deltas) == thought
    files = [each for each in received if isinstance(each, events.File | events.AudioDelta)]
    blobs = [part.inline_data.data for part in parts if part.inline_data]
    assert [each.data if isinstance(each, events.File) else each.audio for each in files] == blobs
    finish = received[-1]
    if not failed and usage is not None:
        assert finish.usage.total_tokens == usage.total_token_count


@pytest.mark.parametrize("vector", load("gemini_interactions").values(), ids=lambda v: v["name"])
def test_googles_client_reads_the_same_interaction(vector: dict[str, Any]) -> None:
    with scripted(HEAD + vector["input"].encode()) as server:
        client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=server.url))
        theirs = list(client.interactions.create(model="m", input="?", stream=True))
    deltas = [each.delta for each in theirs if each.event_type == "step.delta"]
    ours = list(read_events(vector["input"].encode(), dialect="gemini_interactions"))
    for kind, name, theirs_of in (
        (events.TextDelta, "text", lambda each: each.text),
        (events.ReasoningDelta, "thought_summary", lambda each: each.content.text),
        (events.ToolCallDelta, "arguments_delta", lambda each: each.arguments),
    ):
        said = [each.text for each in ours if isinstance(each, kind)]
        assert said == [theirs_of(each) for each in deltas if each.type == name]
    signed = [each.signature for each in ours if isinstance(each, events.ReasoningEnd)]
    assert signed == [each.signature for each in deltas if each.type == "thought_signature"]
    last = next((each for each in theirs if each.event_type == "interaction.completed"), None)
    usage = next((each.usage for each in ours if isinstance(each, events.Finish)), None)
    if last is not None and last.interaction.usage is not None:
        assert usage is not None
        assert usage.total_tokens == last.interaction.usage.total_tokens


def test_ollama_is_asked_as_its_client_asks() -> None:
    reply = LINES + OLLAMA[0]["input"].encode()
    with scripted(reply, reply) as server:
        call = Message.ToolCall.Function(name="f", arguments={"city": "Oslo"})
        function = Tool.Function(
            name="f", description="d", parameters=Tool.Function.Parameters(**SCHEMA)
        )
        messages = [
            Message(role="system", content="Be brief."),
            Message(role="user", content="?", images=[{"value": "AAAA"}]),
            Message(role="assistant", content="One.", thinking="hm",
                    tool_calls=[Message.ToolCall(function=call)]),
            Message(role="tool", content='{"rain":true}', tool_name="f"),
        ]  # fmt: skip
        options = Options(temperature=0.5, num_predict=9, top_p=0.5, stop=["x"], seed=1)
        tool = Tool(type="function", function=function)
        list(
            Client(server.url).chat(
                "m", messages, tools=[tool], stream=True, think="low", format=SCHEMA,
                options=options,
            )
        )  # fmt: skip
        ask(OllamaProvider(server.url, model="m"), WHOLE)
    (theirs, _, their_body), (ours, _, body) = server.requests
    assert theirs == ours
    assert json.loads(their_body) == json.loads(body)


@pytest.mark.parametrize("vector", OLLAMA, ids=lambda each: each["name"])
def test_ollamas_client_reads_the_same_answer(vector: dict[str, Any]) -> None:
    reply = LINES + vector["input"].encode()
    with scripted(reply, reply) as server:
        chunks = list(
            Client(server.url).chat("m", [Message(role="user", content="?")], stream=True)
        )
        received = ask(OllamaProvider(server.url, model="m"))
    assert text_of(received) == "".join(chunk.message.content or "" for chunk in chunks)
    calls = [call.function for chunk in chunks for call in chunk.message.tool_calls or ()]
    ours = [each for each in received if isinstance(each, events.ToolCall)]
    assert [(each.name, each.input) for each in ours] == [
        (each.name, dict(each.arguments)) for each in calls
    ]
    if chunks[-1].eval_count is not None:
        assert received[-1].usage.output_tokens == chunks[-1].eval_count


CALLING = {
    "candidates": [
        {
            "content": {
                "parts": [
                    {"text": "hm", "thought": True},
                    {
                        "functionCall": {"id": "c1", "name": "f", "args": {"city": "Oslo"}},
                        "thoughtSignature": "c2ln",
                    },
                ]
            },
            "finishReason": "STOP",
        }
    ],
    "modelVersion": "gemini-3",
    "responseId": "r1",
}
SAYING = {
    "candidates": [{"content": {"parts": [{"text": "Rain."}]}, "finishReason": "STOP"}],
    "responseId": "r2",
}


@contextlib.contextmanager
def gateway(dialect: str) -> Iterator[tuple[str, Any]]:
    """Serve a protocol from a scripted Gemini that first calls a tool, then says what it found."""
    replies = [HEAD + f"data: {json.dumps(each)}\n\n".encode() for each in (CALLING, SAYING)]
    with scripted(*replies) as upstream:
        app = protocol_handler(GeminiProvider(upstream.url, model="gemini-3"), dialect)
        with serve_uvicorn(app, "h11", "asyncio") as server:
            yield server.url, upstream


def sent_back(upstream: Any) -> list[Any]:
    """Return the call and its result in the second request."""
    _, (_, _, body) = upstream.requests
    _, model, results = json.loads(body)["contents"]
    return [model["parts"][-1], results["parts"][0]["functionResponse"]]


RESULT = {"id": "c1", "name": "f", "response": {"rain": True}}


def signed_call(signature: str) -> dict[str, Any]:
    call = {"id": "c1", "name": "f", "args": {"city": "Oslo"}}
    return {"functionCall": call, "thoughtSignature": signature}


def test_openais_client_calls_a_tool_of_gemini_and_its_signature_goes_back() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
    messages: list[Any] = [{"role": "user", "content": "Weather?"}]
    with (
        gateway("openai_chat") as (url, upstream),
        openai.OpenAI(base_url=url, api_key="k", max_retries=0) as client,
    ):
        asked = {"model": "gemini-3", "tools": [tool], "messages": messages}
        with client.chat.completions.stream(**asked) as stream:
            stream.until_done()
            message = stream.get_final_completion().choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        (call,) = messages[-1]["tool_calls"]
        call["function"].pop("parsed_arguments", None)
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": '{"rain":true}'})
        answer = client.chat.completions.create(**asked)
    assert answer.choices[0].message.content == "Rain."
    assert sent_back(upstream) == [signed_call("c2ln"), RESULT]


def test_anthropics_client_calls_a_tool_of_gemini_by_the_placeholder() -> None:
    messages: list[Any] = [{"role": "user", "content": "Weather?"}]
    with (
        gateway("anthropic") as (url, upstream),
        anthropic.Anthropic(base_url=url, api_key="k", max_retries=0) as client,
    ):
        tools = [{"name": "f", "input_schema": SCHEMA}]
        asked = {"model": "gemini-3", "max_tokens": 9, "tools": tools, "messages": messages}
        with client.messages.stream(**asked) as stream:
            message = stream.get_final_message()
        assert message.stop_reason == "tool_use"
        messages.append({"role": "assistant", "content": message.content})
        result = {"type": "tool_result", "tool_use_id": message.content[-1].id}
        messages.append({"role": "user", "content": [{**result, "content": '{"rain":true}'}]})
        with client.messages.stream(**asked) as stream:
            assert stream.get_final_text() == "Rain."
    assert sent_back(upstream) == [signed_call("skip_thought_signature_validator"), RESULT]
