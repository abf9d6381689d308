"""Requests that are repeated: before anything of their answer came, and after it if asked for."""

from __future__ import annotations

import asyncio
import json
import time

import httpx
import pytest
from openai_streams import START, STOP, body_of, call, chunk
from scripted_http import HEAD, cut, reset, scripted, stalled
from trio_exchange import on_trio

import gaistream.providers.http_provider as module
from gaistream import ChatRequest, StreamError, events
from gaistream.providers.openai import OpenAIProvider

WELL = HEAD + body_of(chunk(content="a"), STOP, "[DONE]")
READ = [START, events.TextDelta("a"), events.Finish(None, "stop")]
CUT = events.Error("the stream was cut", "truncated")


def refused(status: int, *headers: bytes, body: bytes = b"") -> bytes:
    lines = [b"HTTP/1.1 %d No" % status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"Connection: close", b"", body])


def collect(server, **settings):
    provider = OpenAIProvider(server.url, **{"retries": 2, "timeout": 10, **settings})
    received = []

    async def scenario():
        async for event in provider.stream_text(ChatRequest.from_question("?")):
            received.append(event)

    try:
        asyncio.run(scenario())
    except StreamError as error:
        received.append(error)
    return received


@pytest.fixture(autouse=True)
def short_delays(monkeypatch):
    monkeypatch.setattr(module, "_FIRST_DELAY", 0.001)


@pytest.mark.parametrize(
    "failing",
    [
        refused(408), refused(409), refused(429), refused(500), refused(529),
        refused(400, b"x-should-retry: true"),
        reset(b""), HEAD, HEAD + body_of({"error": {"message": "x", "type": "server_error"}}),
    ],
)  # fmt: skip
def test_what_fails_before_its_answer_is_asked_again(http_library, failing):
    with scripted(failing, WELL) as server:
        assert collect(server) == READ
    assert server.requests[0][2] == server.requests[1][2]


@pytest.mark.parametrize(
    "failing",
    [
        refused(400), refused(401), refused(403), refused(404), refused(302),
        refused(500, b"x-should-retry: false"), refused(503, b"Retry-After: 61"),
        HEAD.replace(b"text/event-stream", b"text/html"),
        HEAD + body_of({"error": {"message": "x", "type": "invalid_request_error"}}),
    ],
)  # fmt: skip
def test_what_would_fail_again_is_asked_once(failing):
    with scripted(failing) as server:
        assert len(collect(server)) == 1


def test_no_answer_in_time_is_asked_again():
    with scripted(stalled(b""), WELL) as server:
        assert collect(server, timeout=0.2) == READ


def test_by_default_nothing_is_asked_again():
    with scripted(refused(500)) as server:
        assert collect(server, retries=0)[0].code == "provider_failed"
    with pytest.raises(ValueError, match="retries must be at least 0, not -1"):
        OpenAIProvider(retries=-1)


def test_the_last_failure_is_the_callers():
    with scripted(refused(500), refused(502), refused(429, b"Retry-After: 0")) as server:
        (error,) = collect(server)
    assert (error.code, error.retry_after) == ("rate_limited", 0)
    with scripted(HEAD, HEAD, HEAD) as server:
        assert collect(server) == [CUT]


@pytest.mark.parametrize(
    ("header", "least"), [(b"Retry-After: 0.3", 0.3), (b"retry-after-ms: 300", 0.3)]
)
def test_a_retry_after_is_obeyed(header, least):
    with scripted(refused(429, header), WELL) as server:
        began = time.monotonic()
        assert collect(server) == READ
    assert time.monotonic() - began >= least


def test_an_answer_that_has_begun_is_not_asked_again():
    with scripted(cut(body_of(chunk(content="a")))) as server:
        assert collect(server) == [*READ[:2], CUT]


@pytest.mark.parametrize(
    "begun",
    [
        [chunk(content="old")],
        [call('{"a', name="f", id="c1")],
        [chunk(content="old"), {"error": {"message": "x", "code": "overloaded"}}],
    ],
)
def test_with_restart_what_was_said_is_void_and_the_request_is_repeated(http_library, begun):
    with scripted(cut(body_of(*begun)), cut(body_of(*begun)), WELL) as server:
        received = collect(server, restart=True)
    resets = [at for at, event in enumerate(received) if event == events.StepReset()]
    assert len(resets) == 2
    assert received[resets[-1] + 1 :] == READ[1:]
    assert received.count(START) == 1


def test_a_restart_that_fails_too_ends_in_its_error():
    with scripted(cut(body_of(chunk(content="a"))), refused(400)) as server:
        *received, error = collect(server, restart=True)
    assert received == [*READ[:2], events.StepReset()]
    assert error.code == "provider_rejected"


def test_a_cancellation_ends_the_wait_for_a_repetition():
    async def scenario(server):
        source = OpenAIProvider(server.url, retries=1).stream_text(ChatRequest.from_question("?"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await anext(source)

    with scripted(refused(429, b"Retry-After: 30")) as server:
        asyncio.run(scenario(server))


def test_a_redirect_is_not_followed_even_by_a_client_that_would(http_library):
    there = refused(307, b"Location: http://127.0.0.1:9/")

    async def scenario(server):
        library = http_library
        async with library.AsyncClient(follow_redirects=True) as client:
            provider = OpenAIProvider(server.url, client=client)
            return [event async for event in provider.stream_text(ChatRequest.from_question("?"))]

    with scripted(there) as server, pytest.raises(StreamError, match="failed with status 307"):
        asyncio.run(scenario(server))


def test_the_body_is_json():
    with scripted(WELL) as server:
        collect(server)
    assert json.loads(server.requests[0][2])["stream"] is True


def test_on_trio_the_wait_and_the_repetition_are_the_same():
    async def scenario():
        async with httpx.AsyncClient() as client:
            provider = OpenAIProvider(server.url, client=client, retries=1)
            source = provider.stream_text(ChatRequest.from_question("?"))
            assert [event async for event in source] == READ

    with scripted(refused(429, b"Retry-After: 0.01"), WELL) as server:
        on_trio(scenario)
