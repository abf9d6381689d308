"""The examples of FastAPI's pages on streams, with `fastapi.sse` and with the import changed.

Every application is made with each module, and what a client reads is compared. Comments and
headers are each module's own.
"""

# FastAPI reads the annotations of the endpoints below: they must not be mere text

import asyncio
import importlib
import json
import sys
from collections.abc import AsyncIterable, Iterable
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from scripted_asgi import Connection, run

pytest.importorskip("fastapi", reason="FastAPI is not installed")

import fastapi
import fastapi.routing
import fastapi.sse
from pydantic import BaseModel

import gaistream
from gaistream.frameworks import fastapi as ours

JSONL = ours.NDJSONResponse.using(dialect="json", media_type="application/jsonl")


class Tool(BaseModel):
    name: str
    note: str | None = None


class Question(BaseModel):
    words: str


TOOLS = [Tool(name="saw", note="cuts\nwood"), Tool(name="file")]


def items(sse: Any) -> fastapi.FastAPI:
    """Items, async and sync, with and without a declared type."""
    app = fastapi.FastAPI()

    @app.get("/async", response_class=sse.EventSourceResponse)
    async def asynchronous() -> AsyncIterable[Tool]:
        for tool in TOOLS:
            yield tool

    @app.get("/sync", response_class=sse.EventSourceResponse)
    def sync() -> Iterable[Tool]:
        yield from TOOLS

    @app.get("/async-untyped", response_class=sse.EventSourceResponse)
    async def untyped():
        for tool in TOOLS:
            yield tool

    @app.get("/sync-untyped", response_class=sse.EventSourceResponse)
    def sync_untyped():
        yield from TOOLS

    return app


def fields(sse: Any) -> fastapi.FastAPI:
    """Events with fields: a comment, names, ids, reconnection times."""
    app = fastapi.FastAPI()

    @app.get("/events", response_class=sse.EventSourceResponse)
    async def events() -> AsyncIterable[sse.ServerSentEvent]:
        yield sse.ServerSentEvent(comment="tools follow")
        for number, tool in enumerate(TOOLS, 1):
            yield sse.ServerSentEvent(data=tool, event="tool", id=str(number), retry=5000)
        yield sse.ServerSentEvent()
        yield sse.ServerSentEvent(data="two\nlines")
        yield sse.ServerSentEvent(data={"é": [1.5, None, True]}, id="")

    return app


def raw(sse: Any) -> fastapi.FastAPI:
    """Data that is not JSON."""
    app = fastapi.FastAPI()

    @app.get("/lines", response_class=sse.EventSourceResponse)
    async def lines() -> AsyncIterable[sse.ServerSentEvent]:
        for line in ("12:00 INFO  started", "two\nlines", "[DONE]"):
            yield sse.ServerSentEvent(raw_data=line)

    return app


def resumed(sse: Any) -> fastapi.FastAPI:
    """A stream that goes on after the id that the client has read."""
    app = fastapi.FastAPI()

    @app.get("/tools", response_class=sse.EventSourceResponse)
    async def tools(
        last_event_id: Annotated[int | None, fastapi.Header()] = None,
    ) -> AsyncIterable[sse.ServerSentEvent]:
        first = 0 if last_event_id is None else last_event_id + 1
        for number in range(first, len(TOOLS)):
            yield sse.ServerSentEvent(data=TOOLS[number], id=str(number))

    return app


def posted(sse: Any) -> fastapi.FastAPI:
    """An answer to a POST request, which has an end."""
    app = fastapi.FastAPI()

    @app.post("/answer", response_class=sse.EventSourceResponse)
    async def answer(question: Question) -> AsyncIterable[sse.ServerSentEvent]:
        for word in question.words.split():
            yield sse.ServerSentEvent(data=word, event="word")
        yield sse.ServerSentEvent(raw_data="[DONE]", event="done")

    return app


def lines(sse: Any) -> fastapi.FastAPI:
    """JSON Lines, for which FastAPI has no class."""
    app = fastapi.FastAPI()

    @app.get("/async", **sse.lines)
    async def asynchronous() -> AsyncIterable[Tool]:
        for tool in TOOLS:
            yield tool

    @app.get("/sync", **sse.lines)
    def sync() -> Iterable[Tool]:
        yield from TOOLS

    @app.get("/async-untyped", **sse.lines)
    async def untyped():
        for tool in TOOLS:
            yield tool

    @app.get("/sync-untyped", **sse.lines)
    def sync_untyped():
        yield from TOOLS

    return app


async def ask(
    app: Any, path: str, method: str = "GET", body: bytes = b"", **headers: str
) -> Connection:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    connection = Connection(method, path, headers=sent, app=app)
    connection.hear(body)
    return await connection.serve(app)


