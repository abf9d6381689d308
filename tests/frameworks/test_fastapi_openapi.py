"""frameworks.fastapi.document: FastAPI's own document of the same streams, field by field.

Each application is made twice, with FastAPI's own streams and with gaistream's, and the documents
are compared.
"""

# FastAPI reads the annotations of the endpoints below: they must not be mere text

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from typing import Annotated, Any, Generic, TypeVar

import pytest
from scripted_asgi import Connection, run

pytest.importorskip("fastapi", reason="FastAPI is not installed")

import fastapi
import fastapi.sse
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field
from typing_extensions import TypedDict  # pydantic refuses typing's before Python 3.12

import gaistream
from gaistream.dialects import Dialect
from gaistream.dialects.base import DialectWriter
from gaistream.dialects.json import PayloadSSE
from gaistream.frameworks.fastapi import (
    EventSourceResponse,
    NDJSONResponse,
    ServerSentEvent,
    SSEResponse,
    document,
)

T = TypeVar("T")
SSE = SSEResponse.using(dialect="json", heartbeat_interval=5)
JSONL = NDJSONResponse.using(dialect="json", media_type="application/jsonl")


class Part(BaseModel):
    number: int


class Item(BaseModel):
    name: str
    parts: list[Part] = []
    price: float = Field(0, alias="unitPrice", serialization_alias="outPrice")


class Tree(BaseModel):
    children: "list[Tree]" = []


class Page(BaseModel, Generic[T]):
    items: list[T]


class Row(TypedDict):
    text: str


class Problem(BaseModel):
    title: str


def another_item() -> type[BaseModel]:
    """Return another model of the same name, so that FastAPI has to tell them apart."""

    class Item(BaseModel):
        other: int

    return Item


Other: Any = another_item()


def add_endpoints(router: Any, stream: dict[str, Any]) -> None:
    """Add endpoints of every kind; `stream` says how the streams are made."""

    @router.get("/async", **stream)
    async def asynchronous() -> AsyncIterable[Item]:
        yield Item(name="a")

    @router.get("/sync", **stream, status_code=202, summary="Blocks")
    def sync() -> Iterable[Item]:
        yield Item(name="a")

    @router.post("/post", **stream, responses={404: {"model": Problem}}, tags=["posted"])
    async def posted(item: Item, limit: int = 3) -> AsyncGenerator[Page[Part], None]:
        """Stream pages."""
        yield Page(items=[])

    @router.api_route("/several", methods=["PUT", "DELETE"], **stream, operation_id="several")
    async def several() -> AsyncIterator[Tree]:
        yield Tree()

    @router.get("/union", **stream)
    async def union() -> AsyncIterable[Item | Problem | int]:
        yield 1

    @router.get("/annotated", **stream, response_model_exclude_none=True, deprecated=True)
    async def annotated() -> AsyncIterable[Annotated[Row, "a row"]]:
        yield {"text": ""}

    @router.get("/other", **stream)
    async def other() -> AsyncIterable[Other]:
        yield Other(other=1)

    @router.get("/bare", **stream)
    async def bare():
        yield 1

    @router.get("/untyped", **stream)
    async def untyped() -> AsyncIterable[Any]:
        yield 1

    @router.get("/text", **stream)
    async def text() -> AsyncIterable[str]:
        yield ""

    @router.get("/plain")
    async def plain() -> Item:
        return Item(name="a")

    @router.get("/hidden", **stream, include_in_schema=False)
    async def hidden() -> AsyncIterable[Part]:
        yield Part(number=1)


def whole_app(stream: dict[str, Any]) -> fastapi.FastAPI:
    """Return an application with the endpoints at its top, in routers, and in their routers."""
    app = fastapi.FastAPI(title="Streams", version="2")
    add_endpoints(app, stream)
    inner, outer = fastapi.APIRouter(prefix="/inner"), fastapi.APIRouter(tags=["outer"])
    add_endpoints(inner, {**stream, "dependencies": [fastapi.Depends(lambda q: q)]})
    outer.include_router(inner, prefix="/middle", responses={418: {"model": Part}})
    app.include_router(outer, prefix="/v1")
    app.include_router(outer, prefix="/v2", deprecated=True)
    return app


