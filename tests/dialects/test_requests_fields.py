"""Vendors' requests → ChatRequest: the fields that only one protocol has."""

from __future__ import annotations

from typing import Any

import pytest
from vendor_requests import (
    AI_SDK,
    CALL,
    CONVERSATION,
    MARK,
    SCHEMA,
    WEATHER,
    read,
    result,
    text,
    user,
)

from gaistream import collect, events
from gaistream.chat import ChatRequest
from gaistream.errors import InvalidRequest

# ---- Chat Completions ----


def test_chat_answers_one_choice_only() -> None:
    assert read("openai_chat", n=1).model == "m"
    with pytest.raises(InvalidRequest, match=r"^n must be 1: one answer"):
        read("openai_chat", n=2)


def test_chat_reasoning_that_was_encrypted_goes_back() -> None:
    details = [{"type": "reasoning.encrypted", "data": "opaque", "id": "r1"}]
    message = {"role": "assistant", "content": None, "reasoning_details": details}
    request = read("openai_chat", messages=[user("hi"), message])
    part = {"type": "reasoning", "text": "", "redacted": "opaque", "id": "r1", **MARK}
    assert request.messages[1] == {"role": "assistant", "content": [part]}


def test_plain_reasoning_of_chat_is_a_part() -> None:
    message = {"role": "assistant", "content": "4", "reasoning": "2+2"}
    request = read("openai_chat", messages=[user("hi"), message])
    part = {"type": "reasoning", "text": "2+2", **MARK}
    assert request.messages[1]["content"] == [part, text("4")]


def test_calls_of_chats_custom_tools_stay() -> None:
    call = {"id": "c1", "type": "custom", "custom": {"name": "patch", "input": "***"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    assert read("openai_chat", messages=[user("hi"), message]).messages[1] == message
    without = {**message, "tool_calls": [{"id": "c1", "type": "custom"}]}
    with pytest.raises(InvalidRequest, match=r"^messages\[1\].tool_calls\[0\].custom is missing"):
        read("openai_chat", messages=[user("hi"), without])


@pytest.mark.parametrize("name", ["openai_chat", "anthropic", "ag_ui"])
def test_an_integer_beyond_the_floats_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^temperature is too large$"):
        read(name, temperature=10**400)


# ---- Anthropic ----


@pytest.mark.parametrize(
    ("choice", "ours"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        (
            {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
            {
                "tool_choice": {"type": "function", "function": {"name": "f"}},
                "parallel_tool_calls": False,
            },
        ),
    ],
)
def test_anthropics_choice_of_a_tool(choice: Any, ours: dict[str, Any]) -> None:
    extra = read("anthropic", tool_choice=choice).extra
    assert {name: extra[name] for name in ours} == ours


@pytest.mark.parametrize(
    ("fields", "effort"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 4096}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 32000}}, "high"),
        ({"thinking": {"type": "disabled"}}, "none"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "max"),
    ],
)
def test_anthropics_thinking_is_an_effort(fields: Any, effort: str) -> None:
    extra = read("anthropic", **fields).extra
    assert extra["reasoning_effort"] == effort
    assert extra["thinking"] == fields["thinking"]


def test_anthropics_other_settings_have_the_names_of_chat() -> None:
    schema = {"type": "json_schema", "schema": SCHEMA}
    extra = read(
        "anthropic", stop_sequences=["END"], top_k=3, output_config={"format": schema}
    ).extra
    assert extra["stop"] == ["END"]
    assert extra["top_k"] == 3
    named = {"name": "answer", "schema": SCHEMA, "strict": True}
    assert extra["response_format"] == {"type": "json_schema", "json_schema": named}


def test_anthropics_own_blocks_and_tools_stay() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    used = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}
    request = read(
        "anthropic",
        tools=[search],
        messages=[user("hi"), {"role": "assistant", "content": [used, found, text("done")]}],
    )
    assert request.extra["tools"] == [search]
    assert request.messages[2]["content"] == [used, found, text("done")]


def test_a_failed_tool_of_anthropic_is_marked() -> None:
    block = {"type": "tool_result", "tool_use_id": "c1", "content": "no", "is_error": True}
    request = read("anthropic", system=None, messages=[user([block])])
    assert request.messages == (result("no", is_error=True),)


def test_anthropics_documents_are_files() -> None:
    def document(**source: Any) -> Any:
        block = {"type": "document", "source": source, "title": "a.pdf"}
        return read("anthropic", system=None, messages=[user([block])]).messages[0]["content"]

    data = document(type="base64", media_type="application/pdf", data="AA==")
    url = "data:application/pdf;base64,AA=="
    assert data == [{"type": "file", "file": {"file_data": url, "filename": "a.pdf"}}]
    there = document(type="url", url="https://example.com/a")
    name = {"file_url": "https://example.com/a", "filename": "a.pdf"}
    assert there == [{"type": "file", "file": name}]
    assert document(type="text", media_type="text/plain", data="words") == "words"


