"""WSGI responses and handlers under wsgiref's validator: bytes, failures, ends, nothing left."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from scripted_asgi import DONE, INTERNAL, PRELUDE, asynchronous, text

SECRET = "the key is sk-123"
HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-store, must-revalidate, no-transform",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
    "Access-Control-Allow-Origin": "*",
}
HEARTBEAT = b": keep-alive\n\n"


class Exchange:
    """The server's side of one request."""

    def __init__(self, app: Any, method: str = "GET", body: bytes = b"", **environ: Any) -> None:
        paths = {"SCRIPT_NAME": "", "PATH_INFO": "/", "QUERY_STRING": ""}
        self.environ: dict[str, Any] = {"REQUEST_METHOD": method, **paths, **environ}
        setup_testing_defaults(self.environ)
        self.environ["wsgi.input"] = io.BytesIO(body)
        if body:
            self.environ.setdefault("CONTENT_LENGTH", str(len(body)))
        self.status = ""
        self.headers: dict[str, str] = {}
        self.chunks: list[bytes] = []
        self._result = validator(app)(self.environ, self._start)
        self._iterator = iter(self._result)

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        assert exc_info is None
        assert len({name.lower() for name, _ in headers}) == len(headers)
        self.status, self.headers = status, dict(headers)

    def take(self) -> bytes | None:
        """Give the next chunk, None at the end."""
        chunk = next(self._iterator, None)
        if chunk is not None:
            self.chunks.append(chunk)
        return chunk

    def read(self) -> Exchange:
        """Take all chunks, and close."""
        while self.take() is not None:
            pass
        return self.close()

    def close(self) -> Exchange:
        """Close as a server does, and look for loops and coroutines that nobody closed."""
        self._result.close()
        gc.collect()
        return self

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)


class Blocking:
    """A sync source that is no generator, and counts its closings."""

    def __init__(self, *items: Any) -> None:
        self.items = list(items)
        self.asked = self.closed = 0
        self.threads: set[threading.Thread] = set()

    def __iter__(self) -> Blocking:
        return self

    def __next__(self) -> Any:
        self.asked += 1
        self.threads.add(threading.current_thread())
        if not self.items:
            raise StopIteration
        item = self.items.pop(0)
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        self.closed += 1


def error_of(exchange: Exchange) -> dict[str, str]:
    assert exchange.headers["Content-Type"] == "application/json"
    assert exchange.headers["Content-Length"] == str(len(exchange.body))
    return json.loads(exchange.body)["error"]


# ---- sync sources in the server's thread ----


def test_each_item_of_a_sync_source_is_a_chunk_and_nothing_runs_ahead(gs: Any) -> None:
    source, outcomes = Blocking("a", "b"), []
    exchange = Exchange(gs.wsgi.SSEResponse(source, on_close=outcomes.append))
    assert exchange.status == "200 OK"
    assert exchange.headers == HEADERS
    assert source.asked == 1
    assert (exchange.take(), source.asked) == (PRELUDE + text("a"), 1)
    assert (exchange.take(), source.asked) == (text("b"), 2)
    assert (exchange.take(), source.asked) == (DONE, 3)
    assert exchange.take() is None
    exchange.close()
    assert source.closed >= 1
    assert source.threads == {threading.current_thread()}
    assert [(each.kind, each.events, each.bytes) for each in outcomes] == [
        ("completed", 2, len(exchange.body))
    ]


def test_ndjson_is_lines_and_an_empty_source_ends_well(gs: Any) -> None:
    exchange = Exchange(gs.wsgi.NDJSONResponse(["a"])).read()
    assert exchange.headers == {**HEADERS, "Content-Type": "application/x-ndjson"}
    assert exchange.chunks == [
        b'{"type":"text_delta","text":"a"}\n',
        b'{"type":"done","finished":true}\n',
    ]
    assert Exchange(gs.wsgi.SSEResponse([])).read().chunks == [PRELUDE + DONE]


