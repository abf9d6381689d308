"""frameworks.fastapi: items as the JSON that FastAPI sends."""

# FastAPI reads the annotations of the endpoints below: they must not be mere text

import functools
import json
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from scripted_asgi import PRELUDE, Connection, asynchronous, run

pytest.importorskip("fastapi", reason="FastAPI is not installed")

import fastapi
import fastapi.sse
from pydantic import BaseModel, Field

import gaistream
from gaistream.frameworks.fastapi import (
    EventSourceResponse,
    NDJSONResponse,
    ServerSentEvent,
    SSEResponse,
)

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


async def declared() -> AsyncIterable[User]:
    yield User(name="Ann", birthYear=1990)
    yield Account(name="Bob")  # its password must not be sent


def declared_sync() -> Iterable[User]:
    yield User(name="Ann", birthYear=1990)
    yield Account(name="Bob")


async def undeclared():
    yield User(name="Ann", birthYear=1990)
    yield {"user": User(name="Ann"), "list": (1, {2}), 3: Decimal("1.5")}
    yield {"plain": [None, True, 1.5, {"a": "b"}]}
    yield datetime(2026, 1, 2, tzinfo=UTC)
    yield timedelta(seconds=90)
    yield Place("here")
    yield float("nan")
    yield "text"


@dataclass
class Place:
    name: str


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"response_model_by_alias": False},
        {"response_model_exclude_none": True},
        {"response_model_exclude_unset": True},
        {"response_model_exclude_defaults": True},
        {"response_model_include": {"name"}},
        {"response_model_exclude": {"name"}},
    ],
    ids=lambda options: next(iter(options), "none"),
)
@pytest.mark.parametrize("endpoint", [declared, declared_sync, undeclared])
@pytest.mark.parametrize("carrier", ["events", "lines"])
def test_items_are_the_json_that_fastapi_sends(carrier: str, endpoint: Any, options: Any) -> None:
    async def test() -> None:
        native: Any = {"response_class": fastapi.sse.EventSourceResponse}
        native = native if carrier == "events" else {}
        expected = fastapi.FastAPI()
        expected.get("/", **native, **options)(endpoint)
        sent = values((await ask(expected)).body)
        for response in (JSON, EventSourceResponse) if carrier == "events" else (JSONL,):
            assert values((await ask(app_of(endpoint, response, **options))).body) == sent
        assert "secret" not in str(sent)

    run(test())


def test_an_endpoint_may_be_an_object_or_a_partial() -> None:
    @dataclass  # which makes it unhashable
    class Callable_:
        name: str

        async def __call__(self) -> AsyncIterable[User]:
            yield Account(name=self.name)

    async def test() -> None:
        for endpoint in (Callable_("Ann"), functools.partial(declared_for, name="Ann")):
            [sent] = values((await ask(app_of(endpoint, JSON))).body)
            assert sent == {"name": "Ann", "birthYear": 0, "note": None}

    run(test())


async def declared_for(name: str) -> AsyncIterable[User]:
    yield Account(name=name)


def test_items_are_not_validated() -> None:
    async def endpoint() -> AsyncIterable[User]:
        yield {"name": 5, "more": User(name="x", birthYear=1)}  # type: ignore[misc]

    async def test() -> None:
        served = await ask(app_of(endpoint, JSON))
        more = {"name": "x", "birthYear": 1, "note": None}
        assert values(served.body) == [{"name": 5, "more": more}]

    run(test())


class Slots:
    __slots__ = ("birthYear", "name")

    def __init__(self) -> None:
        self.name = "Ann"
        self.birthYear = 1990


class Properties:
    def __init__(self) -> None:
        self.name = "Ann"

    @property
    def birthYear(self) -> int:
        return 1990


def test_objects_become_the_declared_type_by_their_attributes_as_in_fastapi() -> None:
    async def rows() -> AsyncIterable[User | list[User]]:
        yield Slots()  # type: ignore[misc]
        yield Properties()  # type: ignore[misc]
        yield [Properties(), Slots()]  # type: ignore[list-item]

    async def test() -> None:
        native = fastapi.FastAPI()
        native.get("/", response_class=fastapi.sse.EventSourceResponse)(rows)
        user = {"name": "Ann", "birthYear": 1990, "note": None}
        for app in (native, app_of(rows, EventSourceResponse), app_of(rows, JSONL)):
            assert values((await ask(app)).body) == [user, user, [user, user]]

    run(test())


def test_an_object_that_cannot_become_the_declared_type_is_written_as_it_is() -> None:
    @dataclass
    class Point:
        x: int

    async def endpoint() -> AsyncIterable[User]:
        yield Point(1)  # type: ignore[misc]

    async def test() -> None:
        assert values((await ask(app_of(endpoint, JSON))).body) == [{"x": 1}]

    run(test())


def test_the_option_default_converts_what_json_does_not_know() -> None:
    async def endpoint():
        yield {"price": Decimal("1.50")}
        yield User(name="Ann", birthYear=1)

    async def test() -> None:
        response = SSEResponse.using(dialect="json", default=str)
        first, second = values((await ask(app_of(endpoint, response))).body)
        assert first == {"price": "1.50"}
        assert second["birthYear"] == 1

    run(test())


def test_models_of_a_returned_response_have_their_aliases() -> None:
    async def endpoint():
        return SSEResponse(asynchronous(User(name="Ann", birthYear=1)), dialect="json")

    async def test() -> None:
        served = await ask(app_of(endpoint, SSEResponse))
        assert values(served.body) == [{"name": "Ann", "birthYear": 1, "note": None}]

    run(test())


def test_frames_pass_through_the_dialect_json_and_bytes_are_json_to_fastapis_stand_in() -> None:
    async def endpoint():
        yield b"data: ready\n\n"
        yield gaistream.ServerSentEvent("own", "name")

    async def test() -> None:
        own = b"event: name\ndata: own\n\n"
        assert (await ask(app_of(endpoint, JSON))).body == PRELUDE + b"data: ready\n\n" + own
        served = await ask(app_of(endpoint, EventSourceResponse))
        assert served.body == PRELUDE + b'data: "data: ready\\n\\n"\n\n' + own

    run(test())


def test_an_event_of_fastapi_over_ndjson_is_a_line_of_its_data() -> None:
    async def endpoint() -> AsyncIterable[ServerSentEvent]:
        yield ServerSentEvent(data={"a": 1})
        yield ServerSentEvent(raw_data="[1]")

    async def test() -> None:
        assert values((await ask(app_of(endpoint, JSONL))).body) == [{"a": 1}, [1]]

    run(test())


def test_events_of_gaistream_are_written_by_the_other_dialects() -> None:
    async def endpoint() -> AsyncIterator[str]:
        yield "a"

    async def test() -> None:
        served = await ask(app_of(endpoint, SSEResponse))
        assert served.body.startswith(PRELUDE + b'event: text_delta\ndata: {"text":"a"}\n\n')

    run(test())
