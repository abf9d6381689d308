"""What the writers of all vendors' protocols have in common: held errors, deltas of tool calls."""


import pytest

NAMES = ["ag_ui", "ai_sdk", "anthropic", "openai_chat", "openai_responses"]


def written(gs, name, items, templates=True):
    encoder = gs.SSEEncoder(dialect=name)
    for item in items:
        if not templates:
            encoder.set_templates()  # the dialect is asked for each item
        encoder.write(item)
    encoder.end()
    return encoder.take(), encoder.failed


@pytest.mark.parametrize("name", NAMES)
def test_events_that_are_dicts_end_a_stream_as_events_do(gs, name):
    error = {"type": "error", "error": "no"}
    for items in ([error], [error, {"type": "done"}], [gs.events.Error("no"), {"type": "done"}]):
        body, failed = written(gs, name, ["a", *items])
        assert failed
        assert b'"no"' in body
        assert name == "openai_responses" or b"[DONE]" not in body
        assert b"message_stop" not in body
        assert b"response.completed" not in body
        assert b"RUN_FINISHED" not in body


@pytest.mark.parametrize("error", [{"type": "error", "error": "no"}, None])
def test_plain_text_fails_with_an_error_that_is_a_dict(gs, error):
    with pytest.raises(gs.errors.GaistreamError, match="no"):
        gs.encode_events(["a", error or gs.events.Error("no"), {"type": "done"}],
                         "ndjson", "ai_sdk_text")  # fmt: skip


def calls(gs):
    """Calls that alternate with each other and with text, one of them with a used id."""
    e = gs.events
    return [
        e.Start("answer", "model\ud800"), e.StepStart(), "a", e.ToolCallStart("c\ud800", "f"),
        e.ToolCallDelta("c\ud800", " "), e.ToolCallDelta("c\ud800", ""),
        e.ToolCallDelta("c\ud800", '{"a":'), e.ToolCallDelta("c\ud800", '"\ud83d\u2028'),
        e.ToolCallStart("d", "g"), e.ToolCallDelta("d", "["), e.ToolCallDelta("c\ud800", '\\n"'),
        "b", e.ToolCallDelta("c\ud800", "}"), e.ToolCallDelta("d", "1"), "c",
        e.ToolCallDelta("d", "]"), e.ToolCall("c\ud800", "f", {}), e.ToolCall("d", "g", [1]),
        e.ToolResult("d", "g", 1), e.FinishStep(1), e.ToolCallStart("d", "g"),
        e.ToolCallDelta("d", "{"), e.ToolCallDelta("d", "}"), e.ToolCall("d", "g", {}),
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_deltas_of_calls_are_the_same_with_templates_and_without(gs, name, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 0.0)
    monkeypatch.setattr("os.urandom", bytes)
    body, failed = written(gs, name, calls(gs))
    assert not failed
    assert written(gs, name, calls(gs), templates=False)[0] == body
    deltas = {
        "ai_sdk": b'"inputTextDelta', "anthropic": b'"partial_json', "openai_chat": b'"arguments',
        "openai_responses": b'"response.function_call_arguments.delta', "ag_ui": b'"TOOL_CALL_ARGS',
    }  # fmt: skip
    assert body.count(deltas[name]) >= 9


@pytest.mark.parametrize("name", NAMES)
def test_further_deltas_of_a_call_are_not_asked_of_the_dialect(gs, name, monkeypatch):
    encoder = gs.SSEEncoder(dialect=name)
    e = gs.events
    encoder.write_many([e.Start(), e.ToolCallStart("c", "f"), e.ToolCallDelta("c", "[")])
    asked = []
    writer = type(gs.dialects.find(name).writer("sse"))
    monkeypatch.setattr(writer, "write", lambda self, encoder, item: asked.append(item))
    encoder.write(e.ToolCallDelta("c", "1"))
    assert asked == []
    encoder.write(e.ToolCallDelta("other", "1"))
    assert asked == [e.ToolCallDelta("other", "1")]
