"""The demo's doors: whom it answers, how much it takes, and what it says at its own terminal."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
from typing import Any

import httpx
import pytest
from command_line import DEADLINE, end, run, start
from required import need_package
from scripted_asgi import Connection
from scripted_asgi import run as run_loop

from gaistream import ChatRequest, StreamError
from gaistream.events import TextDelta
from gaistream.providers.docs import DocsProvider

KIB = 1024


@pytest.fixture(scope="module")
def create_app() -> Any:
    need_package("starlette")
    need_package("uvicorn")
    from gaistream.cli.demo.app import create_app

    return create_app


class Provider:
    """Says one word, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[ChatRequest] = []

    async def stream_text(self, request: ChatRequest) -> Any:
        self.asked.append(request)
        yield TextDelta("hello")


def ask(
    app: Any, method: str, path: str, host: str | None, body: bytes = b"", query: bytes = b"",
    server: str = "127.0.0.1", chunks: int = 1, **headers: str,
) -> Connection:  # fmt: skip
    lines = [(name.replace("_", "-").encode(), each.encode()) for name, each in headers.items()]
    if host is not None:
        lines.append((b"host", host.encode()))
    if body and chunks == 1:
        lines.append((b"content-length", str(len(body)).encode()))
    connection = Connection(
        method, path, headers=lines, query_string=query, raw_path=path.encode(), root_path="",
        scheme="http", server=(server, 8000), client=("127.0.0.1", 5), http_version="1.1",
    )  # fmt: skip
    size = -(-len(body) // chunks)
    for number in range(chunks):
        connection.hear(body[number * size : (number + 1) * size], more=number + 1 < chunks)
    run_loop(connection.serve(app))
    return connection


QUESTION = json.dumps({"messages": [{"role": "user", "content": "why?"}]}).encode()
REQUESTS = [
    ("GET", "/", b"", b""),
    ("GET", "/healthz", b"", b""),
    ("GET", "/static/app.js", b"", b""),
    ("GET", "/nothing", b"", b""),
    ("GET", "/chat", b"", b"q=why"),
    ("POST", "/api/chat", QUESTION, b""),
]


@pytest.mark.parametrize(
    "host",
    ["evil.example:8000", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example",
     "192.168.1.5:8000", "[2001:db8::1]", "localhost@evil.example",
     "evil@localhost", "localhost/", "[", "", None],
)  # fmt: skip
def test_a_host_that_is_not_its_own_is_421_and_nothing_is_paid(
    create_app: Any, host: str | None
) -> None:
    provider = Provider()
    app = create_app(provider)
    for method, path, body, query in REQUESTS:
        marks = {"origin": f"http://{host}", "sec_fetch_site": "same-origin"}
        served = ask(app, method, path, host, body, query, **marks)
        assert served.status == 421, path
        assert json.loads(served.body)["error"]["code"] == "wrong_host"
    assert provider.asked == []


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "127.8.9.10", "[::1]:8000"]
)
def test_localhost_and_loopback_addresses_are_answered(create_app: Any, host: str) -> None:
    provider = Provider()
    app = create_app(provider)
    statuses = [ask(app, *each[:2], host, *each[2:]).status for each in REQUESTS]
    assert statuses == [200, 200, 200, 404, 200, 200]
    assert len(provider.asked) == 2


def test_the_given_host_is_answered_and_each_address_if_it_is_all(create_app: Any) -> None:
    named = create_app(Provider(), "Box.example")
    assert ask(named, "GET", "/healthz", "box.example:8000").status == 200
    assert ask(named, "GET", "/healthz", "evil.example").status == 421
    for anywhere, own in (("0.0.0.0", "192.168.1.5"), ("::", "2001:db8::1")):
        app = create_app(Provider(), anywhere)
        host = f"[{own}]:8000" if ":" in own else f"{own}:8000"
        assert ask(app, "GET", "/healthz", host, server=own).status == 200
        assert ask(app, "GET", "/healthz", host, server="10.0.0.1").status == 421
        assert ask(app, "GET", "/healthz", "evil.example", server=own).status == 421


def long_question(size: int) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": "x" * size}]}).encode()


@pytest.mark.parametrize("chunks", [1, 3])
def test_a_request_above_64_kib_is_413_before_the_provider_is_asked(
    create_app: Any, chunks: int
) -> None:
    provider = Provider()
    app = create_app(provider)
    for size, status in ((60 * KIB, 200), (64 * KIB, 413), (1024 * KIB, 413)):
        served = ask(app, "POST", "/api/chat", "localhost", long_question(size), chunks=chunks)
        assert served.status == status
    assert ask(app, "GET", "/chat", "localhost", query=b"q=" + b"x" * 65_537).status == 413
    assert len(provider.asked) == 1


def test_the_handbook_is_not_searched_for_more_than_64_ki_characters() -> None:
    async def events(question: str) -> list[Any]:
        request = ChatRequest.from_question(question)
        return [event async for event in DocsProvider().stream_text(request)]

    assert asyncio.run(events("sse " * 16 * KIB))
    with pytest.raises(StreamError, match="65,536 characters") as caught:
        asyncio.run(events("x" * (64 * KIB + 1)))
    assert (caught.value.code, caught.value.status) == ("question_too_long", 413)


# ---- the command ----


def test_a_port_that_is_taken_says_what_to_do() -> None:
    need_package("uvicorn")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = run("demo", "--port", str(port))
    assert (ran.status, ran.out) == (2, "")
    assert ran.errors == (
        f"Error: cannot listen on 127.0.0.1, port {port}: Address already in use; "
        "--port 0 takes a free one\n"
    )


def test_a_host_that_is_none_of_this_machine_is_named() -> None:
    need_package("uvicorn")
    ran = run("demo", "--host", "192.0.2.1", "--port", "0")
    assert (ran.status, ran.out) == (2, "")
    assert ran.errors.startswith("Error: cannot listen on 192.0.2.1, port 0: ")
    assert len(ran.errors.splitlines()) == 1


def test_an_unreachable_provider_is_named_at_the_servers_terminal_and_not_to_the_page() -> None:
    need_package("uvicorn")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    provider = ("--provider", "openai", "--model", "m")
    process = start("demo", "--port", "0", *provider, "--base-url", f"http://{address}/v1?key=s3")
    try:
        url = re.fullmatch(rb"gaistream demo: (\S+)\n", process.stdout.readline())[1].decode()
        answer = httpx.get(f"{url}/chat", params={"q": "why"}, timeout=DEADLINE)
    finally:
        process.send_signal(signal.SIGINT)
        ran = end(process)
    assert "could not be reached" in answer.text
    assert address not in answer.text
    assert f"http://{address}/v1/chat/completions" in ran.errors
    assert "key=s3" not in ran.errors
    assert len(ran.errors.splitlines()) == 1
