"""Apps of frameworks in process, whatever they stream with; the fixture; the plugins' loops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import anyio.lowlevel
import pytest
from loops import MODES
from pydantic import BaseModel
from required import need_package
from tested_apps import Watched

import gaistream
from gaistream import events, wsgi
from gaistream.frameworks.starlette import SSEResponse
from gaistream.testing import stream
from gaistream.testing.fixtures import open_stream  # noqa: F401

Run = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]


class Question(BaseModel):
    """The body of a request."""

    q: str


def starlette_app(watched: Watched) -> Any:
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    async def chat(request: Any) -> Any:
        asked = (await request.json())["q"]
        return SSEResponse(Watched(asked, waits=True).events(), on_close=watched.outcomes.append)

    async def raw(request: Any) -> Any:
        async def chunks() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"data: on and on\n\n"
                    await anyio.lowlevel.checkpoint()
            finally:
                watched.closed += 1

        return StreamingResponse(chunks(), media_type="text/event-stream")

    return Starlette(routes=[Route("/chat", chat, methods=["POST"]), Route("/raw", raw)])


def fastapi_app(watched: Watched) -> Any:
    from fastapi import FastAPI

    app = FastAPI()

    @app.post("/chat")
    async def chat(question: Question) -> Any:
        source = Watched(question.q, waits=True).events()
        return SSEResponse(source, on_close=watched.outcomes.append)

    return app


def litestar_app(watched: Watched) -> Any:
    need_package("litestar")
    import litestar
    from litestar.handlers import asgi

    from gaistream import ChatRequest
    from gaistream.asgi import sse_handler

    class Echo:
        async def stream_text(self, request: ChatRequest) -> Any:
            return Watched("why", waits=True).events()

    async def prepare(request: Any) -> ChatRequest:
        return ChatRequest(messages=[])

    handler = sse_handler(Echo(), prepare, on_close=watched.outcomes.append)

    @asgi("/chat", copy_scope=True)
    async def chat(scope: Any, receive: Any, send: Any) -> None:
        await handler(scope, receive, send)

    return litestar.Litestar([chat], openapi_config=None)


@pytest.mark.parametrize("make", [starlette_app, fastapi_app, litestar_app])
def test_an_app_is_asked_through_its_routes(make: Callable[[Watched], Any]) -> None:
    async def main() -> None:
        watched = Watched()
        async with stream(make(watched), "POST", "/chat", json={"q": "why"}) as s:
            assert (s.status, await anext(s)) == (200, events.TextDelta("why"))
            await s.advance(15)
            assert s.comments[-1] == "keep-alive"
        assert [each.kind for each in watched.outcomes] == ["client_gone"]
        async with stream(make(watched), "GET", "/nowhere") as s:
            assert s.status == 404

    asyncio.run(main())


@pytest.mark.skipif("eager" in MODES, reason="task groups of anyio refuse eager tasks here")
def test_a_streaming_response_without_an_end_is_read_and_left(run: Run) -> None:
    async def main() -> None:
        watched = Watched()
        async with stream(starlette_app(watched), "GET", "/raw") as s:
            assert (await anext(s.frames)).data == "on and on"
            await s.disconnect(after_bytes=100)
            assert len(s.body) == 100
        assert watched.closed == 1
        assert s.outcome is None  # it is not a stream of gaistream

    run(main)


def flask_app() -> Any:
    need_package("flask")
    import flask

    app = flask.Flask("tested")

    @app.post("/chat/<name>")
    def chat(name: str) -> Any:
        asked = flask.request.get_json()["q"]
        return wsgi.SSEResponse(Watched(f"{name}, {asked}").blocking())

    return app


def django_app() -> Any:
    need_package("django")
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.urls import path

    def chat(request: Any, name: str) -> Any:
        from django.http import StreamingHttpResponse

        chunks = gaistream.sse(Watched(f"{name}, {request.GET['q']}").blocking())
        return StreamingHttpResponse(chunks, content_type="text/event-stream")

    routes = (path("chat/<name>", chat),)
    settings.configure(
        ALLOWED_HOSTS=["*"], ROOT_URLCONF=routes, SECRET_KEY="-", LOGGING_CONFIG=None
    )
    return WSGIHandler()


def test_a_flask_app_is_asked_through_its_routes() -> None:
    with stream(flask_app(), "POST", "/chat/Ann", json={"q": "why"}) as s:
        assert list(s) == [events.TextDelta("Ann, why"), events.Done()]


def test_a_django_app_is_asked_through_its_routes() -> None:
    with stream(django_app(), "GET", "/chat/Ann", query={"q": "why"}) as s:
        assert list(s) == [events.TextDelta("Ann, why"), events.Done()]


@pytest.fixture
def app() -> Any:
    return Watched("a", waits=True).app()


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.anyio
async def test_the_fixture_serves_tests_of_anyios_plugin(open_stream: Any) -> None:  # noqa: F811
    async with open_stream("GET", "/") as s:
        assert await anext(s) == events.TextDelta("a")
        await s.advance(15)
        assert s.comments[-1] == "keep-alive"
