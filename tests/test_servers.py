"""Streams over real servers and real sockets: when bytes arrive, how streams end, what is left."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import served_app
from real_servers import (
    SECONDS,
    Client,
    Controls,
    Server,
    open_files,
    serve_gunicorn,
    serve_uvicorn,
    serve_waitress,
    serve_wsgiref,
    until,
)

import gaistream
from gaistream import SSEDecoder, asgi

UVICORNS = [
    f"uvicorn {http} {loop}" for http in ("h11", "httptools") for loop in ("asyncio", "uvloop")
]
OTHERS = ["gunicorn asgi", "gunicorn sync", "gunicorn gthread", "waitress", "wsgiref"]
SERVERS = UVICORNS + OTHERS
KEEP_ALIVE = [*UVICORNS, "gunicorn asgi", "gunicorn gthread"]
SERVE_SEVERAL = [*KEEP_ALIVE, "waitress"]
PRELUDE = b":\n\n"
OURS = {
    "cache-control": "no-cache, no-store, must-revalidate, no-transform",
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
    "access-control-allow-origin": "*",
}


def is_asgi(kind: str) -> bool:
    return kind in UVICORNS or kind == "gunicorn asgi"


def on(kinds: list[str]) -> pytest.MarkDecorator:
    """Run a test on each of these servers."""
    return pytest.mark.parametrize("server", kinds, indirect=True)


def with_sources(kinds: list[str] = SERVERS, blocking: bool = True) -> pytest.MarkDecorator:
    """Run a test on each server with each format and each kind of source that it has.

    Args:
        kinds: the servers.
        blocking: also with sources that block a WSGI server's own thread.
    """
    cases = []
    for server in kinds:
        own = {"async", "sync"} if is_asgi(server) else {"async", "sync", "thread"}
        if not blocking and not is_asgi(server):
            own.remove("sync")
        cases += [(server, format_, kind) for format_ in ("sse", "ndjson") for kind in sorted(own)]
    # of this scope, so that the tests of one server run together
    return pytest.mark.parametrize(
        ("server", "format_", "kind"), cases, indirect=["server"], scope="module"
    )


@pytest.fixture(scope="module")
def controls() -> Iterator[Controls]:
    opened = Controls()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest, controls: Controls, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server that serves served_app, and leaves neither threads nor open files."""
    files, threads = open_files(), threading.active_count()
    home = tmp_path_factory.mktemp("server")
    with serve(request.param, controls.port, home) as running:
        yield running
    until(lambda: threading.active_count() <= threads)
    until(lambda: open_files() <= files)


def serve(kind: str, port: int, home: Path) -> Any:
    name, *details = kind.split()
    if name == "uvicorn":
        for needed in details:
            pytest.importorskip(needed)
        return serve_uvicorn(served_app.asgi_app(port), *details)
    if name == "gunicorn":
        more = ["--threads", "8", "--keep-alive", "5"] if kind == "gunicorn gthread" else []
        return serve_gunicorn(port, home, *details, *more)
    if name == "waitress":
        return serve_waitress(port, home)
    return serve_wsgiref(served_app.wsgi_app(port))


def said(format_: str, number: int) -> bytes:
    line = b'"text":"event %d"}\n' % number
    return line + b"\n" if format_ == "sse" else line


# ---- every server, every kind of source ----


@with_sources()
def test_events_arrive_one_by_one_and_the_headers_once(
    server: Server, controls: Controls, format_: str, kind: str
) -> None:
    client = Client(server.address).ask(f"/{format_}/{kind}")
    control = controls.accept()
    assert control.path == f"/{format_}/{kind}"
    control.say("g")
    status, headers = client.head()
    assert status == 200
    names = [name for name, _ in headers]
    assert len(set(names)) == len(names)
    media_type = {"sse": "text/event-stream", "ndjson": "application/x-ndjson"}[format_]
    assert dict(headers).items() >= {"content-type": media_type, **OURS}.items()
    assert "content-length" not in names
    for number in (1, 2, 3):
        client.until(said(format_, number))
        assert said(format_, number + 1) not in client.body
        control.say("g" if number < 3 else "e")
    body = client.rest()
    if format_ == "sse":
        assert body.startswith(PRELUDE)
        assert body.endswith(b'event: done\ndata: {"finished":true}\n\n')
        assert body.count(b"data:") == 4
    else:
        types = [json.loads(line)["type"] for line in body.splitlines()]
        assert types == ["text_delta"] * 3 + ["done"]
    assert control.outcome() == ("completed", 3)
    client.close()


