"""Streams of OpenAI's Chat Completions protocol, and the events that each is read as."""

from __future__ import annotations

import json
from typing import Any

from gaistream import events

DONE = "[DONE]"

START = events.Start("chatcmpl-1", "m")
END = (events.Finish(None, "stop"), events.Done())
CUT = events.Error("the stream was cut", "truncated")


def chunk(finish: str | None = None, /, **delta: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": "m",
        "choices": [choice],
    }


def call(arguments: str, /, name: str | None = None, **fields: Any) -> dict[str, Any]:
    function = {"arguments": arguments} | ({} if name is None else {"name": name})
    return chunk(tool_calls=[{**fields, "function": function}])


def usage(prompt: int, completion: int) -> dict[str, Any]:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion}
    return chunk() | {"choices": [], "usage": counts | {"total_tokens": prompt + completion}}


def body_of(*frames: object) -> bytes:
    texts = (frame if isinstance(frame, str) else json.dumps(frame) for frame in frames)
    return "".join(f"data: {text}\n\n" for text in texts).encode()


def called(identity: str, name: str, *texts: str, value: Any = None) -> list[events.Event]:
    """Return the events of a tool call whose arguments come in these pieces."""
    deltas = [events.ToolCallDelta(identity, text) for text in texts]
    value = json.loads("".join(texts)) if texts else value
    whole = events.ToolCall(identity, name, value)
    return [events.ToolCallStart(identity, name), *deltas, whole]


STOP = chunk("stop")
FLAGGED = {"categories": {"hate": True, "spam": False}, "category_scores": {"hate": 0.5}}

