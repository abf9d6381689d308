"""The message that events make, readable after each of them."""

from __future__ import annotations

import copy
import pickle
from types import ModuleType

import pytest

import gaistream as package
from gaistream.events import TextDelta


def test_a_whole_answer(gs: ModuleType) -> None:
    events = gs.events
    usage = events.Usage(1, 2)
    message = gs.collect([
        events.Start("answer_1", "model"),
        events.ReasoningDelta("because"),
        events.ReasoningEnd("r1", "signed"),
        "Hello",
        None,
        events.TextDelta(", world"),
        events.Citations([events.Citation("https://example.com", 0, 5)]),
        events.Safety("violence", "allowed", 0.1),
        events.AudioDelta(b"ab", events.AudioFormat("audio/pcm")),
        events.AudioDelta(b"cd", events.AudioFormat("audio/pcm")),
        events.File("image/png", data=b"png"),
        events.Data("weather", {"sun": True}),
        events.Raw({"any": 1}),
        events.Finish(usage, "stop", "end_turn"),
        events.Done(),
    ])  # fmt: skip
    assert (message.id, message.model) == ("answer_1", "model")
    assert (message.text, message.reasoning) == ("Hello, world", "because")
    assert message.citations == (events.Citation("https://example.com", 0, 5),)
    assert message.safety == (events.Safety("violence", "allowed", 0.1),)
    assert (message.audio, message.audio_format) == (b"abcd", events.AudioFormat("audio/pcm"))
    assert message.files == (events.File("image/png", data=b"png"),)
    assert message.data == (events.Data("weather", {"sun": True}),)
    assert (message.usage, message.finish_reason, message.raw_reason) == (usage, "stop", "end_turn")
    assert message.complete
    assert message.error is None
    assert message.errors == ()


def test_an_empty_message(gs: ModuleType) -> None:
    message = gs.collect([])
    assert (message.text, message.reasoning, message.usage) == ("", "", None)
    assert message.tool_calls == ()
    assert not message.complete
    assert message.to_openai() == {"role": "assistant", "content": None}
    assert message.to_anthropic() == []
    assert message.to_ui_message() == {"id": "", "role": "assistant", "parts": []}
    assert repr(message) == "Message()"


def test_it_is_read_while_a_call_is_streamed(gs: ModuleType) -> None:
    events = gs.events
    message = gs.Message()
    for event in (
        events.ToolCallStart("1", "search"),
        "text beside it",
        events.ToolCallDelta("1", '{"query": "sn'),
    ):
        message.add(event)
    [call] = message.tool_calls
    assert (call.name, call.arguments, call.input, call.complete) == (
        "search", '{"query": "sn', None, False,
    )  # fmt: skip
    assert message.to_ui_message()["parts"][1] == {
        "type": "tool-search", "toolCallId": "1", "state": "input-streaming",
        "input": {"query": "sn"}, "rawInput": '{"query": "sn',
    }  # fmt: skip
    message.add(events.ToolCallDelta("1", 'ow"}'))
    message.add(events.ToolCall("1", "search", {"query": "snow"}, "signed"))
    message.add(events.ToolResult("1", "search", ["found"]))
    [after] = message.tool_calls
    assert (after.input, after.arguments) == ({"query": "snow"}, '{"query": "snow"}')
    assert (after.complete, after.signature) == (True, "signed")
    assert after.result == events.ToolResult("1", "search", ["found"])
    assert not call.complete  # what was read does not change
    assert message.text == "text beside it"


def test_a_reset_step_is_void(gs: ModuleType) -> None:
    events = gs.events
    message = gs.collect([
        "kept ", events.ToolCall("1", "a"), events.FinishStep(1), events.StepStart(2, "again"),
        events.ReasoningDelta("void"), "void", events.ToolCall("2", "b"), events.ToolCall("1", "c"),
        events.Citations([events.Citation("void")]), events.Error("a report"),
        events.Data("void", 5, "id"), events.StepReset(), events.Data("void", 6, "id"),
        "said", events.ToolResult("1", "a", 5),
    ])  # fmt: skip
    assert (message.text, message.reasoning, message.citations) == ("kept said", "", ())
    assert [(call.name, call.result.result) for call in message.tool_calls] == [("a", 5)]
    assert message.data == (events.Data("void", 6, "id"),)
    assert message.step_count == 2
    assert message.errors == ()


