"""The Anthropic provider against scripted services, by plain sockets."""

from __future__ import annotations

import asyncio
import json

import pytest
from dialect_vectors import load
from scripted_http import HEAD, cut, scripted

from gaistream import ChatRequest, StreamError, events
from gaistream.providers.anthropic import AnthropicProvider
from gaistream.reading.events import EventDecoder

KEY = "sk-ant-very-secret"
QUESTION = ChatRequest.from_question("Hi")
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
    "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 0},
}  # fmt: skip
BEGIN = {"type": "message_start", "message": MESSAGE}
TEXT = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
USE = {
    "type": "content_block_start", "index": 0,
    "content_block": {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
}  # fmt: skip


def delta(**fields):
    return {"type": "content_block_delta", "index": 0, "delta": fields}


SAID = delta(type="text_delta", text="a")
END = [
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 2},
    },
    {"type": "message_stop"},
]
READ = [
    events.Start("msg_1", "m"),
    events.TextDelta("a"),
    events.Finish(events.Usage(3, 2), "stop", "end_turn"),
]


def frames(*payloads):
    parts = (f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in payloads)
    return "".join(parts).encode()


WELL = HEAD + frames(BEGIN, TEXT, SAID, *END)


def answer(body, *headers, status="200 OK", kind="application/json"):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", *headers, "Connection: close"]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def ask(server, request=QUESTION, **settings):
    settings = {"base_url": server.url, "api_key": KEY, "model": "m", "timeout": 10, **settings}
    provider = AnthropicProvider(**settings)

    async def collect():
        return [event async for event in provider.stream_text(request)]

    return asyncio.run(collect())


def failure(*steps, **settings):
    with scripted(*steps) as server, pytest.raises(StreamError) as caught:
        ask(server, **settings)
    assert KEY not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
    return caught.value


def test_a_question_is_asked_as_the_api_wants_it(http_library):
    with scripted(WELL, WELL) as server:
        assert ask(server) == READ
        ask(server, base_url=f"{server.url}v1", headers={"Anthropic-Version": "2023-06-01"})
    (first, headers, body), (again, changed, _) = server.requests
    assert first == again == "POST /v1/messages HTTP/1.1"
    assert (headers["x-api-key"], headers["anthropic-version"]) == (KEY, "2026-10-21")
    assert "authorization" not in headers
    assert changed["anthropic-version"] == "2023-06-01"
    assert json.loads(body) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 16384,
        "stream": True,
    }


def test_every_stream_is_read_as_its_dialect_reads_it():
    bodies = [vector["input"].encode() for vector in load("anthropic").values()]
    with scripted(*(HEAD + body for body in bodies)) as server:
        for body in bodies:
            decoder = EventDecoder(dialect="anthropic")
            expected = decoder.feed(body) + decoder.close()
            assert ask(server) == [each for each in expected if type(each) is not events.Done]


WHOLE = {
    **MESSAGE,
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"x": 1}},
    ],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 3, "output_tokens": 2},
}


def test_a_whole_message_instead_of_a_stream_is_read():
    with scripted(answer(WHOLE)) as server:
        received = ask(server)
    assert received == [
        events.Start("msg_1", "m"),
        events.ReasoningDelta("hm"),
        events.ReasoningEnd(signature="s"),
        events.ReasoningEnd(redacted="xyz"),
        events.TextDelta("a"),
        events.ToolCallStart("t1", "f"),
        events.ToolCall("t1", "f", {"x": 1}),
        events.Finish(events.Usage(3, 2), "tool_calls", "tool_use"),
    ]


ERROR = {"type": "error", "error": {"type": "x", "message": f"no {KEY}!"}}


@pytest.mark.parametrize(
    ("step", "code", "status", "message"),
    [
        (answer(ERROR, status="401 No"), "provider_auth", 502, "refused the server's credentials"),
        (answer(ERROR, "retry-after: 7", status="429 No"), "rate_limited", 429,
         "has no room for more requests: no …!"),
        (answer(ERROR, status="529 No"), "provider_failed", 502,
         "failed with status 529: no …!"),
        (answer(b"<html>boom", status="500 No", kind="text/html"), "provider_failed", 502,
         "failed with status 500"),
        (answer(ERROR, status="413 No"), "provider_rejected", 502, "rejected the request: no …!"),
        (answer(ERROR), "provider_failed", 502, "failed: no …!"),
        (answer({"content": 1}), "provider_failed", 502,
         "sent JSON instead of text/event-stream"),
        (answer(b"", "Location: http://x/", status="302 There"), "provider_failed", 502,
         "failed with status 302"),
        (b"", "provider_failed", 502, "broke off the exchange"),
    ],
)  # fmt: skip
def test_a_failure_names_the_host_and_not_the_key(http_library, step, code, status, message):
    error = failure(step)
    assert (error.code, error.status) == (code, status)
    assert error.message == f"the provider at 127.0.0.1 {message}"
    assert error.retry_after == (7 if status == 429 else None)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ([], "truncated"),
        ([BEGIN, TEXT, SAID], "truncated"),
        ([BEGIN, USE, delta(type="input_json_delta", partial_json='{"a')], "truncated_tool_call"),
        ([BEGIN, TEXT, {"type": "error", "error": {"type": "overloaded_error", "message": KEY}}],
         "overloaded_error"),
    ],
)  # fmt: skip
def test_an_answer_that_breaks_off_ends_in_an_error(said, code):
    with scripted(HEAD + frames(*said), cut(frames(*said))) as server:
        for _ in range(2):
            *_, error = ask(server)
            assert error.code == code
            assert KEY not in error.message


def test_an_overload_before_the_answer_is_asked_again(monkeypatch):
    monkeypatch.setattr("gaistream.providers.http_provider._FIRST_DELAY", 0.001)
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}
    with scripted(HEAD + frames(overloaded), WELL) as server:
        assert ask(server, retries=1) == READ
