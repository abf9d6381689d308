"""OpenAI's Chat Completions, written: the chunks of each event, the end, and the failures."""

from __future__ import annotations

import json

import pytest

DONE = "[DONE]"


def write(gs, *items, **options):
    """Return the data of the frames of a stream, as JSON values where they are."""
    encoder = gs.SSEEncoder(dialect=gs.dialects.openai_chat(**options))
    for item in items:
        encoder.write(item)
    encoder.end()
    frames = encoder.take().decode().split("\n\n")
    assert frames.pop() == ""
    assert all(frame.startswith("data: ") and "\n" not in frame for frame in frames)
    return [data if data == DONE else json.loads(data) for data in (each[6:] for each in frames)]


def deltas(gs, *items, **options):
    """Return the deltas between the role and the finish reason, then this reason."""
    *chunks, done = write(gs, *items, **options)
    assert done == DONE
    choices = [chunk["choices"][0] for chunk in chunks]
    assert choices[0]["delta"] == {"role": "assistant", "content": ""}
    assert choices[-1]["delta"] == {}
    assert {choice["finish_reason"] for choice in choices[:-1]} == {None}
    return [choice["delta"] for choice in choices[1:-1]], choices[-1]["finish_reason"]


def call(index, text, **fields):
    return {"tool_calls": [{"index": index, "function": {"arguments": text}, **fields}]}


def begun(index, identity, name, text=""):
    function = {"name": name, "arguments": text}
    return {"tool_calls": [
        {"index": index, "id": identity, "type": "function", "function": function}
    ]}  # fmt: skip


