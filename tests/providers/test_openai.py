"""The requests and answers of the OpenAI provider, against a real server."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial

import httpx
import pytest
from openai_service import KEY, QUESTION, Service, ask, failure, provider_of
from openai_streams import CUT, DONE, END, START, STOP, STREAMS, body_of, chunk

import gaistream.providers.http_provider as module
from gaistream import StreamError, events
from gaistream.asgi import sse_handler
from gaistream.chat import ChatRequest
from gaistream.providers.openai import OpenAIProvider
from gaistream.reading.events import EventDecoder


@pytest.mark.parametrize("name", STREAMS)
def test_the_provider_yields_the_events_of_its_reader_whatever_the_chunks(
    service: Service, name: str
) -> None:
    frames, expected = STREAMS[name]
    body = body_of(*frames)
    service.reply = service.streaming(*(body[at : at + 7] for at in range(0, len(body), 7)))
    assert ask(service) == [event for event in expected if type(event) is not events.Done]


def test_the_request_has_the_fields_and_headers_of_the_protocol(service: Service) -> None:
    service.reply = service.streaming(body_of(STOP, DONE))
    extra = {"top_p": 1, "stream": False, "stream_options": {"x": 1}}
    messages = [{"role": "user", "content": "Hi \ud800"}]
    ask(service, ChatRequest(messages, None, 0.5, 9, extra), headers={"X-Team": "a"})
    scope, body = service.requests[0]
    assert (scope["method"], scope["path"]) == ("POST", "/v1/chat/completions")
    headers = dict(scope["headers"])
    assert headers[b"authorization"] == f"Bearer {KEY}".encode()
    assert (headers[b"content-type"], headers[b"x-team"]) == (b"application/json", b"a")
    assert headers[b"accept-encoding"] == b"identity"
    assert body.pop("messages") == [{"role": "user", "content": "Hi \ufffd"}]
    assert body.pop("stream_options") == {"x": 1, "include_usage": True}
    settings = {"model": "m", "temperature": 0.5, "max_tokens": 9}
    assert body == settings | {"top_p": 1, "stream": True}
    ask(service, api_key=None, model=None, base_url=f"{service.url}?api-version=1")
    scope, body = service.requests[1]
    assert (scope["path"], scope["query_string"]) == ("/v1/chat/completions", b"api-version=1")
    assert b"authorization" not in dict(scope["headers"])
    assert "model" not in body


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, f"bad {KEY}", ("provider_auth", 502, "refused the server's credentials")),
        (403, "no", ("provider_auth", 502, "refused the server's credentials")),
        (429, "slow\ndown", ("rate_limited", 429, "has no room for more requests: slow down")),
        (400, f"no {KEY}!", ("provider_rejected", 502, "rejected the request: no …!")),
        (404, None, ("provider_rejected", 502, "rejected the request")),
        (500, "boom", ("provider_failed", 502, "failed with status 500: boom")),
        (302, None, ("provider_failed", 502, "failed with status 302")),
    ],
)  # fmt: skip
def test_the_message_of_a_refusal_holds_no_secret_and_no_html(
    service: Service, status: int, body: str | None, expected: tuple[str, int, str]
) -> None:
    content = b"<html>secret page</html>"
    if body is not None:
        content = json.dumps({"error": {"message": body, "type": "x"}}).encode()
    service.reply = service.streaming(content, status=status)
    error = failure(service)
    message = error.message.removeprefix("the provider at 127.0.0.1 ")
    assert (error.code, error.status, message) == expected
    assert error.retry_after is None


@pytest.mark.parametrize("value", ["7", "7.5", "date", "soon", "-1", "nan"])
def test_a_rate_limit_has_the_seconds_of_its_retry_after(service: Service, value: str) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    header = later if value == "date" else value
    service.reply = service.streaming(status=429, headers={"retry-after": header})
    wait = failure(service).retry_after
    if value == "date":
        assert wait is not None
        assert 30 < wait <= 90
    else:
        assert wait == {"7": 7.0, "7.5": 7.5}.get(value)


def test_with_hold_headers_a_refusal_becomes_the_status_of_our_response(service: Service) -> None:
    service.reply = service.streaming(status=429, headers={"retry-after": "7"})
    app = sse_handler(provider_of(service), lambda _: QUESTION, hold_headers=True)

    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/")

    answer = asyncio.run(get())
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json()["error"]["code"] == "rate_limited"


def test_html_instead_of_a_stream_is_an_error_with_its_type(service: Service) -> None:
    page = {"content-type": "Text/HTML; charset=utf-8"}
    service.reply = service.streaming(b"<html>", headers=page)
    error = failure(service)
    assert (error.code, error.status) == ("provider_failed", 502)
    assert error.message == "the provider at 127.0.0.1 sent text/html instead of text/event-stream"


def test_a_broken_connection_is_a_cut_unless_the_answer_is_complete(service: Service) -> None:
    service.reply = service.streaming(body_of(chunk(content="a")), end="breaks")
    assert ask(service) == [START, events.TextDelta("a"), CUT]
    service.reply = service.streaming(body_of(STOP), end="breaks")
    assert ask(service) == [START, END[0]]


def test_no_connection_and_no_answer_in_time_are_different_errors(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    error = failure(service, base_url=f"http://127.0.0.1:{port}")
    assert (error.code, error.status) == ("provider_unreachable", 502)
    assert str(port) not in error.message
    for reply in (service.wait_for_disconnect, service.streaming(body_of(chunk()), end="waits")):
        service.reply = reply
        error = failure(service, timeout=0.1)
        assert (error.code, error.status) == ("provider_timeout", 504)


def test_secrets_are_removed_from_errors_and_an_event_beyond_the_limit_fails(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.reply = service.streaming(body_of({"error": {"message": f"{KEY} and team-secret"}}))
    assert ask(service, headers={"X-Key": "team-secret"}) == [events.Error("… and …")]
    monkeypatch.setattr(module, "EventDecoder", partial(EventDecoder, max_event_bytes=10))
    assert failure(service).code == "provider_failed"


def test_events_before_one_beyond_the_limit_are_yielded(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EventDecoder", partial(EventDecoder, max_event_bytes=1000))
    service.reply = service.streaming(body_of(chunk(content="a"), chunk(content="b" * 1000)))
    received = []

    async def scenario() -> None:
        async for event in provider_of(service).stream_text(QUESTION):
            received.append(event)

    with pytest.raises(StreamError, match="too large"):
        asyncio.run(scenario())
    assert received == [START, events.TextDelta("a")]


def test_bad_settings_are_refused_without_showing_the_key() -> None:
    for base_url in ("ftp://x", "api.openai.com", "http://", "http://[::1"):
        with pytest.raises(ValueError, match="base_url must be"):
            OpenAIProvider(base_url)
    with pytest.raises(ValueError, match="api_key must be printable ASCII"):
        OpenAIProvider(api_key=f"{KEY}\n")


def test_without_httpx_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("httpx", "httpx2"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=r"pip install 'gaistream\[httpx\]'"):
        OpenAIProvider()
