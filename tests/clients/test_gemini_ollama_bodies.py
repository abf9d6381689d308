"""The bodies for Gemini and Ollama: every protocol's request, by the vendors' types."""

from __future__ import annotations

import json
from typing import Any

import pytest
from service_types import check_gemini_body, check_ollama_body
from vendor_requests import CALL, IMAGE, READERS, WEATHER, read, result, text, user

from gaistream import ChatRequest, collect, encode_events, events
from gaistream.dialects.openai_chat.request import read_body
from gaistream.errors import InvalidRequest
from gaistream.providers.bodies.generate_content import generate_content_body
from gaistream.providers.bodies.ollama import ollama_body

SIGNED = {**CALL, "extra_content": {"google": {"thought_signature": "c2ln"}}}
PDF = {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a"}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}


def gemini(*messages: Any, model: str = "gemini-2.5-pro", **fields: Any) -> dict[str, Any]:
    extra = fields.pop("extra", {})
    body = generate_content_body(ChatRequest(messages, extra=extra, **fields), model)
    check_gemini_body(body)
    return body


def ollama(*messages: Any, **fields: Any) -> dict[str, Any]:
    extra = fields.pop("extra", {})
    body = ollama_body(ChatRequest(messages, extra=extra, **fields), "m")
    check_ollama_body(body)
    return body


@pytest.mark.parametrize("protocol", READERS)
def test_every_protocols_conversation_reaches_gemini_whole(protocol: str) -> None:
    request = read(protocol, **({"stop": "x"} if protocol == "openai_chat" else {}))
    body = generate_content_body(request, "gemini-3-pro")
    check_gemini_body(body)
    thought, said, call = body["contents"][1].pop("parts")
    assert thought == {"text": "hm", "thought": True}  # its signature is not base64
    assert said == {"text": "Let me look."}
    args = {"city": "Oslo"}
    assert call == {
        "functionCall": {"id": "c1", "name": "weather", "args": args},
        "thoughtSignature": "skip_thought_signature_validator",
    }
    response = {"id": "c1", "name": "weather", "response": {"result": "rain"}}
    pixel = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "What is this?"}, pixel]},
        {"role": "model"},
        {"role": "user", "parts": [{"functionResponse": response}]},
        {"role": "user", "parts": [{"text": "Thanks"}]},
    ]
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    function = dict(WEATHER["function"])  # type: ignore[call-overload]
    function["parametersJsonSchema"] = function.pop("parameters")
    assert body["tools"] == [{"functionDeclarations": [function]}]
    settings = body["generationConfig"]
    assert settings["temperature"] == 0.5
    assert settings.get("maxOutputTokens") == (None if protocol == "ag_ui" else 9)


@pytest.mark.parametrize("protocol", READERS)
def test_every_protocols_conversation_reaches_ollama_whole(protocol: str) -> None:
    body = ollama_body(read(protocol), None)
    check_ollama_body(body)
    function = {"name": "weather", "arguments": {"city": "Oslo"}}
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is this?", "images": ["AAAA"]},
        {"role": "assistant", "content": "Let me look.", "thinking": "hm",
         "tool_calls": [{"function": function}]},
        {"role": "tool", "content": "rain", "tool_name": "weather"},
        {"role": "user", "content": "Thanks"},
    ]  # fmt: skip
    assert body["tools"] == [WEATHER]
    assert (body["model"], body["stream"]) == ("m", True)
    assert body["options"]["temperature"] == 0.5


def test_marks_of_clients_are_not_sent() -> None:
    for protocol in READERS:
        assert "from_client" not in json.dumps(generate_content_body(read(protocol), "m"))
        assert "from_client" not in json.dumps(ollama_body(read(protocol), None))


# ---- Gemini ----


def test_an_answer_of_gemini_goes_back_with_its_signatures() -> None:
    answer = [
        events.ReasoningDelta("hm"),
        events.ReasoningEnd(None, "dGg="),
        events.TextDelta("I look."),
        events.ToolCall("c1", "f", {"a": 1}, "c2ln"),
        events.ToolCall("c2", "g", {}),
        events.Done(),
    ]
    message = collect(answer)
    payload = {"model": "gemini-3-pro", "messages": [user("?"), message.to_openai()]}
    request, *_ = read_body(payload)
    parts = gemini(*request.messages, model="gemini-3-pro")["contents"][1]["parts"]
    assert parts == [
        {"text": "hm", "thought": True, "thoughtSignature": "dGg="},
        {"text": "I look."},
        {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"id": "c2", "name": "g", "args": {}}},
    ]
    assert encode_events(answer)  # the same stream is well-formed