def read(body: bytes) -> list[Any]:
    """Return what a client reads of a body: values as they are, whatever their spaces."""

    def value(data: str) -> Any:
        try:
            return json.loads(data)
        except ValueError:
            return data

    decoder = gaistream.SSEDecoder()
    events = decoder.feed(body)
    return [(each.event, value(str(each.data)), each.id, each.retry) for each in events]


@pytest.mark.parametrize(
    ("make", "request_", "count"),
    [
        *[(items, {"path": f"/{path}"}, 2)
          for path in ("async", "sync", "async-untyped", "sync-untyped")],
        (fields, {"path": "/events"}, 4),
        (raw, {"path": "/lines"}, 3),
        (resumed, {"path": "/tools"}, 2),
        (resumed, {"path": "/tools", "last_event_id": "0"}, 1),
        (resumed, {"path": "/tools", "last_event_id": "1"}, 0),
        (posted, {"path": "/answer", "method": "POST", "content_type": "application/json",
                  "body": b'{"words":"one two"}'}, 3),
    ],
    ids=["async", "sync", "untyped", "sync untyped", "fields", "raw", "from the start", "resumed",
         "at its end", "post"],
)  # fmt: skip
def test_a_client_reads_the_same_when_the_import_is_changed(
    make: Any, request_: Any, count: int
) -> None:
    async def test() -> None:
        native, own = [await ask(make(each), **request_) for each in (fastapi.sse, ours)]
        assert own.status == native.status == 200
        assert own.headers["content-type"] == "text/event-stream"
        assert native.headers["content-type"].startswith("text/event-stream")
        assert "no-cache" in own.headers["cache-control"]
        assert own.headers["x-accel-buffering"] == "no"
        assert read(own.body) == read(native.body)
        assert len(read(own.body)) == count
        comments = [line for line in native.body.split(b"\n") if line.startswith(b": ")]
        assert all(line in own.body.split(b"\n") for line in comments)

    run(test())


def test_a_wrong_request_gets_fastapis_own_answer() -> None:
    async def test() -> None:
        native, own = [
            await ask(posted(each), "/answer", "POST", b"{}", content_type="application/json")
            for each in (fastapi.sse, ours)
        ]
        assert (own.status, own.body) == (native.status, native.body)
        assert own.status == 422

    run(test())


@pytest.mark.parametrize("path", ["/async", "/sync", "/async-untyped", "/sync-untyped"])
def test_json_lines_are_those_of_fastapi(path: str) -> None:
    async def test() -> None:
        native = await ask(lines(SimpleNamespace(lines={})), path)
        own = await ask(lines(SimpleNamespace(lines={"response_class": JSONL})), path)
        assert own.headers["content-type"] == native.headers["content-type"] == "application/jsonl"
        values = [json.loads(line) for line in native.body.splitlines()]
        assert [json.loads(line) for line in own.body.splitlines()] == values
        assert len(values) == 2

    run(test())


@pytest.mark.parametrize("sse", [fastapi.sse, ours], ids=["fastapi", "ours"])
def test_an_idle_stream_is_kept_alive_by_comments(sse: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(fastapi.routing, "_PING_INTERVAL", 0.02)
    response: Any = sse.EventSourceResponse
    if sse is ours:
        response = ours.EventSourceResponse.using(heartbeat_interval=0.02)
    app = fastapi.FastAPI()

    @app.get("/", response_class=response)
    async def idle() -> AsyncIterable[int]:
        yield 1
        await asyncio.Event().wait()

    async def test() -> None:
        connection = Connection(app=app).hear()
        serving = connection.begin(app)
        await connection.until(lambda: connection.body.partition(b"data: 1\n\n")[2].count(b":") > 1)
        connection.leave()
        await serving
        assert len(read(connection.body)) == 1

    run(test())


def test_an_old_fastapi_is_named_when_the_module_is_imported(monkeypatch: Any) -> None:
    for name in [each for each in sys.modules if each.startswith("gaistream.frameworks.fastapi")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi.sse", None)  # as before 0.135
    with pytest.raises(ImportError, match=r"needs fastapi 0\.137\.2 or later: pip"):
        importlib.import_module("gaistream.frameworks.fastapi")


def test_the_names_are_those_of_fastapi() -> None:
    assert ours.ServerSentEvent is fastapi.sse.ServerSentEvent
    assert not issubclass(ours.EventSourceResponse, fastapi.sse.EventSourceResponse)
    with pytest.raises(ValueError, match="single line"):
        ours.ServerSentEvent(event="a\nb")
