"""The habits of each framework that its face keeps, in Flask, Quart, Litestar and aiohttp."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from face_apps import aiohttp, uvicorn
from real_servers import SECONDS, Client
from scripted_asgi import DONE, INTERNAL, PRELUDE, text

from gaistream import Channel, ServerSentEvent, StreamError
from gaistream.errors import ChannelClosed, EventError, FrameTypeError


async def answer() -> AsyncIterator[str]:
    yield "one"


def blocking() -> Iterator[str]:
    yield "one"


@pytest.mark.parametrize("framework", ["Django", "Flask", "Quart", "aiohttp", "Litestar"])
def test_a_face_without_its_framework_says_what_to_install(
    framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = framework.lower()
    for module in list(sys.modules):
        if module.partition(".")[0] == name or module == f"gaistream.frameworks.{name}":
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf"needs {framework}: pip install 'gaistream\[{name}\]'"):
        importlib.import_module(f"gaistream.frameworks.{name}")


# ---- Flask ----


@pytest.fixture
def flask_app() -> Any:
    flask = pytest.importorskip("flask", reason="Flask is not installed")
    return flask.Flask(__name__)


def test_flask_knows_status_and_headers_before_after_request_and_ends_its_context_last(
    flask_app: Any,
) -> None:
    import flask

    from gaistream.frameworks.flask import NDJSONResponse

    seen: list[Any] = []
    flask_app.after_request(lambda response: seen.append(response.status_code) or response)
    flask_app.teardown_request(lambda _: seen.append("torn down"))

    def source(fails: bool) -> Iterator[str]:
        if fails:
            raise StreamError("busy", status=503)
        yield flask.request.path
        seen.append("ended")

    @flask_app.get("/<name>")
    def view(name: str) -> Any:
        return NDJSONResponse(source(name == "fails"), headers={"X-A": "a"}), 201, {"X-B": "b"}

    answered = flask_app.test_client().get("/fine")
    assert (answered.status_code, answered.headers["X-A"], answered.headers["X-B"]) == (
        201, "a", "b",
    )  # fmt: skip
    assert answered.data.startswith(b'{"type":"text_delta","text":"/fine"}\n')
    assert (seen[0], seen[-2:]) == (201, ["ended", "torn down"])
    assert flask_app.test_client().get("/fails").status_code == 503
    assert 503 in seen


def test_flasks_error_handlers_answer_what_they_are_registered_for(flask_app: Any) -> None:
    from gaistream.frameworks.flask import SSEResponse

    flask_app.register_error_handler(LookupError, lambda error: (f"no {error}", 410))
    flask_app.register_error_handler(500, lambda error: ("sorry", 500))

    def source(error: Exception) -> Iterator[str]:
        raise error
        yield

    flask_app.add_url_rule("/known", "known", lambda: SSEResponse(source(LookupError("luck"))))
    flask_app.add_url_rule("/other", "other", lambda: SSEResponse(source(OSError())))
    client = flask_app.test_client()
    assert (client.get("/known").data, client.get("/known").status_code) == (b"no luck", 410)
    assert (client.get("/other").data, client.get("/other").status_code) == (b"sorry", 500)


def test_a_flask_response_that_is_not_returned_does_not_run(flask_app: Any) -> None:
    from gaistream.frameworks.flask import SSEResponse

    ran: list[bool] = []

    @flask_app.get("/")
    def view() -> str:
        SSEResponse(ran.append(True) for _ in range(1))
        return "another"

    assert flask_app.test_client().get("/").data == b"another"
    assert ran == []
    with pytest.raises(RuntimeError, match="request context"):
        SSEResponse(blocking())


def test_what_flasks_server_cannot_do_is_refused_by_name(flask_app: Any) -> None:
    from gaistream.frameworks.flask import SSEResponse

    with flask_app.test_request_context():
        with pytest.raises(TypeError, match="send_timeout"):
            SSEResponse(blocking(), send_timeout=5)  # type: ignore[call-arg]
        with pytest.raises(EventError, match="Channel needs a server's event loop"):
            SSEResponse(Channel())


# ---- Quart ----


def test_quart_keeps_its_context_and_answers_its_own_errors() -> None:
    quart = pytest.importorskip("quart", reason="Quart is not installed")
    from gaistream.frameworks.quart import NDJSONResponse, SSEResponse

    app = quart.Quart(__name__)
    app.config["RESPONSE_TIMEOUT"] = 0.05
    seen: list[int] = []

    @app.errorhandler(LookupError)
    async def missing(error: LookupError) -> Any:
        return f"no {error}", 410

    @app.after_request
    async def see(response: Any) -> Any:
        seen.append(response.status_code)
        return response

    async def source(name: str) -> AsyncIterator[str]:
        if name == "missing":
            raise LookupError("luck")
        await asyncio.sleep(0.1)  # longer than RESPONSE_TIMEOUT
        yield quart.request.path

    @app.get("/<name>")
    async def view(name: str) -> Any:
        return NDJSONResponse(source(name), headers={"X-A": "a"}), 201

    @app.get("/pushed/")
    async def pushed() -> Any:
        channel = Channel()
        app.add_background_task(push, channel)
        return SSEResponse(channel)

    async def push(channel: Channel) -> None:
        await channel.put("one")
        channel.close()

    with uvicorn(app) as server:
        answered = httpx.get(f"{server.url}/fine")
        assert (answered.status_code, answered.headers["x-a"]) == (201, "a")
        assert answered.content.startswith(b'{"type":"text_delta","text":"/fine"}\n')
        answered = httpx.get(f"{server.url}/missing")
        assert (answered.status_code, answered.text) == (410, "no luck")
        assert httpx.get(f"{server.url}/pushed/").content == PRELUDE + text("one") + DONE
    assert seen == [201, 410, 200]


# ---- Litestar ----


@pytest.mark.parametrize("dialect", ["gai", "raw", "json"])
def test_litestars_messages_keep_their_meaning(dialect: Any) -> None:
    litestar = pytest.importorskip("litestar", reason="Litestar is not installed")
    from litestar.response import ServerSentEventMessage
    from litestar.types import ASGIApp

    from gaistream.frameworks.litestar import NDJSONResponse, SSEResponse

    async def source() -> AsyncIterator[Any]:
        yield ServerSentEventMessage("a\nb", event="e", id=1, retry=5, comment="c")
        yield ServerSentEventMessage(7, sep="\n")
        yield ServerSentEventMessage(b"bytes")
        yield ServerSentEventMessage(None, event="empty")
        yield ServerSentEvent("ours")

    async def view() -> ASGIApp:
        return SSEResponse(source(), dialect=dialect)

    async def lines() -> ASGIApp:
        return NDJSONResponse(answer())

    for each in (view, lines):
        each.__annotations__ = {"return": ASGIApp}
    with uvicorn(litestar.Litestar([litestar.get("/")(view), litestar.get("/l")(lines)])) as server:
        body = httpx.get(server.url).content
        assert b"text_delta" in httpx.get(f"{server.url}/l").content
    assert body.removeprefix(PRELUDE).removesuffix(DONE) == (
        b": c\nid: 1\nevent: e\nretry: 5\ndata: a\ndata: b\n\n"
        b"data: 7\n\ndata: bytes\n\nevent: empty\n\ndata: ours\n\n"
    )


# ---- aiohttp ----


def serve(view: Any, **settings: Any) -> Any:
    web = pytest.importorskip("aiohttp.web", reason="aiohttp is not installed")
    app = web.Application()
    app.router.add_get("/", view)
    return aiohttp(app, **settings)


def test_aiohttps_pushes_may_have_fields_of_a_frame() -> None:
    from gaistream.frameworks.aiohttp import ndjson_response, sse_response

    async def view(request: Any) -> Any:
        if request.query:
            async with ndjson_response(request, headers={"X-A": "a"}, status=201) as stream:
                await stream.send("one")
            return stream
        async with sse_response(request, dialect="raw") as stream:
            assert stream.is_connected()
            await stream.send("data", event="e", id=7, retry=5)
            await stream.send("plain")
        return stream

    with serve(view) as server:
        answered = httpx.get(server.url)
        frames = b"id: 7\nevent: e\nretry: 5\ndata: data\n\ndata: plain\n\n"
        assert answered.content == PRELUDE + frames
        lines = httpx.get(server.url, params={"q": "1"})
    assert (lines.status_code, lines.headers["x-a"]) == (201, "a")
    assert lines.content.startswith(b'{"type":"text_delta","text":"one"}\n')


def test_errors_in_aiohttps_block_are_told_as_a_sources(caplog: pytest.LogCaptureFixture) -> None:
    from aiohttp import web

    from gaistream.frameworks.aiohttp import sse_response

    errors = {"stream": StreamError("lost", code="lost"), "fault": OSError("secret"),
              "http": web.HTTPGone()}  # fmt: skip

    async def view(request: Any) -> Any:
        early = "early" in request.query
        async with sse_response(request, hold_headers=early) as stream:
            if not early:
                await stream.send("one")
            raise errors[request.query["q"]]
        return stream

    with serve(view) as server:
        late = {q: httpx.get(server.url, params={"q": q}) for q in ("stream", "fault")}
        early = {q: httpx.get(server.url, params={"q": q, "early": "1"}) for q in errors}
    lost = b'event: error\nretry: 5000\ndata: {"error":"lost","code":"lost"}\n\n'
    assert late["stream"].content == PRELUDE + text("one") + lost
    assert late["fault"].content == PRELUDE + text("one") + INTERNAL
    assert [early[q].status_code for q in errors] == [502, 500, 410]
    faults = [each for each in caplog.records if each.name == "aiohttp.server"]
    assert [each.exc_info[1].args for each in faults] == [("secret",)] * 2


def test_a_push_after_the_client_has_left_raises_and_the_handler_goes_on_after_the_block() -> None:
    from gaistream.frameworks.aiohttp import sse_response

    outcomes: list[Any] = []
    after, left = asyncio.Event(), asyncio.Event()

    async def view(request: Any) -> Any:
        async with sse_response(request, on_close=outcomes.append) as stream:
            await stream.send("one")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                left.set()
                with pytest.raises(ChannelClosed):
                    await stream.send("two")
                raise
        after.set()
        return stream

    with serve(view) as server:
        client = Client(server.address).ask("/")
        client.head()
        client.until(b'"one"')
        client.vanish()
        waiting = asyncio.run_coroutine_threadsafe(after.wait(), server.loop)
        assert waiting.result(SECONDS)
    assert left.is_set()
    [outcome] = outcomes
    assert outcome.kind == "client_gone"


def test_a_handler_that_aiohttp_cancels_ends_its_stream_at_once() -> None:
    from gaistream.frameworks import aiohttp as face

    outcomes: list[Any] = []
    closed = asyncio.Event()

    def on_close(outcome: Any) -> None:
        outcomes.append(outcome)
        closed.set()

    async def view(request: Any) -> Any:
        async with face.sse_response(request, on_close=on_close) as stream:
            await stream.send("one")
            await asyncio.Event().wait()

    interval, face.CHECK_INTERVAL = face.CHECK_INTERVAL, 3600
    try:
        with serve(view, handler_cancellation=True) as server:
            client = Client(server.address).ask("/")
            client.head()
            client.until(b'"one"')
            client.vanish()
            waiting = asyncio.run_coroutine_threadsafe(closed.wait(), server.loop)
            assert waiting.result(SECONDS)
    finally:
        face.CHECK_INTERVAL = interval


def test_a_stream_is_either_pushed_to_or_awaited() -> None:
    from aiohttp.test_utils import make_mocked_request

    from gaistream.frameworks.aiohttp import sse_response

    async def main() -> None:
        request = make_mocked_request("GET", "/")
        with pytest.raises(FrameTypeError, match=r"await needs a source: sse_response\(request, s"):
            await sse_response(request)
        with pytest.raises(FrameTypeError, match="a stream of a source is awaited"):
            async with sse_response(request, answer()):
                pass

    asyncio.run(main())