def test_the_signature_of_a_call_comes_back_from_ui_messages() -> None:
    message = collect([events.ToolCall("c1", "f", {}, "c2ln"), events.Done()])
    for provider in ("gaistream", "google", "vertex"):
        (part,) = (
            each for each in message.to_ui_message(provider=provider)["parts"]
            if each["type"] == "tool-f"
        )  # fmt: skip
        said = {"id": "1", "role": "assistant", "parts": [part]}
        request = read("ai_sdk", messages=[said])
        (call,) = generate_content_body(request, "gemini-3-pro")["contents"][0]["parts"]
        assert call["thoughtSignature"] == "c2ln"


@pytest.mark.parametrize(
    ("model", "calls", "signatures"),
    [
        ("gemini-2.5-flash", [CALL], [None]),
        ("gemini-3-flash", [CALL, CALL], ["skip_thought_signature_validator", None]),
        ("gemini-3-flash", [SIGNED, CALL], ["c2ln", None]),
        ("gemini-4-x", [CALL], ["skip_thought_signature_validator"]),
    ],
)
def test_a_call_that_lost_its_signature_gets_the_placeholder(
    model: str, calls: list[Any], signatures: list[str | None]
) -> None:
    said = {"role": "assistant", "content": None, "tool_calls": calls}
    parts = gemini(said, model=model)["contents"][0]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == signatures


def test_a_signature_without_thoughts_is_one_of_empty_text_and_openais_is_not_sent() -> None:
    def reasoning(words: str, signature: str) -> dict[str, Any]:
        return {"type": "reasoning", "text": words, "signature": signature}

    parts = [reasoning("", "dHM="), reasoning("hm", "gAAAAx"), reasoning("", "gAAAAx")]
    said = {"role": "assistant", "content": [*parts, {"type": "reasoning", "redacted": "x"}]}
    assert gemini(said)["contents"][0]["parts"] == [
        {"text": "", "thoughtSignature": "dHM="},
        {"text": "hm", "thought": True},
    ]


def test_files_sound_and_links_are_parts() -> None:
    link = {"type": "image_url", "image_url": {"url": "https://e.org/a.png?x=1"}}
    stored = {"type": "file", "file": {"file_id": "https://g/v1/files/a"}}
    contents = gemini(user([PDF, AUDIO, link, stored]))["contents"]
    assert contents[0]["parts"] == [
        {"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
        {"fileData": {"fileUri": "https://e.org/a.png?x=1", "mimeType": "image/png"}},
        {"fileData": {"fileUri": "https://g/v1/files/a"}},
    ]


def test_results_name_their_function_and_hold_objects() -> None:
    calls = [{**CALL, "id": str(number)} for number in range(3)]
    messages = [
        {"role": "assistant", "content": None, "tool_calls": calls},
        result('{"a":1}', tool_call_id="0"),
        result("no", tool_call_id="1", is_error=True),
        result([text("see"), IMAGE], tool_call_id="2"),
    ]
    _, results = gemini(*messages)["contents"]
    *responses, image = results["parts"]
    assert [each["functionResponse"]["response"] for each in responses] == [
        {"a": 1}, {"error": "no"}, {"result": "see"},
    ]  # fmt: skip
    assert {each["functionResponse"]["name"] for each in responses} == {"weather"}
    assert "inlineData" in image


SEARCH = {"googleSearch": {}}
FORCED = {"type": "function", "function": {"name": "weather"}}


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({"top_p": 0.5, "top_k": 4, "seed": 1, "stop": "x"},
         {"generationConfig": {"topP": 0.5, "topK": 4, "seed": 1, "stopSequences": ["x"]}}),
        ({"response_format": {"type": "json_object"}},
         {"generationConfig": {"responseMimeType": "application/json"}}),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "null"}}}},
         {"generationConfig": {"responseMimeType": "application/json",
                               "responseJsonSchema": {"type": "null"}}}),
        ({"modalities": ["text", "audio"]},
         {"generationConfig": {"responseModalities": ["TEXT", "AUDIO"]}}),
        ({"generationConfig": {"candidateCount": 1}}, {"generationConfig": {"candidateCount": 1}}),
        ({"tools": [SEARCH]}, {"tools": [SEARCH]}),
        ({"tools": [{"type": "web_search"}], "tool_choice": "required"}, {}),
        ({"safetySettings": [], "user": "u", "stream_options": {}, "thread_id": "t"},
         {"safetySettings": []}),
    ],
)  # fmt: skip
def test_settings_are_geminis(extra: dict[str, Any], expected: dict[str, Any]) -> None:
    body = gemini(user("?"), extra=extra)
    body.pop("contents")
    assert body == expected


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        ("auto", {"mode": "AUTO"}),
        ("required", {"mode": "ANY"}),
        ("none", {"mode": "NONE"}),
        (FORCED, {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [FORCED]}},
         {"mode": "ANY"}),
    ],
)  # fmt: skip
def test_the_choice_of_a_tool_is_geminis(choice: Any, calling: dict[str, Any]) -> None:
    other = {"type": "function", "function": {"name": "other"}}
    tools = [WEATHER, other] if "allowed_tools" in choice else [WEATHER]
    body = gemini(user("?"), extra={"tools": tools, "tool_choice": choice})
    assert body["toolConfig"] == {"functionCallingConfig": calling}
    (declared,) = body["tools"][0]["functionDeclarations"]
    assert declared["name"] == "weather"


