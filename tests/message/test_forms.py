"""The forms of a message for the vendors' APIs, where the random answers do not reach."""

from __future__ import annotations

from types import ModuleType

import pytest

from gaistream.message.partial_json import read_partial_json


def test_citations_in_each_form(gs: ModuleType) -> None:
    citation = gs.events.Citation("https://example.com", 1, 4, "Title")
    message = gs.collect([gs.events.Citations([citation]), "text"])
    assert message.to_openai()["annotations"] == [
        {
            "type": "url_citation",
            "url_citation": {
                "url": "https://example.com", "title": "Title", "start_index": 1, "end_index": 4,
            },
        }
    ]  # fmt: skip
    [block] = message.to_anthropic()  # its citations came before the text
    assert [each["url"] for each in block["citations"]] == ["https://example.com"]
    assert message.to_ui_message()["parts"][1] == {
        "type": "source-url", "sourceId": "source-1", "url": "https://example.com",
        "title": "Title", "providerMetadata": {"gaistream": {"startIndex": 1, "endIndex": 4}},
    }  # fmt: skip


def test_calls_of_the_server_are_no_calls_for_the_client(gs: ModuleType) -> None:
    events = gs.events
    message = gs.collect([
        events.ToolCall("1", "web_search", {"query": "a"}, None, True),
        events.ToolResult("1", "web_search", [], None, True),
        events.ToolCall("2", "own", None, None, True),
        events.ToolResult("2", "own", 5, True, True),
        events.ToolResult("3", "of an earlier message", 6),
    ])  # fmt: skip
    assert message.to_openai() == {"role": "assistant", "content": None}
    assert [block["type"] for block in message.to_anthropic()] == [
        "server_tool_use", "web_search_tool_result",
    ]  # fmt: skip
    assert message.to_ui_message()["parts"][1:] == [
        {"type": "tool-web_search", "toolCallId": "1", "state": "output-available",
         "input": {"query": "a"}, "output": [], "providerExecuted": True},
        {"type": "tool-own", "toolCallId": "2", "state": "output-error", "input": {},
         "errorText": "5", "providerExecuted": True},
    ]  # fmt: skip
    assert len(message.tool_results) == 3


def test_the_ui_message_of_an_approval_files_and_metadata(gs: ModuleType) -> None:
    events = gs.events
    message = gs.collect([
        events.Start("answer_1", "model"),
        events.ToolCall("1", "pay", {"sum": 5}, "signed"),
        events.ApprovalRequest("a1", "1", "Pay?", None, {"type": "object"}, "s"),
        events.File("image/png", "https://example.com/a.png"),
        events.File("image/png", data=b"png"),
        events.Safety("category", "blocked", 0.5, "note"),
        events.Data("own", [1], "d1"),
        events.Finish(events.Usage(5, 6, None, 3), "pause", "pause_turn"),
    ])  # fmt: skip
    ui = message.to_ui_message(provider="google")
    assert ui["metadata"] == {
        "model": "model", "rawFinishReason": "pause_turn",
        "usage": {"inputTokens": 5, "outputTokens": 6, "totalTokens": 11, "cachedInputTokens": 3},
    }  # fmt: skip
    assert ui["parts"] == [
        {"type": "step-start"},
        {"type": "tool-pay", "toolCallId": "1", "state": "approval-requested", "input": {"sum": 5},
         "callProviderMetadata": {"google": {"thoughtSignature": "signed"}},
         "approval": {"id": "a1", "signature": "s", "descriptor": {
             "message": "Pay?", "responseSchema": {"type": "object"}}}},
        {"type": "file", "mediaType": "image/png", "url": "https://example.com/a.png"},
        {"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,cG5n"},
        {"type": "data-safety",
         "data": {"category": "category", "action": "blocked", "score": 0.5, "note": "note"}},
        {"type": "data-own", "id": "d1", "data": [1]},
    ]  # fmt: skip
    assert message.tool_calls[0].approval == message.approvals[0]