@on(SERVERS)
def test_the_headers_arrive_while_an_async_source_has_nothing_to_say_yet(
    server: Server, controls: Controls
) -> None:
    client = Client(server.address).ask("/sse/async")
    control = controls.accept()
    assert client.head()[0] == 200
    client.until(PRELUDE)
    control.say("e")
    assert client.rest() == PRELUDE + b'event: done\ndata: {"finished":true}\n\n'
    assert control.outcome() == ("completed", 0)
    client.close()


@with_sources()
def test_a_source_that_fails_ends_with_the_error_and_without_done(
    server: Server, controls: Controls, format_: str, kind: str
) -> None:
    client = Client(server.address).ask(f"/{format_}/{kind}")
    control = controls.accept()
    control.say("g")
    control.say("f")
    assert client.head()[0] == 200
    body = client.rest()
    error = b'"error":"internal error","code":"internal"}\n'
    if format_ == "sse":
        assert body.endswith(said("sse", 1) + b"event: error\nretry: 5000\ndata: {" + error + b"\n")
    else:
        assert body.endswith(said("ndjson", 1) + b'{"type":"error",' + error)
    assert served_app.SECRET.encode() not in body
    assert control.outcome() == ("failed", 1)
    client.close()


@with_sources([each for each in SERVERS if each != "gunicorn asgi"])  # it holds headers back
def test_a_source_that_fails_first_is_a_status_where_nothing_was_sent(
    server: Server, controls: Controls, format_: str, kind: str
) -> None:
    client = Client(server.address).ask(f"/{format_}/{kind}")
    control = controls.accept()
    # WSGI sends headers with the first bytes: SSE has some at once, unless its thread is blocked
    sent = server.interface == "asgi" or (format_ == "sse" and kind != "sync")
    if not sent:
        control.say("p")
    status, headers = client.head()
    if sent:
        control.say("p")
    body = client.rest() if sent else b""
    assert status == (200 if sent else 503)
    assert dict(headers).get("retry-after") == (None if sent else "1")
    assert (b'"error":"busy","code":"busy","retry_after":1' in body) is sent
    assert control.outcome() == ("failed", 0)
    client.close()


@with_sources()
def test_a_client_that_vanishes_has_the_source_closed(
    server: Server, controls: Controls, format_: str, kind: str
) -> None:
    client = Client(server.address).ask(f"/{format_}/{kind}")
    control = controls.accept()
    control.say("g")
    client.head()
    client.until(said(format_, 1))
    client.vanish()
    at_once = server.interface == "asgi" and kind == "async"
    outcome, events = control.outcome(goes_on=not at_once)
    assert outcome == "client_gone"
    assert events == 1 if at_once else events >= 1
    until(lambda: server.tasks() == 0)


@on(SERVERS)
def test_a_client_that_only_closes_has_the_source_closed_too(
    server: Server, controls: Controls
) -> None:
    client = Client(server.address).ask("/sse/async")
    control = controls.accept()
    control.say("g")
    client.head()
    client.until(said("sse", 1))
    client.close()
    outcome, _ = control.outcome(goes_on=server.interface == "wsgi")
    assert outcome == "client_gone"
    until(lambda: server.tasks() == 0)