@pytest.mark.parametrize(
    ("model", "extra", "config"),
    [
        ("gemini-3-pro", {}, None),
        ("gemini-3-pro", {"reasoning_effort": "low"},
         {"includeThoughts": True, "thinkingLevel": "LOW"}),
        ("gemini-3-pro", {"reasoning_effort": "none"}, {"thinkingLevel": "MINIMAL"}),
        ("gemini-2.5-pro", {"reasoning_effort": "medium"},
         {"includeThoughts": True, "thinkingBudget": 8192}),
        ("gemini-2.5-pro", {"reasoning_effort": "none"}, {"thinkingBudget": 0}),
        ("gemini-2.5-pro",
         {"reasoning_effort": "low", "thinking": {"type": "enabled", "budget_tokens": 2000}},
         {"includeThoughts": True, "thinkingBudget": 2000}),
        ("gemini-3-pro", {"thinking": {"type": "adaptive"}}, {"includeThoughts": True}),
    ],
)  # fmt: skip
def test_the_effort_is_a_level_or_a_budget(
    model: str, extra: dict[str, Any], config: dict[str, Any] | None
) -> None:
    body = gemini(user("?"), model=model, extra=extra)
    assert body.get("generationConfig", {}).get("thinkingConfig") == config


# ---- Ollama ----


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"max_tokens": 9, "temperature": 1}, {"options": {"num_predict": 9, "temperature": 1}}),
        ({"extra": {"top_p": 0.5, "num_ctx": 4096, "stop": "x", "options": {"seed": 1}}},
         {"options": {"top_p": 0.5, "num_ctx": 4096, "stop": ["x"], "seed": 1}}),
        ({"extra": {"response_format": {"type": "json_object"}}}, {"format": "json"}),
        ({"extra": {"response_format": {"type": "json_schema",
                                        "json_schema": {"schema": {"type": "object"}}}}},
         {"format": {"type": "object"}}),
        ({"extra": {"reasoning_effort": "none"}}, {"think": False}),
        ({"extra": {"reasoning_effort": "xhigh"}}, {"think": "high"}),
        ({"extra": {"thinking": {"type": "enabled", "budget_tokens": 1}}}, {"think": True}),
        ({"extra": {"think": "low", "keep_alive": "5m"}}, {"think": "low", "keep_alive": "5m"}),
        ({"extra": {"tools": [WEATHER], "tool_choice": "none"}}, {}),
        ({"extra": {"tools": [{"type": "web_search"}, WEATHER], "tool_choice": FORCED}},
         {"tools": [WEATHER]}),
        ({"extra": {"user": "u", "thread_id": "t"}}, {}),
    ],
)  # fmt: skip
def test_settings_are_ollamas(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    body = ollama(user("?"), **fields)
    for name in ("messages", "model", "stream"):
        body.pop(name)
    assert body == expected


def test_text_files_join_the_text_and_images_are_beside_it() -> None:
    file = {"type": "file", "file": {"file_data": "data:text/plain;base64,aGk="}}
    (message,) = ollama(user([text("Read."), file, IMAGE]))["messages"]
    assert message == {"role": "user", "content": "Read.\nhi", "images": ["AAAA"]}


# ---- what cannot be said ----


@pytest.mark.parametrize(
    ("make", "part", "why"),
    [
        (gemini, {"type": "hologram"}, "has the type 'hologram', which Gemini does not take"),
        (ollama, {"type": "hologram"}, "has the type 'hologram', which Ollama does not take"),
        (ollama, AUDIO, "has the type 'input_audio', which Ollama does not take"),
        (ollama, PDF, "is application/pdf, which Ollama does not take"),
        (ollama, {"type": "image_url", "image_url": {"url": "https://e.org/a.png"}},
         "has no data: Ollama takes images and files only as data: URLs"),
    ],
)  # fmt: skip
def test_a_part_that_cannot_be_said_is_refused_by_its_path(make: Any, part: Any, why: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        make(user([text("?"), part]))
    assert str(caught.value) == f"messages[0].content[1] {why}"
    assert caught.value.field == "messages[0].content[1]"


@pytest.mark.parametrize("make", [gemini, ollama])
def test_arguments_of_an_earlier_call_must_be_an_object(make: Any) -> None:
    for arguments, why in (("{", "JSON"), ("[]", "a JSON object")):
        call = {"id": "c", "function": {"name": "f", "arguments": arguments}}
        with pytest.raises(InvalidRequest) as caught:
            make({"role": "assistant", "content": None, "tool_calls": [call]})
        path = "messages[0].tool_calls[0].function.arguments"
        assert str(caught.value) == f"{path} must be {why}"
