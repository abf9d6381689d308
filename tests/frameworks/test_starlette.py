"""Starlette's face: what a Response is there, over a scripted and a real server."""

from __future__ import annotations

import asyncio
import http
import json
import re
import threading
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from scripted_asgi import DONE, END, HEADERS, PRELUDE, Connection, Source, asynchronous, run, text

from gaistream import StreamError

pytest.importorskip("starlette", reason="Starlette is not installed")

from real_servers import Client, serve_uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import Route

from gaistream.errors import EventError, FrameError
from gaistream.frameworks.starlette import NDJSONResponse, ResumableResponse, SSEResponse
from gaistream.replay import MemoryLog

OURS = HEADERS[:4]  # no CORS: the app's policy stands
ORIGIN = {"headers": [(b"origin", b"https://a.example")]}


async def failing(error: BaseException) -> AsyncIterator[str]:
    raise error
    yield ""


# ---- a Response ----


def test_it_streams_what_gaistream_asgi_streams_under_starlettes_head() -> None:
    async def test() -> None:
        response = SSEResponse(asynchronous("a"))
        assert isinstance(response, Response)
        served = await Connection().serve(response)
        start, chunk, end = served.sent
        assert start == {"type": "http.response.start", "status": 200, "headers": OURS}
        assert chunk["body"] == PRELUDE + text("a") + DONE
        assert end == END

    run(test())


def test_ndjson_is_the_same_for_lines() -> None:
    async def test() -> None:
        served = await Connection().serve(NDJSONResponse(asynchronous({"a": 1}), dialect="json"))
        assert served.headers["content-type"] == "application/x-ndjson"
        assert served.body == b'{"a":1}\n'

    run(test())


def test_a_kept_stream_is_begun_resumed_and_over_under_starlettes_head() -> None:
    async def test() -> None:
        log, ran = MemoryLog(), []

        def response(source: Any = None) -> ResumableResponse:
            background = BackgroundTask(ran.append, 1)
            made = ResumableResponse(
                log, "s", source, authorize=None, status_code=201, background=background
            )
            assert made.stream_id == "s"
            return made

        begun = await Connection("POST").serve(response(asynchronous("a")))
        assert begun.status == 201
        assert begun.headers["gaistream-stream"] == "s"
        assert "access-control-allow-origin" not in begun.headers
        assert (await Connection().serve(response())).body == begun.body
        newest = re.findall(rb"^id: (.*)$", begun.body, re.M)[-1]
        over = await Connection(headers=[(b"last-event-id", newest)]).serve(response())
        assert (over.status, over.headers["gaistream-replay"]) == (204, "ended")
        assert ran == [1, 1, 1]

    run(test())


def test_status_headers_and_cookies_may_be_changed_until_it_is_sent() -> None:
    async def test() -> None:
        response = SSEResponse(
            asynchronous("a"), status_code=http.HTTPStatus.CREATED, headers={"X-One": "1"}
        )
        assert response.status_code == 201
        response.status_code = 202
        response.headers["X-Two"] = "2"
        response.headers.append("x-two", "3")
        del response.headers["x-accel-buffering"]
        response.set_cookie("session", "s")
        response.delete_cookie("old")
        response.raw_headers.append((b"x-raw", b"r"))
        served = await Connection().serve(response)
        sent = served.sent[0]["headers"]
        assert served.status == 202
        assert [value for name, value in sent if name == b"x-two"] == [b"2", b"3"]
        assert served.headers["x-one"] == "1"
        assert served.headers["x-raw"] == "r"
        assert "x-accel-buffering" not in served.headers
        cookies = [value for name, value in sent if name == b"set-cookie"]
        assert cookies[0] == b"session=s; Path=/; SameSite=lax"
        assert len(cookies) == 2

    run(test())


def test_given_headers_replace_ours_and_there_is_no_length() -> None:
    headers = {"Cache-Control": "private", "content-type": "text/x"}
    response = SSEResponse(asynchronous("a"), headers=headers)
    assert sorted(response.headers.items()) == [
        ("cache-control", "private"),
        ("content-type", "text/x"),
        ("x-accel-buffering", "no"),
        ("x-content-type-options", "nosniff"),
    ]


