"""A finished request of handlers, iterators, WSGI and the faces for frameworks is freed at once."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from garbage import Left, leaves, without_collector
from loops import Run, helper_threads, turns
from scripted_asgi import Connection


@pytest.fixture(autouse=True)
def no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the test's own log from holding the errors."""
    for name in ("gaistream", "sse_starlette.sse"):
        monkeypatch.setattr(logging.getLogger(name), "disabled", True)


# ---- handlers ----


class Answer:
    """A source that keeps its request, also when it is closed."""

    def __init__(self, request: Any) -> None:
        self.request = request
        self.items = ["a"]

    def __aiter__(self) -> Answer:
        return self

    async def __anext__(self) -> str:
        if self.items:
            return self.items.pop(0)
        if self.request.path == "/fails":
            raise ValueError("secret")
        await asyncio.Event().wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.items = []


class Provider:
    """Notes its source, or does what the request's path names."""

    def __init__(self, left: Left) -> None:
        self.left = left

    async def stream_text(self, request: Any) -> Any:
        if request.path == "/refuses":
            raise ValueError("secret")
        if request.path == "/hangs":
            await asyncio.Event().wait()
        return self.left.note(Answer(request))


async def prepare(request: Any) -> Any:
    if request.path == "/unprepared":
        raise ValueError("secret")
    if request.method == "POST":
        await request.body()
    return request


PATHS = ["/waits", "/fails", "/refuses", "/hangs", "/unprepared", "/half", "/receive_fails"]


@pytest.mark.parametrize("ended", ["client_gone", "cancelled"])
@pytest.mark.parametrize("path", PATHS)
def test_a_request_to_a_handler(gs: ModuleType, run: Run, path: str, ended: str) -> None:
    async def exchange(left: Left) -> None:
        connection = Connection("POST", path)
        if path == "/receive_fails":
            connection.incoming.put_nowait({})
        else:
            connection.hear(b"{}", more=path == "/half")
        task = connection.begin(gs.asgi.sse_handler(Provider(left), prepare))
        await turns(10)
        if ended == "client_gone":
            connection.leave()
        else:
            task.cancel()
        await asyncio.wait([task])

    run(leaves(exchange)).check()


# ---- iterators ----


async def endless() -> AsyncIterator[str]:
    yield "a"
    await asyncio.Event().wait()


async def failing() -> AsyncIterator[str]:
    yield "a"
    raise ValueError("secret")


async def unencodable_async() -> AsyncIterator[Any]:
    yield "a"
    yield object()


@pytest.mark.parametrize(
    ("source", "how"),
    [
        (failing, "read"),
        (unencodable_async, "read"),
        (endless, "closed"),
        (endless, "cancelled"),
        (endless, "not begun"),
    ],
)
@pytest.mark.parametrize("make", ["sse", "ndjson"])
def test_an_async_iterator(gs: ModuleType, run: Run, make: str, source: Any, how: str) -> None:
    async def read(chunks: Any) -> None:
        async for chunk in chunks:
            if b'"a"' in chunk and how == "closed":
                break
        await chunks.aclose()

    async def exchange(left: Left) -> None:
        chunks = left.note(getattr(gs, make)(left.note(source())))
        if how == "not begun":
            await chunks.aclose()
            return
        task = asyncio.create_task(read(chunks))
        await turns(10)
        if how == "cancelled":
            task.cancel()
            await asyncio.wait([task])
            await chunks.aclose()
        else:
            await task

    run(leaves(exchange)).check()


def blocking() -> Iterator[str]:
    yield "a"
    yield "b"


def blocking_failing() -> Iterator[str]:
    yield "a"
    raise ValueError("secret")


def unencodable() -> Iterator[Any]:
    yield "a"
    yield object()


BLOCKING = [blocking, blocking_failing, unencodable]


@pytest.mark.parametrize("taken", [0, 1, 3, None])  # chunks; the third tells of the failure
@pytest.mark.parametrize("source", BLOCKING)
def test_an_iterator(gs: ModuleType, source: Any, taken: int | None) -> None:
    with without_collector() as left:
        chunks = left.note(gs.sse(left.note(source())))
        list(itertools.islice(chunks, taken))
        if taken is None:
            chunks.close()
        del chunks  # which closes it, too
    left.check()


# ---- WSGI ----


def ask(app: Any, path: str = "/", take: int | None = None) -> None:
    """Send a request, take some chunks of the answer, or all, and close it."""
    environ: dict[str, Any] = {"REQUEST_METHOD": "POST", "PATH_INFO": path}
    environ |= {"wsgi.input": io.BytesIO(b"{}"), "CONTENT_LENGTH": "2"}
    setup_testing_defaults(environ)
    body = app(environ, lambda *_: None)
    chunks = iter(body)
    if take is None:
        list(chunks)
    else:
        for _ in range(take):
            next(chunks)
    if hasattr(body, "close"):
        body.close()
    for thread in helper_threads():
        thread.join(10)


