"""A body that is not read before the stream begins is lost to the source, and logged once."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import httpx
import pytest
from loops import turns
from real_servers import SECONDS, serve_uvicorn, until
from scripted_asgi import Connection, run, text

LINE = "write `body = await request.body()` before the response is made"


@pytest.fixture(autouse=True)
def no_route_is_known(both: list[ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    for gs in both:
        monkeypatch.setattr(gs.asgi.client, "_routes_of_unread_bodies", set())


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]


def endpoint() -> None:
    """An endpoint that a framework puts into the scope."""


@pytest.mark.parametrize("parts", [[b"{}"], [b"{", b"}"], [b"", b"{}", b""]])
def test_an_unread_body_is_logged_with_the_line_to_write(
    gs: ModuleType, caplog: pytest.LogCaptureFixture, parts: list[bytes]
) -> None:
    async def test() -> None:
        connection = heard(Connection("POST", "/ask"), parts)
        for _ in range(2):
            await connection.serve(gs.asgi.SSEResponse(slow()))
            connection.hear(b"{}")
        connection.scope["endpoint"] = endpoint
        await connection.serve(gs.asgi.NDJSONResponse(slow()))

    run(test())
    path, name = warnings(caplog)
    assert path.startswith("POST '/ask': ")
    assert path.endswith(LINE)
    assert name.startswith(f"POST '{__name__}.endpoint': ")


def heard(connection: Connection, parts: list[bytes]) -> Connection:
    """Put a body in parts into what the client sends."""
    for number, part in enumerate(parts, 1):
        connection.hear(part, more=number < len(parts))
    return connection


async def slow() -> AsyncIterator[str]:
    """A source that ends some time after the client has sent everything."""
    await turns(20)
    yield "a"


def test_a_limited_number_of_routes_is_logged(
    gs: ModuleType, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gs.asgi.client, "_MAX_LOGGED_ROUTES", 3)

    async def test() -> None:
        for number in range(5):
            connection = Connection("POST", f"/{number}/{'x' * 999}").hear(b"{}")
            await connection.serve(gs.asgi.SSEResponse(slow()))

    run(test())
    lines = warnings(caplog)
    assert len(lines) == 3
    assert max(map(len, lines)) < 500


# ---- no false alarm ----


class Repeating(Connection):
    """A server, or a middleware around one, that repeats its last message for ever."""

    async def receive(self) -> dict[str, Any]:
        if self.incoming.qsize() > 1:
            return await self.incoming.get()
        message = await self.incoming.get()
        self.incoming.put_nowait(message)
        return message


@pytest.mark.parametrize(
    ("method", "kind", "read", "parts"),
    [
        ("GET", Connection, False, []),
        ("GET", Connection, False, [b""]),
        ("GET", Connection, False, [b"", b""]),  # as httpx.ASGITransport sends no body
        ("OPTIONS", Connection, False, [b""]),
        ("HEAD", Connection, False, [b"{}"]),
        ("POST", Connection, False, [b""]),
        ("POST", Connection, True, [b"{}"]),
        ("POST", Connection, True, [b"{", b"}", b""]),
        ("POST", Repeating, False, [b""]),
        ("POST", Repeating, True, [b"{}", b""]),
        ("POST", Repeating, True, [b"{}"]),
    ],
)
def test_no_body_and_a_body_that_was_read_are_not_logged(
    gs: ModuleType,
    caplog: pytest.LogCaptureFixture,
    method: str,
    kind: type[Connection],
    read: bool,
    parts: list[bytes],
) -> None:
    async def test() -> None:
        connection = heard(kind(method), parts)
        while read and (await connection.receive())["more_body"]:
            pass
        await connection.serve(gs.asgi.SSEResponse(slow()))

    run(test())
    assert not warnings(caplog)


class Provider:
    """A provider whose source reads the request's body."""

    async def stream_text(self, request: Any) -> AsyncIterator[str]:
        yield (await request.body()).decode() or "a"