def test_what_cannot_be_sent_is_refused_when_it_is_made() -> None:
    with pytest.raises(EventError):
        SSEResponse("text")  # no source, though it is iterable
    with pytest.raises(FrameError):
        SSEResponse([], status_code=700)
    with pytest.raises(FrameError):
        SSEResponse([], headers={"X-A": "a\r\nb"})
    with pytest.raises(FrameError):
        SSEResponse([], send_timeout=-1)


def test_a_media_type_and_incremental_are_sent() -> None:
    async def test() -> None:
        chosen: Any = {"media_type": "application/jsonl", "incremental": True}
        served = await Connection().hear().serve(NDJSONResponse(["a"], **chosen))
        assert served.headers["content-type"] == "application/jsonl"
        assert served.headers["incremental"] == "?1"

    run(test())


def test_the_headers_of_a_dialect_are_sent() -> None:
    async def test() -> None:
        served = await Connection().hear().serve(SSEResponse(["a"], dialect="ai_sdk"))
        assert served.headers["x-vercel-ai-ui-message-stream"] == "v1"

    run(test())


def test_cors_is_the_apps_unless_it_is_given() -> None:
    async def test() -> None:
        served = await Connection(**ORIGIN).serve(SSEResponse([]))
        assert served.sent[0]["headers"] == OURS
        response = SSEResponse([], cors="https://a.example", headers={"Vary": "Cookie"})
        served = await Connection(**ORIGIN).serve(response)
        assert served.headers["access-control-allow-origin"] == "https://a.example"
        assert served.headers["vary"] == "Cookie, Origin"

    run(test())


def test_a_failure_before_the_stream_has_its_own_status_and_keeps_cors() -> None:
    async def test() -> None:
        source = failing(StreamError("busy", status=503, retry_after=3))
        response = SSEResponse(
            source, cors="*", status_code=201, headers={"X-A": "a", "Vary": "Cookie"}
        )
        served = await Connection().serve(response)
        assert served.status == 503
        assert served.headers["retry-after"] == "3"
        assert served.headers["access-control-allow-origin"] == "*"
        assert served.headers["vary"] == "Cookie"
        assert "x-a" not in served.headers
        assert json.loads(served.body)["error"]["message"] == "busy"
        assert served.headers["content-length"] == str(len(served.body))

    run(test())


def test_head_gets_the_head_and_the_source_is_closed() -> None:
    async def test() -> None:
        source = Source()
        served = await Connection("HEAD").serve(SSEResponse(source, status_code=203))
        assert (served.status, served.body, source.closed) == (203, b"", 1)
        assert served.sent[0]["headers"] == OURS

    run(test())


def test_a_response_serves_one_request() -> None:
    async def test() -> None:
        ran: list[int] = []
        response = SSEResponse(["a"], background=BackgroundTask(ran.append, 1))
        await Connection().serve(response)
        with pytest.raises(RuntimeError, match="one request"):
            await Connection().serve(response)
        assert ran == [1]

    run(test())


def test_a_websocket_is_denied_and_the_source_is_closed() -> None:
    async def test() -> None:
        source = Source()
        connection = Connection(type="websocket", extensions={"websocket.http.response": {}})
        await connection.serve(SSEResponse(source))
        assert connection.sent[0]["type"] == "websocket.http.response.start"
        assert (connection.status, source.closed) == (400, 1)

    run(test())


# ---- background ----


async def serve_with_background(source: Any, method: str = "GET") -> list[str]:
    calls: list[str] = []
    response = SSEResponse(
        source,
        on_close=lambda outcome: calls.append(outcome.kind),
        background=BackgroundTask(calls.append, "background"),
    )
    connection = Connection(method)
    serving = connection.begin(response)
    if isinstance(source, Source):
        await connection.until(lambda: bool(connection.sent))
        connection.leave()
    await serving
    return calls


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: asynchronous("a"), "completed"),
        (lambda: failing(RuntimeError("x")), "failed"),
        (lambda: Source(), "client_gone"),
    ],
)
def test_the_background_task_runs_after_every_outcome(make: Any, kind: str) -> None:
    async def test() -> None:
        assert await serve_with_background(make()) == [kind, "background"]

    run(test())