def test_what_follows_done_is_left_out_and_the_source_closed(gs: Any) -> None:
    source = Blocking("a", gs.events.Done(), "b")
    exchange = Exchange(gs.wsgi.SSEResponse(source)).read()
    assert exchange.body == PRELUDE + text("a") + DONE
    assert source.items == ["b"]
    assert source.closed >= 1


def test_status_and_headers_of_the_response_are_its_makers(gs: Any) -> None:
    response = gs.wsgi.SSEResponse(
        [], status=299, headers={"cache-control": "private", "X-Mine": "1"}, cors=None
    )
    exchange = Exchange(response).read()
    assert exchange.status == "299 Status"
    assert exchange.headers["Cache-Control"] == "private"
    assert exchange.headers["X-Mine"] == "1"
    assert "Access-Control-Allow-Origin" not in exchange.headers


@pytest.mark.parametrize("failing", ["sync", "async"])
def test_a_source_that_fails_before_its_first_event_is_answered_with_a_status(
    gs: Any, failing: str
) -> None:
    outcomes: list[Any] = []

    def answer(error: Exception) -> Exchange:
        source = Blocking(error) if failing == "sync" else asynchronous(error)
        return Exchange(
            gs.wsgi.SSEResponse(source, cors="https://a.example", on_close=outcomes.append),
            HTTP_ORIGIN="https://a.example",
        ).read()

    exchange = answer(ValueError(SECRET))
    assert exchange.status == "500 Internal Server Error"
    assert error_of(exchange) == {"code": "internal", "message": "internal error"}
    assert exchange.headers["Access-Control-Allow-Origin"] == "https://a.example"
    assert exchange.headers["Vary"] == "Origin"
    exchange = answer(gs.StreamError("busy", code="busy", status=429, retry_after=1))
    assert exchange.status == "429 Too Many Requests"
    assert exchange.headers["Retry-After"] == "1"
    assert error_of(exchange) == {"code": "busy", "message": "busy"}
    assert [(each.kind, each.bytes) for each in outcomes] == [("failed", 0)] * 2


def test_a_source_that_fails_later_ends_with_the_error_and_without_done(gs: Any) -> None:
    outcomes: list[Any] = []
    source = Blocking("a", ValueError(SECRET))
    exchange = Exchange(gs.wsgi.SSEResponse(source, on_close=outcomes.append)).read()
    assert exchange.chunks == [PRELUDE + text("a"), INTERNAL]
    assert source.closed >= 1
    assert [(each.kind, each.events) for each in outcomes] == [("failed", 1)]


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_a_server_that_closes_early_closes_a_sync_source(gs: Any, taken: int) -> None:
    steps: list[str] = []

    def source() -> Iterator[str]:
        try:
            for said in "abc":
                steps.append(said)
                yield said
        finally:
            steps.append("closed")

    outcomes: list[Any] = []
    exchange = Exchange(gs.wsgi.SSEResponse(source(), on_close=outcomes.append))
    for _ in range(taken):
        exchange.take()
    exchange.close()
    assert steps == [*"abc"[: max(taken, 1)], "closed"]
    assert [each.kind for each in outcomes] == ["client_gone"]


def test_a_client_that_goes_at_the_last_chunk_did_not_get_the_stream(gs: Any) -> None:
    outcomes: list[Any] = []
    exchange = Exchange(gs.wsgi.SSEResponse(["a"], on_close=outcomes.append))
    exchange.take()
    assert exchange.take() == DONE
    exchange.close()  # the server could not send it
    assert [each.kind for each in outcomes] == ["client_gone"]


# ---- async sources ----


def test_an_async_source_is_merged_where_it_does_not_wait(gs: Any) -> None:
    outcomes: list[Any] = []
    response = gs.wsgi.SSEResponse(asynchronous("a", "b"), on_close=outcomes.append)
    exchange = Exchange(response).read()
    assert exchange.headers == HEADERS
    assert exchange.chunks == [PRELUDE + text("a") + text("b") + DONE]
    assert [(each.kind, each.events) for each in outcomes] == [("completed", 2)]


