"""Chat requests: the JSON that they are made from, and errors that name the field."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import pytest

from gaistream.chat import ChatRequest, Message, Provider, Source

HELLO = {"role": "user", "content": "Hello"}


def test_a_full_body_becomes_a_request_and_unknown_keys_go_to_extra() -> None:
    request = ChatRequest.from_json(
        {
            "messages": [{"role": "system", "content": "Be brief."}, HELLO],
            "model": "m",
            "temperature": 0.5,
            "max_tokens": 100,
            "tools": [{"type": "function"}],
            "stream": True,
        }
    )
    assert request == ChatRequest(
        messages=({"role": "system", "content": "Be brief."}, HELLO),
        model="m",
        temperature=0.5,
        max_tokens=100,
        extra={"tools": [{"type": "function"}], "stream": True},
    )
    assert request.question == "Hello"


def test_null_settings_count_as_absent() -> None:
    payload = {"messages": [HELLO], "model": None, "temperature": None, "max_tokens": None}
    assert ChatRequest.from_json(payload) == ChatRequest((HELLO,))


def test_messages_are_kept_as_the_client_wrote_them() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    silent = {"role": "assistant", "tool_calls": [{"id": "2"}]}
    result = {"role": "tool", "tool_call_id": "1", "content": "", "name": "f"}
    picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}
    messages = [call, silent, result, picture]
    assert ChatRequest.from_json({"messages": messages}).messages == tuple(messages)


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        ([], "the request must be an object, not list"),
        (None, "the request must be an object, not NoneType"),
        ({}, "messages is missing"),
        ({"messages": "hi"}, "messages must be a list, not str"),
        ({"messages": []}, "messages must not be empty"),
        ({"messages": [HELLO, "hi"]}, "messages[1] must be an object, not str"),
        ({"messages": [{"content": "x"}]}, "messages[0].role is missing"),
        ({"messages": [{"role": 1, "content": "x"}]}, "messages[0].role must be a string, not int"),
        ({"messages": [{"role": "", "content": "x"}]}, "messages[0].role must not be empty"),
        ({"messages": [{"role": "user"}]}, "messages[0].content is missing"),
        (
            {"messages": [HELLO, {"role": "user", "content": 5}]},
            "messages[1].content must be a string or a list of parts, not int",
        ),
        (
            {"messages": [{"role": "user", "content": None}]},
            "messages[0].content must be a string or a list of parts, not NoneType",
        ),
        (
            {"messages": [{"role": "user", "content": ["x"]}]},
            "messages[0].content[0] must be an object, not str",
        ),
        (
            {"messages": [{"role": "user", "content": [{"text": "x"}]}]},
            "messages[0].content[0].type is missing",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
            "messages[0].content[0].text must be a string, not int",
        ),
        ({"messages": [HELLO], "model": 3}, "model must be a string, not int"),
        ({"messages": [HELLO], "temperature": "1"}, "temperature must be a number, not str"),
        ({"messages": [HELLO], "temperature": True}, "temperature must be a number, not bool"),
        (
            {"messages": [HELLO], "temperature": float("nan")},
            "temperature must be a finite number, not nan",
        ),
        ({"messages": [HELLO], "max_tokens": 1.5}, "max_tokens must be an integer, not float"),
        ({"messages": [HELLO], "max_tokens": True}, "max_tokens must be an integer, not bool"),
        ({"messages": [HELLO], "max_tokens": 0}, "max_tokens must be at least 1, not 0"),
    ],
)
def test_an_invalid_field_is_named(payload: object, complaint: str) -> None:
    with pytest.raises(ValueError) as caught:
        ChatRequest.from_json(payload)
    assert str(caught.value) == complaint


def test_a_question_is_one_user_message() -> None:
    request = ChatRequest.from_question("Why?")
    assert request.messages == ({"role": "user", "content": "Why?"},)
    assert request.question == "Why?"
    with pytest.raises(ValueError, match="the question must be a string, not NoneType"):
        ChatRequest.from_question(None)


@pytest.mark.parametrize(
    ("messages", "question"),
    [
        ((), ""),
        (({"role": "system", "content": "x"},), ""),
        ((HELLO, {"role": "assistant", "content": "Hi"}), "Hello"),
        ((HELLO, {"role": "user", "content": "Again"}), "Again"),
        (
            (
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "one"},
                        {"type": "image_url", "image_url": {"url": "x"}},
                        {"type": "text", "text": "two"},
                    ],
                },
            ),
            "one\ntwo",
        ),
    ],
)
def test_the_question_is_the_text_of_the_last_user_message(
    messages: tuple[Message, ...], question: str
) -> None:
    assert ChatRequest(messages).question == question


def test_a_request_cannot_be_changed_and_keeps_its_messages_as_a_tuple() -> None:
    messages = [HELLO]
    request = ChatRequest(messages)
    messages.append(HELLO)
    assert request.messages == (HELLO,)
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.model = "m"
    assert ChatRequest(()).extra is not ChatRequest(()).extra


def test_generators_coroutines_and_functions_are_providers() -> None:
    class Generator:
        async def stream_text(self, request: ChatRequest) -> AsyncIterator[str]:
            yield request.question

    class Coroutine:
        async def stream_text(self, request: ChatRequest) -> Source:
            return [request.question]

    class Function:
        def stream_text(self, request: ChatRequest) -> Source:
            return [request.question]

    async def answers() -> list[list[object]]:
        request = ChatRequest.from_question("q")
        providers: tuple[Provider, Provider, Provider] = (Generator(), Coroutine(), Function())
        generated = [item async for item in providers[0].stream_text(request)]
        return [
            generated,
            await providers[1].stream_text(request),
            providers[2].stream_text(request),
        ]

    assert asyncio.run(answers()) == [["q"], ["q"], ["q"]]