@pytest.mark.parametrize(
    ("native", "own"),
    [
        ({"response_class": fastapi.sse.EventSourceResponse}, EventSourceResponse),
        ({"response_class": fastapi.sse.EventSourceResponse}, SSE),
        ({}, JSONL),
    ],
    ids=["EventSourceResponse", "SSEResponse", "NDJSONResponse"],
)
@pytest.mark.filterwarnings("ignore:Duplicate Operation ID")
def test_the_document_of_streams_is_fastapis_own_field_by_field(native: Any, own: Any) -> None:
    app = whole_app({"response_class": own})
    plain = app.openapi()
    app.openapi_schema = None
    document(app)
    expected = whole_app(native).openapi()
    assert plain != expected
    assert app.openapi() == expected
    assert "/v2/middle/inner/union" in expected["paths"]


def test_events_with_fields_have_no_schema_of_data_as_in_fastapi() -> None:
    def make(response: Any) -> fastapi.FastAPI:
        app = fastapi.FastAPI()

        @app.get("/events", response_class=response)
        async def events() -> AsyncIterable[ServerSentEvent]:
            yield ServerSentEvent(data=1)

        @app.get("/both", response_class=response)
        async def both() -> AsyncIterable[Item | ServerSentEvent]:
            yield ServerSentEvent(data=1)

        return app

    app = make(EventSourceResponse)
    document(app)
    assert app.openapi() == make(fastapi.sse.EventSourceResponse).openapi()


def test_an_endpoint_that_returns_the_response_is_described_as_in_fastapi() -> None:
    def make(response: Any) -> fastapi.FastAPI:
        app = fastapi.FastAPI()

        @app.get("/returned", response_class=response)
        async def returned():
            return response([])

        return app

    app = make(SSE)
    document(app)
    assert app.openapi() == make(fastapi.sse.EventSourceResponse).openapi()


def test_a_default_response_class_is_described_too() -> None:
    def make(response: Any) -> fastapi.FastAPI:
        app = fastapi.FastAPI(default_response_class=response)

        router = fastapi.APIRouter()
        for each in (app, router):

            @each.get("/")
            async def items() -> AsyncIterable[Item]:
                yield Item(name="a")

        app.include_router(router, prefix="/included", default_response_class=response)
        return app

    app = make(SSE)
    document(app)
    assert app.openapi() == make(fastapi.sse.EventSourceResponse).openapi()


def content(app: fastapi.FastAPI, path: str) -> Any:
    return app.openapi()["paths"][path]["get"]["responses"]["200"]["content"]


def test_the_media_type_is_that_of_the_response() -> None:
    app = fastapi.FastAPI()
    document(app)

    @app.get("/", response_class=NDJSONResponse.using(dialect="json"))
    async def items() -> AsyncIterable[Part]:
        yield Part(number=1)

    schema = {"$ref": "#/components/schemas/Part"}
    for _ in range(2):
        assert content(app, "/") == {"application/x-ndjson": {"itemSchema": schema}}


def test_items_that_are_not_json_have_no_schema_of_data() -> None:
    """In other dialects a str is a piece of text, not a payload."""
    app = fastapi.FastAPI()
    document(app)

    @app.get("/text", response_class=SSEResponse)
    async def text() -> AsyncIterable[str]:
        yield "a"

    @app.get("/frames", response_class=SSE)
    async def frames() -> AsyncIterable[gaistream.ServerSentEvent]:
        yield gaistream.ServerSentEvent("a")

    for path in ("/text", "/frames"):
        properties = content(app, path)["text/event-stream"]["itemSchema"]["properties"]
        assert properties["data"] == {"type": "string"}


