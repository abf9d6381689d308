"""Exceptions with a status before the first byte: HTTPException, and errors in groups."""

# FastAPI reads the annotations of the endpoints below: they must not be mere text

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from garbage import Left, leaves
from scripted_asgi import Connection
from wsgi_answer import ask_wsgi

pytest.importorskip("fastapi", reason="FastAPI is not installed")
pytest.importorskip("litestar", reason="Litestar is not installed")

import fastapi
import litestar
from litestar.exceptions import HTTPException as LitestarHTTPException
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from gaistream import StreamError, asgi
from gaistream.frameworks.starlette import EventSourceResponse, SSEResponse


class MissingError(Exception):
    pass


async def missing(_: Any, error: Exception) -> JSONResponse:
    return JSONResponse({"handled": type(error).__name__}, 404)


async def failing(error: BaseException) -> AsyncIterator[str]:
    raise error
    yield ""


async def failing_later(error: BaseException) -> AsyncIterator[str]:
    await asyncio.sleep(0)
    raise error
    yield ""


def ask(app: Any, path: str = "/", method: str = "GET") -> Connection:
    async def asked() -> Connection:
        connection = Connection(method, path, root_path="", state={}, extensions={})
        await connection.hear().serve(app)
        return connection

    return asyncio.run(asked())


async def failing_by_itself() -> AsyncIterator[str]:
    raise gone()  # an argument would be a cycle of its own
    yield ""


def gone() -> HTTPException:
    return HTTPException(410, "gone", {"Retry-After": "7"})


