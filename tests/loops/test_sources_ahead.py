"""How far a blocking source is read ahead while its client reads nothing, on every interface."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from loops import Run
from scripted_asgi import Connection

import gaistream

BIG = 1_000_000
FACES: dict[str, Callable[[Any, Any], Any]] = {
    "sse": lambda gs, source: gs.asgi.SSEResponse(source),
    "ndjson": lambda gs, source: gs.asgi.NDJSONResponse(source),
    "json": lambda gs, source: gs.asgi.NDJSONResponse(source, dialect="json"),
    "handler": lambda gs, source: gs.asgi.event_handler(Provider(source), lambda request: request),
}
ITEMS: dict[str, Callable[[], Any]] = {
    "text": lambda: "x" * BIG,
    "dict": lambda: {"type": "tool_result", "name": "read", "result": {"files": ["x" * BIG]}},
}


class Provider:
    """A provider that returns one source."""

    def __init__(self, source: Iterator[Any]) -> None:
        self._source = source

    def stream_text(self, _: Any) -> Iterator[Any]:
        return self._source


class Counted:
    """A source of big items. It counts them, and sets an event when its thread waits."""

    def __init__(self, gs: Any, monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any]) -> None:
        self.produced = 0
        self.waits = threading.Event()
        self._make = make
        wait = gs.loops.sources._InThread._wait_until_taken

        def told(source: Any) -> Any:
            if self.produced > 1:  # the first was taken
                self.waits.set()
            return wait(source)

        monkeypatch.setattr(gs.loops.sources._InThread, "_wait_until_taken", told)

    def __iter__(self) -> Iterator[Any]:
        while True:
            self.produced += 1
            yield self._make()


async def serve_stuck_client(counted: Counted, app: Any) -> None:
    """Answer a client that reads nothing."""
    connection = Connection()
    connection.before_send = lambda message: message.get("body") and asyncio.Event().wait()
    task = connection.begin(app)
    assert await asyncio.to_thread(counted.waits.wait, 10)
    connection.leave()
    await task
    assert counted.produced <= 3  # one is sent, one waits for that, one is ahead


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("item", ITEMS)
def test_a_source_of_big_items_is_read_ahead_by_one_of_them(
    gs: ModuleType, run: Run, monkeypatch: pytest.MonkeyPatch, face: str, item: str
) -> None:
    counted = Counted(gs, monkeypatch, ITEMS[item])
    run(serve_stuck_client(counted, FACES[face](gs, iter(counted))))


@pytest.mark.parametrize("face", ["SSEResponse", "NDJSONResponse"])
def test_starlette_reads_ahead_as_far(run: Run, monkeypatch: pytest.MonkeyPatch, face: str) -> None:
    starlette = pytest.importorskip("gaistream.frameworks.starlette")
    counted = Counted(gaistream, monkeypatch, ITEMS["text"])
    run(serve_stuck_client(counted, getattr(starlette, face)(iter(counted))))


def test_wsgi_in_a_helper_thread_reads_ahead_as_far(
    gs: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(gs, monkeypatch, ITEMS["text"])
    app = gs.wsgi.NDJSONResponse(iter(counted), helper_thread=True)
    body = app({"REQUEST_METHOD": "GET"}, lambda *_: None)
    assert len(next(body)) > BIG
    assert counted.waits.wait(10)
    body.close()
    assert counted.produced <= 3