def test_bytes_are_described_where_they_are_json() -> None:
    def make(response: Any) -> Any:
        app = fastapi.FastAPI()
        document(app)

        @app.get("/", response_class=response)
        async def items() -> AsyncIterable[bytes]:
            yield b""

        return content(app, "/")["text/event-stream"]["itemSchema"]

    expected = make(fastapi.sse.EventSourceResponse)
    assert make(EventSourceResponse) == expected
    assert "required" in expected
    assert "required" not in make(SSE)  # they are complete frames


def test_a_type_that_pydantic_does_not_know_has_no_schema() -> None:
    class Unknown:
        pass

    app = fastapi.FastAPI()
    document(app)

    @app.get("/", response_class=SSE)
    async def items() -> AsyncIterable[Unknown]:
        yield Unknown()

    assert "required" not in content(app, "/")["text/event-stream"]["itemSchema"]


def test_the_media_type_of_a_dialect_is_documented_and_sent() -> None:
    class Text(Dialect):
        name, writes, media_type = "text", ("sse",), "text/plain"
        headers = {"X-Text": "1"}

        def writer(self, format: str, **_: Any) -> DialectWriter:
            return PayloadSSE()

    app = fastapi.FastAPI()
    document(app)

    @app.get("/", response_class=SSEResponse.using(dialect=Text()))
    async def items() -> AsyncIterable[str]:
        yield "a"

    async def test() -> None:
        served = await Connection(app=app).hear().serve(app)
        assert served.headers["content-type"] == "text/plain"
        assert served.headers["x-text"] == "1"

    run(test())
    assert list(content(app, "/")) == ["text/plain"]


def test_routes_that_are_added_later_are_described_and_the_document_is_kept() -> None:
    app = fastapi.FastAPI()
    document(app)
    assert app.openapi()["paths"] == {}
    app.get("/", response_class=SSE)(lambda: None)
    first = app.openapi()
    assert list(first["paths"]) == ["/"]
    assert app.openapi() is first is app.openapi_schema


def test_the_document_of_a_replaced_openapi_keeps_its_changes() -> None:
    app = fastapi.FastAPI()

    @app.get("/items", response_class=SSE)
    async def items() -> AsyncIterable[Item]:
        yield Item(name="a")

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = get_openapi(title="mine", version="3", routes=app.routes)
            app.openapi_schema["info"]["x-logo"] = "logo.png"
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    document(app)
    for _ in range(2):
        described = app.openapi()
        assert described["info"] == {"title": "mine", "version": "3", "x-logo": "logo.png"}
        data = content(app, "/items")["text/event-stream"]["itemSchema"]["properties"]["data"]
        assert data["contentSchema"] == {"$ref": "#/components/schemas/Item"}
        assert set(described["components"]["schemas"]) == {"Item", "Part"}


def test_a_replaced_openapi_that_keeps_its_document_is_completed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = fastapi.FastAPI()
    kept = get_openapi(title="mine", version="3", routes=[])
    app.openapi = lambda: kept  # type: ignore[method-assign]
    document(app)
    app.openapi()
    monkeypatch.setattr("gaistream.frameworks.fastapi._openapi.get_openapi", None)
    assert app.openapi() is kept


def test_a_mounted_application_has_its_own_document() -> None:
    def make(response: Any, *, ours: bool) -> list[dict[str, Any]]:
        app, mounted = fastapi.FastAPI(), fastapi.FastAPI(title="mounted")
        for each, kind in ((app, Item), (mounted, Part)):

            @each.get("/", response_class=response)
            async def items() -> AsyncIterable[kind]:  # type: ignore[valid-type]
                yield None

            if ours:
                document(each)
        app.mount("/below", mounted)
        return [app.openapi(), mounted.openapi()]

    assert make(SSE, ours=True) == make(fastapi.sse.EventSourceResponse, ours=False)
