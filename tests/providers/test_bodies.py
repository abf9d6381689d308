"""The bodies that providers send: every protocol's request to every service, by vendors' types."""

from __future__ import annotations

from typing import Any

import pytest
from vendor_requests import ANTHROPIC, CALL, CHAT, IMAGE, READERS, RESPONSES, SCHEMA, read, user
from vendor_types import check_body

from gaistream.chat import ChatRequest, Fields
from gaistream.errors import InvalidRequest
from gaistream.providers.bodies.chat import chat_body
from gaistream.providers.bodies.messages import MOST_TOKENS, messages_body
from gaistream.providers.bodies.responses import responses_body

GONE = ("temperature", "top_p", "top_k")  # from Anthropic's type, not from its API


def body_of(service: str, request: ChatRequest, *, own_host: bool = False) -> dict[str, Any]:
    if service == "anthropic":
        return messages_body(request, "default")
    make = chat_body if service == "openai_chat" else responses_body
    return make(request, "default", own_host=own_host)


def normal(request: ChatRequest) -> ChatRequest:
    """Return a request without what bodies add."""
    added = ("store", "include", "stream_options")
    extra = {name: value for name, value in request.extra.items() if name not in added}
    return ChatRequest(
        request.messages, request.model, request.temperature, request.max_tokens, extra
    )


def strings(value: Any) -> list[str]:
    """Return all keys and strings of a JSON value."""
    if isinstance(value, dict):
        return [each for pair in value.items() for part in pair for each in strings(part)]
    if isinstance(value, list | tuple):
        return [each for part in value for each in strings(part)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("service", ["openai_chat", "openai_responses", "anthropic"])
@pytest.mark.parametrize("protocol", READERS)
def test_every_protocols_request_reaches_every_service_whole(protocol: str, service: str) -> None:
    request = read(protocol)
    body = body_of(service, request)
    again = READERS[service][0](Fields(body))
    assert list(again.messages) == list(request.messages)
    assert (again.model, again.temperature, again.max_tokens) == ("m", 0.5, 9)
    tools = [dict(tool["function"]) for tool in again.extra["tools"]]
    for tool in tools:
        tool.pop("strict", None)  # which Responses must have
    assert tools == [tool["function"] for tool in request.extra["tools"]]


@pytest.mark.parametrize("own_host", [False, True])
@pytest.mark.parametrize("service", ["openai_chat", "openai_responses", "anthropic"])
@pytest.mark.parametrize("protocol", READERS)
def test_every_body_is_valid_by_the_vendors_type_and_has_no_marks(
    protocol: str, service: str, own_host: bool
) -> None:
    request = read(protocol)
    body = body_of(service, request, own_host=own_host)
    assert "from_client" not in strings(body)
    if not own_host and service == "openai_chat":
        for message in body["messages"]:
            message.pop("reasoning_content", None), message.pop("reasoning_details", None)
    if service == "openai_responses":
        body["input"] = [item for item in body["input"] if item.get("type") != "reasoning"]
    check_body(service, body, *(GONE if service == "anthropic" else ()))


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
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
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


@pytest.mark.parametrize("protocol", ROUND_TRIPS)
def test_a_request_that_goes_on_in_its_own_protocol_loses_nothing(protocol: str) -> None:
    payload = ROUND_TRIPS[protocol]
    request = READERS[protocol][0](Fields(payload))
    body = body_of(protocol, request, own_host=True)
    assert body == payload
    check_body(protocol, body)


def test_a_request_of_another_vendor_brings_nothing_that_the_service_refuses() -> None:
    for protocol, payload in ROUND_TRIPS.items():
        request = READERS[protocol][0](Fields(payload))
        for service in ROUND_TRIPS:
            if service == "anthropic" and protocol == "openai_chat":
                continue  # its audio is refused
            body = body_of(service, request, own_host=True)
            if service == "openai_responses":
                body["input"] = [item for item in body["input"] if item.get("role") != "user"]
            check_body(service, body, *(GONE if service == "anthropic" else ()))
