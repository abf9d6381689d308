"""A finished request is freed at once: nothing of it waits for the cycle collector."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from garbage import Left, leaves
from loops import Run, helper_threads, turns
from scripted_asgi import Connection

Make = Callable[[Any], Any]
SECONDS = 0.02  # a send_timeout


@pytest.fixture(autouse=True)
def no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the test's own log from holding the errors."""
    monkeypatch.setattr(logging.getLogger("gaistream"), "disabled", True)


# ---- sources ----


async def ending() -> AsyncIterator[str]:
    yield "a"
    await asyncio.sleep(0)
    yield "b"


async def failing() -> AsyncIterator[str]:
    yield "a"
    await asyncio.sleep(0)
    raise ValueError("secret")


async def failing_before_an_event() -> AsyncIterator[str]:
    raise ValueError("secret")
    yield


async def failing_twice() -> AsyncIterator[str]:
    try:
        yield "a"
        raise ValueError("secret")
    finally:
        raise asyncio.CancelledError


async def unencodable() -> AsyncIterator[Any]:
    yield "a"
    yield object()


def blocking() -> Iterator[str]:
    yield "a"
    yield "b"


def blocking_failing() -> Iterator[str]:
    yield "a"
    raise ValueError("secret")


async def waiting() -> AsyncIterator[str]:
    yield "a"
    await asyncio.Event().wait()


async def failing_when_closed() -> AsyncIterator[str]:
    try:
        yield "a"
        await asyncio.Event().wait()
    finally:
        raise ValueError("secret")


async def timed() -> AsyncIterator[str]:
    yield "a"
    async with asyncio.timeout(60) as scope:  # it refers to the task
        await asyncio.Event().wait()
    del scope


async def grouping() -> AsyncIterator[str]:
    yield "a"
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.Event().wait())


class Keeping:
    """A source that keeps the error that ended it."""

    def __init__(self) -> None:
        self.items = ["a"]
        self.error: BaseException | None = None

    def __aiter__(self) -> Keeping:
        return self

    async def __anext__(self) -> str:
        if self.items:
            return self.items.pop()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            self.error = error
            raise
        raise StopAsyncIteration


ENDING = [
    ending, failing, failing_before_an_event, failing_twice, unencodable, blocking, blocking_failing
]  # fmt: skip
WAITING = [waiting, failing_when_closed, timed, grouping, Keeping]
CUT = ["client_gone", "cancelled", "drained", "stalled", "OSError", "RuntimeError"]


# ---- requests ----


def client_that(how: str) -> Connection:
    """Make a client that takes the first event as `how` says."""
    connection = Connection()

    def before_send(message: Any) -> Any:
        if b'"a"' not in message.get("body", b""):
            return None
        if how == "stalled":
            return asyncio.Event().wait()
        raise OSError if how == "OSError" else RuntimeError

    if how in ("stalled", "OSError", "RuntimeError"):
        connection.before_send = before_send
    return connection


async def serve(
    gs: ModuleType, app: Any, how: str, then: Callable[[], object] = int
) -> str:
    """Serve one request, end it as `how` says, and return how the server's task ended."""
    connection = client_that(how)
    task = connection.begin(app)
    del app
    if how in ("client_gone", "cancelled", "drained"):
        await connection.until_said(b'"a"')
        await turns(3)
    if how == "client_gone":
        connection.leave()
    elif how == "drained":
        await gs.drain(0)
    elif how == "cancelled":
        task.cancel()
    await asyncio.wait([task])
    then()
    for thread in helper_threads():
        thread.join(10)
    if task.cancelled():  # its error stays in it, as it does in a server's
        return "cancelled"
    return type(task.exception()).__name__


RESULTS = {"cancelled": "cancelled", "RuntimeError": "RuntimeError"}


@pytest.mark.parametrize("face", ["SSEResponse", "NDJSONResponse"])
@pytest.mark.parametrize("source", ENDING)
def test_a_stream_that_ends(gs: ModuleType, run: Run, face: str, source: Any) -> None:
    async def exchange(left: Left) -> None:
        app = left.note(getattr(gs.asgi, face)(left.note(source())))
        served = serve(gs, app, "by itself")
        del app
        assert await served == "NoneType"

    run(leaves(exchange)).check()


@pytest.mark.parametrize("how", CUT)
@pytest.mark.parametrize("source", WAITING)
def test_a_stream_that_is_cut(gs: ModuleType, run: Run, source: Any, how: str) -> None:
    ways = iter([how if how != "drained" else "client_gone", how])  # a loop is drained once

    async def exchange(left: Left) -> None:
        app = left.note(gs.asgi.SSEResponse(left.note(source()), send_timeout=SECONDS))
        served = serve(gs, app, next(ways))
        del app
        assert await served == RESULTS.get(how, "NoneType")

    run(leaves(exchange)).check()


def test_a_blocking_source_that_fails_when_its_client_has_gone(gs: ModuleType, run: Run) -> None:
    async def exchange(left: Left) -> None:
        gone = threading.Event()

        def source() -> Iterator[str]:
            yield "a"
            gone.wait(10)
            raise ValueError("secret")

        app = left.note(gs.asgi.SSEResponse(left.note(source())))
        served = serve(gs, app, "client_gone", gone.set)
        del app
        await served

    run(leaves(exchange)).check()


def test_an_error_that_is_kept_holds_nothing_of_the_stream(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        outcomes: list[Any] = []

        async def exchange(left: Left) -> None:
            app = left.note(gs.asgi.SSEResponse(left.note(failing()), on_close=outcomes.append))
            served = serve(gs, app, "by itself")
            del app
            await served

        (await leaves(exchange)).check()
        assert str(outcomes[-1].error) == "secret"
        assert outcomes[-1].error.__traceback__.tb_next.tb_frame.f_code.co_name == "failing"

    run(main())