def test_the_cache_marks_of_anthropic_stay() -> None:
    control = {"type": "ephemeral"}
    block = {**text("long"), "cache_control": control}
    request = read("anthropic", system=[block])
    assert request.messages[0] == {"role": "system", "content": [block]}


def test_the_cache_mark_of_a_result_is_its_last_parts() -> None:
    control = {"cache_control": {"type": "ephemeral"}}
    words = [text("a"), text("b")]
    for content, marked in (
        ("a", [{**text("a"), **control}]),
        (words, [text("a"), {**text("b"), **control}]),
        ("", ""),
    ):
        block = {"type": "tool_result", "tool_use_id": "c1", "content": content, **control}
        request = read("anthropic", system=None, messages=[user([block])])
        assert request.messages == (result(marked),)


def test_what_only_anthropic_has_of_a_tool_stays() -> None:
    own = {"cache_control": {"type": "ephemeral"}, "defer_loading": True}
    tool = {"type": "custom", "name": "f", "input_schema": SCHEMA, **own}
    function = {"name": "f", "parameters": SCHEMA}
    tools = [{**own, "type": "function", "function": function}]
    assert read("anthropic", tools=[tool]).extra["tools"] == tools


def test_the_user_of_anthropics_metadata_has_the_name_of_chat() -> None:
    extra = read("anthropic", metadata={"user_id": "u"}).extra
    assert extra["user"] == "u"
    assert "metadata" not in extra
    with pytest.raises(InvalidRequest, match=r"^metadata.user_id must be a string"):
        read("anthropic", metadata={"user_id": 1})


# ---- Responses ----


@pytest.mark.parametrize("name", ["previous_response_id", "conversation", "prompt"])
def test_responses_that_a_server_keeps_are_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{name} refers to what a server keeps"):
        read("openai_responses", **{name: {"id": "x"}})
    reference = {"type": "item_reference", "id": "x"}
    with pytest.raises(InvalidRequest, match=r"^input\[0\].type item_reference refers to"):
        read("openai_responses", input=[reference])


@pytest.mark.parametrize(
    "item",
    [
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"},
        {"type": "shell_call_output", "call_id": "c1", "output": []},
        {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True},
    ],
)
def test_results_and_approvals_that_only_responses_have_are_the_clients_word(item: Any) -> None:
    call = {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "***"}
    request = read("openai_responses", instructions=None, input=[call, item])
    assert request.messages == ({"role": "assistant", "content": [call, {**item, **MARK}]},)


def test_settings_of_responses_have_the_names_of_chat() -> None:
    form = {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}
    extra = read(
        "openai_responses",
        reasoning={"effort": "low", "summary": "auto"},
        text={"format": form, "verbosity": "low"},
        tool_choice={"type": "function", "name": "weather"},
        top_p=0.1,
    ).extra
    assert extra["reasoning_effort"] == "low"
    assert extra["reasoning_summary"] == "auto"
    assert extra["verbosity"] == "low"
    assert extra["top_p"] == 0.1
    named = {"name": "n", "schema": SCHEMA, "strict": True}
    assert extra["response_format"] == {"type": "json_schema", "json_schema": named}
    assert extra["tool_choice"] == {"type": "function", "function": {"name": "weather"}}


# ---- the AI SDK ----


def ui_tool(**fields: Any) -> ChatRequest:
    part = {"type": "dynamic-tool", "toolName": "f", "toolCallId": "c1", "input": {}, **fields}
    message = {"id": "1", "role": "assistant", "parts": [part]}
    return read("ai_sdk", messages=[{"id": "0", "role": "user", "parts": [text("q")]}, message])


def test_a_ui_tool_becomes_a_call_and_its_result_by_its_state() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    called = {"role": "assistant", "content": None, "tool_calls": [call]}
    assert ui_tool(state="input-streaming").messages == (user("q"),)
    assert ui_tool(state="input-available").messages == (user("q"), called)
    given = ui_tool(state="output-available", output={"t": 1}).messages
    assert given == (user("q"), called, result('{"t":1}'))
    failed = ui_tool(state="output-error", errorText="boom").messages
    assert failed == (user("q"), called, result("boom", is_error=True))
    denied = ui_tool(
        state="output-denied", approval={"id": "a", "approved": False, "reason": "no"}
    ).messages
    assert denied == (user("q"), called, result("no", is_error=True))


def test_an_approval_of_a_ui_message_is_the_clients_word() -> None:
    request = ui_tool(state="approval-responded", approval={"id": "a", "approved": True})
    approval = {"id": "a", "tool_call_id": "c1", "approved": True, **MARK}
    assert request.extra["approvals"] == [approval]


