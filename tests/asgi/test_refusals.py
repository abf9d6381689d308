"""Requests to ASGI handlers that fail before the stream: in `prepare_request`, by the provider."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pydantic
import pytest
from recording_provider import (
    RecordingProvider,
)
from scripted_asgi import (
    Connection,
    Gate,
    asynchronous,
    run,
)

SECRET = "the key is sk-123"


def question(incoming: Any) -> str:
    return incoming.query["q"]


def error_of(served: Connection) -> dict[str, str]:
    assert served.is_complete
    assert served.headers["content-type"] == "application/json"
    assert served.headers["content-length"] == str(len(served.body))
    assert len(served.chunks) == 1
    return json.loads(served.body)["error"]


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
    """A request's body, for applications that validate with pydantic."""

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
        provider, outcomes = RecordingProvider(), []
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


def test_a_public_error_of_prepare_request_is_sent(gs: Any) -> None:
    async def test() -> None:
        for make in (refuse, refuse_later):
            error = gs.StreamError("sign in", code="unauthorized", status=401, retry_after=5)
            handler = gs.asgi.event_handler(
                RecordingProvider(), make(error), cors="https://a.example"
            )
            served = await Connection().serve(handler)
            assert served.status == 401
            assert error_of(served) == {"code": "unauthorized", "message": "sign in"}
            assert served.headers["retry-after"] == "5"
            assert served.headers["vary"] == "Origin"

    run(test())


@pytest.mark.parametrize("body_", [b"", b"{", b"\xff", b"NaN"])
def test_a_malformed_body_is_400(gs: Any, body_: bytes) -> None:
    async def test() -> None:
        provider = RecordingProvider()
        handler = gs.asgi.sse_handler(provider, read_field)
        served = await Connection("POST").hear(body_).serve(handler)
        assert served.status == 400
        assert error_of(served) == {"code": "bad_request", "message": "bad request"}
        assert not provider.asked

    run(test())


def test_a_body_beyond_the_limit_is_413_and_its_rest_is_not_read(gs: Any) -> None:
    async def test() -> None:
        connection = Connection("POST")
        for _ in range(20):
            connection.hear(bytes(2**20), more=True)
        served = await connection.serve(gs.asgi.sse_handler(RecordingProvider(), read_field))
        assert served.status == 413
        assert error_of(served)["code"] == "body_too_large"
        assert connection.incoming.qsize() == 20 - 17

    run(test())


def test_a_client_that_leaves_before_its_body_was_read_is_not_answered(gs: Any) -> None:
    async def test() -> None:
        provider, connection = RecordingProvider(), Connection("POST").hear(b"{", more=True)
        connection.leave()
        served = await connection.serve(gs.asgi.sse_handler(provider, read_field))
        assert not served.sent
        assert not provider.asked

    run(test())


def test_an_error_of_receive_within_the_body_is_500(
    gs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        provider, connection = RecordingProvider(), Connection("POST").hear(b"[1]", more=True)
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
        error = gs.StreamError("full", code="full", status=503) if public else ValueError(SECRET)
        handler = gs.asgi.sse_handler(RecordingProvider(lambda _: fail(error)), lambda _: None)
        served = await Connection().serve(handler)
        assert served.status == (503 if public else 502)
        full = {"code": "full", "message": "full"}
        internal = {"code": "internal", "message": "internal error"}
        assert error_of(served) == (full if public else internal)

    run(test())


async def nothing_later() -> None:
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    "answer", [lambda _: None, lambda _: "text", lambda _: 5, lambda _: nothing_later()]
)
def test_a_provider_that_returns_no_source_is_502(gs: Any, answer: Any) -> None:
    async def test() -> None:
        served = await Connection().serve(
            gs.asgi.sse_handler(RecordingProvider(answer), lambda _: None)
        )
        assert served.status == 502
        assert error_of(served)["message"] == "internal error"

    run(test())


def test_a_cancellation_while_preparing_is_raised(gs: Any) -> None:
    async def test() -> None:
        gate = Gate()

        async def prepare(_: Any) -> None:
            await gate()

        provider, connection = RecordingProvider(), Connection()
        task = connection.begin(gs.asgi.sse_handler(provider, prepare))
        await gate.arrival()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not connection.sent
        assert not provider.asked

    run(test())
