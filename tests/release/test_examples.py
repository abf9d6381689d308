"""Each example runs over a real server: its frames, its headers, and how its streams live."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from face_apps import Steps, aiohttp, uvicorn, waitress
from real_servers import SECONDS, Client, Server
from scripted_asgi import DONE, text

EXAMPLES = Path(__file__).parents[2] / "examples"
HEADERS = {
    "content-type": "text/event-stream",
    "cache-control": "no-cache, no-store, must-revalidate, no-transform",
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
}
FRAMES = [*(text(f"{word} ") for word in ("You", "asked:", "why")), DONE]
ANSWER = b"".join(b"id: %d\n%b" % numbered for numbered in enumerate(FRAMES, start=1))


# ---- the examples ----


class Example:
    """One way to stream in an example.

    Args:
        framework: the package that it needs.
        serve: serves the module's `app`.
        path: where it streams.
        source: the name of the module's source, which a test may replace.
        app: the app's name.
    """

    def __init__(
        self,
        framework: str,
        serve: Any,
        path: str = "/chat",
        source: str = "answer",
        app: str = "app",
    ) -> None:
        self.framework, self.path, self.source = framework, path, source
        self._serve, self._app = serve, app

    @property
    def module(self) -> ModuleType:
        return load(self.framework)

    def __enter__(self) -> Server:
        self._served = self._serve(getattr(self.module, self._app))
        return self._served.__enter__()

    def __exit__(self, *raised: Any) -> None:
        self._served.__exit__(*raised)


LOADED: dict[str, ModuleType] = {}


def load(framework: str) -> ModuleType:
    pytest.importorskip(framework, reason=f"{framework} is not installed")
    if framework not in LOADED:
        file = EXAMPLES / f"{framework}_app.py"
        spec = importlib.util.spec_from_file_location(file.stem, file)
        module = importlib.util.module_from_spec(spec)
        sys.modules[file.stem] = module  # Django looks its URLs up by the module's name
        spec.loader.exec_module(module)
        LOADED[framework] = module
    return LOADED[framework]


CASES = {
    "starlette": Example("starlette", uvicorn),
    "fastapi": Example("fastapi", uvicorn),
    "flask": Example("flask", waitress),
    "django async": Example("django", uvicorn, app="asgi_app"),
    "django sync": Example("django", waitress, "/blocking", "blocking_answer", "wsgi_app"),
    "django asgi, sync": Example("django", uvicorn, "/blocking", "blocking_answer", "asgi_app"),
    "aiohttp": Example("aiohttp", aiohttp),
    "aiohttp, pushed": Example("aiohttp", aiohttp, "/push"),
    "quart": Example("quart", uvicorn),
    "litestar": Example("litestar", uvicorn),
}


@pytest.fixture(params=CASES)
def example(request: pytest.FixtureRequest) -> Example:
    return CASES[request.param]


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Load the examples anew for each test, but for Django's: it is configured once a process."""
    yield
    for framework in LOADED.keys() - {"django"}:
        del LOADED[framework]


# ---- the tests ----


def test_an_example_streams_its_answer_under_the_right_headers(example: Example) -> None:
    with example as server:
        client = Client(server.address).ask(f"{example.path}?q=why")
        status, headers = client.head()
        assert status == 200
        assert HEADERS.items() <= dict(headers).items()
        assert "content-length" not in dict(headers)
        assert [name for name, _ in headers].count("content-type") == 1
        assert client.rest().removeprefix(b":\n\n") == ANSWER
        client.close()


def test_a_reconnect_is_ended_and_not_answered_again(example: Example) -> None:
    with example as server:
        again = httpx.get(f"{server.url}{example.path}?q=why", headers={"Last-Event-ID": "2"})
        assert (again.status_code, again.content) == (204, b"")


def test_events_arrive_when_they_are_yielded_and_who_goes_closes_the_source(
    example: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Steps()
    source = steps.like(getattr(example.module, example.source))
    monkeypatch.setattr(example.module, example.source, source)
    with example as server:
        client = Client(server.address).ask(f"{example.path}?q=why")
        client.head()
        client.until(b'"one"')
        assert b"two" not in client.body
        steps.go_on.set()
        client.until(b'"two"')
        assert not steps.closed.is_set()
        client.vanish()
        assert steps.closed.wait(SECONDS)


INSTALLED = """
import asyncio, importlib, sys
sys.path[:0] = sys.argv[1:]
from scripted_asgi import Connection
example = importlib.import_module("sse_starlette_app")
import sse_starlette
assert sse_starlette.__name__ == "gaistream.frameworks.sse_starlette"
served = asyncio.run(Connection().serve(example.app))
assert served.chunks[1] == b"id: 2\\r\\nevent: number\\r\\ndata: 2\\r\\n\\r\\n"
"""


def test_the_example_for_sse_starlette_installs_the_stand_in() -> None:
    paths = [str(EXAMPLES), str(EXAMPLES.parent / "tests" / "support")]
    subprocess.run([sys.executable, "-c", INSTALLED, *paths], check=True)


def test_starlettes_example_speaks_ndjson_and_sse_starlettes_dicts() -> None:
    with CASES["starlette"] as server:
        accept = {"Accept": "application/x-ndjson"}
        answer = httpx.get(f"{server.url}/chat?q=why", headers=accept)
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert answer.text.splitlines()[-1] == '{"type":"done","finished":true}'
        ticks = httpx.get(f"{server.url}/ticks").text
        assert ticks.endswith("id: 2\r\nevent: tick\r\ndata: 2\r\n\r\n")


def test_fastapis_example_streams_models_as_lines_and_documents_them() -> None:
    with CASES["fastapi"] as server:
        answer = httpx.post(f"{server.url}/lines", json={"question": "why"})
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert answer.text.splitlines()[-1] == '{"text":"why "}'
        assert httpx.post(f"{server.url}/lines", json={}).status_code == 422
        described = httpx.get(f"{server.url}/openapi.json").json()["paths"]["/lines"]["post"]
        content = described["responses"]["200"]["content"]["application/x-ndjson"]
        assert content == {"itemSchema": {"$ref": "#/components/schemas/Word"}}


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.py")), ids=lambda file: file.stem)
def test_an_example_is_short(file: Path) -> None:
    assert len(file.read_text().splitlines()) < 50