@with_sources(blocking=False)
def test_a_source_that_waits_has_heartbeats(
    server: Server, controls: Controls, format_: str, kind: str
) -> None:
    client = Client(server.address).ask(f"/{format_}/{kind}?heartbeats")
    control = controls.accept()
    control.say("g")
    client.head()
    client.until(said(format_, 1))
    heartbeat = b": keep-alive\n\n" if format_ == "sse" else b'{"type":"ping"}\n'
    client.until(heartbeat * 2)
    control.say("g")
    client.until(said(format_, 2))
    control.say("e")
    client.rest()
    assert control.outcome() == ("completed", 2)
    client.close()


@with_sources()
def test_httpx_reads_the_stream_as_it_comes(
    server: Server, controls: Controls, format_: str, kind: str
) -> None:
    def begin() -> Any:
        control = controls.accept()
        control.say("g")
        return control

    decoder = SSEDecoder()
    with ThreadPoolExecutor(1) as pool, httpx.Client(timeout=SECONDS) as client:
        accepted = pool.submit(begin)
        with client.stream("GET", f"{server.url}/{format_}/{kind}") as response:
            control, texts = accepted.result(), []
            for chunk in response.iter_bytes():
                if format_ == "sse":
                    payloads = [event.json() for event in decoder.feed(chunk)]
                else:
                    payloads = [json.loads(line) for line in chunk.splitlines()]
                for payload in payloads:
                    texts.append(payload.get("text", "done"))
                    if texts[-1] != "done":
                        control.say("g" if len(texts) < 3 else "e")
    assert texts == ["event 1", "event 2", "event 3", "done"]
    assert control.outcome() == ("completed", 3)


# ---- every server: handlers ----


def ask(question: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}]}


@on(SERVERS)
def test_a_handler_reads_a_json_body_and_streams_the_answer(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=SECONDS) as client:
        sse = client.post("/chat", json=ask("two wörds"))
        assert [event.json() for event in SSEDecoder().feed(sse.content)] == [
            {"text": "two"},
            {"text": "wörds"},
            {"finished": True},
        ]
        assert sse.content.startswith(PRELUDE + b"id: 1\nevent: text_delta\n")
        lines = client.post("/chat", json=ask("x"), headers={"Accept": "application/x-ndjson"})
        assert lines.headers["content-type"] == "application/x-ndjson"
        assert lines.headers["vary"] == "Accept"
        assert lines.text == '{"type":"text_delta","text":"x"}\n{"type":"done","finished":true}\n'


@on(SERVERS)
def test_a_handler_reads_a_chunked_body_where_the_server_takes_one(server: Server) -> None:
    def pieces() -> Iterator[bytes]:
        text = json.dumps(ask("one two")).encode()
        yield text[:10]
        yield text[10:]

    with httpx.Client(base_url=server.url, timeout=SECONDS) as client:
        answer = client.post("/chat/ndjson", content=pieces())
    if server.kind == "wsgiref":  # it cannot tell where such a body ends
        assert answer.status_code == 400
    else:
        assert [json.loads(line).get("text") for line in answer.text.splitlines()] == [
            "one",
            "two",
            None,
        ]


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 400), (b"{", 400), (b"[]", 400), (b'{"messages": []}', 400)]
)
@on(SERVERS)
def test_a_handler_refuses_a_bad_body(server: Server, body: bytes, status: int) -> None:
    answer = httpx.post(f"{server.url}/chat", content=body, timeout=SECONDS)
    assert answer.status_code == status
    assert answer.json() == {"error": {"code": "bad_request", "message": "bad request"}}
    assert answer.headers["content-length"] == str(len(answer.content))


@on(SERVERS)
def test_requests_that_need_no_provider_are_answered(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=SECONDS) as client:
        head = client.head("/chat")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == "text/event-stream"
        preflight = client.options("/chat", headers={"Origin": "https://a.example"})
        assert (preflight.status_code, preflight.content) == (204, b"")
        assert preflight.headers["access-control-allow-methods"] == "GET, POST, OPTIONS"
        wrong = client.delete("/chat")
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, POST, OPTIONS, HEAD")
        again = client.post("/chat", json=ask("x"), headers={"Last-Event-ID": "3"})
        assert (again.status_code, again.content) == (204, b"")


