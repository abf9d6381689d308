"""What mypy accepts and refuses of the public types; an ignore that is not needed is an error."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing, closing
from typing import Any, assert_type
from wsgiref.types import WSGIApplication

from starlette.types import ASGIApp

import gaistream
from gaistream import (
    Message,
    NDJSONOptions,
    Outcome,
    Source,
    SourceItem,
    SSEOptions,
    asgi,
    testing,
    wsgi,
)
from gaistream.dialects import Detector, Dialect, DialectReader, DialectWriter, EventWriter
from gaistream.frameworks import fastapi, starlette


async def source() -> AsyncIterator[SourceItem]:
    yield gaistream.events.TextDelta("a")
    yield "a"
    yield {"type": "done"}
    yield gaistream.ServerSentEvent(json={"a": 1}, event="e")
    yield b": a\n\n"
    yield None


def blocking() -> Iterator[SourceItem]:
    yield 5  # type: ignore[misc]


def kept(outcome: Outcome) -> None:
    assert_type(outcome.message, Message | None)


def told(outcome: Outcome) -> None:
    print(outcome.kind)


async def iterators(any_source: Source) -> None:
    assert_type(gaistream.sse(source(), dialect="raw"), AsyncGenerator[bytes, None])
    assert_type(gaistream.ndjson(blocking()), Generator[bytes, None, None])
    async with aclosing(gaistream.sse(source())) as chunks:
        assert_type(await anext(chunks), bytes)
    with closing(gaistream.sse(blocking())) as frames:
        assert_type(next(frames), bytes)
    channel = gaistream.Channel()
    await channel.put("a")
    assert_type(gaistream.sse(channel), AsyncGenerator[bytes, None])
    texts = gaistream.Channel[str]()
    texts.put_nowait(5)  # type: ignore[arg-type]
    asgi.SSEResponse(texts)
    gaistream.sse(source(), NDJSONOptions())  # type: ignore[call-overload]
    gaistream.sse(source(), dialect="jsn")  # type: ignore[call-overload]
    gaistream.sse(source(), retry_ms=5)  # type: ignore[call-overload]
    asgi.SSEResponse(any_source)


async def messages() -> None:
    events: list[gaistream.events.Event | str] = ["a", gaistream.events.Done()]
    assert_type(gaistream.collect(events), gaistream.Message)
    assert_type(await gaistream.collect(gaistream.read_events(aiter_bytes())), gaistream.Message)
    message = gaistream.Message()
    message.add("text")
    message.add(b"bytes")  # type: ignore[arg-type]
    assert_type(message.tool_calls[0].input, Any)
    assert_type(message.usage, gaistream.events.Usage | None)
    gaistream.collect(5)  # type: ignore[call-overload]


async def aiter_bytes() -> AsyncIterator[bytes]:
    yield b""


def responses() -> None:
    asgi.SSEResponse(source(), SSEOptions(default=str), dialect="json", on_close=told)
    asgi.NDJSONResponse(source(), on_disconnect="continue", continue_seconds=60, on_close=kept)
    wsgi.SSEResponse(source(), on_disconnect="continue", continue_bytes=2**20, helper_thread=True)
    wsgi.NDJSONResponse([], collect=True, on_close=kept)
    asgi.NDJSONResponse(source(), NDJSONOptions())
    wsgi.SSEResponse(blocking(), SSEOptions())
    starlette.SSEResponse(source(), SSEOptions())
    asgi.SSEResponse(source(), NDJSONOptions())  # type: ignore[arg-type]
    wsgi.NDJSONResponse(blocking(), SSEOptions())  # type: ignore[arg-type]
    starlette.NDJSONResponse(source(), SSEOptions())  # type: ignore[arg-type]
    asgi.SSEResponse(source(), dialect="jsn")  # type: ignore[arg-type]
    asgi.SSEResponse(source(), heartbeat_interval=5)  # type: ignore[arg-type]
    starlette.SSEResponse(source(), media_type="text/event-stream")
    starlette.SSEResponse(source(), status=201)  # type: ignore[arg-type]
    asgi.SSEResponse(5)  # type: ignore[arg-type]


def fastapis_responses() -> None:
    made = fastapi.SSEResponse.using(SSEOptions(), dialect="json", heartbeat_interval=5)
    assert_type(made, type[fastapi.SSEResponse])
    made(source(), include_id=True, status_code=201)
    fastapi.NDJSONResponse(source(), compact_json=False, media_type="application/jsonl")
    fastapi.SSEResponse.using(compact_json=True)  # type: ignore[call-arg]
    fastapi.SSEResponse(source(), heartbeat_interval="5")  # type: ignore[arg-type]


class Own(Dialect):
    name = "own"
    writes = reads = ("sse",)
    headers = {"X-Own": "1"}

    def writer(self, format: str, **_: Any) -> DialectWriter:
        return EventWriter()

    def reader(self, format: str) -> DialectReader:
        return DialectReader()


def dialects(provider: gaistream.Provider) -> None:
    gaistream.sse(source(), dialect=Own())
    asgi.SSEResponse(source(), dialect=Own())
    wsgi.SSEResponse(blocking(), dialect=Own())
    starlette.SSEResponse(source(), dialect=Own())
    asgi.sse_handler(provider, gaistream.ChatRequest.from_json, dialect=Own())
    gaistream.SSEEncoder(dialect=Own())
    gaistream.read_events(b"", dialect=Own())
    gaistream.read_events(b"", dialect=Own)  # type: ignore[call-overload]
    assert_type(Detector(Own()).dialect, Dialect | None)


def applications(provider: gaistream.Provider) -> list[ASGIApp]:
    handler = asgi.sse_handler(provider, gaistream.ChatRequest.from_json, dialect="gai")
    asgi.sse_handler(provider, gaistream.ChatRequest.from_json, status=201)  # type: ignore[call-arg]
    return [handler, asgi.SSEResponse(source()), asgi.DrainMiddleware(handler)]


async def tested_asgi(app: ASGIApp) -> None:
    async with testing.stream(app, "POST", "/", json={"a": 1}, query={"a": ["b"]}) as s:
        assert_type(s, testing.ASGIStream)
        assert_type(s.status, int)
        assert_type(await anext(s), gaistream.events.Event)
        assert_type(await anext(s.chunks), bytes)
        assert_type(s.outcome, Outcome | None)
        await s.drain(5, retry_ms=7)
    async with testing.stream(asgi.SSEResponse(source())) as answer:
        assert_type(answer.headers["a"], str)
    testing.stream(5)  # type: ignore[call-overload]


def tested_wsgi(app: WSGIApplication) -> None:
    with testing.stream(app, "GET", "/", timeout=1) as s:
        assert_type(s, testing.WSGIStream)
        assert_type(next(s), gaistream.events.Event)
        s.disconnect(after_bytes=100)
    with testing.stream(wsgi.SSEResponse(source())) as answer:
        assert_type(answer.body, bytes)
    testing.stream(app, lifespan=True)  # type: ignore[call-overload]
