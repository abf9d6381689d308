"""Requests of three protocols that use all that these have, and the bodies of providers."""

from __future__ import annotations

from typing import Any

from vendor_requests import CALL, IMAGE, SCHEMA, user

from gaistream.chat import ChatRequest
from gaistream.providers.bodies.chat import chat_body
from gaistream.providers.bodies.generate_content import generate_content_body
from gaistream.providers.bodies.messages import messages_body
from gaistream.providers.bodies.ollama import ollama_body
from gaistream.providers.bodies.responses import responses_body


def body_of(service: str, request: ChatRequest, *, own_host: bool = False) -> dict[str, Any]:
    if service == "anthropic":
        return messages_body(request, "default")
    if service == "gemini":
        return generate_content_body(request, "gemini-3")
    if service == "ollama":
        return ollama_body(request, "default")
    make = chat_body if service == "openai_chat" else responses_body
    return make(request, "default", own_host=own_host)


AUDIO = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
ROUND_TRIPS: dict[str, dict[str, Any]] = {
    "anthropic": {
        "system": [
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "b"},
        ],
        "messages": [
            user("Hi"),
            {
                "role": "assistant",
                "content": [
                    {"type": "redacted_thinking", "data": "xyz"},
                    {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
                    {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []},
                    {"type": "text", "text": "Two."},
                    {"type": "tool_use", "id": "a", "name": "f", "input": {}},
                    {"type": "tool_use", "id": "b", "name": "f", "input": {"x": 1}},
                ],
            },
            user(
                [
                    {"type": "tool_result", "tool_use_id": "a", "content": "no", "is_error": True},
                    {
                        "type": "tool_result",
                        "tool_use_id": "b",
                        "content": [
                            {"type": "text", "text": "see"},
                            {"type": "image", "source": {"type": "url", "url": "https://x/y"}},
                        ],
                    },
                    {
                        "type": "document",
                        "title": "d",
                        "source": {
                            "type": "base64", "media_type": "application/pdf", "data": "AAAA",
                        },
                    },
                    {"type": "document", "source": {"type": "url", "url": "https://x/z.pdf"}},
                    {"type": "image", "source": {"type": "file", "file_id": "file-2"}},
                    {"type": "search_result", "source": "s", "title": "t", "content": []},
                ]
            ),
        ],
        "tools": [
            {"name": "f", "input_schema": SCHEMA, "strict": True,
             "cache_control": {"type": "ephemeral"}},
            {"type": "web_search_20250305", "name": "web_search"},
        ],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 4096},
        "output_config": {"effort": "xhigh", "format": {"type": "json_schema", "schema": SCHEMA}},
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u"},
        "service_tier": "auto",
        "max_tokens": 9,
        "model": "m",
        "stream": True,
    },
    "openai_responses": {
        "instructions": "Be brief.",
        "input": [
            {"type": "message", "role": "developer", "content": "a"},
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_image", "image_url": "https://x/y", "detail": "low"},
                    {"type": "input_file", "file_id": "file-1"},
                    {"type": "input_image", "file_id": "file-2", "detail": "auto"},
                    {"type": "input_file", "file_data": "data:text/plain;base64,QQ==",
                     "filename": "a.txt"},
                ],
            },
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "hm"}],
                "encrypted_content": "gAAAAB",
            },
            {"type": "message", "role": "assistant", "content": "Let me look."},
            {"type": "web_search_call", "id": "ws_1", "status": "completed",
             "action": {"type": "search", "query": "x", "queries": ["x"]}},
            {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a",
             "output": [{"type": "input_text", "text": "x"},
                        {"type": "input_image", "image_url": "https://x/y", "detail": "auto"}]},
        ],
        "tools": [
            {"type": "function", "name": "f", "parameters": SCHEMA, "strict": True},
            {"type": "web_search"},
        ],
        "tool_choice": {
            "type": "allowed_tools", "mode": "required",
            "tools": [{"type": "function", "name": "f"}],
        },
        "parallel_tool_calls": False,
        "reasoning": {"effort": "high", "summary": "auto"},
        "text": {
            "format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True},
            "verbosity": "low",
        },
        "include": ["reasoning.encrypted_content"],
        "max_tool_calls": 3,
        "truncation": "auto",
        "store": False,
        "max_output_tokens": 9,
        "model": "m",
        "stream": True,
    },
    "openai_chat": {
        "messages": [
            {"role": "developer", "content": "a", "name": "n"},
            user([
                IMAGE,
                AUDIO,
                {"type": "file", "file": {"file_id": "file-1"}},
            ]),
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "x"}]},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            user("?"),
        ],
        "tools": [{"type": "function", "function": {"name": "f", "strict": True}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "reasoning_effort": "low",
        "response_format": {"type": "json_object"},
        "stop": ["END"],
        "seed": 1,
        "verbosity": "low",
        "max_completion_tokens": 9,
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
    },
}  # fmt: skip