def test_an_async_source_that_waits_gets_heartbeats(gs: Any) -> None:
    released = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        yield "a"
        await released.wait()
        yield "b"

    options = gs.SSEOptions(heartbeat_interval=0.01)
    exchange = Exchange(gs.wsgi.SSEResponse(source(), options))
    assert exchange.take() == PRELUDE + text("a")
    assert [exchange.take() for _ in range(3)] == [HEARTBEAT] * 3
    released.set()  # the loop is of this thread, and runs only while a chunk is taken
    exchange.read()
    assert exchange.body.replace(HEARTBEAT, b"") == PRELUDE + text("a") + text("b") + DONE


async def failing_later(error: Exception) -> AsyncIterator[str]:
    await asyncio.sleep(0.02)  # as long as some service needs to refuse
    raise error
    yield ""


@pytest.mark.parametrize("hold", [False, True])
def test_an_async_source_that_fails_after_waiting_has_a_status_where_headers_are_held(
    gs: Any, hold: bool
) -> None:
    source = failing_later(gs.StreamError("no", status=410))
    exchange = Exchange(gs.wsgi.SSEResponse(source, hold_headers=hold)).read()
    assert exchange.status == ("410 Gone" if hold else "200 OK")
    assert exchange.body.startswith(b"{" if hold else PRELUDE)
    assert (b"event: error" in exchange.body) is not hold
    assert b"done" not in exchange.body


@pytest.mark.parametrize("taken", [0, 1])
def test_a_server_that_closes_early_closes_an_async_source_and_lets_it_clean_up(
    gs: Any, taken: int
) -> None:
    steps: list[str] = []

    async def source() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("closed")

    outcomes: list[Any] = []
    exchange = Exchange(gs.wsgi.SSEResponse(source(), on_close=outcomes.append))
    for _ in range(taken):
        assert exchange.take() == PRELUDE + text("a")
    exchange.close()
    assert steps == ["closed"]
    assert [(each.kind, each.events) for each in outcomes] == [("client_gone", 1)]


# ---- sync sources in a helper thread ----


def test_a_helper_thread_gives_a_blocking_source_heartbeats_and_merges_its_bursts(gs: Any) -> None:
    released, threads = threading.Event(), []

    def source() -> Iterator[str]:
        threads.append(threading.current_thread())
        yield "a"
        released.wait(10)
        yield from "b" * 500

    options = gs.SSEOptions(heartbeat_interval=0.01)
    exchange = Exchange(gs.wsgi.SSEResponse(source(), options, helper_thread=True))
    while exchange.chunks[-2:] != [HEARTBEAT] * 2:
        exchange.take()
    released.set()
    exchange.read()
    said = PRELUDE + text("a") + text("b") * 500 + DONE
    assert exchange.body.replace(HEARTBEAT, b"") == said
    assert len(exchange.chunks) < 250
    assert threads[0] is not threading.current_thread()
    threads[0].join(5)
    assert not threads[0].is_alive()


def test_a_helper_thread_closes_its_source_once_it_goes_on(
    gs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gs.loops.sources, "LONGEST_END", 0.01)
    blocked, closed, threads = threading.Event(), threading.Event(), []

    def source() -> Iterator[str]:
        threads.append(threading.current_thread())
        try:
            yield "a"
            blocked.wait(10)
            yield "b"
        finally:
            closed.set()

    exchange = Exchange(gs.wsgi.SSEResponse(source(), helper_thread=True))
    exchange.take()
    exchange.close()
    assert not closed.is_set()
    blocked.set()
    assert closed.wait(5)
    threads[0].join(5)
    assert not threads[0].is_alive()


# ---- the end ----


