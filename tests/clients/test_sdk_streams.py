"""Streams of the vendors' SDKs as sources of events: each way to open one, against a service."""

from __future__ import annotations

import asyncio
import json

import anthropic
import openai
import pytest
from openai_streams import body_of, call, chunk, usage
from scripted_http import HEAD, cut, scripted, stalled

from gaistream import StreamError, encode_events, events
from gaistream.providers import from_anthropic, from_openai
from gaistream.reading.events import EventDecoder

KEY = "sk-very-secret-key"
ASKED = {"model": "m", "messages": [{"role": "user", "content": "?"}]}
INPUT = {"model": "m", "input": "?"}
CHAT = body_of(
    chunk(role="assistant", content=""), chunk(reasoning_content="hm"), chunk(content="Hé "),
    chunk(content="\ud83d"), chunk(content="\ude00"),
    call('{"ci', name="f", index=0, id="c1"), call('ty": 1}', index=0),
    chunk("tool_calls"), usage(3, 1), "[DONE]",
)  # fmt: skip
START = {
    "type": "message_start",
    "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
        "stop_reason": None, "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 1},
    },
}  # fmt: skip


def block(index, opening, *deltas):
    about = {"index": index}
    yield {"type": "content_block_start", **about, "content_block": opening}
    for delta in deltas:
        yield {"type": "content_block_delta", **about, "delta": delta}
    yield {"type": "content_block_stop", **about}


def frames(*payloads):
    parts = (f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in payloads)
    return "".join(parts).encode()


