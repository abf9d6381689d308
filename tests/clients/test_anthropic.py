"""Anthropic's own clients understand a stream as the events that were sent.

The clients, for Python and for JavaScript, are unmodified and talk to a server over loopback.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from anthropic_service import (
    REQUEST,
    Service,
    app_of,
    body_app,
    check_frames,
    service,
)
from required import need_package
from vendor_clients import ClientScript

WILD = 'a\u2028b\u2029c\u0085d \U0001f600 \u00e9\n\r\n"\\ \x00'
KINDS = ("text", "reasoning", "tool", "server tool")
PAIRS = list(itertools.product(KINDS, repeat=2))


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


def blocks(gs: ModuleType) -> dict[str, tuple[list[Any], list[tuple[Any, ...]]]]:
    """Return the events of each kind of block, and what a client understands of it."""
    e = gs.events
    failed = {"type": "web_fetch_tool_result_error", "error_code": "unavailable"}
    return {
        "text": ([e.TextDelta("t"), e.TextDelta("u")], [("text", "tu", None)]),
        "reasoning": (
            [e.ReasoningDelta("r"), e.ReasoningEnd(None, "s")],
            [("thinking", "r", "s")],
        ),
        "tool": (
            [e.ToolCallStart("c", "f"), e.ToolCallDelta("c", "{}"), e.ToolCall("c", "f", {})],
            [("tool_use", "c", "f", {})],
        ),
        "server tool": (
            [
                e.ToolCall("w", "web_fetch", {"url": "u"}, None, True),
                e.ToolResult("w", "web_fetch", failed, True, True),
            ],
            [
                ("server_tool_use", "w", "web_fetch", {"url": "u"}),
                ("web_fetch_tool_result", "w", failed),
            ],
        ),
    }


@pytest.mark.parametrize("pair", PAIRS, ids=" then ".join)
def test_every_ordered_pair_of_blocks_is_understood(
    gs: ModuleType, vendor: Service, pair: tuple[str, str]
) -> None:
    events, expected = [], []
    for name in pair:
        more, understood_as = blocks(gs)[name]
        events += more
        expected += understood_as
    if pair == ("text", "text"):
        expected = [("text", "tutu", None)]
    body = gs.encode_events([*events, gs.events.Done()], dialect="anthropic")
    check_frames(gs, body)
    message = vendor.message(body_app(body))
    assert understood(message) == expected
    assert message.stop_reason == ("tool_use" if "tool" in pair else "end_turn")


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


def test_a_failure_before_the_first_event_raises_in_the_client(
    gs: ModuleType, vendor: Service
) -> None:
    import anthropic

    failure = gs.StreamError("too busy", code="overloaded", status=503)
    with pytest.raises(anthropic.APIStatusError, match="too busy") as raised:
        vendor.message(app_of(gs, [failure]))
    assert raised.value.status_code == 503


def test_a_cut_upstream_raises_in_the_client(gs: ModuleType, vendor: Service) -> None:
    import anthropic

    cut = [*conversation(gs)[:7], gs.events.Error("the provider's stream was cut", "truncated")]
    with pytest.raises(anthropic.APIStatusError, match="the provider's stream was cut"):
        vendor.message(app_of(gs, cut))


def test_pings_before_any_event_are_ignored_by_the_client(
    gs: ModuleType, vendor: Service
) -> None:
    encoder = gs.SSEEncoder(dialect="anthropic")
    for event in (*conversation(gs), gs.events.Done()):
        encoder.write_heartbeat()
        encoder.write(event)
    body = encoder.take()
    assert body.startswith(b"event: ping\n")
    assert body.count(b"event: ping\n") == len(conversation(gs)) + 1
    message = vendor.message(body_app(body))
    whole = gs.encode_events([*conversation(gs), gs.events.Done()], dialect="anthropic")
    assert message == vendor.message(body_app(whole))


def test_ids_and_the_first_comment_are_ignored(gs: ModuleType, vendor: Service) -> None:
    options = gs.SSEOptions(include_id=True, retry_ms=7)
    numbered = vendor.message(app_of(gs, conversation(gs), options=options))
    assert numbered == vendor.message(app_of(gs, conversation(gs)))


def test_a_client_that_leaves_closes_the_source(gs: ModuleType, vendor: Service) -> None:
    import anthropic

    closed = threading.Event()

    async def source() -> Any:
        try:
            for _ in range(1_000_000):
                yield "a"
                await asyncio.sleep(0)
        finally:
            closed.set()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await gs.asgi.SSEResponse(source(), dialect="anthropic")(scope, receive, send)

    vendor.app = app
    with (
        anthropic.Anthropic(base_url=vendor.url, api_key="k", max_retries=0) as client,
        client.messages.stream(**REQUEST) as stream,
    ):
        assert next(stream.text_stream) == "a"
    assert closed.wait(10)


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
    found = javascript.ask(url=vendor.url, request=REQUEST)["message"]
    assert blocks_of(found) == understood(message)
    for name in ("id", "model", "stop_reason"):
        assert found[name] == getattr(message, name)
    for name in ("input_tokens", "output_tokens", "cache_read_input_tokens"):
        assert found["usage"][name] == getattr(message.usage, name)


@pytest.mark.parametrize("pair", PAIRS, ids=" then ".join)
def test_the_javascript_client_understands_every_ordered_pair_of_blocks(
    gs: ModuleType, vendor: Service, javascript: ClientScript, pair: tuple[str, str]
) -> None:
    kinds = blocks(gs)
    vendor.app = app_of(gs, [event for name in pair for event in kinds[name][0]])
    found = javascript.ask(url=vendor.url, request=REQUEST)["message"]
    expected = [block for name in pair for block in kinds[name][1]]
    assert blocks_of(found) == ([("text", "tutu", None)] if pair == ("text",) * 2 else expected)


@pytest.mark.parametrize("before", [0, 1, 3, 9])
def test_a_failure_anywhere_raises_in_the_javascript_client(
    gs: ModuleType, vendor: Service, javascript: ClientScript, before: int
) -> None:
    failure = gs.StreamError("too busy", code="overloaded")
    vendor.app = app_of(gs, [*conversation(gs)[:before], failure])
    assert "too busy" in javascript.ask(url=vendor.url, request=REQUEST)["message"]


def test_a_broken_frame_fails_the_comparison_in_javascript(
    gs: ModuleType, vendor: Service, javascript: ClientScript
) -> None:
    body = gs.encode_events([*conversation(gs), gs.events.Done()], dialect="anthropic")
    whole = blocks_of(javascript.ask(url=vendor.url, request=ask(vendor, body))["message"])
    broken = body.replace(b'"index":6', b'"index":5')
    answer = javascript.ask(url=vendor.url, request=ask(vendor, broken))
    assert "error" in answer or blocks_of(answer["message"]) != whole


def ask(vendor: Service, body: bytes) -> dict[str, Any]:
    """Let the service answer with these bytes, and return a request for them."""
    vendor.app = body_app(body)
    return REQUEST