def test_a_source_may_read_the_body_again_after_prepare_request(
    gs: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    async def prepare(request: Any) -> Any:
        assert await request.body() == b"b"
        return request

    connection = Connection("POST").hear(b"b")
    run(serve(connection, gs.asgi.sse_handler(Provider(), prepare)))
    assert text("b") in connection.body
    assert not caplog.records


@pytest.mark.parametrize(("method", "parts"), [("GET", [b""]), ("POST", [b""])])
def test_a_source_of_a_handler_may_read_an_empty_body(
    gs: ModuleType, caplog: pytest.LogCaptureFixture, method: str, parts: list[bytes]
) -> None:
    connection = heard(Connection(method), parts)
    run(serve(connection, gs.asgi.sse_handler(Provider(), lambda request: request)))
    assert text("a") in connection.body
    assert not caplog.records


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("parts", [[b"b"], [b"b", b"b"]])
def test_a_source_may_not_read_a_body_that_prepare_request_has_not_read(
    gs: ModuleType, caplog: pytest.LogCaptureFixture, method: str, parts: list[bytes]
) -> None:
    async def prepare(request: Any) -> Any:
        await turns(10)
        return request

    connection = heard(Connection(method), parts)
    run(serve(connection, gs.asgi.sse_handler(Provider(), prepare)))
    assert b"internal error" in connection.body
    [record] = caplog.records
    assert record.exc_info is not None
    assert "read it in prepare_request" in str(record.exc_info[1])


async def serve(connection: Connection, app: Any) -> None:
    await connection.serve(app)


# ---- with a framework and a server ----


async def ask(request: Any) -> Any:
    from gaistream.frameworks.starlette import SSEResponse

    how = request.path_params["how"]
    if how == "body":
        await request.body()
    elif how == "stream":
        async for _ in request.stream():
            pass

    async def source() -> AsyncIterator[str]:
        yield "a"
        if how == "late":
            yield (await request.body()).decode()

    return SSEResponse(source())


def made_app(middleware: bool) -> Any:
    starlette = pytest.importorskip("starlette.applications")
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.routing import Route

    async def pass_on(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    return starlette.Starlette(
        routes=[Route("/{how}", ask, methods=["GET", "POST"])],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=pass_on)] if middleware else [],
    )


EXPECTING = (
    b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n"
    b"Connection: close\r\n\r\n"
)


@pytest.mark.parametrize("middleware", [False, True])
@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_a_body_that_starlette_has_read_is_not_logged(
    caplog: pytest.LogCaptureFixture, http: str, middleware: bool
) -> None:
    with serve_uvicorn(made_app(middleware), http, "asyncio") as server:
        base = "http://{}:{}".format(*server.address)
        for path in ("body", "stream"):
            assert '"a"' in httpx.post(f"{base}/{path}", content=b"{}", timeout=SECONDS).text
        assert '"a"' in httpx.get(f"{base}/get", timeout=SECONDS).text
        with socket.create_connection(server.address, SECONDS) as client:
            client.sendall(EXPECTING)
            answer = client.recv(99)
            assert answer.startswith(b"HTTP/1.1 100")
            client.sendall(b"{}")
            while chunk := client.recv(9999):
                answer += chunk
        assert b'"a"' in answer
        until(lambda: server.tasks() == 0)
    assert not warnings(caplog)


@pytest.mark.parametrize("middleware", [False, True])
def test_a_body_that_a_source_reads_from_starlette_is_logged_once(
    caplog: pytest.LogCaptureFixture, middleware: bool
) -> None:
    with serve_uvicorn(made_app(middleware), "h11", "asyncio") as server:
        url = "http://{}:{}/late".format(*server.address)
        for _ in range(2):
            with httpx.stream("POST", url, content=b"{}", timeout=SECONDS) as response:
                assert '"a"' in next(response.iter_text())
            until(lambda: server.tasks() == 0)
    [line] = warnings(caplog)
    assert line.startswith(f"POST '{__name__}.ask': ")
    assert line.endswith(LINE)