def test_an_error_is_the_streams_only_if_it_is_the_last_event(gs: ModuleType) -> None:
    events = gs.events
    message = gs.Message()
    message.add("a")
    message.add(events.Error("report", "slow", 3))
    assert message.error == events.Error("report", "slow", 3)
    message.add(events.TextDelta("b"))
    assert message.error is None
    assert message.errors == (events.Error("report", "slow", 3),)
    assert [part["type"] for part in message.to_ui_message()["parts"]] == [
        "step-start", "text", "data-error",
    ]  # fmt: skip
    assert message.text == "ab"
    message.add(events.Finish())
    message.add(events.Error("failed"))
    assert message.error == events.Error("failed")
    assert not message.complete


def test_data_with_an_id_are_replaced_and_transient_ones_are_not_kept(gs: ModuleType) -> None:
    data = gs.events.Data
    events = [data("a", 1, "x"), data("b", 2), data("b", 3), data("a", 4, "x"), data("c", 5, "x")]
    message = gs.collect([*events, data("a", 6, "x", True)])
    assert message.data == (data("a", 4, "x"), data("b", 2), data("b", 3), data("c", 5, "x"))


def test_events_after_done_are_discarded(gs: ModuleType) -> None:
    message = gs.collect(["a", gs.events.Done(), "b", gs.events.Error("late")])
    assert (message.text, message.error, message.complete) == ("a", None, True)


def test_text_and_reasoning_are_blocks_in_the_order_of_the_stream(gs: ModuleType) -> None:
    events = gs.events
    message = gs.collect([
        "a", events.ReasoningDelta("b"), events.ReasoningDelta("c"), "d", "", events.FinishStep(1),
        events.ReasoningEnd(), "e", events.ReasoningEnd("id", None, "secret"), "f",
    ])  # fmt: skip
    assert message.to_anthropic() == [
        {"type": "text", "text": "a"},
        {"type": "thinking", "thinking": "bc", "signature": ""},
        {"type": "text", "text": "d"},
        {"type": "text", "text": "e"},
        {"type": "redacted_thinking", "data": "secret"},
        {"type": "text", "text": "f"},
    ]
    assert message.to_openai()["reasoning_details"] == [
        {"type": "reasoning.encrypted", "data": "secret", "index": 0, "id": "id"},
    ]


@pytest.mark.parametrize("wrong", [b"frame", 5, {"type": "text_delta", "text": "a"}, object()])
def test_anything_else_is_refused(gs: ModuleType, wrong: object) -> None:
    message = gs.Message()
    message.add("a")
    with pytest.raises(gs.errors.EventError, match=f"not {type(wrong).__name__}"):
        message.add(wrong)
    message.add("b")
    assert message.text == "ab"


def test_a_copy_goes_its_own_way(gs: ModuleType) -> None:
    message = gs.Message()
    message.add("a")
    copied = copy.deepcopy(message)
    copied.add("b")
    message.add("c")
    assert (message.text, copied.text) == ("ac", "ab")


def test_a_pickle_holds_the_message() -> None:
    message = package.collect(["a", TextDelta("b")])
    again = pickle.loads(pickle.dumps(message))
    again.add("c")
    assert (again.text, message.text) == ("abc", "ab")


def test_a_reset_step_takes_back_what_it_changed_in_earlier_steps(gs: ModuleType) -> None:
    e = gs.events
    message = gs.collect([
        e.ToolCall("1", "a"), e.ToolCall("2", "b"), e.ToolResult("1", "a", "kept"),
        e.ApprovalRequest("ask", "1"), e.Data("weather", "kept", "x"), e.FinishStep(1),
        e.StepStart(2), e.ToolResult("1", "a", "void"), e.ToolResult("2", "b", "void"),
        e.ApprovalRequest("void", "2"), e.ApprovalRequest("void", "1"),
        e.Data("weather", "void", "x"), e.Data("weather", "void again", "x"), e.StepReset(),
    ])  # fmt: skip
    first, second = message.tool_calls
    assert first.result == e.ToolResult("1", "a", "kept")
    assert first.approval == e.ApprovalRequest("ask", "1")
    assert (second.result, second.approval) == (None, None)
    assert message.data == (e.Data("weather", "kept", "x"),)
    message.add(e.Data("weather", "new", "x"))
    assert message.data == (e.Data("weather", "new", "x"),)


def test_audio_between_steps_is_of_a_new_one_that_can_be_reset(gs: ModuleType) -> None:
    e = gs.events
    message = gs.collect([e.AudioDelta(b"a"), e.FinishStep(1), e.AudioDelta(b"b"), e.StepReset()])
    assert message.audio == b"a"


def test_a_done_after_an_error_adds_nothing(gs: ModuleType) -> None:
    message = gs.collect(["a", gs.events.Error("no"), gs.events.Done()])
    assert message.error == gs.events.Error("no")
    assert message.errors == (gs.events.Error("no"),)
    assert not message.complete
