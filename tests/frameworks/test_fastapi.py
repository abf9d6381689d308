"""FastAPI: the responses as a result, as an annotation, and as response_class."""

# FastAPI reads the annotations of the endpoints below: they must not be mere text

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from scripted_asgi import DONE, PRELUDE, Connection, asynchronous, run, text

pytest.importorskip("fastapi", reason="FastAPI is not installed")

import fastapi

from gaistream.frameworks.starlette import EventSourceResponse, NDJSONResponse, SSEResponse


@pytest.fixture
def fastapi_app() -> Any:
    app = fastapi.FastAPI()
    app.state.ran = []

    def cookie(response: fastapi.Response) -> None:
        response.set_cookie("from", "dependency")

    @app.get("/returned")
    async def returned(tasks: fastapi.BackgroundTasks) -> SSEResponse:
        tasks.add_task(app.state.ran.append, "background")
        return SSEResponse(asynchronous("a"))

    @app.get("/annotated", dependencies=[fastapi.Depends(cookie)], status_code=201)
    async def annotated() -> NDJSONResponse:
        return NDJSONResponse([{"a": 1}], dialect="json")

    @app.get("/yields", response_class=SSEResponse, dependencies=[fastapi.Depends(cookie)])
    async def yields(tasks: fastapi.BackgroundTasks) -> AsyncIterator[str]:
        tasks.add_task(app.state.ran.append, "background")
        yield "a"
        yield "b"

    @app.get("/blocks", response_class=NDJSONResponse, status_code=202)
    def blocks() -> Iterator[str]:
        yield "a"

    return app


async def ask(app: Any, path: str) -> Connection:
    connection = Connection(path=path)
    connection.hear()
    connection.scope["app"] = app
    return await connection.serve(app)


def test_fastapi_takes_it_as_a_result_and_runs_its_background_tasks(fastapi_app: Any) -> None:
    async def test() -> None:
        served = await ask(fastapi_app, "/returned")
        assert served.body == PRELUDE + text("a") + DONE
        assert served.headers["content-type"] == "text/event-stream"
        assert fastapi_app.state.ran == ["background"]

    run(test())


def test_fastapi_takes_it_as_an_annotation(fastapi_app: Any) -> None:
    async def test() -> None:
        served = await ask(fastapi_app, "/annotated")
        assert served.body == b'{"a":1}\n'
        assert served.headers["content-type"] == "application/x-ndjson"

    run(test())


def test_fastapi_takes_it_as_response_class_of_an_endpoint_that_yields(fastapi_app: Any) -> None:
    async def test() -> None:
        served = await ask(fastapi_app, "/yields")
        assert served.body == PRELUDE + text("a") + text("b") + DONE
        assert served.headers["set-cookie"].startswith("from=dependency")
        assert "content-length" not in served.headers
        assert fastapi_app.state.ran == ["background"]
        served = await ask(fastapi_app, "/blocks")
        assert served.status == 202
        assert served.body.startswith(b'{"type":"text_delta","text":"a"}\n')

    run(test())


def test_fastapis_schema_names_the_media_type(fastapi_app: Any) -> None:
    paths = fastapi_app.openapi()["paths"]
    answer = paths["/yields"]["get"]["responses"]["200"]
    assert list(answer["content"]) == ["text/event-stream"]
    assert list(paths["/blocks"]["get"]["responses"]["202"]["content"]) == ["application/x-ndjson"]


def test_event_source_response_is_a_response_class_too() -> None:
    app = fastapi.FastAPI()

    @app.get("/", response_class=EventSourceResponse)
    async def yields() -> AsyncIterator[dict[str, Any]]:
        yield {"event": "a", "data": 1}

    async def test() -> None:
        served = await ask(app, "/")
        assert served.body == PRELUDE + b"event: a\ndata: 1\n\n"

    run(test())


def test_an_endpoint_that_yields_is_closed_when_the_client_goes() -> None:
    app = fastapi.FastAPI()
    closed: list[bool] = []

    @app.get("/", response_class=SSEResponse)
    async def yields() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    async def test() -> None:
        connection = Connection().hear()
        serving = connection.begin(app)
        await connection.until_said(text("a"))
        connection.leave()
        await serving
        assert closed == [True]

    run(test())