def test_the_ui_message_of_version_7_has_the_sources_of_a_text_with_it(gs: ModuleType) -> None:
    events = gs.events
    message = gs.collect([
        "a", events.Citations([events.Citation("u:1", 0, 1, "U")]), "b",
        events.Citations([events.Citation("u:2")]), events.ToolCallStart("1", "f"),
        events.Citations([events.Citation("u:3")]), events.Error("no"),
    ])  # fmt: skip
    _, text, *others = message.to_ui_message(version=7)["parts"]
    source = {"type": "source", "sourceType": "url"}
    assert text == {"type": "text", "text": "ab", "state": "done", "citations": [
        {"source": {**source, "id": "source-1", "url": "u:1", "title": "U"},
         "startIndex": 0, "endIndex": 1},
        {"source": {**source, "id": "source-2", "url": "u:2"}},
    ]}  # fmt: skip
    assert [each["type"] for each in others] == [
        "source-url", "source-url", "tool-f", "source-url",
    ]  # fmt: skip
    assert (others[2]["input"], others[2]["errorText"]) == ({}, "no")


def test_a_call_whose_arguments_come_shows_their_text_too(gs: ModuleType) -> None:
    events = gs.events
    message = gs.collect([events.ToolCallStart("1", "f"), events.ToolCallDelta("1", '{"a":1,"b')])
    assert message.to_ui_message()["parts"][1] == {
        "type": "tool-f", "toolCallId": "1", "state": "input-streaming", "input": {"a": 1},
        "rawInput": '{"a":1,"b',
    }  # fmt: skip


@pytest.mark.parametrize("ended", ["failed", "step"])
def test_a_call_that_was_not_finished(gs: ModuleType, ended: str) -> None:
    events = gs.events
    last = events.Error("cut", "truncated") if ended == "failed" else events.FinishStep(1)
    message = gs.collect([
        events.ToolCallStart("1", "a"), events.ToolCallDelta("1", '{"x": [1, "y'), last,
    ])  # fmt: skip
    part = message.to_ui_message()["parts"][1]
    text = "cut" if ended == "failed" else "the tool call was not finished"
    assert (part["state"], part["errorText"]) == ("output-error", text)
    [block] = message.to_anthropic()
    assert block["input"] == {"x": [1]}
    [call] = message.to_openai()["tool_calls"]
    assert call["function"]["arguments"] == '{"x": [1, "y'


@pytest.mark.parametrize(
    ("text", "whole", "repaired"),
    [
        ("", None, None),
        ("{", {}, {}),
        ('{"a', {}, {}),
        ('{"a":', {}, {}),
        ('{"a":"he', {}, {"a": "he"}),
        ('{"a":"he\\', {}, {"a": "he"}),
        ('{"a":"he\\u00', {}, {"a": "he"}),
        ('{"a":12', {"a": 12}, {"a": 12}),
        ('{"a":1.', {}, {"a": 1}),
        ('{"a":-', {}, {}),
        ('{"a":tr', {}, {"a": True}),
        ('{"a":nul', {}, {"a": None}),
        ('{"a":[1,{"b":"c"},', {"a": [1, {"b": "c"}]}, {"a": [1, {"b": "c"}]}),
        ('{"a":{"b":[', {"a": {"b": []}}, {"a": {"b": []}}),
        ('{"a":"}]{"}', {"a": "}]{"}, {"a": "}]{"}),
        ('{"a":1]', None, None),
        ("not JSON", None, None),
        ('{"a":1,}', None, None),
    ],
)
def test_the_value_of_json_without_its_end(text: str, whole: object, repaired: object) -> None:
    assert read_partial_json(text, repair=False) == whole
    assert read_partial_json(text, repair=True) == repaired


def test_long_arguments_take_linear_time() -> None:
    for text in ('{"a":[' + "1," * 200_000, "[" * 200_000, '{"a":"' + "x\\n" * 200_000):
        read_partial_json(text, repair=True)  # quadratic it would take minutes