MESSAGES = frames(
    START,
    *block(0, {"type": "thinking", "thinking": "", "signature": ""},
           {"type": "thinking_delta", "thinking": "hm"},
           {"type": "signature_delta", "signature": "s"}),
    *block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Hé"}),
    *block(2, {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
           {"type": "input_json_delta", "partial_json": '{"x"'},
           {"type": "input_json_delta", "partial_json": ": 1}"}),
    {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None},
     "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
)  # fmt: skip


RESPONSES = encode_events(
    [
        events.Start("resp_1", "m"), events.ReasoningDelta("hm"),
        events.ReasoningEnd(signature="s", id="rs_1"), events.TextDelta("Hé"),
        events.ToolCallStart("c1", "f"), events.ToolCallDelta("c1", '{"ci'),
        events.ToolCallDelta("c1", 'ty": 1}'), events.ToolCall("c1", "f", {"city": 1}),
        events.Finish(events.Usage(3, 1, 4), "tool_calls"), events.Done(),
    ],
    dialect="openai_responses",
)  # fmt: skip
BODIES = {
    "openai": (CHAT, "openai_chat", body_of(chunk(content="a"))),
    "responses": (RESPONSES, "openai_responses", RESPONSES[: RESPONSES.index(b"\n\n") + 2]),
    "anthropic": (MESSAGES, "anthropic", frames(START)),
}
"""A whole body, its dialect, and a body that has only begun."""


def chat_of(client):
    return client.chat.completions


# name: (source of a client, the client's class, what opens a stream, the body, its dialect)
OPENED = {
    "openai create": (
        from_openai, openai.OpenAI, lambda c: chat_of(c).create(**ASKED, stream=True),
    ),
    "openai stream": (from_openai, openai.OpenAI, lambda c: chat_of(c).stream(**ASKED)),
    "openai async create": (
        from_openai, openai.AsyncOpenAI, lambda c: chat_of(c).create(**ASKED, stream=True),
    ),
    "openai async stream": (from_openai, openai.AsyncOpenAI, lambda c: chat_of(c).stream(**ASKED)),
    "responses create": (
        from_openai, openai.OpenAI, lambda c: c.responses.create(**INPUT, stream=True),
    ),
    "responses stream": (from_openai, openai.OpenAI, lambda c: c.responses.stream(**INPUT)),
    "responses async create": (
        from_openai, openai.AsyncOpenAI, lambda c: c.responses.create(**INPUT, stream=True),
    ),
    "responses async stream": (
        from_openai, openai.AsyncOpenAI, lambda c: c.responses.stream(**INPUT),
    ),
    "anthropic create": (
        from_anthropic, anthropic.Anthropic,
        lambda c: c.messages.create(**ASKED, max_tokens=9, stream=True),
    ),
    "anthropic stream": (
        from_anthropic, anthropic.Anthropic, lambda c: c.messages.stream(**ASKED, max_tokens=9),
    ),
    "anthropic async create": (
        from_anthropic, anthropic.AsyncAnthropic,
        lambda c: c.messages.create(**ASKED, max_tokens=9, stream=True),
    ),
    "anthropic async stream": (
        from_anthropic, anthropic.AsyncAnthropic,
        lambda c: c.messages.stream(**ASKED, max_tokens=9),
    ),
}  # fmt: skip


def client_of(kind, server):
    url = f"{server.url}v1" if issubclass(kind, openai.OpenAI | openai.AsyncOpenAI) else server.url
    return kind(api_key=KEY, base_url=url, max_retries=0, timeout=5)


def ask(name, server, *, most=100):
    """Return the events of a source that is opened in this way, and the error that it raised."""
    source_of, kind, open_stream = OPENED[name]
    received = []

    async def collect():
        async with client_of(kind, server) as client, source_of(open_stream(client)) as source:
            async for event in source:
                received.append(event)
                if len(received) == most:
                    break

    try:
        if "async" in name:
            asyncio.run(collect())
        else:
            with client_of(kind, server) as client, source_of(open_stream(client)) as source:
                for event in source:
                    received.append(event)
                    if len(received) == most:
                        break
    except StreamError as error:
        received.append(error)
    assert KEY not in str(received)
    return received


def expected(body, dialect):
    decoder = EventDecoder(dialect=dialect)
    read = decoder.feed(body) + decoder.close()
    return [event for event in read if type(event) is not events.Done]


@pytest.mark.parametrize("name", OPENED)
def test_a_stream_is_read_as_its_dialect_reads_it(name):
    body, dialect, _ = BODIES[name.split()[0]]
    with scripted(HEAD + body) as server:
        assert ask(name, server) == expected(body, dialect)


@pytest.mark.parametrize("name", [name for name in OPENED if name.split()[1] != "create"])
def test_a_refusal_is_the_error_of_a_provider(name):
    error = {"error": {"type": "x", "message": f"slow {KEY}"}, "type": "error"}
    body = json.dumps(error).encode()
    head = b"Content-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n"
    lines = b"HTTP/1.1 429 No\r\nRetry-After: 7\r\n" + head % len(body) + b"\r\n"
    with scripted(lines + body) as server:
        (failed,) = ask(name, server)
    assert (failed.code, failed.status, failed.retry_after) == ("rate_limited", 429, 7)
    assert failed.message == "the provider at 127.0.0.1 has no room for more requests: slow …"


@pytest.mark.parametrize("name", OPENED)
def test_a_stream_that_is_cut_ends_in_an_error(name):
    body, _, _ = BODIES[name.split()[0]]
    half = body[: body.rindex(b": 1}") if name.startswith("anthropic") else body.index(b"ty\\")]
    half = half[: half.rindex(b"\n\n") + 2]
    with scripted(HEAD + half, cut(half)) as server:
        for _ in range(2):
            *_, error = ask(name, server)
            assert (type(error), error.code) == (events.Error, "truncated_tool_call")


@pytest.mark.parametrize("name", OPENED)
def test_an_error_within_the_stream_keeps_its_message_and_code(name):
    error = {"type": "overloaded_error", "message": f"full {KEY}"}
    payload = {"type": "error", "error": error}
    _, _, said = BODIES[name.split()[0]]
    with scripted(HEAD + said + frames(payload)) as server:
        *_, last = ask(name, server)
    assert last == events.Error("full …", "overloaded_error")


@pytest.mark.parametrize("name", OPENED)
def test_a_service_that_is_silent_is_a_timeout(name):
    _, kind, _ = OPENED[name]
    _, _, said = BODIES[name.split()[0]]

    class Impatient(kind):
        def __init__(self, **settings):
            super().__init__(**{**settings, "timeout": 0.3})

    changed = {**OPENED, name: (OPENED[name][0], Impatient, OPENED[name][2])}
    with pytest.MonkeyPatch.context() as patch, scripted(stalled(HEAD + said)) as server:
        patch.setitem(OPENED, name, changed[name])
        *_, error = ask(name, server)
    assert (error.code, error.status) == ("provider_timeout", 504)


@pytest.mark.parametrize("name", OPENED)
def test_a_reader_that_stops_closes_the_connection(name):
    _, _, said = BODIES[name.split()[0]]
    with scripted(stalled(HEAD + said)) as server:  # ends when the client goes
        assert len(ask(name, server, most=1)) == 1


@pytest.mark.parametrize("name", ["openai create", "anthropic create"])
def test_a_source_that_is_never_read_closes_its_stream(name):
    source_of, kind, open_stream = OPENED[name]
    with scripted(stalled(HEAD)) as server, client_of(kind, server) as client:
        stream = open_stream(client)
        source_of(stream).close()
        assert stream.response.is_closed


@pytest.mark.parametrize("name", ["openai async create", "anthropic async create"])
def test_an_async_source_that_is_never_read_closes_its_stream(name):
    source_of, kind, open_stream = OPENED[name]

    async def scenario(server):
        async with client_of(kind, server) as client:
            stream = await open_stream(client)
            await source_of(stream).aclose()
            assert stream.response.is_closed
            await source_of(open_stream(client)).aclose()  # never awaited: no warning

    with scripted(stalled(HEAD)) as server:
        asyncio.run(scenario(server))