def test_the_background_task_runs_when_the_server_cancels_the_request() -> None:
    async def test() -> None:
        ran: list[str] = []

        async def clean_up() -> None:
            await asyncio.sleep(0)
            ran.append("background")

        source, connection = Source(), Connection()
        response = SSEResponse(source, background=BackgroundTask(clean_up))
        serving = connection.begin(response)
        await connection.until(lambda: bool(connection.sent))
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert (ran, source.closed) == (["background"], 1)

    run(test())


def test_the_background_task_set_later_runs_too() -> None:
    async def test() -> None:
        ran: list[int] = []
        response = SSEResponse(["a"])
        response.background = BackgroundTask(ran.append, 1)
        await Connection("HEAD").serve(response)
        assert ran == [1]

    run(test())


# ---- in Starlette, over uvicorn ----


class Pass(BaseHTTPMiddleware):
    """Does nothing, as its kind does."""

    async def dispatch(self, request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-passed"] = "yes"
        return response


class Steps:
    """A stream whose second event waits for the test, and that then waits for ever."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.closed = threading.Event()
        self.background = threading.Event()

    async def source(self) -> AsyncIterator[str]:
        try:
            yield "one"
            await asyncio.to_thread(self.go_on.wait)
            yield "two"
            await asyncio.Event().wait()
        finally:
            self.closed.set()


def app_of(steps: Steps, *middleware: Any) -> Starlette:
    def background() -> BackgroundTask:
        return BackgroundTask(steps.background.set)

    async def sse(request: Any) -> Response:
        return SSEResponse(steps.source(), background=background())

    async def ndjson(request: Any) -> Response:
        return NDJSONResponse(steps.source(), background=background())

    return Starlette(
        routes=[Route("/sse", sse), Route("/ndjson", ndjson)],
        middleware=[Middleware(*each) for each in middleware],
    )


STACKS: dict[str, list[tuple[Any, ...]]] = {
    "bare": [],
    "base": [(Pass,)],
    "two bases": [(Pass,), (Pass,)],
    "gzip": [(GZipMiddleware,)],
    "gzip and base": [(GZipMiddleware,), (Pass,)],
}


@pytest.mark.parametrize("path", ["/sse", "/ndjson"])
@pytest.mark.parametrize("stack", STACKS)
def test_events_come_when_they_are_yielded_and_a_reset_closes_the_source(
    stack: str, path: str
) -> None:
    steps = Steps()
    app = app_of(steps, *STACKS[stack])
    with serve_uvicorn(app, "h11", "asyncio") as server:
        client = Client(server.address)
        client.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n".encode()
        )
        status, lines = client.head()
        headers = dict(lines)
        assert status == 200
        assert "content-length" not in headers
        assert headers.get("x-passed") == ("yes" if "base" in stack else None)
        compressed = headers.get("content-encoding") == "gzip"
        assert compressed == ("gzip" in stack and path == "/ndjson")
        inflate = zlib.decompressobj(31).decompress if compressed else bytes
        seen = b""
        while b'"one"' not in seen:
            seen += inflate(client.chunk())
        steps.go_on.set()
        while b'"two"' not in seen:
            seen += inflate(client.chunk())
        assert not steps.closed.is_set()
        client.vanish()
        assert steps.closed.wait(20)
        assert steps.background.wait(20)


def test_starlettes_cors_middleware_has_the_say() -> None:
    async def test() -> None:
        steps = Steps()
        steps.go_on.set()
        allowed = {"allow_origins": ["https://a.example"], "allow_credentials": True}
        app = CORSMiddleware(app_of(steps), **allowed)
        connection = Connection(path="/sse", **ORIGIN)
        serving = connection.begin(app)
        await connection.until_said(b"one")
        assert connection.headers["access-control-allow-origin"] == "https://a.example"
        assert connection.headers["access-control-allow-credentials"] == "true"
        connection.leave()
        await serving

    run(test())
