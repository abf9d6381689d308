"""Answers of an OpenAI-compatible service that are whole JSON or compressed; both libraries."""

from __future__ import annotations

import asyncio
import gzip
import json
import tracemalloc

import pytest
from scripted_http import HEAD, scripted

from gaistream import ChatRequest, events
from gaistream.errors import StreamError
from gaistream.providers.openai import OpenAIProvider

CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n'
STREAM = CHUNK + b"data: [DONE]\n\n"
READ = [events.Start(), events.TextDelta("Hi"), events.Finish(finish_reason="stop")]
FUNCTION = {"name": "look", "arguments": '{"at":1}'}
WHOLE = {
    "id": "1", "model": "m", "object": "chat.completion", "error": None,
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    "choices": [{
        "index": 0, "finish_reason": "tool_calls",
        "message": {
            "role": "assistant", "content": "Hi",
            "tool_calls": [{"id": id, "type": "function", "function": FUNCTION} for id in "ab"],
        },
    }],
}  # fmt: skip


def called(identity):
    return [
        events.ToolCallStart(identity, "look"),
        events.ToolCallDelta(identity, '{"at":1}'),
        events.ToolCall(identity, "look", {"at": 1}),
    ]


def ask(server, client=None, **settings):
    provider = OpenAIProvider(server.url, model="m", client=client, **settings)
    request = ChatRequest.from_question("why")

    async def collect():
        return [event async for event in provider.stream_text(request)]

    return asyncio.run(collect())


def failure(server, **settings):
    with pytest.raises(StreamError) as caught:
        ask(server, **settings)
    return caught.value


def answer(body, kind=b"application/json", status=b"200 OK", coding=b"identity"):
    return (
        b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n%b"
    ) % (status, kind, coding, len(body), body)


def test_a_whole_completion_instead_of_a_stream_is_read(http_library):
    with scripted(answer(json.dumps(WHOLE).encode())) as server:
        assert ask(server) == [
            events.Start("1", "m"),
            events.TextDelta("Hi"),
            *called("a"),
            *called("b"),
            events.Finish(events.Usage(1, 2, 3), "tool_calls"),
        ]


@pytest.mark.parametrize("body", [b'{"error":{"message":"no model"}}', b'{"error":"no  model"}'])
def test_an_error_with_status_200_has_the_services_own_message(http_library, body, caplog):
    with scripted(answer(body)) as server:
        error = failure(server)
    assert (error.code, error.status) == ("provider_failed", 502)
    assert error.message == "the provider at 127.0.0.1 failed: no model"
    assert "the provider at 127.0.0.1 answered 200: no model" in caplog.text


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"choices":[{}]}', b'{"choices":1}', b'"\xff"'])
def test_json_that_is_neither_a_completion_nor_an_error_fails(http_library, body):
    with scripted(answer(body)) as server:
        message = failure(server).message
    assert message == "the provider at 127.0.0.1 sent JSON instead of text/event-stream"


@pytest.mark.parametrize("kind", [b"text/plain", b"", b"application/json, text/event-stream"])
def test_a_stream_of_another_type_is_read(http_library, kind):
    with scripted(answer(STREAM, kind)) as server:
        assert ask(server) == READ


def test_a_client_of_either_library_is_used_whatever_else_is_installed():
    import httpx
    import httpx2

    async def collect(server, client):
        provider = OpenAIProvider(server.url, client=client)
        async with client:
            return [event async for event in provider.stream_text(ChatRequest.from_question("?"))]

    for library in (httpx, httpx2):
        with scripted(answer(STREAM, b"text/event-stream")) as server:
            assert asyncio.run(collect(server, library.AsyncClient(verify=False))) == READ
        assert server.requests[0][1]["user-agent"].startswith(f"python-{library.__name__}/")


def test_a_decompression_bomb_is_read_in_bounded_memory(http_library):
    bomb = gzip.compress(gzip.compress((b":" + b"x" * 65534 + b"\n") * 512))  # 32 MiB
    stream, page = b"text/event-stream", b"text/html"
    asked = {"headers": {"Accept-Encoding": "gzip"}}
    tracemalloc.start()
    try:
        with scripted(
            answer(bomb, stream, coding=b"gzip, gzip"),
            answer(bomb, page, b"400 Bad", b"gzip, gzip"),
            answer(bomb, page, b"400 Bad", b"gzip, gzip"),
            answer(bomb, stream, coding=b"gzip, gzip"),
            answer(gzip.compress(STREAM), stream, coding=b"gzip"),
            answer(b"oops" * 9, stream, coding=b"gzip"),
        ) as server:
            assert "compressed its answer without being asked" in failure(server).message
            for settings in ({}, asked):
                message = failure(server, **settings).message
                assert message == "the provider at 127.0.0.1 rejected the request"
            assert ask(server, **asked) == [
                events.Error("the stream was cut", "truncated")
            ]
            assert ask(server, **asked) == READ
            assert "cannot be decompressed" in failure(server, **asked).message
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("location", [b"http://xn--/", b"http://[", b"x" * 70_000])
def test_a_redirect_to_an_invalid_url_is_a_failure_of_the_provider(http_library, location):
    there = b"HTTP/1.1 302 F\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % location
    with scripted(there) as server:
        assert failure(server).code == "provider_failed"


def test_a_refusal_is_reported_even_if_its_body_does_not_end(http_library, monkeypatch):
    from gaistream.client import http as http_client

    monkeypatch.setattr(http_client, "REFUSED_SECONDS", 0.1)

    def step(connection):
        connection.sendall(HEAD.replace(b"200 OK", b"400 Bad") + b'{"error":"no"}')
        connection.recv(1)

    with scripted(step) as server:
        assert failure(server).message == "the provider at 127.0.0.1 rejected the request: no"