@pytest.mark.parametrize("take", [None, 1], ids=["whole", "closed"])
@pytest.mark.parametrize("helper_thread", [False, True])
@pytest.mark.parametrize("source", [*BLOCKING, failing])
def test_a_response_of_wsgi(
    gs: ModuleType, source: Any, helper_thread: bool, take: int | None
) -> None:
    def exchange(left: Left) -> None:
        items = left.note(source())
        app = left.note(gs.wsgi.SSEResponse(items, helper_thread=helper_thread))
        del items
        ask(app, take=take)

    exchange(Left())
    with without_collector() as left:
        exchange(left)
    left.check()


async def prepare_async(request: Any) -> Any:
    return prepare_sync(request)


def prepare_sync(request: Any) -> Any:
    if request.path == "/unprepared":
        raise ValueError("secret")
    return request


class BlockingProvider:
    """The same for a sync source."""

    def __init__(self, left: Left) -> None:
        self.left = left

    def stream_text(self, request: Any) -> Any:
        if request.path == "/refuses":
            raise ValueError("secret")
        return self.left.note(blocking_failing() if request.path == "/fails" else blocking())


@pytest.mark.parametrize("preparing", [prepare_sync, prepare_async])
@pytest.mark.parametrize("path", ["/ends", "/fails", "/refuses", "/unprepared"])
def test_a_request_to_a_handler_of_wsgi(gs: ModuleType, path: str, preparing: Any) -> None:
    def exchange(left: Left) -> None:
        ask(gs.wsgi.sse_handler(BlockingProvider(left), preparing), path)

    exchange(Left())
    with without_collector() as left:
        exchange(left)
    left.check()


@pytest.mark.parametrize("path", ["/waits", "/fails", "/refuses", "/unprepared"])
def test_a_request_to_a_handler_of_wsgi_with_an_async_source(gs: ModuleType, path: str) -> None:
    def exchange(left: Left) -> None:
        take = 1 if path == "/waits" else None
        ask(gs.wsgi.sse_handler(Provider(left), prepare), path, take=take)

    exchange(Left())
    with without_collector() as left:
        exchange(left)
    left.check()


# ---- Starlette ----


async def feeding() -> None:
    await asyncio.Event().wait()


async def feeding_badly() -> None:
    await turns(2)
    raise ValueError("secret")


async def feeding_badly_when_ended() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        raise ValueError("secret")


async def on_gone(message: Any) -> None:
    del message


class Switch:
    """A shutdown_event."""

    def set(self) -> None:
        """Nothing here looks at it."""


@pytest.mark.parametrize("how", ["failed", "client_gone", "cancelled", "drained"])
@pytest.mark.parametrize(
    "feed", [None, feeding, feeding_badly, feeding_badly_when_ended]
)
def test_an_event_source_response(run: Run, how: str, feed: Any) -> None:
    starlette = pytest.importorskip("gaistream.frameworks.starlette")

    def make(left: Left) -> Any:
        return left.note(
            starlette.EventSourceResponse(
                left.note(failing() if how == "failed" else endless()),
                data_sender_callable=feed,
                client_close_handler_callable=on_gone,
                shutdown_event=Switch(),
            )
        )

    run(leaves(lambda left: end(make(left), how))).check()


@pytest.mark.parametrize("how", ["failed", "client_gone", "cancelled", "drained"])
@pytest.mark.parametrize("face", ["SSEResponse", "NDJSONResponse"])
def test_a_response_of_starlette(run: Run, face: str, how: str) -> None:
    starlette = pytest.importorskip("gaistream.frameworks.starlette")

    def make(left: Left) -> Any:
        source = left.note(failing() if how == "failed" else endless())
        return left.note(getattr(starlette, face)(source))

    run(leaves(lambda left: end(make(left), how))).check()


async def end(app: Callable[..., Any], how: str) -> None:
    """Serve one request, and end it so."""
    import gaistream

    connection = Connection()
    task = connection.begin(app)
    del app
    await turns(10)
    if how == "client_gone":
        connection.leave()
    elif how == "drained":
        await gaistream.drain(0)
    elif how == "cancelled":
        task.cancel()
    await asyncio.wait([task])  # a failure that is raised here would hold this frame
    if not task.cancelled():
        task.exception()
        return
    with contextlib.suppress(asyncio.CancelledError):
        await task
