"""The Ollama provider against scripted services, by plain sockets."""

from __future__ import annotations

import asyncio
import json

import pytest
from dialect_vectors import load
from scripted_http import HEAD, cut, scripted, stalled

from gaistream import ChatRequest, StreamError, events
from gaistream.providers.ollama import OllamaProvider
from gaistream.reading.events import EventDecoder

KEY = "ollama-very-secret"
QUESTION = ChatRequest.from_question("Hi")
LINES = HEAD.replace(b"text/event-stream", b"application/x-ndjson")


def line(content="", **fields):
    message = {"role": "assistant", "content": content}
    return {"model": "m", "created_at": "t", "message": message, "done": False, **fields}


SAID = line("a")
END = line(done=True, done_reason="stop", prompt_eval_count=3, eval_count=1)
READ = [
    events.Start(None, "m"),
    events.TextDelta("a"),
    events.Finish(events.Usage(3, 1), "stop", "stop"),
]


def lines(*payloads):
    return "".join(f"{json.dumps(each)}\n" for each in payloads).encode()


WELL = LINES + lines(SAID, END)


def answer(body, *headers, status="200 OK", kind="application/json; charset=utf-8"):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", *headers, "Connection: close"]
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body


def provider_of(server, **settings):
    return OllamaProvider(timeout=10, **{"base_url": server.url, "model": "m", **settings})


def ask(server, request=QUESTION, **settings):
    async def collect():
        return [event async for event in provider_of(server, **settings).stream_text(request)]

    return asyncio.run(collect())


def test_a_question_is_asked_as_the_api_wants_it(http_library):
    with scripted(WELL, WELL) as server:
        assert ask(server) == READ
        ask(server, ChatRequest(QUESTION.messages, "n"), base_url=f"{server.url}api", api_key=KEY)
    (first, headers, body), (again, keyed, other) = server.requests
    assert first == again == "POST /api/chat HTTP/1.1"
    assert "authorization" not in headers
    assert keyed["authorization"] == f"Bearer {KEY}"
    assert json.loads(body) == {
        "model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True,
    }  # fmt: skip
    assert json.loads(other)["model"] == "n"


def test_every_stream_is_read_as_its_dialect_reads_it():
    bodies = [vector["input"].encode() for vector in load("ollama").values()]
    with scripted(*(LINES + body for body in bodies)) as server:
        for body in bodies:
            decoder = EventDecoder("ndjson", "ollama")
            expected = decoder.feed(body) + decoder.close()
            assert ask(server) == [each for each in expected if type(each) is not events.Done]


def test_a_whole_answer_instead_of_a_stream_is_read():
    with scripted(answer({**END, "message": {"content": "a"}})) as server:
        assert ask(server) == READ


ERROR = {"error": f"no {KEY}!"}


@pytest.mark.parametrize(
    ("step", "code", "status", "message"),
    [
        (answer(ERROR, status="401 No"), "provider_auth", 502, "refused the server's credentials"),
        (answer(ERROR, "retry-after: 7", status="429 No"), "rate_limited", 429,
         "has no room for more requests: no …!"),
        (answer(b"<html>boom", status="500 No", kind="text/html"), "provider_failed", 502,
         "failed with status 500"),
        (answer(ERROR, status="404 No"), "provider_rejected", 502, "rejected the request: no …!"),
        (answer(ERROR), "provider_failed", 502, "failed: no …!"),
        (answer({"content": 1}), "provider_failed", 502,
         "sent JSON instead of application/x-ndjson"),
        (answer(b"<html>", kind="text/html"), "provider_failed", 502,
         "sent text/html instead of application/x-ndjson"),
        (b"", "provider_failed", 502, "broke off the exchange"),
    ],
)  # fmt: skip
def test_a_failure_names_the_host_and_not_the_key(http_library, step, code, status, message):
    with scripted(step) as server, pytest.raises(StreamError) as caught:
        ask(server, api_key=KEY)
    error = caught.value
    assert (error.code, error.status) == (code, status)
    assert error.message == f"the provider at 127.0.0.1 {message}"
    assert error.retry_after == (7 if status == 429 else None)


@pytest.mark.parametrize(
    ("said", "code"), [([], "truncated"), ([SAID], "truncated"), ([SAID, ERROR], None)]
)
def test_an_answer_that_breaks_off_ends_in_an_error(said, code):
    body = lines(*said)
    broken = cut(body).replace(b"text/event-stream", b"application/x-ndjson")
    half = LINES + body + b'{"model":"m","mess'
    with scripted(LINES + body, broken, half) as server:
        for _ in range(3):
            *_, error = ask(server, api_key=KEY)
            assert (type(error), error.code) == (events.Error, code)
            assert KEY not in error.message


@pytest.mark.parametrize("way", ["cancel", "close"])
def test_a_reader_that_stops_closes_the_connection_at_once(way):
    with scripted(stalled(LINES + lines(SAID))) as server:  # ends when the client goes

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
