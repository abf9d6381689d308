"""frameworks.fastapi: settings of response classes, failures, dependencies."""

# FastAPI reads the annotations of the endpoints below: they must not be mere text

import asyncio
import json
import logging
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import fields
from typing import Any

import pytest
from scripted_asgi import PRELUDE, Connection, asynchronous, run

pytest.importorskip("fastapi", reason="FastAPI is not installed")

import fastapi
import fastapi.routing
import fastapi.sse
from pydantic import BaseModel, Field

import gaistream
from gaistream import NDJSONOptions, SSEOptions, asgi
from gaistream.frameworks.fastapi import (
    NDJSONResponse,
    SSEResponse,
)
from gaistream.frameworks.fastapi._responses import NDJSONSettings, SSESettings
from gaistream.writing.options import keywords_of

JSON = SSEResponse.using(dialect="json")
JSONL = NDJSONResponse.using(dialect="json", media_type="application/jsonl")


class User(BaseModel):
    name: str
    birth_year: int = Field(0, alias="birthYear")
    note: str | None = None


class Account(User):
    password: str = "secret"


async def ask(app: Any, path: str = "/") -> Connection:
    connection = Connection(path=path, app=app)
    connection.hear()
    return await connection.serve(app)


def app_of(endpoint: Any, response: Any, **route: Any) -> fastapi.FastAPI:
    app = fastapi.FastAPI()
    app.get("/", response_class=response, **route)(endpoint)
    return app


def values(body: bytes) -> list[Any]:
    """Return the payloads of a body of events or lines."""
    if body.startswith((b":", b"data:", b"event:")):
        return [json.loads(str(each.data)) for each in gaistream.SSEDecoder().feed(body)]
    return [json.loads(line) for line in body.splitlines()]


# ---- settings of a class ----


def test_using_makes_a_class_for_response_class_with_options_and_keywords() -> None:
    async def endpoint() -> AsyncIterator[str]:
        yield "a"

    made = SSEResponse.using(dialect="json", include_id=True, retry_ms=7, headers={"X-A": "b"})

    async def test() -> None:
        served = await ask(app_of(endpoint, made, status_code=201))
        assert served.body == PRELUDE + b'retry: 7\nid: 1\ndata: "a"\n\n'
        assert (served.status, served.headers["x-a"]) == (201, "b")

    run(test())


def test_the_constructor_takes_the_same_names_and_replaces_those_of_the_class() -> None:
    made = SSEResponse.using(SSEOptions(retry_ms=7), dialect="json", include_id=True)

    async def test() -> None:
        responses: list[tuple[Any, bytes]] = [
            (made(["a"]), b'retry: 7\nid: 1\ndata: "a"\n\n'),
            (made(["a"], include_id=False), b'retry: 7\ndata: "a"\n\n'),
            (made(["a"], SSEOptions()), b'data: "a"\n\n'),
            (made(["a"], SSEOptions(), retry_ms=8), b'retry: 8\ndata: "a"\n\n'),
            (SSEResponse(["a"], dialect="json", include_id=True), b'id: 1\ndata: "a"\n\n'),
        ]
        for response, body in responses:
            served = await Connection().hear().serve(response)
            assert served.body == PRELUDE + body
        lines = NDJSONResponse([{"a": 1}], NDJSONOptions(), dialect="json", compact_json=False)
        assert (await Connection().hear().serve(lines)).body == b'{"a": 1}\n'

    run(test())


def test_equal_settings_give_the_same_class() -> None:
    made = SSEResponse.using(dialect="json", heartbeat_interval=5, headers={"A": "b"}, cors=["*"])
    settings: Any = {"headers": {"A": "b"}, "cors": ["*"], "heartbeat_interval": 5}
    assert SSEResponse.using(**settings).using(dialect="json") is made
    assert SSEResponse.using(dialect="json") is not made
    assert NDJSONResponse.using(dialect="json") is not JSON
    # what was set counts, even where it is the default
    assert SSEResponse.using(retry_ms=5000) is not SSEResponse.using(retry_ms=SSEOptions().retry_ms)
    assert made.__name__ == "SSEResponse"


def test_a_class_may_be_derived_from() -> None:
    class Mine(SSEResponse.using(dialect="json")):  # type: ignore[misc]
        media_type = "text/event-stream; charset=utf-8"

    beating = Mine.using(include_id=True)
    assert issubclass(beating, Mine)

    async def endpoint() -> AsyncIterator[str]:
        yield "a"

    async def test() -> None:
        served = await ask(app_of(endpoint, beating))
        assert served.body == PRELUDE + b'id: 1\ndata: "a"\n\n'
        assert served.headers["content-type"] == "text/event-stream; charset=utf-8"

    run(test())


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SSEResponse.using(hearbeat=5), TypeError, "'hearbeat': it takes headers, "),
        (lambda: SSEResponse([], compact_json=True), TypeError, "the options of SSEOptions"),
        (lambda: NDJSONResponse.using(include_id=True), TypeError, "options of NDJSONOptions"),
        (lambda: SSEResponse.using(status_code=201), TypeError, "pass it to the path operation"),
        (lambda: SSEResponse.using(background=None), TypeError, "'background'"),
        (lambda: SSEResponse.using(heartbeat_interval="5"), TypeError, "heartbeat_interval must"),
        (lambda: SSEResponse.using(dialect="jsonl"), ValueError, "dialect must be"),
        (lambda: SSEResponse.using(headers={"A": "\n"}), ValueError, "headers must be"),
        (lambda: SSEResponse.using(NDJSONOptions()), TypeError, "options must be SSEOptions"),
        (lambda: SSEResponse(5), gaistream.errors.EventError, "int"),
    ],
)
def test_what_is_wrong_with_settings_is_said_where_they_are_given(
    make: Any, error: Any, message: str
) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("settings", "response", "options"),
    [(SSESettings, asgi.SSEResponse, SSEOptions),
     (NDJSONSettings, asgi.NDJSONResponse, NDJSONOptions)],
)  # fmt: skip
def test_every_keyword_and_option_is_a_setting(settings: Any, response: Any, options: Any) -> None:
    keywords = {each for each in keywords_of(response.__init__) if each[0] != "_"} - {"status"}
    known = keywords | {field.name for field in fields(options)}
    assert set(settings.__annotations__) == known


