"""The recipes for frameworks without a face, each over a real server: what they send, and when."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from face_apps import Steps, uvicorn, waitress
from real_servers import SECONDS, Client, Server, listen
from required import need_package
from scripted_asgi import DONE, text

pytestmark = [  # Falcon and Pyramid import these
    pytest.mark.filterwarnings("ignore:'cgi' is deprecated"),
    pytest.mark.filterwarnings("ignore:pkg_resources is deprecated"),
    pytest.mark.filterwarnings("ignore:Deprecated call to `pkg_resources"),
]
RECIPES = Path(__file__).parents[2] / "examples" / "recipes"
ANSWER = b"".join(text(f"{word} ") for word in ("You", "asked:", "why")) + DONE


@contextlib.contextmanager
def in_loop(start: Any) -> Iterator[Server]:
    """Run a server in a loop in a thread; `start` gets a socket and returns how it is stopped."""
    ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve(listening: Any) -> None:
        close = await start(listening)
        ready.set()
        await stop.wait()
        await close()

    with listen() as listening, contextlib.closing(loop):
        listening.setblocking(False)
        thread = threading.Thread(
            target=loop.run_until_complete, args=(serve(listening),), daemon=True
        )
        thread.start()
        try:
            assert ready.wait(SECONDS)
            yield Server("loop", "own", listening)
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(SECONDS)
            assert not thread.is_alive()


def sanic(app: Any) -> Any:
    async def start(listening: Any) -> Any:
        server = await app.create_server(
            sock=listening.dup(), return_asyncio_server=True, access_log=False
        )
        await server.startup()
        await server.start_serving()

        async def close() -> None:
            server.close()
            await server.wait_closed()

        return close

    return in_loop(start)


def tornado(app: Any) -> Any:
    async def start(listening: Any) -> Any:
        from tornado.httpserver import HTTPServer

        server = HTTPServer(app)
        server.add_socket(listening.dup())

        async def close() -> None:
            server.stop()
            await server.close_all_connections()

        return close

    return in_loop(start)


class Recipe:
    """A recipe, its server, and what can be said of it.

    Args:
        name: of its file; its package, unless that is named.
        serve: serves the module's `app`.
        app: the app's name.
        sees_leave: the source is closed when the client has left, without a heartbeat.
    """

    def __init__(
        self, name: str, serve: Any, package: str = "", app: str = "app", sees_leave: bool = True
    ) -> None:
        self.name, self._serve, self._app = name, serve, app
        self._package = package or name
        self.sees_leave = sees_leave

    def load(self) -> ModuleType:
        need_package(self._package)
        name = f"{self.name}_app"
        spec = importlib.util.spec_from_file_location(name, RECIPES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def serve(self, module: ModuleType) -> Any:
        return self._serve(getattr(module, self._app))


CASES = {
    "sanic": Recipe("sanic", sanic),
    "falcon": Recipe("falcon", waitress),
    "tornado": Recipe("tornado", tornado),
    "bottle": Recipe("bottle", waitress),
    "pyramid": Recipe("pyramid", waitress),
    "a2wsgi": Recipe("a2wsgi", uvicorn, sees_leave=False),
    "drf asgi": Recipe("drf", uvicorn, "rest_framework", "asgi_app"),
    "drf wsgi": Recipe("drf", waitress, "rest_framework", "wsgi_app", sees_leave=False),
    "ninja": Recipe("ninja", uvicorn, app="asgi_app"),
}


@pytest.fixture(params=CASES)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return CASES[request.param]


@pytest.fixture
def module(recipe: Recipe) -> Iterator[ModuleType]:
    """Load a recipe as if it were the only one: Django and Sanic know one app a process."""
    with contextlib.ExitStack() as stack:
        if recipe.name in ("drf", "ninja"):
            stack.enter_context(unconfigured_django())
        if recipe.name == "sanic":
            need_package("sanic")
            from sanic import Sanic

            stack.callback(Sanic._app_registry.clear)
        yield recipe.load()


@contextlib.contextmanager
def unconfigured_django() -> Iterator[None]:
    from django.conf import settings
    from django.urls import clear_url_caches
    from django.utils.functional import empty

    before, settings._wrapped = settings._wrapped, empty
    clear_url_caches()
    yield
    settings._wrapped = before
    clear_url_caches()


def test_a_recipe_streams_its_answer_and_a_lost_client_closes_the_source(
    recipe: Recipe, module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recipe.serve(module) as server:  # once: Sanic can be started once a process
        accept = {"Accept": "text/event-stream"}
        answered = httpx.get(f"{server.url}/chat?q=why", headers=accept, timeout=SECONDS)
        assert answered.status_code == 200
        assert answered.content.removeprefix(b":\n\n") == ANSWER
        assert answered.headers["content-type"] == "text/event-stream"
        assert answered.headers["x-accel-buffering"] == "no"
        if not recipe.sees_leave:
            return
        steps = Steps()
        monkeypatch.setattr(module, "answer", steps.like(module.answer))
        client = Client(server.address).ask("/chat?q=why")
        client.head()
        client.until(b'"one"')
        assert b"two" not in client.body
        steps.go_on.set()
        client.until(b'"two"')
        client.vanish()
        assert steps.closed.wait(SECONDS)


def test_mangum_returns_the_whole_answer() -> None:
    module = Recipe("mangum", None).load()
    event = {
        "version": "2.0", "routeKey": "GET /chat", "rawPath": "/chat", "rawQueryString": "q=why",
        "headers": {"accept": "text/event-stream"}, "isBase64Encoded": False,
        "requestContext": {"http": {"method": "GET", "path": "/chat", "sourceIp": "127.0.0.1"}},
    }  # fmt: skip
    answered = module.handler(event, object())
    assert answered["statusCode"] == 200
    assert answered["headers"]["content-type"] == "text/event-stream"
    assert answered["body"].encode().removeprefix(b":\n\n") == ANSWER


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.py")), ids=lambda file: file.stem)
def test_a_recipe_is_short(file: Path) -> None:
    assert len(file.read_text().splitlines()) < 60
