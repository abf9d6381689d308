"""What a test sees of an app is what a client of a real server sees of it."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from real_servers import SECONDS, serve_uvicorn, serve_wsgiref
from tested_apps import Watched

import gaistream
from gaistream import SSEOptions, events, wsgi
from gaistream.asgi import NDJSONResponse, SSEResponse
from gaistream.errors import StreamError
from gaistream.testing import stream

FINISH = events.Finish(finish_reason="stop", usage=events.Usage(1, 2, 3))
MAKERS: dict[str, Callable[[], Any]] = {
    "answer": lambda: SSEResponse(Watched("a", "b", FINISH).events()),
    "lines": lambda: NDJSONResponse(Watched("a", FINISH).events()),
    "OpenAI": lambda: SSEResponse(Watched("a", FINISH).events(), dialect="openai_chat"),
    "early error": lambda: SSEResponse(Watched(StreamError("no", status=404)).events()),
    "late error": lambda: SSEResponse(Watched("a", StreamError("no")).events()),
    "fault": lambda: SSEResponse(Watched("a", KeyError("secret")).events()),
    "blocking": lambda: SSEResponse(Watched("a", FINISH).blocking()),
    "silent": lambda: SSEResponse(
        Watched("a", waits=True).events(), SSEOptions(heartbeat_interval=0.1), source_timeout=0.25
    ),
}
OWN = {"date", "server", "transfer-encoding", "connection"}  # a server's headers


def app(outcomes: Any) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        response = MAKERS[scope["path"][1:]]()
        response._on_close = outcomes.put
        await response(scope, receive, send)

    return app


@pytest.fixture(scope="module")
def served() -> Any:
    outcomes: queue.Queue[Any] = queue.Queue()
    with serve_uvicorn(app(outcomes), "h11", "asyncio") as server:
        yield server.url, outcomes


@pytest.mark.parametrize("name", MAKERS)
def test_uvicorn_shows_the_same(name: str, served: Any) -> None:
    async def main() -> None:
        async with stream(app(outcomes), "GET", f"/{name}") as s:
            await s.advance(1)
            assert s.status == real.status_code
            headers = {each: value for each, value in real.headers.items() if each not in OWN}
            assert dict(s.headers) == headers
            body = await s.read()
            assert name == "OpenAI" or body == real.content  # its frames have an id and a time
            if s.status == 200:
                kind = real.headers["content-type"]
                format = "ndjson" if "ndjson" in kind else "sse"
                dialect = "openai_chat" if name == "OpenAI" else "gai"
                read = [event async for event in s]
                expected = list(gaistream.read_events(real.content, format, dialect))
                skip = name == "OpenAI"  # the Start, which has the id
                assert read[skip:] == expected[skip:]
        ended = outcomes.get(timeout=SECONDS)
        assert (ended.kind, ended.events) == (real_end.kind, real_end.events)

    url, real_outcomes = served
    outcomes: queue.Queue[Any] = queue.Queue()
    real = httpx.get(f"{url}/{name}")
    real_end = real_outcomes.get(timeout=SECONDS)
    asyncio.run(main())


def test_a_client_that_leaves_is_seen_alike(served: Any) -> None:
    url, real_outcomes = served
    outcomes: queue.Queue[Any] = queue.Queue()
    MAKERS["endless"] = lambda: SSEResponse(Watched("a", waits=True).events())

    async def main() -> None:
        async with stream(app(outcomes), "GET", "/endless") as s:
            await anext(s)

    with httpx.stream("GET", f"{url}/endless") as real:
        assert next(gaistream.read_events(real)) == events.TextDelta("a")
    asyncio.run(main())
    del MAKERS["endless"]
    kinds = [each.get(timeout=SECONDS).kind for each in (outcomes, real_outcomes)]
    assert kinds == ["client_gone", "client_gone"]


def test_wsgiref_shows_the_same() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        items = ["a", KeyError("secret")] if environ["PATH_INFO"] == "/fault" else ["a", FINISH]
        return wsgi.SSEResponse(Watched(*items).blocking())(environ, start_response)

    with serve_wsgiref(app) as server:
        for path in ("/", "/fault"):
            real = httpx.get(server.url + path)
            with stream(app, "GET", path) as s:
                assert (s.status, s.read()) == (real.status_code, real.content)
                assert list(s) == list(gaistream.read_events(real.content))
