"""Which content types are read as a stream, by which reader, and what a JSON answer says."""

from __future__ import annotations

import asyncio
import contextlib

import httpx
import pytest
from scripted_http import scripted

from gaistream import read_events
from gaistream.client import ContentTypeError, aconnect_sse, aiter_events, connect_sse, iter_events
from gaistream.http.received import error_message, is_event_stream, media_type

BODY = b'event: text_delta\ndata: {"text":"Hi"}\n\nevent: done\ndata: {}\n\n'
STREAM, LOOSE, NEVER = "always", "unless strict", "never"
TYPES = [
    ("text/event-stream", STREAM),
    ("TEXT/Event-Stream; Charset=UTF-8", STREAM),
    ("application/json, text/event-stream; charset=utf-8", STREAM),
    ('text/event-stream; a="b,c"', STREAM),
    ("", LOOSE),
    ("text/plain; charset=utf-8", LOOSE),
    ("application/json", NEVER),
    ("text/event-stream, application/json", NEVER),
    ("application/problem+json", NEVER),
]
types = pytest.mark.parametrize(("kind", "when"), TYPES)


def answer(kind, body=BODY):
    named = f"Content-Type: {kind}\r\n" if kind else ""
    head = f"HTTP/1.1 200 OK\r\n{named}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def by_client(url, **named):
    with connect_sse(url, **named) as events:
        return len(list(events))


def by_async_client(url, **named):
    async def reading():
        async with aconnect_sse(url, **named) as events:
            return len([event async for event in events])

    return asyncio.run(reading())


def by(read):
    def reading(url, **named):
        with httpx.Client(verify=False) as client, client.stream("GET", url) as response:
            return len(list(read(response, **named)))

    return reading


def by_async(read):
    async def reading(url, named):
        async with httpx.AsyncClient(verify=False) as client, client.stream("GET", url) as response:
            return len([event async for event in read(response, **named)])

    return lambda url, **named: asyncio.run(reading(url, named))


readers = pytest.mark.parametrize(
    "reader",
    [by_client, by_async_client, by(iter_events), by_async(aiter_events), by(read_events),
     by_async(read_events)],
    ids=["client", "async client", "iter", "aiter", "read", "async read"],
)  # fmt: skip


@readers
@types
def test_every_reader_accepts_the_same_types(reader, kind, when):
    for strict in (False, True):
        refused = when == NEVER or (strict and when == LOOSE)
        expected = pytest.raises(ContentTypeError) if refused else contextlib.nullcontext()
        with scripted(answer(kind)) as server, expected:
            assert reader(server.url, strict_content_type=strict) == 2


@readers
def test_the_error_of_a_json_response_has_the_services_message(reader):
    for body in (b'{"error":{"message":"model not loaded"}}', b'{"detail":"model not loaded"}'):
        with scripted(answer("application/json", body)) as server:
            with pytest.raises(
                ContentTypeError, match="json, not text/event-stream: model not"
            ) as e:
                reader(server.url)
        assert (e.value.status, e.value.content_type) == (200, "application/json")
        assert e.value.body == body


@readers
def test_the_error_of_json_without_a_message_names_the_type(reader):
    with scripted(answer("application/json", b"[" * 100_000)) as server:
        with pytest.raises(
            ContentTypeError, match="the answer is application/json, not text/event"
        ):
            reader(server.url)


def test_a_refused_json_response_is_closed():
    """The body was read for its message."""
    with scripted(answer("application/json", b"{}")) as server:
        with httpx.Client(verify=False) as client, client.stream("GET", server.url) as response:
            with pytest.raises(ContentTypeError):
                iter_events(response)
            assert response.is_closed


def test_ndjson_may_have_any_type_unless_strict():
    lines = b'{"type":"done"}\n'
    for kind, strict, read in (
        ("application/json", False, True),
        ("application/json", True, False),
        ("application/jsonl", True, True),
        ("text/event-stream", True, False),
    ):
        expected = (
            contextlib.nullcontext() if read else pytest.raises(ContentTypeError, match="ndjson")
        )
        with scripted(answer(kind, lines)) as server, expected:
            assert by(read_events)(server.url, format="ndjson", strict_content_type=strict) == 1


@types
def test_the_type_of_a_header(kind, when):
    assert is_event_stream(kind) is (when != NEVER)
    assert is_event_stream(kind, strict=True) is (when == STREAM)


def test_the_last_of_several_types_counts_as_for_browsers():
    assert media_type("text/html;a=b, Text/Plain ; c=d") == "text/plain"
    assert media_type("text/plain,") == "text/plain"
    assert media_type("") == ""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":"no"}', "no"),
        (b'{"error":{"message":"no","code":1}}', "no"),
        (b'{"message":"no"}', "no"),
        (b'{"detail":"no"}', "no"),
        (b'{"error":null,"message":"no"}', ""),
        (b'{"error":{"message":[1]}}', ""),
        (b'{"detail":[{"loc":[]}]}', ""),
        (b'["error"]', ""),
        (b"<html>", ""),
        (b"", ""),
        (b"[" * 100_000, ""),
    ],
)
def test_the_message_of_an_error(body, message):
    assert error_message(body) == message
