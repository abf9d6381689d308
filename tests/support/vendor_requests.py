"""One conversation as the requests of five protocols, and the ChatRequest that they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gaistream.chat import ChatRequest, Fields
from gaistream.dialects.ag_ui.request import read_request as ag_ui
from gaistream.dialects.ai_sdk.request import read_request as ai_sdk
from gaistream.dialects.anthropic.request import read_request as anthropic
from gaistream.dialects.openai_chat.request import read_request as openai_chat
from gaistream.dialects.openai_responses.request import read_request as openai_responses

Read = Callable[[Fields], ChatRequest]
MARK = {"from_client": True}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": "The weather", "parameters": SCHEMA},
}
CALL = {
    "id": "c1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city":"Oslo"}'},
}
PIXEL = "data:image/png;base64,AAAA"
IMAGE = {"type": "image_url", "image_url": {"url": PIXEL}}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def result(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "tool", "content": content, "tool_call_id": "c1", **more, **MARK}


REASONING = {"type": "reasoning", "text": "hm", "signature": "s", **MARK}
ANSWER = {
    "role": "assistant",
    "content": [REASONING, text("Let me look.")],
    "tool_calls": [CALL],
}
CONVERSATION = (
    {"role": "system", "content": "Be brief."},
    user([text("What is this?"), IMAGE]),
    ANSWER,
    result("rain"),
    user("Thanks"),
)

# The same conversation in each protocol.
CHAT = {
    "model": "m",
    "messages": [
        CONVERSATION[0],
        CONVERSATION[1],
        {
            "role": "assistant",
            "content": "Let me look.",
            "tool_calls": [CALL],
            "reasoning_content": "hm",
            "reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "s"}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        user("Thanks"),
    ],
    "tools": [WEATHER],
    "max_completion_tokens": 9,
    "temperature": 0.5,
    "stream": True,
}
ANTHROPIC = {
    "model": "m",
    "system": "Be brief.",
    "messages": [
        user(
            [
                text("What is this?"),
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
                },
            ]
        ),
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                text("Let me look."),
                {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Oslo"}},
            ],
        },
        user(
            [{"type": "tool_result", "tool_use_id": "c1", "content": "rain"}, text("Thanks")],
        ),
    ],
    "tools": [{"name": "weather", "description": "The weather", "input_schema": SCHEMA}],
    "max_tokens": 9,
    "temperature": 0.5,
    "stream": True,
}
RESPONSES = {
    "model": "m",
    "instructions": "Be brief.",
    "input": [
        user(
            [
                {"type": "input_text", "text": "What is this?"},
                {"type": "input_image", "image_url": PIXEL},
            ]
        ),
        {
            "type": "reasoning",
            "id": None,
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": "s",
        },
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Let me look.", "annotations": []}],
        },
        {
            "type": "function_call",
            "call_id": "c1",
            "name": "weather",
            "arguments": '{"city":"Oslo"}',
        },
        {"type": "function_call_output", "call_id": "c1", "output": "rain"},
        user("Thanks"),
    ],
    "tools": [
        {
            "type": "function",
            "name": "weather",
            "description": "The weather",
            "parameters": SCHEMA,
        }
    ],
    "max_output_tokens": 9,
    "temperature": 0.5,
    "stream": True,
    "store": False,
}
AI_SDK = {
    "id": "chat1",
    "model": "m",
    "temperature": 0.5,
    "maxOutputTokens": 9,
    "tools": [WEATHER],
    "messages": [
        {"id": "0", "role": "system", "parts": [text("Be brief.")]},
        {
            "id": "1",
            "role": "user",
            "parts": [
                text("What is this?"),
                {"type": "file", "mediaType": "image/png", "url": PIXEL},
            ],
        },
        {
            "id": "2",
            "role": "assistant",
            "parts": [
                {"type": "step-start"},
                {
                    "type": "reasoning",
                    "text": "hm",
                    "providerMetadata": {"anthropic": {"signature": "s"}},
                },
                text("Let me look."),
                {
                    "type": "tool-weather",
                    "toolCallId": "c1",
                    "state": "output-available",
                    "input": {"city": "Oslo"},
                    "output": "rain",
                },
                {"type": "source-url", "sourceId": "x", "url": "https://example.com"},
                {"type": "data-progress", "data": {"done": 1}},
            ],
        },
        {"id": "3", "role": "user", "parts": [text("Thanks")]},
    ],
}
AG_UI = {
    "threadId": "t",
    "runId": "r",
    "model": "m",
    "temperature": 0.5,
    "messages": [
        {"id": "0", "role": "system", "content": "Be brief."},
        {
            "id": "1",
            "role": "user",
            "content": [
                text("What is this?"),
                {
                    "type": "image",
                    "source": {"type": "data", "value": "AAAA", "mimeType": "image/png"},
                },
            ],
        },
        {"id": "2", "role": "reasoning", "content": "hm", "encryptedValue": "s"},
        {"id": "3", "role": "assistant", "content": "Let me look.", "toolCalls": [CALL]},
        {"id": "4", "role": "tool", "toolCallId": "c1", "content": "rain"},
        {"id": "5", "role": "activity", "activityType": "x", "content": {}},
        {"id": "6", "role": "user", "content": "Thanks"},
    ],
    "tools": [{"name": "weather", "description": "The weather", "parameters": SCHEMA}],
    "state": {"a": 1},
    "context": [],
    "forwardedProps": {},
}
READERS: dict[str, tuple[Read, dict[str, Any]]] = {
    "openai_chat": (openai_chat, CHAT),
    "anthropic": (anthropic, ANTHROPIC),
    "openai_responses": (openai_responses, RESPONSES),
    "ai_sdk": (ai_sdk, AI_SDK),
    "ag_ui": (ag_ui, AG_UI),
}


def read(name: str, **changes: Any) -> ChatRequest:
    """Return the request of a protocol, with some of its fields replaced."""
    reader, payload = READERS[name]
    return reader(Fields({**payload, **changes}))
