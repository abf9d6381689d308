"""The bodies that providers send: every protocol's request to every service, by vendors' types."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from provider_bodies import AUDIO, ROUND_TRIPS, body_of
from required import need_package
from vendor_requests import IMAGE, READERS, SCHEMA, read, user
from vendor_types import check_body

from gaistream.chat import ChatRequest, Fields
from gaistream.errors import InvalidRequest
from gaistream.providers.bodies import shared
from gaistream.providers.bodies.chat import chat_body
from gaistream.providers.bodies.messages import MOST_TOKENS, messages_body
from gaistream.providers.bodies.responses import responses_body

GONE = ("temperature", "top_p", "top_k")  # from Anthropic's type, not from its API


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
    messages = json.loads(json.dumps(again.messages).replace(', "detail": "auto"', ""))
    assert messages == list(request.messages)
    most = MOST_TOKENS if (protocol, service) == ("ag_ui", "anthropic") else request.max_tokens
    assert (again.model, again.temperature, again.max_tokens) == ("m", 0.5, most)
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


@pytest.mark.parametrize("protocol", ROUND_TRIPS)
def test_a_request_that_goes_on_in_its_own_protocol_loses_nothing(protocol: str) -> None:
    payload = ROUND_TRIPS[protocol]
    request = READERS[protocol][0](Fields(payload))
    body = body_of(protocol, request, own_host=True)
    assert body == payload
    check_body(protocol, body)


def test_a_request_of_another_vendor_brings_nothing_that_the_service_refuses() -> None:
    by_url = {"type": "document", "source": {"type": "url", "url": "https://x/z.pdf"}}
    kept = {"type": "image", "source": {"type": "file", "file_id": "file-2"}}
    for protocol, payload in ROUND_TRIPS.items():
        for service in ROUND_TRIPS:
            given = copy.deepcopy(payload)
            if (protocol, service) == ("anthropic", "openai_chat"):
                given["messages"][2]["content"].remove(by_url)
                given["messages"][2]["content"].remove(kept)
            if (protocol, service) == ("openai_responses", "openai_chat"):
                given["input"][1]["content"].pop(2)  # the image of a file
            if protocol == "openai_chat" != service:
                given["messages"][1]["content"].pop(1)  # audio
            body = body_of(service, READERS[protocol][0](Fields(given)), own_host=True)
            check_body(service, body, *(GONE if service == "anthropic" else ()))


@pytest.mark.parametrize(
    ("service", "part", "field"),
    [
        ("openai_chat", {"type": "file", "file": {"file_url": "https://x"}}, "file.file_url"),
        ("openai_chat", {"type": "file", "file": {"file_id": "f"}, "is_image": True}, ""),
        ("openai_responses", AUDIO, ""),
        ("anthropic", AUDIO, ""),
    ],
)
def test_a_part_that_the_service_cannot_take_is_refused_with_its_path(
    service: str, part: dict[str, Any], field: str
) -> None:
    request = ChatRequest([user([part])])
    with pytest.raises(InvalidRequest) as caught:
        body_of(service, request, own_host=True)
    assert caught.value.field == ".".join(filter(None, ("messages[0].content[0]", field)))


@pytest.mark.parametrize("arguments", ["{", "[1]"])
def test_arguments_that_are_no_object_are_refused_with_their_path(arguments: str) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}
    request = ChatRequest([{"role": "assistant", "content": None, "tool_calls": [call]}])
    with pytest.raises(InvalidRequest) as caught:
        messages_body(request, "m")
    assert caught.value.field == "messages[0].tool_calls[0].function.arguments"


@pytest.mark.parametrize("service", ROUND_TRIPS)
@pytest.mark.parametrize(
    ("message", "extra", "field"),
    [
        ({"content": 5}, {}, "messages[0].content"),
        ({"content": ["a"]}, {}, "messages[0].content[0]"),
        ({"content": [{"type": "image_url", "image_url": "x"}]}, {},
         "messages[0].content[0].image_url"),
        ({"content": None, "tool_calls": "x"}, {}, "messages[0].tool_calls"),
        ({"content": None, "tool_calls": [{"function": 5}]}, {},
         "messages[0].tool_calls[0].function"),
        ({"content": "a"}, {"tools": [5]}, "tools[0]"),
        ({"content": "a"}, {"stop": 5}, "stop"),
        ({"content": "a"}, {"thinking": "much"}, "thinking"),
    ],
)  # fmt: skip
def test_a_field_of_a_wrong_type_is_refused_with_its_path(
    service: str, message: dict[str, Any], extra: dict[str, Any], field: str
) -> None:
    request = ChatRequest([{"role": "assistant", **message}], extra=extra)
    with pytest.raises(InvalidRequest) as caught:
        body_of(service, request)
    assert caught.value.field == field


def test_openais_own_host_gets_the_new_name_of_the_limit_and_no_foreign_fields() -> None:
    extra = {"thinking": {"type": "adaptive"}, "top_k": 3, "trigger": "x", "my_own": 1}
    request = ChatRequest([user("Hi")], max_tokens=9, extra=extra)
    body = chat_body(request, "m", own_host=True)
    assert (body["max_completion_tokens"], "max_tokens" in body) == (9, False)
    assert body.keys() & extra.keys() == {"my_own"}
    body = chat_body(request, "m", own_host=False)
    assert (body["max_tokens"], "max_completion_tokens" in body) == (9, False)
    assert body.keys() & extra.keys() == {"my_own", "thinking", "top_k"}


def test_images_of_a_tool_result_follow_in_a_message_of_the_user() -> None:
    result = {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "see"},
                                                               IMAGE]}  # fmt: skip
    body = chat_body(ChatRequest([result, result, user("?")]), "m", own_host=True)
    kept = {**result, "content": [{"type": "text", "text": "see"}]}
    assert body["messages"] == [kept, kept, user([IMAGE, IMAGE]), user("?")]


def test_only_its_maker_gets_encrypted_reasoning() -> None:
    def reasoning(signature: str) -> ChatRequest:
        part = {"type": "reasoning", "text": "hm", "signature": signature, "from_client": True}
        return ChatRequest([user("?"), {"role": "assistant", "content": [part]}])

    of_openai, of_anthropic = reasoning("gAAAAAB"), reasoning("ErUB")
    assert len(messages_body(of_openai, "m")["messages"]) == 1
    assert len(responses_body(of_anthropic, "m", own_host=True)["input"]) == 1
    thought = {"type": "thinking", "thinking": "hm", "signature": "ErUB"}
    assert messages_body(of_anthropic, "m")["messages"][1]["content"] == [thought]
    body = responses_body(of_openai, "m", own_host=True)
    assert body["input"][1]["encrypted_content"] == "gAAAAAB"
    assert body["include"] == ["reasoning.encrypted_content"]
    assert body["store"] is False


def test_effort_and_formats_are_said_as_the_service_says_them() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
    extra = {"reasoning_effort": "minimal", "response_format": form, "stop": "END", "user": "u"}
    request = ChatRequest([user("Hi")], temperature=1.5, extra=extra)
    assert messages_body(request, "m") == {
        "model": "m",
        "messages": [user("Hi")],
        "stream": True,
        "max_tokens": MOST_TOKENS,
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u"},
    }
    quiet = ChatRequest([user("Hi")], temperature=1.5, extra={"reasoning_effort": "none"})
    body = messages_body(quiet, "m")
    assert (body["thinking"], body["temperature"]) == ({"type": "disabled"}, 1.0)


def test_the_vendors_fields_are_known() -> None:
    """Each field of the vendors' types is passed on, said in another way, or made by the body."""
    for package in ("anthropic", "openai"):
        need_package(package, "clients")
    from anthropic.types.message_create_params import MessageCreateParamsBase
    from openai.types.chat.completion_create_params import CompletionCreateParamsBase
    from openai.types.responses.response_create_params import ResponseCreateParamsBase

    made = {"messages", "model", "max_tokens", "temperature", "stream", "input", "stream_options"}
    for kind, known in (
        (CompletionCreateParamsBase, shared.CHAT_FIELDS),
        (ResponseCreateParamsBase, shared.RESPONSES_FIELDS),
        (MessageCreateParamsBase, shared.MESSAGES_FIELDS),
    ):
        assert kind.__annotations__.keys() - known <= made


def test_fields_whose_values_are_anthropics_are_not_sent_to_openai() -> None:
    extra = {"metadata": {"user_id": "u"}, "service_tier": "standard_only"}
    request = ChatRequest([user("Hi")], extra=extra)
    assert not chat_body(request, "m", own_host=True).keys() & extra.keys()
    assert messages_body(request, "m").items() >= extra.items()