def test_a_call_that_the_user_refused_is_answered() -> None:
    request = ui_tool(state="approval-responded", approval={"id": "a", "approved": False})
    assert request.messages[-1] == result("the call was not approved", is_error=True)
    assert request.extra["approvals"][0]["approved"] is False


def test_the_signature_of_a_call_goes_back() -> None:
    signed = {"extra_content": {"google": {"thought_signature": "s"}}}
    metadata = {"google": {"thoughtSignature": "s"}}
    request = ui_tool(state="input-available", callProviderMetadata=metadata)
    [call] = request.messages[1]["tool_calls"]
    assert call == {"id": "c1", "type": "function", "function": call["function"], **signed}
    function = {"name": "f", "arguments": "{}"}
    theirs = {"id": "c1", "type": "function", "function": function, "encryptedValue": "s"}
    message = {"id": "1", "role": "assistant", "toolCalls": [theirs]}
    [call] = read("ag_ui", messages=[message]).messages[0]["tool_calls"]
    assert call == {"id": "c1", "type": "function", "function": function, **signed}


def test_steps_of_a_ui_message_are_messages_of_their_own() -> None:
    tool = {"type": "tool-f", "toolCallId": "c1", "state": "output-available", "input": {},
            "output": "ok"}  # fmt: skip
    parts = [{"type": "step-start"}, tool, {"type": "step-start"}, text("So.")]
    request = read("ai_sdk", messages=[{"id": "1", "role": "assistant", "parts": parts}])
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert request.messages == (
        {"role": "assistant", "content": None, "tool_calls": [call]},
        result("ok"),
        {"role": "assistant", "content": "So."},
    )


def test_an_answer_without_parts_is_no_mistake() -> None:
    messages = [*AI_SDK["messages"], {"id": "9", "role": "assistant", "parts": []}]  # type: ignore[misc]
    assert read("ai_sdk", messages=messages).messages == CONVERSATION


@pytest.mark.parametrize("provider", ["gaistream", "google", "vertex"])
def test_the_signature_of_a_call_comes_back(provider: str) -> None:
    signed = collect([events.ToolCall("c1", "f", {}, "c2ln"), events.Done()])
    parts = signed.to_ui_message(provider=provider)["parts"]
    shown = {"id": "1", "role": "assistant", "parts": parts}
    for protocol, message in (("ai_sdk", shown), ("openai_chat", signed.to_openai())):
        (read_back,) = read(protocol, messages=[message]).messages
        (call,) = read_back["tool_calls"]
        assert call["extra_content"] == {"google": {"thought_signature": "c2ln"}}


def test_what_a_user_says_during_a_ui_answer_is_a_message() -> None:
    steering = {"type": "steering-message", "id": "s", "parts": [text("Faster!")]}
    parts = [text("One"), steering, text("Two")]
    request = read("ai_sdk", messages=[{"id": "1", "role": "assistant", "parts": parts}])
    said = [(each["role"], each["content"]) for each in request.messages]
    assert said == [("assistant", "One"), ("user", "Faster!"), ("assistant", "Two")]


# ---- AG-UI ----


def test_a_run_of_ag_ui_is_told_in_extra() -> None:
    resume = [{"interruptId": "i", "status": "resolved", "payload": {"ok": True}}]
    request = read("ag_ui", resume=resume, protocolVersion="1.0", parentRunId="p")
    decided = {"interrupt_id": "i", "status": "resolved", "payload": {"ok": True}, **MARK}
    assert request.extra == {
        "thread_id": "t",
        "run_id": "r",
        "parent_run_id": "p",
        "protocol_version": "1.0",
        "state": {"a": 1},
        "context": [],
        "forwarded_props": {},
        "tools": [WEATHER],
        "resume": [decided],
    }


def test_what_a_client_of_ag_ui_sends_back_is_kept_for_its_provider() -> None:
    call = {**CALL, "encryptedValue": "v"}
    request = read("ag_ui", messages=[
        {"id": "1", "role": "reasoning", "content": "hm", "encryptedValue": "s",
         "metadata": {"id": "rs_1", "redacted": "r"}},
        {"id": "2", "role": "assistant", "toolCalls": [call]},
        {"id": "3", "role": "tool", "toolCallId": "c1", "content": "no",
         "metadata": {"isError": True}},
    ])  # fmt: skip
    reasoning = {"type": "reasoning", "text": "hm", "signature": "s", "id": "rs_1",
                 "redacted": "r", **MARK}  # fmt: skip
    signed = {**CALL, "extra_content": {"google": {"thought_signature": "v"}}}
    assert request.messages == (
        {"role": "assistant", "content": [reasoning], "tool_calls": [signed]},
        result("no", is_error=True),
    )
    odd = [{"id": "1", "role": "reasoning", "content": "hm", "metadata": 5}]
    assert read("ag_ui", messages=odd).messages[0]["content"][0]["text"] == "hm"
