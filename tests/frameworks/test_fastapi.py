"""FastAPI: the responses as a result, as an annotation, and as response_class."""

# FastAPI reads the annotations of the endpoints below: they must not be mere text

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from loops import turns
from scripted_asgi import DONE, PRELUDE, Connection, Gate, asynchronous, run, text

pytest.importorskip("fastapi", reason="FastAPI is not installed")

import anyio
import fastapi
from starlette.background import BackgroundTask

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
        assert served.body == b"event: a\r\ndata: 1\r\n\r\n"

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


def test_a_dependency_and_the_background_wait_for_an_answer_without_its_client() -> None:
    app = fastapi.FastAPI()
    gate, steps = Gate(), []

    async def session() -> AsyncIterator[None]:
        yield
        steps.append("session closed")

    @app.get("/", dependencies=[fastapi.Depends(session)])
    async def kept() -> SSEResponse:
        async def answer() -> AsyncIterator[Any]:
            yield "a"
            await gate()
            yield "b"
            steps.append("answered")

        def on_close(outcome: Any) -> None:
            steps.append(f"{outcome.kind} {outcome.message.text}")

        background = BackgroundTask(steps.append, "background")
        return SSEResponse(
            answer(), on_disconnect="continue", on_close=on_close, background=background
        )

    async def test() -> None:
        connection = Connection().hear()
        serving = connection.begin(app)
        await gate.arrival()
        connection.leave()
        await turns(30)
        assert steps == []
        gate.open()
        await serving
        assert steps == ["answered", "client_gone ab", "background", "session closed"]

    run(test())


def test_a_middleware_that_cancels_the_request_does_not_cancel_its_answer() -> None:
    app = fastapi.FastAPI()
    gate, kept = Gate(), asyncio.Queue[Any]()

    @app.get("/")
    async def keeps() -> SSEResponse:
        async def answer() -> AsyncIterator[Any]:
            yield "a"
            await gate()
            yield "b"

        return SSEResponse(answer(), on_disconnect="continue", on_close=kept.put_nowait)

    async def cancelling(scope: Any, receive: Any, send: Any) -> None:
        async with anyio.create_task_group() as group:  # as BaseHTTPMiddleware and others do
            group.start_soon(app, scope, receive, send)
            await gate.arrival()
            await turns(30)
            group.cancel_scope.cancel()

    async def test() -> None:
        await Connection().hear().serve(cancelling)
        assert kept.empty()
        gate.open()
        outcome = await kept.get()
        assert (outcome.kind, outcome.message.text) == ("cancelled", "ab")
        await turns(3)

    run(test())
