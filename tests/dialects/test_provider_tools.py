"""Tools that a provider runs itself, in the protocols of vendors: no client may run them too."""

import pytest

NAMES = ["ag_ui", "ai_sdk", "anthropic", "openai_chat", "openai_responses"]


def written(gs, name, items):
    encoder = gs.SSEEncoder(dialect=name)
    encoder.write_many(items)
    encoder.end()
    return encoder.take().decode(), encoder


def call(gs, start, end, tool="search"):
    e = gs.events
    return [
        e.ToolCallStart("c", tool, start), e.ToolCallDelta("c", "{}"),
        e.ToolCall("c", tool, {}, provider_executed=end),
        e.ToolResult("c", tool, [1], provider_executed=end), "hi", e.Finish(),
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_call_that_is_marked_only_at_its_end_ends_well(gs, name):
    body, encoder = written(gs, name, call(gs, None, True))
    assert not encoder.failed
    assert "truncated_tool_call" not in body
    assert "hi" in body
    reasons = {"ag_ui": '"metadata":{"providerExecuted":true}',
               "ai_sdk": '"finishReason":"stop"', "anthropic": '"stop_reason":"end_turn"',
               "openai_chat": '"finish_reason":"stop"',
               "openai_responses": '"type":"function_call_output","call_id":"c"'}  # fmt: skip
    assert reasons[name] in body


@pytest.mark.parametrize("name", ["anthropic", "openai_chat"])
def test_a_call_that_is_marked_only_at_its_start_is_left_out(gs, name):
    body, encoder = written(gs, name, call(gs, True, None))
    assert not encoder.failed
    assert "search" not in body
    assert "hi" in body


def test_a_call_after_one_that_was_left_out_is_written(gs):
    e = gs.events
    items = [*call(gs, True, None)[:4], e.ToolCall("c", "mine", {"a": 1})]
    body, _ = written(gs, "openai_chat", items)
    assert '"mine"' in body
    assert '"finish_reason":"tool_calls"' in body
