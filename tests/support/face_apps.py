"""The same few views in each framework that has a face, and the servers that they run on."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from real_servers import SECONDS, Server, listen, serve_uvicorn

from gaistream import SSEOptions, StreamError
from gaistream.streaming.outcome import Outcome


@dataclass
class Views:
    """The views of one app: for each path a source, options and settings."""

    is_async: bool
    helper_thread: bool = False
    is_wsgi: bool = False
    go_on: threading.Event = field(default_factory=threading.Event)
    closed: threading.Event = field(default_factory=threading.Event)
    outcomes: list[Outcome] = field(default_factory=list)

    def paths(self) -> list[str]:
        return "text own steps goes early fault refused late beats cors".split()

    def respond(self, response: Callable[..., Any], path: str, refusal: type[Exception]) -> Any:
        """Return what a view returns: `response` is the face's, with what comes before a source."""
        source = self._async(path, refusal) if self.is_async else self._sync(path, refusal)
        settings: dict[str, Any] = {"on_close": self._closed}
        if path == "own":
            settings["dialect"] = "raw"
        if path == "goes":
            settings["on_disconnect"] = "continue"
        if path == "cors":
            settings["cors"] = ["https://a.example", "https://b.example"]
        if self.helper_thread:
            settings["helper_thread"] = True
        # under WSGI only a write shows that the client has gone
        beats = 0.02 if path == "beats" or (self.is_wsgi and self.is_async) else None
        return response(source, SSEOptions(heartbeat_interval=beats), **settings)

    def _closed(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.closed.set()

    def _first(self, path: str, refusal: type[Exception]) -> list[Any]:
        if path == "early":
            raise StreamError("busy", code="busy", status=503, retry_after=3)
        if path == "fault":
            raise RuntimeError("the key is sk-123")
        if path == "refused":
            raise refusal
        own = [{"event": "tick", "id": "7", "data": "a\nb"}, "plain", b"data: ready\n\n"]
        return own if path == "own" else ["one"]

    async def _async(self, path: str, refusal: type[Exception]) -> AsyncIterator[Any]:
        for item in self._first(path, refusal):
            yield item
        if path == "late":
            raise StreamError("lost", code="lost")
        if path in ("steps", "beats", "goes"):
            await asyncio.to_thread(self.go_on.wait)
            yield "two"
            if path == "goes":
                return
            await asyncio.Event().wait()

    def _sync(self, path: str, refusal: type[Exception]) -> Iterator[Any]:
        yield from self._first(path, refusal)
        if path == "late":
            raise StreamError("lost", code="lost")
        if path == "goes":
            self.go_on.wait()
            yield "two"
        if path in ("steps", "beats"):
            self.go_on.wait()
            while True:
                yield "two"
                time.sleep(0.005)  # nothing tells a thread that the client has gone


@dataclass
class Face:
    """A face in its framework.

    Args:
        package: the framework's.
        serve: starts a server of its app for views.
        is_async: the kind of its source.
        helper_thread: a setting of the WSGI ones.
        is_wsgi: the interface.
    """

    package: str
    serve: Callable[[Views], Any]
    is_async: bool = True
    helper_thread: bool = False
    is_wsgi: bool = False

    def views(self) -> Views:
        pytest.importorskip(self.package, reason=f"{self.package} is not installed")
        return Views(self.is_async, self.helper_thread, self.is_wsgi)


class Steps:
    """A source whose second event waits for the test; it goes on until it is closed."""

    def __init__(self) -> None:
        self.go_on, self.closed = threading.Event(), threading.Event()

    async def asynchronous(self, *_: Any) -> AsyncIterator[str]:
        try:
            yield "one"
            await asyncio.to_thread(self.go_on.wait)
            yield "two"
            await asyncio.Event().wait()
        finally:
            self.closed.set()

    def blocking(self, *_: Any) -> Iterator[str]:
        try:
            yield "one"
            self.go_on.wait()
            while True:
                yield "two"
                time.sleep(0.005)  # nothing tells a thread that the client has gone
        finally:
            self.closed.set()


    def like(self, source: Callable[..., Any]) -> Callable[..., Any]:
        return self.asynchronous if inspect.isasyncgenfunction(source) else self.blocking


# ---- servers ----


def uvicorn(app: Any) -> Any:
    return serve_uvicorn(app, "h11", "asyncio")


@contextlib.contextmanager
def waitress(app: Any) -> Iterator[Server]:
    """Serve a WSGI app by waitress in a thread."""
    wasyncore = pytest.importorskip("waitress.wasyncore", reason="waitress is not installed")
    from waitress.server import create_server

    with listen() as listening:
        server = create_server(app, sockets=[listening], threads=2)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        try:
            yield Server("waitress", "wsgi", listening)
        finally:
            with contextlib.suppress(OSError):  # its loop was awake, and has closed it first
                server.trigger.pull_trigger(lambda: wasyncore.close_all(server._map))
            thread.join(SECONDS)
            assert not thread.is_alive()
            server.task_dispatcher.shutdown()


@contextlib.contextmanager
def aiohttp(app: Any, **settings: Any) -> Iterator[Server]:
    """Serve an aiohttp.web app by its own runner in a thread."""
    from aiohttp import web

    ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve(listening: Any) -> None:
        runner = web.AppRunner(app, **settings)
        await runner.setup()
        await web.SockSite(runner, listening).start()
        ready.set()
        await stop.wait()
        await runner.cleanup()

    with listen() as listening, contextlib.closing(loop):
        thread = threading.Thread(
            target=loop.run_until_complete, args=(serve(listening),), daemon=True
        )
        thread.start()
        try:
            assert ready.wait(SECONDS)
            server = Server("aiohttp", "aiohttp", listening)
            server.loop = loop
            yield server
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(SECONDS)
            assert not thread.is_alive()


# ---- the frameworks ----


def aiohttp_app(views: Views, pushed: bool) -> Any:
    from aiohttp import web

    from gaistream.frameworks import aiohttp as face

    face.CHECK_INTERVAL = 0.02

    async def view(request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        if not pushed:
            return await views.respond(partial(face.sse_response, request), path, web.HTTPNotFound)

        def push(source: Any, options: Any, **settings: Any) -> Any:
            holds = path in ("early", "fault", "refused")
            return source, face.sse_response(
                request, None, options, hold_headers=holds, **settings
            )

        source, response = views.respond(push, path, web.HTTPNotFound)
        async with response as stream, contextlib.aclosing(source):
            async for item in source:
                await stream.send(item)
        return stream

    app = web.Application()
    app.router.add_get("/{path}", view)
    return app


def flask_app(views: Views) -> Any:
    import flask
    from werkzeug.exceptions import NotFound

    from gaistream.frameworks.flask import SSEResponse

    app = flask.Flask(__name__)
    for path in views.paths():
        app.add_url_rule(
            f"/{path}", path, lambda path=path: views.respond(SSEResponse, path, NotFound)
        )
    return app


def quart_app(views: Views) -> Any:
    import quart
    from werkzeug.exceptions import NotFound

    from gaistream.frameworks.quart import SSEResponse

    app = quart.Quart(__name__)

    @app.get("/<path>")
    async def view(path: str) -> Any:
        return views.respond(SSEResponse, path, NotFound)

    return app


def litestar_app(views: Views) -> Any:
    import litestar
    from litestar.params import FromPath
    from litestar.types import ASGIApp

    from gaistream.frameworks.litestar import SSEResponse

    async def view(path: FromPath[str]) -> ASGIApp:
        return views.respond(SSEResponse, path, litestar.exceptions.NotFoundException)

    view.__annotations__ = {"path": FromPath[str], "return": ASGIApp}  # names of this function
    view = litestar.get("/{path:str}")(view)

    return litestar.Litestar([view])


@contextlib.contextmanager
def configured_django(view: Any, **settings: Any) -> Iterator[None]:
    """Configure Django with one view for all paths, for as long as the block runs."""
    from django import urls
    from django.conf import settings as django_settings
    from django.utils.functional import empty

    before = django_settings._wrapped
    django_settings._wrapped = empty
    patterns = ModuleType("urls")
    patterns.urlpatterns = [urls.re_path("^(?P<path>[a-z]+)$", view)]
    django_settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=patterns, **settings)
    urls.clear_url_caches()
    try:
        yield
    finally:
        django_settings._wrapped = before
        urls.clear_url_caches()


@contextlib.contextmanager
def django(views: Views, interface: str, async_view: bool = False) -> Iterator[Server]:
    """Serve a Django project by uvicorn or waitress."""
    from django.core import asgi, wsgi
    from django.http import Http404, HttpRequest

    from gaistream.frameworks.django import SSEResponse

    def view(request: HttpRequest, path: str) -> Any:
        return views.respond(partial(SSEResponse, request), path, Http404)

    async def aview(request: HttpRequest, path: str) -> Any:
        return view(request, path)

    with configured_django(aview if async_view else view):
        if interface == "asgi":
            served = uvicorn(asgi.get_asgi_application())
        else:
            served = waitress(wsgi.get_wsgi_application())
        with served as server:
            yield server


FACES = {
    "flask, sync": Face("flask", lambda v: waitress(flask_app(v)), False, is_wsgi=True),
    "flask, thread": Face("flask", lambda v: waitress(flask_app(v)), False, True, is_wsgi=True),
    "flask, async": Face("flask", lambda v: waitress(flask_app(v)), is_wsgi=True),
    "quart": Face("quart", lambda v: uvicorn(quart_app(v))),
    "quart, sync": Face("quart", lambda v: uvicorn(quart_app(v)), False),
    "aiohttp": Face("aiohttp", lambda v: aiohttp(aiohttp_app(v, pushed=False))),
    "aiohttp, sync": Face("aiohttp", lambda v: aiohttp(aiohttp_app(v, pushed=False)), False),
    "aiohttp, pushed": Face("aiohttp", lambda v: aiohttp(aiohttp_app(v, pushed=True))),
    "litestar": Face("litestar", lambda v: uvicorn(litestar_app(v))),
    "django asgi": Face("django", lambda v: django(v, "asgi", async_view=True)),
    "django asgi, sync": Face("django", lambda v: django(v, "asgi"), False),
    "django wsgi, sync": Face("django", lambda v: django(v, "wsgi"), False, is_wsgi=True),
    "django wsgi, async": Face("django", lambda v: django(v, "wsgi", True), is_wsgi=True),
}
