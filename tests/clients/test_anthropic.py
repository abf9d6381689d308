"""Anthropic's own clients understand the order of blocks, redacted ones, and what broke a frame.

The clients, for Python and for JavaScript, are unmodified and talk to a server over loopback.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from anthropic_service import (
    Service,
    app_of,
    body_app,
    check_frames,
    service,
)
from required import need_package
from vendor_clients import ClientScript

WILD = 'a\u2028b\u2029c\u0085d \U0001f600 \u00e9\n\r\n"\\ \x00'


@pytest.fixture(scope="module")
def vendor() -> Iterator[Service]:
    need_package("anthropic", "clients")
    with service() as running:
        yield running


def conversation(gs: ModuleType) -> list[Any]:
    """Return the events of an answer with every kind of block."""
    e = gs.events
    found = {
        "type": "web_search_result", "url": "https://a.example", "title": WILD,
        "encrypted_content": "ZQ", "page_age": None,
    }  # fmt: skip
    return [
        e.Start("msg_7", "m-1"),
        e.ReasoningDelta("hm" + WILD),
        e.ReasoningDelta("m"),
        e.ReasoningEnd(None, "c2ln"),
        e.ReasoningEnd(None, None, "cmVk"),
        e.TextDelta("one "),
        e.TextDelta(WILD),
        e.ToolCallStart("srv_1", "web_search", True),
        e.ToolCallDelta("srv_1", '{"query":"q"}'),
        e.ToolCall("srv_1", "web_search", {"query": "q"}, None, True),
        e.ToolResult("srv_1", "web_search", [found], None, True),
        e.TextDelta("two"),
        e.Citations([e.Citation("https://a.example", title="A"), e.Citation("https://b.example")]),
        # two calls alternate
        e.ToolCallStart("toolu_1", "f"),
        e.ToolCallStart("toolu_2", "g"),
        e.ToolCallDelta("toolu_1", '{"a":"' + "x\\u2028"),
        e.ToolCallDelta("toolu_2", '{"b"'),
        e.ToolCallDelta("toolu_1", '"}'),
        e.ToolCall("toolu_1", "f", {"a": "x\u2028"}),
        e.ToolCallDelta("toolu_2", ":[1,null]}"),
        e.ToolCall("toolu_2", "g", {"b": [1, None]}),
        e.ToolCall("toolu_3", "h"),
        e.Finish(e.Usage(150, 9, None, 100, 30, 4), "tool_calls", "tool_use"),
    ]


def understood(message: Any) -> list[Any]:
    """Return the blocks of the Python client's message by the fields that were sent."""
    return blocks_of(message.to_dict())


def blocks_of(message: dict[str, Any]) -> list[Any]:
    """Return the blocks of a message by the fields that were sent."""
    fields = {
        "text": ("text", "citations"),
        "thinking": ("thinking", "signature"),
        "redacted_thinking": ("data",),
        "tool_use": ("id", "name", "input"),
        "server_tool_use": ("id", "name", "input"),
        "web_search_tool_result": ("tool_use_id", "content"),
        "web_fetch_tool_result": ("tool_use_id", "content"),
    }
    return [
        (block["type"], *(block.get(name) for name in fields[block["type"]]))
        for block in message["content"]
    ]


def test_a_whole_conversation_is_understood_field_by_field(gs: ModuleType, vendor: Service) -> None:
    events = conversation(gs)
    message = vendor.message(app_of(gs, events))
    result = next(each.result for each in events if isinstance(each, gs.events.ToolResult))
    sources = [
        {
            "type": "web_search_result_location", "cited_text": "", "url": url, "title": title,
            "encrypted_index": "",
        }
        for url, title in (("https://a.example", "A"), ("https://b.example", ""))
    ]  # fmt: skip
    assert understood(message) == [
        ("thinking", "hm" + WILD + "m", "c2ln"),
        ("redacted_thinking", "cmVk"),
        ("text", "one " + WILD, None),
        ("server_tool_use", "srv_1", "web_search", {"query": "q"}),
        ("web_search_tool_result", "srv_1", result),
        ("text", "two", sources),
        ("tool_use", "toolu_1", "f", {"a": "x\u2028"}),
        ("tool_use", "toolu_2", "g", {"b": [1, None]}),
        ("tool_use", "toolu_3", "h", {}),
    ]
    assert (message.id, message.model, message.stop_reason) == ("msg_7", "m-1", "tool_use")
    usage = message.usage
    assert (usage.input_tokens, usage.output_tokens) == (20, 9)
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (100, 30)


def test_each_frame_is_valid_by_the_vendors_types(gs: ModuleType, vendor: Service) -> None:
    body = gs.encode_events([*conversation(gs), gs.events.Done()], dialect="anthropic")
    payloads = check_frames(gs, body)
    starts = [each["index"] for each in payloads if each["type"] == "content_block_start"]
    assert starts == list(range(9))
    assert payloads[-1] == {"type": "message_stop"}


@pytest.mark.parametrize("before", [1, 3, 9])
def test_a_failure_anywhere_raises_in_the_client(
    gs: ModuleType, vendor: Service, before: int
) -> None:
    import anthropic

    failure = gs.StreamError("too busy", code="overloaded")
    events = [*conversation(gs)[:before], failure]
    with pytest.raises(anthropic.APIStatusError) as raised:
        vendor.message(app_of(gs, events))
    assert raised.value.body == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "too busy"},
    }


def test_ids_and_the_first_comment_are_ignored(gs: ModuleType, vendor: Service) -> None:
    options = gs.SSEOptions(include_id=True, retry_ms=7)
    numbered = vendor.message(app_of(gs, conversation(gs), options=options))
    assert numbered == vendor.message(app_of(gs, conversation(gs)))


def test_a_broken_frame_fails_the_comparison(gs: ModuleType, vendor: Service) -> None:
    """An index that is used twice: the client loses a block without an error."""
    body = gs.encode_events([*conversation(gs), gs.events.Done()], dialect="anthropic")
    broken = body.replace(b'"index":6', b'"index":5')
    assert broken != body
    assert understood(vendor.message(body_app(broken))) != understood(
        vendor.message(body_app(body))
    )
    no_id = body.replace(b'"tool_use","id":"toolu_1",', b'"tool_use",')
    with pytest.raises(ValueError, match="id"):
        check_frames(gs, no_id)


@pytest.fixture(scope="module")
def javascript() -> Iterator[ClientScript]:
    with ClientScript("anthropic.mjs") as script:
        yield script


def test_the_javascript_client_understands_the_same(
    gs: ModuleType, vendor: Service, javascript: ClientScript
) -> None:
    message = vendor.message(app_of(gs, conversation(gs)))
    found = javascript.ask(url=vendor.url)["said"]
    assert blocks_of(found) == understood(message)
    for name in ("id", "model", "stop_reason"):
        assert found[name] == getattr(message, name)
    for name in ("input_tokens", "output_tokens", "cache_read_input_tokens"):
        assert found["usage"][name] == getattr(message.usage, name)


def test_a_broken_frame_fails_the_comparison_in_javascript(
    gs: ModuleType, vendor: Service, javascript: ClientScript
) -> None:
    body = gs.encode_events([*conversation(gs), gs.events.Done()], dialect="anthropic")
    vendor.app = body_app(body)
    whole = blocks_of(javascript.ask(url=vendor.url)["said"])
    vendor.app = body_app(body.replace(b'"index":6', b'"index":5'))
    answer = javascript.ask(url=vendor.url)
    assert "failed" in answer or blocks_of(answer["said"]) != whole
