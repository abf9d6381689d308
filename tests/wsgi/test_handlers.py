"""WSGI handlers: from the request to the provider, and requests that are refused."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from recording_provider import (
    RecordingProvider,
)
from scripted_asgi import (
    DONE,
    PRELUDE,
    asynchronous,
    text,
)
from scripted_wsgi import (
    HEADERS,
    Exchange,
    error_of,
)

SECRET = "the key is sk-123"


class Provider(RecordingProvider):
    """A provider that answers with a sync source by default."""

    def __init__(self, answer: Callable[[Any], Any] = lambda _: ["a"]) -> None:
        super().__init__(answer)


async def soon(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


def generator(_: Any) -> Iterator[str]:
    yield "a"


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: ["a"],
        generator,
        lambda _: asynchronous("a"),
        lambda _: soon(["a"]),
        lambda _: soon(asynchronous("a")),
    ],
)
@pytest.mark.parametrize("prepare_is_async", [False, True])
def test_a_provider_of_any_kind_is_streamed(gs: Any, answer: Any, prepare_is_async: bool) -> None:
    provider = Provider(answer)

    async def later(incoming: Any) -> Any:
        return await soon(incoming.query["q"])

    prepare = later if prepare_is_async else lambda incoming: incoming.query["q"]
    exchange = Exchange(gs.wsgi.sse_handler(provider, prepare), QUERY_STRING="q=%C3%A9").read()
    assert exchange.body == PRELUDE + b"id: 1\n" + text("a") + b"id: 2\n" + DONE
    assert provider.asked == ["é"]


def test_every_awaitable_of_a_request_runs_on_one_loop(gs: Any) -> None:
    loops: list[Any] = []

    async def prepare(_: Any) -> None:
        loops.append(asyncio.get_running_loop())

    async def stream_text(_: Any) -> AsyncIterator[str]:
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        loops.append(asyncio.get_running_loop())

        async def feed() -> None:  # a connection that was opened here and goes on reading
            for item in ("a", "b", None):
                await asyncio.sleep(0)
                await queue.put(item)

        async def source(feeding: Any) -> AsyncIterator[str]:
            loops.append(asyncio.get_running_loop())
            while (item := await queue.get()) is not None:
                yield item
            await feeding

        return source(asyncio.create_task(feed()))

    async def on_close(_: Any) -> None:
        loops.append(asyncio.get_running_loop())

    handler = gs.wsgi.sse_handler(
        Provider(stream_text), prepare, options=gs.SSEOptions(include_id=False), on_close=on_close
    )
    exchange = Exchange(handler).read()
    assert exchange.body == PRELUDE + text("a") + text("b") + DONE
    assert len(loops) == 4
    assert len(set(loops)) == 1
    assert loops[0].is_closed()


def test_prepare_request_gets_the_whole_request(gs: Any) -> None:
    seen: list[Any] = []

    async def prepare(incoming: Any) -> Any:
        seen.extend([incoming.method, incoming.path, incoming.query, incoming.last_event_id])
        seen.extend([incoming.headers, await incoming.body(), await incoming.json()])
        return gs.ChatRequest.from_json(await incoming.json())

    provider = Provider()
    content = json.dumps({"messages": [{"role": "user", "content": "Hé"}]}).encode()
    exchange = Exchange(
        gs.wsgi.ndjson_handler(provider, prepare),
        "POST",
        content,
        SCRIPT_NAME="/api",
        PATH_INFO="/ch\u00c3\u00a4t",  # UTF-8 as WSGI encodes it
        QUERY_STRING="a=1",
        CONTENT_TYPE="application/json",
        HTTP_LAST_EVENT_ID="7",
        HTTP_X_MINE="1",
    ).read()
    headers = seen.pop(4)
    assert seen == ["POST", "/api/chät", {"a": "1"}, "7", content, json.loads(content)]
    assert {"content-type", "content-length", "x-mine", "last-event-id", "host"} == set(headers)
    assert provider.asked[0].question == "Hé"
    assert exchange.headers["Content-Type"] == "application/x-ndjson"


async def read_field(incoming: Any) -> Any:
    return (await incoming.json())["messages"]


@pytest.mark.parametrize(
    ("body", "environ", "status"),
    [
        (b"", {}, "400 Bad Request"),
        (b"{", {}, "400 Bad Request"),
        (b"{}", {}, "400 Bad Request"),
        (b'{"messages": 1}', {"CONTENT_LENGTH": "2"}, "400 Bad Request"),
        (b'{"messages": 1}', {}, "200 OK"),
        (b'{"messages": 1}', {"CONTENT_LENGTH": ""}, "400 Bad Request"),
        (b'{"messages": 1}', {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}, "200 OK"),
        (b"x", {"CONTENT_LENGTH": str(16 * 2**20 + 1)}, "413 Request Entity Too Large"),
        (
            b"x" * (16 * 2**20 + 1),
            {"CONTENT_LENGTH": "", "wsgi.input_terminated": True},
            "413 Request Entity Too Large",
        ),
    ],
)
def test_a_body_is_read_up_to_its_length_or_to_the_end_that_the_server_sees(
    gs: Any, body: bytes, environ: Any, status: str
) -> None:
    provider = Provider()

    def handler(environ: Any, start_response: Any) -> Any:
        if not environ.get("CONTENT_LENGTH", "absent"):
            del environ["CONTENT_LENGTH"]  # the validator requires it, and servers leave it out
        return gs.wsgi.sse_handler(provider, read_field)(environ, start_response)

    exchange = Exchange(handler, "POST", body, **environ).read()
    phrase = exchange.status.replace("Content Too Large", "Request Entity Too Large")
    assert phrase == status
    assert bool(provider.asked) is (status == "200 OK")


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError(SECRET), "400 Bad Request"),
        (KeyError(SECRET), "400 Bad Request"),
        (RuntimeError(SECRET), "500 Internal Server Error"),
    ],
)
def test_a_request_that_cannot_be_prepared_gets_a_status_and_no_internal_text(
    gs: Any, error: Exception, status: str, later: bool
) -> None:
    provider = Provider()

    def now(_: Any) -> Any:
        raise error

    async def soon(_: Any) -> Any:
        raise error

    exchange = Exchange(gs.wsgi.sse_handler(provider, soon if later else now)).read()
    assert exchange.status == status
    assert SECRET not in str(error_of(exchange))
    assert exchange.headers["Access-Control-Allow-Origin"] == "*"
    assert not provider.asked


async def fail_later(error: Exception) -> None:
    raise error


def fail_now(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (lambda _: None, "502 Bad Gateway"),
        (lambda _: soon(None), "502 Bad Gateway"),
        (lambda _: fail_now(ValueError(SECRET)), "502 Bad Gateway"),
        (lambda _: fail_later(ValueError(SECRET)), "502 Bad Gateway"),
    ],
)
def test_a_provider_that_returns_no_source_is_502(gs: Any, answer: Any, status: str) -> None:
    exchange = Exchange(gs.wsgi.sse_handler(Provider(answer), lambda _: None)).read()
    assert exchange.status == status
    assert error_of(exchange) == {"code": "internal", "message": "internal error"}


@pytest.mark.parametrize("maker", ["sse_handler", "ndjson_handler", "event_handler"])
def test_the_responses_to_options_head_and_unknown_methods(gs: Any, maker: str) -> None:
    provider = Provider()
    handler = getattr(gs.wsgi, maker)(provider, lambda _: None)
    exchange = Exchange(handler, "OPTIONS").read()
    assert (exchange.status, exchange.body) == ("204 No Content", b"")
    assert exchange.headers["Allow"] == "GET, POST, QUERY, OPTIONS, HEAD"
    assert exchange.headers["Access-Control-Max-Age"] == "600"
    exchange = Exchange(handler, "PUT").read()
    assert exchange.status == "405 Method Not Allowed"
    assert exchange.headers["Allow"] == "GET, POST, QUERY, OPTIONS, HEAD"
    assert error_of(exchange)["code"] == "method_not_allowed"
    exchange = Exchange(handler, "HEAD").read()
    assert (exchange.status, exchange.body) == ("200 OK", b"")
    media_type = "application/x-ndjson" if maker == "ndjson_handler" else "text/event-stream"
    varies = {"Vary": "Accept"} if maker == "event_handler" else {}
    assert exchange.headers == {**HEADERS, "Content-Type": media_type, **varies}
    assert not provider.asked


@pytest.mark.parametrize(
    "environ", [{"HTTP_LAST_EVENT_ID": "3"}, {"QUERY_STRING": "last_event_id=3"}]
)
def test_a_reconnect_is_ended_without_asking_the_provider(gs: Any, environ: Any) -> None:
    provider = Provider()
    exchange = Exchange(gs.wsgi.sse_handler(provider, lambda _: None), **environ).read()
    assert (exchange.status, exchange.body) == ("204 No Content", b"")
    assert not provider.asked
    again = gs.wsgi.event_handler(provider, lambda _: None, on_reconnect="rerun")
    assert Exchange(again, **environ).read().status == "200 OK"
    assert len(provider.asked) == 1


def test_event_handler_answers_in_the_requested_format(gs: Any) -> None:
    handler = gs.wsgi.event_handler(Provider(), lambda _: None)
    for environ, media_type in [
        ({}, "text/event-stream"),
        ({"HTTP_ACCEPT": "application/x-ndjson"}, "application/x-ndjson"),
        ({"PATH_INFO": "/chat.ndjson"}, "application/x-ndjson"),
    ]:
        exchange = Exchange(handler, **environ).read()
        assert exchange.headers["Content-Type"] == media_type
        assert exchange.headers["Vary"] == "Accept"


def test_settings_of_a_handler_reach_its_responses(gs: Any) -> None:
    outcomes: list[Any] = []
    threads: list[threading.Thread] = []

    def answer(_: Any) -> Iterator[Any]:
        threads.append(threading.current_thread())
        yield {"x": 1}

    handler = gs.wsgi.sse_handler(
        Provider(answer),
        lambda _: None,
        dialect="json",
        cors=None,
        headers={"X-Mine": "1"},
        helper_thread=True,
        hold_headers=True,
        on_close=outcomes.append,
    )
    exchange = Exchange(handler).read()
    assert exchange.body == PRELUDE + b'id: 1\ndata: {"x":1}\n\n'
    assert exchange.headers["X-Mine"] == "1"
    assert "Access-Control-Allow-Origin" not in exchange.headers
    assert threads != [threading.current_thread()]
    assert [each.kind for each in outcomes] == ["completed"]
