"""Time-outs of sources under WSGI: for clean-up and silence, if the source can be interrupted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

import pytest
from frames import PRELUDE, said
from loops import DEADLINE

ENVIRON = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_ACCEPT": "*/*"}


def begin(response: Any) -> tuple[list[str], Any]:
    """Start a response; return its status and its body."""
    statuses: list[str] = []
    body = response(ENVIRON, lambda status, *_: statuses.append(status))
    return statuses, body


def blocking() -> Iterator[str]:
    yield "a"


@pytest.mark.parametrize("name", ["SSEResponse", "NDJSONResponse"])
def test_a_sync_source_in_the_servers_thread_cannot_have_a_source_timeout(
    gs: ModuleType, name: str
) -> None:
    response = getattr(gs.wsgi, name)
    with pytest.raises(gs.errors.FrameError, match="source_timeout needs helper_thread=True"):
        response(blocking(), source_timeout=1)
    response(blocking(), source_timeout=1, helper_thread=True)
    response(blocking(), source_timeout=0)
    with pytest.raises(gs.errors.FrameTypeError, match="cleanup_timeout must be seconds or None"):
        response(blocking(), cleanup_timeout="1")


@pytest.mark.parametrize("name", ["sse", "ndjson"])
def test_an_iterator_over_a_sync_source_cannot_have_a_source_timeout(
    gs: ModuleType, name: str
) -> None:
    with pytest.raises(gs.errors.FrameError, match="source_timeout needs an async source"):
        getattr(gs, name)(blocking(), source_timeout=1)


def test_a_silent_source_times_out_under_wsgi(gs: ModuleType) -> None:
    let_go = threading.Event()

    def silent() -> Iterator[str]:
        yield "a"
        let_go.wait(DEADLINE)

    response = gs.wsgi.SSEResponse(silent(), source_timeout=0.05, helper_thread=True)
    _, body = begin(response)
    assert b"".join(body).endswith(b'"code":"timeout"}\n\n')
    let_go.set()


def test_a_source_that_swallows_cancellations_does_not_hold_the_servers_thread(
    gs: ModuleType,
) -> None:
    outcomes: list[Any] = []
    let_go = threading.Event()

    async def stubborn() -> AsyncIterator[str]:
        yield "a"
        while not let_go.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    response = gs.wsgi.SSEResponse(stubborn(), cleanup_timeout=0.01, on_close=outcomes.append)
    _, body = begin(response)
    assert next(body) == PRELUDE + said("a")
    body.close()
    [outcome] = outcomes
    assert not outcome.source_closed
    let_go.set()
    for thread in threading.enumerate():
        if thread.name == "gaistream left behind":
            thread.join(DEADLINE)
            assert not thread.is_alive()