# ---- servers that do several things at once, or one after the other ----


@on(KEEP_ALIVE)
def test_a_connection_serves_the_next_request_after_a_stream(
    server: Server, controls: Controls
) -> None:
    client = Client(server.address)
    for kind in ("async", "sync", "async"):
        client.ask(f"/ndjson/{kind}")
        control = controls.accept()
        control.say("g")
        control.say("e")
        assert client.head()[0] == 200
        assert client.rest().count(b"\n") == 2
        assert control.outcome() == ("completed", 1)
    client.close()


@on(SERVE_SEVERAL)
def test_streams_at_once_do_not_mix(server: Server, controls: Controls) -> None:
    open_ = []
    for format_, kind in (("sse", "async"), ("ndjson", "sync"), ("ndjson", "async")):
        client = Client(server.address).ask(f"/{format_}/{kind}")
        open_.append((format_, client, controls.accept()))
    for number in (1, 2, 3):
        for format_, client, control in open_:
            control.say("g")
            if number == 1:
                client.head()
            client.until(said(format_, number))
    for _, client, control in reversed(open_):
        control.say("e")
        assert client.rest().count(b"event 2") == 1
        assert control.outcome() == ("completed", 3)
        client.close()


# ---- uvicorn, in this process ----


@contextlib.contextmanager
def uvicorn_serving(kind: str, app: Any) -> Iterator[Server]:
    """Serve an app, and see that nothing is left: no task, no thread, no open file."""
    _, http, loop = kind.split()
    pytest.importorskip(http)
    pytest.importorskip(loop)
    files, threads = open_files(), threading.active_count()
    with serve_uvicorn(app, http, loop) as server:
        yield server
        until(lambda: server.tasks() == 0)
    until(lambda: open_files() <= files)
    until(lambda: threading.active_count() <= threads)


