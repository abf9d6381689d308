"""ASGI handlers in a scripted server: from the request to the provider, and what refuses it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pydantic
import pytest
from scripted_asgi import (
    DONE,
    END,
    HEADERS,
    PRELUDE,
    Connection,
    Gate,
    Source,
    asynchronous,
    body,
    run,
    start,
    text,
)

SECRET = "the key is sk-123"


class Provider:
    """Gives what it is told to, and remembers what it was asked."""

    def __init__(self, answer: Callable[[Any], Any] = lambda request: asynchronous("a")) -> None:
        self.answer = answer
        self.asked: list[Any] = []

    def stream_text(self, request: Any) -> Any:
        self.asked.append(request)
        return self.answer(request)


class AsyncGenerator:
    """The usual form of a provider."""

    async def stream_text(self, request: Any) -> AsyncIterator[str]:
        for said in request:
            yield said


class Coroutine:
    """A provider that has to wait before it has a source."""

    async def stream_text(self, request: Any) -> AsyncIterator[str]:
        await asyncio.sleep(0)
        return AsyncGenerator().stream_text(request)


class Function:
    """A provider that gives a source, of whatever kind."""

    def stream_text(self, request: Any) -> Any:
        return list(request)


class SyncGenerator:
    """A provider that blocks."""

    def stream_text(self, request: Any) -> Iterator[str]:
        yield from request


def question(incoming: Any) -> str:
    return incoming.query["q"]


def error_of(served: Connection) -> dict[str, str]:
    assert served.is_complete
    assert served.headers["content-type"] == "application/json"
    assert served.headers["content-length"] == str(len(served.body))
    assert len(served.chunks) == 1
    return json.loads(served.body)["error"]


# ---- from the request to the stream ----


@pytest.mark.parametrize("kind", [AsyncGenerator, Coroutine, Function, SyncGenerator])
@pytest.mark.parametrize("prepare_is_async", [False, True])
def test_a_provider_of_any_kind_is_streamed(gs: Any, kind: Any, prepare_is_async: bool) -> None:
    async def later(incoming: Any) -> str:
        await asyncio.sleep(0)
        return question(incoming)

    async def test() -> None:
        handler = gs.asgi.sse_handler(kind(), later if prepare_is_async else question)
        served = await Connection(query_string=b"q=xyz").serve(handler)
        assert served.sent[0] == start()
        said = b"".join(b"id: %d\n" % id_ + text("xyz"[id_ - 1]) for id_ in (1, 2, 3))
        assert served.body == PRELUDE + said + b"id: 4\n" + DONE
        assert served.is_complete

    run(test())


def test_prepare_request_sees_the_whole_request_and_the_provider_what_it_gives(gs: Any) -> None:
    async def test() -> None:
        seen: list[Any] = []

        async def prepare(incoming: Any) -> Any:
            seen.extend([incoming.method, incoming.path, incoming.query, incoming.headers])
            seen.extend([incoming.last_event_id, await incoming.body(), await incoming.json()])
            return gs.ChatRequest.from_json(await incoming.json())

        provider = Provider()
        handler = gs.asgi.sse_handler(provider, prepare, on_reconnect="rerun")
        headers = [
            (b"X-Mine", b"\xe9"),
            (b"x-mine", b"2"),
            (b"cookie", b"a=1"),
            (b"cookie", b"b=2"),
            (b"last-event-id", b"7"),
        ]
        connection = Connection(
            "POST", "/ch\u00e4t", query_string=b"a=%C3%A9&b=", headers=headers
        )
        said = json.dumps({"messages": [{"role": "user", "content": "Hé"}]}).encode()
        connection.hear(said[:5], more=True).hear(b"", more=True).hear(said[5:], more=True).hear()
        await connection.serve(handler)
        assert seen == [
            "POST",
            "/ch\u00e4t",
            {"a": "é", "b": ""},
            {"x-mine": "\xe9, 2", "cookie": "a=1; b=2", "last-event-id": "7"},
            "7",
            said,
            json.loads(said),
        ]
        assert provider.asked[0].question == "Hé"
        assert connection.body.endswith(DONE)

    run(test())


@pytest.mark.parametrize(
    ("path", "accept", "media_type"),
    [
        ("/chat", [], "text/event-stream"),
        ("/chat", [b"application/x-ndjson"], "application/x-ndjson"),
        ("/chat", [b"text/html", b"application/x-ndjson"], "application/x-ndjson"),
        ("/chat/ndjson", [b"text/event-stream"], "application/x-ndjson"),
        ("/chat/sse", [b"application/x-ndjson"], "text/event-stream"),
    ],
)
def test_event_handler_answers_in_the_format_that_is_wanted(
    gs: Any, path: str, accept: list[bytes], media_type: str
) -> None:
    async def test() -> None:
        handler = gs.asgi.event_handler(
            Provider(),
            lambda _: None,
            sse_options=gs.SSEOptions(include_id=False),
            ndjson_options=gs.NDJSONOptions(compact_json=False),
        )
        headers = [(b"Accept", each) for each in accept]
        served = await Connection(path=path, headers=headers).serve(handler)
        assert served.headers["content-type"] == media_type
        assert served.headers["vary"] == "Accept"
        assert (b'"type": "done"' in served.body) is (media_type == "application/x-ndjson")
        assert b"id:" not in served.body

    run(test())


def test_settings_of_a_handler_reach_its_responses(gs: Any) -> None:
    async def test() -> None:
        outcomes: list[Any] = []
        handler = gs.asgi.ndjson_handler(
            Provider(lambda _: asynchronous({"x": 1})),
            lambda _: None,
            dialect="json",
            cors=None,
            headers={"X-Mine": "1"},
            on_close=outcomes.append,
            hold_headers=True,
            send_timeout=None,
        )
        for _ in range(2):
            served = await Connection().serve(handler)
            assert served.body == b'{"x":1}\n'
            assert served.headers["x-mine"] == "1"
            assert "access-control-allow-origin" not in served.headers
        assert [each.kind for each in outcomes] == ["completed"] * 2

    run(test())


def test_a_client_that_goes_ends_the_stream_also_after_its_body_was_read(gs: Any) -> None:
    async def test() -> None:
        async def prepare(incoming: Any) -> Any:
            return await incoming.json()

        source = Source("a")
        handler = gs.asgi.sse_handler(Provider(lambda _: source), prepare)
        connection = Connection("POST").hear(b"{}")
        task = connection.begin(handler)
        await connection.until_said(text("a"))
        connection.leave()
        await task
        assert source.closed == 1

    run(test())


# ---- what refuses it ----


def refuse(error: BaseException) -> Callable[[Any], Any]:
    def prepare(_: Any) -> Any:
        raise error

    return prepare


def refuse_later(error: BaseException) -> Callable[[Any], Any]:
    async def prepare(_: Any) -> Any:
        await asyncio.sleep(0)
        raise error

    return prepare


class Model(pydantic.BaseModel):
    """What a body must be, for people who validate with pydantic."""

    number: int


async def validate(incoming: Any) -> Model:
    return Model.model_validate_json(await incoming.body())


async def read_field(incoming: Any) -> Any:
    return (await incoming.json())["messages"]


@pytest.mark.parametrize(
    ("prepare", "status", "code"),
    [
        (refuse(ValueError(SECRET)), 400, "bad_request"),
        (refuse_later(ValueError(SECRET)), 400, "bad_request"),
        (refuse(KeyError(SECRET)), 400, "bad_request"),
        (refuse(RuntimeError(SECRET)), 500, "internal"),
        (refuse_later(TypeError(SECRET)), 500, "internal"),
        (validate, 400, "bad_request"),
        (read_field, 400, "bad_request"),
        (question, 400, "missing_input"),
    ],
)
def test_a_request_that_cannot_be_prepared_gets_a_status_and_no_internal_text(
    gs: Any, prepare: Any, status: int, code: str
) -> None:
    async def test() -> None:
        provider, outcomes = Provider(), []
        handler = gs.asgi.sse_handler(provider, prepare, on_close=outcomes.append)
        connection = Connection("POST").hear(b'{"the key is sk-123": [1]}')
        served = await connection.serve(handler)
        assert served.status == status
        assert error_of(served)["code"] == code
        assert SECRET.encode() not in served.body
        assert served.headers["access-control-allow-origin"] == "*"
        assert not provider.asked
        assert not outcomes

    run(test())


def test_a_public_error_of_prepare_request_is_told(gs: Any) -> None:
    async def test() -> None:
        for make in (refuse, refuse_later):
            error = gs.StreamError("sign in", code="unauthorized", status=401, retry_after=5)
            handler = gs.asgi.event_handler(Provider(), make(error), cors="https://a.example")
            served = await Connection().serve(handler)
            assert served.status == 401
            assert error_of(served) == {"code": "unauthorized", "message": "sign in"}
            assert served.headers["retry-after"] == "5"
            assert served.headers["vary"] == "Origin"

    run(test())


@pytest.mark.parametrize("body_", [b"", b"{", b"\xff", b"NaN"])
def test_a_body_that_is_no_json_is_400(gs: Any, body_: bytes) -> None:
    async def test() -> None:
        provider = Provider()
        handler = gs.asgi.sse_handler(provider, read_field)
        served = await Connection("POST").hear(body_).serve(handler)
        assert served.status == 400
        assert error_of(served) == {"code": "bad_request", "message": "bad request"}
        assert not provider.asked

    run(test())


def test_a_body_beyond_the_limit_is_413_and_not_read_on(gs: Any) -> None:
    async def test() -> None:
        connection = Connection("POST")
        for _ in range(20):
            connection.hear(bytes(2**20), more=True)
        served = await connection.serve(gs.asgi.sse_handler(Provider(), read_field))
        assert served.status == 413
        assert error_of(served)["code"] == "body_too_large"
        assert connection.incoming.qsize() == 20 - 17

    run(test())


def test_a_client_that_goes_before_its_body_was_read_is_not_answered(gs: Any) -> None:
    async def test() -> None:
        provider, connection = Provider(), Connection("POST").hear(b"{", more=True)
        connection.leave()
        served = await connection.serve(gs.asgi.sse_handler(provider, read_field))
        assert not served.sent
        assert not provider.asked

    run(test())


def test_a_body_that_the_server_could_not_read_on_is_not_taken_for_whole(
    gs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        provider, connection = Provider(), Connection("POST").hear(b"[1]", more=True)
        receive = connection.receive

        async def broken() -> dict[str, Any]:
            if connection.incoming.empty():
                raise RuntimeError("nothing more to receive")
            return await receive()

        connection.receive = broken  # type: ignore[method-assign]
        served = await connection.serve(gs.asgi.sse_handler(provider, lambda each: each.json()))
        assert served.status == 500
        assert error_of(served)["code"] == "internal"
        assert not provider.asked

    run(test())
    assert "nothing more to receive" in caplog.text


async def fail_later(error: Exception) -> Any:
    await asyncio.sleep(0)
    raise error


def fail_now(error: Exception) -> Any:
    raise error


@pytest.mark.parametrize("fail", [fail_now, fail_later, lambda error: asynchronous(error)])
@pytest.mark.parametrize("public", [False, True])
def test_a_provider_that_fails_before_it_waits_gets_a_status(
    gs: Any, fail: Any, public: bool
) -> None:
    async def test() -> None:
        made = gs.StreamError("full", code="full", status=503) if public else ValueError(SECRET)
        handler = gs.asgi.sse_handler(Provider(lambda _: fail(made)), lambda _: None)
        served = await Connection().serve(handler)
        assert served.status == (503 if public else 502)
        told = {"code": "full", "message": "full"}
        internal = {"code": "internal", "message": "internal error"}
        assert error_of(served) == (told if public else internal)

    run(test())


async def nothing_later() -> None:
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    "answer", [lambda _: None, lambda _: "text", lambda _: 5, lambda _: nothing_later()]
)
def test_a_provider_that_gives_no_source_is_502(gs: Any, answer: Any) -> None:
    async def test() -> None:
        served = await Connection().serve(
            gs.asgi.sse_handler(Provider(answer), lambda _: None)
        )
        assert served.status == 502
        assert error_of(served)["message"] == "internal error"

    run(test())


def test_a_cancellation_while_preparing_passes(gs: Any) -> None:
    async def test() -> None:
        gate = Gate()

        async def prepare(_: Any) -> None:
            await gate()

        provider, connection = Provider(), Connection()
        task = connection.begin(gs.asgi.sse_handler(provider, prepare))
        await gate.arrival()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not connection.sent
        assert not provider.asked

    run(test())


# ---- requests that need no provider ----


@pytest.mark.parametrize("maker", ["sse_handler", "ndjson_handler", "event_handler"])
def test_methods_are_answered_as_they_should_be(gs: Any, maker: str) -> None:
    async def test() -> None:
        provider = Provider()
        handler = getattr(gs.asgi, maker)(provider, lambda _: None)
        served = await Connection("OPTIONS").serve(handler)
        assert served.sent == [
            start(
                204,
                [
                    (b"allow", b"GET, POST, OPTIONS, HEAD"),
                    (b"access-control-allow-origin", b"*"),
                    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
                    (
                        b"access-control-allow-headers",
                        b"Content-Type, Authorization, Last-Event-ID, Idempotency-Key, "
                        b"X-Idempotency-Key",
                    ),
                    (b"access-control-max-age", b"600"),
                ],
            ),
            END,
        ]
        served = await Connection("DELETE").serve(handler)
        assert (served.status, served.headers["allow"]) == (405, "GET, POST, OPTIONS, HEAD")
        assert error_of(served)["code"] == "method_not_allowed"
        served = await Connection("HEAD").serve(handler)
        varies = [(b"vary", b"Accept")] if maker == "event_handler" else []
        media_type = b"application/x-ndjson" if maker == "ndjson_handler" else HEADERS[0][1]
        expected = [(b"content-type", media_type), *HEADERS[1:], *varies]
        assert served.sent == [start(200, expected), END]
        assert not provider.asked

    run(test())


@pytest.mark.parametrize(
    "scope", [{"headers": [(b"last-event-id", b"3")]}, {"query_string": b"last_event_id=3"}]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_reconnect_is_ended_and_nothing_is_paid_twice(gs: Any, scope: Any, method: str) -> None:
    async def test() -> None:
        provider = Provider()
        for maker in (gs.asgi.sse_handler, gs.asgi.event_handler):
            served = await Connection(method, **scope).serve(maker(provider, lambda _: None))
            assert served.sent == [
                start(204, [(b"cache-control", b"no-store"), HEADERS[-1]]),
                END,
            ]
        assert not provider.asked

    run(test())


def test_a_reconnect_is_served_again_where_that_is_wanted(gs: Any) -> None:
    async def test() -> None:
        provider = Provider()
        scope = {"headers": [(b"last-event-id", b"3")]}
        for handler in (
            gs.asgi.sse_handler(provider, lambda _: None, on_reconnect="rerun"),
            gs.asgi.event_handler(provider, lambda _: None, on_reconnect="rerun"),
            gs.asgi.ndjson_handler(provider, lambda _: None),
        ):
            assert (await Connection(**scope).serve(handler)).status == 200
        assert len(provider.asked) == 3

    run(test())


def test_an_id_that_no_server_gave_is_ignored(gs: Any) -> None:
    async def test() -> None:
        scope = {"headers": [(b"last-event-id", "é".encode())]}
        handler = gs.asgi.sse_handler(Provider(), lambda _: None)
        assert (await Connection(**scope).serve(handler)).status == 200

    run(test())


def test_what_is_no_http_request_is_refused_without_asking(gs: Any) -> None:
    async def test() -> None:
        provider = Provider()
        handler = gs.asgi.event_handler(provider, lambda _: None)
        connection = await Connection(type="websocket").serve(handler)
        assert connection.sent == [{"type": "websocket.close", "code": 1000}]
        connection = Connection(type="lifespan")
        connection.incoming.put_nowait({"type": "lifespan.startup"})
        connection.incoming.put_nowait({"type": "lifespan.shutdown"})
        await connection.serve(handler)
        assert [each["type"] for each in connection.sent] == [
            "lifespan.startup.complete",
            "lifespan.shutdown.complete",
        ]
        assert not provider.asked

    run(test())


def test_a_handler_serves_many_requests_at_once(gs: Any) -> None:
    async def test() -> None:
        options = gs.SSEOptions(include_id=False)
        handler = gs.asgi.sse_handler(AsyncGenerator(), question, options=options)
        names = [f"{number:03}" for number in range(100)]
        served = await asyncio.gather(
            *(Connection(query_string=f"q={name}".encode()).serve(handler) for name in names)
        )
        for name, connection in zip(names, served, strict=True):
            said = b"".join(map(text, name))
            assert connection.sent == [start(), body(PRELUDE + said + DONE), END]

    run(test())
