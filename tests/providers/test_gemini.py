"""The Gemini provider against scripted services, by plain sockets."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlsplit

import pytest
from dialect_vectors import load
from scripted_http import HEAD, cut, scripted, stalled

from gaistream import ChatRequest, StreamError, events
from gaistream.errors import InvalidRequest
from gaistream.providers.gemini import GeminiProvider
from gaistream.reading.events import EventDecoder

KEY = "AIza-very-secret"
QUESTION = ChatRequest.from_question("Hi")


def frame(*parts, **fields):
    content = {"role": "model", "parts": list(parts)}
    candidate = {"index": 0, "content": content, **fields}
    return {"candidates": [candidate], "modelVersion": "m", "responseId": "r"}


SAID = frame({"text": "a"})
END = frame({"text": ""}, finishReason="STOP")
READ = [events.Start("r", "m"), events.TextDelta("a"), events.Finish(None, "stop", "STOP")]


def frames(*payloads):
    return "".join(f"data: {json.dumps(each)}\n\n" for each in payloads).encode()


WELL = HEAD + frames(SAID, END)


def answer(body, *headers, status="200 OK", kind="application/json"):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", *headers, "Connection: close"]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def provider_of(server, **settings):
    settings = {"base_url": server.url, "api_key": KEY, "model": "gemini-3", **settings}
    return GeminiProvider(timeout=10, **settings)


def ask(server, request=QUESTION, **settings):
    async def collect():
        return [event async for event in provider_of(server, **settings).stream_text(request)]

    return asyncio.run(collect())


def test_a_question_is_asked_as_the_api_wants_it(http_library):
    with scripted(WELL, WELL, WELL) as server:
        assert ask(server) == READ
        ask(server, base_url=f"{server.url}v1beta?tenant=x")
        ask(server, ChatRequest(QUESTION.messages, "../a?b"), api_key=None)
    (first, headers, body), (again, *_), (quoted, keyless, _) = server.requests
    assert first == "POST /v1/models/gemini-3:streamGenerateContent?alt=sse HTTP/1.1"
    assert headers["x-goog-api-key"] == KEY
    assert "authorization" not in headers
    assert again.startswith("POST /v1beta/models/gemini-3:streamGenerateContent?")
    assert {*urlsplit(again.split()[1]).query.split("&")} == {"tenant=x", "alt=sse"}
    assert quoted.startswith("POST /v1/models/..%2Fa%3Fb:streamGenerateContent?alt=sse ")
    assert "x-goog-api-key" not in keyless
    assert json.loads(body) == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def test_a_request_without_a_model_is_refused():
    provider = GeminiProvider("http://127.0.0.1:1")
    with pytest.raises(InvalidRequest, match="model is missing"):
        asyncio.run(anext(provider.stream_text(QUESTION)))


def test_every_stream_is_read_as_its_dialect_reads_it():
    bodies = [vector["input"].encode() for vector in load("gemini").values()]
    with scripted(*(HEAD + body for body in bodies)) as server:
        for body in bodies:
            decoder = EventDecoder(dialect="gemini")
            expected = decoder.feed(body) + decoder.close()
            assert ask(server) == [each for each in expected if type(each) is not events.Done]


@pytest.mark.parametrize("body", [frame({"text": "a"}, finishReason="STOP"), [SAID, END]])
def test_a_whole_answer_instead_of_a_stream_is_read(body):
    with scripted(answer(body)) as server:
        assert ask(server) == READ


ERROR = {"error": {"code": 1, "status": "X", "message": f"no {KEY}!"}}


@pytest.mark.parametrize(
    ("step", "code", "status", "message"),
    [
        (answer(ERROR, status="401 No"), "provider_auth", 502, "refused the server's credentials"),
        (answer(ERROR, "retry-after: 7", status="429 No"), "rate_limited", 429,
         "has no room for more requests: no …!"),
        (answer(b"<html>boom", status="500 No", kind="text/html"), "provider_failed", 502,
         "failed with status 500"),
        (answer(ERROR, status="400 No"), "provider_rejected", 502, "rejected the request: no …!"),
        (answer(ERROR), "provider_failed", 502, "failed: no …!"),
        (answer({"content": 1}), "provider_failed", 502, "sent JSON instead of text/event-stream"),
        (answer(b"", "Location: http://x/", status="302 There"), "provider_failed", 502,
         "failed with status 302"),
        (b"", "provider_failed", 502, "broke off the exchange"),
    ],
)  # fmt: skip
def test_a_failure_names_the_host_and_not_the_key(http_library, step, code, status, message):
    with scripted(step) as server, pytest.raises(StreamError) as caught:
        ask(server)
    error = caught.value
    assert (error.code, error.status) == (code, status)
    assert error.message == f"the provider at 127.0.0.1 {message}"
    assert error.retry_after == (7 if status == 429 else None)


@pytest.mark.parametrize(
    ("details", "wait"),
    [
        ([{"@type": "QuotaFailure"}, {"@type": "RetryInfo", "retryDelay": "34.5s"}], 34.5),
        ([{"retryDelay": "soon"}, {"retryDelay": 5}, 7], None),
        ([{"retryDelay": "xs"}], None),
        ([{"retryDelay": "-1s"}], None),
        (5, None),
    ],
)
def test_the_seconds_to_wait_may_stand_in_the_error(details, wait):
    body = {"error": {"message": "no", "details": details}}
    steps = [answer(body, status="429 No"), answer(body, "retry-after: 7", status="429 No")]
    with scripted(*steps) as server:
        for expected in (wait, 7):
            with pytest.raises(StreamError) as caught:
                ask(server)
            assert caught.value.retry_after == expected


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ([], "truncated"),
        ([SAID], "truncated"),
        ([SAID, ERROR], "X"),
        ([frame(finishReason="MALFORMED_FUNCTION_CALL")], "MALFORMED_FUNCTION_CALL"),
    ],
)
def test_an_answer_that_breaks_off_ends_in_an_error(said, code):
    body = frames(*said)
    with scripted(HEAD + body, cut(body)) as server:
        for _ in range(2):
            *_, error = ask(server)
            assert error.code == code
            assert KEY not in error.message


def test_a_service_without_room_is_asked_again(monkeypatch):
    monkeypatch.setattr("gaistream.providers.http_provider._FIRST_DELAY", 0.001)
    overloaded = {"error": {"code": 503, "status": "UNAVAILABLE", "message": "x"}}
    with scripted(HEAD + frames(overloaded), WELL) as server:
        assert ask(server, retries=1) == READ


@pytest.mark.parametrize("way", ["cancel", "close"])
def test_a_reader_that_stops_closes_the_connection_at_once(way):
    with scripted(stalled(HEAD + frames(SAID))) as server:  # ends when the client goes

        async def scenario():
            source = provider_of(server).stream_text(QUESTION)
            assert await anext(source) == READ[0]
            assert await anext(source) == READ[1]
            if way == "close":
                await source.aclose()
                return
            task = asyncio.ensure_future(anext(source))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(scenario())