# fmt: off
STREAMS: dict[str, tuple[list[object], list[events.Event]]] = {  # name: (frames, events)
    "text, and usage after the finish reason": (
        [chunk(role="assistant", content=""), chunk(content="Hé"), STOP, usage(3, 1), DONE],
        [START, events.TextDelta("Hé"), events.Finish(events.Usage(3, 1), "stop"), events.Done()],
    ),
    "usage in the chunk of the finish reason": (
        [chunk("length") | {"usage": {"prompt_tokens": 1}}, chunk() | {"usage": {}}, DONE],
        [START, events.Finish(events.Usage(1), "length"), events.Done()],
    ),
    "no terminator, but a finish reason": ([STOP], [START, *END]),
    "a terminator, but no finish reason": (
        [chunk(content="a"), DONE], [START, events.TextDelta("a"), events.Finish(), END[1]],
    ),
    "reasoning under either name": (
        [chunk(reasoning_content="a", reasoning="a"), chunk(reasoning="b"), STOP],
        [START, events.ReasoningDelta("a"), events.ReasoningDelta("b"), events.ReasoningEnd(),
         *END],
    ),
    "a refusal": ([chunk(refusal="No."), STOP], [START, events.TextDelta("No."), *END]),
    "tool calls in fragments": (
        [call('{"ci', name="f", index=0, id="c1"), call('ty": "Paris"}', index=0),
         call("", name="g", index=1, id="c2"), STOP, DONE],
        [START, *called("c1", "f", '{"ci', 'ty": "Paris"}'), *called("c2", "g"), *END],
    ),
    "tool calls without an index": (
        [call("1", name="f", id="c1"), call("2", name="g", id="c2"), call("3", id="c2"), STOP],
        [START, *called("c1", "f", "1")[:2], *called("c2", "g", "2", "3")[:3],
         events.ToolCall("c1", "f", 1), events.ToolCall("c2", "g", 23), *END],
    ),
    "tool calls that all have the index 0": (
        [call("1", name="f", index=0, id="c1"), call("2", name="g", index=0, id="c2"), STOP],
        [START, *called("c1", "f", "1")[:2], *called("c2", "g", "2")[:2],
         events.ToolCall("c1", "f", 1), events.ToolCall("c2", "g", 2), *END],
    ),
    "a tool call without an id, in the older form": (
        [chunk(function_call={"name": "h", "arguments": {"a": 1}}), STOP],
        [START, *called("call_1", "h", value={"a": 1}), *END],
    ),
    "a late fragment of a complete tool call": (
        [call("[1]", name="f", index=0, id="c1"), call("2", name="g", index=1, id="c2"),
         call("9", index=0), call(" ", index=0), STOP],
        [START, *called("c1", "f", "[1]"), *called("c2", "g", "2")[:2],
         events.Raw({"tool_calls": [{"index": 0, "function": {"arguments": "9"}}]}),
         events.ToolCall("c2", "g", 2), *END],
    ),
    "a filtered answer": (
        [chunk("content_filter")],
        [START, events.Safety("content_filter", "block"), events.Finish(None, "content_filter"),
         events.Done()],
    ),
    "a moderation chunk": (
        [STOP | {"moderation": {"input": {"results": [FLAGGED]}, "output": {"type": "error"}}}],
        [START, events.Safety("hate", "warn", 0.5, note="input"), *END],
    ),
    "sound and its transcript": (
        [chunk(audio={"data": "AAE=", "transcript": "Hi"}), chunk(audio={"data": "?"}), STOP],
        [START, events.TextDelta("Hi"), events.AudioDelta(b"\x00\x01"),
         events.Raw({"audio": {"data": "?"}}), *END],
    ),
    "signed reasoning, its text only in the details": (
        [chunk(reasoning_details=[{"type": "reasoning.text", "text": "a", "signature": "s"},
                                  {"type": "reasoning.summary", "summary": "b"}]),
         chunk(reasoning_details=[{"type": "reasoning.encrypted", "data": "e", "id": "r"}]),
         chunk(reasoning_details=[{"data": "d", "format": "anthropic-claude-v1"}]), STOP],
        [START, events.ReasoningDelta("a"), events.ReasoningEnd(signature="s"),
         events.ReasoningDelta("b"), events.ReasoningEnd("r", "e"),
         events.ReasoningEnd(redacted="d"), *END],
    ),
    "citations": (
        [chunk(annotations=[
            {"type": "url_citation",
             "url_citation": {"url": "u", "title": "t", "start_index": 1, "end_index": 2}},
            {"type": "url_citation", "url_citation": {"url": "v", "start_index": -1}},
            {"type": "file"}]), STOP],
        [START, events.Citations([events.Citation("u", 1, 2, "t"), events.Citation("v")]),
         events.Raw({"annotations": [{"type": "file"}]}), *END],
    ),
    "content in parts": (
        [chunk(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]},
                        {"type": "text", "text": "b"}, {"type": "x"}]), STOP],
        [START, events.ReasoningDelta("a"), events.ReasoningEnd(), events.TextDelta("b"),
         events.Raw([{"type": "x"}]), *END],
    ),
    "finish reasons of other protocols": (
        [chunk("end_turn")],
        [START, events.Finish(None, "other", raw_reason="end_turn"), END[1]],
    ),
    "an error as the finish reason": (
        [chunk("error"), DONE], [START, events.Error("the provider failed", "error")],
    ),
    "an error in the middle": (
        [chunk(), {"error": {"message": "too busy", "code": None, "type": "busy"}}, STOP, DONE],
        [START, events.Error("too busy", "busy")],
    ),
    "an error that is a string": ([{"error": "no"}], [events.Error("no")]),
    "an error object": (
        [{"object": "error", "message": "bad", "code": 400}], [events.Error("bad", "400")],
    ),
    "an empty body": ([], [CUT]),
    "a cut after a tool call": (
        [call('{}', name="f", index=0, id="c1")], [START, *called("c1", "f", "{}")[:2], CUT],
    ),
    "a frame that is not JSON": (
        ["<html>"], [events.Error("the stream has a frame that is not JSON", "invalid_frame")],
    ),
    "unknown fields": (
        [{}, "5", "null", {"choices": None}, {"choices": [3]},
         {"choices": [{"index": 1, "delta": {"content": "x"}}], "usage": None, "x": 1},
         {"choices": [{"delta": None}]}, chunk(x=1, tool_calls=[None]), chunk(content=[1]), STOP],
        [events.Start(), events.Raw([1]), *END],
    ),
    "a gateway's nameless first chunk": (
        [{"id": "", "model": "", "choices": [], "prompt_filter_results": []}, STOP], [START, *END],
    ),
}
# fmt: on