@pytest.mark.parametrize("kind", ["sync", "async", "helper thread"])
def test_head_gets_the_headers_and_the_source_is_closed_without_being_asked(
    gs: Any, kind: str
) -> None:
    outcomes: list[Any] = []
    source = Blocking("a")
    given = asynchronous("a") if kind == "async" else source
    response = gs.wsgi.SSEResponse(
        given, helper_thread=kind == "helper thread", on_close=outcomes.append
    )
    exchange = Exchange(response, "HEAD").read()
    assert (exchange.status, exchange.headers, exchange.body) == ("200 OK", HEADERS, b"")
    assert source.asked == 0
    assert (source.closed == 0) is (kind == "async")
    assert [each.kind for each in outcomes] == ["cancelled"]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_everything_ends_once_also_where_nobody_closes(gs: Any, kind: str) -> None:
    outcomes: list[Any] = []
    source = Blocking("a") if kind == "sync" else asynchronous("a")
    response = gs.wsgi.SSEResponse(source, on_close=outcomes.append)
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    result = response(environ, lambda *_: None)
    assert b"".join(result) == PRELUDE + text("a") + DONE
    assert [each.kind for each in outcomes] == ["completed"]
    result.close()  # type: ignore[attr-defined]
    result.close()  # type: ignore[attr-defined]
    assert len(outcomes) == 1


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_start_response_that_raises_closes_the_source(gs: Any, kind: str) -> None:
    steps: list[str] = []

    def sync() -> Iterator[str]:
        try:
            yield "a"
        finally:
            steps.append("closed")

    async def later() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            steps.append("closed")

    def refuse(*_: Any) -> None:
        raise OSError("gone")

    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    response = gs.wsgi.SSEResponse(sync() if kind == "sync" else later())
    with pytest.raises(OSError, match="gone"):
        response(environ, refuse)
    gc.collect()
    assert steps == ["closed"]


@pytest.mark.parametrize("first", [True, False])
def test_a_server_that_is_told_to_exit_is_not_a_client_that_went(gs: Any, first: bool) -> None:
    outcomes: list[Any] = []
    source = Blocking(*([] if first else ["a"]), SystemExit(1))
    response = gs.wsgi.SSEResponse(source, on_close=outcomes.append)
    exchange = None
    with pytest.raises(SystemExit):
        exchange = Exchange(response)
        exchange.take()
        exchange.take()
    if exchange is not None:
        exchange.close()
    assert source.closed >= 1
    assert [each.kind for each in outcomes] == ["cancelled"]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_on_close_may_be_async(gs: Any, kind: str) -> None:
    kinds: list[str] = []

    async def on_close(outcome: Any) -> None:
        await asyncio.sleep(0)
        kinds.append(outcome.kind)

    source = Blocking("a") if kind == "sync" else asynchronous("a")
    Exchange(gs.wsgi.SSEResponse(source, on_close=on_close)).read()
    assert kinds == ["completed"]