MAKERS: dict[str, Callable[[BaseException], Any]] = {
    "at once": lambda error: SSEResponse(failing(error)),
    "held": lambda error: SSEResponse(failing_later(error), hold_headers=True),
    "sse-starlette's": lambda error: EventSourceResponse(failing(error)),
    "no face": lambda error: asgi.SSEResponse(failing(error)),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_an_error_that_the_application_answers_is_raised_to_it(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def endpoint(error: BaseException) -> Any:
        async def answer(_: Any) -> Any:
            return make(error)

        return answer

    def app(error: BaseException, **handlers: Any) -> Connection:
        handlers = {MissingError: missing, **handlers}
        return ask(Starlette(routes=[Route("/", endpoint(error))], exception_handlers=handlers))

    served = app(gone())
    assert (served.status, served.body, served.headers["retry-after"]) == (410, b"gone", "7")
    for error in (MissingError(), type("Derived", (MissingError,), {})()):
        served = app(error)
        assert (served.status, served.body) == (404, b'{"handled":"%b"}' % (
            type(error).__name__.encode()
        ))
    served = app(BaseExceptionGroup("one", [ExceptionGroup("two", [gone()])]))
    assert (served.status, served.body) == (410, b"gone")
    assert not caplog.records


def test_a_fault_goes_to_the_applications_handler_of_all_errors_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def endpoint(_: Any) -> Any:
        return SSEResponse(failing(ValueError("hidden")))

    async def public(_: Any) -> Any:
        return SSEResponse(failing(StreamError("slow", status=500)))

    routes = [Route("/", endpoint), Route("/public", public)]
    connection = Connection()
    app = Starlette(routes=routes, exception_handlers={Exception: missing})
    with pytest.raises(ValueError, match="hidden"):  # Starlette lets servers log it
        asyncio.run(connection.serve(app))
    assert (connection.status, connection.body) == (404, b'{"handled":"ValueError"}')
    assert "the source failing (" in caplog.text
    assert ask(app, "/public").status == 500
    assert ask(Starlette(routes=routes)).body == (
        b'{"error":{"code":"internal","message":"internal error"}}'
    )


def test_a_yielding_endpoint_of_fastapi_keeps_status_and_headers() -> None:
    app = fastapi.FastAPI(exception_handlers={MissingError: missing})

    @app.get("/http", response_class=SSEResponse)
    async def http() -> AsyncIterator[str]:
        raise fastapi.HTTPException(404, "no such conversation", {"X-Mine": "1"})
        yield ""

    @app.get("/own", response_class=SSEResponse)
    async def own() -> AsyncIterator[str]:
        raise MissingError
        yield ""

    @app.get("/fault", response_class=SSEResponse)
    async def fault() -> AsyncIterator[str]:
        raise ValueError
        yield ""

    served = ask(app, "/http")
    assert (served.status, served.body) == (404, b'{"detail":"no such conversation"}')
    assert served.headers["x-mine"] == "1"
    assert ask(app, "/own").body == b'{"handled":"MissingError"}'
    assert ask(app, "/fault").status == 500


class Provider:
    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    async def stream_text(self, _: Any) -> Any:
        if self.error is not None:
            raise self.error
        yield "a"


@pytest.mark.parametrize("where", ["prepare_request", "stream_text"])
def test_a_handler_in_an_application_raises_it_too(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(error: BaseException) -> Any:
        def prepare(request: Any) -> Any:
            if where == "prepare_request":
                raise error
            return request

        return asgi.sse_handler(Provider(error), prepare)

    for error, status, body in (
        (gone(), 410, b"gone"),
        (MissingError(), 404, b'{"handled":"MissingError"}'),
        (ExceptionGroup("one", [gone()]), 410, b"gone"),
    ):
        app = Starlette(
            routes=[Mount("/", handler(error))], exception_handlers={MissingError: missing}
        )
        served = ask(app)
        assert (served.status, served.body) == (status, body)
    assert not caplog.records
    app = Starlette(routes=[Mount("/", handler(ValueError()))], exception_handlers={500: missing})
    assert ask(app).status == (400 if where == "prepare_request" else 502)


def test_without_an_application_it_is_answered_with_its_own_status_and_headers() -> None:
    expected = b'{"error":{"code":"error","message":"gone"}}'
    handler = asgi.sse_handler(Provider(gone()), lambda request: request)
    for app in (asgi.SSEResponse(failing(gone())), handler):
        served = ask(app)
        assert (served.status, served.body, served.headers["retry-after"]) == (410, expected, "7")

    def refuse(_: Any) -> Any:
        raise gone()

    assert ask(asgi.sse_handler(Provider(), refuse)).status == 410
    import gaistream

    for app in (
        gaistream.wsgi.SSEResponse(failing(gone())),
        gaistream.wsgi.sse_handler(Provider(), refuse),
    ):
        assert ask_wsgi(app) == ("410 Gone", expected)


def test_headers_that_cannot_be_sent_are_left_out() -> None:
    class Odd(Exception):
        status_code = 429
        detail = {"not": "text"}
        headers = {"X-A": "a\nb", "Content-Type": "text/html", "X-B": 5, "X-C": "c"}

    served = ask(asgi.SSEResponse(failing(Odd())))
    assert (served.status, served.headers["x-c"]) == (429, "c")
    assert served.body == b'{"error":{"code":"error","message":"Too Many Requests"}}'
    assert not {"x-a", "x-b"} & served.headers.keys()
    assert served.headers["content-type"] == "application/json"


def test_a_source_beside_a_feeder_fails_as_any_other() -> None:
    async def feed() -> None:
        await asyncio.Event().wait()

    async def test() -> None:
        connection = Connection()
        source = failing(ValueError("hidden"))
        with pytest.raises(ValueError, match="hidden"):
            await connection.serve(EventSourceResponse(source, data_sender_callable=feed))
        assert b"internal error" in connection.body

    asyncio.run(test())


def test_litestar_answers_its_own_exception() -> None:
    @litestar.get("/")
    async def chat() -> litestar.types.ASGIApp:
        error = LitestarHTTPException("no", status_code=409, headers={"X-Mine": "1"})
        return asgi.SSEResponse(failing(error), cors=None)

    served = ask(litestar.Litestar([chat]))
    assert (served.status, served.headers["x-mine"]) == (409, "1")


def test_after_the_headers_it_is_a_fault_and_the_remedy_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    served = ask(asgi.SSEResponse(failing_later(gone())))
    assert served.status == 200
    assert b"internal error" in served.body
    assert b"gone" not in served.body
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert "with hold_headers=True they wait for the first event" in record.getMessage()


def test_a_background_task_runs_even_if_the_application_answers() -> None:
    ran: list[str] = []

    async def endpoint(_: Any) -> Any:
        from starlette.background import BackgroundTask

        return SSEResponse(failing(gone()), background=BackgroundTask(ran.append, "ran"))

    assert ask(Starlette(routes=[Route("/", endpoint)])).status == 410
    assert ran == ["ran"]


# ---- groups ----


def test_a_single_stream_error_in_groups_is_that_error(gs: Any) -> None:
    busy = gs.StreamError("slow down", code="busy", status=429, retry_after=7)
    group = ExceptionGroup("outer", [BaseExceptionGroup("inner", [busy])])
    outcomes: list[Any] = []
    served = ask(gs.asgi.SSEResponse(failing(group), on_close=outcomes.append))
    assert (served.status, served.headers["retry-after"]) == (429, "7")
    assert [outcome.error for outcome in outcomes] == [busy]
    frame = b'{"error":"slow down","code":"busy","retry_after":7}'
    assert frame in ask(gs.asgi.SSEResponse(failing_later(group))).body
    assert frame in b"".join(gs.sse(failing_sync(group)))
    out: list[bytes] = []
    with pytest.raises(ExceptionGroup), gs.SSEWriter(out.append):
        raise group
    assert frame in b"".join(out)
    for others in ([busy, ValueError()], [busy, busy], [ValueError()]):
        served = ask(gs.asgi.SSEResponse(failing(ExceptionGroup("many", others))))
        assert served.status == 500


def failing_sync(error: BaseException) -> Any:
    raise error
    yield ""


def test_a_task_group_in_a_handler_keeps_the_error(gs: Any) -> None:
    async def refused() -> None:
        raise gs.StreamError("sign in", code="unauthorized", status=401)

    async def prepare(request: Any) -> Any:
        async with asyncio.TaskGroup() as group:
            group.create_task(refused())
        return request

    assert ask(gs.asgi.sse_handler(Provider(), prepare)).status == 401
    status, _ = ask_wsgi(gs.wsgi.sse_handler(Provider(), prepare))
    assert status == "401 Unauthorized"


@pytest.mark.parametrize("where", ["a source", "a provider", "prepare_request"])
def test_an_error_that_is_raised_to_the_application_leaves_no_cycle(gs: Any, where: str) -> None:
    class Raising:
        async def stream_text(self, _: Any) -> Any:
            raise ExceptionGroup("one", [gone()])

    def prepare(request: Any) -> Any:
        if where == "prepare_request":
            raise gone()
        return request

    async def exchange(left: Left) -> None:
        handlers = {HTTPException: missing}, {}
        connection = Connection(**{"starlette.exception_handlers": handlers}).hear()
        app: Any = gs.asgi.sse_handler(Raising(), prepare)
        if where == "a source":
            app = gs.asgi.SSEResponse(left.note(failing_by_itself()))
        with contextlib.suppress(HTTPException):
            await connection.serve(app)
        assert not connection.sent

    asyncio.run(leaves(exchange)).check()