def test_a_whole_stream_with_counts(gs):
    events = gs.events
    usage = events.Usage(11, 7, 18, 5, 3, 4)
    chunks = write(gs, events.Start("i", "m"), "Hé\u2028", events.Finish(usage, "length"),
                   events.Done(), include_usage=True)  # fmt: skip
    assert chunks[-1] == DONE
    heads = [{**chunk, "choices": None, "usage": None} for chunk in chunks[:-1]]
    assert all(head == heads[0] for head in heads)
    assert (heads[0]["id"], heads[0]["model"]) == ("i", "m")
    assert heads[0]["object"] == "chat.completion.chunk"
    assert type(heads[0]["created"]) is int
    assert [chunk["choices"] for chunk in chunks[1:-1]] == [
        [{"index": 0, "delta": {"content": "Hé\u2028"}, "finish_reason": None}],
        [{"index": 0, "delta": {}, "finish_reason": "length"}], [],
    ]  # fmt: skip
    assert chunks[-2]["usage"] == {
        "prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18,
        "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }  # fmt: skip


def test_counts_only_when_asked_for_and_known(gs):
    finish = gs.events.Finish(gs.events.Usage(1, 2), "stop")
    assert "usage" not in json.dumps(write(gs, finish))
    assert "usage" not in json.dumps(write(gs, "a", include_usage=True))
    usage = write(gs, finish, include_usage=True)[-2]["usage"]
    assert usage == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def test_the_model_of_the_dialect_and_ids_that_are_made(gs):
    start = gs.events.Start("i", "m")
    assert write(gs, start, model="own")[0]["model"] == "own"
    first, other = write(gs, "a")[0], write(gs, "a")[0]
    assert first["model"] == ""
    assert first["id"].startswith("chatcmpl-")
    assert first["id"] != other["id"]
    assert {chunk["id"] for chunk in write(gs, "a", start)[:-1]} != {"i"}  # the first counts


def test_each_delta(gs):
    events = gs.events
    items = [
        ("a", {"content": "a"}),
        (events.ReasoningDelta("r"), {"reasoning_content": "r"}),
        (events.ReasoningEnd("x", "s"), {"reasoning_details": [
            {"type": "reasoning.text", "text": "", "signature": "s", "id": "x", "index": 0}]}),
        (events.ReasoningEnd(redacted="d"), {"reasoning_details": [
            {"type": "reasoning.encrypted", "data": "d", "format": "anthropic-claude-v1",
             "index": 1}]}),
        (events.Citations([events.Citation("u", 1, 2, "t")]), {"annotations": [
            {"index": 0, "type": "url_citation", "url_citation":
             {"url": "u", "title": "t", "start_index": 1, "end_index": 2}}]}),
        (events.Citations([events.Citation("v")]), {"annotations": [
            {"index": 1, "type": "url_citation", "url_citation":
             {"url": "v", "title": "", "start_index": 0, "end_index": 0}}]}),
        (events.ToolCallStart("c", "f"), begun(0, "c", "f")),
        (events.ToolCallDelta("c", '{"a":'), call(0, '{"a":')),
        (events.ToolCallStart("d", "g"), begun(1, "d", "g")),
        ("b", {"content": "b"}),
        (events.ToolCallDelta("c", "1}"), call(0, "1}")),
        (events.ToolCall("d", "g", signature="s"),
         call(1, "{}", extra_content={"google": {"thought_signature": "s"}})),
        (events.ToolCall("e", "h", [1, "ü"]), begun(2, "e", "h", '[1,"ü"]')),
    ]  # fmt: skip
    whole = events.ToolCall("c", "f", {"a": 1})
    expected = [delta for _, delta in items]
    assert deltas(gs, *(item for item, _ in items), whole) == (expected, "tool_calls")


def test_events_that_the_protocol_cannot_say_are_left_out(gs):
    events = gs.events
    unsaid = [
        "", events.TextDelta(""), events.ReasoningDelta(""), events.ReasoningEnd("i"),
        events.Safety("c", "block"), events.StepStart(), events.FinishStep(1), events.StepReset(),
        events.Data("n", 1), events.File("image/png", url="u"), events.ApprovalRequest("a", "c"),
        events.Raw({"x": 1}), events.Citations([]), events.ToolCallDelta("unknown", "{}"), None,
        events.ToolCallStart("c", "f", provider_executed=True), events.ToolCallDelta("c", "{}"),
        events.ToolCall("c", "f", {}, provider_executed=True), events.ToolResult("c", "f", 1),
    ]  # fmt: skip
    assert deltas(gs, *unsaid) == ([], "stop")


def test_sound_is_written_so_that_the_pieces_can_be_joined(gs):
    audio = gs.events.AudioDelta
    chunks, _ = deltas(gs, audio(b"a"), audio(b"bcde"), audio(b"fgh"))
    pieces = [chunk["audio"] for chunk in chunks]
    assert [piece.get("data") for piece in pieces] == ["YWJj", "ZGVm", "Z2g="]
    assert pieces[0]["id"]
    assert ["id" in piece for piece in pieces] == [True, False, False]
    assert pieces[-1]["transcript"] == ""
    assert type(pieces[-1]["expires_at"]) is int


@pytest.mark.parametrize(("ours", "theirs"), [
    ("stop", "stop"), ("length", "length"), ("content_filter", "content_filter"), (None, "stop"),
    ("tool_calls", "stop"), ("pause", "stop"), ("cancelled", "stop"), ("odd", "stop"),
])  # fmt: skip
def test_finish_reasons(gs, ours, theirs):
    assert deltas(gs, "a", gs.events.Finish(None, ours))[1] == theirs


def test_the_reason_is_tool_calls_only_while_the_client_is_to_run_a_tool(gs):
    events = gs.events
    calls = [events.ToolCall("c", "f"), events.ToolCall("d", "f")]
    for reason in (None, "tool_calls"):
        finish = events.Finish(None, reason)
        answers = [events.ToolResult("c", "f", 1), events.ToolResult("d", "f", 1)]
        assert deltas(gs, *calls, finish)[1] == "tool_calls"
        assert deltas(gs, *calls, answers[0], finish)[1] == "tool_calls"
        assert deltas(gs, *calls, *answers, finish)[1] == "stop"
    assert deltas(gs, *calls)[1] == "tool_calls"
    assert deltas(gs, *calls, events.Finish(None, "length"))[1] == "length"


def test_the_last_finish_counts(gs):
    finish = gs.events.Finish
    assert deltas(gs, finish(None, "length"), "a", finish(None, "stop"))[1] == "stop"


@pytest.mark.parametrize(("code", "kind"), [
    (None, "server_error"), ("truncated", "server_error"), ("rate_limited", "rate_limit_error"),
    ("overloaded_error", "overloaded_error"), ("provider_rejected", "invalid_request_error"),
])  # fmt: skip
def test_a_last_error_ends_the_stream_without_the_terminator(gs, code, kind):
    events = gs.events
    error = {"error": {"message": "no", "type": kind, "param": None, "code": code}}
    assert write(gs, events.Error("no", code)) == [error]
    assert write(gs, "a", events.Error("no", code), None)[2:] == [error]
    assert write(gs, "a", events.Error("no", code), events.Done())[2:] == [error]
    encoder = gs.SSEEncoder(dialect="openai_chat")
    encoder.write(events.Error("no", code))
    encoder.end(gs.StreamError("later"))
    assert encoder.failed
    assert json.loads(encoder.take()[6:]) == error


def test_an_error_that_is_not_the_last_event_is_left_out(gs):
    error = gs.events.Error("a tool failed")
    assert deltas(gs, error, "a", error, gs.events.Error("b"), "c") == (
        [{"content": "a"}, {"content": "c"}], "stop"
    )  # fmt: skip


def test_a_failure_and_half_a_call_end_in_an_error(gs):
    events = gs.events
    half = [events.ToolCallStart("c", "f"), events.ToolCallDelta("c", "{")]
    for end in ([], [events.Finish(None, "tool_calls")], [events.Done()]):
        assert write(gs, *half, *end)[-1]["error"]["code"] == "truncated_tool_call"
    for failure, message in ((gs.StreamError("busy", code="x"), "busy"), (OSError(), "internal")):
        encoder = gs.SSEEncoder(dialect="openai_chat")
        encoder.write("a")
        encoder.end(failure)
        assert encoder.ended
        assert encoder.failed
        assert message in encoder.take().decode().rsplit("data: ", 1)[1]


def test_a_step_that_is_taken_back_fails_if_a_part_of_it_was_written(gs):
    events = gs.events
    between = [events.FinishStep(1), events.StepStart(), events.StepReset()]
    assert deltas(gs, "a", *between, "b")[0] == [{"content": "a"}, {"content": "b"}]
    encoder = gs.SSEEncoder(dialect="openai_chat")
    encoder.write_many([events.StepStart(), "a", events.StepReset()])
    assert encoder.ended
    assert encoder.failed
    assert b'"code":"step_reset"' in encoder.take()


def test_an_event_that_cannot_be_encoded_changes_nothing(gs):
    options = gs.SSEOptions(errors="strict")
    encoder = gs.SSEEncoder(options, dialect="openai_chat")
    with pytest.raises(UnicodeEncodeError):
        encoder.write(gs.events.TextDelta("\ud800"))
    assert encoder.take() == b""
    encoder.write("a")
    assert b"assistant" in encoder.take()


def test_the_native_heartbeat_is_an_empty_delta_between_the_chunks(gs):
    encoder = gs.SSEEncoder(gs.SSEOptions(heartbeat="native"), dialect="openai_chat")
    encoder.write_heartbeat()
    assert encoder.take() == b": keep-alive\n\n"
    encoder.write(gs.events.Start("i", "m"))
    encoder.write(gs.events.Error("no"))
    role = json.loads(encoder.take()[6:])
    encoder.write_heartbeat()
    choice = {"index": 0, "delta": {}, "finish_reason": None}
    assert json.loads(encoder.take()[6:]) == {**role, "choices": [choice]}
    encoder.end()
    assert encoder.failed


@pytest.mark.parametrize("options", [{"model": 1}, {"include_usage": 1}])
def test_options_of_wrong_types(gs, options):
    with pytest.raises(gs.errors.FrameTypeError, match=f"{next(iter(options))} must be"):
        gs.dialects.openai_chat(**options)