def test_what_on_close_raises_is_logged_and_harms_nothing(
    gs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def on_close(_: Any) -> None:
        raise RuntimeError("broken report")

    exchange = Exchange(gs.wsgi.SSEResponse(["a"], on_close=on_close)).read()
    assert exchange.body.endswith(DONE)
    assert "broken report" in caplog.text


def test_a_bad_source_is_refused_when_the_response_is_made(gs: Any) -> None:
    for wrong in (None, 5, "text", b"bytes", {}):
        with pytest.raises(gs.errors.EventError, match="a source is an iterable"):
            gs.wsgi.SSEResponse(wrong)


# ---- handlers ----


class Provider:
    """Gives what it is told to, and remembers what it was asked."""

    def __init__(self, answer: Callable[[Any], Any] = lambda request: ["a"]) -> None:
        self.answer = answer
        self.asked: list[Any] = []

    def stream_text(self, request: Any) -> Any:
        self.asked.append(request)
        return self.answer(request)


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


def test_all_that_is_awaited_for_a_request_is_awaited_on_one_loop(gs: Any) -> None:
    loops: list[Any] = []

    async def prepare(_: Any) -> None:
        loops.append(asyncio.get_running_loop())

    async def stream_text(_: Any) -> AsyncIterator[str]:
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        loops.append(asyncio.get_running_loop())

        async def feed() -> None:  # as a connection that was opened here goes on reading
            for said in ("a", "b", None):
                await asyncio.sleep(0)
                await queue.put(said)

        async def source(feeding: Any) -> AsyncIterator[str]:
            loops.append(asyncio.get_running_loop())
            while (said := await queue.get()) is not None:
                yield said
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


def test_prepare_request_sees_the_whole_request(gs: Any) -> None:
    seen: list[Any] = []

    async def prepare(incoming: Any) -> Any:
        seen.extend([incoming.method, incoming.path, incoming.query, incoming.last_event_id])
        seen.extend([incoming.headers, await incoming.body(), await incoming.json()])
        return gs.ChatRequest.from_json(await incoming.json())

    provider = Provider()
    said = json.dumps({"messages": [{"role": "user", "content": "Hé"}]}).encode()
    exchange = Exchange(
        gs.wsgi.ndjson_handler(provider, prepare),
        "POST",
        said,
        SCRIPT_NAME="/api",
        PATH_INFO="/ch\u00c3\u00a4t",  # UTF-8 as WSGI says it
        QUERY_STRING="a=1",
        CONTENT_TYPE="application/json",
        HTTP_LAST_EVENT_ID="7",
        HTTP_X_MINE="1",
    ).read()
    headers = seen.pop(4)
    assert seen == ["POST", "/api/chät", {"a": "1"}, "7", said, json.loads(said)]
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
def test_a_body_is_read_as_far_as_the_server_says(
    gs: Any, body: bytes, environ: Any, status: str
) -> None:
    provider = Provider()

    def handler(environ: Any, start_response: Any) -> Any:
        if not environ.get("CONTENT_LENGTH", "absent"):
            del environ["CONTENT_LENGTH"]  # which the validator wants, and servers leave out
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
def test_a_provider_that_gives_no_source_is_502(gs: Any, answer: Any, status: str) -> None:
    exchange = Exchange(gs.wsgi.sse_handler(Provider(answer), lambda _: None)).read()
    assert exchange.status == status
    assert error_of(exchange) == {"code": "internal", "message": "internal error"}


@pytest.mark.parametrize("maker", ["sse_handler", "ndjson_handler", "event_handler"])
def test_methods_are_answered_as_they_should_be(gs: Any, maker: str) -> None:
    provider = Provider()
    handler = getattr(gs.wsgi, maker)(provider, lambda _: None)
    exchange = Exchange(handler, "OPTIONS").read()
    assert (exchange.status, exchange.body) == ("204 No Content", b"")
    assert exchange.headers["Allow"] == "GET, POST, OPTIONS, HEAD"
    assert exchange.headers["Access-Control-Max-Age"] == "600"
    exchange = Exchange(handler, "PUT").read()
    assert exchange.status == "405 Method Not Allowed"
    assert exchange.headers["Allow"] == "GET, POST, OPTIONS, HEAD"
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
def test_a_reconnect_is_ended_and_nothing_is_paid_twice(gs: Any, environ: Any) -> None:
    provider = Provider()
    exchange = Exchange(gs.wsgi.sse_handler(provider, lambda _: None), **environ).read()
    assert (exchange.status, exchange.body) == ("204 No Content", b"")
    assert not provider.asked
    again = gs.wsgi.event_handler(provider, lambda _: None, on_reconnect="rerun")
    assert Exchange(again, **environ).read().status == "200 OK"
    assert len(provider.asked) == 1


def test_event_handler_answers_in_the_format_that_is_wanted(gs: Any) -> None:
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