class Outcomes:
    """Counts the sources that are open, and collects how their streams ended."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.open = 0

    def on_close(self, outcome: Any) -> None:
        self.kinds.append(outcome.kind)


@pytest.mark.parametrize("kind", UVICORNS)
@pytest.mark.parametrize("format_", ["sse", "ndjson"])
def test_a_client_may_vanish_at_any_byte(kind: str, format_: str) -> None:
    outcomes = Outcomes()
    make = asgi.SSEResponse if format_ == "sse" else asgi.NDJSONResponse

    async def source() -> AsyncIterator[str]:
        outcomes.open += 1
        try:
            for number in range(3):
                yield f"{number}"
                await asyncio.sleep(0)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            outcomes.open -= 1

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await make(source(), on_close=outcomes.on_close)(scope, receive, send)

    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with uvicorn_serving(kind, app) as server:
        whole = Client(server.address).ask("/")
        received = b""
        while b'"text":"2"}' not in received:
            received += whole.socket.recv(1024)
        whole.vanish()
        until(lambda: len(outcomes.kinds) == 1)
        vanished = 1
        for taken in range(0, len(received), 6):
            client = Client(server.address)
            client.socket.sendall(request)
            left = taken
            while left:
                left -= len(client.socket.recv(left))
            client.vanish()
            vanished += 1
        for sent in range(0, len(request), 3):
            client = Client(server.address)
            client.socket.sendall(request[:sent])
            client.vanish()
        # one that vanishes before its request was read is never served
        until(lambda: server.tasks() == 0 and outcomes.open == 0)
        assert set(outcomes.kinds) == {"client_gone"}
        assert vanished - 1 <= len(outcomes.kinds) <= vanished


@pytest.mark.parametrize("kind", UVICORNS)
@pytest.mark.parametrize("finite", [False, True])
def test_a_client_that_takes_nothing_ends_the_stream_as_stalled(
    kind: str, finite: bool, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes, ended = Outcomes(), threading.Event()

    async def source() -> AsyncIterator[str]:
        try:
            if finite:
                yield "x" * (64 * 2**20)  # all is handed over at once; the end cannot be
            while not finite:
                yield "x" * 100_000
        finally:
            outcomes.open -= 1

    def on_close(outcome: Any) -> None:
        outcomes.on_close(outcome)
        ended.set()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        outcomes.open += 1
        await asgi.SSEResponse(source(), send_timeout=0.2, on_close=on_close)(scope, receive, send)

    with caplog.at_level(logging.CRITICAL, "uvicorn.error"), uvicorn_serving(kind, app) as server:
        client = Client(server.address, receive_buffer=4096).ask("/")
        assert ended.wait(SECONDS)
        assert outcomes.kinds == ["stalled"]
        assert outcomes.open == 0
        client.vanish()


@pytest.mark.parametrize("kind", UVICORNS)
def test_a_hundred_streams_at_once_are_all_served_step_by_step(kind: str) -> None:
    outcomes, taken = Outcomes(), [asyncio.Semaphore(0) for _ in range(100)]
    most = 0

    async def source(number: int) -> AsyncIterator[str]:
        nonlocal most
        outcomes.open += 1
        most = max(most, outcomes.open)
        try:
            for step in range(3):
                yield f"{number}.{step}"
                await taken[number].acquire()
        finally:
            outcomes.open -= 1

    async def app(scope: Any, receive: Any, send: Any) -> None:
        number = int(scope["path"].strip("/"))
        response = asgi.NDJSONResponse(source(number), on_close=outcomes.on_close)
        await response(scope, receive, send)

    with uvicorn_serving(kind, app) as server:
        clients = [Client(server.address).ask(f"/{number}") for number in range(100)]
        for client in clients:
            assert client.head()[0] == 200
        assert server.tasks() == 3 * 100
        for step in range(3):
            for number, client in enumerate(clients):
                client.until(b'"text":"%d.%d"}\n' % (number, step))
                server.soon(taken[number].release)
        for number, client in enumerate(clients):
            texts = [json.loads(line).get("text") for line in client.rest().splitlines()]
            assert texts == [f"{number}.0", f"{number}.1", f"{number}.2", None]
            client.close()
    assert most == 100
    assert outcomes.kinds == ["completed"] * 100


@pytest.mark.parametrize("kind", UVICORNS)
def test_a_source_that_fails_at_once_is_a_whole_answer_with_a_length(kind: str) -> None:
    async def source() -> AsyncIterator[str]:
        raise gaistream.StreamError("full", code="full", status=429, retry_after=7)
        yield ""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asgi.SSEResponse(source())(scope, receive, send)

    with uvicorn_serving(kind, app) as server:
        answer = httpx.get(server.url, timeout=SECONDS)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
        assert answer.json() == {"error": {"code": "full", "message": "full"}}
        assert "transfer-encoding" not in answer.headers


@pytest.mark.parametrize("kind", UVICORNS)
def test_a_client_that_vanishes_while_it_is_being_sent_to_has_the_source_closed(kind: str) -> None:
    outcomes, blocked = Outcomes(), threading.Event()

    async def source() -> AsyncIterator[str]:
        outcomes.open += 1
        try:
            while True:
                yield "x" * 100_000
        finally:
            outcomes.open -= 1

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            task = asyncio.ensure_future(send(message))
            if (await asyncio.wait([task], timeout=0.1))[1]:
                blocked.set()
            try:
                await task
            finally:
                task.cancel()

        await asgi.SSEResponse(source(), on_close=outcomes.on_close)(scope, receive, sending)

    with uvicorn_serving(kind, app) as server:
        client = Client(server.address, receive_buffer=4096).ask("/")
        assert blocked.wait(SECONDS)
        client.vanish()
        until(lambda: server.tasks() == 0)
        assert outcomes.kinds == ["client_gone"]
        assert outcomes.open == 0
