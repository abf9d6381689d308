"""The OpenAI provider with the Responses API, against scripted services."""

from __future__ import annotations

import asyncio
import json

import pytest
from dialect_vectors import load
from scripted_http import HEAD, cut, scripted

from gaistream import ChatRequest, StreamError, events
from gaistream.providers.openai import OpenAIProvider
from gaistream.reading.events import EventDecoder

KEY = "sk-very-secret-key"
VECTORS = {name: vector["input"].encode() for name, vector in load("openai_responses").items()}


def ask(server, **settings):
    provider = OpenAIProvider(server.url, api="responses", api_key=KEY, model="m", **settings)

    async def collect():
        return [event async for event in provider.stream_text(ChatRequest.from_question("Hi"))]

    return asyncio.run(collect())


def whole(answer):
    body = json.dumps(answer).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def test_every_stream_is_read_as_its_dialect_reads_it(http_library):
    with scripted(*(HEAD + body for body in VECTORS.values())) as server:
        for body in VECTORS.values():
            decoder = EventDecoder(dialect="openai_responses")
            expected = decoder.feed(body) + decoder.close()
            assert ask(server) == [each for each in expected if type(each) is not events.Done]
    first, headers, body = server.requests[0]
    assert first == "POST /responses HTTP/1.1"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert json.loads(body) == {
        "model": "m",
        "input": [{"type": "message", "role": "user", "content": "Hi"}],
        "store": False,
        "stream": True,
    }


RESPONSE = {
    "id": "resp_1", "object": "response", "model": "m", "created_at": 1, "status": "completed",
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}],
         "encrypted_content": "gAAAAB"},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
         "content": [{"type": "output_text", "text": "a", "annotations": []},
                     {"type": "refusal", "refusal": "No."}]},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f",
         "arguments": '{"x":1}', "status": "completed"},
    ],
    "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ("tool_calls", None)),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
         ("length", "max_output_tokens")),
    ],
)  # fmt: skip
def test_a_whole_response_instead_of_a_stream_is_read(changes, reason):
    with scripted(whole({**RESPONSE, **changes})) as server:
        assert ask(server) == [
            events.Start("resp_1", "m"),
            events.ReasoningDelta("hm"),
            events.ReasoningEnd(signature="gAAAAB", id="rs_1"),
            events.TextDelta("a"),
            events.TextDelta("No."),
            events.ToolCallStart("c1", "f"),
            events.ToolCallDelta("c1", '{"x":1}'),
            events.ToolCall("c1", "f", {"x": 1}),
            events.Finish(events.Usage(1, 2, 3), *reason),
        ]


def test_a_response_that_failed_and_json_of_another_kind_are_errors():
    error = {"code": "server_error", "message": f"boom {KEY}"}
    with scripted(whole({**RESPONSE, "status": "failed", "error": error}), whole([])) as server:
        with pytest.raises(StreamError, match=r"at 127.0.0.1 failed: boom …$"):
            ask(server)
        with pytest.raises(StreamError, match="sent JSON instead of text/event-stream"):
            ask(server)


def test_a_stream_that_is_cut_within_a_call_ends_in_an_error():
    call = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": ""}
    frames = [
        {"type": "response.created", "response": {**RESPONSE, "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": call},
        {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 0,
         "delta": '{"x'},
    ]  # fmt: skip
    body = "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in frames)
    with scripted(cut(body.encode())) as server:
        *_, error = ask(server)
    assert error.code == "truncated_tool_call"


def test_another_api_is_refused():
    with pytest.raises(ValueError, match="api must be 'chat' or 'responses', not 'completions'"):
        OpenAIProvider(api="completions")  # type: ignore[arg-type]