# ---- failures ----


def test_models_without_the_dialect_json_are_a_500_whose_log_says_what_to_do(caplog: Any) -> None:
    async def endpoint() -> AsyncIterable[User]:
        yield User(name="Ann")

    async def test() -> None:
        with caplog.at_level(logging.ERROR, "gaistream"):
            served = await ask(app_of(endpoint, SSEResponse))
        assert served.status == 500
        assert 'pass dialect="json"' in caplog.text
        assert "User" in caplog.text

    run(test())


def test_an_item_that_is_no_json_is_an_error_that_names_it(caplog: Any) -> None:
    async def endpoint():
        yield {"a": object()}

    class Slotted:
        __slots__ = ()

    async def slotted() -> AsyncIterable[User]:
        yield Slotted()  # type: ignore[misc]

    async def test() -> None:
        with caplog.at_level(logging.ERROR, "gaistream"):
            assert (await ask(app_of(endpoint, JSON))).status == 500
            assert (await ask(app_of(slotted, JSON))).status == 500
        assert "cannot encode object at $.a" in caplog.text
        assert "cannot encode Slotted at $" in caplog.text

    run(test())


def test_the_log_names_the_endpoint_that_yields(caplog: Any) -> None:
    async def endpoint():
        yield object()

    async def test() -> None:
        with caplog.at_level(logging.ERROR, "gaistream"):
            await ask(app_of(endpoint, JSON))
        assert "the source test_the_log_names_the_endpoint_that_yields" in caplog.text

    run(test())


# ---- the endpoint's generator, and dependencies ----


def test_items_that_are_ready_together_leave_together() -> None:
    async def endpoint():
        for number in range(100):
            yield number

    async def test() -> None:
        served = await ask(app_of(endpoint, JSON))
        assert len(values(served.body)) == 100
        assert len(served.chunks) < 4

    run(test())


def test_a_wrapper_of_your_own_is_kept_whatever_its_name() -> None:
    async def _async_stream_raw(async_gen: AsyncIterable[str]) -> AsyncIterable[str]:
        async for item in async_gen:
            yield item.upper()

    async def endpoint():
        return JSON(_async_stream_raw(asynchronous("a", "b")))

    async def test() -> None:
        assert values((await ask(app_of(endpoint, JSON))).body) == ["A", "B"]

    run(test())


def test_fastapis_wrapper_is_taken_off_under_another_name() -> None:
    wrapper = """async def another(source):
        async for item in source:
            yield item
            await asyncio.sleep(0)
    """
    names: dict[str, Any] = {"asyncio": asyncio}
    exec(compile(wrapper, fastapi.routing.__file__, "exec"), names)

    async def test() -> None:
        connection = Connection()
        await connection.hear().serve(JSON(names["another"](asynchronous("a", "b"))))
        chunks = [each["body"] for each in connection.sent[1:] if each["body"]]
        assert chunks == [PRELUDE + b'data: "a"\n\ndata: "b"\n\n']

    run(test())


def test_the_endpoint_is_closed_before_its_dependencies_where_an_item_cannot_be_written() -> None:
    said: list[str] = []

    async def session() -> AsyncIterator[None]:
        yield
        said.append("closed")

    async def endpoint(_: None = fastapi.Depends(session)):
        try:
            yield 1
            yield object()
        finally:
            await asyncio.sleep(0)
            said.append("source ended")

    async def test() -> None:
        await ask(app_of(endpoint, JSON))
        assert said == ["source ended", "closed"]

    run(test())


@pytest.mark.parametrize("leaves", [False, True], ids=["at its end", "when the client leaves"])
def test_a_dependency_with_yield_stays_open_until_the_source_ends(leaves: bool) -> None:
    said: list[str] = []
    go_on = asyncio.Event()

    async def session() -> AsyncIterator[str]:
        said.append("opened")
        yield "session"
        said.append("closed")

    app = fastapi.FastAPI()

    @app.get("/", response_class=JSON)
    async def endpoint(opened: str = fastapi.Depends(session)) -> AsyncIterable[str]:
        try:
            yield opened
            await go_on.wait()
            yield "more"
        finally:
            said.append("source ended")

    async def test() -> None:
        connection = Connection(app=app).hear()
        serving = connection.begin(app)
        await connection.until_said(b'data: "session"\n\n')
        assert said == ["opened"]
        if leaves:
            connection.leave()
        else:
            go_on.set()
        await serving
        assert said == ["opened", "source ended", "closed"]
        assert (b'data: "more"' in connection.body) is not leaves

    run(test())
